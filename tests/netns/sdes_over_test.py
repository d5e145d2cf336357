#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Over what keys pass: nothing that a request over UDP asks for in a dialog over TLS makes the node
tell a key, or go on without; nor do the phones' own keys go on from TLS in the open."""
import contextlib

import sdes
import sip
import srtp
import tap
from calls import INSIDE, OUTSIDE
from lab import nothing_left, running
from lines import audio, told, video
from sdes import (AES32, AES80, ALICE, ANNA, BEA, BEN, BOB, DAN, Key, SdesCall, SdesLines,
                  between_tests, clear, keys_of, refused, savp)
from tap import check, equal

OPEN = 5070     # where the phone speaks UDP
SAVP = "RTP/SAVP"


def make():
    return running(sdes.settings, addresses=5)


@contextlib.contextmanager
def in_the_open(lab, dialog):
    """The phone goes on in that dialog over UDP."""
    phone, node = dialog.phone, dialog.node
    dialog.phone = lab.phone(phone.ip, port=OPEN)
    dialog.node = (INSIDE if phone.ip.startswith("10.91.1.") else OUTSIDE, 5060)
    yield
    dialog.phone.close()
    lab.phones.remove(dialog.phone)
    dialog.phone, dialog.node = phone, node


def answered(dialog, method, text, other=None):
    """The final answer to that request; it tells no key. `other`: who is asked, and its answer."""
    if method == "INVITE":
        dialog.reinvite(text)
    else:
        dialog.request(method, text)
    if other:
        other[0].reply(other[0].expect("INVITE"), 200, other[1])
        other[0].expect("ACK")
    final = dialog.expect("final")
    equal(final.cseq[1], method, "answer to")
    if method == "INVITE":
        dialog.ack(final)
    for _, way, msg, _ in dialog.phone.trace:
        check(way == ">" or b"inline:" not in msg.body, "a key was told over UDP:", msg)
    return final


def reinvite_over_udp(lab):
    """re-INVITE with keys, the same again, without an offer, and UPDATE: 488; keys stay, and over
    TLS all is as ever"""
    for ips, a_keys, b_keys, side in (((ANNA, BOB), [Key(AES80)], [], "a"),
                                      ((ALICE, BEA), [], [Key(AES32, 2)], "b"),
                                      ((ALICE, BEN), [], [Key(AES32, 2)], "b")):
        c = SdesCall(lab, *ips, a_keys, b_keys).up()
        me, end = (c.a, c.a_rtp) if side == "a" else (c.b, c.b_rtp)
        key, ours = (a_keys or b_keys)[0], c.told_a if side == "a" else c.told_b
        srtp.encrypt(end, key, next(k for k in ours if k.suite == key.suite))
        same, new = c.write(side), c.write(side, [Key(AES80, 9)], version=2)
        with in_the_open(lab, me):
            for method, text in (("INVITE", new), ("UPDATE", new), ("INVITE", same),
                                 ("UPDATE", same), ("INVITE", None),
                                 ("INVITE", sip.sdp(me.phone.ip, end.port, version=3))):
                equal(answered(me, method, text).code, 488, f"{method} over UDP")
        equal(c.crypto(), tuple(k[0].suite if k else None for k in (a_keys, b_keys)), "crypto")
        c.talk().heard(10).quiet().whole()
        other = Key(key.suite, 4)
        srtp.encrypt(end, other, keys_of(me.offer(c.write(side, [other], version=4)).sdp)[0])
        c.talk().heard(10)
        c.hang_up().gone()
        clear(lab)


def plain_over_udp(lab):
    """encryption = optional, a call in the clear: keys in a re-INVITE over UDP are not taken, over
    TLS they are"""
    c = SdesCall(lab, ALICE, BEN, b_profile="RTP/AVP").up()
    with in_the_open(lab, c.b):
        c.b.reinvite(c.write("b", [Key(AES80, 9)], version=2))
        passed = c.a.expect("INVITE")
        c.a.reply(passed, 200, c.write("a", version=2))
        c.a.expect("ACK")
        final = c.b.expect("final")
        c.b.ack(final)
        equal((final.code, keys_of(final.sdp)), (200, []), "answer to the re-INVITE over UDP")
    equal(c.crypto(), (None, None), "crypto shown")
    key = Key(AES80, 9)
    equal([k.tag for k in keys_of(c.b.offer(c.write("b", [key], version=3)).sdp)], [9], "over TLS")
    equal(c.crypto(), (None, AES80), "crypto shown")
    c.hang_up().gone()


