# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest authentication as RFC 7616 has it, both ends: for phones that are asked, and for far ends
that ask."""
import hashlib
import re

import sip
from tap import check, equal

HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
LOGIN = "acc", "their-secret"
CHALLENGE = 'Digest realm="sip.provider.example", nonce="{}", opaque="o\\"p", qop="auth-int,auth"{}'


def fields(value):
    """Name to text of a challenge or of credentials."""
    return {k.lower(): q or p for k, q, p in
            re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))', value)}


def challenges(msg):
    """What a 401 or 407 asks for, in order."""
    name = "www-authenticate" if msg.code == 401 else "proxy-authenticate"
    return [fields(v) for v in msg.all(name)]


def response(algorithm, user, realm, secret, method, uri, nonce, nc=None, cnonce=None, qop=None):
    def h(*texts):
        return hashlib.new(HASHES[algorithm], ":".join(texts).encode()).hexdigest()
    a1, a2 = h(user, realm, secret), h(method, uri)
    return h(a1, nonce, nc, cnonce, qop, a2) if qop else h(a1, nonce, a2)


def credentials(challenge, user, secret, method, uri, algorithm=None, nc=1, qop="auth", **more):
    algorithm = algorithm or challenge.get("algorithm", "MD5")
    count, cnonce = f"{nc:08x}", sip.token(8)
    answer = response(algorithm, user, challenge["realm"], secret, method, uri,
                      challenge["nonce"], count, cnonce, qop)
    found = {"username": user, "realm": challenge["realm"], "nonce": challenge["nonce"],
             "uri": uri, "response": answer, **more}
    text = "Digest " + ", ".join(f'{k}="{v}"' for k, v in found.items())
    text += f", algorithm={algorithm}"
    return text + (f', qop={qop}, nc={count}, cnonce="{cnonce}"' if qop else "")


def proves(msg, user, secret, method=None):
    """The credentials in a request are right; returns their fields, or None."""
    value = msg.get("authorization") or msg.get("proxy-authorization")
    if not value:
        return None
    f = fields(value)
    want = response(f.get("algorithm", "MD5"), user, f["realm"], secret, method or msg.method,
                    f["uri"], f["nonce"], f.get("nc"), f.get("cnonce"), f.get("qop"))
    good = want == f["response"] and f["username"] == user and f["uri"] == msg.uri
    return f if good else None


def challenge(dialog, req, code=401, nonce="n1", more="", others=()):
    """Refuses a request so, and sees the ACK."""
    name = "WWW-Authenticate" if code == 401 else "Proxy-Authenticate"
    dialog.reply(req, code, reason="Who?", headers=[(name, o) for o in others] +
                 [(name, CHALLENGE.format(nonce, more))])
    if req.method == "INVITE":
        ack = dialog.expect("ACK")
        equal((ack.branch, ack.cseq[0]), (req.branch, req.cseq[0]), "ACK of the challenge")


def again(dialog, req, header="authorization", login=LOGIN):
    """The same request with credentials that hold."""
    got = dialog.expect(req.method)
    check(got.branch != req.branch, "the same branch")
    equal(got.cseq[0], req.cseq[0] + 1, "CSeq")
    for name in ("from", "call-id", "contact", "max-forwards", "user-agent"):
        equal(got.get(name), req.get(name), name)
    equal(got.body, req.body, "body")
    equal((got.tag("to"), got.uri), (req.tag("to"), req.uri), "To tag and URI")
    check(proves(got, *login), f"credentials: {got.all(header)}")
    equal(len(got.all(header)), 1, "credentials")
    return got
