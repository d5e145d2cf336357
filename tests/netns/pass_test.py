#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What passes through the node: headers, bodies, and methods that are the far ends' business."""
import contextlib

import sip
import tap
from calls import INSIDE, OUTSIDE, Call, call
from lab import CALLEE, CALLER, Lab, config, nothing_left
from phone import Dialog
from sip import token
from tap import check, equal, wait_for

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


def answered(c, headers=()):
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=headers)
    answer = c.a.expect(200)
    c.a_answer, c.relay_a = answer.sdp, answer.sdp.rtp()
    c.a.ack(answer)
    c.b.expect("ACK")
    return answer


def invited(c, headers):
    """The call rings; its INVITE carried these."""
    c.a = c.a_phone.call(c.number, c.a_sdp, headers=headers)
    c.a.expect(100)
    c.b = c.b_phone.incoming(c.number)
    c.b_offer = c.b.invite.sdp
    c.relay_b = c.b_offer.rtp()
    return c


def headers_of_a_call(lab):
    """INVITE, 1xx, 2xx, re-INVITE and its answer, BYE: what passes passes, what is ours stays"""
    c = invited(call(lab), PASSING + HIDDEN)
    passed(c.b.invite, where="in the INVITE")
    hidden(c.b.invite, CALLER, INSIDE)
    c.b.reply(c.b.invite, 183, c.b_sdp, headers=PASSING + HIDDEN)
    progress = c.a.expect(183)
    passed(progress, where="in the 183")
    hidden(progress, CALLEE, OUTSIDE)
    answer = answered(c, PASSING + HIDDEN)
    passed(answer, where="in the 200")
    hidden(answer, CALLEE, OUTSIDE)
    hold = sip.sdp(c.a_phone.ip, c.a_rtp.port, direction="sendonly", version=2)
    c.a.reinvite(hold, headers=PASSING + HIDDEN)
    again = c.b.expect("INVITE")
    passed(again, where="in the re-INVITE")
    hidden(again, CALLER, INSIDE)
    c.b.reply(again, 200, sip.sdp(c.b_phone.ip, c.b_rtp.port, direction="recvonly", version=2),
              headers=PASSING + HIDDEN)
    answer = c.a.expect(200)
    passed(answer, where="in its 200")
    hidden(answer, CALLEE, OUTSIDE)
    c.a.ack(answer)
    c.b.expect("ACK")
    c.b.request("BYE", headers=PASSING + HIDDEN)
    bye = c.a.expect("BYE")
    passed(bye, where="in the BYE")
    hidden(bye, CALLEE, OUTSIDE)
    c.a.reply(bye, 200)
    c.b.expect(200)
    c.gone()


def refusal(lab):
    """a refusal passes with its phrase, Reason, Warning and Retry-After"""
    c = invited(call(lab), ())
    c.b.reply(c.b.invite, 486, reason="Gone Fishing",
              headers=PASSING + HIDDEN + (("Retry-After", "120 (back soon)"),))
    final = c.a.expect("final")
    c.a.ack(final)
    equal((final.code, final.reason), (486, "Gone Fishing"), "status line")
    passed(final, where="in the 486")
    hidden(final, CALLEE, OUTSIDE)
    equal(final.get("retry-after"), "120", "Retry-After")
    c.b.expect("ACK")


def why_cancelled(lab):
    """CANCEL passes its Reason and nothing else"""
    c = invited(call(lab), ())
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    tag, c.a.remote_tag = c.a.remote_tag, None
    c.a.request("CANCEL", cseq=c.a.invite.cseq[0], branch=c.a.invite.branch, headers=PASSING)
    c.a.remote_tag = tag
    cancel = c.b.expect("CANCEL")
    equal(cancel.all("reason"), [dict(PASSING)["Reason"]], "Reason")
    equal([n for n, _ in cancel.headers if n in dict(PASSING)], ["Reason"], "headers that passed")
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    for _ in range(2):
        final = c.a.expect("final")
        if final.code == 487:
            c.a.ack(final)


