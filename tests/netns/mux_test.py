#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""RTCP at the port of RTP (RFC 5761)."""
import contextlib
import signal

import sdes
import sip
import srtp
import tap
from calls import call
from lab import Lab, config, nothing_left
from moving import JOINED, TIMES
from moving import call as moving_call
from sdes import AES80, ANNA, BOB, Key, SdesCall
from tap import check, equal

LINE = "a=rtcp-mux"
MUX = {"extra": (LINE,)}


@contextlib.contextmanager
def running(text=config, **kw):
    with Lab(**kw) as lab:
        lab.start(text(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def make():
    return running()


def is_told(description, muxed, who):
    equal("rtcp-mux" in description.attributes(), muxed, f"rtcp-mux told {who}")


def talk(c, a, b):
    """Both talk; who multiplexes sends both kinds by one socket to one port."""
    for end, muxed, relay in ((c.a_rtp, a, c.relay_a), (c.b_rtp, b, c.relay_b)):
        pair = end.pairs[end.port]
        with end.engine.lock:
            end.tx = [pair[0], pair[0 if muxed else 1]]
        end.start(relay, relay if muxed else None)
    return c.heard(50).quiet()


def crossed(c, a, b):
    """All that was sent arrived once, RTCP where that leg has it, and each flow counted its own."""
    flows = c.flows()
    for side, sender, receiver, muxed, relay in (("a", c.a_rtp, c.b_rtp, b, c.relay_b),
                                                 ("b", c.b_rtp, c.a_rtp, a, c.relay_a)):
        got = [g for g in receiver.rtp.got if not srtp.is_rtcp(g[4])]
        reports = [g for g in receiver.rtp.got if srtp.is_rtcp(g[4])]
        equal([g[4] for g in got], list(sender.rtp.sent.values()), f"RTP of {side}")
        here, there = (reports, receiver.rtcp.got) if muxed else (receiver.rtcp.got, reports)
        equal([g[4] for g in here], list(sender.rtcp.sent.values()), f"RTCP of {side}")
        equal(there, [], f"RTCP of {side} at the other port")
        equal({g[2] for g in got}, {relay}, f"source of the RTP of {side}")
        equal({g[2] for g in here}, {(relay[0], relay[1] + (not muxed))},
              f"source of the RTCP of {side}")
        for name, kind in ((side, sender.rtp), (side + "_rtcp", sender.rtcp)):
            equal((flows[name]["packets"], flows[name]["dropped"]), (len(kind.sent), 0),
                  f"packets of flow {name}")


def end(c):
    c.hang_up().gone()


def multiplexed(lab):
    """both phones agree on rtcp-mux: RTCP crosses at the ports of RTP, counted as RTCP"""
    c = call(lab, a_kw=MUX, b_kw=MUX).up()
    is_told(c.b_offer, True, "the callee")
    is_told(c.a_answer, True, "the caller")
    crossed(talk(c, True, True), True, True)
    end(c)


def pitfall_15_multiplexed_by_one(lab):
    """the callee knows no rtcp-mux: the caller has it, RTCP of the callee has its own ports"""
    c = call(lab, a_kw=MUX).up()
    is_told(c.b_offer, True, "the callee")
    is_told(c.a_answer, True, "the caller")
    crossed(talk(c, True, False), True, False)
    end(c)


def offered_by_the_callee(lab):
    """a re-INVITE of the callee offers it, the caller does not want it: the callee has it"""
    c = call(lab).up()
    answer = reinvited(c, "b", sip.sdp(c.b_rtp.ip, c.b_rtp.port, version=2, **MUX),
                       sip.sdp(c.a_rtp.ip, c.a_rtp.port, version=2), True)
    is_told(answer, True, "the callee")
    crossed(talk(c, False, True), False, True)
    end(c)


def answered_unasked(lab):
    """an answer says it that was not offered (RFC 5761 5.1.1): as if it did not"""
    c = call(lab, b_kw=MUX).up()
    is_told(c.b_offer, False, "the callee")
    is_told(c.a_answer, False, "the caller")
    crossed(talk(c, False, False), False, False)
    end(c)


def reinvited(c, side, offer, answer, muxed):
    """That side offers, the other one is told of rtcp-mux or not and answers; the node's answer."""
    me, other = (c.a, c.b) if side == "a" else (c.b, c.a)
    me.reinvite(offer)
    told = other.expect("INVITE")
    is_told(told.sdp, muxed, "who is asked")
    other.reply(told, 200, answer)
    final = me.expect("final")
    me.ack(final)
    other.expect("ACK")
    equal(final.code, 200, "answer to the re-INVITE")
    return final.sdp


def changed(lab):
    """re-INVITEs take it away from the caller, and give it back, amid a call"""
    c = call(lab, a_kw=MUX).up()
    talk(c, True, False)
    for version, kw in ((2, {}), (3, MUX)):
        answer = reinvited(c, "a", sip.sdp(c.a_rtp.ip, c.a_rtp.port, version=version, **kw),
                           sip.sdp(c.b_rtp.ip, c.b_rtp.port, version=version), True)
        is_told(answer, bool(kw), "the caller")
        for e in (c.a_rtp, c.b_rtp):
            e.rtcp.forget()
            e.rtp.forget()
        before = counts(c)
        talk(c, bool(kw), False)
        grown = {k: v - before[k] for k, v in counts(c).items()}
        equal(grown, {"a": len(c.a_rtp.rtp.sent), "a_rtcp": len(c.a_rtp.rtcp.sent),
                      "b": len(c.b_rtp.rtp.sent), "b_rtcp": len(c.b_rtp.rtcp.sent)}, "counted")
        at = c.a_rtp.rtp.got if kw else c.a_rtp.rtcp.got
        equal([g[4] for g in at if srtp.is_rtcp(g[4])], list(c.b_rtp.rtcp.sent.values()),
              "RTCP heard by the caller")
    end(c)


def counts(c):
    return {name: f["packets"] for name, f in c.flows().items()}


def refused(lab):
    """a re-INVITE that is refused changes nothing"""
    c = call(lab, a_kw=MUX).up()
    c.a.reinvite(sip.sdp(c.a_rtp.ip, c.a_rtp.port, ((9, "G722/8000"),), version=2))
    told = c.b.expect("INVITE")
    c.b.reply(told, 488)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 488, "answer to the re-INVITE")
    crossed(talk(c, True, False), True, False)
    end(c)


def survives(lab):
    """kill -9 of the daemon, and its return: both ways of RTCP go on"""
    c = call(lab, a_kw=MUX).up()
    talk(c, True, False)
    lab.stop(signal.SIGKILL)
    talk(c, True, False)
    lab.start()
    crossed(talk(c, True, False), True, False)


def encrypted(beside):
    """SRTCP at the port of SRTP on one leg, RTCP at its own on the other"""
    with Lab(name=beside.name + "b", addresses=5) as lab:
        lab.start(sdes.settings(lab))
        c = SdesCall(lab, ANNA, BOB, a_keys=[Key(AES80)], a_kw=MUX)
        c.a_sdp = c.a_sdp + LINE + "\r\n"
        c.up()
        is_told(c.a_answer, True, "the caller")
        srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
        crossed(talk(c, True, False), True, False)
        equal(c.a_rtp.unheard, [], "what the caller could not decrypt")
        end(c)
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def direct(beside):
    """media that moves out: nobody multiplexes whose other end does not"""
    with Lab(name=beside.name + "b", router=True) as lab:
        lab.start(config(lab, general=TIMES, inside=JOINED))
        c = moving_call(lab, a_kw=MUX).up()
        c.a_rtp.tx = [c.a_rtp.tx[0]] * 2
        c.a_rtp.start(c.relay_a, c.relay_a)
        c.b_rtp.start(c.relay_b, c.b_offer.rtcp())
        offer = c.sb.told()
        is_told(offer.sdp, True, "the callee")
        c.sb.accept(offer)
        offer = c.sa.told()
        is_told(offer.sdp, False, "the caller")
        c.a_rtp.tx = list(c.a_rtp.pairs[c.a_rtp.port])
        c.sa.kw = {}
        c.sa.accept(offer)
        c.is_direct()
        c.quiet()   # or a packet under way is one that nobody sent
        for e in (c.a_rtp, c.b_rtp):
            e.rtp.forget()
            e.rtcp.forget()
            e.start(e.to, e.rtcp_to)
        c.heard(50).quiet().whole(sources=False)
        end(c)
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


TESTS = [multiplexed, pitfall_15_multiplexed_by_one, offered_by_the_callee, answered_unasked,
         changed, refused, encrypted, direct, survives]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
