#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How calls are set up, refused, cancelled and lost: every message of both sides."""
import re

import sip
import tap
from calls import INSIDE, OUTSIDE, Call, call, relayed
from lab import CALLEE, CALLER, config, nothing_left, running
from tap import check, equal, wait_for

PCMU, PCMA, G722 = (0, "PCMU/8000"), (8, "PCMA/8000"), (9, "G722/8000")


def make():
    return running()


def nothing_lives(lab):
    wait_for(lambda: not lab.calls() and not lab.flows(), 3, "no call and no flow")


def refused(dialog, code, timeout=3.0):
    """The INVITE of this dialog ends so; acknowledged."""
    final = dialog.expect("final", timeout)
    dialog.ack(final)
    equal(final.code, code, "final answer")
    return final


def trying_at_once(lab):
    """100 to the caller before the callee says anything, and no To tag in it"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    number = lab.number()
    d = a.call(number, sip.sdp(CALLER, 20000))
    equal(d.expect("1xx").code, 100, "first answer")
    i = b.incoming(number)
    i.reply(i.invite, 486)
    refused(d, 486)
    i.expect("ACK")
    nothing_lives(lab)


def early_media(lab):
    """183 with SDP: the callee is heard before the answer"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number)
    c.relay_b = c.b.invite.sdp.rtp()
    c.b.reply(c.b.invite, 183, c.b_sdp)
    progress = c.a.expect(183)
    relayed(progress.sdp, INSIDE)
    c.relay_a = progress.sdp.rtp()
    c.b_rtp.start(c.relay_b)
    wait_for(lambda: len(c.a_rtp.rtp.got) >= 20, 3, "early audio at the caller")
    c.b.reply(c.b.invite, 180)
    c.a.expect(180)
    equal(c.show()["state"], "early", "state")
    c.b_offer = c.b.invite.sdp
    c.answer()
    equal(c.a_answer.rtp(), c.relay_a, "relay address in 200 and 183")
    equal(c.a_answer.origin, progress.sdp.origin, "o= in 200 and 183")
    c.talk().heard(20).quiet().whole()
    equal(c.show()["state"], "up", "state")
    c.hang_up().gone()


def ringing_without_sdp(lab):
    """180 without SDP is passed on without SDP"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number)
    c.b.reply(c.b.invite, 180)
    equal(c.a.expect(180).sdp, None, "SDP in the 180")
    c.b.reply(c.b.invite, 486)
    refused(c.a, 486)
    c.b.expect("ACK")
    nothing_lives(lab)


def finals_mapped(lab):
    """486, 404, 480, 503, 603, 600, 415 of the callee reach the caller as they are"""
    for code in (486, 404, 480, 503, 603, 600, 415):
        c = call(lab).ring()
        c.b.reply(c.b.invite, code, reason="Reason of the callee")
        final = refused(c.a, code)
        equal(final.sdp, None, "SDP in a refusal")
        equal(c.b.expect("ACK").cseq[0], c.b.invite.cseq[0], "ACK's number")
        for phone in (c.a_phone, c.b_phone):
            phone.close()
    nothing_lives(lab)


def cancelled(lab):
    """CANCEL: the callee's INVITE is cancelled in its own transaction, the caller gets 487"""
    c = call(lab).ring()
    c.a.cancel()
    cancel = c.b.expect("CANCEL")
    equal((cancel.branch, cancel.cseq[0], cancel.uri),
          (c.b.invite.branch, c.b.invite.cseq[0], c.b.invite.uri), "CANCEL's transaction")
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted((m.cseq[1], m.code) for m in finals), [("CANCEL", 200), ("INVITE", 487)], "finals")
    c.a.ack(next(m for m in finals if m.code == 487))
    nothing_lives(lab)


