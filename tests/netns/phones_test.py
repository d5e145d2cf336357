#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Phones that register and call with digest; what is refused, and how a flood of it ends."""
import re

import digest
import sip
import tap
from calls import Call
from baresip import Baresip
from lab import CALLEE, CALLER, INSIDE, OUTSIDE, config, nothing_left, running
from registrant import Registrant, bound
from tap import check, equal, wait_for

SECOND, STRANGER = "10.91.1.11", "10.91.1.66"
PHONES = """
[phone](!)
type = friend
realm = inside
host = dynamic
secret = s3cret
[alice](phone)
[anna](phone)
nat = force_rport
maxcontacts = 2
[carol](phone)
realm = outside
[fixed]
type = peer
realm = inside
host = 10.91.1.12
[bob]
type = peer
realm = outside
host = 10.91.2.20
[out]
type = route
from = inside
match = _7X.
to = bob
[in]
type = route
from = outside
match = _8X.
to = alice
strip = 1
[byname]
type = route
to = registered
"""


def make():
    return running(lambda lab: config(lab, {"minexpiry": 2, "defaultexpiry": 60}, peers=PHONES))


def phone(lab, ip=CALLER, user="alice", secret="s3cret", algorithm="SHA-256", **kw):
    return Registrant(lab.phone(ip, **kw), user, secret, algorithm)


def peer(lab, name):
    return next(p for p in lab.ctl("show", "peers") if p["name"] == name)


def registrations(lab):
    return lab.metrics()["rtpfwd_registrations"]


def clean(lab, *registrants):
    for r in registrants:
        equal(r.register("*", 0).code, 200, "unregistering")
    equal(registrations(lab), 0, "rtpfwd_registrations")


def registers(lab):
    """REGISTER is challenged with both algorithms, and accepted with either"""
    for algorithm in ("SHA-256", "MD5"):
        p = phone(lab, algorithm=algorithm)
        answer = p.register(expires=30)
        equal(answer.code, 200, f"answer to {algorithm}")
        check(bound(answer)[p.contact[1:-1]] in (29, 30), answer.all("contact"))
        shown = peer(lab, "alice")
        equal((shown["registered"], shown["host"], shown["realm"]),
              (True, f"{CALLER}:5060", "inside"), "show peers")
        equal([c["uri"] for c in shown["contacts"]], [p.contact[1:-1]], "contacts")
        equal(registrations(lab), 1, "rtpfwd_registrations")
        clean(lab, p)
        p.phone.close()
    equal(peer(lab, "alice")["registered"], False, "registered after unregistering")


def old_digest(lab):
    """credentials without qop (RFC 2069) serve once"""
    p = phone(lab, algorithm="MD5")
    p.take(p.ask()[1])
    headers = p.headers("REGISTER", p.uri, qop=None)
    equal(p.ask(headers)[1].code, 200, "first")
    again = p.ask(headers)[1]
    equal(again.code, 401, "the same nonce again")
    check(all(c.get("stale") == "true" for c in digest.challenges(again)), again.headers)
    p.challenge = None
    clean(lab, p)


def replay(lab):
    """the same credentials again are refused, with the next count they are good"""
    p = phone(lab)
    p.take(p.ask()[1])
    headers = p.headers("REGISTER", p.uri)
    equal(p.ask(headers)[1].code, 200, "first")
    again = p.ask(headers)[1]
    equal(again.code, 401, "replay")
    check(all(c.get("stale") == "true" for c in digest.challenges(again)), again.headers)
    equal(p.ask(p.headers("REGISTER", p.uri))[1].code, 200, "next count of the same nonce")
    stolen = phone(lab, SECOND)
    stolen.challenge, stolen.count = p.challenge, p.count
    equal(stolen.ask(stolen.headers("REGISTER", stolen.uri))[1].code, 401,
          "another source with that nonce")
    forged = dict(p.challenge, nonce="0" * len(p.challenge["nonce"]))
    p.challenge, p.count = forged, 0
    equal(p.ask(p.headers("REGISTER", p.uri))[1].code, 401, "a nonce of nobody")
    p.challenge = None
    clean(lab, p)


