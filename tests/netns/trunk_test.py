#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The node towards those that ask it who it is: trunks that challenge, registrars, and peers that
are probed."""
import signal

import digest
import sip
import tap
from calls import Call
from digest import again, challenge
from lab import CALLEE, CALLER, OUTSIDE, config, nothing_left, running
from phone import Dialog
from tap import check, equal, wait_for

PROBED, BACKUP = "10.91.2.21", "10.91.2.22"
PEERS = """
[alice]
type = peer
realm = inside
host = 10.91.1.10
[trunk]
type = peer
realm = outside
host = 10.91.2.20
canreinvite = yes
remotesecret = their-secret
defaultuser = acc
fromuser = 4930
fromdomain = provider.example
[probed]
type = peer
realm = outside
host = 10.91.2.21
qualify = 300
qualifyfreq = 5
[backup]
type = peer
realm = outside
host = 10.91.2.22
[out]
type = route
from = inside
match = _7X.
to = trunk
[safe]
type = route
from = inside
match = _9X.
to = probed,backup
[in]
type = route
from = outside
to = alice
"""
ALLOW = ("Allow", "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK")


def make():
    return running(lambda lab: config(lab, peers=PEERS))


def peer(lab, name):
    return next(p for p in lab.ctl("show", "peers") if p["name"] == name)


def invited(lab, number=None):
    """A call from alice as it reaches the trunk."""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    c = Call(lab, a, b, number or lab.number())
    c.a = a.call(c.number, c.a_sdp)
    c.b = b.incoming(c.number)
    return c


def challenged(lab):
    """INVITE, re-INVITE and BYE of a call are challenged, and go out again with credentials"""
    c = invited(lab)
    first = c.b.invite
    equal(first.address("from"), "sip:4930@provider.example", "From")
    equal(first.get("authorization"), None, "credentials unasked")
    challenge(c.b, first, 407)
    c.b.invite = again(c.b, first, "proxy-authorization")
    fields = digest.fields(c.b.invite.get("proxy-authorization"))
    equal((fields["nc"], fields["qop"], fields["nonce"]), ("00000001", "auth", "n1"), "fields")
    check('opaque="o\\"p"' in c.b.invite.get("proxy-authorization"), "opaque is not as it came")
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    ok = c.a.expect(200)
    c.a_answer, c.relay_a = ok.sdp, ok.sdp.rtp()
    c.a.ack(ok)
    ack = c.b.expect("ACK")
    equal(ack.get("proxy-authorization"), c.b.invite.get("proxy-authorization"),
          "credentials in the ACK (RFC 3261 22.1)")
    equal(ack.cseq[0], c.b.invite.cseq[0], "ACK's number")
    c.a.reinvite(c.a_sdp.replace("a=sendrecv", "a=sendonly") if "a=sendrecv" in c.a_sdp
                 else c.a_sdp + "a=sendonly\r\n")
    req = c.b.expect("INVITE")
    challenge(c.b, req, 401, "n2")
    req = again(c.b, req)
    c.b.reply(req, 200, c.b_sdp)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 200, "answer to the re-INVITE")
    c.a.request("BYE")
    bye = c.b.expect("BYE")
    challenge(c.b, bye, 401, "n3")
    c.b.reply(again(c.b, bye), 200)
    equal(c.a.expect("final").code, 200, "answer to BYE")
    c.gone()


def refused_twice(lab):
    """credentials that are refused are not sent for ever: the caller hears 403"""
    c = invited(lab)
    challenge(c.b, c.b.invite, 401, "n1")
    challenge(c.b, again(c.b, c.b.invite), 401, "n2")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 403, "answer to the caller")
    c.b_phone.none("INVITE", seconds=0.2)


def stale(lab):
    """a nonce that is too old is no refusal"""
    c = invited(lab)
    challenge(c.b, c.b.invite, 401, "n1")
    second = again(c.b, c.b.invite)
    challenge(c.b, second, 401, "n2", ", stale=TRUE")
    third = again(c.b, second)
    equal(digest.fields(third.get("authorization"))["nonce"], "n2", "nonce")
    c.b.reply(third, 486)
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 486, "answer to the caller")


def pitfall_52_reinvite(lab):
    """a re-INVITE is challenged, its nonce is too old then (stale): one job, answered once; refused
    credentials are no end of it either: the node answers what it can answer alone"""
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number()).up().talk().heard(5)
    hold = {"direction": "sendonly"}
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, version=2, **hold))
    req = c.b.expect("INVITE")
    challenge(c.b, req, 401, "n1")
    second = again(c.b, req)
    challenge(c.b, second, 401, "n2", ", stale=true")
    third = again(c.b, second)
    equal(digest.fields(third.get("authorization"))["nonce"], "n2", "nonce")
    c.b.reply(third, 200, sip.sdp(CALLEE, c.b_rtp.port, version=2, direction="recvonly"))
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 200, "answer to the caller")
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, version=3))
    req = c.b.expect("INVITE")
    challenge(c.b, req, 407, "n3")
    challenge(c.b, again(c.b, req, "proxy-authorization"), 407, "n4")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 200, "answer to the caller by the node")
    c.b.none("INVITE", seconds=0.2)
    c.heard(10).quiet().whole()
    c.hang_up().gone()


def early(lab):
    """A call up to the answered offer in a reliable 183, whose PRACK was challenged."""
    c = Call(lab, lab.phone(CALLER), lab.phone(CALLEE), lab.number())
    c.a = c.a_phone.call(c.number, c.a_sdp, headers=[("Supported", "100rel"), ALLOW])
    c.b = c.b_phone.incoming(c.number)
    c.b.reply(c.b.invite, 183, c.b_sdp, headers=[("Require", "100rel"), ("RSeq", "5"), ALLOW])
    req = c.b.expect("PRACK")
    challenge(c.b, req, 401, "p1")
    got = again(c.b, req)
    equal(got.get("rack"), req.get("rack"), "RAck")
    c.b.reply(got, 200)
    progress = c.a.expect(183)
    c.a.request("PRACK", headers=[("RAck", f"{progress.get('rseq')} 1 INVITE")])
    equal(c.a.expect("final").code, 200, "answer to PRACK")
    return c


def passed_on(c, method, headers=()):
    """A request of the caller's is challenged on its way, and answered in the end."""
    asked = c.a.request(method, headers=headers)
    req = c.b.expect(method)
    challenge(c.b, req, 407, "q" + method)
    c.b.reply(again(c.b, req, "proxy-authorization"), 202)
    final = c.a.expect("final")
    equal((final.code, final.cseq), (202, asked.cseq), f"answer to {method}")