def cancelled_before_ringing(lab):
    """CANCEL while the callee is silent waits for its first word (RFC 3261 9.1)"""
    c = call(lab)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number)
    c.a.cancel()
    finals = [c.a.expect("final"), c.a.expect("final")]
    c.a.ack(next(m for m in finals if m.code == 487))
    c.b.none("CANCEL", seconds=0.3)
    c.b.reply(c.b.invite, 100)
    cancel = c.b.expect("CANCEL")
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    nothing_lives(lab)


def cancel_crosses_answer(lab):
    """CANCEL and the callee's 200 cross: the 200 is acknowledged, then BYE"""
    c = call(lab).ring()
    c.a.cancel()
    cancel = c.b.expect("CANCEL")
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.b.reply(cancel, 200)
    c.b.expect("ACK")
    c.b.expect_bye()
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted(m.code for m in finals), [200, 487], "finals")
    c.a.ack(next(m for m in finals if m.code == 487))
    nothing_lives(lab)


def cancel_too_late(lab):
    """CANCEL behind the 200 changes nothing: the call lives"""
    c = call(lab).up()
    c.a.cancel()
    answer = c.a.expect("final")
    equal(answer.cseq[1], "CANCEL", "what is answered")
    c.b.none("CANCEL", seconds=0.2)
    c.talk().heard(10).quiet().whole()
    c.hang_up().gone()


def no_answer(lab):
    """a route's timeout: CANCEL to the callee, 408 to the caller"""
    c = call(lab, prefix="3").ring()
    cancel = c.b.expect("CANCEL", timeout=6)
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    refused(c.a, 408)
    nothing_lives(lab)


def silent_callee(lab):
    """no word from the callee: INVITE is sent again, a late answer after the timeout is ended"""
    c = call(lab, prefix="3")
    c.a = c.a_phone.call(c.number, c.a_sdp)
    c.b = c.b_phone.incoming(c.number)
    again = c.b.expect("INVITE", repeats=True)
    equal(again.bytes(), c.b.invite.bytes(), "INVITE sent again")
    refused(c.a, 408, timeout=6)
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.b.expect("ACK")
    c.b.expect_bye()
    nothing_lives(lab)


def invite_repeated(lab):
    """a retransmitted INVITE makes no second call, before and after the 200"""
    c = call(lab).ring()
    c.a_phone.send(c.a.invite)
    equal(c.a.expect("1xx", repeats=True).code, 180, "answer to the repeated INVITE")
    c.answer()
    c.a_phone.send(c.a.invite)
    c.b_phone.none("INVITE", seconds=0.3, repeats=True)
    equal(len(lab.calls()), 1, "calls")
    c.hang_up().gone()


def answer_repeated(lab):
    """the callee's 200 sent again gets the same ACK again; the caller hears it once"""
    c = call(lab).ring()
    ok = c.b.reply(c.b.invite, 200, c.b_sdp)
    answer = c.a.expect(200)
    c.a.ack(answer)
    first = c.b.expect("ACK")
    c.b_phone.send(ok, c.b.invite.source)
    second = c.b.expect("ACK", repeats=True)
    equal(second.bytes(), first.bytes(), "ACK")
    c.a.none(200, seconds=0.2, repeats=True)
    c.a.request("BYE")
    c.b.expect_bye()
    c.a.expect(200)


def ack_lost(lab):
    """our 200 is sent again until the ACK comes, and no more behind it"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    answer = c.a.expect(200)
    c.b.expect("ACK")
    for _ in range(2):
        equal(c.a.expect(200, repeats=True).bytes(), answer.bytes(), "200 sent again")
    c.a.ack(answer)
    wait_for(lambda: lab.calls()[0]["state"] == "up", 3, "state up")
    c.a_phone.pump(0.1)
    c.a_phone.backlog.clear()
    c.a.none(200, seconds=2.5, repeats=True)
    c.a.ack(answer)     # a second ACK is nothing
    c.a.request("BYE")
    c.b.expect_bye()
    c.a.expect(200)


def never_acked(lab):
    """no ACK for 64*T1: BYE to both"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.a.expect(200)
    c.b.expect("ACK")
    bye = c.a.expect("BYE", timeout=40)
    c.a.reply(bye, 200)
    c.b.expect_bye()
    nothing_lives(lab)


