#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who guesses names and secrets: how far he comes, and that nobody else notices."""
import contextlib

import sip
import tap
from calls import INSIDE, Call
from lab import CALLEE, CALLER, Lab, config, nothing_left
from phone import Dialog
from registrant import Registrant
from stream import StreamPhone
from tap import check, equal, wait_for

GUESSER, OTHER, STRANGER = "10.91.1.11", "10.91.1.12", "10.91.1.66"
LIMIT = 5
COUNTED = 'rtpfwd_sip_rejected_total{reason="auth_flood"}'
PEERS = """
[phone](!)
type = friend
realm = inside
host = dynamic
secret = 950
[100](phone)
[alice](phone)
[bob]
type = peer
realm = outside
host = 10.91.2.20
[fixed]
type = peer
realm = inside
host = 10.91.1.12
[trunk]
type = peer
realm = inside
host = 10.91.1.10
secret = 950
[out]
type = route
from = inside
match = _7X.
to = bob
"""


def restart(lab, limit, digest="sha256,md5"):
    """Another daemon, which suspects nobody."""
    if lab.daemon:
        equal(lab.stop(), 0, "exit status")
    lab.start(config(lab, {"authlimit": limit, "digest": digest}, peers=PEERS,
                     inside={"bind": f"udp:{INSIDE}:5060,tcp:{INSIDE}:5060"}))


@contextlib.contextmanager
def make():
    with Lab() as lab:
        restart(lab, LIMIT)
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def registrant(lab, ip, secret="950", port=5060, user="alice"):
    return Registrant(lab.phone(ip, port), user, secret)


def guess(r, secret):
    """One REGISTER with this secret; the answer."""
    r.secret = secret
    if not r.challenge:
        r.take(r.ask()[1])
    return r.ask(r.headers("REGISTER", r.uri))[1]


def unheard(lab, r):
    """What it asks is counted, and gets no answer."""
    before = lab.metrics().get(COUNTED, 0)
    d = Dialog(r.phone, r.uri, user=r.user)
    d.request("REGISTER", headers=[("Contact", r.contact)])
    wait_for(lambda: lab.metrics().get(COUNTED, 0) == before + 1, 5, "counted")
    r.phone.none("final", call_id=d.call_id)


def guesses(lab):
    """wrong secrets: 403 up to the limit, then not a word, nor to who is right from that address;
    others, a call and who registered from there before go on"""
    settled, other = registrant(lab, GUESSER, port=5070), registrant(lab, OTHER)
    equal(settled.register(expires=60).code, 200, "a phone behind the same address")
    b = lab.phone(CALLEE)
    c = Call(lab, settled.phone, b, lab.number("7"))
    c.a = settled.call(c.number, c.a_sdp)
    c.b = b.incoming(c.number)
    c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
    c.answer().talk()
    g = registrant(lab, GUESSER)
    for i in range(LIMIT):
        equal(guess(g, f"guess{i}").code, 403, f"guess {i}")
    unheard(lab, g)
    unheard(lab, registrant(lab, GUESSER, port=5064, user="100"))
    check(f"refused REGISTER from {GUESSER}:5060 realm=inside: failed too often, not listened to "
          "for a minute" in lab.log(), "log line")
    equal(settled.register(expires=60).code, 200, "the registered phone refreshes")
    equal(other.register(expires=60).code, 200, "a phone elsewhere")
    c.heard(25).quiet().whole()
    c.hang_up().gone()


def bare(phone, n):
    """So many requests of names that nobody has, without credentials."""
    for i in range(n):
        req = phone.ask("OPTIONS" if i % 2 else "REGISTER", f"sip:{INSIDE}")
        equal(phone.expect("final", call_id=req.call_id).code, 401, "answer to a stranger")


def refused_call(r):
    """An INVITE with credentials to a number without a route: how it is refused."""
    d = r.call("9", sip.sdp(r.phone.ip, 20000))
    final = d.expect("final")
    d.ack(final)
    return final.code


