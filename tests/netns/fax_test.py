#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""T.38 (m=image udptl t38): in place of the audio, beside it and alone, passed as it is; and media
whose keys are the far ends' own (SRTP, DTLS), with what RFC 7983 lets travel beside it."""

import tap
from lab import CALLEE, CALLER, config, nothing_left, running
from lines import (CRYPTO, CRYPTO_B, FIRST_BYTES, T38, Lines, Raw, audio, fax, rtp_ends, told, used,
                   whole)
from netns import text
from tap import check, equal, wait_for


def make():
    return running(lambda lab: config(lab, general={"rtptimeout": "3"}))


def raws(lab):
    return Raw(lab, CALLER), Raw(lab, CALLEE)


def both_ways(c, a, b, index, datagrams):
    """Each of them crosses the line at that place, in both directions."""
    for name, data in datagrams.items():
        b.hears(data, a, c.to_a.rtp(index), c.to_b.rtp(index), f"{name} from the caller")
        a.hears(data, b, c.to_b.rtp(index), c.to_a.rtp(index), f"{name} from the callee")


def talk(c, ends, index=0):
    a, b = ends
    for end in ends:
        end.rtp.forget()
        end.rtcp.forget()
    a.start(c.to_a.rtp(index))
    b.start(c.to_b.rtp(index))
    wait_for(lambda: min(len(a.rtp.got), len(b.rtp.got)) >= 10, 5, "packets of the audio")
    whole(a, b, c.to_a.rtp(index), c.to_b.rtp(index), "audio")


def faxed(c, a, b, index):
    """What passes there is a fax, and shown as such."""
    a.reaches(b, c.to_a.rtp(index))
    b.reaches(a, c.to_b.rtp(index))
    both_ways(c, a, b, index, FIRST_BYTES)
    relays = [c.to_a.rtp(index), c.to_b.rtp(index)]
    flows = c.flows(relays)
    equal([(f["kind"], f["opaque"]) for f in flows], [("rtp", True)] * 2, "flows of the fax")
    for side in "ab":
        stream = next(s for s in c.show()[side]["streams"] if s["index"] == index)
        equal((stream["kind"], stream["opaque"], stream["lost"], stream["jitter_ms"]),
              ("image", True, 0, 0), f"stream of {side}")
        check(stream["rx_packets"] >= len(FIRST_BYTES), "packets counted:", stream)
    equal(c.show()["reason"] in ("T38", "REALM"), True, "reason")


def in_place_of_the_audio(lab, side, other):
    sound, (a, b) = rtp_ends(lab, 0), raws(lab)
    port = {"a": a.port, "b": b.port}
    c = Lines(lab).ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    talk(c, sound)
    relays = c.to_a.rtp(), c.to_b.rtp()
    c.offer(side, [fax(port[side])], [fax(port[other])])
    for description in (c.to_a, c.to_b):
        equal(told(description), [("image", True)], "lines told")
        equal(description.m()[2:], ("udptl", ["t38"]), "how")
        equal(["a=" + x for x in description.attributes()], T38, "its attributes")
    equal((c.to_a.rtp(), c.to_b.rtp()), relays, "the ports stay")
    faxed(c, a, b, 0)
    before = lab.drops()["not_rtp"]
    ends = {"a": (sound[0].port, sound[1].port), "b": (sound[1].port, sound[0].port)}[other]
    c.offer(other, [audio(ends[0])], [audio(ends[1])])
    talk(c, sound)
    equal(len(c.flows(relays)), 4, "flows of the audio")
    # Where RTP is due, nothing else passes.
    sound[0].tx[0].sendto(FIRST_BYTES["UDPTL"], c.to_a.rtp())
    wait_for(lambda: lab.drops()["not_rtp"] == before + 1, 3, "a fax refused where RTP is due")
    c.hang_up()


def asked_by_caller(lab):
    """the caller turns the audio into a fax, the callee turns it back"""
    in_place_of_the_audio(lab, "a", "b")


