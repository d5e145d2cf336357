#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Payload numbers: which each leg may send, what becomes of them; G.711 between the laws."""
import math
import struct

import g711
import rtp
import sip
import tap
import tone
from baresip import Baresip
from calls import Call, call
from lab import CALLEE, CALLER, INSIDE, PEERS, config, nothing_left, running
from tap import check, equal, wait_for

PCMU = ((0, "PCMU/8000"), (101, "telephone-event/8000"))
PCMA = ((8, "PCMA/8000"), (101, "telephone-event/8000"))
G722 = ((9, "G722/8000"),)
ALAW_ONLY = "10.91.2.22"        # the peer that allows nothing else, and has its G.711 translated


def make():
    peers = PEERS.replace("allow = alaw", "allow = alaw\ntranscode = g711")
    return running(lambda lab: config(lab, peers=peers))


def numbers(end):
    """Of the RTP packets heard so far."""
    return [got[4][1] & 0x7f for got in end.rtp.got]


def send(end, number, count):
    """So many packets of that number; what the far end hears is another matter."""
    end.pt = number
    end.burst(count)


def aim(c):
    c.a_rtp.aim(c.relay_a, c.a_answer.rtcp())
    c.b_rtp.aim(c.relay_b, c.b_offer.rtcp())
    return c


def crosses(sender, receiver, number, becomes, what):
    """Three packets of `number` are heard as so many of `becomes`."""
    before = len(receiver.rtp.got)
    send(sender, number, 3)
    wait_for(lambda: len(receiver.rtp.got) >= before + 3, 3, what)
    equal(numbers(receiver)[before:], [becomes] * 3, what)


def comes_to_cross(sender, receiver, number, what):
    """Changes of an entry that follow one another at once take a few milliseconds."""
    def heard():
        send(sender, number, 1)
        return number in numbers(receiver)
    wait_for(heard, 3, what)
    rtp.settle(sender, receiver)


def refused(lab, c, side, number, what):
    """Three packets of `number` are dropped and counted as that, at the flow and in all."""
    flow, drops = c.flows()[side], lab.drops()["bad_payload"]
    sender, receiver = (c.a_rtp, c.b_rtp) if side == "a" else (c.b_rtp, c.a_rtp)
    before = len(receiver.rtp.got)
    send(sender, number, 3)
    wait_for(lambda: lab.drops()["bad_payload"] == drops + 3, 3, what)
    now = c.flows()[side]
    equal(now["dropped"] - flow["dropped"], 3, what + ": at the flow")
    equal(now["packets"], flow["packets"], what + ": forwarded")
    equal(len(receiver.rtp.got), before, what + ": heard")


def negotiated(lab):
    """what a leg was told passes, and nothing else: from either side, counted bad_payload"""
    c = aim(call(lab, codecs=sip.CODECS, b_kw={}).up())
    for number in (0, 8, 101):
        crosses(c.a_rtp, c.b_rtp, number, number, f"{number} from a")
        crosses(c.b_rtp, c.a_rtp, number, number, f"{number} from b")
    for number in (3, 9, 18, 96, 127):
        refused(lab, c, "a", number, f"{number} from a")
        refused(lab, c, "b", number, f"{number} from b")
    equal(c.show()["a"]["wrong_source"], 0, "strangers at a")
    c.hang_up().gone()


def asymmetrical_numbers(lab):
    """the answerer has numbers of its own: whichever of both a phone sends, the other one hears
    those that it asked for (RFC 3264 5.1, 6.1)"""
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("7"))
    c.a_sdp = sip.sdp(CALLER, c.a_rtp.port, ((111, "opus/48000/2"), (100, "telephone-event/8000")))
    c.b_sdp = sip.sdp(CALLEE, c.b_rtp.port, ((96, "opus/48000/2"), (97, "telephone-event/8000")))
    aim(c.up())
    equal(c.a_answer.m()[3], ["96", "97"], "told to a")
    equal(c.b_offer.m()[3], ["111", "100"], "told to b")
    for number, becomes in ((96, 96), (97, 97), (111, 96), (100, 97)):
        crosses(c.a_rtp, c.b_rtp, number, becomes, f"{number} from a")
    for number, becomes in ((111, 111), (100, 100), (96, 111), (97, 100)):
        crosses(c.b_rtp, c.a_rtp, number, becomes, f"{number} from b")
    refused(lab, c, "a", 0, "0 from a")
    rows = {row["reason"]: row["matched"] for row in lab.ctl("explain", c.show()["id"])}
    check(rows["PT_MISMATCH"], "PT_MISMATCH keeps it relayed")
    equal(c.show()["path"], "relay", "path")
    c.hang_up().gone()


