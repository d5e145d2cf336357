#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Routes, rules, addresses, gateways and interfaces change under running media: it follows within a
moment, and each packet meanwhile was forwarded or dropped under a name.

                              .1 out0 --- eth0 .20
    caller --- in0 [node]   10.91.2 and 10.91.5      [callee]  lo 10.91.9.9, 2001:db8:91:9::9
                              .1 out1 --- eth1 .20
"""
import contextlib
import json
import os
import signal
import socket

import netns
import sip
import tap
from calls import Call
from ipv6_test import PEERS, realm
from lab import (CALLEE, CALLEE6, CALLER, INSIDE, INSIDE6, MODES, OUTSIDE, OUTSIDE6, RUNG, Lab,
                 config, nothing_left)
from survive_test import gratuitous_arp, restart_numbering
from tap import check, equal, wait_for

FAR, FAR6 = "10.91.9.9", "2001:db8:91:9::9"
CALLEE_1, CALLEE6_1 = "10.91.5.20", "2001:db8:91:5::20"
OUTSIDE_2 = "10.91.2.2"
MACS = ("02:91:02:00:00:20", "02:91:02:00:00:01")
FAMILIES = (4, 6)
ROUTES = 30000      # enough news of them for the daemon's socket to overflow


def standard(lab, **more):
    return config(lab, inside=realm(INSIDE, INSIDE6),
                  outside={**realm(OUTSIDE, OUTSIDE6), "interface": "out0, out1", **more},
                  peers=PEERS)


def second_link(lab):
    lab.node("sysctl", "-qw", "net.ipv6.conf.out0.keep_addr_on_down=1")
    netns.link(lab.callee, "eth1", "02:91:05:00:00:20", lab.node, "out1", "02:91:05:00:00:01")
    lab.callee("ethtool", "-K", "eth1", "gro", "on")
    for ns, dev, host in ((lab.node, "out1", 1), (lab.callee, "eth1", 20)):
        ns("ip", "addr", "add", f"10.91.5.{host}/24", "dev", dev)
        ns("ip", "addr", "add", f"2001:db8:91:5::{host}/64", "dev", dev, "nodad")
        ns("ip", "link", "set", dev, "up")


@contextlib.contextmanager
def make():
    with Lab() as lab:
        second_link(lab)
        lab.callee("ip", "addr", "add", f"{FAR}/32", "dev", "lo")
        lab.callee("ip", "addr", "add", f"{FAR6}/128", "dev", "lo", "nodad")
        lab.start(standard(lab))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def far(family):
    return FAR if family == 4 else FAR6


def relay(family):
    return OUTSIDE if family == 4 else OUTSIDE6


def gateway(family):
    return CALLEE if family == 4 else CALLEE6


def ip(lab, family, *argv):
    lab.node("ip", f"-{family}", *argv)


def route(lab, family, what, via=None, *more):
    """The way from the node to the far address."""
    ip(lab, family, "route", what, far(family), "via", via or gateway(family), *more)


def near_call(lab, family):
    """Between the phones of all calls of a test."""
    a, b = (next((p for p in lab.phones if p.ip == ip), None) or lab.phone(ip)
            for ip in (CALLER, gateway(family)))
    return Call(lab, a, b, lab.number(str(family)))


def far_call(lab, family):
    """One whose callee hears at an address that only a route leads to; not up yet."""
    c = near_call(lab, family)
    c.b_rtp.close()
    c.b_rtp = lab.end(far(family))
    c.b_sdp = sip.sdp(far(family), c.b_rtp.port)
    return c


def announce(ns, dev, mac, address):
    """Tells the network that the address is at that MAC now."""
    if ":" not in address:
        gratuitous_arp(ns, dev, mac, address)
        return
    option = b"\2\1" + bytes.fromhex(mac.replace(":", ""))    # RFC 4861 4.4, 4.6.1
    with netns.inside(ns):
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        number = socket.if_nametoindex(dev)
    with sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sock.sendto(b"\x88\0\0\0\x20\0\0\0" + socket.inet_pton(socket.AF_INET6, address) + option,
                    ("ff02::1", 0, 0, number))


def meet(lab, address):
    """The node knows this neighbour."""
    with netns.udp(lab.node.name, "::" if ":" in address else "0.0.0.0") as sock:
        sock.sendto(b"x", (address, 9))
    wait_for(lambda: "lladdr" in lab.node("ip", "neigh", "show", address).stdout, 5, address)


def kinds(c):
    return (("a", c.a_rtp.rtp, c.b_rtp.rtp), ("a_rtcp", c.a_rtp.rtcp, c.b_rtp.rtcp),
            ("b", c.b_rtp.rtp, c.a_rtp.rtp), ("b_rtcp", c.b_rtp.rtcp, c.a_rtp.rtcp))


def accounted(c, reason, before, heard=True, sides="ab"):
    """Every packet of those legs, in all the call's life, was forwarded or dropped, all of the
    latter for `reason`; what was forwarded was heard, unless who was to hear it was not there."""
    c.quiet()
    equal(c.a_rtp.refused + c.b_rtp.refused, 0, "packets that never left their phone")
    flows, dropped = c.flows(), 0
    for name, sent, got in kinds(c):
        if name[0] in sides:
            equal(flows[name]["packets"] + flows[name]["dropped"], sent.next, f"packets of {name}")
        dropped += flows[name]["dropped"]
        if heard:
            equal(len(got.got), flows[name]["packets"], f"heard of {name}")
    now = c.lab.drops()
    grown = {k: now[k] - before[k] for k in now if now[k] != before[k]}
    equal(grown, {reason: dropped} if dropped else {}, "drops")


def whole_again(c):
    restart_numbering(c)
    c.talk().heard(25).quiet().whole()
    c.hang_up().gone()


def stops(lab, c, reason, change):
    """`change` ends the audio towards the callee, and all of it is counted as `reason`."""
    before = lab.drops()[reason]
    change()
    wait_for(lambda: lab.drops()[reason] > before + 10, 5, f"{reason} counted")
    wait_for(lambda: c.flows()["a"]["dropped"] > 10, 5, "dropped of the flow")


def withdrawn(lab):
    """a route goes and comes back: no_route meanwhile, and nothing unaccounted"""
    for family in FAMILIES:
        route(lab, family, "add")
        before = lab.drops()
        c = far_call(lab, family).up().talk().heard(10)
        stops(lab, c, "no_route", lambda f=family: route(lab, f, "del"))
        route(lab, family, "add")
        c.heard(25)
        accounted(c, "no_route", before)
        whole_again(c)
        route(lab, family, "del")


def forbidden(lab):
    """a route that says unreachable, prohibit or blackhole is none"""
    for family in FAMILIES:
        for kind in ("unreachable", "prohibit", "blackhole"):
            route(lab, family, "add")
            c = far_call(lab, family).up().talk().heard(10)
            before = lab.drops()
            stops(lab, c, "no_route", lambda f=family, k=kind: (
                route(lab, f, "del"), ip(lab, f, "route", "add", k, far(f))))
            ip(lab, family, "route", "del", kind, far(family))
            route(lab, family, "add")
            c.heard(10)
            accounted(c, "no_route", before)
            c.hang_up().gone()
            route(lab, family, "del")


def link(ns, dev):
    return json.loads(ns("ip", "-j", "-s", "link", "show", "dev", dev).stdout)[0]


def received(lab, dev):
    return link(lab.callee, dev)["stats64"]["rx"]["packets"]


def other_gateway(lab):
    """the route moves to a gateway behind another interface of the realm: not one packet is lost"""
    for family, other in ((4, CALLEE_1), (6, CALLEE6_1)):
        route(lab, family, "add")
        before = lab.drops()
        c = far_call(lab, family).up().talk().heard(25)
        for via, dev in ((other, "eth1"), (gateway(family), "eth0")):
            meet(lab, via)
            route(lab, family, "replace", via)
            had = received(lab, dev)
            wait_for(lambda d=dev, n=had: received(lab, d) > n + 25, 5, f"audio by {dev}")
        accounted(c, "none", before)
        c.whole()
        c.hang_up().gone()
        route(lab, family, "del")


def backup_route(lab):
    """the interface of the better route goes down: the other one serves, and back"""
    for family, other in ((4, CALLEE_1), (6, CALLEE6_1)):
        route(lab, family, "add", None, "metric", "10")
        route(lab, family, "add", other, "metric", "20")
        c = far_call(lab, family).up().talk().heard(10)
        meet(lab, other)
        lab.node("ip", "link", "set", "out0", "down")
        had = received(lab, "eth1")
        wait_for(lambda n=had: received(lab, "eth1") > n + 25, 5, "audio by eth1")
        lab.node("ip", "link", "set", "out0", "up")
        route(lab, family, "replace", None, "metric", "10")
        c.heard(25, timeout=10)
        restart_numbering(c)
        c.talk().heard(25).quiet().whole()
        c.hang_up().gone()
        route(lab, family, "del", None, "metric", "10")
        route(lab, family, "del", other, "metric", "20")


def pitfall_78_policy_rule(lab):
    """a route in a table that a rule gives to the relay address alone"""
    for family in FAMILIES:
        rule = ("from", relay(family), "lookup", "100")
        route(lab, family, "add", None, "table", "100")
        ip(lab, family, "rule", "add", *rule)
        before = lab.drops()
        c = far_call(lab, family).up().talk().heard(10)
        stops(lab, c, "no_route", lambda f=family, r=rule: ip(lab, f, "rule", "del", *r))
        ip(lab, family, "rule", "add", *rule)
        c.heard(25)
        accounted(c, "no_route", before)
        whole_again(c)
        ip(lab, family, "rule", "del", *rule)
        route(lab, family, "del", None, "table", "100")


def marks_of_others(lab):
    """a rule for packets with a mark is not for ours"""
    for family in FAMILIES:
        rule = ("fwmark", "7", "lookup", "100")
        ip(lab, family, "route", "add", "unreachable", far(family), "table", "100")
        ip(lab, family, "rule", "add", *rule)
        route(lab, family, "add")
        c = far_call(lab, family).up().talk().heard(25).quiet().whole()
        c.hang_up().gone()
        route(lab, family, "del")
        ip(lab, family, "rule", "del", *rule)
        ip(lab, family, "route", "del", "unreachable", far(family), "table", "100")


def own_default(lab):
    """the best route is another realm's: the one by our realm's interface counts; and without one
    the destination is not taken to be on the link"""
    for family, inner in ((4, CALLER), (6, "2001:db8:91:1::10")):
        route(lab, family, "add", inner, "metric", "5")
        route(lab, family, "add", None, "metric", "50")
        before = lab.drops()
        c = far_call(lab, family).up().talk().heard(10)
        stops(lab, c, "no_route", lambda f=family: route(lab, f, "del", None, "metric", "50"))
        route(lab, family, "add", None, "metric", "50")
        c.heard(25)
        accounted(c, "no_route", before)
        whole_again(c)
        route(lab, family, "del", None, "metric", "50")
        route(lab, family, "del", inner, "metric", "5")


def relay_addresses(lab):
    """two relay addresses of a realm, each with a route of its own to one destination"""
    lab.node("ip", "addr", "add", f"{OUTSIDE_2}/24", "dev", "out0")
    equal(lab.stop(), 0, "exit status")
    lab.start(standard(lab, media=f"{OUTSIDE}, {OUTSIDE_2}"))
    route(lab, 4, "add")
    ip(lab, 4, "route", "add", "unreachable", FAR, "table", "102")
    ip(lab, 4, "rule", "add", "from", OUTSIDE_2, "lookup", "102")
    found = {}
    for _ in range(60):
        c = far_call(lab, 4).up()
        if c.relay_b[0] in found:
            c.hang_up().gone()
        found.setdefault(c.relay_b[0], c)
        if len(found) == 2:
            break
    equal(sorted(found), [OUTSIDE, OUTSIDE_2], "relay addresses used")
    one, two = found[OUTSIDE], found[OUTSIDE_2]
    before = lab.drops()
    one.talk().heard(10)
    stops(lab, two, "no_route", two.talk)
    ip(lab, 4, "route", "replace", FAR, "via", CALLEE, "table", "102")
    two.heard(25)
    one.heard(10).quiet().whole()
    accounted(two, "no_route", before)
    for c in (one, two):
        c.hang_up().gone()
    ip(lab, 4, "rule", "del", "from", OUTSIDE_2, "lookup", "102")
    ip(lab, 4, "route", "del", FAR, "table", "102")
    route(lab, 4, "del")
    lab.node("ip", "addr", "del", f"{OUTSIDE_2}/24", "dev", "out0")
    equal(lab.stop(), 0, "exit status")
    lab.start(standard(lab))


def address_moves(lab):
    """the relay address leaves this node and returns (VRRP), its connected routes with it"""
    for family, bits in ((4, 24), (6, 64)):
        address = (f"{relay(family)}/{bits}", "dev", "out0")
        before = lab.drops()
        c = near_call(lab, family).up().talk().heard(10)
        stops(lab, c, "no_route", lambda f=family, a=address: ip(lab, f, "addr", "del", *a))
        ip(lab, family, "addr", "add", *address, *(["nodad"] if family == 6 else []))
        announce(lab.node.name, "out0", MACS[1], relay(family))
        c.heard(25, timeout=15)
        # What is sent to an address that the host does not have, XDP alone can still serve.
        accounted(c, "no_route", before, heard=False, sides="a" if RUNG == "user" else "ab")
        whole_again(c)


def gateway_moves(lab):
    """the gateway's address moves to another MAC (VRRP): who was there no longer gets audio"""
    for family in FAMILIES:
        route(lab, family, "add")
        before = lab.drops()
        c = far_call(lab, family).up().talk().heard(10)
        heard = len(c.b_rtp.rtp.got)
        mac = f"02:91:02:00:00:4{family}"
        lab.callee("ip", "link", "set", "dev", "eth0", "address", mac)

        def again():
            for address in (CALLEE, CALLEE6):
                announce(lab.callee.name, "eth0", mac, address)
            return len(c.b_rtp.rtp.got) > heard + 10
        wait_for(again, 10, "audio at the new MAC")
        accounted(c, "none", before, heard=False)
        whole_again(c)
        route(lab, family, "del")
    lab.callee("ip", "link", "set", "dev", "eth0", "address", MACS[0])
    lab.node("ip", "neigh", "flush", "dev", "out0")     # it goes on with what it knew
    for address in (CALLEE, CALLEE6):
        meet(lab, address)