def names(lab):
    """names that nobody has count, with credentials or by a connection, and INVITEs with wrong
    credentials"""
    restart(lab, LIMIT)
    bare(StreamPhone(lab, lab.caller.name, STRANGER, (INSIDE, 5060)), LIMIT - 2)
    nobody = registrant(lab, STRANGER, user="nobody", port=5064)
    equal(guess(nobody, "950").code, 403, "no such name")
    wrong = registrant(lab, STRANGER, "wrong")
    equal(refused_call(wrong), 403, "INVITE with a wrong secret")
    unheard(lab, wrong)
    undisturbed(lab)


def forged(lab):
    """a source that somebody else writes into his datagrams is not shut out by what they ask"""
    restart(lab, LIMIT)
    forger = lab.phone(GUESSER, 5099)
    bare(forger, 2 * LIMIT)
    equal(registrant(lab, GUESSER).register(expires=60).code, 200, "a phone there")
    equal(lab.metrics().get(COUNTED, 0), 0, "requests that were not looked at")


def known_by_source(lab):
    """a peer that is known by its source, and asked for its secret, is heard however often somebody
    guesses there"""
    restart(lab, LIMIT)
    guesser = registrant(lab, CALLER, port=5064)
    for i in range(LIMIT):
        equal(guess(guesser, f"guess{i}").code, 403, f"guess {i}")
    unheard(lab, guesser)
    equal(refused_call(registrant(lab, CALLER, user="trunk")), 404, "an INVITE of the peer")


def undisturbed(lab):
    """A peer that is known by its source is heard."""
    fixed = lab.phone(OTHER)
    equal(fixed.expect("final", call_id=fixed.ask("OPTIONS").call_id).code, 200, "a known peer")


def digest_leak(lab):
    """a phone that challenges the BYE or the re-INVITE that we pass on to it gets no digest made of
    the secret that it proves to us; the call goes its way"""
    restart(lab, LIMIT)
    for method in ("INVITE", "BYE"):
        p, b = registrant(lab, GUESSER), lab.phone(CALLEE)
        c = Call(lab, p.phone, b, lab.number("7"))
        c.a = p.call(c.number, c.a_sdp)
        c.b = b.incoming(c.number)
        c.b_offer, c.relay_b = c.b.invite.sdp, c.b.invite.sdp.rtp()
        c.answer()
        c.b.request(method, c.b_sdp.replace("4711 1", "4711 2") + "a=sendonly\r\n"
                    if method == "INVITE" else None)
        asked = c.a.expect(method)
        c.a.reply(asked, 407, reason="Who?", headers=[
            ("Proxy-Authenticate", 'Digest realm="rtpfwd", nonce="theirs", qop="auth"')])
        final = c.b.expect("final")
        equal(final.code, 200, f"answer to {method}, which is ours")
        c.a.none(method, seconds=0.3)
        if method == "INVITE":
            c.a.expect("ACK")
            c.b.ack(final)
            c.hang_up()
        c.gone()
        lab.clear()


def svcrack(lab, limit):
    """What SIPVicious' svcrack, which knows MD5 only, finds among 900 to 960 for phone 100."""
    restart(lab, limit, "md5")
    done = lab.caller("svcrack", "-u", "100", "-r", "900-960", "-b", CALLER, "-x", CALLER,
                      "--maximumtime", "2", INSIDE, check=False, timeout=120)
    return done.stdout + done.stderr


def cracked(lab):
    """svcrack finds the secret where there is no limit"""
    said = svcrack(lab, 0)
    check("950" in said, f"svcrack: {said}")


def not_cracked(lab):
    """svcrack with a limit does not find the secret, and what it sends leaves nothing behind"""
    said = svcrack(lab, LIMIT)
    check("950" not in said, f"svcrack: {said}")
    check(lab.metrics()[COUNTED] > 0, "requests that were not looked at")
    undisturbed(lab)


def svwar(lab):
    """svwar learns no name: a phone that there is and ones that there are not answer alike"""
    restart(lab, 0)
    done = lab.caller("svwar", "--force", "-e", "95-105", "-b", CALLER, "-x", CALLER, INSIDE,
                      check=False, timeout=120)
    check("svwar will probably not work" in done.stderr and "found nothing" in done.stderr,
          f"svwar: {done.stdout} {done.stderr}")


TESTS = (guesses, names, forged, known_by_source, digest_leak, cracked, not_cracked, svwar)

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