def rewritten_whole(lab):
    """all of a stream whose numbers are rewritten arrives, with right sums, and so does its RTCP"""
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("7"))
    c.a_sdp = sip.sdp(CALLER, c.a_rtp.port, ((111, "opus/48000/2"),))
    c.b_sdp = sip.sdp(CALLEE, c.b_rtp.port, ((96, "opus/48000/2"),))
    c.up()
    c.a_rtp.pt, c.b_rtp.pt = 111, 96        # each its own, not what it was told
    c.talk().heard(30).quiet()
    for sender, receiver, becomes in ((c.a_rtp, c.b_rtp, 96), (c.b_rtp, c.a_rtp, 111)):
        due = [sent[:1] + bytes([sent[1] & 0x80 | becomes]) + sent[2:]
               for _, sent in sorted(sender.rtp.sent.items())]
        equal([got[4] for got in receiver.rtp.got], due, "packets, byte by byte")
        equal([got[4] for got in receiver.rtcp.got],
              [sent for _, sent in sorted(sender.rtcp.sent.items())], "RTCP")
    c.hang_up().gone()


def change_in_flight(lab):
    """from the offer on the new numbers pass, until it is answered and a while after the old ones,
    too (RFC 3264 8.3.1)"""
    c = aim(call(lab, codecs=PCMU).up())
    crosses(c.b_rtp, c.a_rtp, 0, 0, "before")
    refused(lab, c, "b", 9, "9 before it was offered")
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, codecs=G722, version=2))
    msg = c.b.expect("INVITE")
    comes_to_cross(c.b_rtp, c.a_rtp, 9, "9 offered")
    crosses(c.b_rtp, c.a_rtp, 0, 0, "0 still in force")
    c.b.reply(msg, 200, sip.sdp(CALLEE, c.b_rtp.port, codecs=G722, version=2))
    c.a.ack(c.a.expect(200))
    crosses(c.b_rtp, c.a_rtp, 0, 0, "0 that was under way")
    crosses(c.a_rtp, c.b_rtp, 0, 0, "0 that was under way")
    comes_to_cross(c.a_rtp, c.b_rtp, 9, "9 agreed upon")

    def is_over():
        drops = lab.drops()["bad_payload"]
        send(c.b_rtp, 0, 1)
        return wait_quietly(lambda: lab.drops()["bad_payload"] > drops)
    wait_for(is_over, 8, "0 is no longer admitted")
    crosses(c.b_rtp, c.a_rtp, 9, 9, "9 is")
    c.hang_up().gone()


def wait_quietly(condition):
    try:
        wait_for(condition, 0.3, "")
    except tap.Failed:
        return False
    return True


def change_refused(lab):
    """an offer that comes to nothing leaves what was agreed upon before"""
    c = aim(call(lab, codecs=PCMU).up())
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, codecs=G722, version=2))
    msg = c.b.expect("INVITE")
    comes_to_cross(c.b_rtp, c.a_rtp, 9, "9 offered")
    c.b.reply(msg, 488)
    c.b.expect("ACK")
    c.a.ack(c.a.expect("final"))
    crosses(c.b_rtp, c.a_rtp, 0, 0, "0 in force")
    crosses(c.a_rtp, c.b_rtp, 0, 0, "0 in force")
    wait_for(lambda: send(c.b_rtp, 9, 1) or lab.drops()["bad_payload"], 8, "9 is refused")
    c.hang_up().gone()


def early_media(lab):
    """a 183 names numbers, too"""
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("7"), codecs=PCMU)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.a.expect(100)
    c.b = c.b_phone.incoming(c.number)
    c.b_offer = c.b.invite.sdp
    c.relay_b = c.b_offer.rtp()
    c.b.reply(c.b.invite, 183, c.b_sdp)
    c.a_answer = c.a.expect(183).sdp
    c.relay_a = c.a_answer.rtp()
    aim(c)
    crosses(c.b_rtp, c.a_rtp, 0, 0, "0 early")
    refused(lab, c, "b", 8, "8 early")
    c.answer()
    crosses(c.a_rtp, c.b_rtp, 0, 0, "0 after the answer")
    c.hang_up().gone()


