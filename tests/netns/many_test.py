#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many flows at once: what shows them holds nobody up."""
import json
import socket

import tap
from calls import call
from lab import CALLEE, CALLER, INSIDE, OUTSIDE, config, nothing_left, running
from sipp import Sipp
from tap import check, equal, wait_for

CALLS = 600
ANNA, BEN = "10.91.1.11", "10.91.2.21"


def make():
    wide = {"ports": "10000-19999"}
    return running(lambda lab: config(lab, general={"rtptimeout": "0"}, inside=wide, outside=wide))


def hold(lab):
    """Calls that stay; whoever placed them is gone."""
    server = Sipp(lab, lab.callee, "uas", CALLEE, CALLS, timeout=100).listening()
    client = Sipp(lab, lab.caller, "uac", CALLER, CALLS, "-s", "7001", "-r", 100, "-d", 100000,
                  "-l", CALLS, f"{INSIDE}:5060", timeout=100)
    wait_for(lambda: sum(c["state"] == "up" for c in lab.calls()) == CALLS, 60,
             f"{CALLS} calls are up")
    client.kill()
    server.kill()


def listing(lab, what):
    """A list under way, its first bytes read."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    sock.connect(lab.control)
    sock.sendall(json.dumps({"command": ["show", what]}).encode() + b"\n")
    return sock, sock.recv(100)


def rest(sock, data):
    while not data.endswith(b"\n"):
        data += sock.recv(1 << 16)
    sock.close()
    answer = json.loads(data)
    check(answer["ok"], data[:200])
    return answer["result"]


def shown_while_calls_come_and_go(lab):
    """a call begins, talks and ends, others end, while show flows and show calls are under way"""
    hold(lab)
    before = lab.flows()
    equal(len(before), 4 * CALLS, "flows")
    order = [f["local"].rsplit(":", 1) for f in before]
    equal(order, sorted(order, key=lambda a: ((INSIDE, OUTSIDE).index(a[0]), int(a[1]))), "order")
    last, newest = before[-1], lab.calls()[-1]["id"]
    flows, calls = listing(lab, "flows"), listing(lab, "calls")
    c = call(lab, "8", ANNA, BEN).up().talk().heard(5)
    c.quiet().whole()
    c.hang_up()
    for ended in {last["call"], newest}:
        equal(lab.ctl_run("call", ended, "hangup").returncode, 0, "hangup")
        wait_for(lambda: lab.ctl_run("show", "call", ended).returncode == 4, 10,
                 "the call is gone")
    shown = {f["local"]: f for f in rest(*flows)}
    # Made after that: what had ended by then is not in it, what stayed all the time is.
    check(last["local"] not in shown, f"{last['local']} is shown, although its call had ended")
    for flow in before:
        if flow["call"] not in (last["call"], newest):
            equal(shown.get(flow["local"], {}).get("call"), flow["call"], flow["local"])
    shown = {c["id"] for c in rest(*calls)}
    check(newest not in shown, f"{newest} is shown, although it had ended")
    equal({f["call"] for f in before} - shown - {last["call"]}, {newest}, "calls that are missing")


if __name__ == "__main__":
    # Hundreds of calls are not hung up one by one: the daemon's end takes them along.
    tap.run([shown_while_calls_come_and_go], make, lambda lab, failed: lab.sane(), nothing_left)
