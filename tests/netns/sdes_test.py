#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of encrypted media in descriptions: offered, chosen, kept, changed and refused."""
import os

import sdes
import sip
import srtp
import tap
from lab import nothing_left, running
from sdes import (AES32, AES80, ALICE, ANNA, BEA, BEN, BOB, EVE, GCM128, GCM256, OLGA, SUITES, UMA,
                  Key, SdesCall, between_tests, clear, keys_of, phone, refused, savp)
from tap import check, equal


def make():
    return running(sdes.settings, addresses=5)


def profile(description):
    return description.m()[2]


def secure_to_plain(lab):
    """RTP/SAVP with a key, from a phone with encryption = sdes to a plain one: bridged"""
    key = Key(AES80, tag=4)
    c = SdesCall(lab, ANNA, BOB, a_keys=[key]).up()
    equal(profile(c.b_offer), "RTP/AVP", "profile told the callee")
    equal(c.told_b, [], "keys told the callee")
    equal(profile(c.a_answer), "RTP/SAVP", "profile answered")
    equal([(k.tag, k.suite) for k in c.told_a], [(4, AES80)], "answer: one line, its tag")
    check(c.told_a[0].key != key.key, "our key is another than the caller's")
    equal(c.crypto(), (AES80, None), "crypto shown")
    c.hang_up().gone()


def plain_to_secure(lab):
    """a plain phone calls one with encryption = sdes: every suite is offered, in RTP/SAVP"""
    c = SdesCall(lab, ALICE, BEA, b_keys=[Key(GCM256, tag=4)]).up()
    equal(profile(c.b_offer), "RTP/SAVP", "profile told the callee")
    equal([(k.tag, k.suite) for k in c.told_b], list(enumerate(SUITES, 1)), "keys told the callee")
    equal(len({k.key[:16] for k in c.told_b}), 4, "keys told, each another")
    equal((profile(c.a_answer), c.told_a), ("RTP/AVP", []), "answer to the caller")
    equal(c.crypto(), (None, GCM256), "crypto shown")
    c.hang_up().gone()


def secure_to_secure(lab):
    """both legs encrypted: the keys of each end here, and the policy says CRYPTO"""
    a_key, b_key = Key(AES32), Key(AES80)
    c = SdesCall(lab, ANNA, BEA, a_keys=[a_key, Key(AES80, 2)], b_keys=[b_key]).up()
    equal(c.crypto(), (AES32, AES80), "crypto shown")
    ours = {k.key for k in c.told_a + c.told_b}
    check(a_key.key not in ours and b_key.key not in ours, "nobody's key is passed on")
    equal(len(ours), 5, "keys of ours, no two alike")
    shown = c.show()
    equal((shown["path"], shown["reason"]), ("relay", "CRYPTO"), "path")
    c.hang_up().gone()


def optional_offers(lab):
    """encryption = optional: RTP/AVP with keys (RFC 8643), answered with one of them or none"""
    for b_keys, expected in (([Key(AES32, tag=2)], AES32), ([], None)):
        c = SdesCall(lab, ALICE, BEN, b_keys=b_keys, b_profile="RTP/AVP").up()
        equal(profile(c.b_offer), "RTP/AVP", "profile told the callee")
        equal([k.suite for k in c.told_b], SUITES, "keys told the callee")
        equal(c.crypto(), (None, expected), "crypto shown")
        c.hang_up().gone()
        clear(lab)


def optional_accepts(lab):
    """encryption = optional: RTP/SAVP, RTP/SAVPF, RTP/AVP with a key and without"""
    for prof, keys in (("RTP/SAVP", 1), ("RTP/SAVPF", 1), ("RTP/AVP", 1), ("RTP/AVPF", 1),
                       ("RTP/AVP", 0)):
        c = SdesCall(lab, OLGA, BOB, [Key(GCM128, tag=9)] * keys, a_profile=prof, a_tls=True).up()
        equal(profile(c.a_answer), prof, "profile answered")
        equal([(k.tag, k.suite) for k in c.told_a], [(9, GCM128)] * keys, f"answer to {prof}")
        equal(c.crypto(), (GCM128 if keys else None, None), f"crypto shown of {prof}")
        equal(profile(c.b_offer), "RTP/AVPF" if prof == "RTP/AVPF" else "RTP/AVP", "told b")
        c.hang_up().gone()
        clear(lab)


