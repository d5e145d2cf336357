#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Peers whose hosts are names: looked up in the background, several servers, sources admitted."""
import contextlib
import struct
import threading

import netns
import sip
import tap
from calls import Call
from lab import CALLEE, CALLER, PEERS, Lab, config, nothing_left
from tap import check, equal, wait_for

A, SRV, NXDOMAIN, SERVFAIL = 1, 33, 3, 2
BEN = "10.91.2.21"
SERVICE = "_sip._udp.trunk.example"
MORE = """
[trunk]
type = peer
realm = outside
host = trunk.example
canreinvite = yes
[single]
type = peer
realm = outside
host = single.example:5062
[to-trunk]
type = route
from = inside
match = _91X.
to = trunk
timeout = 2
[to-single]
type = route
from = inside
match = _92X.
to = single
[from-trunk]
type = route
from = trunk
match = _93X.
to = alice
"""


def name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\0"


class Dns:
    """A server of the DNS on the node's loopback: `zone` maps (name, type) to lists of data."""

    def __init__(self, lab):
        self.sock = netns.udp(lab.node.name, "127.0.0.1", 5353)
        self.sock.settimeout(0.1)
        self.zone, self.code, self.asked, self.over = {}, 0, 0, False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def services(self, *rows):
        """(priority, weight, port, host name) each."""
        self.zone[(SERVICE, SRV)] = [struct.pack(">HHH", *row[:3]) + name(row[3]) for row in rows]

    def address(self, host, ip):
        self.zone[(host, A)] = [bytes(map(int, ip.split(".")))]

    def serve(self):
        while not self.over:
            try:
                query, source = self.sock.recvfrom(512)
            except OSError:
                continue
            self.asked += 1
            self.sock.sendto(self.answer(query), source)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = struct.unpack(">H", query[at + 1:at + 3])[0]
        host = ".".join(labels)
        found = [] if self.code else self.zone.get((host, kind), [])
        known = any(n == host for n, _ in self.zone)
        code = self.code or (0 if known else NXDOMAIN)
        head = query[:2] + struct.pack(">HHHHH", 0x8400 | code, 1, len(found), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(d)) + d
                           for d in found)
        return head + query[12:at + 5] + records

    def close(self):
        self.over = True
        self.thread.join()
        self.sock.close()


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.dns = Dns(lab)
        usual(lab)
        lab.start(config(lab, general={"dns": "127.0.0.1:5353"}, peers=PEERS + MORE))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()
        lab.dns.close()


def usual(lab):
    """near first, far when it fails."""
    lab.dns.code = 0
    lab.dns.services((10, 1, 5060, "near.example"), (20, 1, 5060, "far.example"))
    lab.dns.address("near.example", CALLEE)
    lab.dns.address("far.example", BEN)
    lab.dns.address("single.example", CALLEE)


def peer(lab, wanted):
    return next(p for p in lab.ctl("show", "peers") if p["name"] == wanted)


def resolved(lab, wanted, *addresses):
    wait_for(lambda: sorted(peer(lab, wanted)["addresses"]) == sorted(addresses), 5,
             lambda: f"{addresses}: {peer(lab, wanted)}")


def anew(lab):
    """A reload looks names up again; waits for the answers."""
    asked = lab.dns.asked
    lab.ctl("reload")
    wait_for(lambda: lab.dns.asked > asked, 5, "asked again")


def shown(lab):
    """show peers has the name and its addresses, the port of the service or the one written"""
    resolved(lab, "trunk", f"{CALLEE}:5060", f"{BEN}:5060")
    resolved(lab, "single", f"{CALLEE}:5062")
    equal((peer(lab, "trunk")["host"], peer(lab, "single")["host"]),
          ("trunk.example", "single.example:5062"), "hosts")
    equal(peer(lab, "bob")["addresses"], [], "addresses of a host by address")


def called(lab):
    """the request URI and To keep the name; the port that is written is the one called"""
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("91")).up()
    equal(c.b.invite.uri, f"sip:{c.number}@trunk.example", "request URI")
    equal(c.b.invite.address("to"), f"sip:{c.number}@trunk.example", "To")
    equal(c.show()["b"]["peer"], "trunk", "peer")
    c.talk().heard(10).quiet().whole()
    c.hang_up().gone()
    other = Call(lab, c.a_phone, lab.phone(CALLEE, port=5062), lab.number("92")).up()
    equal(other.b.invite.uri, f"sip:{other.number}@single.example:5062", "request URI")
    other.hang_up().gone()


