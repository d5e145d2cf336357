#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys before the answer: early media, PRACK and UPDATE with offers and answers, forks; libsrtp2 is
who hears."""

import sdes
import srtp
import tap
from lab import nothing_left, running
from prack_test import ALLOW, REL, accepted, answered, fork, prack, pracked, reliably
from sdes import (AES32, AES80, ALICE, ANNA, BEA, BEN, GCM128, GCM256, SUITES, Key, SdesCall,
                  between_tests, clear, keys_of)
from srtp import begin_anew, under, whole
from tap import check, equal

REL_7 = [("Require", "100rel"), ("RSeq", "7")]


def make():
    return running(sdes.settings, addresses=5)


def placed(lab, ips, a_keys=(), b_keys=(), offer=True, headers=REL, **kw):
    """A call up to the INVITE at the callee."""
    c = SdesCall(lab, *ips, a_keys, b_keys, **kw)
    c.a = c.a_phone.call(c.number, c.a_sdp if offer else None, headers=list(headers) + ALLOW)
    c.a.expect(100)
    c.b = c.b_phone.incoming(c.number)
    c.b_offer = c.b.invite.sdp
    c.relay_b = c.b_offer.rtp() if offer else None
    return c


def early(c, response):
    """What the caller is told before the answer."""
    c.a_answer, c.relay_a = response.sdp, response.sdp.rtp()
    if c.a_keys:
        under(c.a_rtp, c.a_keys[0], c.told_a)
    return c


def settled(lab, ips=(ANNA, BEA)):
    """Both legs encrypted, the answer in a reliable 183 that both PRACK."""
    c = placed(lab, ips, [Key(AES80, tag=7)], [Key(AES32, tag=2)])
    reliably(c, 183, c.b_sdp)
    pracked(c)
    response = c.a.expect(183)
    early(c, response)
    under(c.b_rtp, c.b_keys[0], c.told_b)
    prack(c, response)
    accepted(c, "PRACK")
    return c


def answer_in_183(lab):
    """a reliable 183 with the answer, PRACK on both legs: early media under the keys of both, and
    the same after a 200 without a description"""
    c = whole(settled(lab))
    equal([(k.tag, k.suite) for k in c.told_a], [(7, AES80)], "key told in the 183")
    equal(c.crypto(), (AES80, AES32), "crypto shown")
    equal(answered(c).body, b"", "body of the 200")
    equal(c.crypto(), (AES80, AES32), "crypto shown after the answer")
    whole(c).hang_up().gone()


def offer_in_183(lab):
    """INVITE without an offer: the keys of both legs are offered in the 183 and chosen in PRACK"""
    c = placed(lab, (ANNA, BEA), offer=False)
    b_keys = [Key(AES80, 5), Key(GCM256, 6)]
    c.b_keys, c.b_profile = b_keys[:1], "RTP/SAVP"
    reliably(c, 183, c.write("b", b_keys))
    response = c.a.expect(183)
    c.a_answer, c.relay_a = response.sdp, response.sdp.rtp()
    equal([(k.tag, k.suite) for k in c.told_a], list(enumerate(SUITES, 1)), "keys in the 183")
    c.a_keys, c.a_profile = [Key(GCM128, tag=3)], "RTP/SAVP"
    prack(c, response, c.write("a"))
    accepted(c, "PRACK")
    c.b_offer = pracked(c).sdp
    c.relay_b = c.b_offer.rtp()
    equal([(k.tag, k.suite) for k in c.told_b], [(5, AES80)], "key told the callee in PRACK")
    under(c.a_rtp, c.a_keys[0], c.told_a)
    under(c.b_rtp, b_keys[0], c.told_b)
    whole(c)
    equal(answered(c).body, b"", "body of the 200")
    whole(c).hang_up().gone()


def offer_in_prack(lab):
    """new keys in the PRACK: answered in its 200 with the key of ours that the caller has, the
    callee hears nothing of it"""
    c = placed(lab, (ANNA, BEA), [Key(AES80, tag=7)], [Key(AES32, tag=2)])
    reliably(c, 183, c.b_sdp)
    pracked(c)
    response = c.a.expect(183)
    early(c, response)
    under(c.b_rtp, c.b_keys[0], c.told_b)
    before, new = c.told_a[0], Key(AES80, tag=8)
    prack(c, response, c.write("a", [new], version=2))
    told = keys_of(accepted(c, "PRACK").sdp)
    equal([(k.tag, k.key) for k in told], [(8, before.key)], "answer to the offer in PRACK")
    c.a_rtp.rekey(new)
    c.b.none("UPDATE", seconds=0.2)
    answered(c)
    whole(c).hang_up().gone()


def early_update(lab):
    """new keys by UPDATE before the answer, by the same suite and by another, from either side: the
    other leg hears nothing of it"""
    for side, key in (("a", Key(AES80, 1)), ("a", Key(GCM256, 2)), ("b", Key(AES32, 1)),
                      ("b", Key(GCM128, 9))):
        c = settled(lab)
        me, end = (c.a, c.a_rtp) if side == "a" else (c.b, c.b_rtp)
        told = c.told_a if side == "a" else c.told_b
        me.request("UPDATE", c.write(side, [key], version=2))
        answer = me.expect("final")
        equal((answer.code, answer.cseq[1]), (200, "UPDATE"), "answer to the UPDATE")
        ours = keys_of(answer.sdp)
        equal([(k.tag, k.suite) for k in ours], [(key.tag, key.suite)], "key in the answer")
        check(ours[0].key in [k.key for k in told] or side == "a", "the key told before")
        srtp.encrypt(end, key, ours[0])
        (c.b if side == "a" else c.a).none("UPDATE", seconds=0.1)
        whole(c)
        answered(c)
        whole(c).hang_up().gone()
        clear(lab)


def refused_update(lab):
    """UPDATE without a key that can be served is 488, before the answer and after; keys stay"""
    c = settled(lab)
    for version, answer in ((2, True), (3, False)):
        for me, side in ((c.a, "a"), (c.b, "b")):
            me.request("UPDATE", c.write(side, [Key(tail="|1:4")], version=version))
            final = me.expect("final")
            equal((final.code, final.cseq[1]), (488, "UPDATE"), f"answer to {side}")
        whole(c)
        if answer:
            answered(c)
    c.hang_up().gone()


def early_forks(lab, winner, reliable):
    """Two forks by different suites; what each says before the answer is heard."""
    keys = [Key(AES80, tag=1), Key(GCM128, tag=3)]
    c = placed(lab, (ALICE, BEA), b_keys=keys[:1])
    ours = c.told_b
    dialogs, texts = [c.b, fork(c)], [c.write("b", [key]) for key in keys]
    sessions = []
    for number, (dialog, text, key) in enumerate(zip(dialogs, texts, keys)):
        headers = [("Require", "100rel"), ("RSeq", "10")] if reliable else []
        dialog.reply(c.b.invite, 183, text, headers=headers)
        if reliable:
            equal(pracked(c, 10).tag("to"), dialog.local_tag, "fork of the PRACK")
        response = c.a.expect(183, repeats=True)
        if not number or not reliable:
            early(c, response)
        if reliable:
            prack(c, response)
            accepted(c, "PRACK")
        equal(c.crypto(), (None, key.suite), "crypto shown")
        under(c.b_rtp, key, ours)
        sessions.append((c.b_rtp.sends, c.b_rtp.hears))
        begin_anew(c)
        c.b_rtp.start(c.relay_b, c.b_offer.rtcp())
        tap.wait_for(lambda: len(c.a_rtp.rtp.got) >= 10, 5, f"early media of fork {number}")
        if not number:
            whole(c)
    # Each goes on where it was: no index of its own comes twice, and none of ours must.
    c.b = dialogs[winner]
    c.b_rtp.sends, c.b_rtp.hears = sessions[winner]
    final = answered(c, None if reliable else texts[winner])
    if not reliable:
        c.a_answer, c.relay_a = final.sdp, final.sdp.rtp()
    equal(c.crypto(), (None, keys[winner].suite), "crypto shown after the answer")
    whole(c).hang_up().gone()


def forks_of_other_suites(lab):
    """two forks by different suites: each is heard, either may answer, with its description again
    or, where that came reliably, without"""
    for reliable in (False, True):
        for winner in (0, 1):
            early_forks(lab, winner, reliable)
            clear(lab)


def plain_fork(lab):
    """encryption = optional: a fork in the clear and one with keys, either answers"""
    for winner in (0, 1):
        key = Key(AES80, tag=1)
        c = placed(lab, (ALICE, BEN), b_profile="RTP/AVP", headers=[])
        ours = c.told_b
        dialogs, texts = [c.b, fork(c)], [c.write("b", []), c.write("b", [key])]
        for dialog, text in zip(dialogs, texts):
            dialog.reply(c.b.invite, 183, text)
            early(c, c.a.expect(183, repeats=True))
        c.b = dialogs[winner]
        final = answered(c, texts[winner])
        c.a_answer, c.relay_a = final.sdp, final.sdp.rtp()
        equal(c.crypto(), (None, AES80 if winner else None), "crypto shown")
        if winner:
            under(c.b_rtp, key, ours)
        whole(c).hang_up().gone()
        clear(lab)


def last_heard_is_not_last_described(lab):
    """two reliable forks, a 180 of the first behind the second's answer, a 200 of the first without
    a description: the first one's keys"""
    keys = [Key(AES80, tag=1), Key(AES80, tag=1)]
    c = placed(lab, (ALICE, BEA), b_keys=keys[:1])
    ours, dialogs = c.told_b, [c.b, fork(c)]
    texts = [c.write("b", [key]) for key in keys]
    texts[1] = texts[1].replace(f"m=audio {c.b_rtp.port}", "m=audio 40000")
    for dialog, key, text in zip(dialogs, keys, texts):
        dialog.reply(c.b.invite, 183, text, headers=[("Require", "100rel"), ("RSeq", "10")])
        pracked(c, 10)
        response = c.a.expect(183, repeats=True)
        if key is keys[0]:
            early(c, response)
        prack(c, response)
        accepted(c, "PRACK")
    c.b = dialogs[0]
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    answered(c)
    under(c.b_rtp, keys[0], ours)
    whole(c).hang_up().gone()


