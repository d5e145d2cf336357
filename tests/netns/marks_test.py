#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a realm and a peer say of the packets themselves: their marks, and how many there may be."""
import socket
import struct
import time

import rtp
import tap
from calls import call
from lab import PEERS, config, nothing_left, running
from tap import check, equal, wait_for

RATE = 20
EF = 46


def make():
    peers = PEERS.replace("host = 10.91.1.10\n", f"host = 10.91.1.10\nrate = {RATE}\n")
    return running(lambda lab: config(lab, outside={"dscp": "ef"}, peers=peers))


def marked(lab):
    """media leaves with the class of the network that it goes to, and only there"""
    c = call(lab, prefix="7").up()
    for end, relay, want in ((c.b_rtp, c.relay_a, EF << 2), (c.a_rtp, c.relay_b, 0)):
        sock = end.tx[0]
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        lab.engine.forget(sock)
        other = c.a_rtp if end is c.b_rtp else c.b_rtp
        other.burst(1, relay)
        sock.setblocking(True)
        sock.settimeout(5)
        _, notes, _, _ = sock.recvmsg(2000, 100)
        classes = [struct.unpack("B", data[:1])[0] for level, kind, data in notes
                   if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS)]
        equal(classes, [want], f"class at {end.ip}")
    c.hang_up().gone()


def policed(lab):
    """more packets than a peer may send are dropped as `rate`, and counted; the other is free"""
    c = call(lab, prefix="7").up()
    before = lab.drops()["rate"]
    began = time.monotonic()
    c.talk(pps=100)
    wait_for(lambda: len(c.a_rtp.rtp.sent) >= 200, 20, "200 packets sent")
    c.quiet()
    seconds = time.monotonic() - began
    sent, passed = len(c.a_rtp.rtp.sent), len(c.b_rtp.rtp.got)
    flow = c.flows()["a"]
    equal(flow["packets"], passed, "packets forwarded and heard")
    equal(flow["packets"] + flow["dropped"], sent, "packets forwarded and dropped")
    equal(lab.drops()["rate"] - before, sent - passed, "rate")
    check(RATE <= passed <= RATE * (seconds + 1), f"{passed} passed in {seconds:.2f} s")
    check(passed < sent, "all passed")
    rtp.expect_whole(c.b_rtp, c.a_rtp, c.relay_a, True, "b to a")
    c.hang_up().gone()


TESTS = [marked, policed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
