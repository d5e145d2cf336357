#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several m= lines on encrypted legs: each with keys of its own, added and removed, and T.38 where
keys are required and where they are not."""

import rtp
import sdes
import srtp
import tap
from lab import nothing_left, running
from lines import Raw, audio, fax, told, used, video, whole
from sdes import (AES32, AES80, ALICE, ANNA, BEA, BEN, BOB, GCM128, GCM256, OLGA, SUITES, Key,
                  SdesLines, between_tests, clear, keys_of)
from tap import equal, wait_for

SAVP = "RTP/SAVP"
BOTH, ONE = [("audio", True), ("video", True)], [("audio", True), ("video", False)]


def make():
    return running(sdes.settings, addresses=5)


class Ends:
    """The two ends of one line: `a` and `b`, the phones' keys, and what each writes."""

    def __init__(self, lab, kind, ips, a_key=None, b_key=None):
        self.kind, self.pt = kind, 97 if kind == video else 0
        self.end = {s: lab.end(ip, pt=self.pt) for s, ip in zip("ab", ips)}
        self.key = {"a": a_key, "b": b_key}

    def line(self, side, on=True, profile=None, extra=()):
        key = self.key[side]
        keys = [key.line] if key and on else []
        return self.kind(self.end[side].port if on else 0,
                         proto=profile or (SAVP if key else "RTP/AVP"), extra=[*keys, *extra])

    def talk(self, c, index, packets=30):
        """Both ways, every byte; each side under the keys that it wrote and was told."""
        for side, description in (("a", c.to_a), ("b", c.to_b)):
            end, key = self.end[side], self.key[side]
            end.rtp.forget()
            end.rtcp.forget()
            if key:
                ours = next(k for k in keys_of(description, index) if k.suite == key.suite)
                if getattr(end, "under", None) != (key.key, ours.key):
                    srtp.encrypt(end, key, ours)
                end.under = (key.key, ours.key)
            end.start(description.rtp(index), description.rtcp(index))
        a, b = self.end["a"], self.end["b"]
        wait_for(lambda: min(len(a.rtp.got), len(b.rtp.got)) >= packets, 8,
                 lambda: f"packets of line {index}: {len(a.rtp.got)}, {len(b.rtp.got)}; "
                 f"{c.lab.drops()}")
        rtp.drain(a, b)
        rtp.drain(b, a)
        whole(a, b, c.to_a.rtp(index), c.to_b.rtp(index), f"line {index}")
        for end in (a, b):
            equal(getattr(end, "unheard", []), [], "packets that do not decrypt")


def no_drops(lab, before):
    after = lab.drops()
    for name in ("srtp_auth", "srtp_replay", "srtp_failed", "bad_payload"):
        equal(after[name], before[name], name)


def two_lines_to_plain(lab):
    """audio and video, each with a key: bridged to a plain leg, ours are two others, no bit lost"""
    before = lab.drops()
    ips = ANNA, BOB
    sound, sight = Ends(lab, audio, ips, Key(AES80, 4)), Ends(lab, video, ips, Key(GCM128, 9))
    c = SdesLines(lab, *ips).ring([sound.line("a"), sight.line("a")])
    equal([c.to_b.m(i)[2] for i in (0, 1)], ["RTP/AVP"] * 2, "profiles told the callee")
    equal([keys_of(c.to_b, i) for i in (0, 1)], [[], []], "keys told the callee")
    c.answer([sound.line("b"), sight.line("b")])
    equal((told(c.to_b), told(c.to_a)), (BOTH, BOTH), "lines told")
    equal([c.to_a.m(i)[2] for i in (0, 1)], [SAVP] * 2, "profiles answered")
    ours = [keys_of(c.to_a, i) for i in (0, 1)]
    equal([[(k.tag, k.suite) for k in line] for line in ours], [[(4, AES80)], [(9, GCM128)]],
          "answer: one key a line, its tag")
    equal(len({k.key[:16] for k in (ours[0][0], ours[1][0], sound.key["a"], sight.key["a"])}), 4,
          "keys, no two alike")
    equal((c.crypto("a"), c.crypto("b")), ([AES80, GCM128], [None, None]), "crypto shown")
    sound.talk(c, 0)
    sight.talk(c, 1)
    no_drops(lab, before)
    c.hang_up()


