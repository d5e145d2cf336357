#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of daemon and tool: exit status, JSON, configuration texts, reload, metrics."""
import os
import re
import signal
import socket
import subprocess

import sip
import tap
from calls import call
from lab import CALLER, binary, config, nothing_left, running
from netns import sh
from tap import Skip, check, equal, wait_for

DROPS = ("unleased", "direct_stray", "wrong_source", "not_signalled", "not_rtp", "bad_payload",
         "bad_length", "ttl", "expired", "rate", "no_neighbour", "no_route", "tx_failed",
         "headroom", "up_fragment", "up_options", "up_unresolved", "up_mtu")
ADDRESS = re.compile(r"^\d+\.\d+\.\d+\.\d+:\d+$")
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
NUMBER = (int, float)


def make():
    return running()


def typed(thing, want, what):
    """Each key is there with its type; a pattern stands for a text that it matches."""
    for key, kind in want.items():
        check(key in thing, f"{what}: no {key} in {sorted(thing)}")
        value = thing[key]
        if isinstance(kind, re.Pattern):
            check(isinstance(value, str) and kind.match(value), f"{what}.{key} is {value!r}")
        else:
            check(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)),
                  f"{what}.{key} is {value!r}, no {kind}")


def status(lab):
    """show status: every field, with its type"""
    s = lab.ctl("show", "status")
    typed(s, {"version": str, "uptime_s": NUMBER, "calls": int, "flows": int, "draining": bool,
              "realms": list, "kmod": str, "survives": bool, "guard": str}, "status")
    equal((s["calls"], s["flows"], s["draining"], s["kmod"], s["survives"],
           s["guard"]), (0, 0, False, "absent", True, "on"), "values")
    equal([r["name"] for r in s["realms"]], ["inside", "outside"], "realms")
    for realm in s["realms"]:
        typed(realm, {"interfaces": list, "ports_used": int, "ports_free": int}, "realm")
        equal([sorted(i) for i in realm["interfaces"]], [["name", "reason", "xdp"]], "interface")


def ports_counted(lab):
    """show status counts ports used and free, the sum stays"""
    def ports():
        return [(r["ports_used"], r["ports_free"]) for r in lab.ctl("show", "status")["realms"]]
    before = ports()
    c = call(lab).up()
    during = ports()
    for (used, free), (used_before, free_before) in zip(during, before):
        check(used > used_before and free < free_before, f"{before} before, {during} during")
    equal(during[0][0] - before[0][0], during[1][0] - before[1][0], "ports of each leg")
    equal(lab.ctl("show", "status")["calls"], 1, "calls")
    equal(lab.ctl("show", "status")["flows"], 4, "flows")
    c.hang_up().gone()


def call_fields(lab):
    """show calls and show call: every field, with its type"""
    c = call(lab).up().talk().heard(5).quiet()
    shown = c.show()
    texts = dict.fromkeys(("id", "state", "path", "reason", "plane", "from", "to"), str)
    typed(shown, {**texts, "started": RFC3339, "answered": RFC3339, "from_uri": str, "to_uri": str,
                  "a": dict, "b": dict}, "call")
    check(re.match(r"^\S+$", shown["id"]), "id:", shown["id"])
    check(shown["from_uri"].startswith("sip:u10@") and shown["to_uri"].startswith("sip:"),
          shown["from_uri"], shown["to_uri"])
    for side in "ab":
        typed(shown[side], {"peer": str, "realm": str, "call_id": str, "canreinvite": str,
                            "signalled": ADDRESS, "learned": ADDRESS, "relay": ADDRESS,
                            "told": ADDRESS, "codec": str, "rx_packets": int, "rx_bytes": int,
                            "lost": int, "jitter_ms": NUMBER, "reordered": int, "duplicates": int,
                            "gap_ms": NUMBER, "ssrc_changes": int, "far_lost": int, "mos": NUMBER,
                            "wrong_source": int,
                            "last_rx_s": NUMBER}, f"leg {side}")
        check(0 <= shown[side]["last_rx_s"] < 60, "last_rx_s", shown[side]["last_rx_s"])
    again = lab.ctl("show", "call", shown["id"][:-1])       # a unique prefix serves
    equal(again["id"], shown["id"], "show call by prefix")
    c.hang_up().gone()


