#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard: a table of our own in nftables around the relay ports, nothing of anyone else's."""
import contextlib
import signal
import subprocess

import netns
import rtp
import tap
from basic_test import dropped, ip_packet
from calls import call
from lab import (CALLEE, CALLER, INSIDE, INSIDE6, OUTSIDE, RUNG, Lab, binary, config,
                 nothing_left)
from tap import check, equal, wait_for

SIDE, SIDE6 = "10.91.7.1", "2001:db8:91:7::1"
BOTH = {"media": f"{INSIDE}, {INSIDE6}"}
# A firewall as others write it: it tracks connections, has sets, and a raw chain of its own.
FOREIGN = """
table inet firewall {
	set trusted { type ipv4_addr; elements = { 10.91.1.10, 10.91.1.11 }; }
# As others write a firewall: it tracks connections, has sets, and a raw chain of its own.
	chain input { type filter hook input priority filter; policy accept;
		ct state established,related accept
		ip saddr @trusted accept
	}
}
table ip nat { chain post { type nat hook postrouting priority srcnat; oifname "none" masquerade; }
}
"""
SECOND = """
[general]
bpffs = {bpffs}
control = {control}
metrics = off
state = off
cdr = off
[near]
type = realm
interface = lo
bind = udp:127.0.0.2:5060
media = 127.0.0.2
ports = 20000-20099
[far]
type = realm
interface = lo
bind = udp:127.0.0.3:5060
media = 127.0.0.3
ports = 20000-20099
"""


@contextlib.contextmanager
def make():
    with Lab() as lab:
        side_link(lab)
        lab.node("nft", "-f", "-", input=FOREIGN)
        lab.start(config(lab, inside=BOTH))
        yield lab
        before = foreign(lab)
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()
        equal(tables(lab), ["inet firewall", "ip nat"], "tables after -D")
        equal(foreign(lab), before, "the others' tables after -D")


def name(folder):
    return "inet rtpfwd" + folder


def tables(lab):
    return sorted(line[len("table "):] for line in lab.node("nft", "list", "tables")
                  .stdout.splitlines())


def table(lab):
    """Our table as nft lists it, without the values of counters."""
    return lab.node("nft", "-s", "list", "table", *name(lab.bpffs).split()).stdout


def foreign(lab):
    return [lab.node("nft", "list", "table", *t.split()).stdout
            for t in ("inet firewall", "ip nat")]


def restart(lab, *args, **kw):
    equal(lab.stop(), 0, "exit status")
    lab.start(config(lab, *args, **kw))


def reload(lab, *args, **kw):
    lab.write(config(lab, *args, **kw))
    lab.ctl("reload")


def side_link(lab):
    """An interface of no realm, by which the callee's host reaches the relay addresses inside."""
    netns.link(lab.callee, "eth2", "02:91:07:00:00:02", lab.node, "side0", "02:91:07:00:00:01")
    for ns, dev, host in ((lab.node, "side0", 1), (lab.callee, "eth2", 2)):
        ns("ip", "addr", "add", f"10.91.7.{host}/24", "dev", dev)
        ns("ip", "addr", "add", f"2001:db8:91:7::{host}/64", "dev", dev, "nodad")
        ns("ip", "link", "set", dev, "up")
    lab.callee("ip", "route", "add", INSIDE, "via", SIDE)
    lab.callee("ip", "-6", "route", "add", INSIDE6, "via", SIDE6)
    for key in ("ipv4.icmp_ratelimit", "ipv6.icmp.ratelimit"):
        lab.node("sysctl", "-qw", f"net.{key}=0")


def answered(lab, to):
    """Does the node say that nobody is there, to who comes by that interface?"""
    with netns.udp(lab.callee.name, "::" if ":" in to[0] else "0.0.0.0") as sock:
        sock.connect(to)
        sock.settimeout(0.3)
        try:
            sock.send(b"x")
            sock.recv(10)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
    raise tap.Failed("an answer")


def tracked(lab):
    """{(address, port)} of every UDP connection that the node tracks."""
    ends = set()
    for line in lab.node("conntrack", "-L", "-p", "udp").stdout.splitlines():
        words = [w.split("=", 1) for w in line.split() if "=" in w]
        for ip, port in (("src", "sport"), ("dst", "dport")):
            ends |= set(zip((v for k, v in words if k == ip),
                            (int(v) for k, v in words if k == port)))
    return ends


