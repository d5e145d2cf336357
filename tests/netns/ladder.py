# SPDX-License-Identifier: GPL-2.0-or-later
"""Ladders: what the two phones of a call sent and heard, in order, as golden texts.

UPDATE=1 in the environment writes the golden text instead of comparing with it: to be read after.
"""
import os

from lab import TOP
from tap import Failed

GOLDEN = os.path.join(TOP, "tests", "golden", "ladder")
HEAD = "leg  way     message        CSeq  o=        c= and m=  direction\n"


class Ladder:
    """What happens to a call from now on. CSeq and the version of o= are counted from set-up on."""

    def __init__(self, call):
        self.call = call
        self.names = {call.relay_a: "relay-a", call.relay_b: "relay-b",
                      (call.a_rtp.ip, call.a_rtp.port): "a", (call.b_rtp.ip, call.b_rtp.port): "b"}
        self.first = {}
        self.skip = len(self.lines())

    def lines(self):
        """Of the whole call, in the order in which the phones sent and read them."""
        steps = []
        for leg, phone, dialog in (("a", self.call.a_phone, self.call.a),
                                   ("b", self.call.b_phone, self.call.b)):
            steps += [(when, leg, way, msg) for when, way, msg, _ in phone.trace
                      if msg.call_id == dialog.call_id and msg.code != 100 and
                      not getattr(msg, "repeat", False)]
        return [self.line(*step[1:]) for step in sorted(steps, key=lambda s: s[0])]

    def line(self, leg, way, msg):
        what = f"{msg.code} {msg.cseq[1]}" if msg.code else msg.method
        text = f"{leg:<4} {'-> node' if way == '>' else '<- node'} {what:<14}" \
            f" {self.count(leg, way, msg):>4}"
        return (text + self.description(leg, way, msg)).rstrip() + "\n"

    def count(self, leg, way, msg):
        """CSeq from 1 on for each sender of requests in a dialog."""
        asker = (leg, way if msg.method else {">": "<", "<": ">"}[way])
        return msg.cseq[0] - self.first.setdefault(asker, msg.cseq[0]) + 1

    def description(self, leg, way, msg):
        if not msg.sdp:
            return ""
        whose = (leg, way, str(msg.sdp.origin_id))
        first = self.first.setdefault(whose, msg.sdp.version)
        who = "phone" if way == ">" else "node"
        at = self.names.get(msg.sdp.rtp(), "unknown")
        return f"  {who + '+' + str(msg.sdp.version - first):<9} {at:<10} {msg.sdp.direction()}"


def is_golden(ladder, name, about):
    """The ladder is that of tests/golden/ladder/NAME.txt."""
    path = os.path.join(GOLDEN, name + ".txt")
    text = f"# {about}\n{HEAD}" + "".join(ladder.lines()[ladder.skip:])
    if os.environ.get("UPDATE"):
        with open(path, "w") as out:
            out.write(text)
        return
    with open(path) as golden:
        want = golden.read()
    if text != want:
        raise Failed(f"{name}.txt:\n{want}\nseen:\n{text}")

