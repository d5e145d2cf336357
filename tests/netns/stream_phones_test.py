#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones that register over TCP and TLS: calls to them use the connection that they keep open."""
import contextlib

import sip
import stream
import tap
from baresip import Baresip
from calls import INSIDE, Call
from certs import Certs
from lab import CALLEE, CALLER, Lab, config, nothing_left
from registrant import Registrant, bound
from tap import check, equal, wait_for

SECOND = "10.91.1.11"
PEERS = """
[phone](!)
type = friend
realm = inside
host = dynamic
secret = s3cret
canreinvite = no
[alice](phone)
[anna](phone)
[tcponly](phone)
transport = tcp
[bob]
type = peer
realm = outside
host = 10.91.2.20
[out]
type = route
from = inside
match = _7X.
to = bob
[byname]
type = route
to = registered
"""


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.certs = Certs(lab.dir)
        lab.start(config(lab, peers=PEERS, inside={
            "bind": f"udp:{INSIDE}:5060,tcp:{INSIDE}:5060,tls:{INSIDE}:5061",
            "tlscertfile": lab.certs.node}))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def tls_of(lab, kind):
    """A phone's TLS believes in the lab's authority, and has no certificate of its own."""
    return stream.Tls(ca=lab.certs.ca) if kind == "tls" else None


def phone(lab, kind, user="alice", ip=CALLER, port=None):
    """A phone that listens nowhere (but at `port`): what comes to it comes over its connection."""
    tls = tls_of(lab, kind)
    node = (INSIDE, 5061 if tls else 5060)
    return Registrant(stream.StreamPhone(lab, lab.caller.name, ip, node, port, user, tls), user,
                      "s3cret")


def peer(lab, name):
    return next(p for p in lab.ctl("show", "peers") if p["name"] == name)


def called(lab, b, p, contact):
    """A call to a registered phone as it comes in, with its audio; the phone hangs up."""
    c = Call(lab, b, p.phone, p.user)
    c.a = b.call(p.user, c.a_sdp)
    c.b = p.phone.incoming()
    equal(c.b.invite.uri, contact, "request URI")
    stream.via_is(c.b.invite, p.phone.transport, f"{INSIDE}:{p.phone.node[1]}")
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.answer().talk().heard(10).quiet().whole()
    c.b.request("BYE")
    c.a.expect_bye()
    equal(c.b.expect("final").code, 200, "answer to BYE")
    c.gone()


def calls_of(lab, p):
    """Registered: called and calling over one connection; then unregistered."""
    b = lab.phone(CALLEE)
    answer = p.register(expires=60)
    equal((answer.code, list(bound(answer))), (200, [p.contact[1:-1]]), "answer to REGISTER")
    shown = peer(lab, p.user)["contacts"][0]
    local = "%s:%d" % p.phone.conns[p.phone.node].getsockname()[:2]
    equal((shown["uri"], shown["address"]), (p.contact[1:-1], local), "contact")
    called(lab, b, p, p.contact[1:-1])
    c = Call(lab, p.phone, b, lab.number("7"))
    c.a = p.call(c.number, c.a_sdp)
    c.b = b.incoming(c.number)
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.answer().talk().heard(10).quiet().whole()
    c.b.request("BYE")
    c.a.expect_bye()
    equal(c.b.expect("final").code, 200, "answer to BYE")
    c.gone()
    equal(list(p.phone.conns), [p.phone.node], "connections")
    equal(p.register("*", 0).code, 200, "unregistering")


def tcp(lab):
    """TCP: REGISTER, calls both ways and BYE from the node over one connection"""
    calls_of(lab, phone(lab, "tcp"))


def tls(lab):
    """TLS: the same; the phone verifies the node's certificate and has none itself"""
    calls_of(lab, phone(lab, "tls"))


def behind_nat(lab):
    """a Contact of another address: the connection counts, not what it says"""
    p, b = phone(lab, "tcp"), lab.phone(CALLEE)
    contact = "<sip:alice@192.168.7.7:5060;transport=tcp;line=1>"
    equal(p.register(contact, 60).code, 200, "answer")
    called(lab, b, p, contact[1:-1])
    equal(p.register("*", 0).code, 200, "unregistering")


def kept_alive(lab):
    """CRLF CRLF keeps the connection, and is answered, between two calls"""
    for kind in ("tcp", "tls"):
        p, b = phone(lab, kind), lab.phone(CALLEE)
        equal(p.register(expires=60).code, 200, "answer")
        sock = p.phone.conns[p.phone.node]
        sock.sendall(b"\r\n\r\n")
        equal(sock.recv(16), b"\r\n", "pong")
        called(lab, b, p, p.contact[1:-1])
        equal(p.register("*", 0).code, 200, "unregistering")
        lab.clear()


