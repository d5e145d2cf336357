#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What passes from one side of a call to the other: headers, and parts of bodies."""
import sip
import tap
from calls import INSIDE, OUTSIDE, call
from lab import CALLEE, CALLER, PEERS, config, nothing_left
from passing import HIDDEN, PASSING, alone, ask, hidden, make, passed
from phone import Dialog
from sip import token
from tap import check, equal

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


def headers_of_update(lab):
    """UPDATE and its answer pass the same, both ways"""
    may = (("Allow", "INVITE, ACK, BYE, UPDATE"),)
    c = invited(call(lab), may)
    answered(c, may)
    sides = ((c.a, c.a_rtp, c.b, c.b_rtp, (CALLER, INSIDE)),
             (c.b, c.b_rtp, c.a, c.a_rtp, (CALLEE, OUTSIDE)))
    for version, (near, near_rtp, far, far_rtp, addresses) in enumerate(sides, 2):
        near.request("UPDATE", sip.sdp(near.phone.ip, near_rtp.port, direction="sendonly",
                                       version=version), headers=PASSING + HIDDEN)
        got = far.expect("UPDATE")
        passed(got, where="in UPDATE")
        hidden(got, *addresses)
        far.reply(got, 200, sip.sdp(far.phone.ip, far_rtp.port, direction="recvonly",
                                    version=version), headers=PASSING + HIDDEN)
        final = near.expect("final")
        equal(final.code, 200, "answer to UPDATE")
        passed(final, where="in the answer to UPDATE")
    c.hang_up().gone()


def parts_without_offer(lab):
    """an INVITE with parts but no offer: they pass whole, the answer in ACK is ours"""
    c = call(lab)
    body = "--x\r\nContent-Type: application/resource-lists+xml\r\n\r\n<list/>\r\n--x--\r\n"
    c.a = sip_call(c, "multipart/mixed;boundary=x", body)
    c.b = c.b_phone.incoming(c.number)
    equal(c.b.invite.body.decode(), body, "body")
    equal(c.b.invite.get("content-type"), "multipart/mixed;boundary=x", "Content-Type")
    c.b.reply(c.b.invite, 200, c.b_sdp)
    offer = c.a.expect(200)
    equal(offer.sdp.rtp()[0], INSIDE, "relay address offered")
    c.a.ack(offer, c.a_sdp)
    equal(c.b.expect("ACK").sdp.rtp()[0], OUTSIDE, "relay address answered")
    c.hang_up()


def connected(near, sdp, name, method="INVITE"):
    """The far end that is there now says its name, and describes nothing new."""
    headers = (("P-Asserted-Identity", f"<sip:{name}@carrier.example>"), ("Privacy", "id"))
    if method == "INVITE":
        near.reinvite(sdp, headers=headers)
    else:
        near.request(method, headers=headers)
    final = near.expect("final")
    equal(final.code, 200, f"answer to {method}")
    if method == "INVITE":
        near.ack(final)
    return headers


def told(far, headers, sdp, in_force, method="INVITE"):
    """The other far end hears the name, by itself, and nothing else of it is new."""
    got = far.expect(method)
    passed(got, headers, f"in {method}")
    equal(got.body.decode(), in_force, "description")
    far.reply(got, 200, sdp)
    if method == "INVITE":
        far.expect("ACK")


def pitfall_51_identity_passes(lab):
    """a re-INVITE or UPDATE that says nothing new but who is there now: the other side is told,
    once, with the description in force"""
    c = invited(call(lab), PASSING)
    answered(c)
    sides = ((c.b, c.b_sdp, c.a, c.a_sdp, c.a_answer), (c.a, c.a_sdp, c.b, c.b_sdp, c.b_offer))
    for i, (near, near_sdp, far, far_sdp, in_force) in enumerate(sides):
        for method in ("INVITE", "UPDATE"):
            headers = connected(near, near_sdp, f"+4930{i}{method}", method)
            told(far, headers, far_sdp, in_force.text)
            connected(near, near_sdp, f"+4930{i}{method}", method)
            far.none("INVITE", seconds=0.2)
    c.hang_up().gone()