def optional_without_tls(lab):
    """encryption = optional over UDP: keys are neither taken nor told; RTP/SAVP is refused"""
    c = SdesCall(lab, OLGA, BOB, [Key()], a_profile="RTP/AVP", a_tls=False).up()
    equal((profile(c.a_answer), c.told_a, c.crypto()), ("RTP/AVP", [], (None, None)), "answer")
    c.hang_up().gone()
    clear(lab)
    refused(lab, OLGA, BOB, savp(sip.sdp(OLGA, 20000, extra=[Key().line])), tls=False)
    logged(lab, "peer 'olga': keys pass over TLS only (encryption_over = tls)")


def over_any(lab):
    """encryption_over = any: keys pass over UDP, too"""
    c = SdesCall(lab, UMA, BOB, a_keys=[Key(AES80)]).up()
    equal(c.crypto(), (AES80, None), "crypto shown")
    c.hang_up().gone()


def logged(lab, text):
    check(text in lab.log(), "in the log:", text)


def refused_by_peer(lab):
    """488: sdes and no key; a profile that the peer does not have; a callee that has no TLS"""
    refused(lab, ANNA, BOB, sip.sdp(ANNA, 20000))
    logged(lab, "peer 'anna': no a=crypto that can be served")
    refused(lab, ANNA, BOB, savp(sip.sdp(ANNA, 20000)))
    refused(lab, ALICE, BEA, savp(sip.sdp(ALICE, 20000, extra=[Key().line])))
    logged(lab, "peer 'alice': encryption = no")
    refused(lab, ALICE, EVE, sip.sdp(ALICE, 20000))
    logged(lab, "peer 'eve': keys pass over TLS only (encryption_over = tls)")


def refused_lines(lab):
    """lines that cannot be served are passed over; where none is left: 488"""
    good = Key(AES32, tag=7)
    bad = [Key(AES80, 1, tail="|1:4"), Key(AES80, 2, tail="|2^20|1:1"),
           Key(AES80, 3, tail=" UNENCRYPTED_SRTP"), Key(AES80, 4, tail=" UNENCRYPTED_SRTCP"),
           Key(AES80, 5, tail=" KDR=4"), Key(AES80, 6, tail=" FEC_ORDER=FEC_SRTP"),
           Key(AES80, 8, key=os.urandom(29))]
    strange = "a=crypto:11 AES_256_CM_HMAC_SHA1_80 inline:" + "A" * 64
    c = SdesCall(lab, ANNA, BOB, a_keys=bad + [good])
    c.a_sdp = c.a_sdp.replace("a=crypto:1 ", strange + "\r\na=crypto:1 ", 1)
    c.up()
    equal([(k.tag, k.suite) for k in c.told_a], [(7, AES32)], "line chosen")
    c.hang_up().gone()
    clear(lab)
    refused(lab, ANNA, BOB,
            savp(sip.sdp(ANNA, 20000, extra=[k.line for k in bad] + [strange, "a=crypto:"])))


def lines_of_others(lab):
    """a suite's name in lower case, a GCM key without its '=' (rtpengine), tags of one digit to
    nine, a line that comes twice"""
    for key, line in ((Key(AES80, 5), lambda k: k.line.replace(AES80, AES80.lower())),
                      (Key(GCM128, 999999999), lambda k: k.line.rstrip("=")),
                      (Key(GCM256, 0), lambda k: k.line.rstrip("=") + "|2^31"),
                      (Key(AES32, 7), lambda k: f"{k.line}\r\n{k.line}")):
        c = SdesCall(lab, ANNA, BOB, a_keys=[key])
        c.a_sdp = c.a_sdp.replace(key.line, line(key))
        c.up()
        equal([(k.tag, k.suite) for k in c.told_a], [(key.tag, key.suite)], "answer")
        srtp.encrypt(c.a_rtp, key, c.told_a[0])
        c.talk().heard(10).quiet().whole()
        c.hang_up().gone()
        clear(lab)