def is_relay(end):
    return end[0] in (INSIDE, OUTSIDE, INSIDE6) and 10000 <= end[1] <= 10999


def went_up(reason, packets):
    """Where there is no XDP, nothing goes up from it."""
    return {} if RUNG == "user" else {reason: packets}


def shown(lab):
    """what stands in nftables is text that nft itself reads back, and the status says `on`"""
    equal(tables(lab), sorted(["inet firewall", "ip nat", name(lab.bpffs)]), "tables")
    text = table(lab)
    for want in (f"{INSIDE} . 10000-10999", f"{OUTSIDE} . 10000-10999",
                 f"{INSIDE6} . 10000-10999", "priority raw", "notrack"):
        check(want in text, f"{want!r} in:\n{text}")
    for dev in ("in0", "out0"):
        equal(f'"{dev}"' in text, RUNG != "user", f"{dev} as an interface with XDP")
    lab.node("nft", "-f", "-", input=f"delete table {name(lab.bpffs)}\n{text}")
    equal(table(lab), text, "read back")
    equal(lab.ctl("show", "status")["guard"], "on", "guard")


def untracked(lab):
    """no connection of a relay port is tracked, whoever sends; SIP's and strangers' are"""
    c = call(lab).up().talk().heard(10).quiet()
    packet = ip_packet((CALLEE, c.b_rtp.port), c.relay_b, rtp.rtp_packet(0, 1, 1, 1, 1),
                       options=b"\x01\x01\x01\x00")
    with netns.raw(lab.callee.name) as sock:
        dropped(lab, went_up("up_options", 10),
                lambda: [sock.sendto(packet, (OUTSIDE, 0)) for _ in range(10)])
    for port in (10500, 7007):
        with netns.udp(lab.node.name, INSIDE, port) as sock:
            sock.sendto(b"x", (CALLER, 9999))
    for to in ((INSIDE, 10502), (INSIDE6, 10502), (INSIDE, 7008)):
        answered(lab, to)
    ends = tracked(lab)
    equal([e for e in ends if is_relay(e)], [], "tracked relay ports")
    for want in ((INSIDE, 7007), (INSIDE, 7008), (INSIDE, 5060), (OUTSIDE, 5060)):
        check(want in ends, f"{want} is not tracked: {ends}")
    c.hang_up().gone()


def tracked_without(lab):
    """the same datagrams are tracked where guard = off: the test above can fail"""
    restart(lab, {"guard": "off"}, inside=BOTH)
    answered(lab, (INSIDE, 10504))
    check((INSIDE, 10504) in tracked(lab), "tracked")
    restart(lab, inside=BOTH)


def unserved(lab):
    """a datagram for a relay port that came where there is no XDP is dropped without an answer, and
    counted once; ports beside the range answer as ever"""
    for to in ((INSIDE, 10600), (INSIDE6, 10602)):
        dropped(lab, {"unserved": 1}, lambda to=to: equal(answered(lab, to), False, "answered"))
    for to in ((INSIDE, 9999), (INSIDE6, 9999), (INSIDE, 11000), (SIDE, 10600)):
        dropped(lab, {}, lambda to=to: equal(answered(lab, to), True, f"answer from {to}"))
    metric = 'rtpfwd_rtp_dropped_total{reason="unserved"}'
    equal(lab.metrics()[metric], lab.drops()["unserved"], metric)


def sockets_served(lab):
    """whoever has a socket at a relay port gets what is his: the guard takes it from nobody"""
    for ip in (INSIDE, INSIDE6):
        with netns.udp(lab.node.name, ip, 10700) as server, \
                netns.udp(lab.callee.name, "::" if ":" in ip else "0.0.0.0") as client:
            server.settimeout(3)
            dropped(lab, {}, lambda: client.sendto(b"hello", (ip, 10700)))
            equal(server.recvfrom(10)[0], b"hello", "datagram")


def nothing_twice(lab):
    """what XDP counts, the guard does not: at unleased ports, and of what goes up"""
    stranger = lab.end("10.91.1.66")
    dropped(lab, {"unleased": 20},
            lambda: [stranger.tx[0].sendto(b"\x80" * 172, (INSIDE, 10800)) for _ in range(20)])
    c = call(lab).up()
    big = rtp.rtp_packet(0, 1, 1, 1, 1) + bytes(2000)
    dropped(lab, went_up("up_fragment", 1), lambda: c.b_rtp.tx[0].sendto(big, c.relay_b))
    c.hang_up().gone()