def repeated(lab):
    """a REGISTER that is sent again gets the same answer, and is no replay"""
    p = phone(lab)
    p.take(p.ask()[1])
    msg, answer = p.ask(p.headers("REGISTER", p.uri))
    p.phone.send(msg)
    again = p.phone.expect(200, call_id=msg.call_id, repeats=True)
    equal(again.bytes(), answer.bytes(), "answer")
    clean(lab, p)


def wrong_secret(lab):
    """a wrong secret and an unknown user get the same answers; the log tells who tried"""
    texts = []
    for user in ("alice", "nobody"):
        p = phone(lab, STRANGER, user=user, secret="guess")
        p.take(p.ask()[1])
        final = p.ask(p.headers("REGISTER", p.uri))[1]
        equal(final.code, 403, f"answer to {user}")
        texts.append([final.reason] + sorted(n for n, _ in final.headers))
        p.phone.close()
    equal(texts[0], texts[1], "what a wrong secret and an unknown user get")
    lines = [x for x in lab.log().splitlines() if STRANGER in x]
    for why in ("wrong secret", "unknown user"):
        check(any(re.search(rf"refused REGISTER from {STRANGER}:5060 realm=inside: {why}$", x)
                  for x in lines), f"{why}: {lines}")
    equal(registrations(lab), 0, "rtpfwd_registrations")


def brief(lab):
    """423 with Min-Expires below minexpiry; maxexpiry bounds what is granted"""
    p = phone(lab)
    final = p.register(expires=1)
    equal((final.code, final.get("min-expires")), (423, "2"), "answer to 1 s")
    final = p.register(f"{p.contact};expires=999999", 5)
    equal(list(bound(final).values()), [3600], "granted")
    equal(list(bound(p.register(p.contact)).values()), [60], "granted without a wish")
    clean(lab, p)


def expiry(lab):
    """a binding that is not refreshed is gone in time"""
    p = phone(lab)
    equal(p.register(expires=2).code, 200, "answer")
    equal(registrations(lab), 1, "rtpfwd_registrations")
    wait_for(lambda: not peer(lab, "alice")["registered"], 10, "alice is not registered any more")
    equal(registrations(lab), 0, "rtpfwd_registrations")
    check("contact sip:alice@10.91.1.10:5060 expired" in lab.log(), "log line")


def order(lab):
    """an older REGISTER of the same Call-ID changes nothing; `*` needs Expires: 0"""
    p = phone(lab)
    equal(p.register(expires=60, cseq=100).code, 200, "answer")
    final = p.ask(p.headers("REGISTER", p.uri), expires=0, cseq=100)[1]
    equal(final.code, 400, "answer to a CSeq that was")
    equal(registrations(lab), 1, "rtpfwd_registrations")
    p.dialog.cseq = 200
    equal(p.register("*", 5).code, 400, "* with Expires: 5")
    equal(p.register(f"{p.contact}, *", 0).code, 400, "* and another")
    equal(p.register("<tel:+123>").code, 400, "no SIP URI")
    equal(registrations(lab), 1, "rtpfwd_registrations")
    clean(lab, p)


def several(lab):
    """several contacts: all are listed, the newest first; the oldest gives way"""
    p = phone(lab, user="anna")
    names = [f"sip:anna@{CALLER}:{port}" for port in (5060, 5062, 5064)]
    for name in names[:2]:
        final = p.register(f"<{name}>", 60)
    equal(list(bound(final)), [names[1], names[0]], "bound")
    equal(list(bound(p.register(f"<{names[2]}>", 60))), [names[2], names[1]], "bound")
    equal(list(bound(p.register(f"<{names[2]}>", 0))), [names[1]], "bound")
    equal(p.register(", ".join(f"<{n}>" for n in names), 60).code, 403, "more than maxcontacts")
    query = p.dialog.request("REGISTER", headers=p.headers("REGISTER", p.uri) + [("Contact", "")])
    equal(list(bound(p.phone.expect("final", call_id=query.call_id))), [names[1]], "asked")
    clean(lab, p)