def lines_of_nobody(lab):
    """two keys of one tag and suite, a lifetime beyond the suite's, two lifetimes, a tag of ten
    digits: passed over; where nothing is left it is 488"""
    bad = [Key(AES80, 1), Key(AES80, 1), Key(AES80, 2, tail="|2^49"),
           Key(AES80, 3, tail="|2^20|2^20"), Key(AES80, 1234567890)]
    c = SdesCall(lab, ANNA, BOB, a_keys=[*bad, Key(AES80, 4)]).up()
    equal([k.tag for k in c.told_a], [4], "line chosen")
    c.hang_up().gone()
    clear(lab)
    refused(lab, ANNA, BOB, savp(sip.sdp(ANNA, 20000, extra=[k.line for k in bad])))


def harmless_parameters(lab):
    """a lifetime and a window size are taken"""
    c = SdesCall(lab, ANNA, BOB, a_keys=[Key(AES80, 1, tail="|2^31 WSH=128")]).up()
    equal(c.crypto(), (AES80, None), "crypto shown")
    c.hang_up().gone()


def bad_answers(lab):
    """an answer that chooses no key of ours: the callee is hung up on, the caller gets 488"""
    other_tag, mki = Key(AES80, tag=3), Key(AES80, tag=1, tail="|1:4")
    for keys, prof in (([], "RTP/SAVP"), ([], "RTP/AVP"), ([other_tag], "RTP/SAVP"),
                       ([mki], "RTP/SAVP")):
        c = SdesCall(lab, ALICE, BEA, b_keys=keys, b_profile=prof).ring()
        c.b.reply(c.b.invite, 200, c.b_sdp)
        final = c.a.expect("final")
        c.a.ack(final)
        equal(final.code, 488, f"final answer: {[k.line for k in keys]}")
        c.b.expect("ACK")
        c.b.expect_bye()
        clear(lab)


def early_media(lab):
    """183 with a key, 200 of another fork with another: the last one counts"""
    c = SdesCall(lab, ALICE, BEA, b_keys=[Key(AES80)]).ring()
    c.b.reply(c.b.invite, 183, c.b_sdp)
    c.a.expect(183)
    equal(c.crypto(), (None, AES80), "crypto shown while it rings")
    c.b_keys = [Key(GCM128, tag=3)]
    c.b_sdp = c.write("b")
    c.answer()
    equal(c.crypto(), (None, GCM128), "crypto shown")
    c.hang_up().gone()


def next_target_has_other_keys(lab):
    """what was offered to one callee is not offered to the next"""
    told = []
    for _ in range(2):
        c = SdesCall(lab, ALICE, BEA, b_keys=[Key()]).up()
        told += c.told_b
        c.hang_up().gone()
        clear(lab)
    equal(len({k.key for k in told}), 8, "keys of two calls, no two alike")


def rekeyed_by_the_caller(lab):
    """a re-INVITE with new keys alone: answered here with the key that we have, b hears nothing"""
    c = SdesCall(lab, ANNA, BEA, a_keys=[Key(AES80)], b_keys=[Key(AES80)]).up()
    before = c.told_a[0]
    answer = c.a.offer(c.write("a", [Key(AES80, tag=5)], version=2)).sdp
    equal([(k.tag, k.suite, k.key) for k in keys_of(answer)], [(5, AES80, before.key)], "answer")
    answer = c.a.offer(c.write("a", [Key(GCM256, tag=6)], version=3)).sdp
    equal([(k.tag, k.suite) for k in keys_of(answer)], [(6, GCM256)], "answer to another suite")
    c.b.none("INVITE", seconds=0.3)
    equal(c.crypto(), (GCM256, AES80), "crypto shown")
    c.hang_up().gone()


