#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The controller dies, returns, is detached; links, neighbours and routes change; media goes on."""
import signal
import socket
import struct
import time

import sip
import tap
from calls import Call, call
from lab import CALLEE, CALLER, config, nothing_left, pins, running
from netns import inside
from tap import check, equal, wait_for

LEASE = 5


def make():
    return running(short)


def short(lab):
    return config(lab, general={"lease": str(LEASE)})


def all_adopted_gone(lab, timeout=LEASE + 20):
    wait_for(lambda: not lab.flows(), timeout, "adopted flows gone after their media ended")


def killed(lab, signo):
    """Live audio over the end of the controller and its return; returns the call, talking."""
    c = call(lab).up().talk().heard(25)
    lab.stop(signo)
    c.heard(50)
    lab.start()
    return c.heard(25)


def adopted(lab, c):
    """The flows are shown without a call, untouched; a new call gets other ports."""
    flows = c.flows()
    for name, f in flows.items():
        check(f is not None, f"flow {name} is not shown")
        equal(f["call"], None, f"call of flow {name}")
    equal(flows["a"]["expect"], f"{CALLER}:{c.a_rtp.port}", "source admitted")
    equal(flows["a"]["to"], f"{CALLEE}:{c.b_rtp.port}", "destination")
    new = Call(lab, c.a_phone, c.b_phone, lab.number()).up().talk().heard(20)
    check(not {new.relay_a, new.relay_b} & {c.relay_a, c.relay_b}, "ports handed out twice")
    new.quiet().whole()
    new.hang_up().gone()


def survives(lab, signo):
    c = killed(lab, signo)
    adopted(lab, c)
    c.heard(10).quiet().whole()
    flows = c.flows()
    for side, end in (("a", c.a_rtp), ("b", c.b_rtp)):
        equal(flows[side]["packets"], len(end.rtp.sent), f"packets of flow {side} since its start")
        equal(flows[side + "_rtcp"]["packets"], len(end.rtcp.sent), f"RTCP of flow {side}")
    equal(lab.calls(), [], "calls known")
    c.a.request("BYE")
    equal(c.a.expect("final").code, 481, "answer to BYE of a call that is not known")
    all_adopted_gone(lab)


def pitfall_73_kill_9(lab):
    """SIGKILL: 0 lost, 0 reordered over the end and the return; counters go on"""
    survives(lab, signal.SIGKILL)


def sigterm(lab):
    """SIGTERM is no different for media"""
    survives(lab, signal.SIGTERM)


def killed_thrice(lab):
    """three controllers in a row, one call"""
    c = call(lab).up().talk()
    for _ in range(3):
        c.heard(10)
        lab.stop(signal.SIGKILL)
        c.heard(10)
        lab.start()
    c.heard(10).quiet().whole()
    all_adopted_gone(lab)