def unknown_peer(lab):
    """a stranger's INVITE: 403, one line in the log that names him, nothing at the callee"""
    stranger, b = lab.phone("10.91.1.66"), lab.phone(CALLEE)
    before = lab.metrics()
    d = stranger.call(lab.number(), sip.sdp(stranger.ip, 20000))
    refused(d, 403)
    b.none("INVITE", seconds=0.1)
    lines = [x for x in lab.log().splitlines() if "10.91.1.66" in x]
    equal(len(lines), 1, f"log lines: {lines}")
    check(re.search(r"unknown[ _-]peer", lines[0]), lines[0])
    after = lab.metrics()
    grown = {k for k in after if k.startswith("rtpfwd_sip_rejected_total") and
             after[k] == before.get(k, 0) + 1}
    equal(len(grown), 1, f"rtpfwd_sip_rejected_total: {grown}")
    nothing_lives(lab)


def unknown_peer_options(lab):
    """a stranger's OPTIONS is refused, too"""
    stranger = lab.phone("10.91.1.66")
    req = stranger.ask("OPTIONS")
    equal(stranger.expect("final", call_id=req.call_id).code, 403, "answer")


def no_route(lab):
    """a number without a route: 404"""
    a = lab.phone(CALLER)
    refused(a.call("9123", sip.sdp(CALLER, 20000)), 404)
    nothing_lives(lab)


