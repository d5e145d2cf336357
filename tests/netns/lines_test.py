#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several m= lines in a call: each with ports and flows of its own, added, disabled and enabled
again by either side, and no port lost by any of it."""
import random

import tap
from lab import INSIDE, OUTSIDE, config, nothing_left, running
from lines import Lines, audio, rtp_ends, told, used, video, whole
from netns import text
from tap import check, equal, wait_for

BOTH, ONE = [("audio", True), ("video", True)], [("audio", True), ("video", False)]


def make():
    return running()


def seen(lab, lines=2):
    """A call of audio and video, both talked through; its ends."""
    sound, sight = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab).ring([audio(sound[0].port), video(sight[0].port)])
    c.answer([audio(sound[1].port), video(sight[1].port)])
    return c, sound, sight


def talk(c, ends, index, packets=20):
    """Both directions of the line at that place."""
    a, b = ends
    for end in ends:
        end.rtp.forget()
        end.rtcp.forget()
    a.start(c.to_a.rtp(index), c.to_a.rtcp(index))
    b.start(c.to_b.rtp(index), c.to_b.rtcp(index))
    wait_for(lambda: min(len(a.rtp.got), len(b.rtp.got)) >= packets, 5, "packets of the line")
    whole(a, b, c.to_a.rtp(index), c.to_b.rtp(index), f"line {index}")


def audio_and_video(lab):
    """both are relayed, each by its own ports; the figures of the call are those of the audio"""
    c, sound, sight = seen(lab)
    equal((told(c.to_b), told(c.to_a)), (BOTH, BOTH), "lines told")
    relays = [d.rtp(i) for d in (c.to_a, c.to_b) for i in (0, 1)]
    equal(len(set(relays)), 4, "relay addresses")
    equal({r[0] for r in relays[:2]} | {r[0] for r in relays[2:]}, {INSIDE, OUTSIDE}, "relays")
    equal(c.to_b.m(1)[2:], ("RTP/AVP", ["97"]), "video offered")
    equal(c.to_b.attributes(1), ["rtpmap:97 H264/90000", "sendrecv"], "its attributes")
    talk(c, sound, 0)
    talk(c, sight, 1, 30)
    flows = c.flows(relays)
    equal(sorted(f["kind"] for f in flows), ["rtcp"] * 4 + ["rtp"] * 4, "flows")
    equal({f["call"] for f in flows}, {c.show()["id"]}, "whose they are")
    equal(used(lab), {"inside": 4, "outside": 4}, "ports used")
    for side, sender, index in (("a", sound[0], 0), ("b", sound[1], 0), ("a", sight[0], 1),
                                ("b", sight[1], 1)):
        leg = c.show()[side]
        stream = leg["streams"][index]
        equal((stream["index"], stream["kind"], stream["opaque"], stream["rx_packets"]),
              (index, ("audio", "video")[index], False, len(sender.rtp.sent)), f"stream of {side}")
        equal(stream["signalled"], text((sender.ip, sender.port)), "signalled")
        equal(stream["relay"], text((c.to_a if side == "a" else c.to_b).rtp(index)), "relay")
        if index == 0:
            equal((leg["rx_packets"], leg["relay"]), (stream["rx_packets"], stream["relay"]),
                  "the leg's own figures")
    c.hang_up()


def places_are_kept(lab):
    """video before audio, of which the callee takes only the audio, at its place"""
    (a, b), (v, _) = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab).ring([video(v.port), audio(a.port)])
    equal(told(c.to_b), [("video", True), ("audio", True)], "told to the callee")
    c.answer([["m=video 0 RTP/AVP 97"], audio(b.port)])
    equal(told(c.to_a), [("video", False), ("audio", True)], "told to the caller")
    equal(used(lab), {"inside": 2, "outside": 2}, "ports once the video is refused")
    talk(c, (a, b), 1)
    equal([s["index"] for s in c.show()["a"]["streams"]], [1], "streams")
    c.hang_up()


def added_by_either(lab, side, other):
    sound, sight = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab).ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    at = {"a": 0, "b": 1}
    talk(c, sound, 0)
    before = c.to_a.rtp(0), c.to_b.rtp(0)

    def lines(who, port=None):
        n = at[who]
        return [audio(sound[n].port), video(sight[n].port if port is None else port)]
    c.offer(side, lines(side), lines(other))
    equal((told(c.to_a), told(c.to_b)), (BOTH, BOTH), "lines told after it was added")
    equal((c.to_a.rtp(0), c.to_b.rtp(0)), before, "the audio's relay")
    talk(c, sight, 1)
    talk(c, sound, 0)
    # Disabled by the other one, enabled by the first again.
    c.offer(other, lines(other, 0), lines(side, 0))
    equal((told(c.to_a), told(c.to_b)), (ONE, ONE), "lines told after it was disabled")
    equal(used(lab), {"inside": 2, "outside": 2}, "ports used then")
    talk(c, sound, 0)
    c.offer(side, lines(side), lines(other))
    equal((told(c.to_a), told(c.to_b)), (BOTH, BOTH), "lines told after it was enabled")
    talk(c, sight, 1)
    c.hang_up()


def added_by_caller(lab):
    """a line added by the caller, disabled by the callee, enabled by the caller"""
    added_by_either(lab, "a", "b")


def added_by_callee(lab):
    """the same, the other way round"""
    added_by_either(lab, "b", "a")


def refused_offer_leaves_no_port(lab):
    """the other leg refuses the offer (488), or the line alone: the audio goes on, and what was
    leased for the line is given back"""
    sound, sight = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab).ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    final = c.offer("a", [audio(sound[0].port), video(sight[0].port)], code=488, expected=200)
    equal(told(final.sdp), ONE, "answered without the other leg")
    equal(used(lab), {"inside": 2, "outside": 2}, "ports after 488")
    c.offer("a", [audio(sound[0].port), video(sight[0].port, extra=["a=x"])],
            [audio(sound[1].port), ["m=video 0 RTP/AVP 97"]])
    equal((told(c.to_a), told(c.to_b)), (ONE, BOTH), "lines told")
    equal(used(lab), {"inside": 2, "outside": 2}, "ports after port 0")
    talk(c, sound, 0)
    c.hang_up()


def never_asked(lab):
    """canreinvite=no on the other leg: the line is refused with port 0, nobody is asked, no port
    is taken"""
    sound = rtp_ends(lab, 0)[0], lab.end("10.91.2.21")
    c = Lines(lab, "8", b_ip="10.91.2.21")
    c.ring([audio(sound[0].port)]).answer([audio(sound[1].port)])
    final = c.offer("a", [audio(sound[0].port), video(4000)])
    equal(told(final.sdp), ONE, "answer")
    c.b.none("INVITE")
    equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
    talk(c, sound, 0)
    c.hang_up()


def hold_of_both(lab):
    """each line holds by its own direction"""
    sound, sight = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab).ring([audio(sound[0].port), video(sight[0].port)])
    c.answer([audio(sound[1].port), video(sight[1].port)])
    c.offer("a", [audio(sound[0].port, extra=["a=sendonly"]),
                  video(sight[0].port, extra=["a=inactive"])],
            [audio(sound[1].port, extra=["a=recvonly"]),
             video(sight[1].port, extra=["a=inactive"])])
    equal([c.to_b.direction(i) for i in (0, 1)], ["sendonly", "inactive"], "told to the callee")
    equal([c.to_a.direction(i) for i in (0, 1)], ["recvonly", "inactive"], "told to the caller")
    c.offer("a", [audio(sound[0].port), video(sight[0].port)],
            [audio(sound[1].port), video(sight[1].port)])
    talk(c, sound, 0)
    talk(c, sight, 1)
    c.hang_up()


def five_lines(lab):
    """four are relayed, the fifth has port 0"""
    ends = [rtp_ends(lab, 0) for _ in range(5)]
    c = Lines(lab).ring([audio(a.port) for a, _ in ends])
    equal(told(c.to_b), [("audio", True)] * 4, "told to the callee")
    c.answer([audio(b.port) for _, b in ends[:4]])
    equal(told(c.to_a), [("audio", True)] * 4 + [("audio", False)], "told to the caller")
    for index, pair in enumerate(ends[:4]):
        talk(c, pair, index, 10)
    equal(used(lab), {"inside": 8, "outside": 8}, "ports used")
    c.hang_up()


def no_ports_left(lab):
    """a second line for which no port is left has port 0, and the call lives"""
    lab.stop()
    lab.detached()
    lab.start(config(lab, outside={"ports": "10000-10001"}))
    sound, sight = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab).ring([audio(sound[0].port), video(sight[0].port)])
    equal(told(c.to_b), [("audio", True)], "told to the callee")
    c.answer([audio(sound[1].port)])
    equal(told(c.to_a), ONE, "told to the caller")
    equal(used(lab), {"inside": 2, "outside": 2}, "ports used")
    talk(c, sound, 0)
    c.hang_up()
    lab.stop()
    lab.detached()
    lab.start(config(lab))


def second_target(lab):
    """the lines of the first target are those of the next"""
    sound, sight = rtp_ends(lab, 0), rtp_ends(lab, 97)
    c = Lines(lab, "3").ring([audio(sound[0].port), video(sight[0].port)])
    c.b.reply(c.b.invite, 603)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 603, "refused")
    c.gone()


LINES = {"audio": audio, "video": video}


def random_changes(lab):
    """200 calls whose lines come and go at random, refused now and then: no port and no flow stays
    behind"""
    draw = random.Random(7983)
    for n in range(200):
        c = Lines(lab)
        kinds = [draw.choice(("audio", "video")) for _ in range(draw.randint(1, 6))]
        kinds[draw.randrange(len(kinds))] = "audio"

        def some(offered=None):
            """Each line with a port or without; at least one audio that was offered with one."""
            ports = [draw.choice((0, 5000 + 2 * i)) if offered is None or offered[i] else 0
                     for i in range(len(kinds))]
            able = [i for i, kind in enumerate(kinds)
                    if kind == "audio" and (offered is None or offered[i])]
            ports[able[0]] = 5000 + 2 * able[0]
            return [LINES[kind](port) for kind, port in zip(kinds, ports)]

        def offered(description):
            ports = [on for _, on in told(description)]
            return ports + [False] * (len(kinds) - len(ports))
        c.ring(some())
        if not any(on and kind == "audio" for on, kind in zip(offered(c.to_b), kinds)):
            c.b.reply(c.b.invite, 488)
            c.b.expect("ACK")
            c.a.ack(c.a.expect("final"))
            continue
        c.answer(some(offered(c.to_b)))
        for _ in range(draw.randint(0, 3)):
            side, other = draw.choice(("ab", "ba"))
            if len(kinds) < 7 and draw.random() < 0.5:
                kinds.append(draw.choice(("audio", "video")))
            change(c, side, other, some, offered, draw)
        if n % 3:
            c.a.request("BYE")
            c.b.expect_bye()
            c.a.expect("final")
        else:
            lab.ctl("call", c.show()["id"], "hangup")
            c.a.expect_bye()
            c.b.expect_bye()
        c.a_phone.close()
        c.b_phone.close()
        lab.phones = []
    c.gone()
    check("AddressSanitizer" not in lab.log(), "sanitizer")


def change(c, side, other, some, offered, draw):
    """One re-INVITE with lines at random, answered or refused."""
    me, you = (c.a, c.b) if side == "a" else (c.b, c.a)
    me.reinvite(c.sdp(side, some()))
    heard = {}

    def final_or_offer():
        for dialog in (me, you):
            dialog.phone.pump()
        heard["final"] = me.phone.find("final", me.call_id)
        heard["offer"] = you.phone.find("INVITE", you.call_id)
        return heard["final"] or heard["offer"]
    wait_for(final_or_offer, 5, "what becomes of the re-INVITE")
    msg = heard["offer"]
    if msg:
        answer = draw.random() > 0.25 and some_or_none(some, offered(msg.sdp))
        you.reply(msg, 200 if answer else 488, answer and c.sdp(other, answer))
        you.expect("ACK")
    msg = heard["final"] or me.expect("final")
    me.ack(msg)
    check(msg.code in (200, 488), "answer to a re-INVITE:", msg.code)


def some_or_none(some, ports):
    try:
        return some(ports)
    except IndexError:
        return None


TESTS = [audio_and_video, places_are_kept, added_by_caller, added_by_callee,
         refused_offer_leaves_no_port, never_asked, hold_of_both, five_lines, no_ports_left,
         second_target, random_changes]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