def challenged_within(lab):
    """PRACK and UPDATE of ours, INFO, REFER and MESSAGE passed on: each is answered once"""
    c = early(lab)
    c.a.request("UPDATE", sip.sdp(CALLER, c.a_rtp.port, version=2, direction="sendonly"))
    req = c.b.expect("UPDATE")
    challenge(c.b, req, 401, "u1")
    c.b.reply(again(c.b, req), 200, sip.sdp(CALLEE, c.b_rtp.port, version=2, direction="recvonly"))
    equal(c.a.expect("final").code, 200, "answer to UPDATE")
    c.b.reply(c.b.invite, 200)
    c.a.ack(c.a.expect(200))
    c.b.expect("ACK")
    passed_on(c, "INFO")
    passed_on(c, "MESSAGE")
    passed_on(c, "REFER", [("Refer-To", "<sip:1234@example.net>")])
    req = c.a.request("INFO")
    got = c.b.expect("INFO")
    challenge(c.b, got, 401, "x1")
    challenge(c.b, again(c.b, got), 401, "x2")
    equal(c.a.expect("final").code, 403, "answer after refused credentials")
    c.b.none("INFO", seconds=0.2)
    c.a.request("BYE")
    c.b.expect_bye()
    equal(c.a.expect("final").code, 200, "answer to BYE")


