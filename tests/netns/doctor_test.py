#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`rtpfwd-ctl doctor` on a real host: what is bent is found, named and found mended."""
import time

import tap
from lab import INSIDE, nothing_left, running
from tap import check, equal


def make():
    return running()


def findings(lab):
    found = lab.ctl("doctor")
    for one in found:
        equal(sorted(one), ["advice", "check", "found", "ok"], "keys of a finding")
        equal(one["ok"], one["advice"] is None, f"advice only where it is needed: {one}")
    checks = [one["check"] for one in found]
    equal(len(checks), len(set(checks)), f"each check once: {checks}")
    return {one["check"]: one for one in found}


def bent(lab, name, spoil, mend, word):
    """Well, then spoilt and said so with advice that holds `word`, then well again."""
    check(findings(lab)[name]["ok"], f"{name} is well:", findings(lab)[name])
    spoil()
    one = findings(lab)[name]
    check(not one["ok"] and word in one["advice"], f"{name} spoilt:", one)
    mend()
    check(findings(lab)[name]["ok"], f"{name} is well again:", findings(lab)[name])


def sysctl(lab, key, value):
    return lambda: lab.node("sysctl", "-qw", f"{key}={value}")


def well(lab):
    """a host that is as it should be: the checks that the lab can have are there, and well"""
    sysctl(lab, "net.ipv4.ip_local_reserved_ports", "10000-10999")()
    found = findings(lab)
    for name in ("kernel", "btf", "bpffs", "mtu", "files", "ports inside", "ports outside",
                 "rp_filter in0", "rp_filter out0", "xdp in0", "xdp out0", "offloads in0",
                 f"media {INSIDE}"):
        check(found[name]["ok"], f"{name}:", found[name])
    equal(found["xdp in0"]["found"], "native, driver veth", "mode and driver")
    equal(found[f"media {INSIDE}"]["found"], "on in0", "where the address is")
    equal(found["mtu"]["found"], "1500 on in0, 1500 on in0", "mtu")


def table(lab):
    """people get a table"""
    done = lab.ctl_run("doctor")
    equal(done.returncode, 0, "exit status")
    lines = done.stdout.splitlines()
    equal(lines[0].split(), ["CHECK", "OK", "FOUND", "ADVICE"], "heads")
    equal(len(lines) - 1, len(findings(lab)), "a line for each finding")


def path_filter(lab):
    """rp_filter strict on an interface"""
    key = "net.ipv4.conf.in0.rp_filter"
    bent(lab, "rp_filter in0", sysctl(lab, key, 1), sysctl(lab, key, 0), "loose")


def ports(lab):
    """relay ports that the kernel gives to other programs, unless they are reserved"""
    sysctl(lab, "net.ipv4.ip_local_port_range", "32768 60999")()
    sysctl(lab, "net.ipv4.ip_local_reserved_ports", "")()
    bent(lab, "ports inside", sysctl(lab, "net.ipv4.ip_local_port_range", "10500 60999"),
         sysctl(lab, "net.ipv4.ip_local_reserved_ports", "10500-10999"), "reserved")


def mtu(lab):
    """interfaces that differ in MTU"""
    bent(lab, "mtu", lambda: lab.node("ip", "link", "set", "out0", "mtu", "1400"),
         lambda: lab.node("ip", "link", "set", "out0", "mtu", "1500"), "fragments")


def address(lab):
    """a relay address that is on no interface"""
    def change(what):
        return lambda: lab.node("ip", "addr", what, f"{INSIDE}/24", "dev", "in0")
    bent(lab, f"media {INSIDE}", change("del"), change("add"), "VRRP")


def jiffies():
    with open("/proc/timer_list") as timers:
        return next(int(line.split()[1]) for line in timers if line.startswith("jiffies:"))


def ticks(lab):
    """the kernel's ticks in a second, as its own counter goes"""
    begun, first = time.monotonic(), jiffies()
    time.sleep(0.5)
    rate = (jiffies() - first) / (time.monotonic() - begun)
    found = findings(lab)["hz"]
    real = min((100, 250, 300, 1000), key=lambda hz: abs(hz - rate))
    equal(found["found"], f"{real} ticks a second", f"at {rate:.0f} a second")
    equal(found["ok"], real >= 250, "judgement")


def next_hops(lab):
    """the bounds of the kernel's table, where they are told: not in a namespace of its own"""
    told = lab.node("ls", "/proc/sys/net/ipv4/neigh/default/gc_thresh1", check=False)
    found = findings(lab)
    for family in ("ipv4", "ipv6"):
        equal(f"next_hops {family}" in found, told.returncode == 0, "finding")


def pitfall_74_queues(lab):
    """the driver's own figures: a veth of one queue that could have more"""
    one = findings(lab)["queues in0"]
    check("of at most" in one["found"], "queues:", one)


TESTS = [well, table, path_filter, ports, mtu, address, ticks, next_hops, pitfall_74_queues]

if __name__ == "__main__":
    tap.run(TESTS, make, final=nothing_left)