def next_target(lab):
    """another target of the same route gets the same headers, and none of the first one's answer"""
    equal(lab.stop(), 0, "exit status")
    more = "[both]\ntype = route\nfrom = inside\nmatch = _99X.\nto = bob,ben\n"
    lab.start(config(lab) + more)
    c = call(lab, prefix="99")
    ben = lab.phone("10.91.2.21")
    invited(c, PASSING)
    c.b.reply(c.b.invite, 503, headers=[("X-First", "1")])
    c.b.expect("ACK")
    other = ben.incoming(c.number)
    passed(other.invite, where="in the second INVITE")
    equal(other.invite.all("x-first"), [], "X-First")
    other.reply(other.invite, 180)
    equal(c.a.expect(180).all("x-first"), [], "X-First")
    other.reply(other.invite, 486)
    final = c.a.expect("final")
    c.a.ack(final)
    equal(final.all("x-first"), [], "X-First")


def smuggled(lab):
    """spaces, case, compact forms and folding hide no header of ours"""
    c = call(lab)
    a = c.a_phone
    text = sip.sdp(CALLER, c.a_rtp.port)
    a.send_raw((f"INVITE sip:{c.number}@{INSIDE} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {CALLER}:5060;branch=z9hG4bK{token()}\r\n"
                f"f : <sip:a@{CALLER}>;tag={token()}\r\nT\t: <sip:{c.number}@{INSIDE}>\r\n"
                f"i:smuggle{c.number}\r\ncseq : 1 INVITE\r\nM : <sip:a@{CALLER}>\r\n"
                "max-FORWARDS : 70\r\nX-First: 1\r\n"
                "organization\t: evil\r\nproxy-AUTHORIZATION : evil\r\nuser-agent : evil\r\n"
                "Server: evil\r\nk : evil\r\nALLOW : EVIL\r\nx : 1800\r\nmin-se : 90\r\n"
                "Route\r\n : <sip:evil>\r\nX-Last: a\r\n Route: folded\r\n"
                f"c : application/sdp\r\nl : {len(text)}\r\n\r\n{text}").encode())
    b = c.b_phone.incoming(c.number)
    data = b.invite.bytes().decode()
    check("evil" not in data and "EVIL" not in data, data)
    equal(b.invite.get("x-first"), "1", "X-First")
    equal(b.invite.get("x-last").split(), ["a", "Route:", "folded"], "X-Last")
    equal(b.invite.all("session-expires") + b.invite.all("min-se"), [], "session timer")
    b.reply(b.invite, 486)
    b.expect("ACK")
    equal(a.expect("final").code, 486, "answer")


def parts_of_an_invite(lab):
    """a body of several parts: the description is ours, every other byte theirs, both ways"""
    c = call(lab)
    pidf = "<presence>\r\n--bound\r\n</presence>"
    body = (f"--bo und\r\nContent-Type: application/pidf+xml\r\nContent-ID: <target@a.example>\r\n"
            f"\r\n{pidf}\r\n--bo und\r\nContent-Type: Application/SDP\r\n\r\n%s\r\n"
            "--bo und\r\nContent-Type: application/isup;version=itu-t92+\r\n\r\n"
            "\x01\x00\x49\r\n--bo und--\r\n")
    kind = "Multipart/Mixed;\r\n boundary=\"bo und\""

    def has(msg, what):
        sdp = msg.body.decode("latin1").split("/SDP\r\n\r\n")[1].split("\r\n--bo und")[0]
        equal(msg.body.decode("latin1"), body % sdp, f"body of the {what}")
        equal(" ".join(msg.get("content-type").split()), "Multipart/Mixed; boundary=\"bo und\"",
              "Content-Type")
        return sip.Sdp(sdp)
    c.a = sip_call(c, kind, body % c.a_sdp.rstrip("\r\n"))
    c.b = c.b_phone.incoming(c.number)
    relay_b = has(c.b.invite, "INVITE").rtp()
    equal(relay_b[0], OUTSIDE, "relay address")
    ok = c.b.reply(c.b.invite, 200, send=False)
    ok.set("Content-Type", kind)
    ok.body = (body % c.b_sdp).encode("latin1")
    c.b_phone.send(ok, c.b.invite.source)
    answer = c.a.expect(200)
    c.a_answer = has_relay = has(answer, "200")
    equal(has_relay.rtp()[0], INSIDE, "relay address")
    c.a.ack(answer)
    c.b.expect("ACK")
    c.b_offer = has(c.b.invite, "INVITE")
    c.relay_a, c.relay_b = has_relay.rtp(), relay_b
    c.talk().heard(5).quiet().whole()
    c.hang_up().gone()