def flow_fields(lab):
    """show flows: every field, with its type"""
    c = call(lab).up().talk().heard(5).quiet()
    flows = lab.flows()
    equal(sorted(f["kind"] for f in flows), ["rtcp", "rtcp", "rtp", "rtp"], "kinds")
    for f in flows:
        typed(f, {"call": str, "local": ADDRESS, "expect": ADDRESS, "to": ADDRESS, "from": ADDRESS,
                  "kind": str, "plane": str, "packets": int, "bytes": int, "dropped": int,
                  "last_s": NUMBER}, "flow")
    c.hang_up().gone()


def drop_fields(lab):
    """show drops: every reason, zero ones too"""
    drops = lab.drops()
    equal(sorted(set(DROPS) - set(drops)), [], "reasons missing")
    check(all(isinstance(v, int) for v in drops.values()), drops)


def setup_shown(lab):
    """a ringing call: state setup or early, no answer time"""
    c = call(lab).ring()
    shown = c.show()
    check(shown["state"] in ("setup", "early"), shown["state"])
    check(not shown.get("answered"), "answered:", shown.get("answered"))
    equal(shown["a"]["relay"].split(":")[0], "10.91.1.1", "relay of leg a")
    c.b.reply(c.b.invite, 486)
    c.a.ack(c.a.expect(486))
    c.b.expect("ACK")


def exit_status(lab):
    """rtpfwd-ctl: 0 ok, 2 usage, 3 no daemon, 4 no such object; tables without -j"""
    for command in (("show", "status"), ("show", "calls"), ("show", "flows"), ("show", "drops")):
        done = lab.ctl_run(*command)
        equal(done.returncode, 0, f"{command}: {done.stderr}")
    check("wrong_source" in lab.ctl_run("show", "drops").stdout, "no table of drops")
    for command in ((), ("nonsense",), ("show",), ("show", "nonsense"), ("call",),
                    ("show", "call")):
        done = lab.ctl_run(*command)
        equal(done.returncode, 2, f"{command}: {done.stdout}{done.stderr}")
        check(done.stderr.strip(), f"{command}: no word on standard error")
    for command in (("show", "call", "nonesuch"), ("call", "nonesuch", "hangup")):
        done = lab.ctl_run(*command)
        equal(done.returncode, 4, f"{command}: {done.stderr}")
        check(done.stderr.strip(), f"{command}: no word on standard error")
    tool = binary("rtpfwd-ctl")
    done = sh(tool, "-s", lab.dir + "/nowhere", "show", "status", check=False)
    equal(done.returncode, 3, "no daemon")
    equal(sh(tool, "--nonsense", check=False).returncode, 2, "unknown option")


def hangup_of_setup(lab):
    """call ID hangup of a ringing call: CANCEL to the callee, a refusal to the caller"""
    c = call(lab).ring()
    equal(lab.ctl("call", c.show()["id"], "hangup"), {"ok": True}, "answer")
    cancel = c.b.expect("CANCEL")
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    final = c.a.expect("final")
    check(final.code >= 400, final.code)
    c.a.ack(final)
    wait_for(lambda: not lab.calls(), 3, "call gone")


def check_only(lab):
    """-n: silent and 0 on good; -n -v prints what parses again to the same"""
    done = lab.run("-c", lab.conf, "-n")
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "-n")
    first = lab.run("-c", lab.conf, "-n", "-v")
    equal(first.returncode, 0, f"-n -v: {first.stderr}")
    again = os.path.join(lab.dir, "again.conf")
    with open(again, "w") as out:
        out.write(first.stdout)
    second = lab.run("-c", again, "-n", "-v")
    equal((second.returncode, second.stdout), (0, first.stdout), "printed again")
    for word in ("[inside]", "[bob]", "canreinvite", "10000-10999"):
        check(word in first.stdout, f"{word} is not printed")


BAD = (
    ("reinvite = yes", r"unknown key 'reinvite': did you mean 'canreinvite'\?"),
    ("canreinvite = perhaps", r"canreinvite.*perhaps|perhaps.*canreinvite"),
    ("host = 300.1.1.1", r"300\.1\.1\.1"),
    ("realm = nowhere", r"nowhere"),
    ("allow = nonsense", r"nonsense"),
    ("colour = blue", r"unknown key 'colour'"),
    ("nat = sometimes", r"sometimes"),
    ("#include nonesuch.conf", r"nonesuch\.conf"),
    ("[new](nonesuch)", r"nonesuch"),
    ("[broken", r"\["),
    ("just words", r"just words|="),
)


