#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The move out: no packet lost, both phones hear one another directly, the entries are gone."""
import moving
import tap
from lab import nothing_left
from moving import call
from tap import check, equal


def make():
    return moving.make()


def end(c):
    c.heard(10).lost()
    c.hang_up().gone()


def moves_out(lab):
    """both accept: nothing lost, then no entry is left and the ports are still the call's"""
    c = call(lab).up().talk().heard(10)
    first, second = c.move_out()
    equal(first.sdp.origin_id, c.b_offer.origin_id, "identity of our o= at b")
    equal(first.sdp.version, c.b_offer.version + 1, "version of our o= at b")
    equal(second.sdp.origin_id, c.a_answer.origin_id, "identity of our o= at a")
    equal(second.sdp.version, c.a_answer.version + 1, "version of our o= at a")
    shown = c.is_direct()
    equal((shown["a"]["told"], shown["b"]["told"]),
          ("%s:%d" % c.address("b"), "%s:%d" % c.address("a")), "told")
    c.heard(25)
    equal(c.sources("a"), [c.relay_a, c.address("b")], "where the caller's audio came from")
    equal(c.sources("b"), [c.relay_b, c.address("a")], "where the callee's audio came from")
    end(c)


def pitfall_16_silence_suppressed(lab):
    """pitfall 16: three packets a second: drained all the same, nothing lost"""
    c = call(lab).up().talk(pps=3).heard(1)
    c.move_out()
    c.is_direct()
    c.heard(3).lost()
    c.hang_up().gone()


def pitfall_16_nobody_speaks(lab):
    """pitfall 16: not a packet while the call moves; who speaks then is heard directly"""
    c = call(lab).up()
    c.move_out()
    c.is_direct()
    c.a_rtp.start(c.address("b"))
    c.b_rtp.start(c.address("a"))
    c.heard(10)
    for side, far in ("ab", "ba"):
        equal(c.sources(side), [c.address(far)], f"where the audio of {far} came from")
    end(c)


def keys_of_the_phones(lab):
    """RTP/SAVP with the phones' own keys: each hears the other's key with the other's address"""
    keys = {side: f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{letter * 40}"
            for side, letter in (("a", "A"), ("b", "B"))}
    c = call(lab, **{f"{side}_kw": {"profile": "RTP/SAVP", "extra": [key]}
                     for side, key in keys.items()})
    c.up().talk().heard(10)
    first, second = c.move_out()
    for told, far in ((first, "a"), (second, "b")):
        equal([line for line in told.sdp.text.splitlines() if line.startswith("a=crypto")],
              [keys[far]], f"key of {far}")
        equal(told.sdp.m()[2], "RTP/SAVP", "profile")
    c.is_direct()
    c.heard(25)
    end(c)


TESTS = [moves_out, keys_of_the_phones, pitfall_16_silence_suppressed, pitfall_16_nobody_speaks]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