def behind_nat(lab):
    """a Contact of another address: packets go to where the REGISTER came from"""
    p = phone(lab, user="anna", port=5099)
    equal(p.register("<sip:anna@192.168.0.7:5060;line=7>", 60).code, 200, "answer")
    shown = peer(lab, "anna")["contacts"][0]
    equal((shown["uri"], shown["address"]), ("sip:anna@192.168.0.7:5060;line=7", f"{CALLER}:5099"),
          "contact")
    b = lab.phone(CALLEE)
    d = b.call("anna", sip.sdp(CALLEE, 20000))
    got = p.phone.expect("INVITE")
    equal(got.uri, "sip:anna@192.168.0.7:5060;line=7", "request URI")
    i = p.dialog.of_invite(p.phone, got)
    i.reply(got, 486)
    d.ack(d.expect("final"))
    i.expect("ACK")
    clean(lab, p)


def both_ways(lab, user, number_in):
    """A call from the phone and one to it, with audio."""
    p, b = phone(lab, user=user), lab.phone(CALLEE)
    equal(p.register(expires=60).code, 200, "answer")
    c = Call(lab, p.phone, b, lab.number())
    c.a = p.call(c.number, c.a_sdp)
    c.b = b.incoming(c.number)
    equal(c.b.invite.get("authorization"), None, "credentials beyond the node")
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.answer().talk().heard(5).quiet().whole()
    c.hang_up().gone()
    d = Call(lab, b, p.phone, number_in)
    d.a = b.call(number_in, d.a_sdp)
    got = p.phone.expect("INVITE")
    equal((got.uri, got.address("from")), (p.contact[1:-1], f"sip:{b.user}@{INSIDE}"), "INVITE")
    d.b = p.dialog.of_invite(p.phone, got)
    d.b_offer, d.relay_b = got.sdp, got.sdp.rtp()
    d.answer().talk().heard(5).quiet().whole()
    d.hang_up().gone()
    clean(lab, p)
    return b


def calls(lab):
    """a registered phone calls, with digest, and is called at its contact"""
    both_ways(lab, "alice", "8999")


def called_by_name(lab):
    """to = registered: the phone that registered the called user"""
    b = both_ways(lab, "anna", "anna")
    for number, code in (("anna", 480), ("nobody", 404)):
        d = b.call(number, sip.sdp(CALLEE, 20000))
        final = d.expect("final")
        d.ack(final)
        equal(final.code, code, f"answer for {number}")


def next_contact(lab):
    """the newest contact first, the next where it fails"""
    old, new = phone(lab, user="anna"), phone(lab, SECOND, user="anna")
    for p in (old, new):
        equal(p.register(expires=60).code, 200, "answer")
    b = lab.phone(CALLEE)
    d = b.call("anna", sip.sdp(CALLEE, 20000))
    for p, code in ((new, 503), (old, 486)):
        got = p.phone.expect("INVITE")
        i = p.dialog.of_invite(p.phone, got)
        i.reply(got, code)
        i.expect("ACK")
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 486, "final answer")
    clean(lab, new)


def strangers(lab):
    """who is not known is asked who he is, whatever he asks; who proves nothing gets nothing"""
    p = phone(lab, STRANGER, user="nobody")
    b = lab.phone(CALLEE)
    for method in ("OPTIONS", "INVITE", "MESSAGE", "REGISTER"):
        req = p.phone.ask(method, f"sip:7000@{INSIDE}")
        equal(p.phone.expect("final", call_id=req.call_id).code, 401, f"answer to {method}")
    wrong = phone(lab, SECOND, user="alice", secret="guess")
    d = wrong.call("7000", sip.sdp(SECOND, 20000))
    final = d.expect("final")
    equal(final.code, 403, "INVITE with a wrong secret")
    b.none("INVITE", seconds=0.1)
    fixed = lab.phone("10.91.1.12")
    req = fixed.ask("OPTIONS")
    equal(fixed.expect("final", call_id=req.call_id).code, 200, "a peer known by its source")