def sip_call(c, kind, body):
    """An INVITE with that body."""
    dialog = Dialog(c.a_phone, f"sip:{c.number}@{INSIDE}")
    dialog.invite = ask(dialog, "INVITE", kind, body)
    return dialog


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


def bad_parts(lab):
    """a body that cannot be taken apart: 400; two descriptions: 400"""
    for body in ("--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n",
                 "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x\r\n"
                 "Content-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"):
        c = call(lab)
        c.a = sip_call(c, "multipart/mixed;boundary=x", body)
        final = c.a.expect("final")
        c.a.ack(final)
        equal(final.code, 400, "answer")
        c.b_phone.none("INVITE", seconds=0.1)
        lab.clear()


def both_ways(c):
    return ((c.a, c.b, (CALLER, INSIDE)), (c.b, c.a, (CALLEE, OUTSIDE)))


def methods_within(lab):
    """INFO, MESSAGE, REFER, NOTIFY, SUBSCRIBE pass within a dialog, both ways, with answers"""
    c = call(lab).up()
    c.a.target = f"sip:{INSIDE}:5060"
    for method in ("INFO", "MESSAGE", "REFER", "NOTIFY", "SUBSCRIBE"):
        for near, far, addresses in both_ways(c):
            body = f"Signal={method}\r\n\x00\xff--x\r\n"
            sent = ask(near, method, "Application/DTMF-relay;x=\"y\"", body,
                       PASSING + HIDDEN + (("Content-Disposition", "signal;handling=optional"),))
            got = far.expect(method)
            equal(got.body, sent.body, f"body of {method}")
            equal(got.get("content-type"), "Application/DTMF-relay;x=\"y\"", "Content-Type")
            equal(got.get("content-disposition"), "signal;handling=optional", "Disposition")
            equal(got.get("max-forwards"), "69", "Max-Forwards")
            passed(got, where=f"in {method}")
            hidden(got, *addresses)
            equal(bool(got.get("contact")), method in ("REFER", "NOTIFY", "SUBSCRIBE"), "Contact")
            code = 202 if method == "REFER" else 200
            answer = far.reply(got, code, reason="Very Well", send=False,
                               headers=PASSING + (("Content-Type", "text/plain"),))
            answer.body = b"yes\r\n"
            far.phone.send(answer, got.source)
            final = near.expect("final")
            equal((final.code, final.reason, final.cseq), (code, "Very Well", sent.cseq), method)
            equal(final.body, b"yes\r\n", "body of the answer")
            passed(final, where=f"in the answer to {method}")
    c.talk().heard(5).quiet().whole()
    c.hang_up().gone()


def refused_within(lab):
    """a refusal of what was passed on comes back; 401 and 302 are not the other side's business"""
    c = call(lab).up()
    for code, want in ((489, 489), (415, 415), (501, 501), (401, 403), (407, 403), (302, 480),
                       (603, 603)):
        c.a.request("INFO")
        got = c.b.expect("INFO")
        c.b.reply(got, code, reason="Phrase", headers=[("Contact", f"<sip:x@{CALLEE}>")])
        final = c.a.expect("final")
        equal(final.code, want, f"answer for {code}")
        hidden(final, CALLEE)
    equal(len(lab.calls()), 1, "calls")
    c.hang_up().gone()


def sent_again(lab):
    """a retransmitted INFO passes once and is answered the same again"""
    c = call(lab).up()
    sent = c.a.request("INFO")
    got = c.b.expect("INFO")
    c.a_phone.send(sent)
    c.b.none("INFO", seconds=0.2)
    c.b.reply(got, 200)
    first = c.a.expect(200)
    c.a_phone.send(sent)
    equal(c.a.expect(200, repeats=True).bytes(), first.bytes(), "answer sent again")
    c.b.none("INFO", seconds=0.1)
    c.hang_up().gone()


def slow_answer(lab):
    """no answer for 3.5 s: 100, so that the far end stops sending (RFC 4320)"""
    c = call(lab).up()
    c.a.request("INFO")
    got = c.b.expect("INFO")
    equal(c.a.expect("1xx", timeout=6).code, 100, "first answer")
    c.b.reply(got, 200)
    equal(c.a.expect("final").code, 200, "answer")
    c.hang_up().gone()