def proxy_and_server(lab):
    """a proxy and the far end behind it challenge one after the other: both are answered"""
    c = invited(lab)
    challenge(c.b, c.b.invite, 407, "n1")
    second = again(c.b, c.b.invite, "proxy-authorization")
    challenge(c.b, second, 401, "n2")
    third = c.b.expect("INVITE")
    check(third.get("authorization") and third.get("proxy-authorization"), third.headers)
    c.b.reply(third, 486)
    c.b.expect("ACK")
    c.a.ack(c.a.expect("final"))


def algorithms(lab):
    """the first algorithm that is known is taken"""
    for offered, want in ((("SHA3-256", "SHA-512-256", "MD5"), "SHA-512-256"),
                          (("SHA-256", "MD5"), "SHA-256"), (("MD5",), "MD5")):
        c = invited(lab)
        others = [f'Digest realm="r", nonce="n", algorithm={a}, qop="auth"' for a in offered]
        c.b.reply(c.b.invite, 401, reason="Who?",
                  headers=[("WWW-Authenticate", o) for o in others])
        c.b.expect("ACK")
        got = again(c.b, c.b.invite)
        equal(digest.fields(got.get("authorization"))["algorithm"], want, "algorithm")
        c.b.reply(got, 486)
        c.b.expect("ACK")
        c.a.ack(c.a.expect("final"))
        lab.clear()


def unknown_challenge(lab):
    """a challenge that nobody can answer is a refusal"""
    c = invited(lab)
    c.b.reply(c.b.invite, 401, reason="Who?",
              headers=[("WWW-Authenticate", 'Basic realm="r"'),
                       ("WWW-Authenticate", 'Digest realm="r", nonce="n", qop="auth-int"')])
    c.b.expect("ACK")
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.code, 403, "answer to the caller")