def recreate(lab, prepare=lambda dev: None):
    """out0 as another interface; `prepare` is called before it has that name."""
    lab.node("ip", "link", "del", "out0")
    netns.link(lab.callee, "eth0", MACS[0], lab.node, "new0", MACS[1])
    lab.callee("ethtool", "-K", "eth0", "gro", "on")
    prepare("new0")
    lab.node("ip", "link", "set", "dev", "new0", "name", "out0")
    for ns, dev, v4, v6 in ((lab.node, "out0", OUTSIDE, OUTSIDE6),
                            (lab.callee, "eth0", CALLEE, CALLEE6)):
        ns("ip", "addr", "add", f"{v4}/24", "dev", dev)
        ns("ip", "addr", "add", f"{v6}/64", "dev", dev, "nodad")
        ns("ip", "link", "set", dev, "up")
    lab.callee("ip", "route", "add", "default", "via", OUTSIDE)
    lab.callee("ip", "-6", "route", "add", "default", "via", OUTSIDE6)


def recreated(lab):
    """an interface of the node is deleted and made anew, with another number: XDP is on it again,
    and the audio of both families goes on"""
    four = near_call(lab, 4).up().talk().heard(10)
    six = near_call(lab, 6).up().talk().heard(10)
    number = link(lab.node, "out0")["ifindex"]
    recreate(lab)
    check(link(lab.node, "out0")["ifindex"] != number, "another number")
    for c in (four, six):
        c.heard(25, timeout=15)
    for c in (four, six):
        whole_again(c)
    modes = {i["name"]: i["xdp"] for r in lab.ctl("show", "status")["realms"]
             for i in r["interfaces"]}
    equal(modes, dict.fromkeys(("in0", "out0", "out1"), MODES[RUNG]), "modes")