def dialog_gone(lab):
    """481 to what was passed on ends the call: BYE to the other side"""
    c = call(lab).up()
    c.a.request("INFO")
    c.b.reply(c.b.expect("INFO"), 481)
    equal(c.a.expect("final").code, 481, "answer")
    c.a.expect_bye()
    c.gone()


def early_info(lab):
    """INFO before the answer, both ways"""
    c = call(lab).ring()
    c.a.target = f"sip:{INSIDE}:5060"
    for near, far, _ in both_ways(c):
        near.request("INFO")
        far.reply(far.expect("INFO"), 200)
        equal(near.expect("final").code, 200, "answer")
    c.answer()
    c.hang_up().gone()


def unknown_method(lab):
    """what the node does not know is 501, PUBLISH in a dialog passes"""
    c = call(lab).up()
    c.a.request("WINK")
    equal(c.a.expect("final").code, 501, "answer")
    c.b_phone.none("WINK", seconds=0.1)
    c.a.request("PUBLISH")
    c.b.reply(c.b.expect("PUBLISH"), 489)
    equal(c.a.expect("final").code, 489, "answer")
    c.hang_up().gone()


def alone(lab, phone, method, number, kind=None, body="", headers=()):
    dialog = Dialog(phone, f"sip:{number}@{phone.node[0]}")
    dialog.invite = ask(dialog, method, kind, body, headers)
    return dialog


def methods_outside(lab):
    """MESSAGE, PUBLISH, INFO, NOTIFY outside of dialogs go where a call would, answers come back"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    for near, far, prefix, addresses in ((a, b, "7", (CALLER, INSIDE)),
                                         (b, a, "6", (CALLEE, OUTSIDE))):
        for method in ("MESSAGE", "PUBLISH", "INFO", "NOTIFY"):
            number = lab.number(prefix)
            d = alone(lab, near, method, number, "text/plain;charset=UTF-8", "gr\xfc\xdfe\r\n",
                      PASSING + HIDDEN + (("Event", "presence"), ("SIP-If-Match", "x")))
            got = far.expect(method, call_id=None)
            equal(got.uri, f"sip:{number}@{far.ip}:5060", "request URI")
            equal(got.body, "gr\xfc\xdfe\r\n".encode("latin1"), "body")
            equal(got.get("event"), "presence", "Event")
            equal(got.get("sip-if-match"), "x", "SIP-If-Match")
            passed(got, where=f"in {method}")
            hidden(got, *addresses)
            check(got.call_id != d.call_id, "the Call-ID passed")
            answer = d.reply(got, 200, reason="Taken", headers=[("SIP-ETag", "y")], send=False)
            far.send(answer, got.source)
            final = d.expect("final")
            equal((final.code, final.reason, final.get("sip-etag")), (200, "Taken", "y"), method)


def outside_refused(lab):
    """no route 404, a stranger 403, no hops 483, refusals of the far end come back"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    equal(alone(lab, a, "MESSAGE", "9123").expect("final").code, 404, "no route")
    stranger = lab.phone("10.91.1.66")
    equal(alone(lab, stranger, "MESSAGE", "7123").expect("final").code, 403, "stranger")
    d = alone(lab, a, "MESSAGE", "7123", headers=[("Max-Forwards", "0")])
    equal(d.expect("final").code, 483, "no hops")
    d = alone(lab, a, "MESSAGE", "7123")
    got = b.expect("MESSAGE")
    b.send(d.reply(got, 488, send=False), got.source)
    equal(d.expect("final").code, 488, "refused")
    d = alone(lab, a, "MESSAGE", "7123", headers=[("Require", "nonesuch, replaces")])
    final = d.expect("final")
    equal((final.code, final.get("unsupported")), (420, "nonesuch"), "required")


