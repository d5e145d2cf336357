#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that are the far ends' business: passed on within calls and outside, with answers."""
import sip
import tap
from calls import INSIDE, OUTSIDE, Call, call
from lab import CALLEE, CALLER, PEERS, config, nothing_left
from passing import HIDDEN, PASSING, alone, ask, hidden, make, passed
from phone import Dialog
from stream import StreamPhone
from tap import check, equal, wait_for


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


def open_at_the_end(lab):
    """BYE of either side while an INFO waits for its answer: 487 to the INFO"""
    for ender in ("a", "b"):
        c = call(lab).up()
        asked = c.a.request("INFO")
        got = c.b.expect("INFO")
        near, far = (c.a, c.b) if ender == "a" else (c.b, c.a)
        bye = near.request("BYE")
        far.expect_bye()
        equal(near.phone.expect("final", call_id=near.call_id,
                                where=lambda m, bye=bye: m.cseq == bye.cseq).code, 200, "BYE")
        final = c.a.expect(487)
        equal(final.cseq, asked.cseq, "what is answered 487")
        c.b.reply(got, 200)
        c.a.none("final", seconds=0.1)
        c.gone()
        lab.clear()


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


def replaced_over_reloads(lab):
    """a call that replaces one of before a reload keeps both configurations while it lives"""
    c = call(lab).up()
    equal(lab.ctl("reload"), {"ok": True}, "reload")
    other = lab.phone("10.91.1.11")
    value = f"{c.a.call_id};to-tag={c.a.remote_tag};from-tag={c.a.local_tag}"
    d = other.call("9", sip.sdp(other.ip, lab.end(other.ip).port), headers=[("Replaces", value)])
    got = c.b_phone.incoming()
    got.reply(got.invite, 180)
    d.expect(180)
    c.hang_up()
    for _ in range(2):
        lab.ctl("reload")
    names = {lab.calls()[0][side]["peer"] for side in ("a", "b")}
    check(len(names) == 2 and all(names), "peers of the call:", names)
    got.reply(got.invite, 486)
    final = d.expect("final")
    d.ack(final)
    equal(final.code, 486, "answer")
    wait_for(lambda: not lab.calls(), 3, "the call is gone")


def over_tcp(lab):
    """between a phone on UDP and one on TCP: within a call, outside, and a subscription"""
    equal(lab.stop(), 0, "exit status")
    lab.start(config(lab, outside={"bind": f"udp:{OUTSIDE}:5060,tcp:{OUTSIDE}:5060"},
                     peers=PEERS.replace("[ben]\n", "[ben]\ntransport = tcp\n")))
    a = lab.phone(CALLER)
    b = StreamPhone(lab, lab.callee.name, "10.91.2.21", (OUTSIDE, 5060))
    c = Call(lab, a, b, lab.number("8")).up()
    for near, far in ((c.a, c.b), (c.b, c.a)):
        near.request("INFO", headers=PASSING)
        got = far.expect("INFO")
        passed(got, where="in INFO")
        far.reply(got, 200)
        equal(near.expect("final").code, 200, "answer to INFO")
    c.a.request("REFER", headers=[("Refer-To", f"<sip:6555@{INSIDE}>")])
    refer = c.b.expect("REFER")
    equal(refer.get("refer-to"), f"<sip:6555@{OUTSIDE}:5060;transport=tcp>", "Refer-To")
    c.b.reply(refer, 603)
    equal(c.a.expect("final").code, 603, "answer to REFER")
    c.hang_up().gone()
    d = alone(lab, a, "SUBSCRIBE", lab.number("8"), headers=[("Event", "dialog")])
    got = b.expect("SUBSCRIBE")
    e = Dialog.of_invite(b, got)
    b.send(e.reply(got, 200, headers=[("Expires", "60"), ("Contact", e.contact)], send=False),
           got.source)
    d.remote_tag = d.expect("final").tag("to")
    notify(e, d, "terminated", "<x/>")
    equal(lab.stop(), 0, "exit status")
    lab.start(config(lab))


TESTS = [methods_within, refused_within, sent_again, slow_answer, open_at_the_end, dialog_gone,
         early_info, unknown_method, methods_outside, outside_refused, subscription,
         subscription_refused, blind_transfer, attended_transfer, replaced_through_us, over_tcp,
         replaced_over_reloads]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