def many_calls_killed(lab):
    """ten calls over a SIGKILL, all whole; their ports stay theirs"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    calls = [Call(lab, a, b, lab.number()).up().talk() for _ in range(10)]
    calls[-1].heard(20)
    lab.stop(signal.SIGKILL)
    calls[-1].heard(20)
    lab.start()
    equal(len(lab.flows()), 40, "flows found")
    new = Call(lab, a, b, lab.number()).up().talk().heard(10)
    calls[-1].heard(20)
    for c in calls + [new]:
        c.quiet()
    for c in calls + [new]:
        c.whole()
    new.hang_up().gone()
    all_adopted_gone(lab)


def lease_ends(lab):
    """no controller for longer than the lease: media stops, counted as expired"""
    c = call(lab).up().talk().heard(10)
    before = lab.drops()["expired"]
    lab.stop(signal.SIGKILL)
    c.heard(25)
    last = {"n": -1, "t": time.monotonic()}

    def silent():
        n = len(c.a_rtp.rtp.got) + len(c.b_rtp.rtp.got)
        if n != last["n"]:
            last.update(n=n, t=time.monotonic())
        return time.monotonic() - last["t"] > 0.5
    wait_for(silent, LEASE + 10, "silence after the lease")
    c.quiet()
    lost = sum(len(s.rtp.sent) + len(s.rtcp.sent) - len(r.rtp.got) - len(r.rtcp.got)
               for s, r in ((c.a_rtp, c.b_rtp), (c.b_rtp, c.a_rtp)))
    lab.start()
    equal(lab.drops()["expired"] - before, lost, "expired")
    all_adopted_gone(lab)


def detach_refused(lab):
    """-D while a daemon of this configuration runs: refused, nothing happens"""
    c = call(lab).up().talk().heard(5)
    done = lab.run("-c", lab.conf, "-D")
    equal(done.returncode, 1, "exit status")
    check(done.stderr.strip(), "no word on standard error")
    c.heard(10).quiet().whole()
    c.hang_up().gone()


def second_daemon_refused(lab):
    """a second daemon of this configuration does not start, and disturbs nothing"""
    c = call(lab).up().talk().heard(5)
    done = lab.run("-c", lab.conf)
    check(done.returncode in (1, 3), f"exit status {done.returncode}")
    check(done.stderr.strip(), "no word on standard error")
    c.heard(10).quiet().whole()
    c.hang_up().gone()
    lab.ctl("show", "status")


def detach(lab):
    """-D removes pins and programs, ends media, and may be repeated"""
    c = call(lab).up().talk().heard(5)
    lab.stop(signal.SIGKILL)
    check(pins(lab.bpffs), "nothing is pinned while the controller is away")
    lab.detached()
    lab.detached()
    c.quiet()
    heard = len(c.b_rtp.rtp.got)
    c.a_rtp.burst(10)
    c.quiet()
    equal(len(c.b_rtp.rtp.got), heard, "heard after -D")
    lab.start()
    equal(lab.flows(), [], "flows after -D")


def other_size_when_empty(lab):
    """other ports, nothing alive: the maps are made anew"""
    equal(lab.stop(), 0, "exit status")
    other = {"ports": "12000-12499"}
    lab.start(config(lab, general={"lease": str(LEASE)}, inside=other, outside=other))
    c = call(lab).up().talk().heard(10).quiet().whole()
    check(12000 <= c.relay_a[1] <= 12499, "relay port", c.relay_a)
    c.hang_up().gone()
    equal(lab.stop(), 0, "exit status")
    lab.start(short(lab))


def other_size_when_live(lab):
    """other ports while media lives: migrated without loss, or refused with a clear text"""
    c = call(lab).up().talk().heard(10)
    equal(lab.stop(), 0, "exit status")
    other = {"ports": "12000-12499"}
    lab.write(config(lab, general={"lease": "300"}, inside=other, outside=other))
    daemon = lab.start(ready=False)

    def decided():
        return daemon.poll() is not None or lab.ctl_run("show", "status").returncode == 0
    wait_for(decided, 15, "started or refused")
    if daemon.poll() is None:
        equal(len([f for f in lab.flows() if f["call"] is None]), 4, "flows taken over")
        equal(lab.stop(), 0, "exit status")
    else:
        check(daemon.returncode in (1, 3), f"exit status {daemon.returncode}")
        lab.daemon = None
        check("ports" in lab.log().splitlines()[-1] or "live" in lab.log().splitlines()[-1],
              "no clear text:", lab.log().splitlines()[-1])
    lab.start(short(lab))
    c.heard(10).quiet().whole()
    all_adopted_gone(lab)


def gratuitous_arp(ns, dev, mac, ip):
    """Tells the network that `ip` is now at `mac`."""
    raw_mac, addr = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip)
    frame = b"\xff" * 6 + raw_mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + \
        raw_mac + addr + b"\xff" * 6 + addr
    with inside(ns):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((dev, 0))
    sock.send(frame)
    sock.close()


def restart_numbering(c):
    """Begins the comparison anew; the numbering of the packets goes on."""
    c.quiet()
    for end in (c.a_rtp, c.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()


def neighbour_moves(lab):
    """the callee's MAC changes: audio finds it again"""
    c = call(lab).up().talk().heard(10)
    mac = "02:91:02:00:00:99"
    lab.callee("ip", "link", "set", "dev", "eth0", "address", mac)
    heard = len(c.b_rtp.rtp.got)

    def again():
        gratuitous_arp(lab.callee.name, "eth0", mac, CALLEE)
        return len(c.b_rtp.rtp.got) > heard + 5
    wait_for(again, 5, "audio at the new MAC")
    restart_numbering(c)
    c.talk().heard(25).quiet().whole()
    c.hang_up().gone()


def pitfall_76_link_down_up(lab):
    """an interface of the node goes down and up: audio returns by itself"""
    for dev in ("out0", "in0"):
        c = call(lab).up().talk().heard(10)
        lab.node("ip", "link", "set", "dev", dev, "down")
        lab.node("ip", "link", "set", "dev", dev, "up")
        c.heard(25, timeout=10)
        restart_numbering(c)
        c.talk().heard(25).quiet().whole()
        c.hang_up().gone()
        lab.clear()


def far_link_down_up(lab):
    """the callee's cable is out for a moment: audio returns by itself"""
    c = call(lab).up().talk().heard(10)
    lab.callee("ip", "link", "set", "dev", "eth0", "down")
    lab.callee("ip", "link", "set", "dev", "eth0", "up")
    lab.callee("ip", "route", "replace", "default", "via", "10.91.2.1")
    c.heard(25, timeout=10)
    restart_numbering(c)
    c.talk().heard(25).quiet().whole()
    c.hang_up().gone()


def route_withdrawn(lab):
    """the route to the media goes and comes: no_route meanwhile, then audio again"""
    far = "10.91.9.9"
    lab.callee("ip", "addr", "add", f"{far}/32", "dev", "lo")
    lab.node("ip", "route", "add", f"{far}/32", "via", CALLEE)
    c = call(lab)
    c.b_rtp.close()
    c.b_rtp = lab.end(far)
    c.b_sdp = sip.sdp(far, c.b_rtp.port)
    c.up().talk().heard(10)
    before = lab.drops()["no_route"]
    lab.node("ip", "route", "del", f"{far}/32")
    wait_for(lambda: lab.drops()["no_route"] > before + 5, 5, "no_route counted")
    lab.node("ip", "route", "add", f"{far}/32", "via", CALLEE)
    c.heard(25)
    restart_numbering(c)
    c.talk().heard(25).quiet().whole()
    c.hang_up().gone()
    lab.node("ip", "route", "del", f"{far}/32")
    lab.callee("ip", "addr", "del", f"{far}/32", "dev", "lo")


def neighbour_unknown(lab):
    """nobody was spoken to yet: the first packets of the first call arrive"""
    lab.node("ip", "neigh", "flush", "all")
    c = call(lab).up().talk().heard(25).quiet().whole()
    c.hang_up().gone()


TESTS = [pitfall_73_kill_9, sigterm, killed_thrice, many_calls_killed, lease_ends, detach_refused,
         second_daemon_refused, detach, other_size_when_empty, other_size_when_live,
         neighbour_unknown, neighbour_moves, pitfall_76_link_down_up, far_link_down_up,
         route_withdrawn]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