def number_mapping(lab):
    """strip and prepend, in request URI and To"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    d = a.call("015551", sip.sdp(CALLER, 20000))
    i = b.incoming("775551")
    equal(i.invite.address("to"), f"sip:775551@{CALLEE}:5060", "To")
    i.reply(i.invite, 486)
    refused(d, 486)
    i.expect("ACK")
    nothing_lives(lab)


def options(lab):
    """OPTIONS outside a dialog: 200 with Allow"""
    a = lab.phone(CALLER)
    req = a.ask("OPTIONS")
    answer = a.expect("final", call_id=req.call_id)
    equal(answer.code, 200, "answer")
    check("INVITE" in answer.get("allow", ""), "Allow:", answer.get("allow"))
    check(answer.tag("to"), "no To tag")


def no_dialog(lab):
    """BYE and re-INVITE for a dialog that is not: 481; a stray ACK: silence"""
    a = lab.phone(CALLER)
    for method in ("BYE", "INVITE"):
        req = a.ask(method, f"sip:7000@{INSIDE}", to_tag="nonesuch")
        answer = a.expect("final", call_id=req.call_id)
        equal(answer.code, 481, f"answer to {method}")
    req = a.ask("ACK", f"sip:7000@{INSIDE}", to_tag="nonesuch")
    a.none("final", call_id=req.call_id, seconds=0.2)


def hops_exhausted(lab):
    """Max-Forwards 0: 483"""
    a = lab.phone(CALLER)
    d = a.call(lab.number(), sip.sdp(CALLER, 20000), headers=[("Max-Forwards", "0")])
    refused(d, 483)
    nothing_lives(lab)


def extension_required(lab):
    """Require of what we do not have: 420 that lists it"""
    a = lab.phone(CALLER)
    d = a.call(lab.number(), sip.sdp(CALLER, 20000), headers=[("Require", "nonesuch")])
    final = refused(d, 420)
    equal(final.get("unsupported"), "nonesuch", "Unsupported")
    nothing_lives(lab)


def garbage(lab):
    """an unparsable datagram is one rtpfwd_sip_malformed_total, and nothing else"""
    a = lab.phone(CALLER)
    before = lab.metrics()["rtpfwd_sip_malformed_total"]
    for data in (b"hello world\r\n\r\n", b"INVITE sip:x SIP/2.0\r\nVia\r\n\r\n", bytes(range(256))):
        a.send_raw(data)
    wait_for(lambda: lab.metrics()["rtpfwd_sip_malformed_total"] - before >= 3, 3, "three counted")
    equal(lab.metrics()["rtpfwd_sip_malformed_total"] - before, 3, "malformed")
    a.send_raw(b"\r\n\r\n")     # a keepalive (RFC 5626 3.5.1)
    equal(a.expect("final", call_id=a.ask("OPTIONS").call_id).code, 200, "OPTIONS")
    equal(lab.metrics()["rtpfwd_sip_malformed_total"] - before, 3, "malformed after a keepalive")


def rport(lab):
    """rport: the answer goes to where the request came from, and says so"""
    a = lab.phone(CALLER, port=5070)
    d = a.call("9123", sip.sdp(CALLER, 20000), via=f"{CALLER}:5999;rport")
    final = d.expect("final")
    equal(final.source, (INSIDE, 5060), "source of the answer")
    check("rport=5070" in final.get("via") and f"received={CALLER}" in final.get("via"),
          final.get("via"))
    d.request("ACK", cseq=1, branch=d.invite.branch, via=f"{CALLER}:5999;rport")


def no_rport(lab):
    """without rport the answer goes to the port in Via"""
    a, other = lab.phone(CALLER, port=5070), lab.phone(CALLER, port=5998)
    d = a.call("9123", sip.sdp(CALLER, 20000), via=f"{CALLER}:5998")
    equal(other.expect("final", call_id=d.call_id).code, 404, "answer")
    d.request("ACK", cseq=1, branch=d.invite.branch, via=f"{CALLER}:5998")


def no_common_codec(lab):
    """nothing common in the codec lists: 488, and the callee hears nothing"""
    a, bea = lab.phone(CALLER), lab.phone("10.91.2.22")
    refused(a.call(lab.number("5"), sip.sdp(CALLER, 20000, codecs=(PCMU,))), 488)
    bea.none("INVITE", seconds=0.1)
    nothing_lives(lab)


def codec_filter(lab):
    """allow=alaw: the offer to that peer holds PCMA in its place, no PCMU; others keep theirs"""
    c = call(lab, prefix="5", b_ip="10.91.2.22", codecs=(PCMU, PCMA, G722))
    c.b_sdp = sip.sdp(c.b_phone.ip, c.b_rtp.port, (PCMA,))
    c.up()
    equal(c.b_offer.m()[3], ["8"], "formats offered")
    equal([x for x in c.b_offer.attributes() if x.startswith("rtpmap")], ["rtpmap:8 PCMA/8000"],
          "rtpmap lines")
    equal(c.a_answer.m()[3], ["8"], "formats answered")
    c.a_rtp.pt = c.b_rtp.pt = 8
    c.talk().heard(5).quiet().whole()
    equal(c.show()["b"]["codec"], "PCMA", "codec shown")
    c.hang_up().gone()
    lab.clear()
    d = call(lab, codecs=(PCMU, PCMA, G722))
    d.up()
    equal(d.b_offer.m()[3], ["0", "8", "9"], "formats offered to a peer without a list")
    d.hang_up().gone()


def several_streams(lab):
    """audio and a message line: the audio is relayed, the other one refused with port 0; where the
    callee's list has no video, so is that"""
    other = ("m=message 30000 TCP/MSRP *",)
    c = call(lab, a_kw={"media": [other]}).ring()
    equal([m[0] for m in c.b_offer.media], [f"m=audio {c.relay_b[1]} RTP/AVP 0 8 101"], "offer")
    c.answer()
    equal([c.a_answer.m(i)[:2] for i in (0, 1)],
          [("audio", c.relay_a[1]), ("message", 0)], "answer")
    c.hang_up().gone()
    lab.clear()
    video = ("m=video 30000 RTP/AVP 96", "a=rtpmap:96 H264/90000")
    c = call(lab, "5", b_ip="10.91.2.22", a_kw={"media": [video]}).ring()
    equal([m[0] for m in c.b_offer.media], [f"m=audio {c.relay_b[1]} RTP/AVP 8 101"], "offer")
    c.answer()
    equal([c.a_answer.m(i)[:2] for i in (0, 1)], [("audio", c.relay_a[1]), ("video", 0)], "answer")
    equal(len(c.a_answer.media), 2, "m= lines answered")
    c.a_rtp.pt = c.b_rtp.pt = 8
    c.talk().heard(10).quiet().whole()
    c.hang_up().gone()


