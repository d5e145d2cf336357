#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPv6 media, and calls between a phone of IPv4 and one of IPv6."""
import contextlib

import netns
import sip
import tap
from baresip import Baresip
from calls import call, relayed
from lab import (CALLEE, CALLEE6, CALLER, CALLER6, INSIDE, INSIDE6, OUTSIDE, OUTSIDE6, Lab, config,
                 nothing_left)
from netns import text
from tap import check, equal, wait_for
from tune import Tune, hears, is_tune

PEERS = f"""
[alice]
type = peer
realm = inside
host = {CALLER}
[alice6]
type = peer
realm = inside
host = {CALLER6}
[bob]
type = peer
realm = outside
host = {CALLEE}
[bob6]
type = peer
realm = outside
host = {CALLEE6}
[to-bob]
type = route
from = inside
match = _4X.
to = bob
[to-bob6]
type = route
from = inside
match = _6X.
to = bob6
"""


def realm(ip, ip6):
    return {"bind": f"udp:{ip}:5060, udp:[{ip6}]:5060", "media": f"{ip}, {ip6}"}


def standard(lab):
    return config(lab, inside={**realm(INSIDE, INSIDE6), "moh": lab.tune.path},
                  outside=realm(OUTSIDE, OUTSIDE6), peers=PEERS)


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.tune = Tune(f"{lab.dir}/tune.wav")
        lab.start(standard(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def crosses(lab, prefix, a_ip, b_ip, relay_a, relay_b):
    """50 packets a side arrive unchanged, and every figure agrees."""
    c = call(lab, prefix=prefix, a_ip=a_ip, b_ip=b_ip).up()
    relayed(c.b_offer, relay_b)
    relayed(c.a_answer, relay_a)
    for description, ip in ((c.b_offer, relay_b), (c.a_answer, relay_a)):
        check(("IN IP6" in description.text) == (":" in ip), "family told:", description.text)
    c.talk().heard(50).quiet().whole()
    flows, shown = c.flows(), c.show()
    for side, end in (("a", c.a_rtp), ("b", c.b_rtp)):
        equal(flows[side]["packets"], len(end.rtp.sent), f"flow {side} packets")
        equal(flows[side]["bytes"], 172 * len(end.rtp.sent), f"flow {side} bytes")
        equal(flows[side]["expect"], text((end.ip, end.port)), f"flow {side} expect")
        equal(flows[side + "_rtcp"]["packets"], len(end.rtcp.sent), f"flow {side} RTCP packets")
        equal(shown[side]["learned"], text((end.ip, end.port)), f"leg {side} learned")
        equal(shown[side]["rx_packets"], len(end.rtp.sent), f"leg {side} rx_packets")
        equal(shown[side]["lost"], 0, f"leg {side} lost")
    return c


def ipv6(lab):
    """both legs over IPv6"""
    crosses(lab, "6", CALLER6, CALLEE6, INSIDE6, OUTSIDE6).hang_up().gone()


def ipv4_to_ipv6(lab):
    """a caller of IPv4, a callee of IPv6, who is offered IPv6 media"""
    c = crosses(lab, "6", CALLER, CALLEE6, INSIDE, OUTSIDE6)
    equal(c.show()["reason"], "ADDR_FAMILY", "reason to be relayed")
    c.hang_up().gone()


def ipv6_to_ipv4(lab):
    """a caller of IPv6, a callee of IPv4"""
    crosses(lab, "4", CALLER6, CALLEE, INSIDE6, OUTSIDE).hang_up().gone()


def strangers(lab):
    """packets from elsewhere to a live IPv6 port are wrong_source, and nobody hears them"""
    c = crosses(lab, "6", CALLER6, CALLEE6, INSIDE6, OUTSIDE6)
    before, heard = lab.drops()["wrong_source"], len(c.b_rtp.rtp.got)
    sock = netns.udp(lab.caller.name, CALLER6, 9)
    for _ in range(20):
        sock.sendto(bytes([0x80, 0]) + bytes(170), c.relay_a)
    sock.close()
    wait_for(lambda: lab.drops()["wrong_source"] == before + 20, 5, "20 more wrong_source")
    flow = c.flows()["a"]
    equal(flow["dropped"], 20, "dropped of the flow")
    equal(c.show()["a"]["learned"], text((CALLER6, 9)), "learned")
    equal(len(c.b_rtp.rtp.got), heard, "heard by the callee")
    c.hang_up().gone()


def neighbour_moves(lab):
    """the callee's interface gets another MAC: media is back within seconds, by IPv6's discovery"""
    c = crosses(lab, "6", CALLER6, CALLEE6, INSIDE6, OUTSIDE6)
    lab.callee("ip", "link", "set", "eth0", "address", "02:91:02:00:00:99")
    c.talk()
    heard = len(c.b_rtp.rtp.got)
    # Who has moved says so: any packet to the node, and its unsolicited advertisement.
    lab.callee("ping", "-6", "-c", "3", "-i", "0.2", OUTSIDE6, check=False)
    wait_for(lambda: len(c.b_rtp.rtp.got) > heard + 10, 15, "media at the new MAC")
    c.quiet().hang_up().gone()
    lab.node("ip", "neigh", "flush", "dev", "out0")     # IPv4's was not announced


def survives(lab):
    """kill -9: IPv6 media flows on, and a start finds the flows with their addresses"""
    c = crosses(lab, "6", CALLER, CALLEE6, INSIDE, OUTSIDE6)
    before = {k: {w: f[w] for w in ("expect", "to", "from")} for k, f in c.flows().items()}
    c.talk().heard(10)
    lab.daemon.kill()
    lab.daemon.wait()
    lab.daemon = None
    c.heard(20)
    lab.start()
    c.heard(20).quiet().whole()
    after = {k: {w: f[w] for w in ("expect", "to", "from")} for k, f in c.flows().items()}
    equal(after, before, "flows adopted")


def no_ipv6_relay(lab):
    """a caller whose media is IPv6 where the realm relays IPv4 alone: 488"""
    lab.stop()
    lab.detached()
    lab.start(config(lab, outside=realm(OUTSIDE, OUTSIDE6), peers=PEERS,
                     inside={**realm(INSIDE, INSIDE6), "media": INSIDE}))
    c = call(lab, prefix="6", a_ip=CALLER6, b_ip=CALLEE6)
    c.a = c.a_phone.call(c.number, c.a_sdp)
    equal(c.a.expect("final", timeout=5).code, 488, "answer")
    lab.stop()
    lab.detached()
    lab.start(standard(lab))


def real_phones(lab):
    """baresip of IPv6 alone calls baresip of IPv4: each hears the other's tone"""
    lab.caller("ip", "-4", "addr", "flush", "dev", "eth0")
    alice = Baresip(lab, lab.caller, CALLER6, "alice", 440)
    bob = Baresip(lab, lab.callee, CALLEE, "4001", 660, answers=True)
    alice.ready()
    bob.ready()
    alice.dial(f"sip:4001@[{INSIDE6}]")
    alice.wait_log("Call established")
    bob.wait_log("Call established")
    wait_for(lambda: min(c[s]["rx_packets"] for c in lab.calls() for s in "ab") >= 150, 15,
             lambda: f"150 packets each way: {lab.calls()}")
    relays = {f["local"].rpartition(":")[0] for f in lab.flows()}
    equal(relays, {f"[{INSIDE6}]", OUTSIDE}, "relay addresses")
    alice.hangup()
    bob.wait_log("terminated")
    for phone, hears in ((alice, 660), (bob, 440)):
        phone.stop()
        heard = phone.heard(hears)
        check(heard.good(2), f"{phone.user} heard {heard}")


def music_on_hold(lab):
    """music on hold over IPv6, also where the holder has IPv4"""
    for a_ip in (CALLER6, CALLER):
        c = call(lab, prefix="6", a_ip=a_ip, b_ip=CALLEE6).up()
        c.a.offer(sip.sdp(a_ip, c.a_rtp.port, direction="sendonly", version=2))
        is_tune(hears(c.b_rtp, 20), lab.tune, c.relay_b)
        c.a.offer(sip.sdp(a_ip, c.a_rtp.port, version=3))
        c.b.none("INVITE")
        c.hang_up().gone()
        lab.clear()


TESTS = [ipv6, ipv4_to_ipv6, ipv6_to_ipv4, strangers, neighbour_moves, survives, no_ipv6_relay,
         music_on_hold, real_phones]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
