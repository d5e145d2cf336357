# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls whose media moves between the relay and the direct way: phones that do as their SDP says,
and what each of them saw of it."""
import time

import rtp
import sip
from calls import Call
from lab import CALLEE, CALLER, config, running
from tap import check, equal, wait_for

# Short, so that tests are; each is a key of [general].
TIMES = {"settle": "200-300", "drain_idle": "300", "drain_max": "2000"}
JOINED = {"direct": "outside"}


def make(general=(), peers=None, **lab_options):
    """A lab with a router beside the node, and the daemon; everything is seen to be gone after."""
    keys = {"general": {**TIMES, **dict(general)}, "inside": JOINED}
    keys.update({"peers": peers} if peers else {})
    return running(lambda lab: config(lab, **keys), args=("-v",), router=True, **lab_options)


def between_tests(lab, failed):
    """What was learned of the phones in a test is forgotten."""
    lab.between_tests(failed)
    for peer in ("alice", "bob"):
        lab.ctl("peer", peer, "quirk", "clear")


class Side:
    """One phone in a call that moves: its dialog, its RTP, its description, whom it sends to."""

    def __init__(self, name, dialog, end, sdp_kw):
        self.name, self.dialog, self.end, self.kw = name, dialog, end, sdp_kw
        self.version = 1
        self.headers = ()       # in each 200 to an offer
        self.sent_to = []       # each address that it was told, in order

    @property
    def ip(self):
        return self.dialog.phone.ip

    def sdp(self, port=None, **kw):
        self.version += 1
        return sip.sdp(self.ip, port or self.end.port, version=self.version, **{**self.kw, **kw})

    def told(self, timeout=5.0):
        """The next re-INVITE or UPDATE with an offer."""
        return self.dialog.expect("INVITE", timeout)

    def follow(self, sdp):
        """Sends from now on to where this description says."""
        self.sent_to.append(sdp.rtp())
        if not sdp.connection().startswith("0."):
            self.end.aim(sdp.rtp(), sdp.rtcp())

    def accept(self, msg, follow=True, **kw):
        """Answers an offer, and sends where it says; the description of the answer."""
        if follow:
            self.follow(msg.sdp)
        text = self.sdp(**kw)
        self.dialog.reply(msg, 200, text, headers=self.headers)
        if msg.method == "INVITE":
            self.dialog.expect("ACK")
        return sip.Sdp(text)

    def refuse(self, msg, code, headers=()):
        self.dialog.reply(msg, code, headers=headers)
        if msg.method == "INVITE":
            self.dialog.expect("ACK")


class Moving(Call):
    """A call of two phones that can reach one another."""

    def __init__(self, lab, a_phone, b_phone, number, a_kw=None, b_kw=None, **kw):
        super().__init__(lab, a_phone, b_phone, number, a_kw=a_kw, b_kw=b_kw, **kw)
        self.a_kw, self.b_kw = a_kw or {}, b_kw or {}

    def answer(self):
        super().answer()
        return self.sides()

    def sides(self):
        self.sa = Side("a", self.a, self.a_rtp, self.a_kw)
        self.sb = Side("b", self.b, self.b_rtp, self.b_kw)
        return self

    def at(self, side):
        return self.sa if side == "a" else self.sb

    def address(self, side):
        end = self.at(side).end
        return end.ip, end.port

    def relay(self, side):
        return self.relay_a if side == "a" else self.relay_b

    def shows(self, timeout=8.0, **want):
        """Waits until the node shows the call so; returns that."""
        state = {}

        def so():
            state.update(self.show())
            return all(state.get(k) == v for k, v in want.items())
        wait_for(so, timeout, lambda: f"call shown with {want}; path {state.get('path')} "
                 f"reason {state.get('reason')} trail {self.trail(state)}")
        return state

    @staticmethod
    def trail(shown):
        return [(t["event"], t["state"], t["leg"], t["code"]) for t in shown.get("trail", ())]

    def entries(self):
        """Local addresses of this call that `show flows` lists."""
        ports = {f"{r[0]}:{r[1] + i}" for r in (self.relay_a, self.relay_b) for i in (0, 1)}
        return sorted(f["local"] for f in self.lab.flows() if f["local"] in ports)

    def move_out(self):
        """Both sides agree: the callee first, then the caller."""
        first = self.sb.told()
        equal(first.sdp.rtp(), self.address("a"), "address told to b")
        equal(first.sdp.direction(), "sendrecv", "direction told to b")
        self.sb.accept(first)
        second = self.sa.told()
        equal(second.sdp.rtp(), self.address("b"), "address told to a")
        self.sa.accept(second)
        return first, second

    def direct(self):
        """Up, talking, moved out, and the entries gone."""
        self.up().talk().heard(5)
        self.move_out()
        self.is_direct()
        return self

    def is_direct(self):
        shown = self.shows(path="direct", reason="DIRECT")
        equal(self.entries(), [], "forwarding entries while direct")
        return shown

    def is_relayed(self, reason, timeout=8.0):
        shown = self.shows(timeout, path="relay", reason=reason)
        equal(len(self.entries()), 4, "forwarding entries while relayed")
        for side in "ab":
            equal(shown[side]["told"], "%s:%d" % self.relay(side), f"told to {side}")
        return shown

    def sources(self, side):
        """From where media came to this side, in the order in which that changed."""
        found = []
        for _, _, source, _, _ in self.at(side).end.rtp.got:
            if not found or found[-1] != source:
                found.append(source)
        return found

    def lost(self, limit=0, row=0):
        """Stops the media; no more than so many packets of either direction are missing, and no
        more than `row` of them one after the other: no silence is longer than 20 ms * (row + 1),
        counted in packets, for a clock would measure the machine."""
        ends = self.a_rtp, self.b_rtp
        for end in ends:
            end.stop()
        wait_for(lambda: not any(rtp.Delivery(x, y).lost for x, y in (ends, ends[::-1])) or
                 all(e.rtp.got and quiet(e) for e in ends), 3, "the last packets")
        for x, y, name in ((*ends, "a to b"), (*ends[::-1], "b to a")):
            d = rtp.Delivery(x, y)
            check(d.sent and len(d.lost) <= limit and in_a_row(d.lost) <= row and
                  not (d.duplicated or d.corrupt or d.strangers),
                  f"{name}: {d}; at most {limit} may be missing, {row} in a row")
        return self


def in_a_row(numbers):
    """How many of them follow one another at most."""
    longest = n = 0
    for i, number in enumerate(numbers):
        n = n + 1 if i and number == numbers[i - 1] + 1 else 1
        longest = max(longest, n)
    return longest


def quiet(end):
    return time.monotonic() - end.rtp.got[-1][3] > 0.5


def call(lab, prefix="7", a_ip=CALLER, b_ip=CALLEE, **kw):
    return Moving(lab, lab.phone(a_ip), lab.phone(b_ip), lab.number(prefix), **kw)
