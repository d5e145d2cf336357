#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets longer than the way to their destination takes: they arrive whole, in fragments, and the
others go on by the rung that they are on."""
import contextlib
import socket
import struct
from collections import namedtuple

import netns
import rtp
import tap
from calls import call
from ipv6_test import PEERS as BOTH_PEERS
from ipv6_test import crosses, realm
from lab import (CALLEE, CALLEE6, CALLER, INSIDE, INSIDE6, OUTSIDE, OUTSIDE6, RUNG, Lab, config,
                 nothing_left)
from tap import check, equal, wait_for

MTU = 1500
LESS = 1300     # IPv6 takes no link below 1280
VIDEO = 1400    # bytes of RTP
FORGOTTEN_S = 4
EVERY = 5       # one of so many packets is that long
EF = 46

Piece = namedtuple("Piece", "size more offset df hops traffic")


@contextlib.contextmanager
def make():
    """Every test makes the lab that it needs."""
    yield None


@contextlib.contextmanager
def running(**kw):
    with Lab() as lab:
        lab.start(config(lab, **kw))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def piece_of(ip):
    """An IPv4 or IPv6 packet of UDP as a Piece; None: something else."""
    if ip[0] >> 4 == 4:
        flags, = struct.unpack("!H", ip[6:8])
        size, = struct.unpack("!H", ip[2:4])
        return Piece(size, bool(flags & 0x2000), flags & 0x1fff, bool(flags & 0x4000), ip[8],
                     ip[1]) if ip[9] == 17 else None
    size, kind = 40 + struct.unpack("!H", ip[4:6])[0], ip[6]
    offset = struct.unpack("!H", ip[42:44])[0] if kind == 44 else 0
    traffic = struct.unpack("!H", ip[:2])[0] >> 4 & 0xff
    return Piece(size, bool(offset & 1), offset >> 3, False, ip[7], traffic) \
        if kind in (17, 44) else None


class Wire:
    """What an interface of a far end hears from an address."""

    def __init__(self, ns, source):
        self.source = socket.inet_pton(netns.family(source), source)
        with netns.inside(ns.name):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.bind(("eth0", 3))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.sock.setblocking(False)
        self.pieces = []

    def heard(self):
        """The pieces so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                ip = self.sock.recv(2000)
                at = 12 if ip[0] >> 4 == 4 else 8
                if ip[at:at + len(self.source)] == self.source and piece_of(ip):
                    self.pieces.append(piece_of(ip))
        return self.pieces

    def fragmented(self):
        """How many datagrams came in more than one piece."""
        return len([p for p in self.heard() if p.more and not p.offset])


def lengthen(end, size, every=EVERY):
    """Some of an end's packets are so long from now on."""
    plain = end.packet

    def packet(index):
        short = plain(index)
        return short + bytes(size - len(short)) if index % every == 0 else short
    end.packet = packet


def long_ones(packets):
    return [n for n, packet in packets.items() if len(packet) > 1000]


def on_its_rung(c, lab, wire):
    """The flow is where it was; what goes up are its long packets alone."""
    if RUNG == "user":
        return
    equal(c.flows()["a"]["plane"], "xdp", "plane")
    equal(lab.drops()["up_mtu"], wire.fragmented(), "packets passed up")


def steady(c, wire):
    """No packet of a while needs fragments any more."""
    before = wire.fragmented()
    c.heard(3 * EVERY)
    return wire.fragmented() == before


def the_mtu_changes(_):
    """the link out takes less, in mid-call: long packets come in fragments, marked as all are; and
    as before when it takes more again"""
    with running(outside={"dscp": "ef"}) as lab:
        wire = Wire(lab.callee, OUTSIDE)
        c = call(lab).up()
        lengthen(c.a_rtp, VIDEO)
        c.talk().heard(5 * EVERY)
        equal(wire.fragmented(), 0, "in fragments before")
        lab.node("ip", "link", "set", "out0", "mtu", str(LESS))
        wait_for(wire.fragmented, 10, "fragments")
        before = len(rtp.Delivery(c.a_rtp, c.b_rtp).lost)
        c.heard(8 * EVERY)
        on_its_rung(c, lab, wire)
        pieces = [p for p in wire.heard() if p.more or p.offset]
        equal({(p.df, p.hops, p.traffic) for p in pieces}, {(False, 63, EF << 2)},
              "DF, hops and class of fragments")
        check(max(p.size for p in pieces) <= LESS, "sizes:", {p.size for p in pieces})
        lab.node("ip", "link", "set", "out0", "mtu", str(MTU))
        wait_for(lambda: steady(c, wire), 20, "whole again")
        c.quiet()
        d = rtp.Delivery(c.a_rtp, c.b_rtp)
        # Until the node hears of the link what is too long is refused by it, and counted.
        equal(len(d.lost), lab.drops()["tx_failed"], "lost")
        check(len(d.lost) - before <= 1 and set(d.lost) <= set(long_ones(c.a_rtp.rtp.sent)), d)
        equal((d.duplicated, d.corrupt, d.strangers), (0, 0, 0), "of a's packets")
        equal(c.flows()["a"]["packets"], d.sent, "packets of the flow")
        c.hang_up().gone()


