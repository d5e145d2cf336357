#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests outside of dialogs along a route of two targets: they go on as calls do."""

import tap
from lab import CALLEE, CALLER, PEERS, config, nothing_left, running
from passing import alone
from phone import Dialog
from tap import check, equal

BEN = "10.91.2.21"
MORE = """
[both]
type = route
from = inside
match = _91X.
to = bob,ben
"""


def make():
    return running(lambda lab: config(lab, peers=PEERS + MORE))


def phones(lab):
    return lab.phone(CALLER), lab.phone(CALLEE), lab.phone(BEN)


def sent(lab, a, method="MESSAGE", headers=(), body="hello"):
    """The request of the caller, not yet heard by anybody."""
    return alone(lab, a, method, lab.number("91"), "text/plain" if body else None, body,
                 list(headers))


def answer(phone, got, code, headers=()):
    e = Dialog.of_invite(phone, got)
    phone.send(e.reply(got, code, headers=headers, send=False), got.source)
    return e


def next_target(lab):
    """408, 500, 503 and 504: the next target gets the same request, in a dialog of its own"""
    a, b, ben = phones(lab)
    for code in (408, 500, 503, 504):
        d = sent(lab, a, headers=[("P-Asserted-Identity", "<sip:1@example.net>")])
        first = b.expect("MESSAGE")
        ben.none("MESSAGE", seconds=0.05)
        answer(b, first, code)
        second = ben.expect("MESSAGE")
        equal((second.body, second.get("max-forwards")), (b"hello", first.get("max-forwards")),
              "request")
        equal(second.get("p-asserted-identity"), "<sip:1@example.net>", "identity")
        check(second.call_id != first.call_id, "a dialog of its own")
        answer(ben, second, 202)
        equal(d.expect("final").code, 202, "answer")


def list_stops(lab):
    """404, 486, 488 and 603 are the far end's own answers; so is a 5xx of the last target"""
    a, b, ben = phones(lab)
    for code in (404, 486, 488, 603):
        d = sent(lab, a)
        answer(b, b.expect("MESSAGE"), code)
        equal(d.expect("final").code, code, "answer")
        ben.none("MESSAGE")
    d = sent(lab, a)
    answer(b, b.expect("MESSAGE"), 500)
    answer(ben, ben.expect("MESSAGE"), 502)
    equal(d.expect("final").code, 502, "answer of the last")


def silent_target(lab):
    """silence: the next target after 8 s, while the sender still listens; what the silent one says
    then is not heard"""
    a, b, ben = phones(lab)
    d = sent(lab, a)
    first = b.expect("MESSAGE")
    second = ben.expect("MESSAGE", 12)
    equal(d.expect(100).cseq, (1, "MESSAGE"), "100 meanwhile (RFC 4320)")
    answer(b, first, 488)
    answer(ben, second, 200)
    equal(d.expect("final").code, 200, "answer")


def slow_target(lab):
    """100 from the target: it is waited for"""
    a, b, ben = phones(lab)
    d = sent(lab, a)
    first = b.expect("MESSAGE")
    answer(b, first, 100)
    ben.none("MESSAGE", seconds=9)
    answer(b, first, 200)
    equal(d.expect("final").code, 200, "answer")


def subscription(lab):
    """SUBSCRIBE: the dialog is with the target that accepted; NOTIFY comes back from there"""
    a, b, ben = phones(lab)
    d = sent(lab, a, "SUBSCRIBE", [("Event", "presence"), ("Expires", "600")], "")
    first = b.expect("SUBSCRIBE")
    gone = answer(b, first, 503)
    second = ben.expect("SUBSCRIBE")
    equal(second.get("event"), "presence", "Event")
    headers = [("Expires", "600"), ("Contact", f"<sip:ben@{BEN}>")]
    e = answer(ben, second, 200, headers)
    ok = d.expect("final")
    equal((ok.code, ok.get("expires")), (200, "600"), "answer")
    gone.request("NOTIFY", headers=[("Event", "presence"), ("Subscription-State", "active")])
    equal(gone.expect("final").code, 481, "NOTIFY of the target that refused")
    e.request("NOTIFY", headers=[("Event", "presence"), ("Subscription-State", "terminated")])
    got = a.expect("NOTIFY")
    equal((got.call_id, got.tag("to")), (d.call_id, d.local_tag), "dialog of the NOTIFY")
    d.reply(got, 200)
    equal(e.expect("final").code, 200, "answer to NOTIFY")


def subscription_nowhere(lab):
    """both refuse a SUBSCRIBE: the last answer comes back, nothing is left"""
    a, b, ben = phones(lab)
    d = sent(lab, a, "SUBSCRIBE", [("Event", "presence")], "")
    answer(b, b.expect("SUBSCRIBE"), 500)
    last = ben.expect("SUBSCRIBE")
    e = answer(ben, last, 503)
    equal(d.expect("final").code, 503, "answer")
    e.request("NOTIFY", headers=[("Event", "presence"), ("Subscription-State", "active")])
    equal(e.expect("final").code, 481, "NOTIFY")


def over_reload(lab):
    """a request under way goes on along the route that it began with"""
    a, b, ben = phones(lab)
    d = sent(lab, a)
    first = b.expect("MESSAGE")
    lab.write(config(lab, peers=PEERS))
    equal(lab.ctl("reload"), {"ok": True}, "reload")
    answer(b, first, 503)
    answer(ben, ben.expect("MESSAGE"), 200)
    equal(d.expect("final").code, 200, "answer")


TESTS = [next_target, list_stops, silent_target, slow_target, subscription, subscription_nowhere,
         over_reload]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
