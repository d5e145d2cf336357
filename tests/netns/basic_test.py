#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One call: its audio to the packet, its headers, its counters, its end, and what is refused."""
import socket
import struct

import netns
import rtp
import tap
from calls import INSIDE, OUTSIDE, Call, call, relayed
from lab import CALLEE, CALLER, RUNG, nothing_left, running
from tap import check, equal, wait_for

PLANE = "user" if RUNG == "user" else "xdp"


def make():
    return running()


def text(address):
    return f"{address[0]}:{address[1]}"


def talked(lab, packets=50, **kw):
    """A call that has talked and is quiet again."""
    c = call(lab, **kw).up().talk().heard(packets).quiet()
    return c.whole()


def audio_both_ways(lab):
    """numbered RTP and RTCP cross both ways, once each, in order, unchanged"""
    c = talked(lab)
    relayed(c.b_offer, OUTSIDE)
    relayed(c.a_answer, INSIDE)
    c.hang_up().gone()


def audio_from_outside(lab):
    """a call from the outside in is the same"""
    c = talked(lab, prefix="6", a_ip=CALLEE, b_ip=CALLER)
    relayed(c.b_offer, INSIDE)
    relayed(c.a_answer, OUTSIDE)
    c.hang_up().gone()


def hairpin(lab):
    """two phones of one realm: the audio goes out where it came in"""
    c = talked(lab, prefix="2", b_ip="10.91.1.11")
    relayed(c.b_offer, INSIDE)
    check(c.relay_a != c.relay_b, "both legs have the same relay port")
    c.hang_up().gone()


def counters_agree(lab):
    """flows, legs, metrics and phones agree to the packet and the byte"""
    before = lab.metrics()
    c = talked(lab)
    sent = {"a": c.a_rtp, "b": c.b_rtp}
    flows, shown = c.flows(), c.show()
    for side, end in sent.items():
        count, reports = len(end.rtp.sent), len(end.rtcp.sent)
        equal(flows[side]["packets"], count, f"flow {side} packets")
        equal(flows[side]["bytes"], count * 172, f"flow {side} bytes")
        equal(flows[side]["dropped"], 0, f"flow {side} dropped")
        equal(flows[side + "_rtcp"]["packets"], reports, f"flow {side} RTCP packets")
        equal(flows[side + "_rtcp"]["bytes"], reports * 28, f"flow {side} RTCP bytes")
        equal(shown[side]["rx_packets"], count, f"leg {side} rx_packets")
        equal(shown[side]["rx_bytes"], count * 172, f"leg {side} rx_bytes")
        equal((shown[side]["lost"], shown[side]["wrong_source"]), (0, 0), f"leg {side} faults")
    c.hang_up().gone()
    after = lab.metrics()
    for realm, end in (("inside", c.a_rtp), ("outside", c.b_rtp)):
        key = next(k for k in after if k.startswith("rtpfwd_rtp_packets_total{") and
                   f'realm="{realm}"' in k and f'plane="{PLANE}"' in k)
        equal(after[key] - before.get(key, 0), len(end.rtp.sent), key)      # RTP only, as in legs


def shown_flows(lab):
    """show flows: four entries, each with where it arrives, whom it admits, where it goes"""
    c = talked(lab, 10)
    flows, ident = c.flows(), c.show()["id"]
    equal(len([f for f in lab.flows() if f["call"] == ident]), 4, "flows of the call")
    a, b = (CALLER, c.a_rtp.port), (CALLEE, c.b_rtp.port)
    for name, expect, to, source in (("a", a, b, c.relay_b), ("b", b, a, c.relay_a)):
        for kind, shift in (("rtp", 0), ("rtcp", 1)):
            f = flows[name if kind == "rtp" else name + "_rtcp"]
            want = {"call": ident, "kind": kind, "plane": PLANE,
                    "expect": text((expect[0], expect[1] + shift)),
                    "to": text((to[0], to[1] + shift)),
                    "from": text((source[0], source[1] + shift))}
            equal({k: f[k] for k in want}, want, f"flow {name} {kind}")
    c.hang_up().gone()


def shown_call(lab):
    """show call: both legs with their addresses as signalled, learned, relayed and told"""
    c = talked(lab, 10)
    shown = c.show()
    equal(lab.ctl("show", "call", shown["id"])["id"], shown["id"], "show call ID")
    want = {"state": "up", "path": "relay", "plane": PLANE, "from": "u10", "to": c.number}
    equal({k: shown[k] for k in want}, want, "call")
    legs = (("a", "alice", "inside", "yes", c.a_rtp, c.relay_a, c.a.call_id),
            ("b", "bob", "outside", "yes", c.b_rtp, c.relay_b, c.b.call_id))
    for side, peer, realm, canreinvite, end, relay, call_id in legs:
        media = text((end.ip, end.port))
        want = {"peer": peer, "realm": realm, "call_id": call_id, "canreinvite": canreinvite,
                "signalled": media, "learned": media, "relay": text(relay), "told": text(relay),
                "codec": "PCMU"}
        equal({k: shown[side][k] for k in want}, want, f"leg {side}")
    c.hang_up().gone()
    equal(lab.ctl_run("show", "call", shown["id"]).returncode, 4, "show call of a call gone")


