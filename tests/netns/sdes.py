# SPDX-License-Identifier: GPL-2.0-or-later
"""Security descriptions (RFC 4568) of scripted phones, and the lab of peers that have them."""
import base64
import os
import re

import sip
import stream
from calls import INSIDE, OUTSIDE, Call
from certs import Certs
from lab import config
from lines import Lines
from tap import check, equal, wait_for

LENGTHS = {"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "AEAD_AES_128_GCM": 28,
           "AEAD_AES_256_GCM": 44}
SUITES = list(LENGTHS)
AES80, AES32, GCM128, GCM256 = SUITES
# By the address that they speak from, and what is dialled to reach them.
ALICE, ANNA, OLGA, UMA = (f"10.91.1.{i}" for i in (14, 11, 12, 13))
BOB, BEA, BEN, EVE, DAN = (f"10.91.2.{i}" for i in (20, 21, 22, 23, 24))
NUMBERS = {BOB: "7", BEA: "5", BEN: "8", EVE: "3", DAN: "2"}
SECURE = (ANNA, OLGA, BEA, BEN, EVE, DAN)     # who speaks TLS
PEERS = """
[alice]
type = peer
realm = inside
host = 10.91.1.14
[anna]
type = peer
realm = inside
host = 10.91.1.11
transport = tls
encryption = sdes
[olga]
type = peer
realm = inside
host = 10.91.1.12
encryption = optional
[uma]
type = peer
realm = inside
host = 10.91.1.13
encryption = sdes
encryption_over = any
[bob]
type = peer
realm = outside
host = 10.91.2.20
[bea]
type = peer
realm = outside
host = 10.91.2.21
transport = tls
encryption = sdes
[ben]
type = peer
realm = outside
host = 10.91.2.22
transport = tls
encryption = optional
[eve]
type = peer
realm = outside
host = 10.91.2.23
encryption = sdes
[dan]
type = peer
realm = outside
host = 10.91.2.24
transport = tls
[phone](!)
type = friend
realm = inside
host = dynamic
secret = s3cret
[dora](phone)
encryption = sdes
[otto](phone)
encryption = optional
[byname]
type = route
from = outside
to = registered
""" + "".join(f"[to-{name}]\ntype = route\nfrom = inside\nmatch = _{prefix}X.\nto = {name}\n"
              for name, prefix in (("bob", 7), ("bea", 5), ("ben", 8), ("eve", 3), ("dan", 2)))


def settings(lab, general=(), inside=()):
    lab.certs = getattr(lab, "certs", None) or Certs(lab.dir)
    keys = {"tlscertfile": lab.certs.node}
    return config(lab, peers=PEERS, general={"canreinvite": "yes", **dict(general)},
                  inside={"bind": f"udp:{INSIDE}:5060,tls:{INSIDE}:5061", **keys, **dict(inside)},
                  outside={"bind": f"udp:{OUTSIDE}:5060,tls:{OUTSIDE}:5061", **keys})


def phone(lab, ip, tls=None):
    """The phone at that address, over TLS if that is how it speaks."""
    if not (ip in SECURE if tls is None else tls):
        return lab.phone(ip)
    inner = ip.startswith("10.91.1.")
    ns, node = (lab.caller, INSIDE) if inner else (lab.callee, OUTSIDE)
    return stream.StreamPhone(lab, ns.name, ip, (node, 5061), 5061, "u" + ip.rsplit(".", 1)[1],
                              stream.Tls(lab.certs.stranger))


class Key:
    """One a=crypto: who writes it sends under that key."""

    def __init__(self, suite=AES80, tag=1, key=None, tail=""):
        self.suite, self.tag, self.tail = suite, tag, tail
        self.key = key or os.urandom(LENGTHS[suite])

    @property
    def line(self):
        return f"a=crypto:{self.tag} {self.suite} inline:" \
            f"{base64.b64encode(self.key).decode()}{self.tail}"

    def __eq__(self, other):
        return (self.suite, self.key) == (other.suite, other.key)


def keys_of(description, index=0):
    """All a=crypto of a line of a description of the node's, each of the right length."""
    found = []
    for line in description.attributes(index):
        if not line.startswith("crypto:"):
            continue
        match = re.fullmatch(r"crypto:(\d+) (\w+) inline:([A-Za-z0-9+/]+={0,2})", line)
        check(match, "a crypto line of ours:", line)
        key = base64.b64decode(match[3], validate=True)
        equal(len(key), LENGTHS[match[2]], f"bytes of the key: {line}")
        found.append(Key(match[2], int(match[1]), key))
    return found


def savp(text, profile="RTP/SAVP"):
    return re.sub(r"RTP/AVPF?", profile, text)


class SdesCall(Call):
    """`a_keys`, `b_keys`: what each phone writes, in its profile; keys told are in `told_a` (of
    the answer) and `told_b` (of the offer). `phones`: those of a former call. `number`: dialled
    where the way to the callee is not that of NUMBERS."""

    def __init__(self, lab, a_ip, b_ip, a_keys=(), b_keys=(), a_profile=None, b_profile=None,
                 a_tls=None, phones=None, number=None, **kw):
        a_phone, b_phone = phones or (phone(lab, a_ip, a_tls), phone(lab, b_ip))
        super().__init__(lab, a_phone, b_phone, number or lab.number(NUMBERS[b_ip]), **kw)
        self.a_keys, self.b_keys = list(a_keys), list(b_keys)
        self.a_profile = a_profile or ("RTP/SAVP" if a_keys else "RTP/AVP")
        self.b_profile = b_profile or ("RTP/SAVP" if b_keys else "RTP/AVP")
        self.a_sdp = self.write("a")
        self.b_sdp = self.write("b")

    def write(self, side, keys=None, **kw):
        """A description of that phone."""
        ip, port = (getattr(self, side + "_phone").ip, getattr(self, side + "_rtp").port)
        keys = getattr(self, side + "_keys") if keys is None else keys
        return savp(sip.sdp(ip, port, extra=[k.line for k in keys], **kw),
                    getattr(self, side + "_profile"))

    @property
    def told_a(self):
        return keys_of(self.a_answer)

    @property
    def told_b(self):
        return keys_of(self.b_offer)

    def crypto(self):
        shown = self.show()
        return shown["a"]["crypto"], shown["b"]["crypto"]


class SdesLines(Lines):
    """The same of calls whose lines each test gives."""

    def __init__(self, lab, a_ip, b_ip):
        super().__init__(lab, NUMBERS[b_ip], a_ip, b_ip)

    def phone(self, ip):
        return phone(self.lab, ip)

    def crypto(self, side):
        """Of each stream, in order."""
        return [s["crypto"] for s in self.show()[side]["streams"]]


def clear(lab):
    """Closes the phones; the node knows that their connections are gone."""
    lab.clear()
    wait_for(lambda: lab.metrics()['rtpfwd_sip_connections{transport="tls"}'] == 0, 3,
             "no connection is left")


def between_tests(lab, failed):
    lab.between_tests(failed)
    clear(lab)


def refused(lab, a_ip, b_ip, text, code=488, tls=None):
    """The INVITE gets that code and nobody rings; the phones are closed after."""
    a, b = phone(lab, a_ip, tls), phone(lab, b_ip)
    d = a.call(lab.number(NUMBERS[b_ip]), text)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, code, "final answer")
    b.none("INVITE")
    clear(lab)