def subscription(lab):
    """SUBSCRIBE, NOTIFY, refresh and unsubscribe end to end, in dialogs of each side's own"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    number = lab.number("7")
    d = alone(lab, a, "SUBSCRIBE", number, headers=[("Event", "dialog"), ("Expires", "600"),
                                                    ("Accept", "application/dialog-info+xml")])
    got = b.expect("SUBSCRIBE")
    equal((got.get("event"), got.get("expires")), ("dialog", "600"), "Event and Expires")
    equal(got.all("accept"), ["application/dialog-info+xml"], "Accept")
    hidden(got, CALLER, INSIDE)
    e = Dialog.of_invite(b, got)
    notify(e, d, "active;expires=600", "<one/>")        # before the 2xx
    b.send(e.reply(got, 200, headers=[("Expires", "300"), ("Contact", e.contact)], send=False),
           got.source)
    final = d.expect("final")
    equal((final.code, final.get("expires")), (200, "300"), "answer")
    d.remote_tag, d.target = final.tag("to"), final.address("contact")
    hidden(final, CALLEE, OUTSIDE)
    notify(e, d, "active;expires=299", "<two/>")
    d.request("SUBSCRIBE", headers=[("Event", "dialog"), ("Expires", "600")])
    again = e.expect("SUBSCRIBE")
    equal(again.tag("to"), e.local_tag, "To tag of the refresh")
    e.reply(again, 200, headers=[("Expires", "600"), ("Contact", e.contact)])
    equal(d.expect("final").code, 200, "answer to the refresh")
    d.request("SUBSCRIBE", headers=[("Event", "dialog"), ("Expires", "0")])
    last = e.expect("SUBSCRIBE")
    equal(last.get("expires"), "0", "Expires")
    e.reply(last, 200, headers=[("Expires", "0"), ("Contact", e.contact)])
    equal(d.expect("final").code, 200, "answer to the end")
    notify(e, d, "terminated;reason=timeout", "<three/>")
    d.request("SUBSCRIBE", headers=[("Event", "dialog")])
    equal(d.expect("final").code, 481, "the subscription is gone")
    e.request("NOTIFY", headers=[("Event", "dialog"), ("Subscription-State", "active")])
    equal(e.expect("final").code, 481, "the subscription is gone")


def notify(e, d, state, body):
    """A NOTIFY from the one subscribed to reaches the subscriber, its answer comes back."""
    sent = ask(e, "NOTIFY", "application/dialog-info+xml", body,
               [("Event", "dialog"), ("Subscription-State", state)])
    got = d.phone.expect("NOTIFY", call_id=d.call_id)
    equal((got.get("subscription-state"), got.body), (state, sent.body), "NOTIFY")
    equal(got.tag("to"), d.local_tag, "To tag")
    hidden(got, CALLEE, OUTSIDE)
    d.phone.send(d.reply(got, 200, send=False), got.source)
    equal(e.expect("final").code, 200, "answer to NOTIFY")


def subscription_refused(lab):
    """a refused SUBSCRIBE leaves nothing: a NOTIFY for it is 481"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    d = alone(lab, a, "SUBSCRIBE", lab.number("7"), headers=[("Event", "nonesuch")])
    got = b.expect("SUBSCRIBE")
    e = Dialog.of_invite(b, got)
    b.send(e.reply(got, 489, headers=[("Allow-Events", "dialog")], send=False), got.source)
    final = d.expect("final")
    equal((final.code, final.get("allow-events")), (489, "dialog"), "answer")
    e.request("NOTIFY", headers=[("Event", "nonesuch"), ("Subscription-State", "active")])
    equal(e.expect("final").code, 481, "answer to NOTIFY")


def blind_transfer(lab):
    """REFER to a number of ours leads through us on the other side; NOTIFYs name their REFER"""
    c = call(lab).up()
    c.a.request("REFER", headers=[("Refer-To", f"<sip:6555@{INSIDE};transport=udp>"),
                                  ("Referred-By", "<sip:a@a.example>")])
    refer = c.b.expect("REFER")
    equal(refer.get("refer-to"), f"<sip:6555@{OUTSIDE}:5060>", "Refer-To")
    equal(refer.get("referred-by"), "<sip:a@a.example>", "Referred-By")
    c.b.reply(refer, 202, headers=[("Contact", c.b.contact)])
    equal(c.a.expect("final").code, 202, "answer to REFER")
    asked = c.a.cseq
    c.a.request("INFO")     # numbers drift apart
    c.b.reply(c.b.expect("INFO"), 200)
    c.a.expect(200)
    for state, text in (("active;expires=60", "SIP/2.0 100 Trying\r\n"),
                        ("terminated;reason=noresource", "SIP/2.0 200 OK\r\n")):
        ask(c.b, "NOTIFY", "message/sipfrag;version=2.0", text,
            [("Event", f"refer;id={refer.cseq[0]}"), ("Subscription-State", state)])
        got = c.a.expect("NOTIFY")
        equal((got.get("event"), got.body.decode()), (f"refer;id={asked}", text), "NOTIFY")
        c.a.reply(got, 200)
        equal(c.b.expect("final").code, 200, "answer to NOTIFY")
    c.hang_up().gone()