def headers(lab):
    """each leg has its own Call-ID, tags, Contact and Via; Max-Forwards falls by one"""
    c = call(lab).ring()
    sent, got = c.a.invite, c.b.invite
    equal(got.uri, f"sip:{c.number}@{CALLEE}:5060", "request URI")
    equal(got.address("to"), got.uri, "To")
    equal(got.address("from").split(";")[0].split(":5060")[0], f"sip:u10@{OUTSIDE}", "From")
    check(got.call_id != sent.call_id, "Call-ID is the caller's")
    check(got.tag("from") not in (None, sent.tag("from")), "From tag is the caller's")
    equal(got.get("max-forwards"), "69", "Max-Forwards")
    equal(len(got.all("via")), 1, "Via count")
    check(f"{OUTSIDE}:5060" in got.get("via") or OUTSIDE in got.get("via"), got.get("via"))
    check(CALLER not in got.bytes().decode(), "the caller's address is seen by the callee")
    check(got.branch.startswith("z9hG4bK"), got.branch)
    check(OUTSIDE in got.address("contact"), got.get("contact"))
    c.answer()
    answer = c.phone_final()
    check(INSIDE in answer.address("contact"), answer.get("contact"))
    check(answer.tag("to") not in (None, c.b.local_tag), "To tag is the callee's")
    check(CALLEE not in answer.bytes().decode(), "the callee's address is seen by the caller")
    check(c.a_answer.origin_id != c.b_offer.origin_id and "phone" not in c.a_answer.origin,
          "o= is not our own:", c.a_answer.origin)
    c.hang_up().gone()


def bye_from_callee(lab):
    """BYE from the callee ends the caller's side, and the flows"""
    c = talked(lab, 5)
    c.b.request("BYE")
    c.a.expect_bye()
    equal(c.b.expect("final").code, 200, "answer to BYE")
    c.gone()


def hangup_by_operator(lab):
    """call ID hangup: BYE to both"""
    c = talked(lab, 5)
    equal(lab.ctl("call", c.show()["id"], "hangup"), {"ok": True}, "answer")
    c.a.expect_bye()
    c.b.expect_bye()
    c.gone()


def late_packets(lab):
    """after the BYE nothing is forwarded: unleased"""
    c = talked(lab, 5)
    c.hang_up().gone()
    heard = len(c.a_rtp.rtp.got)
    packet = rtp.rtp_packet(0, 1, 1, c.b_rtp.ssrc, 1)
    dropped(lab, {"unleased": 20},
            lambda: [c.b_rtp.tx[0].sendto(packet, c.relay_b) for _ in range(20)])
    equal(len(c.a_rtp.rtp.got), heard, "heard after the end")


def dropped(lab, want, action):
    """`action` makes exactly these drops (and what went up) grow by exactly so much."""
    before = lab.drops()
    action()

    def grown():
        now = lab.drops()
        return {k: now[k] - before[k] for k in now if now[k] != before[k]}
    wait_for(lambda: all(grown().get(k, 0) >= n for k, n in want.items()), 3,
             lambda: f"drops {want}, have {grown()}")
    equal(grown(), want, "drops that grew")


def drop_unleased(lab):
    """a relay port that nobody leased"""
    stranger = lab.end("10.91.1.66")
    used = {f["local"] for f in lab.flows()}
    port = next(p for p in range(10000, 10999, 2) if f"{INSIDE}:{p}" not in used)
    dropped(lab, {"unleased": 50},
            lambda: [stranger.tx[0].sendto(b"\x80" * 172, (INSIDE, port)) for _ in range(50)])


def drop_wrong_source(lab):
    """a flood of strangers into a live call: nothing forwarded, each counted, audio whole"""
    c = call(lab).up().talk().heard(10)
    stranger = lab.end("10.91.2.66")
    other_port = lab.end(CALLEE)
    dropped(lab, {"wrong_source": 2000}, lambda: (
        [stranger.tx[0].sendto(b"\x80\0" + bytes(170), c.relay_b) for _ in range(1500)],
        [other_port.tx[0].sendto(b"\x80\0" + bytes(170), c.relay_b) for _ in range(500)]))
    c.heard(20).quiet().whole()
    equal(c.show()["b"]["wrong_source"], 2000, "wrong_source of leg b")
    equal(c.show()["a"]["wrong_source"], 0, "wrong_source of leg a")
    equal(c.flows()["b"]["dropped"], 2000, "dropped of the flow")
    equal(c.flows()["b"]["packets"], len(c.b_rtp.rtp.sent), "packets of the flow")
    c.hang_up().gone()


def drop_not_signalled(lab):
    """the callee's packets before its description is known"""
    c = call(lab).ring()
    dropped(lab, {"not_signalled": 20},
            lambda: [c.b_rtp.tx[0].sendto(b"\x80\0" + bytes(170), c.relay_b) for _ in range(20)])
    c.answer().hang_up().gone()