def asked_by_callee(lab):
    """the same, the other way round"""
    in_place_of_the_audio(lab, "b", "a")


def as_the_first_offer(lab):
    """an INVITE that offers nothing but a fax"""
    a, b = raws(lab)
    c = Lines(lab).ring([fax(a.port)])
    equal(told(c.to_b), [("image", True)], "told to the callee")
    c.answer([fax(b.port)])
    faxed(c, a, b, 0)
    equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
    c.hang_up()


def in_a_line_of_its_own(lab):
    """audio with port 0 and a second line for the fax, and back: the figures shown stay those of
    the audio, and the fax keeps the call alive"""
    sound, (a, b) = rtp_ends(lab, 0), raws(lab)
    c = Lines(lab).ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    talk(c, sound)
    shown = c.show()["a"]["rx_packets"]
    c.offer("b", [audio(0), fax(b.port)], [audio(0), fax(a.port)])
    equal((told(c.to_a), told(c.to_b)), ([("audio", False), ("image", True)],) * 2, "lines told")
    faxed(c, a, b, 1)
    equal(c.show()["a"]["rx_packets"], shown, "packets of the audio")
    tick = iter(range(1000))
    wait_for(lambda: a.hears(b"\0\1\0%d" % next(tick), b, c.to_b.rtp(1), c.to_a.rtp(1), "a tick")
             or c.show()["a"]["last_rx_s"] > 4, 15, "silence of the audio beyond its timeout")
    c.offer("a", [audio(sound[0].port), fax(0)], [audio(sound[1].port), fax(0)])
    talk(c, sound)
    equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
    c.hang_up()


def silent_fax_ends(lab):
    """rtptimeout counts for a fax"""
    a, b = raws(lab)
    c = Lines(lab).ring([fax(a.port)]).answer([fax(b.port)])
    c.a.expect("BYE", 8)
    c.b.expect("BYE", 8)
    c.gone()


def refused_by_the_other(lab):
    """488 to the fax: so is the one who asked answered, and the audio goes on"""
    sound = rtp_ends(lab, 0)
    c = Lines(lab).ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    c.offer("a", [fax(4000)], code=488)
    talk(c, sound)
    c.offer("a", [audio(0), fax(4000)], code=488)
    talk(c, sound)
    equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
    c.hang_up()


def answered_with_audio(lab):
    """an answer of another kind than the offer is none: 488 to who asked"""
    sound = rtp_ends(lab, 0)
    c = Lines(lab).ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    c.offer("a", [fax(4000)], [audio(sound[1].port)], expected=488)
    c.hang_up()


def never_asked(lab):
    """canreinvite=no on the other leg: 488, and it hears nothing of it"""
    sound = rtp_ends(lab, 0)[0], lab.end("10.91.2.21")
    c = Lines(lab, "8", b_ip="10.91.2.21")
    c.ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    c.a.reinvite(c.sdp("a", [fax(4000)]))
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer to the fax")
    c.b.none("INVITE")
    talk(c, sound)
    c.hang_up()


def secured(lab, proto, a_extra, b_extra):
    """A call of one line of that profile; keys are at each leg those of the other."""
    a, b = raws(lab)
    c = Lines(lab).ring([audio(a.port, proto=proto, extra=a_extra)])
    equal(c.to_b.m()[2], proto, "profile offered")
    check(set(x[2:] for x in a_extra) <= set(c.to_b.attributes()), "keys offered:", c.to_b.text)
    c.answer([audio(b.port, proto=proto, extra=b_extra)])
    equal(c.to_a.m()[2], proto, "profile answered")
    check(set(x[2:] for x in b_extra) <= set(c.to_a.attributes()), "keys answered:", c.to_a.text)
    both_ways(c, a, b, 0, FIRST_BYTES)
    above = [(r[0], r[1] + 1) for r in (c.to_a.rtp(), c.to_b.rtp())]
    a2, b2 = Raw(lab, CALLER, a.port + 1), Raw(lab, CALLEE, b.port + 1)
    for name in ("SRTCP", "DTLS", "STUN"):
        b2.hears(FIRST_BYTES[name], a2, above[0], above[1], f"{name} beside it")
    flows = c.flows([c.to_a.rtp(), c.to_b.rtp()])
    equal(sorted((f["kind"], f["opaque"]) for f in flows),
          [("rtcp", True)] * 2 + [("rtp", True)] * 2, "flows")
    leg = c.show()["a"]
    equal((leg["rx_packets"], leg["lost"], leg["mos"]), (len(FIRST_BYTES), 0, None), "figures")
    c.hang_up()