def plain_to_two_lines(lab):
    """to an encrypted leg: every suite for each line, and each is answered with another"""
    before = lab.drops()
    ips = ALICE, BEA
    sound = Ends(lab, audio, ips, None, Key(AES32, 2))
    sight = Ends(lab, video, ips, None, Key(GCM256, 4))
    c = SdesLines(lab, *ips).ring([sound.line("a"), sight.line("a")])
    equal([c.to_b.m(i)[2] for i in (0, 1)], [SAVP] * 2, "profiles told the callee")
    keys = [keys_of(c.to_b, i) for i in (0, 1)]
    equal([[k.suite for k in line] for line in keys], [SUITES] * 2, "keys told the callee")
    equal(len({k.key[:16] for line in keys for k in line}), 8, "keys told, no two alike")
    c.answer([sound.line("b"), sight.line("b")])
    equal((c.crypto("a"), c.crypto("b")), ([None, None], [AES32, GCM256]), "crypto shown")
    sound.talk(c, 0)
    sight.talk(c, 1)
    no_drops(lab, before)
    c.hang_up()


def both_legs(lab):
    """two encrypted legs with two lines: four keys of ours in force, both decrypted and encrypted
    anew"""
    ips = ANNA, BEA
    sound = Ends(lab, audio, ips, Key(AES80), Key(AES80))
    sight = Ends(lab, video, ips, Key(AES80), Key(GCM128, 3))
    c = SdesLines(lab, *ips).ring([sound.line("a"), sight.line("a")])
    c.answer([sound.line("b"), sight.line("b")])
    sound.talk(c, 0)
    sight.talk(c, 1)
    c.hang_up()


def line_without_a_key(lab):
    """a line without a key that can be served has port 0; the audio goes on"""
    ips = ANNA, BOB
    for extra in ([], [Key(AES80, tail="|1:4").line]):
        sound, sight = Ends(lab, audio, ips, Key(AES80)), Ends(lab, video, ips)
        c = SdesLines(lab, *ips)
        c.ring([sound.line("a"), sight.line("a", profile=SAVP if extra else None, extra=extra)])
        equal(told(c.to_b), [("audio", True)], "told to the callee")
        c.answer([sound.line("b")])
        equal(told(c.to_a), ONE, "told to the caller")
        equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
        sound.talk(c, 0)
        c.hang_up()
        clear(lab)


def answer_without_a_key(lab):
    """an answer that leaves one line without a key of ours: that line is refused, the call lives"""
    ips = ALICE, BEA
    sound, sight = Ends(lab, audio, ips, None, Key(AES80)), Ends(lab, video, ips)
    c = SdesLines(lab, *ips).ring([sound.line("a"), sight.line("a")])
    c.answer([sound.line("b"), sight.line("b", profile=SAVP)])
    equal(told(c.to_a), ONE, "told to the caller")
    equal(c.crypto("b"), [AES80], "crypto shown")
    sound.talk(c, 0)
    c.hang_up()


def added_and_removed(lab):
    """a line comes by a re-INVITE, goes and comes back: its keys are others then, those of the
    audio the same"""
    before = lab.drops()
    ips = ANNA, BEA
    sound = Ends(lab, audio, ips, Key(AES80), Key(AES80))
    sight = Ends(lab, video, ips, Key(AES80), Key(AES80))
    c = SdesLines(lab, *ips).ring([sound.line("a")]).answer([sound.line("b")])
    sound.talk(c, 0)
    kept = keys_of(c.to_a)[0].key, keys_of(c.to_b)[0].key
    ours = []
    for side, other in (("a", "b"), ("b", "a")):
        c.offer(side, [sound.line(side), sight.line(side)], [sound.line(other), sight.line(other)])
        equal((told(c.to_a), told(c.to_b)), (BOTH, BOTH), "lines told")
        equal([k.suite for k in keys_of(c.to_b if side == "a" else c.to_a, 1)], SUITES,
              "suites offered for the new line")
        equal((keys_of(c.to_a)[0].key, keys_of(c.to_b)[0].key), kept, "keys of the audio")
        ours += [k.key for d in (c.to_a, c.to_b) for k in keys_of(d, 1)]
        sight.talk(c, 1)
        sound.talk(c, 0)
        c.offer(other, [sound.line(other), sight.line(other, False)],
                [sound.line(side), sight.line(side, False)])
        equal((told(c.to_a), told(c.to_b)), (ONE, ONE), "lines told after it was removed")
        equal(used(lab), {"inside": 2, "outside": 2}, "ports used then")
        sight.key = {"a": Key(AES80), "b": Key(AES80)}
        sound.talk(c, 0)
    equal(len(set(ours)), 10, "keys of ours for the line, no two alike")
    no_drops(lab, before)
    c.hang_up()