def update_of(c, dialog, key, told):
    """That fork, which was heard last, changes its key by UPDATE."""
    dialog.request("UPDATE", c.write("b", [key], version=2))
    answer = dialog.expect("final")
    equal((answer.code, answer.cseq[1]), (200, "UPDATE"), "answer to the UPDATE")
    equal([(k.tag, k.suite) for k in keys_of(answer.sdp)], [(key.tag, told)], "key told the fork")


def fork_says(c, dialog, key, first):
    """Its reliable 183 with that key; no key is taken from the caller, who has none."""
    dialog.reply(c.b.invite, 183, c.write("b", [key]), headers=REL_7 + ALLOW)
    equal(pracked(c, 7).tag("to"), dialog.local_tag, "fork of the PRACK")
    response = c.a.expect(183, repeats=True)
    if first:
        early(c, response)
    prack(c, response)
    accepted(c, "PRACK")
    equal(c.crypto(), (None, key.suite), "crypto shown")


def fork_after_update(lab):
    """a fork answers the INVITE's offer, whatever another one was told since by UPDATE"""
    for winner in (0, 1):
        keys = [Key(AES80, tag=1), Key(GCM128, tag=3)]
        c = placed(lab, (ALICE, BEA), b_keys=keys[:1])
        ours, dialogs = c.told_b, [c.b, fork(c)]
        fork_says(c, dialogs[0], keys[0], True)
        keys[0] = Key(AES80, tag=9)
        update_of(c, dialogs[0], keys[0], AES80)
        fork_says(c, dialogs[1], keys[1], False)
        c.b = dialogs[winner]
        answered(c)
        equal(c.crypto(), (None, keys[winner].suite), "crypto shown after the answer")
        under(c.b_rtp, keys[winner], ours)
        whole(c).hang_up().gone()
        clear(lab)


