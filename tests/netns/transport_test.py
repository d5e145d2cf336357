#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP over TCP and TLS: calls, connections that come, go and never say anything, large requests."""
import contextlib
import resource
import socket
import struct
import time

import certs
import netns
import sip
import stream
import tap
from calls import INSIDE, OUTSIDE, Call
from lab import CALLEE, CALLER, Lab, config, nothing_left
from sipp import Sipp
from stream import StreamPhone, via_is
from tap import check, equal, wait_for

INSIDE6, CALLER6 = "fd91:1::1", "fd91:1::10"
BINDS = "udp:{0}:5060,tcp:{0}:5060,tls:{0}:5061"
PEERS = """
[alice]
type = peer
realm = inside
host = 10.91.1.10
[anna]
type = peer
realm = inside
host = 10.91.1.11
transport = tcp
[six]
type = peer
realm = inside
host = fd91:1::10
transport = udp,tcp
[bob]
type = peer
realm = outside
host = 10.91.2.20
transport = udp,tcp
[ben]
type = peer
realm = outside
host = 10.91.2.21
transport = tcp
[bea]
type = peer
realm = outside
host = 10.91.2.22
transport = tls
[to-bob]
type = route
from = inside
match = _7X.
to = bob
[to-ben]
type = route
from = inside
match = _8X.
to = ben
[to-bea]
type = route
from = inside
match = _5X.
to = bea
[to-alice]
type = route
from = outside
match = _6X.
to = alice
[to-six]
type = route
from = outside
match = _4X.
to = six
"""
SOURCES_MAX = 256       # connections from one address
SLOW_S = 10             # a message must be whole after that


