#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Kamailio beside the node: a proxy in front of it and behind it, a registrar with phones, a trunk
that challenges, a registrar with which the node registers; over UDP, TCP and TLS."""
import contextlib

import netns
import sip
import tap
from baresip import Baresip
from calls import INSIDE, OUTSIDE, Call
from certs import Certs
from kamailio import Kamailio
from lab import CALLEE, CALLER, Lab, config, nothing_left
from tap import check, equal, wait_for

FRONTS = {"udp": "10.91.1.11", "tcp": "10.91.1.12", "tls": "10.91.1.13"}
BEHIND, SECURE, STREAM = "10.91.2.21", "10.91.2.22", "10.91.2.23"
SECRET = "their-secret"
BINDS = "udp:{0}:5060,tcp:{0}:5060,tls:{0}:5061"
PEERS = "".join(f"""
[front-{transport}]
type = peer
realm = inside
host = {ip}
transport = {transport}
[to-front-{transport}]
type = route
from = outside
match = _6{ip[-1]}X.
to = front-{transport}
""" for transport, ip in FRONTS.items()) + f"""
[alice]
type = peer
realm = inside
host = {CALLER}
[behind]
type = peer
realm = outside
host = {BEHIND}
remotesecret = {SECRET}
defaultuser = acc
[secure]
type = peer
realm = outside
host = {SECURE}
transport = tls
[stream]
type = peer
realm = outside
host = {STREAM}
transport = tcp
[bob]
type = peer
realm = outside
host = {CALLEE}
[to-bob]
type = route
from = inside
match = _7X.
to = bob
[to-behind]
type = route
from = inside
match = _8X.
to = behind
[to-secure]
type = route
from = inside
match = _5X.
to = secure
[to-stream]
type = route
from = inside
match = _3X.
to = stream
[to-alice]
type = route
from = outside
match = acc
to = alice
"""


def text(lab, **general):
    keys = {"tlscertfile": lab.certs.node, "tlscafile": lab.certs.ca, "tlsverify": "yes"}
    return config(lab, general, peers=PEERS, inside={"bind": BINDS.format(INSIDE), **keys},
                  outside={"bind": BINDS.format(OUTSIDE), **keys})


@contextlib.contextmanager
def make():
    with Lab(addresses=4) as lab:
        lab.certs = Certs(lab.dir)
        lab.start(text(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


@contextlib.contextmanager
def kamailio(lab, ip, **kw):
    ns, node = (lab.caller, INSIDE) if ip in FRONTS.values() else (lab.callee, OUTSIDE)
    k = Kamailio(lab, ns, ip, node, **kw)
    try:
        yield k
    except Exception:
        tap.diag("Kamailio: " + k.log()[-2000:])
        raise
    finally:
        k.stop()


def peer(lab, name):
    return next(p for p in lab.ctl("show", "peers") if p["name"] == name)


def phone_of(lab, ip, proxy):
    """A phone that sends all it says to a proxy."""
    phone = lab.phone(ip)
    phone.node = (proxy, 5060)
    return phone


def by_way_of(dialog, what, proxy):
    """The next such message of a dialog; it must have come through the proxy."""
    msg = dialog.expect(what)
    equal(msg.source[0], proxy, f"where {msg} came from")
    return msg


def learnt(lab, ip):
    """The node knows the link address of a phone whose SIP comes by way of somebody else: what
    becomes of the first packet to one that it does not know is no matter of these tests."""
    def known():
        with netns.udp(lab.node.name, "0.0.0.0") as sock:
            sock.sendto(b"", (ip, 9))
        return "lladdr" in lab.node("ip", "neigh", "show", ip).stdout
    wait_for(known, 5, f"the link address of {ip}")


def connect(c, timeout=5):
    """A call through proxies: who rings and answers; both descriptions are the relay's."""
    for phone in (c.a_phone, c.b_phone):
        learnt(c.lab, phone.ip)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number, timeout)
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    c.b.reply(c.b.invite, 200, c.b_sdp)
    ok = c.a.expect(200)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.a.ack(ok)
    return c


def offered(asker, other, sdp, by):
    """A re-INVITE of `asker` as it reaches `other`, answered, and its ACK; `by`: (the proxy before
    `other`, the proxy before `asker`), None where there is none."""
    asker.reinvite(sdp)
    got = other.expect("INVITE")
    equal(got.source[0], by[0] or other.phone.node[0], "where the re-INVITE came from")
    other.reply(got, 200, sip.sdp(other.phone.ip, 30000))
    answer = asker.expect("final")
    equal((answer.code, answer.source[0]), (200, by[1] or asker.phone.node[0]), "answer")
    asker.ack(answer)
    equal(other.expect("ACK").source[0], by[0] or other.phone.node[0], "where the ACK came from")