def long_list(lab):
    """more numbers than an entry holds: what both took passes, and no call suffers"""
    many = tuple((n, f"x{n}/8000") for n in range(96, 116))
    c = aim(call(lab, codecs=many, b_kw={}).up())
    for number in (96, 105, 115):
        crosses(c.a_rtp, c.b_rtp, number, number, f"{number} from a")
        crosses(c.b_rtp, c.a_rtp, number, number, f"{number} from b")
    c.hang_up().gone()
    lab.clear()
    short = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("7"), codecs=many)
    short.b_sdp = sip.sdp(CALLEE, short.b_rtp.port, many[18:])
    aim(short.up())
    for number in (114, 115):
        crosses(short.b_rtp, short.a_rtp, number, number, f"{number} from b")
    refused(lab, short, "a", 96, "96 from a")
    short.hang_up().gone()


def sine(law, number, frequency):
    """What builds the packets of an end that sends a tone: function of the index."""
    def build(end):
        def packet(index):
            samples = [12000 * math.sin(2 * math.pi * frequency * (160 * index + i) / tone.RATE)
                       for i in range(160)]
            head = struct.pack("!BBHII", 0x80, number, end.seq0 + index & 0xffff,
                               index * 160 & 0xffffffff, end.ssrc)
            return head + g711.encode(law, samples)
        return packet
    return build


def same_tone(sender, law, receiver, other, number, frequency):
    """The tone that was sent in one law is heard in the other, sample by sample."""
    sent = [packet for _, packet in sorted(sender.rtp.sent.items())]
    got = [g[4] for g in receiver.rtp.got]
    equal(len(got), len(sent), "packets")
    samples = []
    for before, after in zip(sent, got):
        equal(after[:1] + after[2:12], before[:1] + before[2:12], "header")
        equal(after[1], number, "payload number")
        for x, y in zip(g711.decode(law, before[12:]), g711.decode(other, after[12:])):
            check(abs(x - y) <= max(abs(x) / 16, 16), f"a sample of {x} is {y}")
            samples.append(y)
    share = tone.power(samples, frequency, tone.RATE)
    check(share > 0.99, f"{share:.3f} of what is heard is the tone")


def transcoded_call(lab, prefix, a_ip, b_ip, a_codecs, b_codecs):
    c = Call(lab, lab.phone(a_ip), lab.phone(b_ip), lab.number(prefix))
    c.a_sdp = sip.sdp(a_ip, c.a_rtp.port, a_codecs)
    c.b_sdp = sip.sdp(b_ip, c.b_rtp.port, b_codecs)
    return c


def transcoded(lab):
    """PCMU alone meets PCMA alone: a tone survives both ways, sample by sample; events and RTCP
    pass as they are"""
    c = transcoded_call(lab, "5", CALLER, ALAW_ONLY, PCMU, PCMA).up()
    equal(c.b_offer.m()[3], ["8", "101"], "offered to b")
    check("rtpmap:8 PCMA/8000" in c.b_offer.attributes(), "and what that is")
    equal(c.a_answer.m()[3], ["0", "101"], "answered to a")
    c.a_rtp.packet = sine("PCMU", 0, 440)(c.a_rtp)
    c.b_rtp.packet = sine("PCMA", 8, 700)(c.b_rtp)
    c.talk().heard(50).quiet()
    same_tone(c.a_rtp, "PCMU", c.b_rtp, "PCMA", 8, 440)
    same_tone(c.b_rtp, "PCMA", c.a_rtp, "PCMU", 0, 700)
    for sender, receiver in ((c.a_rtp, c.b_rtp), (c.b_rtp, c.a_rtp)):
        equal([got[4] for got in receiver.rtcp.got],
              [sent for _, sent in sorted(sender.rtcp.sent.items())], "RTCP")
    shown = c.show()
    equal((shown["a"]["codec"], shown["b"]["codec"]), ("PCMU", "PCMA"), "codec of each leg")
    equal((shown["path"], shown["reason"]), ("relay", "CODEC"), "path")
    flows = c.flows()
    equal(flows["a"]["dropped"] + flows["b"]["dropped"], 0, "dropped")
    events_pass(c)
    c.hang_up().gone()