def bad_configuration(lab):
    """a fault prints FILE:LINE: and what is wrong, exits 1"""
    good = config(lab) + "[carol]\ntype = peer\nrealm = inside\nhost = 10.91.1.12\n"
    path = os.path.join(lab.dir, "bad.conf")
    line = good.count("\n") + 1
    for fault, text in BAD:
        with open(path, "w") as out:
            out.write(good + fault + "\n")
        for args in (("-n",), ()):
            done = lab.run("-c", path, *args)
            equal(done.returncode, 1, f"{fault}: {done.stderr}")
            check(re.search(rf"{re.escape(path)}:{line}: .*({text})", done.stderr),
                  f"{fault}: {done.stderr!r}")
    done = lab.run("-c", lab.dir + "/nonesuch.conf", "-n")
    equal(done.returncode, 1, "no file")
    check("nonesuch.conf" in done.stderr, done.stderr)


def usage(lab):
    """daemon: -V prints its version, an unknown option is 2"""
    done = lab.run("-V")
    equal(done.returncode, 0, "-V")
    equal(lab.ctl("show", "status")["version"] in done.stdout, True, "version printed")
    done = lab.run("--nonsense")
    equal(done.returncode, 2, "unknown option")
    check(done.stderr.strip(), "no word on standard error")


def unprivileged(lab):
    """without privilege: 3, and a text that names what is missing"""
    path = os.path.join(lab.dir, "plain.conf")
    with open(path, "w") as out:
        out.write(config(lab, general={"bpffs": lab.bpffs + "x", "metrics": "off",
                                       "control": lab.dir + "/plain.sock"},
                         inside={"bind": "udp:10.91.1.1:5062"},
                         outside={"bind": "udp:10.91.2.1:5062"}))
    os.chmod(lab.dir, 0o777)
    daemon = binary("rtpfwd")
    reach = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "test", "-x", daemon])
    if reach.returncode:
        raise Skip("the build folder cannot be read by another user")
    done = lab.node("setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", "-all",
                    daemon, "-c", path, check=False)
    if os.path.isdir(lab.bpffs + "x"):
        os.rmdir(lab.bpffs + "x")
    equal(done.returncode, 3, f"exit status: {done.stderr}")
    check(re.search(r"privilege|CAP_|permitted|root", done.stderr), done.stderr)


def turned_away(lab):
    """too many clients: exit status 1, and the daemon's own words"""
    others = [socket.socket(socket.AF_UNIX) for _ in range(32)]
    for other in others:
        other.connect(lab.control)
    for _ in range(10):
        done = lab.ctl_run("show", "status")
        equal((done.returncode, "too many clients" in done.stderr), (1, True), done.stderr)
    for other in others:
        other.close()
    wait_for(lambda: lab.ctl_run("show", "status").returncode == 0, 3, "served again")


def reload_good(lab):
    """SIGHUP: a new route serves new calls; a call in progress goes on"""
    c = call(lab).up().talk().heard(5)
    extra = "[added]\ntype = route\nfrom = inside\nmatch = _9X.\nto = bob\n"
    lab.write(config(lab) + extra)
    lab.daemon.send_signal(signal.SIGHUP)
    a = c.a_phone

    def routed():
        number = lab.number("9")
        d = a.call(number, sip.sdp(CALLER, 20000))
        c.b_phone.pump(0.2)
        if [m for m in c.b_phone.backlog if f"sip:{number}@" in (m.uri or "")]:
            i = c.b_phone.incoming(number)
            i.reply(i.invite, 486)
            d.ack(d.expect(486))
            return True
        d.ack(d.expect("final"))
        return False
    wait_for(routed, 5, "the new route")
    c.heard(5).quiet().whole()
    c.hang_up().gone()


def reload_bad(lab):
    """SIGHUP with a fault: refused whole with its reason, the old configuration stays"""
    lab.write(config(lab, peers="[x]\ntype = peer\nreinvite = yes\n"))
    mark = len(lab.log())
    lab.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: "did you mean 'canreinvite'" in lab.log()[mark:], 5, "the reason in the log")
    c = call(lab).up()
    c.hang_up().gone()
    lab.write(config(lab))