def pitfall_51_identity_by_update(lab):
    """the same to who allows UPDATE: by that, without a description; also where canreinvite=no
    forbids a re-INVITE, but never by one"""
    may = (("Allow", "INVITE, ACK, BYE, UPDATE"),)
    for number, b_ip in (("7", CALLEE), ("8", "10.91.2.21")):
        c = invited(call(lab, number, b_ip=b_ip), may)
        answered(c, may)
        told(c.a, connected(c.b, c.b_sdp, "1"), None, "", "UPDATE")
        told(c.b, connected(c.a, c.a_sdp, "2"), None, "", "UPDATE")
        c.hang_up().gone()
        lab.clear()
    c = invited(call(lab, "8", b_ip="10.91.2.21"), ())
    answered(c)
    connected(c.a, c.a_sdp, "3")
    c.b.none("INVITE", seconds=0.3)
    c.hang_up().gone()


def pitfall_51_identity_refused(lab):
    """491 to what tells it: once more; another refusal changes nothing; 481 ends the call"""
    c = invited(call(lab), ())
    answered(c)
    headers = connected(c.b, c.b_sdp, "1")
    c.a.reply(c.a.expect("INVITE"), 491)
    c.a.expect("ACK")
    told(c.a, headers, c.a_sdp, c.a_answer.text)
    connected(c.b, c.b_sdp, "2")
    c.a.reply(c.a.expect("INVITE"), 488)
    c.a.expect("ACK")
    c.b.none("BYE", seconds=0.2)
    connected(c.b, c.b_sdp, "3")
    c.a.reply(c.a.expect("INVITE"), 481)
    c.a.expect("ACK")
    c.b.expect_bye()
    c.gone()


IDENTITIES = (("P-Asserted-Identity", "<sip:+4989@carrier.example>"),
              ("Remote-Party-ID", "<sip:+4989@carrier.example>;party=calling"))


def trust(lab):
    """trustrpid = no: identities of that peer go no further; sendrpid = no: it is told none"""
    equal(lab.stop(), 0, "exit status")
    for key, in_requests, in_answers in (("trustrpid", [], list(IDENTITIES)),
                                         ("sendrpid", list(IDENTITIES), [])):
        lab.start(config(lab, peers=PEERS.replace("[alice]\n", f"[alice]\n{key} = no\n")))
        c = invited(call(lab), IDENTITIES + PASSING[1:])
        passed(c.b.invite, PASSING[1:], "in the INVITE")
        equal(identities(c.b.invite), in_requests, f"{key}: INVITE")
        c.b.reply(c.b.invite, 180, headers=IDENTITIES)
        equal(identities(c.a.expect(180)), in_answers, f"{key}: 180")
        equal(identities(answered(c, IDENTITIES)), in_answers, f"{key}: 200")
        c.a.request("INFO", headers=IDENTITIES)
        got = c.b.expect("INFO")
        equal(identities(got), in_requests, f"{key}: INFO")
        c.b.reply(got, 200, headers=IDENTITIES)
        equal(identities(c.a.expect("final")), in_answers, f"{key}: answer to INFO")
        c.b.request("INFO", headers=IDENTITIES)
        got = c.a.expect("INFO")
        equal(identities(got), in_answers, f"{key}: INFO to it")
        c.a.reply(got, 200, headers=IDENTITIES)
        equal(identities(c.b.expect("final")), in_requests, f"{key}: its answer")
        d = alone(lab, c.a_phone, "MESSAGE", lab.number("7"), headers=IDENTITIES)
        got = c.b_phone.expect("MESSAGE")
        equal(identities(got), in_requests, f"{key}: MESSAGE")
        c.b_phone.send(d.reply(got, 200, headers=IDENTITIES, send=False), got.source)
        equal(identities(d.expect("final")), in_answers, f"{key}: answer to MESSAGE")
        deaf, heard = ((c.a, c.a_sdp), (c.b, c.b_sdp))
        if key == "trustrpid":
            deaf, heard = heard, deaf
        connected(*heard, "new")
        deaf[0].none("INVITE", seconds=0.2)
        headers = connected(*deaf, "new")
        told(heard[0], headers, heard[1], (c.a_answer if heard[0] is c.a else c.b_offer).text)
        c.hang_up().gone()
        lab.clear()
        equal(lab.stop(), 0, "exit status")
    lab.start(config(lab))


def identities(msg):
    return [(n, v) for n, v in msg.headers if n in dict(IDENTITIES)]


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


TESTS = [headers_of_a_call, headers_of_update, pitfall_51_identity_passes,
         pitfall_51_identity_by_update, pitfall_51_identity_refused, parts_without_offer, refusal,
         why_cancelled, smuggled, parts_of_an_invite, bad_parts, trust, next_target]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