def events_pass(c):
    before = len(c.b_rtp.rtp.got)
    event = rtp.event_packet(101, c.a_rtp.seq0 + 5000, 0, c.a_rtp.ssrc, 5, 160, True, False)
    c.a_rtp.packet = lambda index: event
    c.a_rtp.burst(1)
    wait_for(lambda: len(c.b_rtp.rtp.got) > before, 3, "the event")
    equal(c.b_rtp.rtp.got[-1][4], event, "the event")


def transcoded_from_the_other_law(lab):
    """the peer with the key calls: PCMA alone to a phone that has PCMU alone"""
    c = transcoded_call(lab, "6", ALAW_ONLY, CALLER, PCMA, PCMU).up()
    equal(c.b_offer.m()[3], ["8", "0", "101"], "offered to b")
    equal(c.a_answer.m()[3], ["8", "101"], "answered to a")
    c.a_rtp.packet = sine("PCMA", 8, 440)(c.a_rtp)
    c.b_rtp.packet = sine("PCMU", 0, 700)(c.b_rtp)
    c.talk().heard(25).quiet()
    same_tone(c.a_rtp, "PCMA", c.b_rtp, "PCMU", 0, 440)
    same_tone(c.b_rtp, "PCMU", c.a_rtp, "PCMA", 8, 700)
    c.hang_up().gone()


def nothing_is_transcoded_that_need_not_be(lab):
    """the callee takes the caller's own half: it is used as it is"""
    c = transcoded_call(lab, "6", ALAW_ONLY, CALLER, PCMA, ((8, "PCMA/8000"), (0, "PCMU/8000")))
    aim(c.up())
    equal(c.b_offer.m()[3], ["8", "0", "101"], "offered to b")
    equal(c.a_answer.m()[3], ["8"], "answered to a")
    crosses(c.a_rtp, c.b_rtp, 8, 8, "PCMA from a")
    crosses(c.b_rtp, c.a_rtp, 8, 8, "PCMA from b")
    crosses(c.b_rtp, c.a_rtp, 0, 8, "PCMU, which it may send by our offer")
    c.hang_up().gone()


def without_the_key(lab):
    """the same two phones where no peer has the key: 488 to the caller, as ever"""
    c = transcoded_call(lab, "7", CALLER, CALLEE, PCMU, PCMA)
    c.ring()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer to the caller")
    c.b.expect_bye()


def transcoded_hold(lab):
    """hold and resume of a translated call: the same translation before and after"""
    c = transcoded_call(lab, "5", CALLER, ALAW_ONLY, PCMU, PCMA).up()
    for direction in ("sendonly", "sendrecv"):
        offer = sip.sdp(CALLER, c.a_rtp.port, PCMU, direction=direction, version=2)
        c.a.reinvite(offer)
        msg = c.b.expect("INVITE")
        equal(msg.sdp.m()[3], ["8", "101"], "offered to b")
        c.b.reply(msg, 200, c.b_sdp)
        answer = c.a.expect(200)
        c.a.ack(answer)
        equal(answer.sdp.m()[3], ["0", "101"], "answered to a")
    aim(c)
    crosses(c.a_rtp, c.b_rtp, 0, 8, "a to b")
    crosses(c.b_rtp, c.a_rtp, 8, 0, "b to a")
    c.hang_up().gone()


def baresip_of_either_law(lab):
    """two real phones, one with PCMU alone and one with PCMA alone, hear each other"""
    a = Baresip(lab, lab.caller, CALLER, "alice", 440)
    b = Baresip(lab, lab.callee, ALAW_ONLY, "5001", 700, answers=True, codecs="PCMA/8000/1")
    try:
        a.ready()
        b.ready()
        a.dial(f"sip:5001@{INSIDE}")
        a.wait_log("Call established")
        wait_for(lambda: a.heard(700).tone >= 2 and b.heard(440).tone >= 2, 30,
                 lambda: f"each other: {a.heard(700)} {b.heard(440)}")
        shown = lab.calls()[0]
        equal((shown["a"]["codec"], shown["b"]["codec"]), ("PCMU", "PCMA"), "codec of each leg")
        a.hangup()
        wait_for(lambda: not lab.calls(), 5, "the call gone")
    finally:
        a.stop()
        b.stop()


TESTS = [negotiated, asymmetrical_numbers, rewritten_whole, change_in_flight, change_refused,
         early_media, long_list, transcoded, transcoded_from_the_other_law,
         nothing_is_transcoded_that_need_not_be, without_the_key, transcoded_hold,
         baresip_of_either_law]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
