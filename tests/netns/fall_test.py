#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where XDP cannot be: `auto` goes on by the userspace relay, says why, and climbs again; what the
configuration insists on is refused at a start, with what is allowed."""
import contextlib
import re

import tap
from calls import call
from foreign import GENERIC, NATIVE, Foreign
from lab import Lab, config, nothing_left, pins, running
from route_test import recreate, whole_again
from rung_test import OTHER, all_heard, counted
from tap import check, equal, wait_for

NOT_OURS = "an XDP program that is not ours is attached"
ABOVE = "an interface above it has an XDP program"
QUIET = "native is tried when no call is up"
WAYS = {"native": dict(flags=NATIVE), "generic": dict(flags=GENERIC),
        "by a link": dict(flags=NATIVE, by_link=True)}


@contextlib.contextmanager
def make():
    """Every test makes the lab that it needs."""
    yield None


def both(lab, xdp, **inside):
    return config(lab, inside={"xdp": xdp, **inside}, outside={"xdp": xdp})


def rungs(lab):
    """{interface: (mode, reason without numbers)}"""
    return {i["name"]: (i["xdp"], (i["reason"] or "").partition(" (id ")[0])
            for r in lab.ctl("show", "status")["realms"] for i in r["interfaces"]}


def become(lab, want):
    wait_for(lambda: rungs(lab) == want, 20, lambda: f"{want}: {rungs(lab)}; log:\n{lab.log()}")


def said(lab, interface, why):
    """The log says it once, however often it was tried."""
    lines = [line for line in lab.log().splitlines()
             if f"interface {interface}: {why}" in line and "userspace relay" in line]
    equal(len(lines), 1, f"lines of the log about {interface}: {lines}")


def planes(c):
    return {k: (f["plane"], (f["reason"] or "").partition(" (id ")[0])
            for k, f in c.flows().items()}


def ended(lab):
    equal(lab.stop(), 0, "exit status after SIGTERM")
    lab.detached()


def falls_and_climbs(lab, why, obstacle, remove):
    """A start with an obstacle on in0, a call, its end."""
    lab.start(both(lab, "auto"))
    become(lab, {"in0": ("off", why), "out0": ("generic", OTHER)})
    said(lab, "in0", why)
    doctor = {f["check"]: f for f in lab.ctl("doctor")}["xdp in0"]
    check(not doctor["ok"] and why in doctor["found"], "doctor:", doctor)
    c = call(lab).up().talk().heard(25)
    equal(planes(c), {"a": ("user", why), "a_rtcp": ("user", why),
                      "b": ("xdp", OTHER), "b_rtcp": ("xdp", OTHER)}, "planes")
    check(obstacle(), "nobody took the obstacle away")
    said(lab, "in0", why)
    remove()
    become(lab, {"in0": ("generic", QUIET), "out0": ("generic", QUIET)})
    equal(planes(c), {k: ("xdp", QUIET) for k in ("a", "a_rtcp", "b", "b_rtcp")}, "planes")
    c.heard(25).quiet()
    check(all_heard(c), "packets were lost amid the climb")
    counted(lab, c)
    c.hang_up().gone()
    lab.clear()
    become(lab, {"in0": ("native", ""), "out0": ("native", "")})
    c = call(lab).up().talk().heard(25).quiet().whole()
    counted(lab, c)
    c.hang_up().gone()
    ended(lab)


def foreign_at_start(_):
    """another's XDP program at a start, attached in each way: relayed by the userspace, then
    generic when it is gone, then native when the call is"""
    for how in WAYS.values():
        with Lab() as lab:
            foreign = Foreign(lab.node, "in0", **how)
            falls_and_climbs(lab, NOT_OURS, foreign.there, foreign.remove)


def foreign_above(_):
    """an XDP program on an interface above ours, which the kernel does not let be joined by one"""
    with Lab() as lab:
        lab.node("ip", "link", "add", "link", "in0", "above0", "type", "macvlan")
        foreign = Foreign(lab.node, "above0", GENERIC)
        falls_and_climbs(lab, ABOVE, foreign.there, foreign.remove)


def foreign_everywhere(_):
    """another's XDP program on every interface: all media by the userspace relay, none lost"""
    with Lab() as lab:
        others = [Foreign(lab.node, dev) for dev in ("in0", "out0")]
        lab.start(both(lab, "auto"))
        become(lab, {dev: ("off", NOT_OURS) for dev in ("in0", "out0")})
        c = call(lab).up().talk().heard(25).quiet().whole()
        equal(set(planes(c).values()), {("user", NOT_OURS)}, "planes")
        counted(lab, c)
        before = lab.drops()
        stranger = lab.end("10.91.1.66")
        for _ in range(10):
            stranger.tx[0].sendto(b"\x80\0" + bytes(170), c.relay_a)
        wait_for(lambda: lab.drops()["wrong_source"] == before["wrong_source"] + 10, 5,
                 "refused and counted")
        c.hang_up().gone()
        for foreign in others:
            foreign.remove()
        become(lab, {dev: ("native", "") for dev in ("in0", "out0")})
        ended(lab)


