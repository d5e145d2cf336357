#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfer, parking and pick-up between encrypted legs and plain ones: whoever is joined anew hears
the other under keys of that call alone; libsrtp2 is who hears."""
import sdes
import tap
from calls import INSIDE, OUTSIDE
from lab import nothing_left, running
from sdes import (AES32, AES80, ANNA, BEA, BOB, GCM128, OLGA, UMA, Key, SdesCall, between_tests,
                  clear)
from srtp import under, whole
from tap import check, equal, wait_for
from tune import Tune, hears, is_tune


def settings(lab):
    lab.house = Tune(f"{lab.dir}/house.wav")
    return sdes.settings(lab, inside={"moh": lab.house.path})


def make():
    return running(settings, addresses=5)


def talking(c):
    """Up; each phone encrypts as it has agreed to; what both say arrives."""
    for end, keys, told in ((c.a_rtp, c.a_keys, c.told_a), (c.b_rtp, c.b_keys, c.told_b)):
        if keys:
            under(end, keys[0], told)
    return whole(c)


def name_of(dialog, ours):
    """Of a dialog in Replaces: as the far end of it is to be told, or as we know it."""
    tags = (dialog.remote_tag, dialog.local_tag) if ours else (dialog.local_tag, dialog.remote_tag)
    return f"{dialog.call_id};to-tag={tags[0]};from-tag={tags[1]}"


def third_call(lab, phones, ips, number, headers=(), **keys):
    """Between phones that are in calls already."""
    c = SdesCall(lab, *ips, phones=phones, number=number, **keys)
    c.ring(headers).answer()
    return talking(c)


def over(lab, *calls):
    """The calls end as their callers hang up; no key of ours was told in two of them."""
    ours = [k.key for c in calls for k in c.told_a + c.told_b]
    equal(len(set(ours)), len(ours), "keys of ours, no two alike")
    for c in calls:
        c.hang_up()
    wait_for(lambda: not lab.calls() and not lab.flows(), 3, "nothing lives")


def refers(dialog, other, target):
    """REFER within that call: what it asks of the other phone."""
    dialog.request("REFER", headers=[("Refer-To", target)])
    refer = other.expect("REFER")
    other.reply(refer, 202, headers=[("Contact", other.contact)])
    equal(dialog.expect("final").code, 202, "answer to REFER")
    return refer.address("refer-to")


def attended(lab):
    """REFER with Replaces over two calls: from an encrypted phone to a plain one and back, each of
    which then calls the other"""
    for b_ip, c_ip, b_keys, c_keys in ((BOB, BEA, [], [Key(AES80)]),
                                       (BEA, BOB, [Key(GCM128, 3)], [])):
        one = talking(SdesCall(lab, ANNA, b_ip, [Key(AES80)], b_keys).up())
        two = SdesCall(lab, ANNA, c_ip, [Key(AES32)], c_keys,
                       phones=(one.a_phone, sdes.phone(lab, c_ip)))
        talking(two.up())
        escaped = name_of(two.a, True).replace("@", "%40").replace(";", "%3B").replace("=", "%3D")
        target = refers(one.a, one.b, f"<sip:{two.number}@{INSIDE}?Replaces={escaped}>")
        way = f"{OUTSIDE}:5061;transport=tls" if b_ip == BEA else f"{OUTSIDE}:5060"
        check(target.startswith(f"sip:{two.number}@{way}?"), "Refer-To:", target)
        new = Key(AES80, tag=6)
        three = third_call(lab, (one.b_phone, two.b_phone), (b_ip, c_ip), two.number,
                           [("Replaces", name_of(two.b, False))],
                           a_keys=[new] if b_keys else [], b_keys=[Key(AES80)] if c_keys else [])
        equal(three.crypto(), (AES80 if b_keys else None, AES80 if c_keys else None), "crypto")
        over(lab, three, two, one)
        clear(lab)


def blind(lab):
    """REFER of an encrypted phone by a plain one: over TLS it calls whom it is sent to"""
    one = talking(SdesCall(lab, ANNA, BOB, [Key(AES80)]).up())
    number = lab.number("5")
    target = refers(one.b, one.a, f"<sip:{number}@{OUTSIDE};transport=udp>")
    equal(target, f"sip:{number}@{INSIDE}:5061;transport=tls", "Refer-To")
    two = third_call(lab, (one.a_phone, sdes.phone(lab, BEA)), (ANNA, BEA), number,
                     a_keys=[Key(AES32, 2)], b_keys=[Key(AES80)])
    over(lab, two, one)


def replaced_over_tls(lab):
    """INVITE with Replaces of a phone that speaks TLS by its own choice: it gets it over TLS, and
    keys with it"""
    one = talking(SdesCall(lab, OLGA, BOB, [Key(AES80)], a_tls=True).up())
    two = third_call(lab, (sdes.phone(lab, BEA), one.a_phone), (BEA, OLGA), "u12",
                     [("Replaces", name_of(one.b, True))], a_keys=[Key(AES80)],
                     b_keys=[Key(AES32, 2)], b_profile="RTP/AVP")
    equal(two.crypto(), (AES80, AES32), "crypto shown")
    over(lab, two, one)


def parked(lab):
    """an encrypted phone that hears music is picked up by another: music under the one call's key,
    audio under the other's"""
    one = talking(SdesCall(lab, ANNA, BEA, [Key(AES80)], [Key(AES80)]).up())
    for end in (one.a_rtp, one.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()
    one.a.offer(one.write("a", version=2, direction="sendonly"))
    is_tune(hears(one.b_rtp, 40), lab.house, one.relay_b)
    two = third_call(lab, (sdes.phone(lab, UMA), one.b_phone), (UMA, BEA), one.number,
                     [("Replaces", name_of(one.a, True))], a_keys=[Key(AES32)],
                     b_keys=[Key(GCM128, 3)])
    equal(one.b_rtp.unheard, [], "music that does not decrypt")
    equal(two.crypto(), (AES32, GCM128), "crypto shown")
    over(lab, two, one)


TESTS = (attended, blind, replaced_over_tls, parked)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