def rtcp_elsewhere(lab):
    """a=rtcp: the reports go to, and are taken from, the port it names"""
    c = call(lab)
    c.a_rtp.close()
    c.a_rtp = lab.end(CALLER, 21000, rtcp_port=21777)
    c.a_sdp = sip.sdp(CALLER, 21000, extra=("a=rtcp:21777",))
    c.up().talk().heard(20).quiet().whole()
    c.hang_up().gone()


def pitfall_31_attributes(lab):
    """c= at media level only; attributes in order, those that the relay ends are gone"""
    extra = ("a=candidate:1 1 UDP 1 10.91.1.10 20000 typ host", "a=ice-ufrag:abcd",
             "a=x-first:1", "a=label:7")
    c = call(lab, a_kw={"c_media": True, "extra": extra}).up()
    equal(c.b_offer.connection(), OUTSIDE, "c= to the callee")
    names = [x for x in c.b_offer.attributes() if not x.startswith(("rtcp:", "sendrecv"))]
    equal(names, ["rtpmap:0 PCMU/8000", "rtpmap:8 PCMA/8000", "rtpmap:101 telephone-event/8000",
                  "fmtp:101 0-16", "ptime:20", "x-first:1", "label:7"], "attributes")
    c.talk().heard(5).quiet().whole()
    c.hang_up().gone()


def rough_description(lab):
    """what real phones send: bare LF, no t=, b= before c=, empty s="""
    c = call(lab)
    c.a_sdp = (f"v=0\no=- 1 1 IN IP4 {CALLER}\ns=\nb=AS:64\nc=IN IP4 {CALLER}\n"
               f"m=audio {c.a_rtp.port} RTP/AVP 0")
    c.b_sdp = sip.sdp(CALLEE, c.b_rtp.port, (PCMU,))
    c.up().talk().heard(5).quiet().whole()
    c.hang_up().gone()


def no_description(lab):
    """a body that is no SDP: refused, nothing at the callee"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    d = a.call(lab.number(), "m=audio 1 RTP/AVP\n")
    final = d.expect("final")
    d.ack(final)
    check(final.code in (400, 488), final.code)
    b.none("INVITE", seconds=0.1)
    nothing_lives(lab)


def useless_answer(lab):
    """the callee answers without SDP: it gets ACK and BYE, the caller a refusal"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200)
    c.b.expect("ACK")
    c.b.expect_bye()
    final = c.a.expect("final")
    c.a.ack(final)
    check(final.code >= 400, final.code)
    nothing_lives(lab)


def answer_of_other_family(lab):
    """the callee answers with an IPv6 address to the IPv4 offer: no silent call, but a refusal"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, sip.sdp(CALLEE, 40000, c="c=IN IP6 2001:db8::20"))
    c.b.expect("ACK")
    c.b.expect_bye()
    refused(c.a, 488)
    nothing_lives(lab)


def bye_before_ack(lab):
    """the callee hangs up while the caller's ACK is missing"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 200, c.b_sdp)
    answer = c.a.expect(200)
    c.b.expect("ACK")
    c.b.request("BYE")
    c.a.ack(answer)
    c.a.expect_bye()
    equal(c.b.expect("final").code, 200, "answer to BYE")
    nothing_lives(lab)


