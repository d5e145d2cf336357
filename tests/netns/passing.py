# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of what passes share: headers, requests with any body, and the lab."""
import contextlib

from lab import Lab, config
from phone import Dialog
from tap import check, equal

PASSING = (
    ("P-Asserted-Identity", "\"A\" <sip:+4989@carrier.example>"),
    ("Privacy", "id"),
    ("Diversion", "<sip:+4930@carrier.example>;reason=unconditional"),
    ("History-Info", "<sip:+4930@carrier.example>;index=1"),
    ("Reason", "Q.850;cause=16;text=\"Normal\""),
    ("Geolocation", "<cid:target@a.example>"),
    ("Geolocation-Routing", "yes"),
    ("Resource-Priority", "esnet.1"),
    ("Priority", "emergency"),
    ("User-to-User", "56a390f3d2b7;encoding=hex"),
    ("Call-Info", "<http://a.example/icon>;purpose=icon"),
    ("Alert-Info", "<urn:alert:service:normal>"),
    ("Warning", "399 a.example \"text\""),
    ("P-Early-Media", "sendrecv"),
    ("Identity", "aa.bb.cc;info=<https://a.example/c>;alg=ES256"),
    ("X-Unknown", "whatever, it is \"theirs\"; <x>"),
)
OURS = ("Organization", "Proxy-Authorization", "WWW-Authenticate", "Security-Client", "Path",
        "Service-Route", "Proxy-Require", "In-Reply-To")
HIDDEN = tuple((name, f"x{name.lower()} 10.91.9.9") for name in OURS)


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.start(config(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def passed(msg, headers=PASSING, where=""):
    for name, value in headers:
        equal(msg.all(name), [value], f"{name} {where}")


def hidden(msg, *addresses):
    """No address of the other side, and none of the headers that are each side's own."""
    text = msg.bytes().decode("utf-8", "replace")
    for address in addresses + ("10.91.9.9",):
        check(address not in text, f"{address} in {text}")


def ask(dialog, method, kind=None, body="", headers=()):
    """A request with any body, in that dialog."""
    phone = dialog.phone
    sent = []
    keep, phone.send = phone.send, lambda msg, to=None: sent.append((msg, to)) or msg
    try:
        msg = dialog.request(method, headers=headers)
    finally:
        phone.send = keep
    if kind:
        msg.set("Content-Type", kind)
        msg.body = body.encode("latin1")
    return phone.send(msg, sent[0][1])


def alone(lab, phone, method, number, kind=None, body="", headers=()):
    dialog = Dialog(phone, f"sip:{number}@{phone.node[0]}")
    dialog.invite = ask(dialog, method, kind, body, headers)
    return dialog