def whole_call(c, a_by=None, b_by=None, way="a"):
    """Audio, counted on both sides; a re-INVITE each way; BYE of one side: each message through the
    proxies, for that is what their Record-Route asks."""
    connect(c)
    equal(c.b.expect("ACK").source[0], b_by or c.b_phone.node[0], "where the ACK came from")
    c.talk().heard(25).quiet().whole()
    sent = [e.rtp.next for e in (c.a_rtp, c.b_rtp)]
    shown = next(x for x in c.lab.calls() if x["to"] == c.number)
    equal([shown[s]["rx_packets"] for s in "ab"], sent, "packets that the node received")
    offered(c.a, c.b, c.a_sdp + "a=sendonly\r\n", (b_by, a_by))
    offered(c.b, c.a, c.b_sdp.replace("4711 1", "4711 2"), (a_by, b_by))
    first, second = (c.a, c.b) if way == "a" else (c.b, c.a)
    first.request("BYE")
    by = b_by if way == "a" else a_by
    bye = by_way_of(second, "BYE", by or second.phone.node[0])
    equal(bye.all("route"), [], "routes left")
    second.reply(bye, 200)
    equal(first.expect("final").code, 200, "answer to BYE")
    wait_for(lambda: not c.lab.calls() and not c.lab.flows(), 3, "no call and no flow")


def in_front(lab, transport):
    """Calls into the node and out of it through a proxy before it."""
    ip = FRONTS[transport]
    tls = (lab.certs.front, lab.certs.ca) if transport == "tls" else None
    with kamailio(lab, ip, phone=f"{CALLER}:5060", transport=transport, tls=tls):
        a, b = phone_of(lab, CALLER, ip), lab.phone(CALLEE)
        for way in "ab":
            whole_call(Call(lab, a, b, lab.number("7")), a_by=ip, way=way)
        whole_call(Call(lab, b, a, lab.number(f"6{ip[-1]}")), b_by=ip)


def front(lab):
    """a proxy in front: requests of both sides go through it, by its Record-Route"""
    in_front(lab, "udp")


def front_tcp(lab):
    """the same where it speaks TCP with us: the Route set has two entries for one proxy"""
    in_front(lab, "tcp")


def front_tls(lab):
    """the same over TLS, certificates verified by both ends"""
    in_front(lab, "tls")


def cancelled(lab):
    """CANCEL through the proxy in front, and a refusal through it"""
    ip = FRONTS["udp"]
    with kamailio(lab, ip, phone=f"{CALLER}:5060"):
        a, b = phone_of(lab, CALLER, ip), lab.phone(CALLEE)
        c = Call(lab, a, b, lab.number("7"))
        c.a = a.call(c.number, c.a_sdp)
        c.b = b.incoming(c.number)
        c.b.reply(c.b.invite, 180)
        c.a.expect(180)
        c.a.cancel()
        c.b.reply(c.b.expect("CANCEL"), 200)
        c.b.reply(c.b.invite, 487)
        c.b.expect("ACK")
        c.a.ack(c.a.expect(487))
        d = b.call(lab.number(f"6{ip[-1]}"), sip.sdp(CALLEE, 20000))
        i = a.incoming()
        i.reply(i.invite, 486)
        final = d.expect("final")
        d.ack(final)
        equal(final.code, 486, "final answer")
        i.expect("ACK")


def behind(lab):
    """a proxy behind: to a phone by it and from that phone by it"""
    with kamailio(lab, BEHIND, phone=f"{CALLEE}:5060"):
        a, b = lab.phone(CALLER), phone_of(lab, CALLEE, BEHIND)
        for way in "ab":
            whole_call(Call(lab, a, b, lab.number("8")), b_by=BEHIND, way=way)


def behind_tcp(lab):
    """a proxy that is reached over TCP"""
    with kamailio(lab, STREAM, phone=f"{CALLEE}:5060", transport="tcp"):
        a, b = lab.phone(CALLER), phone_of(lab, CALLEE, STREAM)
        for way in "ab":
            whole_call(Call(lab, a, b, lab.number("3")), b_by=STREAM, way=way)


def behind_tls(lab):
    """a proxy that is reached over TLS, certificates verified by both ends"""
    with kamailio(lab, SECURE, phone=f"{CALLEE}:5060", transport="tls",
                  tls=(lab.certs.phone, lab.certs.ca)):
        a, b = lab.phone(CALLER), phone_of(lab, CALLEE, SECURE)
        for way in "ab":
            whole_call(Call(lab, a, b, lab.number("5")), b_by=SECURE, way=way)
        equal(lab.metrics()['rtpfwd_sip_connections{transport="tls"}'], 2,
              "connections, one that each end opened")


