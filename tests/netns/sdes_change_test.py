#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys during a call: refreshes, offers without and with new keys, refused and answered amiss;
libsrtp2 is who hears."""
import sdes
import tap
from lab import nothing_left, running
from prack_test import ALLOW
from sdes import (AES32, AES80, ANNA, BEA, GCM128, GCM256, Key, SdesCall, between_tests,
                  clear, keys_of)
from srtp import under, whole
from tap import equal, wait_for

REFRESH = [("Supported", "timer")]
REFRESHED = [("Session-Expires", "90;refresher=uac"), ("Require", "timer")]


def make():
    return running(sdes.settings, addresses=5)


def begun(lab, a_key=None, b_key=None, ips=(ANNA, BEA), invite=(), ok=()):
    """A call whose phones encrypt as they have agreed to, with such headers."""
    a_key, b_key = a_key or Key(AES80, tag=7), b_key or Key(AES32, tag=2)
    c = SdesCall(lab, *ips, [a_key] if ips[0] == ANNA else [], [b_key]).ring(list(invite))
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=ok)
    final = c.a.expect(200)
    c.a_answer, c.relay_a = final.sdp, final.sdp.rtp()
    c.a.ack(final)
    c.b.expect("ACK")
    if c.a_keys:
        under(c.a_rtp, a_key, c.told_a)
    under(c.b_rtp, b_key, c.told_b)
    return whole(c)


def over(c):
    c.hang_up().gone()
    clear(c.lab)


def refreshed(lab):
    """session timers, both legs refreshed by the node: the text that was told, byte for byte, its
    keys and tags among it; the answer may say the same, or bring a new key"""
    c = begun(lab, invite=[*REFRESH, ("Session-Expires", "90;refresher=uas")], ok=REFRESHED)
    # The one leg was told an answer, the other an offer of every suite.
    for dialog, end, text, key in ((c.a, c.a_rtp, c.a_answer, Key(AES80, tag=7)),
                                   (c.b, c.b_rtp, c.b_offer, Key(AES32, tag=2))):
        side = "a" if dialog is c.a else "b"
        again = dialog.expect("INVITE", 60)
        equal(again.sdp.text, text.text, f"description in the re-INVITE of {side}")
        dialog.reply(again, 200, c.write(side, [key], version=2), headers=REFRESHED)
        dialog.expect("ACK")
        end.rekey(key)
    whole(c)
    over(c)


def refuse(c, code):
    """Refuses what is passed on to the callee, until that goes back: behind a 491 the leg tries
    again (RFC 3261 14.1)."""
    def heard():
        c.a.phone.pump()
        c.b.phone.pump()
        return c.a.phone.find("final", c.a.call_id) or c.b.phone.find("INVITE", c.b.call_id)
    while True:
        msg = wait_for(heard, 10, "an answer, or another attempt")
        if msg.code:
            c.a.ack(msg)
            return msg
        equal([k for k in keys_of(msg.sdp) if k not in c.told_b], [], "keys told b")
        c.b.reply(msg, code)
        c.b.expect("ACK")


def refused(lab):
    """a hold with a new key that the other leg refuses: 491 goes back and the old key stays, else
    the node answers and the new key counts; the refusing leg's keys stay either way"""
    for code in (491, 488):
        c, new = begun(lab), Key(AES80, tag=3)
        c.a.reinvite(c.write("a", [new], direction="sendonly", version=2))
        final = refuse(c, code)
        equal(final.code, 491 if code == 491 else 200, "answer to the hold")
        if code == 488:
            equal([(k.tag, k.key) for k in keys_of(final.sdp)], [(3, c.told_a[0].key)], "key")
            c.a_rtp.rekey(new)
            c.a.reinvite(c.write("a", [new], version=3))
            c.b.reply(c.b.expect("INVITE"), 200, c.write("b", version=2))
            c.b.expect("ACK")
            c.a.ack(c.a.expect(200))
        whole(c)
        over(c)