def drop_not_rtp(lab):
    """from the right source, but no RTP"""
    c = talked(lab, 5)
    dropped(lab, {"not_rtp": 10},
            lambda: [c.b_rtp.tx[0].sendto(bytes(172), c.relay_b) for _ in range(10)])
    c.whole()
    c.hang_up().gone()


def drop_ttl(lab):
    """a TTL that ends here"""
    c = talked(lab, 5)
    sock = c.b_rtp.tx[0]
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    packet = rtp.rtp_packet(0, 1, 1, 1, 1)
    dropped(lab, {"ttl": 10}, lambda: [sock.sendto(packet, c.relay_b) for _ in range(10)])
    c.whole()
    c.hang_up().gone()


def ip_packet(source, to, payload, options=b"", udp_more=0):
    """IPv4 and UDP (no checksum) around it; `udp_more` falsifies the UDP length."""
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(payload) + udp_more, 0) + payload
    head = struct.pack("!BBHHHBBH4s4s", 0x40 | (5 + len(options) // 4), 0,
                       20 + len(options) + len(udp), 1, 0, 64, socket.IPPROTO_UDP, 0,
                       socket.inet_aton(source[0]), socket.inet_aton(to[0]))
    return head + options + udp


def drop_bad_length(lab):
    """a UDP length beyond the packet; on the user rung the kernel refuses it before we can"""
    c = talked(lab, 5)
    payload = rtp.rtp_packet(0, 1, 1, 1, 1)
    packet = ip_packet((CALLEE, c.b_rtp.port), c.relay_b, payload, udp_more=40)
    with netns.raw(lab.callee.name) as sock:
        dropped(lab, {} if RUNG == "user" else {"bad_length": 10},
                lambda: [sock.sendto(packet, (OUTSIDE, 0)) for _ in range(10)])
    c.whole()
    c.hang_up().gone()


def no_udp_checksum(lab):
    """a packet without a UDP checksum is forwarded like any other"""
    c = talked(lab, 5)
    heard = len(c.a_rtp.rtp.got)
    packet = ip_packet((CALLEE, c.b_rtp.port), c.relay_b, c.b_rtp.rtp.put(c.b_rtp.packet))
    with netns.raw(lab.callee.name) as sock:
        sock.sendto(packet, (OUTSIDE, 0))
    wait_for(lambda: len(c.a_rtp.rtp.got) == heard + 1, 3, "the packet heard")
    c.whole()
    c.hang_up().gone()


def up_options(lab):
    """IP options go up, and are counted nowhere else"""
    c = talked(lab, 5)
    packet = ip_packet((CALLEE, c.b_rtp.port), c.relay_b, rtp.rtp_packet(0, 1, 1, 1, 1),
                       options=b"\x01\x01\x01\x00")
    with netns.raw(lab.callee.name) as sock:
        dropped(lab, {} if RUNG == "user" else {"up_options": 10},
                lambda: [sock.sendto(packet, (OUTSIDE, 0)) for _ in range(10)])
    c.hang_up().gone()


def up_fragment(lab):
    """fragments go up, the first is counted as such, and nowhere else"""
    c = talked(lab, 5)
    packet = rtp.rtp_packet(0, 1, 1, 1, 1) + bytes(2000)
    dropped(lab, {} if RUNG == "user" else {"up_fragment": 1},
            lambda: c.b_rtp.tx[0].sendto(packet, c.relay_b))
    c.hang_up().gone()


def other_traffic(lab):
    """what is not the relay's goes to the host untouched"""
    server = netns.udp(lab.node.name, OUTSIDE, 7007)
    server.settimeout(3)
    end = lab.end("10.91.2.66")
    before = lab.drops()
    end.tx[0].sendto(b"hello", (OUTSIDE, 7007))
    data, source = server.recvfrom(100)
    server.close()
    equal((data, source), (b"hello", ("10.91.2.66", end.port)), "datagram at the host")
    equal(lab.drops(), before, "drops")


def many_calls(lab):
    """twelve calls at once, each with its own ports, all whole"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    calls = []
    for _ in range(12):
        calls.append(Call(lab, a, b, lab.number()).up().talk())
    calls[-1].heard(50)
    for c in calls:
        c.quiet()
    for c in calls:
        c.whole()
    equal(len({c.relay_a for c in calls} | {c.relay_b for c in calls}), 24, "relay ports")
    equal(len(lab.flows()), 48, "flows")
    for c in calls:
        c.hang_up()
    for c in calls:
        c.gone()


TESTS = [audio_both_ways, audio_from_outside, counters_agree, shown_flows, shown_call, headers,
         bye_from_callee, hangup_by_operator, late_packets, drop_unleased, drop_wrong_source,
         drop_not_signalled, drop_not_rtp, drop_ttl, drop_bad_length, no_udp_checksum, up_options,
         up_fragment, other_traffic, many_calls, hairpin]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