def untrusted(lab):
    """TLS: a proxy whose certificate is not for its address, is not signed by our authority, or
    that does not believe ours gets no call"""
    for cert, ca in ((lab.certs.elsewhere, lab.certs.ca), (lab.certs.stranger, lab.certs.ca),
                     (lab.certs.phone, lab.certs.other_ca)):
        with kamailio(lab, SECURE, phone=f"{CALLEE}:5060", transport="tls", tls=(cert, ca)):
            a, b = lab.phone(CALLER), lab.phone(CALLEE)
            d = a.call(lab.number("5"), sip.sdp(CALLER, 20000))
            final = d.expect("final", timeout=8)
            d.ack(final)
            equal(final.code, 503, f"answer with {cert}")
            b.none("INVITE")
        lab.clear()


def real_phone(lab):
    """baresip registers with Kamailio and is called through it, with audio"""
    with kamailio(lab, BEHIND, secret=SECRET):
        number = lab.number("8")
        b = Baresip(lab, lab.callee, CALLEE, number, 660, answers=True, account=(BEHIND, SECRET))
        b.ready()
        b.wait_log("200 OK")
        a = Baresip(lab, lab.caller, CALLER, "alice", 440)
        a.ready()
        a.dial(f"sip:{number}@{INSIDE}")
        for phone in (a, b):
            phone.wait_log("Call established")
        wait_for(lambda: min(c[s]["rx_packets"] for c in lab.calls() for s in "ab") >= 150, 15,
                 lambda: f"150 packets each way: {lab.calls()}")
        b.hangup()
        a.wait_log("terminated")
        wait_for(lambda: not lab.calls() and not lab.flows(), 3, "no call and no flow")
        for phone, hears in ((a, 660), (b, 440)):
            phone.stop()
            check(phone.heard(hears).good(2), f"{phone.user} heard {phone.heard(hears)}")


def trunk(lab):
    """a trunk that challenges INVITE, re-INVITE and BYE; what it lets through bears our name"""
    with kamailio(lab, BEHIND, phone=f"{CALLEE}:5060", secret=SECRET, challenges=True):
        before = lab.metrics()
        a, b = lab.phone(CALLER), phone_of(lab, CALLEE, BEHIND)
        c = connect(Call(lab, a, b, lab.number("8")))
        proven = [c.b.invite]
        c.b.expect("ACK")
        c.talk().heard(10).quiet().whole()
        c.a.reinvite(c.a_sdp + "a=sendonly\r\n")
        proven.append(c.b.expect("INVITE"))
        c.b.reply(proven[-1], 200, c.b_sdp)
        final = c.a.expect("final")
        c.a.ack(final)
        equal(final.code, 200, "answer to the re-INVITE")
        c.b.expect("ACK")
        c.a.request("BYE")
        proven.append(c.b.expect_bye())
        equal(c.a.expect("final").code, 200, "answer to BYE")
        equal([m.get("x-proved") for m in proven], ["acc"] * 3, "who was proven")
        equal([m.get("proxy-authorization") for m in proven], [None] * 3, "credentials beyond it")
        asked = [lab.metrics()[k] - before.get(k, 0) for k in (
            'rtpfwd_sip_responses_total{method="INVITE",code="407",direction="in"}',
            'rtpfwd_sip_responses_total{method="BYE",code="407",direction="in"}')]
        equal(asked, [2, 1], "challenges for INVITE and BYE")


def wrong_login(lab):
    """a trunk that does not take our secret: the caller hears 403, and no second try"""
    with kamailio(lab, BEHIND, phone=f"{CALLEE}:5060", secret="another", challenges=True):
        a, b = lab.phone(CALLER), phone_of(lab, CALLEE, BEHIND)
        d = a.call(lab.number("8"), sip.sdp(CALLER, 20000))
        final = d.expect("final")
        d.ack(final)
        equal(final.code, 403, "answer to the caller")
        b.none("INVITE")


def registers(lab):
    """the node registers with Kamailio, is called by that name, and takes it back"""
    with kamailio(lab, BEHIND, secret=SECRET, transport=None):
        b = phone_of(lab, CALLEE, BEHIND)
        lab.write(text(lab, register=f"acc:{SECRET}@behind"))
        lab.ctl("reload")
        wait_for(lambda: peer(lab, "behind")["registered"], 5, "registered")
        a = lab.phone(CALLER)
        whole_call(Call(lab, b, a, "acc"), a_by=BEHIND)
        lab.write(text(lab))
        lab.ctl("reload")
        wait_for(lambda: "registration acc@behind: unregistered (taken back)" in lab.log(), 5,
                 "taken back")
        d = b.call("acc", sip.sdp(CALLEE, 20000))
        final = d.expect("final")
        d.ack(final)
        equal(final.code, 404, "what Kamailio says of somebody who is not registered")
        a.none("INVITE")


TESTS = (front, front_tcp, front_tls, cancelled, behind, behind_tcp, behind_tls, untrusted,
         real_phone, trunk, wrong_login, registers)

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