def asked(lab):
    """a re-INVITE without an offer, from either leg: each hears of the one suite and key in force,
    and answers with the same key, or a new one"""
    for side, other, new in (("a", "b", True), ("b", "a", True), ("a", "b", False)):
        c = begun(lab)
        me, end = (c.a, c.a_rtp) if side == "a" else (c.b, c.b_rtp)
        far = c.b if side == "a" else c.a
        keys = {"a": c.a_keys[0], "b": c.b_keys[0]}
        told = {"a": c.told_a[0], "b": c.told_b[1]}
        me.reinvite(None)
        passed = far.expect("INVITE")
        equal(passed.sdp, None, "an offer")
        far.reply(passed, 200, c.write(other, version=2))
        answer = me.expect("final")
        equal([(k.suite, k.key) for k in keys_of(answer.sdp)],
              [(told[side].suite, told[side].key)], "the key in force is offered")
        key = Key(keys[side].suite, keys_of(answer.sdp)[0].tag, None if new else keys[side].key)
        me.ack(answer, c.write(side, [key], version=2))
        ack = far.expect("ACK")
        equal([(k.tag, k.suite, k.key) for k in keys_of(ack.sdp)],
              [(keys[other].tag, told[other].suite, told[other].key)], "answer in the ACK")
        if new:
            end.rekey(key)
        whole(c)
        over(c)


def answered_with_a_new_key(lab):
    """a hold and its end that are passed on: each answer has a new key of the callee's"""
    c = begun(lab)
    for version, direction, reverse in ((2, "sendonly", "recvonly"), (3, "sendrecv", "sendrecv")):
        key = Key(AES32, tag=2)
        c.a.reinvite(c.write("a", direction=direction, version=version))
        offer = c.b.expect("INVITE")
        equal([k.key for k in keys_of(offer.sdp)], [c.told_b[1].key], "key offered")
        c.b.reply(offer, 200, c.write("b", [key], direction=reverse, version=version))
        c.b.expect("ACK")
        final = c.a.expect("final")
        c.a.ack(final)
        equal(keys_of(final.sdp), c.told_a, "key told a")
        c.b_rtp.rekey(key)
    whole(c)
    over(c)


def answered_amiss(lab):
    """the answer to what was passed on chooses another suite than the one offered, another tag, or
    no key at all: it is refused here, the log says so, and the keys of before stay"""
    c = begun(lab)
    for version, keys in enumerate(([Key(GCM128, tag=3)], [Key(AES32, tag=9)], [],
                                    [Key(AES32, tag=2, tail=" UNENCRYPTED_SRTP")]), 2):
        c.a.reinvite(c.write("a", direction="sendonly", version=2 * version))
        offer = c.b.expect("INVITE")
        c.b.reply(offer, 200, c.write("b", keys, direction="recvonly", version=version))
        c.b.expect("ACK")
        final = c.a.expect("final")
        c.a.ack(final)
        equal((final.code, keys_of(final.sdp)), (200, c.told_a), "answered by the node")
        equal(lab.log().count("its answer chooses none of the keys offered") +
              lab.log().count("no a=crypto that can be served"), version - 1, "notices")
        equal(c.crypto(), (AES80, AES32), "crypto shown")
        c.a.reinvite(c.write("a", version=2 * version + 1))
        c.b.reply(c.b.expect("INVITE"), 200, c.write("b", version=version))
        c.b.expect("ACK")
        c.a.ack(c.a.expect("final"))
        whole(c)
    over(c)


def updated(lab):
    """UPDATE in the call: without a description nothing changes, with a new key it is answered with
    ours, a hold is passed on with the keys in force"""
    c = begun(lab, invite=ALLOW, ok=ALLOW)
    c.a.request("UPDATE")
    equal((c.a.expect("final").code, c.b.phone.find("UPDATE")), (200, None), "plain UPDATE")
    whole(c)
    key = Key(GCM256, tag=1)
    c.b.request("UPDATE", c.write("b", [key], version=2))
    answer = c.b.expect("final")
    equal(answer.code, 200, "answer to the UPDATE")
    under(c.b_rtp, key, keys_of(answer.sdp))
    whole(c)
    c.a.request("UPDATE", c.write("a", direction="sendonly", version=2))
    offer = c.b.expect("UPDATE")
    equal(keys_of(offer.sdp), [Key(GCM256, key=keys_of(answer.sdp)[0].key)], "keys passed on")
    same = Key(GCM256, keys_of(offer.sdp)[0].tag, key.key)
    c.b.reply(offer, 200, c.write("b", [same], direction="recvonly", version=3))
    final = c.a.expect("final")
    equal((final.code, keys_of(final.sdp)), (200, c.told_a), "answer to the hold")
    over(c)


TESTS = (refreshed, refused, asked, answered_with_a_new_key, answered_amiss, updated)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