def by_the_relay(lab):
    """xdp = off: what comes by the realm's interfaces is the userspace relay's, which counts it as
    XDP does and answers nothing; the guard lets it have all of that and counts none of it"""
    off = {"xdp": "off"}
    lab.node("conntrack", "-F")
    restart(lab, inside={**BOTH, **off}, outside=off)
    check("elements" not in table(lab).split("set judged")[1].split("}")[0], table(lab))
    c = call(lab).up().talk().heard(25)
    # Ports are leased at random.
    free = (INSIDE, 10800 if c.relay_a[1] != 10800 else 10802)
    for to, reason in ((free, "unleased"), (c.relay_a, "wrong_source")):
        with netns.udp(lab.caller.name, "10.91.1.66") as sock:
            sock.connect(to)
            sock.settimeout(0.3)
            # Where somebody said that nobody is there, the next send would fail.
            dropped(lab, {reason: 20}, lambda s=sock: [s.send(b"\x80" * 172) for _ in range(20)])
    dropped(lab, {"unserved": 1}, lambda: equal(answered(lab, free), False, "answered"))
    c.heard(10).quiet().whole()
    equal([e for e in tracked(lab) if is_relay(e)], [], "tracked relay ports")
    c.hang_up().gone()
    restart(lab, inside=BOTH)


def survives(lab):
    """it outlives the daemon as media does, killed or stopped, and a start replaces it"""
    text = table(lab)
    c = call(lab).up().talk().heard(10)
    for signo in (signal.SIGKILL, signal.SIGTERM):
        lab.stop(signo)
        equal(table(lab), text, "table without a daemon")
        equal(answered(lab, (INSIDE, 10600)), False, "answered")
        c.heard(20)
        lab.start()
        equal(table(lab), text, "table of the next daemon")
    c.heard(10).quiet().whole()
    lab.clear()
    restart_empty(lab)


def restart_empty(lab):
    """Without the flows that were adopted."""
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    lab.start(config(lab, inside=BOTH))


def other_ports(lab):
    """a start with other relay ports guards those, and counts on"""
    answered(lab, (INSIDE, 10600))
    before = lab.drops()["unserved"]
    check(before > 0, "counted")
    restart(lab, inside={"ports": "12000-12099"}, outside={"ports": "12000-12099"})
    equal(lab.drops()["unserved"], before, "unserved")
    check("10999" not in table(lab) and INSIDE6 not in table(lab), table(lab))
    equal([answered(lab, (INSIDE, p)) for p in (10600, 12000, 12099, 12100)],
          [True, False, False, True], "answered")
    equal(lab.drops()["unserved"], before + 2, "unserved")
    restart(lab, inside=BOTH)


def reloaded(lab):
    """guard = off takes it away at a reload, guard = on brings it back; media does not notice"""
    text = table(lab)
    c = call(lab).up().talk().heard(10)
    for guard in ("off", "on", "auto"):
        reload(lab, {"guard": guard}, inside=BOTH)
        equal(name(lab.bpffs) in tables(lab), guard != "off", f"table with guard = {guard}")
        equal(lab.ctl("show", "status")["guard"], "off" if guard == "off" else "on", "guard")
        equal(answered(lab, (INSIDE, 10600)), guard == "off", "answered")
        c.heard(5)
    equal(table(lab), text, "table")
    c.quiet().whole()
    c.hang_up().gone()


def flushed(lab):
    """`nft flush ruleset` of somebody else's start: the table is back, and its count"""
    answered(lab, (INSIDE, 10600))
    before, text = lab.drops()["unserved"], table(lab)
    lab.node("nft", "flush", "ruleset")
    lab.node("nft", "-f", "-", input=FOREIGN)
    wait_for(lambda: name(lab.bpffs) in tables(lab), 10, "the table is back")
    equal(table(lab), text, "table")
    dropped(lab, {"unserved": 1}, lambda: answered(lab, (INSIDE, 10600)))
    equal(lab.drops()["unserved"], before + 1, "unserved")