def keys_in_the_description(lab):
    """RTP/SAVP with a=crypto: each leg gets the other's key, the media is passed unread"""
    secured(lab, "RTP/SAVP", [CRYPTO], [CRYPTO_B])
    lab.clear()
    secured(lab, "RTP/SAVPF", [CRYPTO], [CRYPTO_B])


def keys_by_dtls(lab):
    """UDP/TLS/RTP/SAVP with fingerprints, and ZRTP: agreed upon between the far ends"""
    hashes = [f"a=fingerprint:sha-256 {':'.join([x] * 32)}" for x in ("AB", "CD")]
    secured(lab, "UDP/TLS/RTP/SAVP", [hashes[0], "a=setup:actpass"], [hashes[1], "a=setup:active"])
    lab.clear()
    secured(lab, "UDP/TLS/RTP/SAVPF", [hashes[0], "a=setup:actpass", "a=tls-id:1"],
            [hashes[1], "a=setup:active", "a=tls-id:2"])
    lab.clear()
    secured(lab, "RTP/SAVP", ["a=zrtp-hash:1.10 " + "fe" * 32], ["a=zrtp-hash:1.10 " + "ab" * 32])


def profiles_differ(lab):
    """the callee takes another profile than it was offered: 488 to the caller"""
    for offered, answered in (("RTP/SAVP", "RTP/AVP"), ("RTP/AVP", "RTP/SAVP"),
                              ("UDP/TLS/RTP/SAVP", "RTP/SAVP")):
        c = Lines(lab).ring([audio(4000, proto=offered, extra=[CRYPTO])])
        c.b.reply(c.b.invite, 200, c.sdp("b", [audio(4002, proto=answered, extra=[CRYPTO_B])]))
        final = c.a.expect("final")
        c.a.ack(final)
        equal(final.code, 488, f"{answered} in answer to {offered}")
        c.b.expect("ACK")
        c.b.expect_bye()
        c.gone()
        lab.clear()


def secured_or_not(lab):
    """two lines to choose from, with keys and without: the callee's choice is the call's"""
    for chosen in (0, 1):
        (a, b), (x, _) = raws(lab), raws(lab)
        c = Lines(lab).ring([audio(a.port, proto="RTP/SAVP", extra=[CRYPTO]), audio(x.port)])
        equal(told(c.to_b), [("audio", True)] * 2, "lines told")
        if chosen == 0:
            c.answer([audio(b.port, proto="RTP/SAVP", extra=[CRYPTO_B]), audio(0)])
            both_ways(c, a, b, 0, FIRST_BYTES)
        else:
            c.answer([audio(0, proto="RTP/SAVP"), audio(b.port)])
            both_ways(c, x, b, 1, {"RTP": FIRST_BYTES["SRTP"]})
        wait_for(lambda: used(lab) == {"inside": 2, "outside": 2}, 3, "the other line's ports free")
        leg = c.show()["b"]
        equal(leg["signalled"], text((CALLEE, b.port)), "signalled")
        c.hang_up()
        lab.clear()


TESTS = [asked_by_caller, asked_by_callee, as_the_first_offer, in_a_line_of_its_own,
         silent_fax_ends, refused_by_the_other, answered_with_audio, never_asked,
         keys_in_the_description, keys_by_dtls, profiles_differ, secured_or_not]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