def comes_while_running(lab, xdp, why, then):
    """out0 is deleted and made anew with another's program on it, amid a call."""
    kept = []
    lab.start(both(lab, xdp))
    c = call(lab).up().talk().heard(10)
    recreate(lab, lambda dev: kept.append(Foreign(lab.node, dev)))
    become(lab, {"in0": then, "out0": ("off", why)})
    c.heard(25, timeout=15)
    said(lab, "out0", why)
    equal({k: p for k, (p, _) in planes(c).items()},
          {"a": "xdp", "a_rtcp": "xdp", "b": "user", "b_rtcp": "user"}, "planes")
    kept[0].dev = "out0"
    check(kept[0].there(), "nobody took the other's program away")
    kept[0].remove()
    return c


def foreign_at_run_time(_):
    """an interface made anew has another's XDP program: its media goes by the userspace relay"""
    with Lab() as lab:
        c = comes_while_running(lab, "auto", NOT_OURS, ("generic", OTHER))
        become(lab, {dev: ("generic", QUIET) for dev in ("in0", "out0")})
        c.heard(10)
        whole_again(c)
        become(lab, {dev: ("native", "") for dev in ("in0", "out0")})
        ended(lab)


def insisted_at_run_time(_):
    """the same where the configuration insists on native: media goes on meanwhile, and no other
    mode is taken"""
    with Lab() as lab:
        c = comes_while_running(lab, "native", NOT_OURS, ("native", ""))
        become(lab, {dev: ("native", "") for dev in ("in0", "out0")})
        c.heard(10)
        whole_again(c)
        ended(lab)


def pitfall_71_insisted_at_start(_):
    """xdp = native or generic where another's program is: no start, the interface and what is
    allowed are named, nothing is left"""
    for xdp in ("native", "generic"):
        with Lab() as lab:
            foreign = Foreign(lab.node, "in0")
            lab.write(both(lab, xdp))
            done = lab.run("-c", lab.conf)
            equal(done.returncode, 1, "exit status")
            for text in (f"interface = in0: cannot attach in {xdp} mode: {NOT_OURS} (id ",
                         "set `xdp = auto`, which takes what there is, or `off`"):
                check(text in done.stderr, f"{text!r} in", done.stderr)
            equal(pins(lab.bpffs), [], "pins")
            check(foreign.there(), "the other's program is still there")
            foreign.remove()


def tagged_media(_):
    """`vlan` needs XDP: no start without"""
    with Lab() as lab:
        foreign = Foreign(lab.node, "in0")
        lab.write(both(lab, "auto", vlan="keep"))
        done = lab.run("-c", lab.conf)
        equal(done.returncode, 1, "exit status")
        check("go without `vlan`, which needs XDP" in done.stderr, done.stderr)
        foreign.remove()


def restart_beside_foreign(_):
    """a restart where `auto` goes without: the same rungs, the audio of the live call goes on"""
    with Lab() as lab:
        foreign = Foreign(lab.node, "in0")
        lab.start(both(lab, "auto"))
        c = call(lab).up().talk().heard(10)
        lab.stop()
        lab.start()
        modes = {dev: mode for dev, (mode, _) in rungs(lab).items()}
        equal(modes, {"in0": "off", "out0": "generic"}, "modes")
        c.heard(25).quiet().whole()
        foreign.remove()
        wait_for(lambda: rungs(lab)["in0"][0] == "generic", 20, lambda: f"{rungs(lab)}")
        c.talk().heard(25).quiet().whole()
        c.a.request("BYE")
        ended(lab)


def program(lab):
    """The number of the XDP program of in0; None: there is none."""
    found = re.search(r"prog/xdp id (\d+)", lab.node("ip", "-d", "link", "show", "in0").stdout)
    return found and int(found.group(1))


def fault_3_programs_exchanged(_):
    """twenty daemons in a row put their program in the place of the last one's amid media: nothing
    is lost, counters only grow, the interface is never without"""
    with running(lambda lab: both(lab, "native")) as lab:
        c = call(lab).up().talk(pps=200)
        seen, packets = [program(lab)], 0
        for _ in range(20):
            lab.stop()
            equal(program(lab), seen[-1], "program without a daemon")
            lab.start()
            seen.append(program(lab))
            now = c.flows()["a"]["packets"]
            check(now >= packets, f"counter of {packets}, then {now}")
            packets = now
        c.heard(20).quiet().whole()
        equal(c.flows()["a"]["packets"], len(c.a_rtp.rtp.sent), "packets counted")
        equal(len(set(seen)), 21, f"programs, each another one: {seen}")


TESTS = [foreign_at_start, foreign_above, foreign_everywhere, foreign_at_run_time,
         insisted_at_run_time, pitfall_71_insisted_at_start, tagged_media, restart_beside_foreign,
         fault_3_programs_exchanged]

if __name__ == "__main__":
    tap.run(TESTS, make, final=nothing_left)