def own_keys_from_tls(lab):
    """encryption = no on both legs, RTP/SAVP with keys of the phones' own: from TLS to TLS and from
    UDP to UDP they pass, from one to the other it is 488"""
    for b_ip, tls in ((DAN, True), (BOB, False)):
        a_key, b_key = Key(AES80, 4), Key(AES80, 4)
        c = SdesCall(lab, ALICE, b_ip, [a_key], [b_key], a_tls=tls).up()
        equal((c.told_b, c.told_a), ([a_key], [b_key]), "keys told")
        c.hang_up().gone()
        clear(lab)
    text = savp(sip.sdp(ALICE, 20000, extra=[Key().line]))
    refused(lab, ALICE, BOB, text, tls=True)
    check("peer 'bob': keys pass over TLS only (encryption_over = tls)" in lab.log(), "logged")
    refused(lab, ALICE, DAN, text, tls=False)
    check("peer 'alice': keys pass over TLS only (encryption_over = tls)" in lab.log(), "logged")


def own_keys_later(lab):
    """the same of a re-INVITE, and of a line beside the audio, which has port 0"""
    c = SdesCall(lab, ALICE, BOB, a_tls=True).up()
    for side, me in (("a", c.a), ("b", c.b)):
        me.reinvite(savp(c.write(side, [Key()], version=2)))
        final = me.expect("final")
        me.ack(final)
        equal(final.code, 488, f"re-INVITE by {side}")
    for me in (c.a, c.b):
        me.none("INVITE")
    c.talk().heard(10).quiet().whole()
    c.hang_up().gone()
    clear(lab)
    ips = ALICE, DAN
    c = SdesLines(lab, *ips).ring([audio(20000), video(20002, proto=SAVP, extra=[Key().line])])
    equal(told(c.to_b), [("audio", True)], "told to the callee")
    check("inline:" not in c.to_b.text, "a key was told")
    c.answer([audio(20004)])
    equal(told(c.to_a), [("audio", True), ("video", False)], "told to the caller")
    c.hang_up()


def own_keys_asked_for(lab):
    """both on TLS: what asks over UDP for the other one's keys, with RTP/SAVP of none or with no
    description, gets 488, whether the other one is asked or not; over TLS all is as ever"""
    text = sdes.settings(lab)
    for asks in (True, False):
        if not asks:
            lab.write(text.replace("canreinvite = yes", "canreinvite = no"))
            lab.ctl("reload")
        for side in "ab":
            c = SdesCall(lab, ALICE, DAN, [Key(tag=4)], [Key(tag=4)], a_tls=True).up()
            me, other = (c.a, c.b) if side == "a" else (c.b, c.a)
            own = c.write("b" if side == "a" else "a", version=2)
            bare = c.write(side, [], version=2)
            with in_the_open(lab, me):
                for method, said in (("INVITE", None), ("INVITE", bare), ("UPDATE", bare)):
                    final = answered(me, method, said, (other, own) if asks else None)
                    equal(final.code, 488, f"{method} over UDP, asked: {asks}")
            if not asks:
                equal(keys_of(me.offer(c.write(side, [Key()], version=3)).sdp), [Key(
                    key=(c.b_keys if side == "a" else c.a_keys)[0].key)], "key told over TLS")
            c.talk().heard(10).quiet().whole()
            c.hang_up().gone()
            clear(lab)
    lab.write(text)
    lab.ctl("reload")


def own_keys_said_again(lab):
    """both on TLS, the caller's RTP/SAVP without a=crypto: the same again over UDP is not answered
    with the callee's key"""
    c = SdesCall(lab, ALICE, DAN, [], [Key(tag=4)], a_profile="RTP/SAVP", a_tls=True).up()
    equal(c.told_a, c.b_keys, "key told over TLS")
    own = c.write("b", version=2)
    with in_the_open(lab, c.a):
        equal(answered(c.a, "INVITE", c.write("a"), (c.b, own)).code, 488, "the same over UDP")
    c.talk().heard(10).quiet().whole()
    c.hang_up().gone()


def own_keys_by_wish(lab):
    """encryption_over = any of the peer that is not over TLS: they pass"""
    text = sdes.settings(lab)
    lab.write(text.replace("host = 10.91.2.20\n", "host = 10.91.2.20\nencryption_over = any\n"))
    lab.ctl("reload")
    a_key, b_key = Key(AES80, 4), Key(AES80, 4)
    c = SdesCall(lab, ALICE, BOB, [a_key], [b_key], a_tls=True).up()
    equal((c.told_b, c.told_a), ([a_key], [b_key]), "keys told")
    c.hang_up().gone()
    lab.write(text)
    lab.ctl("reload")


TESTS = (reinvite_over_udp, plain_over_udp, own_keys_from_tls, own_keys_later, own_keys_asked_for,
         own_keys_said_again, own_keys_by_wish)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