def settings(lab, verify="no"):
    keys = {"tlscertfile": lab.certs.node, "tlscafile": lab.certs.ca, "tlsverify": verify}
    return config(
        lab, peers=PEERS,
        inside={"bind": f"{BINDS.format(INSIDE)},{BINDS.format(f'[{INSIDE6}]')},"
                        f"tcp:{INSIDE}:5070", **keys},
        outside={"bind": BINDS.format(OUTSIDE), **keys})


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.certs = certs.Certs(lab.dir)
        lab.node("ip", "addr", "add", f"{INSIDE6}/64", "dev", "in0", "nodad")
        lab.caller("ip", "addr", "add", f"{CALLER6}/64", "dev", "eth0", "nodad")
        lab.start(settings(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def caller(lab, ip=CALLER, port=None, tls=None, **kw):
    node = (INSIDE6 if ":" in ip else INSIDE, 5061 if tls else 5060)
    return StreamPhone(lab, lab.caller.name, ip, node, port, "alice", tls, **kw)


def callee(lab, ip, port=5060, tls=None, **kw):
    return StreamPhone(lab, lab.callee.name, ip, (OUTSIDE, 5061 if tls else 5060), port, "bob",
                       tls, **kw)


def through(lab, a, b, prefix):
    """A whole call with audio: both phones heard all of it, nothing was sent twice."""
    before = lab.metrics()["rtpfwd_sip_retransmits_total"]
    c = Call(lab, a, b, lab.number(prefix)).up().talk().heard(20).quiet().whole()
    c.hang_up().gone()
    equal(lab.metrics()["rtpfwd_sip_retransmits_total"] - before, 0, "sent again by the node")
    equal((a.repeats, b.repeats), (0, 0), "heard again")
    return c


def tcp_to_udp(lab):
    """from TCP to UDP: each leg names its own transport"""
    a, b = caller(lab), lab.phone(CALLEE, user="bob")
    c = through(lab, a, b, "7")
    via_is(c.b.invite, "UDP", f"{OUTSIDE}:5060")
    equal(c.b.invite.address("contact"), f"sip:{OUTSIDE}:5060", "Contact to UDP")
    equal(c.a.target, f"sip:{INSIDE}:5060;transport=tcp", "Contact to TCP")
    equal(len(a.conns), 1, "connections of the caller")


def udp_to_tcp(lab):
    """from UDP to a peer with transport = tcp: one connection for the call, and for the next"""
    a, b = lab.phone(CALLER, user="alice"), callee(lab, "10.91.2.21")
    c = through(lab, a, b, "8")
    via_is(c.b.invite, "TCP", f"{OUTSIDE}:5060")
    check(c.b.invite.uri.endswith("@10.91.2.21:5060;transport=tcp"), c.b.invite.uri)
    equal(c.b.invite.address("to"), c.b.invite.uri.replace(";transport=tcp", ""), "To")
    equal(c.b.invite.address("contact"), f"sip:{OUTSIDE}:5060;transport=tcp", "Contact")
    through(lab, a, b, "8")
    equal(len(b.conns), 1, "connections with the callee")


def tls_to_tls(lab):
    """both legs over TLS, nobody's certificate verified"""
    a = caller(lab, tls=stream.Tls(ca=lab.certs.ca))
    b = callee(lab, "10.91.2.22", 5061, stream.Tls(lab.certs.stranger))
    c = through(lab, a, b, "5")
    via_is(c.b.invite, "TLS", f"{OUTSIDE}:5061")
    equal(c.b.invite.address("contact"), f"sip:{OUTSIDE}:5061;transport=tls", "Contact")
    check(c.b.invite.uri.endswith("@10.91.2.22:5061;transport=tls"), c.b.invite.uri)


def ipv6(lab):
    """signalling over IPv6 with media over IPv4, TCP in and UDP out"""
    a, b = caller(lab, CALLER6), lab.phone(CALLEE, user="bob")
    a.media_ip = CALLER
    c = Call6(lab, a, b, lab.number("7")).up().talk().heard(10).quiet().whole()
    equal(c.a.target, f"sip:[{INSIDE6}]:5060;transport=tcp", "Contact")
    c.hang_up().gone()


class Call6(Call):
    """The caller signals over IPv6 and listens for media on IPv4."""

    def __init__(self, lab, a_phone, b_phone, number):
        address, a_phone.ip = a_phone.ip, a_phone.media_ip
        super().__init__(lab, a_phone, b_phone, number)
        a_phone.ip = address


def second_bind(lab):
    """who comes by the second TCP bind is answered from it, and called back by its connection"""
    a, b = caller(lab), lab.phone(CALLEE, user="bob")
    a.node = (INSIDE, 5070)
    c = Call(lab, a, b, lab.number("7")).up()
    equal(c.a.target, f"sip:{INSIDE}:5070;transport=tcp", "Contact")
    c.b.request("BYE")
    via_is(c.a.expect_bye(), "TCP", f"{INSIDE}:5070")
    equal(c.b.expect("final").code, 200, "answer to BYE")
    equal(list(a.conns), [(INSIDE, 5070)], "connections")
    c.gone()


def big(ip, port, n=1400):
    return sip.sdp(ip, port, extra=[f"a=x-{i}:{'y' * 80}" for i in range(n // 90)])


def pitfall_32_large_over_tcp(lab):
    """an INVITE over 1300 bytes moves to TCP, what follows stays on UDP"""
    a, b = lab.phone(CALLER, user="alice"), callee(lab, CALLEE)
    quiet = lab.phone(CALLEE, user="bob")
    number = lab.number("7")
    d = a.call(number, big(CALLER, 20000))
    i = b.incoming(number)
    check(len(i.invite.bytes()) > 1300, "the INVITE is large")
    via_is(i.invite, "TCP", f"{OUTSIDE}:5060")
    equal(i.invite.address("contact"), f"sip:{OUTSIDE}:5060", "Contact")
    quiet.none("INVITE")
    b.params = ""
    i.reply(i.invite, 200, sip.sdp(CALLEE, 20000))
    d.ack(d.expect(200))
    ack = quiet.expect("ACK", call_id=i.call_id)
    via_is(ack, "UDP", f"{OUTSIDE}:5060")
    d.request("BYE")
    bye = quiet.expect("BYE", call_id=i.call_id)
    via_is(bye, "UDP", f"{OUTSIDE}:5060")
    quiet.send(i.reply(bye, 200, send=False), bye.source)
    equal(d.expect("final").code, 200, "answer to BYE")


def large_back_to_udp(lab):
    """where TCP is refused the large INVITE goes over UDP at once"""
    a, b = lab.phone(CALLER, user="alice"), lab.phone(CALLEE, user="bob")
    number = lab.number("7")
    d = a.call(number, big(CALLER, 20000))
    i = b.incoming(number, timeout=3)
    check(len(i.invite.bytes()) > 1300, "the INVITE is large")
    via_is(i.invite, "UDP", f"{OUTSIDE}:5060")
    i.reply(i.invite, 486)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 486, "final answer")
    i.expect("ACK")


def refused(lab):
    """nobody listens at the peer: 503 without a wait"""
    a = lab.phone(CALLER, user="alice")
    d = a.call(lab.number("8"), sip.sdp(CALLER, 20000))
    final = d.expect("final", timeout=3)
    d.ack(final)
    equal(final.code, 503, "final answer")


def closed_before_response(lab):
    """the callee takes the INVITE and closes: 503 without a wait"""
    a, b = lab.phone(CALLER, user="alice"), callee(lab, "10.91.2.21")
    number = lab.number("8")
    d = a.call(number, sip.sdp(CALLER, 20000))
    b.incoming(number)
    b.hang_up()
    final = d.expect("final", timeout=3)
    d.ack(final)
    equal(final.code, 503, "final answer")


def closed_while_ringing(lab):
    """the callee rings, closes, and answers over a new connection"""
    a, b = lab.phone(CALLER, user="alice"), callee(lab, "10.91.2.21")
    number = lab.number("8")
    d = a.call(number, sip.sdp(CALLER, 20000))
    i = b.incoming(number)
    i.reply(i.invite, 180)
    d.expect(180)
    b.hang_up()
    i.invite.source = b.node
    i.reply(i.invite, 200, sip.sdp("10.91.2.21", 20000))
    d.ack(d.expect(200))
    i.expect("ACK")
    d.request("BYE")
    i.expect_bye()
    equal(d.expect("final").code, 200, "answer to BYE")


def closed_mid_call(lab):
    """both sides close during the call: each BYE opens a connection of its own"""
    for side in ("a", "b"):
        a, b = caller(lab, "10.91.1.11", 5060), callee(lab, "10.91.2.21")
        c = Call(lab, a, b, lab.number("8")).up()
        for phone in (a, b):
            phone.hang_up()
        if side == "b":
            c.b.node = b.node
            c.b.request("BYE")
            c.a.expect_bye()
            equal(c.b.expect("final").code, 200, "answer to BYE")
        else:
            c.hang_up()
        c.gone()
        lab.clear()


def answer_over_new_connection(lab):
    """the caller closes while it rings: the 200 goes to the port in its Via"""
    a, b = caller(lab, "10.91.1.11", 5060), lab.phone(CALLEE, user="bob")
    c = Call(lab, a, b, lab.number("7")).ring()
    a.hang_up()
    c.answer()
    c.hang_up().gone()


def ask(phone):
    """One OPTIONS and its answer."""
    return phone.expect(200, call_id=phone.ask("OPTIONS").call_id)


def pieces(lab):
    """a message byte by byte, and three in one segment"""
    a = caller(lab)
    first = sip.Msg("OPTIONS", f"sip:{INSIDE}", headers=[
        ("Via", f"SIP/2.0/TCP {CALLER}:5060;branch=z9hG4bK{sip.token()}"), ("Max-Forwards", "70"),
        ("From", f"<sip:alice@{CALLER}>;tag=1"), ("To", f"<sip:{INSIDE}>"),
        ("Call-ID", sip.token(12)), ("CSeq", "1 OPTIONS")], body=b"abc")
    for byte in first.bytes():
        a.send_raw(bytes([byte]))
    a.expect(200, call_id=first.call_id)
    ids = []
    data = b"\r\n"
    for _ in range(3):
        first.set("Call-ID", sip.token(12))
        first.set("Via", f"SIP/2.0/TCP {CALLER}:5060;branch=z9hG4bK{sip.token()}")
        ids.append(first.call_id)
        data += first.bytes()
    a.send_raw(data)
    for call_id in ids:
        a.expect(200, call_id=call_id)
    equal(len(a.conns), 1, "connections")


def ping(lab):
    """CRLF CRLF is answered by CRLF"""
    for tls in (None, stream.Tls()):
        a = caller(lab, tls=tls)
        sock = a.connect()
        sock.sendall(b"\r\n\r\n")
        equal(sock.recv(100), b"\r\n", "pong")
        ask(a)


def stun(lab):
    """a binding request on the UDP port of SIP is told its address"""
    sock = netns.udp(lab.caller.name, CALLER, 5066)
    sock.settimeout(3)
    request = struct.pack("!HHI12s", 1, 0, 0x2112A442, b"transaction1")
    sock.sendto(request, (INSIDE, 5060))
    want = struct.pack("!HHI12sHHHH4s", 0x0101, 12, 0x2112A442, b"transaction1", 0x20, 8, 1,
                       5066 ^ 0x2112, bytes(x ^ y for x, y in zip(socket.inet_aton(CALLER),
                                                                  b"\x21\x12\xa4\x42")))
    equal(sock.recv(100), want, "answer")
    sock.close()


def pitfall_33_bad_framing(lab):
    """what has no end is refused where it can be, and the connection closed"""
    a = caller(lab)
    head = a.ask("OPTIONS").bytes().split(b"Content-Length")[0]
    a.expect(200)
    before = lab.metrics()["rtpfwd_sip_malformed_total"]
    for tail, line in ((b"\r\n", b"SIP/2.0 400 Missing Content-Length\r\n"),
                       (b"Content-Length: -5\r\n\r\n", b"SIP/2.0 400 Bad Content-Length\r\n"),
                       (b"Content-Length: 99999\r\n\r\n", b"SIP/2.0 513 Message Too Large\r\n")):
        sock = stream.dial(lab.caller.name, CALLER, (INSIDE, 5060))
        sock.sendall(head + tail)
        heard = stream.read_to_end(sock)
        check(heard.startswith(line) and heard.endswith(b"\r\n\r\n") and
              heard.count(b"\r\n\r\n") == 1, f"heard {heard!r}")
        sock.close()
    equal(lab.metrics()["rtpfwd_sip_malformed_total"] - before, 3, "malformed")
    for garbage in (b"\x16\x03\x01\x00\x05hello", b"<stream>", b"A" * 20000):
        sock = stream.dial(lab.caller.name, CALLER, (INSIDE, 5060))
        with contextlib.suppress(ConnectionError):
            sock.sendall(garbage)
        equal(stream.read_to_end(sock), b"", "answer to garbage")
        sock.close()


def slow_sender(lab):
    """a message that is not whole in time, and a connection without a word, are cut off"""
    silent = stream.dial(lab.caller.name, CALLER, (INSIDE, 5060))
    shy = stream.dial(lab.caller.name, CALLER, (INSIDE, 5061))      # begins no handshake
    slow = stream.dial(lab.caller.name, CALLER, (INSIDE, 5060))
    slow.sendall(b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x")
    a = caller(lab)
    ask(a)
    for sock in (silent, shy, slow):
        equal(stream.read_to_end(sock, SLOW_S + 10), b"", "heard")
        sock.close()
    ask(a)
    equal(len(a.conns), 1, "the good connection stays")


def fault_21_half_messages(lab):
    """10,000 half messages from one address: few are kept, others call undisturbed"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    key = "rtpfwd_sip_connections_turned_away_total"
    turned_away, rss = lab.metrics()[key], lab.rss_kb()
    held = []
    try:
        for _ in range(10000):
            sock = stream.dial(lab.caller.name, "10.91.1.12", (INSIDE, 5060))
            held.append(sock)
            with contextlib.suppress(OSError):
                sock.send(b"INVITE sip:1@x SIP/2.0\r\nVia: SIP/2.0/TCP x")
        a, b = caller(lab), lab.phone(CALLEE, user="bob")
        through(lab, a, b, "7")
        wait_for(lambda: lab.metrics()[key] - turned_away >= 10000 - 2 * SOURCES_MAX, 10,
                 lambda: f"turned away: {lab.metrics()[key] - turned_away}")
        check(lab.metrics()['rtpfwd_sip_connections{transport="tcp"}'] <= SOURCES_MAX + 1,
              "connections are bounded")
        check(lab.rss_kb() - rss < 64 << 10, f"memory: {rss} to {lab.rss_kb()} KB")
    finally:
        for sock in held:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: lab.metrics()['rtpfwd_sip_connections{transport="tcp"}'] <= 2, 10,
             "connections gone with their far ends")


def per_source(lab):
    """one more than the limit is turned away; when one ends there is room again"""
    socks = [stream.dial(lab.caller.name, "10.91.1.12", (INSIDE, 5060))
             for _ in range(SOURCES_MAX)]
    for sock in socks:
        sock.sendall(b"\r\n\r\n")
        equal(sock.recv(10), b"\r\n", "pong")
    more = stream.dial(lab.caller.name, "10.91.1.12", (INSIDE, 5060))
    equal(stream.read_to_end(more), b"", "heard by one too many")
    ask(caller(lab))
    socks.pop().close()

    def again():
        sock = stream.dial(lab.caller.name, "10.91.1.12", (INSIDE, 5060))
        with contextlib.suppress(OSError):
            sock.sendall(b"\r\n\r\n")
            if sock.recv(10) == b"\r\n":
                return sock
        sock.close()
        return None
    socks.append(wait_for(again, 5, "room again"))
    for sock in socks + [more]:
        sock.close()


def not_its_transport(lab):
    """a peer with transport = tcp may not ask over UDP"""
    key = 'rtpfwd_sip_rejected_total{reason="transport"}'
    before = lab.metrics().get(key, 0)
    lab.phone("10.91.1.11").ask("OPTIONS")
    lab.phones[-1].expect(403)
    equal(lab.metrics()[key] - before, 1, "rejected")
    ask(caller(lab, "10.91.1.11"))


def no_param(lab):
    """a Contact without a transport parameter is one of the transport that it came by"""
    a, b = caller(lab, "10.91.1.11", 5060, params=False), callee(lab, "10.91.2.21", params=False)
    through(lab, a, b, "8")


def contact_elsewhere(lab):
    """a Contact with transport=tcp takes a UDP dialog to TCP"""
    a, b = lab.phone(CALLER, user="alice"), lab.phone(CALLEE, user="bob")
    ear = callee(lab, CALLEE)
    number = lab.number("7")
    d = a.call(number, sip.sdp(CALLER, 20000))
    i = b.incoming(number)
    b.params = ";transport=tcp"
    i.reply(i.invite, 200, sip.sdp(CALLEE, 20000))
    d.ack(d.expect(200))
    ack = ear.expect("ACK", call_id=i.call_id)
    via_is(ack, "TCP", f"{OUTSIDE}:5060")
    d.request("BYE")
    bye = ear.expect("BYE", call_id=i.call_id)
    ear.send(i.reply(bye, 200, send=False), bye.source)
    equal(d.expect("final").code, 200, "answer to BYE")


def routed_over_tcp(lab):
    """the first route decides: with transport=tcp a UDP dialog goes on over TCP"""
    a, b = lab.phone(CALLER, user="alice"), lab.phone(CALLEE, user="bob")
    proxy = callee(lab, "10.91.2.22", 5062)
    number = lab.number("7")
    d = a.call(number, sip.sdp(CALLER, 20000))
    i = b.incoming(number)
    route = "<sip:10.91.2.22:5062;transport=tcp;lr>"
    i.reply(i.invite, 200, sip.sdp(CALLEE, 20000), headers=[("Record-Route", route)])
    d.ack(d.expect(200))
    ack = proxy.expect("ACK", call_id=i.call_id)
    equal((ack.get("route"), ack.uri), (route, f"sip:bob@{CALLEE}:5060"), "Route and URI")
    via_is(ack, "TCP", f"{OUTSIDE}:5060")
    d.request("BYE")
    bye = proxy.expect("BYE", call_id=i.call_id)
    proxy.send(i.reply(bye, 200, send=False), bye.source)
    equal(d.expect("final").code, 200, "answer to BYE")


def sipp(lab):
    """a program that we did not write: calls over one connection, and over one for each"""
    before = lab.metrics()["rtpfwd_sip_retransmits_total"]
    for way in ("t1", "tn"):
        server = Sipp(lab, lab.callee, "uas", "10.91.2.21", 50, "-t", "t1",
                      kind=socket.SOCK_STREAM).listening()
        client = Sipp(lab, lab.caller, "uac", CALLER, 50, "-t", way, "-max_socket", 100, "-s",
                      "8000", "-r", 50, "-d", 200, f"{INSIDE}:5060", kind=socket.SOCK_STREAM)
        equal(client.end(), 0, f"caller: {client.errors()}")
        equal(client.count("SuccessfulCall(C)"), 50, "successful calls")
        equal(server.end(15), 0, f"callee: {server.errors()}")
    equal(lab.metrics()["rtpfwd_sip_retransmits_total"] - before, 0, "sent again by the node")


def verify(lab):
    """tlsverify = yes: only whom the authority signed, in and out"""
    lab.stop()
    lab.start(settings(lab, "yes"))
    good, other = stream.Tls(lab.certs.phone), stream.Tls(lab.certs.stranger)
    ask(caller(lab, tls=good))
    for tls in (other, stream.Tls()):
        unheard(lab, tls)
    for tls, code in ((other, 503), (stream.Tls(lab.certs.elsewhere), 503), (good, 486)):
        a, b = caller(lab, tls=good), callee(lab, "10.91.2.22", 5061, tls)
        number = lab.number("5")
        d = a.call(number, sip.sdp(CALLER, 20000))
        if code == 486:
            i = b.incoming(number)
            i.reply(i.invite, 486)
        else:
            wait_for(lambda: b._hear(0.1), 5, "a handshake")
        final = d.expect("final", timeout=5)
        d.ack(final)
        equal(final.code, code, "final answer")
        lab.clear()
    lab.stop()
    lab.start(settings(lab))


def unheard(lab, tls):
    """A connection with these certificates gets no answer, but an end."""
    a = caller(lab, tls=tls)
    try:
        a.ask("OPTIONS")
        a.closed()
    except OSError:
        pass
    equal([m for m in a.backlog if m.code], [], "answers")


TESTS = (tcp_to_udp, udp_to_tcp, tls_to_tls, ipv6, second_bind, pitfall_32_large_over_tcp,
         large_back_to_udp, refused, closed_before_response, closed_while_ringing, closed_mid_call,
         answer_over_new_connection, pieces, ping, stun, pitfall_33_bad_framing, no_param,
         contact_elsewhere, routed_over_tcp, not_its_transport, per_source, slow_sender,
         fault_21_half_messages, sipp, verify)

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