def rekeyed_by_the_callee(lab):
    """the same by the callee, who was offered all suites before"""
    c = SdesCall(lab, ALICE, BEA, b_keys=[Key(AES32, tag=2)]).up()
    told = {k.suite: k.key for k in c.told_b}
    answer = c.b.offer(c.write("b", [Key(AES32, tag=1)], version=2)).sdp
    equal([(k.tag, k.key) for k in keys_of(answer)], [(1, told[AES32])], "answer")
    answer = c.b.offer(c.write("b", [Key(AES80, tag=1)], version=3)).sdp
    equal([(k.tag, k.key) for k in keys_of(answer)], [(1, told[AES80])], "answer")
    c.a.none("INVITE", seconds=0.3)
    c.hang_up().gone()


def refreshed_by_the_callee(lab):
    """the callee, who was offered all suites, offers what is in force: the answer has the one"""
    c = SdesCall(lab, ALICE, BEA, b_keys=[Key(AES32, tag=2)]).up()
    told = {k.suite: k.key for k in c.told_b}
    for _ in range(2):
        answer = c.b.offer(c.b_sdp).sdp
        equal([(k.tag, k.key) for k in keys_of(answer)], [(2, told[AES32])], "answer")
    c.a.none("INVITE", seconds=0.3)
    c.hang_up().gone()


def hold_keeps_keys(lab):
    """hold and resume pass; the other leg is re-INVITEd with the key that it has"""
    c = SdesCall(lab, ANNA, BEA, a_keys=[Key(AES80)], b_keys=[Key(AES32, tag=2)]).up()
    kept = c.told_b[1]
    for number, direction in enumerate(("sendonly", "sendrecv")):
        version = 2 + number
        c.a.reinvite(c.write("a", direction=direction, version=version))
        offer = c.b.expect("INVITE")
        equal([(k.suite, k.key) for k in keys_of(offer.sdp)], [(AES32, kept.key)], "offer to b")
        equal((profile(offer.sdp), offer.sdp.direction()), ("RTP/SAVP", direction), "offer to b")
        reversed_ = {"sendonly": "recvonly"}.get(direction, direction)
        c.b.reply(offer, 200, c.write("b", direction=reversed_, version=version))
        answer = c.a.expect("final")
        c.a.ack(answer)
        equal(answer.code, 200, "answer to the hold")
        equal(keys_of(answer.sdp), c.told_a, "key told a")
        c.b.expect("ACK")
    equal(c.crypto(), (AES80, AES32), "crypto shown")
    c.hang_up().gone()


def refused_reinvite(lab):
    """a re-INVITE without a key is 488, and what was in force stays so"""
    c = SdesCall(lab, ANNA, BOB, a_keys=[Key(AES80)]).up()
    c.a.reinvite(c.write("a", [], version=2, direction="sendonly"))
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer to the re-INVITE")
    c.b.none("INVITE")
    equal(c.crypto(), (AES80, None), "crypto shown")
    c.hang_up().gone()


def late_offer(lab):
    """an INVITE without an offer: the answer in the ACK chooses among our keys"""
    a, b = phone(lab, ANNA), phone(lab, BOB)
    a_end, b_end = lab.end(ANNA), lab.end(BOB)
    d = a.call(lab.number("7"), None)
    i = b.incoming()
    i.reply(i.invite, 200, sip.sdp(BOB, b_end.port))
    answer = d.expect(200)
    equal([k.suite for k in keys_of(answer.sdp)], SUITES, "keys offered in the 200")
    equal(profile(answer.sdp), "RTP/SAVP", "profile offered")
    d.ack(answer, savp(sip.sdp(ANNA, a_end.port, extra=[Key(GCM128, tag=3).line])))
    ack = i.expect("ACK")
    equal((profile(ack.sdp), keys_of(ack.sdp)), ("RTP/AVP", []), "answer to the callee")
    tap.wait_for(lambda: lab.calls()[0]["a"]["crypto"] == GCM128, 3, "crypto shown")
    d.bye()
    i.expect_bye()


TESTS = (secure_to_plain, plain_to_secure, secure_to_secure, optional_offers, optional_accepts,
         optional_without_tls, over_any, refused_by_peer, refused_lines, lines_of_others,
         lines_of_nobody, harmless_parameters, bad_answers, early_media,
         next_target_has_other_keys, rekeyed_by_the_caller, rekeyed_by_the_callee,
         refreshed_by_the_callee, hold_keeps_keys, refused_reinvite, late_offer)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