def not_our_challenge(lab):
    """a phone that challenges us is not told the secret that it proves to us"""
    p, b = phone(lab), lab.phone(CALLEE)
    equal(p.register(expires=60).code, 200, "answer")
    d = b.call("8999", sip.sdp(CALLEE, 20000))
    got = p.phone.expect("INVITE")
    i = p.dialog.of_invite(p.phone, got)
    i.reply(got, 407, headers=[("Proxy-Authenticate", 'Digest realm="rtpfwd", nonce="n"')])
    i.expect("ACK")
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 403, "answer to the caller")
    p.phone.none("INVITE", seconds=0.2)
    clean(lab, p)


def resident(lab):
    with open(f"/proc/{lab.daemon.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def flood(lab):
    """REGISTERs of strangers leave nothing behind, and a phone gets through among them"""
    p, good = phone(lab, STRANGER, user="nobody"), phone(lab)
    dialog = p.dialog
    dialog.target = p.uri
    for i in range(200):
        dialog.call_id = f"flood-{i}"
        dialog.request("REGISTER", headers=[("Contact", p.contact)])
    p.phone.pump(0.2)
    before = resident(lab)
    for i in range(6000):
        dialog.call_id = f"flood-{i}"
        dialog.request("REGISTER", headers=[("Contact", p.contact)])
        if i % 100 == 0:
            p.phone.pump()
            p.phone.backlog.clear()
            p.phone.trace.clear()
    equal(good.register(expires=60).code, 200, "a phone's answer")
    equal(registrations(lab), 1, "rtpfwd_registrations")
    grown = resident(lab) - before
    check(grown < 64 << 20, f"grew by {grown} bytes")
    check(sum("unknown user" in x for x in lab.log().splitlines()) < 2000, "log lines")
    clean(lab, good)


def reload(lab):
    """a reload keeps bindings; a phone that is gone from the file is not there any more"""
    p = phone(lab)
    equal(p.register(expires=60).code, 200, "answer")
    lab.ctl("reload")
    equal(peer(lab, "alice")["registered"], True, "registered behind a reload")
    text = config(lab, {"minexpiry": 2, "defaultexpiry": 60}, peers=PHONES)
    lab.write(text.replace("[alice](phone)\n", "").replace("to = alice\n", "to = anna\n"))
    lab.ctl("reload")
    equal(registrations(lab), 0, "rtpfwd_registrations")
    lab.write(text)
    lab.ctl("reload")
    equal(p.register(expires=60).code, 200, "answer")
    clean(lab, p)


def real_phones(lab):
    """baresip registers with digest and calls baresip by the name that it registered"""
    a = Baresip(lab, lab.caller, CALLER, "alice", 440, account=(INSIDE, "s3cret"))
    b = Baresip(lab, lab.callee, CALLEE, "carol", 660, answers=True, account=(OUTSIDE, "s3cret"))
    try:
        a.ready()
        b.ready()
        wait_for(lambda: registrations(lab) == 2, 10,
                 lambda: f"both registered; {a.log()[-1500:]}{b.log()[-1500:]}")
        a.dial(f"sip:carol@{INSIDE}")
        a.wait_log("Call established")
        b.wait_log("Call established")
        wait_for(lambda: min(c[s]["rx_packets"] for c in lab.calls() for s in "ab") >= 150, 15,
                 "150 packets each way")
        a.hangup()
        wait_for(lambda: not lab.calls(), 3, "no call")
    finally:
        a.stop()
        b.stop()
    for phone_, frequency in ((a, 660), (b, 440)):
        heard = phone_.heard(frequency)
        check(heard.good(2), f"{phone_.user} heard: {heard}")
    wait_for(lambda: registrations(lab) == 0, 10, "both took their registrations back")


TESTS = (registers, old_digest, replay, repeated, wrong_secret, brief, expiry, order, several,
         behind_nat, calls, called_by_name, next_contact, strangers, not_our_challenge, flood,
         reload, real_phones)

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