def fault_11_news_lost(lab):
    """so much news at once that netlink lost some (ENOBUFS): the route that went and the one that
    came among them are found, on both families"""
    batch = f"{lab.dir}/routes"
    with open(batch, "w") as out:
        for what in ("add", "del"):
            for i in range(ROUTES):
                out.write(f"route {what} 198.18.{i // 250}.{i % 250}/32 dev out1\n")
    for family in FAMILIES:
        route(lab, family, "add")
    calls = [far_call(lab, family).up().talk().heard(10) for family in FAMILIES]
    before = lab.drops()
    logged = lab.log().count("news of routes and neighbours were lost")
    os.kill(lab.daemon.pid, signal.SIGSTOP)
    try:
        lab.node("ip", "-batch", batch, timeout=60)
        for family in FAMILIES:
            route(lab, family, "del")
    finally:
        os.kill(lab.daemon.pid, signal.SIGCONT)
    wait_for(lambda: lab.log().count("news of routes and neighbours were lost") > logged, 10,
             "the loss is noticed")
    for c in calls:
        wait_for(lambda x=c: x.flows()["a"]["dropped"] > 10, 10, "no_route for the flow")
    for family in FAMILIES:
        route(lab, family, "add")
    for c in calls:
        c.heard(25, timeout=10)
        c.quiet()
    lost = sum(f["dropped"] for c in calls for f in c.flows().values())
    equal(lab.drops()["no_route"] - before["no_route"], lost, "no_route")
    for c in calls:
        whole_again(c)
    for family in FAMILIES:
        route(lab, family, "del")


def after(lab, failed):
    """No test inherits another's routes and rules."""
    lab.between_tests(failed)
    for family in FAMILIES:
        for table in ("main", "100", "102"):
            while not lab.node("ip", f"-{family}", "route", "del", far(family), "table", table,
                               check=False).returncode:
                pass
        for table in ("100", "102"):
            while not lab.node("ip", f"-{family}", "rule", "del", "lookup", table,
                               check=False).returncode:
                pass


TESTS = [withdrawn, forbidden, other_gateway, backup_route, pitfall_78_policy_rule, marks_of_others,
         own_default, relay_addresses, address_moves, gateway_moves, recreated, fault_11_news_lost]

if __name__ == "__main__":
    tap.run(TESTS, make, after, nothing_left)
