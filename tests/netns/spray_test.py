#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The spray of the RTP Bleed and RTP Inject advisory ES2025-01 (CVE-2025-53399): from addresses
that take no part, to every relay port, at every moment of calls in every way of admitting sources.
What comes of it is the table of controller/media/README.md, and the same on each rung."""
import os

import netns
import rtp
import srtp
import tap
from calls import INSIDE, OUTSIDE
from lab import CALLEE, RUNG, TOP, config, nothing_left, running
from netns import text
from sdes import Key, SdesCall
from tap import check, diag, equal, wait_for

ATTACKERS = (("caller", "10.91.1.66", INSIDE), ("callee", "10.91.2.66", OUTSIDE))
PORTS = range(10000, 10100)
TIMES = 12      # packets to a port: more than twice of what makes a source a learned one
PLAIN, ENCRYPTED = {"user": ("user", "user"), "kmod": ("xdp", "kmod")}.get(RUNG, ("xdp", "user"))
LEARNED = 5     # packets of RTP in a row (RTPFWD_LEARN_RTP)
SSRC = 0x66666666
PRIVATE = "192.168.7.7"
# Number 0 is what the calls agree upon.
KINDS = {"RTP, number agreed upon": lambda i: rtp.rtp_packet(0, i, 160 * i, SSRC, i),
         "RTP, another number": lambda i: rtp.rtp_packet(96, i, 160 * i, SSRC, i),
         "RTCP": lambda i: rtp.rtcp_packet(SSRC, i)}
MOMENTS = ("rings", "was answered", "learns", "talks")
HEAD = ["", *MOMENTS, "bled", "injected"]
# Name, keys that the peer is called by, is its description's address one that nobody reaches.
MODES = (("signalled", "", False), ("any port", "asymmetric = yes", False),
         ("comedia", "nat = comedia", False), ("comedia, translated", "nat = comedia", True),
         ("SRTP", "encryption = sdes\nencryption_over = any", False),
         ("SRTP, comedia, translated",
          "nat = comedia\nencryption = sdes\nencryption_over = any", True))
HOSTS = [f"10.91.1.{10 + i}" for i in range(len(MODES))]
PEERS = "".join(f"[phone{i}]\ntype = peer\nrealm = inside\nhost = {HOSTS[i]}\n{keys}\n"
                for i, (_, keys, _) in enumerate(MODES)) + f"""
[bob]
type = peer
realm = outside
host = {CALLEE}
[all]
type = route
from = inside
match = _7X.
to = bob
"""


def make():
    ports = {"ports": f"{PORTS[0]}-{PORTS[-1]}"}
    return running(lambda lab: config(lab, inside=ports, outside=ports, peers=PEERS),
                   addresses=len(MODES))


class Attacker:
    """Of one network, against the relay's address in it."""

    def __init__(self, lab, where, ip, target):
        self.sock = netns.udp(getattr(lab, where).name, ip, 40000)
        self.sock.setblocking(False)
        self.target = target

    def spray(self, packets):
        for port in PORTS:
            for packet in packets:
                self.sock.sendto(packet, (self.target, port))

    def heard(self):
        count = 0
        try:
            while self.sock.recv(2000):
                count += 1
        except BlockingIOError:
            return count


def ringing(lab):
    """A call of each mode that rings."""
    bob, calls = lab.phone(CALLEE), []
    for host, (_, keys, private) in zip(HOSTS, MODES):
        a_keys = [Key()] if "sdes" in keys else []
        c = SdesCall(lab, host, CALLEE, a_keys, phones=(lab.phone(host), bob))
        if private:
            c.a_sdp = c.a_sdp.replace(f"c=IN IP4 {host}", f"c=IN IP4 {PRIVATE}")
            check(PRIVATE in c.a_sdp, "translated:", c.a_sdp)
        calls.append(c.ring())
    return calls


def answered(calls):
    for c in calls:
        c.answer()
        if c.a_keys:
            srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
        planes = {f["plane"] for f in c.flows().values()}
        equal(planes, {ENCRYPTED if c.a_keys else PLAIN}, "plane")
        c.a_rtp.aim(c.relay_a, c.a_answer.rtcp())
        c.b_rtp.aim(c.relay_b, c.b_offer.rtcp())


def searched(calls):
    """Those whose phone is not where its description says."""
    return [c for c, (_, _, private) in zip(calls, MODES) if private]


def dropped(lab, before):
    return {k: v - before[k] for k, v in lab.drops().items() if v != before[k]}