def attended_transfer(lab):
    """REFER with Replaces over two calls: the transferee replaces the other call through us"""
    one = call(lab).up()
    two = Call(lab, one.a_phone, lab.phone("10.91.2.21"), lab.number("8")).up()
    replaces = f"{two.a.call_id};to-tag={two.a.remote_tag};from-tag={two.a.local_tag}"
    escaped = replaces.replace("@", "%40").replace(";", "%3B").replace("=", "%3D")
    one.a.request("REFER", headers=[
        ("Refer-To", f"<sip:{two.number}@{INSIDE}?Replaces={escaped}&X-Y=z>")])
    refer = one.b.expect("REFER")
    hidden(refer, CALLER, INSIDE, two.a.call_id)
    target = refer.address("refer-to")
    far = (f"{two.b.call_id}%3Bto-tag%3D{two.b.local_tag}%3Bfrom-tag%3D{two.b.remote_tag}")
    equal(target, f"sip:{two.number}@{OUTSIDE}:5060?Replaces={far}&X-Y=z", "Refer-To")
    one.b.reply(refer, 202, headers=[("Contact", one.b.contact)])
    equal(one.a.expect("final").code, 202, "answer to REFER")
    # The transferee calls, no route leads from there: the dialog does.
    value = f"{two.b.call_id};to-tag={two.b.local_tag};from-tag={two.b.remote_tag}"
    third = one.b_phone.call(two.number, sip.sdp(CALLEE, lab.end(CALLEE).port),
                             headers=[("Replaces", value), ("Require", "replaces")])
    got = two.b_phone.incoming(two.number)
    equal(got.invite.get("replaces"), value, "Replaces")
    equal(got.invite.get("require"), "replaces", "Require")
    hidden(got.invite, CALLEE, CALLER)
    got.reply(got.invite, 200, two.b_sdp)
    third.ack(third.expect(200))
    got.expect("ACK")
    two.b.request("BYE")
    two.a.expect_bye()
    equal(two.b.expect("final").code, 200, "answer to BYE")
    equal(len(lab.calls()), 2, "calls")
    one.hang_up().gone()
    third.request("BYE")
    got.expect_bye()
    equal(third.expect("final").code, 200, "answer to BYE")
    wait_for(lambda: not lab.calls() and not lab.flows(), 3, "nothing lives")


def replaced_through_us(lab):
    """an INVITE that names our end of a dialog gets the name of the far end's"""
    c = call(lab).up()
    other = lab.phone("10.91.1.11")
    value = f"{c.a.call_id};to-tag={c.a.remote_tag};from-tag={c.a.local_tag};early-only"
    d = other.call("9", sip.sdp(other.ip, lab.end(other.ip).port), headers=[("Replaces", value)])
    got = c.b_phone.incoming()
    equal(got.invite.get("replaces"),
          f"{c.b.call_id};to-tag={c.b.local_tag};from-tag={c.b.remote_tag};early-only", "Replaces")
    got.reply(got.invite, 486)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 486, "answer")
    d = other.call(lab.number("7"), sip.sdp(other.ip, lab.end(other.ip).port),
                   headers=[("Replaces", "nobodys;to-tag=1;from-tag=2")])
    got = c.b_phone.incoming()
    equal(got.invite.get("replaces"), "nobodys;to-tag=1;from-tag=2", "Replaces of none of ours")
    got.reply(got.invite, 481)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 481, "answer")
    c.hang_up().gone()


TESTS = [headers_of_a_call, refusal, why_cancelled, smuggled, parts_of_an_invite, bad_parts,
         methods_within, refused_within, sent_again, slow_answer, dialog_gone, early_info,
         unknown_method, methods_outside, outside_refused, subscription, subscription_refused,
         blind_transfer, attended_transfer, replaced_through_us, next_target]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
