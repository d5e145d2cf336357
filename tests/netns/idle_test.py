#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls without media: rtptimeout, rtpholdtimeout, and what keeps a call alive; its record."""
import json
import time

import sip
import tap
from calls import call
from lab import config, nothing_left, running
from rtp import rtcp_packet
from tap import check, equal, wait_for

IDLE, HELD = 2, 5
PACKET, JIFFY = 0.02, 0.01      # seconds: between two packets, and at most between two ticks


def make():
    return running(lambda lab: config(lab, general={"rtptimeout": IDLE, "rtpholdtimeout": HELD,
                                                    "cdr": f"{lab.dir}/cdr.jsonl"}))


def record(lab):
    """The last call detail record."""
    with open(f"{lab.dir}/cdr.jsonl") as lines:
        return json.loads(lines.read().splitlines()[-1])


def ended_by_node(c, seconds):
    """BYE to both sides with the reason, and a record that says so, not before its time."""
    for dialog in (c.a, c.b):
        bye = dialog.expect_bye(timeout=seconds + 5)
        equal(bye.get("reason"), 'SIP;cause=408;text="RTP timeout"', "Reason")
    c.gone()
    found = record(c.lab)
    equal((found["cause"], found["code"]), ("rtp_timeout", 200), "record")
    # The last packet may lie a packet's time back, and the kernel counts its arrival in jiffies.
    check(found["duration_s"] >= seconds - PACKET - JIFFY, "ended too early:", found["duration_s"])


def up_for(c, seconds, meanwhile):
    """The call is up so long after its answer, `meanwhile` called on the way."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        equal(c.show()["state"], "up", "state")
        meanwhile()
        c.a_phone.pump(0.1)
        c.b_phone.pump(0.1)


def silent(lab):
    """no media at all: ended after rtptimeout, counted from the answer"""
    ended_by_node(call(lab).up(), IDLE)


def falls_silent(lab):
    """media that ends: ended so long after the last packet, not after the answer"""
    c = call(lab).up().talk()
    up_for(c, 2 * IDLE, lambda: None)
    c.quiet()
    ended_by_node(c, 3 * IDLE)


def one_side_is_enough(lab):
    """one side's media keeps the call"""
    c = call(lab).up()
    c.b_rtp.start(c.relay_b)
    up_for(c, 2 * IDLE, lambda: None)
    c.b_rtp.stop()
    ended_by_node(c, 3 * IDLE)


def reports_are_enough(lab):
    """RTCP alone keeps a call whose sides suppress silence"""
    c = call(lab).up()
    end, to = c.a_rtp, (c.relay_a[0], c.relay_a[1] + 1)
    up_for(c, 2 * IDLE, lambda: end.tx[1].sendto(end.rtcp.put(lambda i: rtcp_packet(end.ssrc, i)),
                                                 to))
    wait_for(lambda: c.b_rtp.rtcp.got, 3, "RTCP at the other side")
    equal(c.show()["a"]["rx_packets"], 0, "RTP packets")
    ended_by_node(c, 3 * IDLE - 1)     # the last report was a while before


def strangers_are_not(lab):
    """packets that are not admitted keep nothing alive"""
    c = call(lab).up()
    stranger = lab.end("10.91.1.66")
    stranger.start(c.relay_a)
    ended_by_node(c, IDLE)
    check(record(lab)["a"]["wrong_source"] > 0, "wrong_source")


def on_hold(lab):
    """while on hold rtpholdtimeout counts instead, and rtptimeout again behind it"""
    c = call(lab).up()
    hold(c, "sendonly", 2)
    up_for(c, IDLE + 1, lambda: None)
    ended_by_node(c, HELD)
    lab.clear()
    c = call(lab).up()
    hold(c, "sendonly", 2)
    up_for(c, IDLE + 1, lambda: None)
    hold(c, "sendrecv", 3)
    ended_by_node(c, IDLE + 1)


def hold(c, direction, version):
    """The caller's re-INVITE, which the callee accepts."""
    c.a.reinvite(sip.sdp(c.a_phone.ip, c.a_rtp.port, direction=direction, version=version))
    offer = c.b.expect("INVITE")
    mirrored = {"sendonly": "recvonly", "inactive": "inactive"}.get(offer.sdp.direction())
    c.b.reply(offer, 200, sip.sdp(c.b_phone.ip, c.b_rtp.port, direction=mirrored, version=version))
    c.b.expect("ACK")
    c.a.ack(c.a.expect(200))


def whole_record(lab):
    """a record has both legs' peers, codec, packets, loss and times, to the packet"""
    c = call(lab).up().talk().heard(30).quiet()
    sent = (len(c.a_rtp.rtp.sent), len(c.b_rtp.rtp.sent))
    c.hang_up().gone()
    found = record(lab)
    equal((found["cause"], found["code"], found["path"]), ("bye_a", 200, "relay"), "end")
    equal([found[s]["peer"] for s in "ab"], ["alice", "bob"], "peers")
    equal(tuple(found[s]["rx_packets"] for s in "ab"), sent, "packets")
    equal([found[s]["lost"] for s in "ab"], [0, 0], "lost")
    for side in "ab":
        equal(found[side]["codec"], "PCMU", "codec")
        check(isinstance(found[side]["jitter_ms"], float), "jitter_ms")
    check(found["started"] <= found["answered"] <= found["ended"], "times", found)
    equal((found["from"], found["to"], found["route"]), ("u10", c.number, "to-bob"), "numbers")
    check(found["reason"], "reason")


TESTS = [whole_record, silent, falls_silent, one_side_is_enough, reports_are_enough,
         strangers_are_not, on_hold]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