def byes_cross(lab):
    """both hang up at once: both get 200"""
    c = call(lab).up()
    c.a.request("BYE")
    c.b.request("BYE")
    for d in (c.a, c.b):
        equal(d.expect("final").code, 200, "answer to BYE")
    nothing_lives(lab)


def target_refreshed(lab):
    """the callee's Contact of its 200 is where ACK and BYE go"""
    c = call(lab).ring()
    there = lab.phone(CALLEE, port=5099)
    ok = c.b.reply(c.b.invite, 200, c.b_sdp, send=False)
    ok.set("Contact", f"<sip:bob@{CALLEE}:5099>")
    c.b_phone.send(ok, c.b.invite.source)
    answer = c.a.expect(200)
    c.a.ack(answer)
    ack = there.expect("ACK")
    equal(ack.uri, f"sip:bob@{CALLEE}:5099", "request URI of the ACK")
    c.a.request("BYE")
    bye = there.expect("BYE")
    c.b.reply(bye, 200)
    c.a.expect(200)


def record_routed(lab):
    """a route set: in-dialog requests go to the proxy, with its Route"""
    c = call(lab).ring()
    proxy = lab.phone(CALLEE, port=5088)
    ok = c.b.reply(c.b.invite, 200, c.b_sdp, send=False)
    ok.headers.append(("Record-Route", f"<sip:{CALLEE}:5088;lr>"))
    c.b_phone.send(ok, c.b.invite.source)
    c.a.ack(c.a.expect(200))
    ack = proxy.expect("ACK")
    equal(ack.get("route"), f"<sip:{CALLEE}:5088;lr>", "Route of the ACK")
    equal(ack.uri, f"sip:{c.b_phone.user}@{CALLEE}:5060", "request URI")
    c.a.request("BYE")
    c.b.reply(proxy.expect("BYE"), 200)
    c.a.expect(200)


def ports_exhausted(lab):
    """no ports: 503 with Retry-After; after a BYE there is room again"""
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    few = {"ports": "10000-10003"}
    lab.start(config(lab, inside=few, outside=few))
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    calls = [Call(lab, a, b, lab.number()).up() for _ in range(2)]
    final = refused(a.call(lab.number(), sip.sdp(CALLER, 20000)), 503)
    check(int(final.get("retry-after", "0").split()[0]) > 0, "Retry-After:",
          final.get("retry-after"))
    equal(len(lab.calls()), 2, "calls")
    calls[0].talk().heard(5).quiet().whole()
    calls[0].hang_up().gone()

    wait_for(lambda: rings(lab, a, b), 15, "room for a call after the BYE")
    lab.hang_up_all()
    nothing_lives(lab)
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    lab.start(config(lab))


def rings(lab, a, b):
    """A new call reaches `b`; where it is refused, the refusal is acknowledged."""
    number = lab.number()
    d = a.call(number, sip.sdp(CALLER, 20000))
    final = a.expect("final", 0.3, d.call_id) if b_silent(b, number) else None
    if final:
        d.ack(final)
    return final is None


def b_silent(b, number):
    b.pump(0.2)
    return not [m for m in b.backlog if m.method == "INVITE" and f"sip:{number}@" in m.uri]


TESTS = [trying_at_once, early_media, ringing_without_sdp, finals_mapped, cancelled,
         cancelled_before_ringing, cancel_crosses_answer, cancel_too_late, no_answer,
         silent_callee, invite_repeated, answer_repeated, ack_lost, unknown_peer,
         unknown_peer_options, no_route, number_mapping, options, no_dialog, hops_exhausted,
         extension_required, garbage, rport, no_rport, no_common_codec, codec_filter,
         several_streams, rtcp_elsewhere, pitfall_31_attributes, rough_description, no_description,
         useless_answer, answer_of_other_family, bye_before_ack, byes_cross, target_refreshed,
         record_routed, ports_exhausted, never_acked]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