def pitfall_72_others_untouched(lab):
    """start, reload, stop and -D leave every other table byte for byte as it was"""
    before = foreign(lab)
    reload(lab, {"guard": "off"}, inside=BOTH)
    reload(lab, inside=BOTH)
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    for _ in range(2):      # -D is idempotent
        equal(lab.run("-c", lab.conf, "-D").returncode, 0, "exit status of -D")
        equal(tables(lab), ["inet firewall", "ip nat"], "tables")
        equal(foreign(lab), before, "the others' tables")
    lab.start()
    equal(foreign(lab), before, "the others' tables")


def beside_another(lab):
    """two configurations on one host have a table each; -D of one leaves the other's"""
    text, folder = table(lab), lab.bpffs + "-second"
    conf = f"{lab.dir}/second.conf"
    with open(conf, "w") as out:
        out.write(SECOND.format(bpffs=folder, control=f"{lab.dir}/second.sock"))
    second = Second(lab, conf)
    wait_for(lambda: name(folder) in tables(lab), 15, lambda: f"a second table: {tables(lab)}")
    equal(table(lab), text, "the first one's")
    second.end()
    equal(lab.run("-c", conf, "-D").returncode, 0, "exit status of -D")
    equal(name(folder) in tables(lab), False, "the second one's table")
    equal(table(lab), text, "the first one's")


def owner_of(lab, commands):
    """A process that owns the table, which these commands of one batch make, until it ends."""
    owner = lab.node.popen("nft", "-i", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                           universal_newlines=True)
    lab.started.append(owner)
    owner.stdin.write(commands + "\n")
    owner.stdin.flush()
    return owner


def end(owner):
    owner.stdin.close()
    equal(owner.wait(5), 0, "exit status of the owner")


def kept_away_for_a_while(lab):
    """the table is taken, and cannot be made again until who owns it ends: then it is there,
    without a word of anybody"""
    text, table_name = table(lab), name(lab.bpffs)
    owner = owner_of(lab, f"delete table {table_name}; add table {table_name} {{ flags owner; }}")
    wait_for(lambda: lab.ctl("show", "status")["guard"] == "absent", 10, "the table is missed")
    equal(lab.log().count("cannot be made again"), 1, "said")
    end(owner)
    wait_for(lambda: lab.ctl("show", "status")["guard"] == "on", 10, "the table is back")
    equal(table(lab), text, "table")
    equal(lab.log().count("cannot be made again"), 1, "said")


class Second:
    """Another daemon in the same node."""

    def __init__(self, lab, conf):
        self.process = lab.node.popen(binary("rtpfwd"), "-c", conf, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lab.started.append(self.process)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        equal(self.process.wait(15), 0, "exit status of the second")


def not_permitted(lab):
    """where the table cannot be made, guard = on is an error at start and at reload, auto a
    warning that the status shows, and a later reload makes it good"""
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    owner = owner_of(lab, f"add table {name(lab.bpffs)} {{ flags owner; }}")
    wait_for(lambda: name(lab.bpffs) in tables(lab), 5, "the owned table")
    lab.write(config(lab, {"guard": "on"}, inside=BOTH))
    done = lab.run("-c", lab.conf)
    equal(done.returncode, 3, "exit status with guard = on")
    check("guard = on: nftables table" in done.stderr and "owns it" in done.stderr, done.stderr)
    lab.start(config(lab, inside=BOTH))
    equal(lab.ctl("show", "status")["guard"], "absent", "guard")
    finding = next(f for f in lab.ctl("doctor") if f["check"] == "guard")
    check(not finding["ok"] and "owns it" in finding["found"], finding)
    check("guard = auto: nftables table" in lab.log(), "a warning")
    lab.write(config(lab, {"guard": "on"}, inside=BOTH))
    refused = lab.ctl_run("reload")
    equal(refused.returncode, 1, "exit status of the reload")
    check("owns it" in refused.stderr, refused.stderr)
    end(owner)
    lab.ctl("reload")
    equal(lab.ctl("show", "status")["guard"], "on", "guard")
    equal(answered(lab, (INSIDE, 10600)), False, "answered")
    reload(lab, inside=BOTH)


TESTS = [shown, untracked, tracked_without, unserved, sockets_served, nothing_twice, by_the_relay,
         survives, other_ports, reloaded, flushed, pitfall_72_others_untouched, beside_another,
         kept_away_for_a_while, not_permitted]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