def incoming_call(lab):
    """a trunk that calls us challenges our BYE"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    c = Call(lab, b, a, lab.number("6"))
    c.up()
    c.b.request("BYE")
    bye = c.a.expect("BYE")
    challenge(c.a, bye)
    c.a.reply(again(c.a, bye), 200)
    equal(c.b.expect("final").code, 200, "answer to BYE")
    c.gone()


def registrar(lab, text):
    """Another `register`, and the first REGISTER of it."""
    registrar_phone = lab.phone(CALLEE)
    lab.write(config(lab, {"register": text}, peers=PEERS))
    lab.ctl("reload")
    req = registrar_phone.expect("REGISTER", where=lambda m: m.get("expires") != "0")
    return registrar_phone, Dialog.of_invite(registrar_phone, req), req


def accept(dialog, req, seconds):
    dialog.reply(req, 200, headers=[("Contact", f"{req.get('contact')};expires={seconds}"),
                                    ("Contact", "<sip:other@192.0.2.9>;expires=7200")])


def registers(lab):
    """our own registration: challenged, refreshed in time, taken back where it is not wanted"""
    p, d, req = registrar(lab, "acc:pw:auth@trunk/4930")
    equal((req.uri, req.address("to"), req.address("from"), req.address("contact"),
           req.get("expires")), ("sip:provider.example", "sip:acc@provider.example",
                                 "sip:acc@provider.example", f"sip:4930@{OUTSIDE}:5060", "120"),
          "REGISTER")
    equal(peer(lab, "trunk")["registration"], "registering", "state")
    challenge(d, req)
    second = again(d, req, login=("auth", "pw"))
    accept(d, second, 3)
    wait_for(lambda: peer(lab, "trunk")["registered"], 3, "registered")
    equal(lab.metrics()['rtpfwd_own_registrations{state="registered"}'], 1, "metric")
    refresh = d.expect("REGISTER", timeout=5)
    check(refresh.cseq[0] > second.cseq[0], "CSeq", refresh.cseq)
    equal(refresh.tag("to"), None, "To tag")
    accept(d, refresh, 60)
    lab.ctl("reload")
    equal(peer(lab, "trunk")["registration"], "registered", "state behind a reload")
    d.none("REGISTER", seconds=0.3)
    lab.write(config(lab, peers=PEERS))
    lab.ctl("reload")
    gone = d.expect("REGISTER")
    equal(gone.get("expires"), "0", "Expires")
    challenge(d, gone, 401, "n9")
    d.reply(again(d, gone, login=("auth", "pw")), 200)
    equal((peer(lab, "trunk")["registered"], peer(lab, "trunk")["registration"]), (False, None),
          "without register")


def too_brief(lab):
    """423: asked again with Min-Expires"""
    p, d, req = registrar(lab, "acc:pw@trunk~30")
    equal((req.get("expires"), req.address("contact")), ("30", f"sip:acc@{OUTSIDE}:5060"), "asked")
    d.reply(req, 423, reason="Interval Too Brief", headers=[("Min-Expires", "90")])
    req = d.expect("REGISTER")
    equal(req.get("expires"), "90", "Expires")
    accept(d, req, 90)
    wait_for(lambda: peer(lab, "trunk")["registered"], 3, "registered")


def rejected(lab):
    """403 is a state; 503 with Retry-After is obeyed"""
    p, d, req = registrar(lab, "no:pw@trunk")
    d.reply(req, 403)
    wait_for(lambda: peer(lab, "trunk")["registration"] == "rejected", 3, "rejected")
    equal(peer(lab, "trunk")["registered"], False, "registered")
    lab.clear()
    p, d, req = registrar(lab, "yes:pw@trunk")
    d.reply(req, 503, headers=[("Retry-After", "1")])
    accept(d, d.expect("REGISTER", timeout=6), 60)
    wait_for(lambda: peer(lab, "trunk")["registered"], 3, "registered")


def taken_back(lab):
    """a clean stop takes our registration back"""
    p, d, req = registrar(lab, "last:pw@trunk")
    accept(d, req, 60)
    wait_for(lambda: peer(lab, "trunk")["registered"], 3, "registered")
    lab.daemon.send_signal(signal.SIGTERM)
    gone = d.expect("REGISTER")
    equal(gone.get("expires"), "0", "Expires")
    challenge(d, gone)
    d.reply(again(d, gone, login=("last", "pw")), 200)
    equal(lab.daemon.wait(15), 0, "exit status")
    lab.daemon = None
    lab.sane()
    lab.start(config(lab, peers=PEERS))


def probed(lab):
    """qualify: OPTIONS tell who is there; a route goes past who is not"""
    wait_for(lambda: peer(lab, "probed")["reachable"] is False, 10, "unreachable")
    a, backup = lab.phone(CALLER), lab.phone(BACKUP)
    d = a.call("9000", sip.sdp(CALLER, 20000))
    i = backup.incoming("9000")
    i.reply(i.invite, 486)
    d.ack(d.expect("final"))
    i.expect("ACK")
    equal(lab.metrics()['rtpfwd_peers{state="unreachable"}'], 1, "rtpfwd_peers")
    p = lab.phone(PROBED)
    options = p.expect("OPTIONS", timeout=12)
    equal(options.uri, f"sip:{PROBED}:5060", "request URI")
    Dialog.of_invite(p, options).reply(options, 404)
    shown = wait_for(lambda: peer(lab, "probed")["reachable"] and peer(lab, "probed"), 3,
                     "reachable")
    check(0 <= shown["rtt_ms"] <= 300, shown)
    equal(lab.metrics()['rtpfwd_peers{state="reachable"}'], 1, "rtpfwd_peers")
    d = a.call("9001", sip.sdp(CALLER, 20000))
    i = p.incoming("9001")
    i.reply(i.invite, 486)
    d.ack(d.expect("final"))
    i.expect("ACK")
    backup.none("INVITE")


TESTS = (challenged, refused_twice, stale, pitfall_52_reinvite, challenged_within, proxy_and_server,
         algorithms, unknown_challenge, incoming_call, registers, too_brief, rejected, taken_back,
         probed)

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
