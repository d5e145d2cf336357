#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Several receive queues, each served by a processor of its own: XDP runs on both at once."""
import contextlib
import os
import re

import rtp
import tap
from calls import Call
from lab import Lab, config, nothing_left
from netns import sh
from tap import Skip, check, equal

CPUS = (0, 1)
PACKETS = 20000
CALLERS, CALLEES = ("10.91.1.10", "10.91.1.11"), ("10.91.2.20", "10.91.2.21")


@contextlib.contextmanager
def make():
    if not set(CPUS) <= os.sched_getaffinity(0):
        raise Skip("needs two processors")
    with Lab() as lab:
        # As many behind the node, too: veth's own counts of one queue miss some when two fill it.
        for ns, dev in ((lab.node, "in0"), (lab.callee, "eth0")):
            ns("ethtool", "-L", dev, "rx", len(CPUS))
        lab.caller("ethtool", "-L", "eth0", "tx", len(CPUS))
        for cpu in CPUS:    # what a processor sends goes by the queue of its number
            sh("ip", "netns", "exec", lab.caller.name, "sh", "-c",
               f"echo {1 << cpu:x} > /sys/class/net/eth0/queues/tx-{cpu}/xps_cpus")
        lab.start(config(lab, inside={"xdp": "native"}, outside={"xdp": "native"}))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def seen_by_queue(lab):
    """Packets that XDP saw, by queue of in0."""
    text = lab.node("ethtool", "-S", "in0").stdout
    return [int(n) for n in re.findall(r"rx_queue_\d+_xdp_packets: (\d+)", text)]


def send(cpu, sock, to, first):
    """A process that sends PACKETS packets from one processor, as fast as it can."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.sched_setaffinity(0, {cpu})
        sock.setblocking(True)
        packets = [rtp.rtp_packet(0, first + i, i * 160, 0x1000 + cpu, i) for i in range(PACKETS)]
        for packet in packets:
            sock.sendto(packet, to)
        code = 0
    finally:
        os._exit(code)


def sent(pids):
    for pid in pids:
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "the sender's exit status")


def counted_exactly(lab):
    """two flows, each on a queue and processor of its own: no count is lost"""
    calls = []
    for a_ip, b_ip in zip(CALLERS, CALLEES):
        prefix = "7" if b_ip == CALLEES[0] else "8"
        calls.append(Call(lab, lab.phone(a_ip), lab.phone(b_ip), lab.number(prefix)).up())
    before = seen_by_queue(lab)
    sent([send(cpu, c.a_rtp.tx[0], c.relay_a, 100) for cpu, c in zip(CPUS, calls)])
    seen = [b - a for a, b in zip(before, seen_by_queue(lab))]
    check(all(n >= PACKETS for n in seen), f"of {PACKETS} packets each, the queues saw {seen}")
    for c in calls:
        flow = c.flows()["a"]
        equal((flow["packets"], flow["bytes"], flow["dropped"]),
              (PACKETS, PACKETS * (rtp.PAYLOAD + 12), 0), "the flow's counters")
        equal(c.show()["a"]["lost"], 0, "lost")


def left(lab):
    """Frames that XDP handed to out0: taken, and not."""
    text = lab.node("ethtool", "-S", "out0").stdout
    return [sum(map(int, re.findall(rf"tx_queue_\d+_{name}: (\d+)", text)))
            for name in ("xdp_xmit", "xdp_xmit_errors")]


def one_flow_on_both(lab):
    """a flow whose packets meet on two processors at once: all are forwarded, or counted as not
    taken by the link; its own count may miss some, never has one too many"""
    c = Call(lab, lab.phone(CALLERS[0]), lab.phone(CALLEES[0]), lab.number()).up()
    before, began, refused = seen_by_queue(lab), left(lab), lab.drops()["tx_failed"]
    sent([send(cpu, c.a_rtp.tx[0], c.relay_a, 100) for cpu in CPUS])
    seen = [b - a for a, b in zip(before, seen_by_queue(lab))]
    check(all(n >= PACKETS for n in seen), f"of {PACKETS} packets each, the queues saw {seen}")
    taken, failed = (b - a for a, b in zip(began, left(lab)))
    equal(taken + failed, 2 * PACKETS, "forwarded")
    equal(lab.drops()["tx_failed"] - refused, failed, "tx_failed")
    flow = c.flows()["a"]
    check(PACKETS <= flow["packets"] <= 2 * PACKETS, f"counted {flow['packets']}")
    equal((flow["dropped"], lab.drops()["wrong_source"]), (0, 0), "refused")


TESTS = [counted_exactly, one_flow_on_both]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