def into_ipv6(_):
    """as long as the link takes, and 20 bytes more as IPv6; and as much the other way, whole"""
    with running(inside=realm(INSIDE, INSIDE6), outside=realm(OUTSIDE, OUTSIDE6),
                 peers=BOTH_PEERS) as lab:
        wire, back = Wire(lab.callee, OUTSIDE6), Wire(lab.caller, INSIDE)
        c = crosses(lab, "6", CALLER, CALLEE6, INSIDE, OUTSIDE6)
        lengthen(c.a_rtp, MTU - 20 - 8)
        lengthen(c.b_rtp, MTU - 40 - 8)
        c.talk().heard(8 * EVERY).quiet()
        none_lost(c)
        equal(wire.fragmented(), len(long_ones(c.a_rtp.rtp.sent)), "in fragments")
        on_its_rung(c, lab, wire)
        equal(back.fragmented(), 0, "in fragments the other way")
        equal(max(p.size for p in back.heard()), MTU - 20, "the longest that way")
        check(max(p.size for p in wire.heard()) <= MTU, "sizes:", {p.size for p in wire.heard()})
        equal(c.show()["a"]["lost"], 0, "lost of leg a")
        c.hang_up().gone()


def none_lost(c):
    """Short ones may overtake those that the kernel sends."""
    for sender, receiver in ((c.a_rtp, c.b_rtp), (c.b_rtp, c.a_rtp)):
        d = rtp.Delivery(sender, receiver)
        equal((d.lost, d.duplicated, d.corrupt, d.strangers), ([], 0, 0, 0), receiver.ip)


def goes_no_way_up(c, lab, wire):
    """What the kernel has forgotten the daemon asks for a little later."""
    before = lab.drops()["up_mtu"]
    return steady(c, wire) and lab.drops()["up_mtu"] == before


def frag_needed(lab, c, mtu):
    """A router behind the link out says so of a packet that the node sent (RFC 792, RFC 4443)."""
    source, port = c.relay_b
    udp = struct.pack("!HHHH", port, c.b_rtp.port, VIDEO + 8, 0)
    ends = [socket.inet_pton(netns.family(ip), ip) for ip in (source, c.b_rtp.ip)]
    if ":" in source:
        head = struct.pack("!IHBB16s16s", 6 << 28, VIDEO + 8, 17, 63, *ends)
        kind, protocol = struct.pack("!BBHI", 2, 0, 0, mtu), socket.IPPROTO_ICMPV6
    else:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, VIDEO + 28, 0, 0x4000, 63, 17, 0, *ends)
        kind, protocol = struct.pack("!BBHHH", 3, 4, 0, 0, mtu), socket.IPPROTO_ICMP
    icmp = kind + head + udp
    if protocol == socket.IPPROTO_ICMP:     # of IPv6 the socket makes the sum
        total = sum(struct.unpack(f"!{len(icmp) // 2}H", icmp))
        total = (total & 0xffff) + (total >> 16)
        icmp = icmp[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + icmp[4:]
    with netns.inside(lab.callee.name):
        sock = socket.socket(netns.family(source), socket.SOCK_RAW, protocol)
    with sock:
        sock.sendto(icmp, (source, 0))


def smaller_way(family, callee, relay):
    with running(inside=realm(INSIDE, INSIDE6), outside=realm(OUTSIDE, OUTSIDE6),
                 peers=BOTH_PEERS) as lab:
        lab.node("sysctl", "-qw", f"net.ipv{family}.route.mtu_expires={FORGOTTEN_S}")
        wire = Wire(lab.callee, relay)
        c = crosses(lab, str(family), CALLER, callee, INSIDE, relay)
        lengthen(c.a_rtp, VIDEO)
        c.talk().heard(5 * EVERY)
        equal(wire.fragmented(), 0, "in fragments before")

        def told():
            frag_needed(lab, c, LESS)
            return wire.fragmented()
        wait_for(told, 20, "fragments")
        shown = lab.node("ip", "route", "get", callee, "from", relay).stdout
        check(f"mtu {LESS}" in shown, "the kernel's exception:", shown)
        c.heard(3 * EVERY)
        pieces = [p for p in wire.heard() if p.more or p.offset]
        check(max(p.size for p in pieces) <= LESS, "sizes:", {p.size for p in pieces})
        wait_for(lambda: goes_no_way_up(c, lab, wire), 60, "as before")
        c.quiet()
        none_lost(c)
        if RUNG != "user":
            equal(c.flows()["a"]["plane"], "xdp", "plane")
            up, every = lab.drops()["up_mtu"], len(long_ones(c.a_rtp.rtp.sent))
            check(wire.fragmented() <= up < every, f"{up} passed up of {every} long ones")
        c.hang_up().gone()


def the_way_is_smaller(_):
    """a router tells of a smaller way (RFC 1191): long packets come in fragments until that is
    forgotten, the others go on as before, and none is lost"""
    smaller_way(4, CALLEE, OUTSIDE)


def the_way_is_smaller_in_ipv6(_):
    """the same of IPv6 (RFC 8201)"""
    smaller_way(6, CALLEE6, OUTSIDE6)


TESTS = [the_mtu_changes, the_way_is_smaller, the_way_is_smaller_in_ipv6, into_ipv6]

if __name__ == "__main__":
    tap.run(TESTS, make, final=nothing_left)