def refused(lab, b, user):
    """How a call to a phone ends that cannot be reached, without a wait."""
    d = b.call(user, sip.sdp(CALLEE, 20000))
    final = d.expect("final", timeout=5)
    d.ack(final)
    return final.code


def lost(lab):
    """a phone whose connection is gone: its caller hears so at once; when it registers again over
    another connection there is one binding, and it is called over that one"""
    for kind in ("tcp", "tls"):
        p, b = phone(lab, kind), lab.phone(CALLEE)
        equal(p.register(expires=60).code, 200, "answer")
        p.phone.hang_up()
        wait_for(lambda: lab.metrics()[f'rtpfwd_sip_connections{{transport="{kind}"}}'] == 0, 5,
                 "no connection")
        equal(refused(lab, b, "alice"), 503, "answer to the caller")
        p.challenge = None
        answer = p.register(expires=60)
        equal(list(bound(answer)), [p.contact[1:-1]], "bound")
        called(lab, b, p, p.contact[1:-1])
        equal(p.register("*", 0).code, 200, "unregistering")
        lab.clear()


def lost_ringing(lab):
    """the connection is gone while the phone rings: the answer comes over another, and the call
    goes on"""
    p, b = phone(lab, "tcp", port=5060), lab.phone(CALLEE)
    equal(p.register(expires=60).code, 200, "answer")
    c = Call(lab, b, p.phone, "alice")
    c.a = b.call("alice", c.a_sdp)
    c.b = p.phone.incoming()
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    p.phone.hang_up()
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.b.node = c.b.invite.source = p.phone.node
    c.answer().talk().heard(10).quiet().whole()
    c.a.request("BYE")
    c.b.expect_bye()
    equal(c.a.expect("final").code, 200, "answer to BYE")
    c.gone()
    p.challenge = None
    equal(p.register("*", 0).code, 200, "unregistering")


def elsewhere(lab):
    """two phones of one name, one over TCP and one over UDP: where the connection is gone the other
    rings"""
    over_udp = Registrant(lab.phone(SECOND), "alice", "s3cret")
    p, b = phone(lab, "tcp"), lab.phone(CALLEE)
    for r in (over_udp, p):
        equal(r.register(expires=60).code, 200, "answer")
    p.phone.hang_up()
    wait_for(lambda: lab.metrics()['rtpfwd_sip_connections{transport="tcp"}'] == 0, 5,
             "no connection")
    d = b.call("alice", sip.sdp(CALLEE, 20000))
    i = over_udp.phone.incoming(timeout=5)
    i.reply(i.invite, 486)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 486, "final answer")
    i.expect("ACK")
    equal(over_udp.register("*", 0).code, 200, "unregistering")


def its_transport(lab):
    """a phone with transport = tcp does not register over UDP"""
    p = Registrant(lab.phone(SECOND), "tcponly", "s3cret")
    equal(p.register(expires=60).code, 403, "over UDP")
    over_tcp = phone(lab, "tcp", "tcponly")
    equal(over_tcp.register(expires=60).code, 200, "over TCP")
    equal(over_tcp.register("*", 0).code, 200, "unregistering")


def real_phones(lab):
    """baresip registers over TCP and over TLS, and one calls the other by name, with audio"""
    a = Baresip(lab, lab.caller, CALLER, "alice", 440, account=(INSIDE, "s3cret"), transport="tcp")
    b = Baresip(lab, lab.caller, SECOND, "anna", 660, answers=True,
                account=(f"{INSIDE}:5061", "s3cret"), transport="tls", cafile=lab.certs.ca)
    for p in (a, b):
        p.ready()
    wait_for(lambda: lab.metrics()["rtpfwd_registrations"] == 2, 15,
             lambda: f"both registered; {a.log()[-1500:]}{b.log()[-1500:]}")
    for kind in ("tcp", "tls"):
        equal(lab.metrics()[f'rtpfwd_sip_connections{{transport="{kind}"}}'], 1, kind)
    a.dial(f"sip:anna@{INSIDE};transport=tcp")
    for p in (a, b):
        p.wait_log("Call established")
    wait_for(lambda: min(c[s]["rx_packets"] for c in lab.calls() for s in "ab") >= 150, 15,
             "150 packets each way")
    a.hangup()
    b.wait_log("terminated")
    for p, hears in ((a, 660), (b, 440)):
        p.stop()
        check(p.heard(hears).good(2), f"{p.user} heard {p.heard(hears)}")
    wait_for(lambda: lab.metrics()["rtpfwd_registrations"] == 0, 10, "registrations taken back")


TESTS = (tcp, tls, behind_nat, kept_alive, lost, lost_ringing, elsewhere, its_transport,
         real_phones)

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