def one_choice_of_audio(lab):
    """audio with keys and without, a line each (as before OSRTP): the one with keys, the other has
    port 0"""
    ips = OLGA, BOB
    sound, clear_ = Ends(lab, audio, ips, Key(AES80)), Ends(lab, audio, ips)
    c = SdesLines(lab, *ips).ring([clear_.line("a"), sound.line("a")])
    equal(told(c.to_b), [("audio", False), ("audio", True)], "told to the callee")
    c.answer([["m=audio 0 RTP/AVP 0"], sound.line("b")])
    equal(told(c.to_a), [("audio", False), ("audio", True)], "told to the caller")
    sound.talk(c, 1)
    c.hang_up()


def fax_where_keys_are_required(lab):
    """encryption = sdes on either leg: T.38 has no keys, beside the audio it has port 0, in its
    place it is 488, and the audio goes on"""
    image = Raw(lab, BOB)
    for ips, sides in (((ANNA, BOB), "ab"), ((ALICE, BEA), "ab")):
        keys = [Key(AES80) if ip in (ANNA, BEA) else None for ip in ips]
        sound = Ends(lab, audio, ips, *keys)
        c = SdesLines(lab, *ips).ring([sound.line("a"), fax(image.port)])
        equal(told(c.to_b), [("audio", True)], "told to the callee")
        c.answer([sound.line("b")])
        equal(told(c.to_a), [("audio", True), ("image", False)], "told to the caller")
        before = c.crypto("a"), c.crypto("b")
        for side in sides:
            final = c.offer(side, [fax(image.port)], expected=488)
            equal(final.code, 488, "T.38 in place of the audio")
        equal((c.crypto("a"), c.crypto("b")), before, "crypto shown")
        sound.talk(c, 0)
        c.hang_up()
        clear(lab)


def fax_where_they_are_not(lab):
    """encryption = optional: T.38 passes as it is in place of the encrypted audio, which comes back
    under another key of ours"""
    ips = OLGA, BOB
    a, b = Raw(lab, OLGA), Raw(lab, BOB)
    sound = Ends(lab, audio, ips, Key(AES80))
    c = SdesLines(lab, *ips).ring([sound.line("a")]).answer([sound.line("b")])
    sound.talk(c, 0)
    ours = [keys_of(c.to_a)[0].key]
    for side, other in (("b", "a"), ("a", "b")):
        port = {"a": a.port, "b": b.port}
        c.offer(side, [fax(port[side])], [fax(port[other])])
        equal((told(c.to_a), told(c.to_b)), ([("image", True)], [("image", True)]), "lines told")
        equal(c.crypto("a"), [None], "crypto shown")
        a.reaches(b, c.to_a.rtp())
        b.reaches(a, c.to_b.rtp())
        b.hears(b"\x00\x07\x06\xc0", a, c.to_a.rtp(), c.to_b.rtp(), "UDPTL from the caller")
        a.hears(b"\x00\x08\x06\xc0", b, c.to_b.rtp(), c.to_a.rtp(), "UDPTL from the callee")
        sound.key["a"] = Key(AES80)
        c.offer(side, [sound.line(side)], [sound.line(other)])
        ours.append(keys_of(c.to_a)[0].key)
        sound.talk(c, 0)
    equal(len(set(ours)), 3, "keys of ours, no two alike")
    c.hang_up()


def fax_beside_the_audio(lab):
    """encryption = optional: T.38 beside the encrypted audio, each as it is"""
    ips = ALICE, BEN
    a, b = Raw(lab, ALICE), Raw(lab, BEN)
    sound = Ends(lab, audio, ips, None, Key(AES80))
    c = SdesLines(lab, *ips).ring([sound.line("a"), fax(a.port)])
    equal(told(c.to_b), [("audio", True), ("image", True)], "told to the callee")
    equal([k.suite for k in keys_of(c.to_b)], SUITES, "keys of the audio")
    equal(keys_of(c.to_b, 1), [], "keys of the fax")
    c.answer([sound.line("b", profile="RTP/AVP"), fax(b.port)])
    equal(c.crypto("b"), [AES80, None], "crypto shown")
    a.reaches(b, c.to_a.rtp(1))
    b.reaches(a, c.to_b.rtp(1))
    b.hears(b"\x00\x07\x06\xc0", a, c.to_a.rtp(1), c.to_b.rtp(1), "UDPTL from the caller")
    sound.talk(c, 0)
    c.hang_up()


TESTS = (two_lines_to_plain, plain_to_two_lines, both_legs, line_without_a_key,
         answer_without_a_key, added_and_removed, one_choice_of_audio,
         fax_where_keys_are_required, fax_where_they_are_not, fax_beside_the_audio)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