def next_server(lab):
    """503 of the first server: the second is called, and comes first for a while"""
    a, near, far = lab.phone(CALLER), lab.phone(CALLEE), lab.phone(BEN)
    number = lab.number("91")
    d = a.call(number, sip.sdp(CALLER, 20000))
    i = near.incoming(number)
    i.reply(i.invite, 503)
    i.expect("ACK")
    j = far.incoming(number)
    j.reply(j.invite, 486)
    j.expect("ACK")
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 486, "final answer")
    again = lab.number("91")
    d = a.call(again, sip.sdp(CALLER, 20000))
    j = far.incoming(again)
    j.reply(j.invite, 486)
    d.ack(d.expect("final"))
    check(not [m for m in near.backlog if m.method == "INVITE"], "the failed one was called")


def silent_server(lab):
    """a server that says nothing within the route's timeout: the other is called"""
    lab.dns.services((10, 1, 5060, "mute.example"), (20, 1, 5060, "near.example"))
    lab.dns.address("mute.example", "10.91.2.66")
    anew(lab)
    resolved(lab, "trunk", "10.91.2.66:5060", f"{CALLEE}:5060")
    mute = lab.phone("10.91.2.66")
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("91"))
    c.a = c.a_phone.call(c.number, c.a_sdp)
    mute.incoming(c.number)
    c.b = c.b_phone.incoming(c.number, timeout=6)
    c.b_offer = c.b.invite.sdp
    c.relay_b = c.b_offer.rtp()
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    c.answer().hang_up().gone()
    usual(lab)


def ringing_is_an_answer(lab):
    """a server whose callee rings in vain is not left for another of the same name"""
    usual(lab)
    lab.stop()
    lab.start()
    resolved(lab, "trunk", f"{CALLEE}:5060", f"{BEN}:5060")
    a, near, far = lab.phone(CALLER), lab.phone(CALLEE), lab.phone(BEN)
    number = lab.number("91")
    d = a.call(number, sip.sdp(CALLER, 20000))
    i = near.incoming(number)
    i.reply(i.invite, 180)
    cancel = i.expect("CANCEL", timeout=6)
    i.reply(cancel, 200)
    i.reply(i.invite, 487)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 408, "final answer")
    far.none("INVITE", seconds=0.2)


def sources_admitted(lab):
    """every address of the name is admitted as that peer, also one that comes later"""
    resolved(lab, "trunk", f"{CALLEE}:5060", f"{BEN}:5060")
    lab.dns.services((10, 1, 5070, "new.example"))
    lab.dns.address("new.example", "10.91.2.66")
    stranger, alice = lab.phone("10.91.2.66", port=5070), lab.phone(CALLER)
    d = stranger.call(lab.number("93"), sip.sdp(stranger.ip, 20000))
    d.ack(d.expect(403))
    anew(lab)
    resolved(lab, "trunk", "10.91.2.66:5070")
    number = lab.number("93")
    d = stranger.call(number, sip.sdp(stranger.ip, 20000))
    i = alice.incoming(number)
    equal(lab.calls()[0]["a"]["peer"], "trunk", "peer")
    i.reply(i.invite, 486)
    d.ack(d.expect(486))
    usual(lab)
    anew(lab)
    resolved(lab, "trunk", f"{CALLEE}:5060", f"{BEN}:5060")
    d = stranger.call(lab.number("93"), sip.sdp(stranger.ip, 20000))
    d.ack(d.expect(403))


def last_known_stays(lab):
    """while the DNS fails, what was known is used"""
    resolved(lab, "trunk", f"{CALLEE}:5060", f"{BEN}:5060")
    lab.dns.code = SERVFAIL
    anew(lab)
    wait_for(lambda: "the DNS does not answer" in lab.log(), 10, "a line in the log")
    equal(sorted(peer(lab, "trunk")["addresses"]), sorted([f"{CALLEE}:5060", f"{BEN}:5060"]),
          "addresses")
    Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number("91")).up().hang_up().gone()
    usual(lab)


def unknown_name(lab):
    """a name that leads nowhere: the daemon starts, its calls get 503, the others go on"""
    lab.stop()
    lab.dns.zone.clear()
    lab.start()
    equal(peer(lab, "trunk")["addresses"], [], "addresses")
    a = lab.phone(CALLER)
    d = a.call(lab.number("91"), sip.sdp(CALLER, 20000))
    d.ack(d.expect(503))
    Call(lab, a, lab.phone(CALLEE), lab.number("7")).up().hang_up().gone()
    usual(lab)
    anew(lab)
    resolved(lab, "trunk", f"{CALLEE}:5060", f"{BEN}:5060")


TESTS = [shown, called, next_server, silent_server, ringing_is_an_answer, sources_admitted,
         last_known_stays, unknown_name]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