def update_among_forks(lab):
    """a fork changes its suite by UPDATE: that of another one is not spent before the answer"""
    for winner in (0, 1):
        keys = [Key(AES80, tag=1), Key(GCM128, tag=3)]
        c = placed(lab, (ALICE, BEA), b_keys=keys[:1])
        ours, dialogs = c.told_b, [c.b, fork(c)]
        for dialog, key in zip(dialogs, keys):
            fork_says(c, dialog, key, key is keys[0])
        keys[1] = Key(GCM256, tag=5)
        update_of(c, dialogs[1], keys[1], GCM256)
        c.b = dialogs[winner]
        answered(c)
        equal(c.crypto(), (None, keys[winner].suite), "crypto shown after the answer")
        under(c.b_rtp, keys[winner], ours)
        whole(c).hang_up().gone()
        clear(lab)


def corrected_caller(lab):
    """another fork than the one that the caller was told of reliably answers: the UPDATE that tells
    the caller has the key and the tag it knows, and its own new key in the answer is taken"""
    key, new, b_key = Key(AES80, tag=7), Key(AES80, tag=7), Key(AES80, tag=1)
    c = placed(lab, (ANNA, BEA), [key], [b_key])
    reliably(c, 183, c.b_sdp)
    pracked(c)
    response = c.a.expect(183)
    early(c, response)
    prack(c, response)
    accepted(c, "PRACK")
    ours, c.b = c.told_b, fork(c)
    answered(c, c.write("b", codecs=((8, "PCMA/8000"),)))
    update = c.a.expect("UPDATE")
    equal(keys_of(update.sdp), c.told_a, "keys told in the UPDATE")
    equal([k.tag for k in keys_of(update.sdp)], [7], "tag told in the UPDATE")
    c.a.reply(update, 200, c.write("a", [new], codecs=((8, "PCMA/8000"),), version=2))
    c.a_rtp.rekey(new)
    under(c.b_rtp, b_key, ours)
    c.a_rtp.pt = c.b_rtp.pt = 8
    whole(c).hang_up().gone()


TESTS = (answer_in_183, offer_in_183, offer_in_prack, early_update, refused_update,
         forks_of_other_suites, plain_fork, last_heard_is_not_last_described, fork_after_update,
         update_among_forks, corrected_caller)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