def reload_impossible(lab):
    """SIGHUP with what a running node cannot take over: refused, the old one stays"""
    lab.write(config(lab, inside={"media": "10.91.1.99"}))
    mark = len(lab.log())
    lab.daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: re.search(r"media|restart", lab.log()[mark:]), 5, "the reason in the log")
    c = call(lab).up()
    equal(c.relay_a[0], "10.91.1.1", "relay address")
    c.hang_up().gone()
    lab.write(config(lab))


NAMES = ("rtpfwd_calls", "rtpfwd_calls_total", "rtpfwd_flows", "rtpfwd_rtp_packets_total",
         "rtpfwd_rtp_bytes_total", "rtpfwd_rtp_dropped_total", "rtpfwd_rtp_lost_total",
         "rtpfwd_ports", "rtpfwd_xdp_mode", "rtpfwd_sip_requests_total",
         "rtpfwd_sip_responses_total", "rtpfwd_sip_retransmits_total", "rtpfwd_sip_malformed_total",
         "rtpfwd_setup_seconds_bucket", "rtpfwd_call_seconds_bucket", "rtpfwd_build_info",
         "process_start_time_seconds", "process_cpu_seconds_total", "process_open_fds")


def metrics(lab):
    """/metrics: the names, promtool finds no fault, no call in a label"""
    c = call(lab).up().talk().heard(5).quiet()
    code, body = lab.http("/metrics")
    equal(code, 200, "status")
    have = {re.split(r"[{ ]", line)[0] for line in body.splitlines() if line[:1] not in ("#", "")}
    equal(sorted(set(NAMES) - have), [], "names missing")
    checked = subprocess.run(["promtool", "check", "metrics"], input=body, universal_newlines=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
    equal((checked.returncode, checked.stdout), (0, ""), "promtool check metrics")
    for text in (c.a.call_id, c.show()["id"], c.number):
        check(text not in body, f"{text} is in the metrics")
    m = lab.metrics()
    equal(m['rtpfwd_calls{state="up"}'], 1, "calls up")
    equal(m['rtpfwd_flows{plane="xdp"}'], 4, "flows")
    drops = lab.drops()
    for reason in [r for r in DROPS if not r.startswith("up_")]:
        equal(m[f'rtpfwd_rtp_dropped_total{{reason="{reason}"}}'], drops[reason], reason)
    c.hang_up().gone()
    check(lab.metrics()["rtpfwd_setup_seconds_count"] >= 1, "set-up times")
    check(lab.metrics()["rtpfwd_call_seconds_count"] >= 1, "call times")


def sip_metrics(lab):
    """requests and responses are counted by method, code and direction"""
    def count(name, **labels):
        return sum(v for k, v in lab.metrics().items() if k.startswith(name + "{") and
                   all(f'{n}="{x}"' in k for n, x in labels.items()))
    names = ("rtpfwd_sip_requests_total", "rtpfwd_sip_responses_total")
    want = [(names[0], {"method": "INVITE", "direction": "in"}),
            (names[0], {"method": "INVITE", "direction": "out"}),
            (names[0], {"method": "ACK", "direction": "in"}),
            (names[0], {"method": "ACK", "direction": "out"}),
            (names[0], {"method": "BYE", "direction": "in"}),
            (names[0], {"method": "BYE", "direction": "out"}),
            (names[1], {"method": "INVITE", "code": "200", "direction": "in"}),
            (names[1], {"method": "INVITE", "code": "200", "direction": "out"}),
            (names[1], {"method": "INVITE", "code": "180", "direction": "in"}),
            (names[1], {"method": "BYE", "code": "200", "direction": "out"})]
    before = [count(n, **x) for n, x in want]
    call(lab).up().hang_up().gone()
    equal([count(n, **x) - b for (n, x), b in zip(want, before)], [1] * len(want), "each grew by 1")


def health(lab):
    """/healthz and /readyz: 200; another path: 404"""
    equal([lab.http(p)[0] for p in ("/healthz", "/readyz", "/nonsense")], [200, 200, 404], "codes")


TESTS = [status, ports_counted, call_fields, flow_fields, drop_fields, setup_shown, exit_status,
         hangup_of_setup, check_only, bad_configuration, usage, unprivileged, turned_away,
         reload_good, reload_bad, reload_impossible, metrics, sip_metrics, health]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