def half_learned(lab, calls):
    """Their phones have sent two of the packets that it takes; a source of RTCP takes one."""
    before, phones = lab.drops(), searched(calls)
    for c in phones:
        c.a_rtp.burst(2)
    wait_for(lambda: dropped(lab, before) == {"learning": 3 * len(phones)}, 5,
             lambda: f"two of RTP and one of RTCP each: {dropped(lab, before)}")


def learned(lab, calls):
    """They send the others: the flows admit the ports that they send from."""
    before, phones = lab.drops(), searched(calls)
    for c in phones:
        equal(c.flows()["a"]["expect"], text((PRIVATE, c.a_rtp.port)), "source looked for")
        c.a_rtp.burst(LEARNED - 2)
    for c in phones:
        want = text((c.a_rtp.ip, c.a_rtp.port))
        wait_for(lambda c=c, want=want: c.flows()["a"]["expect"] == want, 5, "source found")
        c.a_rtp.rtp.forget()
        c.a_rtp.rtcp.forget()
    equal(dropped(lab, before), {"learning": (LEARNED - 2) * len(phones)}, "drops of the phones")


def of_flows(calls):
    """Packets dropped at the flows of each call, once both its sides know where they are."""
    return [{name: f["dropped"] for name, f in c.flows().items()} if c.relay_a else {}
            for c in calls]


def spray_of(lab, calls, attackers, kind):
    """What became of one kind of packet at the ports of one call: reason and packets; the same of
    every call. The ports without a call have a name, too."""
    before, flows = lab.drops(), of_flows(calls)
    sent = TIMES * len(PORTS) * len(attackers)
    for attacker in attackers:
        attacker.spray([KINDS[kind](i) for i in range(TIMES)])
    wait_for(lambda: sum(dropped(lab, before).values()) >= sent, 10,
             lambda: f"{sent} packets dropped: {dropped(lab, before)}")
    reasons = dropped(lab, before)
    equal(sum(reasons.values()), sent, "packets with a name")
    equal(reasons.pop("unleased"), sent - 4 * TIMES * len(calls), "packets at ports of no call")
    for was, now, (name, *_) in zip(flows, of_flows(calls), MODES):
        equal({k: v - was[k] for k, v in now.items()}, dict.fromkeys(was, TIMES),
              f"dropped by the flows of {name}")
    for reason, packets in reasons.items():
        equal(packets % len(calls), 0, f"the same of every call: {reason} {packets}")
    return ", ".join(f"{k} {v // len(calls)}" for k, v in sorted(reasons.items()))


def injected(calls):
    """Packets that a phone heard and that no phone has sent."""
    return sum(sum(1 for g in end.rtp.got + end.rtcp.got if g[0] != other.ssrc) +
               len(getattr(end, "unheard", ()))
               for c in calls for end, other in ((c.a_rtp, c.b_rtp), (c.b_rtp, c.a_rtp)))


def spray(lab, calls, attackers):
    """{kind: what became of it, packets bled, packets injected}"""
    found = {}
    for kind in KINDS:
        reasons = spray_of(lab, calls, attackers, kind)
        found[kind] = reasons, sum(a.heard() for a in attackers), injected(calls)
    return found


def published():
    """The table as it stands in the README."""
    with open(os.path.join(TOP, "controller/media/README.md")) as readme:
        rows = [[cell.strip() for cell in line.strip("|\n").split("|")]
                for line in readme if line.startswith("|")]
    return rows[rows.index(HEAD):]


def table_of(found):
    """`found`: by moment."""
    rows = [[kind, *(found[m][kind][0] for m in MOMENTS),
             *(str(sum(found[m][kind][i] for m in MOMENTS)) for i in (1, 2))] for kind in KINDS]
    return [HEAD, ["---"] * len(HEAD), *rows]


def sprayed(lab):
    """zero bled, zero injected, in every mode and at every moment of a call; each packet has a name
    (what came of it is the table in controller/media/README.md)"""
    attackers = [Attacker(lab, *a) for a in ATTACKERS]
    calls = ringing(lab)
    found = {"rings": spray(lab, calls, attackers)}
    answered(calls)
    found["was answered"] = spray(lab, calls, attackers)
    half_learned(lab, calls)
    found["learns"] = spray(lab, calls, attackers)
    learned(lab, calls)
    for c in calls:
        c.talk().heard(10)
    found["talks"] = spray(lab, calls, attackers)
    for c in calls:
        c.heard(10).quiet().whole()
        equal(c.flows()["a"]["expect"], text((c.a_rtp.ip, c.a_rtp.port)), "source at the end")
    table = table_of(found)
    for line in table:
        diag("| " + " | ".join(line) + " |")
    equal(table, published(), "the table of controller/media/README.md")
    for attacker in attackers:
        attacker.sock.close()
    for c in calls:
        c.hang_up()


TESTS = [sprayed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
