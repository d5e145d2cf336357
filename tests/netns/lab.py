# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: caller and callee networks around a node that stands on both, and the daemon in it.

    caller 10.91.1.10.. --- in0 10.91.1.1 [node] 10.91.2.1 out0 --- 10.91.2.20.. callee
           10.91.3.2 eth1 ------------------- [router] ------------------- eth1 10.91.4.2

With `router`, phones of the two networks reach one another by it, and not through the node.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import netns
import rtp
from netns import Namespace, sh
from phone import Phone
from tap import SLOW, Failed, check, diag, equal, wait_for

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BPFFS = "/sys/fs/bpf"
INSIDE, OUTSIDE = "10.91.1.1", "10.91.2.1"
CALLER, CALLEE = "10.91.1.10", "10.91.2.20"
INSIDE6, OUTSIDE6 = "2001:db8:91:1::1", "2001:db8:91:2::1"
CALLER6, CALLEE6 = "2001:db8:91:1::10", "2001:db8:91:2::20"
PREFIX = "rfl"
SANITIZER = re.compile(r"ERROR: (Address|Leak|Undefined)\w*Sanitizer|runtime error:|"
                       r"SUMMARY: \w+Sanitizer")

RUNG = os.environ.get("RUNG", "")
RUNGS = {"": "auto", "native": "native", "generic": "generic", "user": "off", "kmod": "auto"}
MODES = {"": "native", "native": "native", "generic": "generic", "user": "off", "kmod": "native"}
GENERAL = {"lease": "300", "metrics": "127.0.0.1:9768", "state": "off", "cdr": "off"}
PEERS = """
[alice]
type = peer
realm = inside
host = 10.91.1.10
canreinvite = yes
[anna]
type = peer
realm = inside
host = 10.91.1.11
canreinvite = no
[bob]
type = peer
realm = outside
host = 10.91.2.20
canreinvite = yes
[ben]
type = peer
realm = outside
host = 10.91.2.21
canreinvite = no
[bea]
type = peer
realm = outside
host = 10.91.2.22
canreinvite = yes
disallow = all
allow = alaw
[to-bob]
type = route
from = inside
match = _7X.
to = bob
[to-ben]
type = route
from = inside
match = _8X.
to = ben
[to-anna-near]
type = route
from = inside
match = _2X.
to = anna
[to-bea]
type = route
from = inside
match = _5X.
to = bea
[impatient]
type = route
from = inside
match = _3X.
to = bob
timeout = 2
[prefixed]
type = route
from = inside
match = _0X.
to = bob
strip = 2
prepend = 77
[to-alice]
type = route
from = outside
match = _6X.
to = alice
[to-anna]
type = route
from = outside
match = _4X.
to = anna
"""


def config(lab, general=(), inside=(), outside=(), peers=PEERS):
    """The standard configuration; dictionaries add to its sections or override them. The variable
    RUNG says which rung forwards where the test does not: native, generic or user; kmod: the best,
    and rtpfwd.ko must be found."""
    general = {"bpffs": lab.bpffs, "control": lab.control, **GENERAL, **dict(general)}
    realms = (("inside", "in0", INSIDE, inside), ("outside", "out0", OUTSIDE, outside))
    lab.own_rung = not any("xdp" in more for *_, more in realms)
    text = "[general]\n" + "".join(f"{k} = {v}\n" for k, v in general.items())
    for name, dev, ip, more in realms:
        keys = {"type": "realm", "interface": dev, "bind": f"udp:{ip}:5060", "media": ip,
                "ports": "10000-10999", "xdp": RUNGS[RUNG], **dict(more)}
        text += f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v)
    return text + peers


def is_inside(ip):
    return ip.startswith(("10.91.1.", "2001:db8:91:1:"))


def binary(name, sanitized=True):
    build = os.environ.get("BUILD", os.path.join(TOP, "build"))
    path = os.path.join(build, "san" if sanitized else "", name)
    if not os.path.exists(path):
        raise Failed(f"{os.path.relpath(path, TOP)} is missing: run make first")
    return path


def mount_bpffs():
    """As any host has it; what the daemon pins must outlive the daemon."""
    if "bpf" not in sh("stat", "-fc", "%T", BPFFS, check=False).stdout:
        sh("mount", "-t", "bpf", "bpf", BPFFS)


def ours(prefix=PREFIX):
    """What labs of this prefix have left on this machine: namespaces and pins."""
    found = [n for n in sh("ip", "netns", "list").stdout.split() if n.startswith(prefix)]
    if os.path.isdir(BPFFS):
        found += [os.path.join(BPFFS, n) for n in os.listdir(BPFFS) if n.startswith(prefix)]
    return found


class Lab:
    """A context manager: everything it made is gone behind it, whatever happened inside."""

    def __init__(self, napi=True, sanitized=True, addresses=3, name=None, router=False):
        self.name = name or f"{PREFIX}{os.getpid()}"
        self.napi, self.sanitized, self.addresses = napi, sanitized, addresses
        self.bpffs = f"{BPFFS}/{self.name}"
        self.dir = tempfile.mkdtemp(prefix=self.name + "-")
        self.control = f"{self.dir}/ctl.sock"
        self.conf = f"{self.dir}/rtpfwd.conf"
        self.log_path = f"{self.dir}/rtpfwd.log"
        self.daemon = None
        self.own_rung = False   # a test has said no `xdp` of its own
        self.started = []       # processes to end
        self.phones, self.ends, self.namespaces = [], [], []
        self.engine = None
        self.with_router = router
        self.numbers = iter(range(1000, 100000))
        self.media_ports = iter(range(20000, 60000, 4))

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def build(self):
        mount_bpffs()
        open(self.log_path, "w").close()
        for role in ("caller", "node", "callee"):
            setattr(self, role, Namespace(f"{self.name}-{role}"))
            self.namespaces.append(getattr(self, role))
        netns.link(self.caller, "eth0", "02:91:01:00:00:10", self.node, "in0", "02:91:01:00:00:01")
        netns.link(self.callee, "eth0", "02:91:02:00:00:20", self.node, "out0", "02:91:02:00:00:01")
        # Before any link goes up: native redirect into a veth needs NAPI at its peer.
        for ns, dev in self.polled():
            ns("ethtool", "-K", dev, "gro", "on" if self.napi else "off")
        self.node("sysctl", "-qw", "net.ipv4.ip_forward=0")
        for ns, dev, net, first in ((self.caller, "eth0", "10.91.1", 10),
                                    (self.callee, "eth0", "10.91.2", 20)):
            for i in range(self.addresses):
                ns("ip", "addr", "add", f"{net}.{first + i}/24", "dev", dev)
            ns("ip", "addr", "add", f"{net}.66/24", "dev", dev)     # whom nobody knows
            ns("ip", "link", "set", dev, "up")
            ns("ip", "route", "add", "default", "via", f"{net}.1")
        for dev, ip in (("in0", INSIDE), ("out0", OUTSIDE)):
            self.node("ip", "addr", "add", f"{ip}/24", "dev", dev)
            self.node("ip", "link", "set", dev, "up")
        self.build_ipv6()
        if self.with_router:
            self.build_router()
        self.engine = rtp.Engine()

    def polled(self):
        return (self.caller, "eth0"), (self.callee, "eth0")

    def build_ipv6(self):
        """The same addresses once more; nobody waits for duplicate address detection."""
        for ns, dev, ip in ((self.caller, "eth0", CALLER6), (self.callee, "eth0", CALLEE6),
                            (self.node, "in0", INSIDE6), (self.node, "out0", OUTSIDE6)):
            ns("ip", "addr", "add", f"{ip}/64", "dev", dev, "nodad")
            if dev == "eth0":
                ns("ip", "route", "add", "default", "via", INSIDE6 if ip == CALLER6 else OUTSIDE6)

    def build_router(self):
        self.router = Namespace(f"{self.name}-router")
        self.namespaces.append(self.router)
        self.router("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for ns, ip, net, away, n in ((self.caller, CALLER, "10.91.3", "10.91.2", 3),
                                     (self.callee, CALLEE, "10.91.4", "10.91.1", 4)):
            netns.link(ns, "eth1", f"02:91:0{n}:00:00:02",
                       self.router, f"r{n}", f"02:91:0{n}:00:00:01")
            ns("ip", "addr", "add", f"{net}.2/24", "dev", "eth1")
            self.router("ip", "addr", "add", f"{net}.1/24", "dev", f"r{n}")
            ns("ip", "link", "set", "eth1", "up")
            self.router("ip", "link", "set", f"r{n}", "up")
            # A phone that binds to no address says the one that it has at home.
            ns("ip", "route", "add", f"{away}.0/24", "via", f"{net}.1", "src", ip)
            home = ip.rpartition(".")[0]
            self.router("ip", "route", "add", f"{home}.0/24", "via", f"{net}.2")

    def close(self):
        for end in self.ends:
            end.close()
        for phone in self.phones:
            phone.close()
        if self.engine:
            self.engine.stop()
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for ns in self.namespaces:
            for pid in ns.pids():
                with contextlib.suppress(ProcessLookupError):   # it has ended meanwhile
                    os.kill(pid, signal.SIGKILL)
            ns.delete()
        if os.path.isdir(self.bpffs):
            shutil.rmtree(self.bpffs, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.ends, self.phones, self.namespaces, self.started = [], [], [], []

    # The daemon

    def write(self, text):
        with open(self.conf, "w") as out:
            out.write(text)

    def run(self, *argv, timeout=20):
        """The daemon's binary with these arguments, to its end."""
        return self.node(binary("rtpfwd", self.sanitized), *argv, check=False, timeout=timeout)

    def start(self, text=None, ready=True, args=(), env=None):
        """`env`: variables beside those of this process."""
        if text is not None:
            self.write(text)
        equal(self.daemon, None, "daemon running")
        with open(self.log_path, "a") as log:
            self.daemon = self.node.popen(binary("rtpfwd", self.sanitized), "-c", self.conf, *args,
                                          stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                          env={**os.environ, **(env or {})})
        self.started.append(self.daemon)
        if ready:
            wait_for(self.answers, 15, lambda: "the daemon answers; log:\n" + self.log()[-3000:])
            self.on_its_rung()
        return self.daemon

    def on_its_rung(self):
        """What runs on a rung by RUNG (by `auto`: native, the ends poll) is on it, and no other."""
        if not self.own_rung or not self.napi:
            return
        status = self.ctl("show", "status")
        if RUNG == "kmod":
            equal(status["kmod"], "loaded", "rtpfwd.ko")
        for realm in status["realms"]:
            for i in realm["interfaces"]:
                equal(i["xdp"], MODES[RUNG], f"rung of {i['name']} ({i['reason']})")

    def answers(self):
        if self.daemon.poll() is not None:
            raise Failed(f"daemon ended with {self.daemon.returncode}:\n{self.log()[-3000:]}")
        return os.path.exists(self.control) and \
            self.ctl_run("show", "status", json_out=True).returncode == 0

    def stop(self, signo=signal.SIGTERM, timeout=15):
        """Ends the daemon and returns its exit status."""
        daemon, self.daemon = self.daemon, None
        daemon.send_signal(signo)
        code = daemon.wait(timeout * SLOW)
        self.sane()
        return code

    def sane(self):
        found = SANITIZER.search(self.log())
        check(not found, "sanitizer report in the daemon's log:\n" +
              self.log()[max(0, (found.start() if found else 0) - 200):][:6000])

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def cpu_seconds(self):
        with open(f"/proc/{self.daemon.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kb(self):
        with open(f"/proc/{self.daemon.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    # What it says

    def ctl_run(self, *command, json_out=False):
        argv = [binary("rtpfwd-ctl", self.sanitized), "-s", self.control]
        argv += ["-j"] if json_out else []
        return sh(*argv, *command, check=False)

    def ctl(self, *command):
        done = self.ctl_run(*command, json_out=True)
        equal(done.returncode, 0, f"rtpfwd-ctl {' '.join(command)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def calls(self):
        return self.ctl("show", "calls")

    def flows(self):
        return self.ctl("show", "flows")

    def drops(self):
        return self.ctl("show", "drops")

    def flow(self, local):
        """The flow that arrives at a relay address (ip, port); None where there is none."""
        name = netns.text(local)
        return next((f for f in self.flows() if f["local"] == name), None)

    def http(self, path):
        """(status, body) of a GET inside the node."""
        with netns.tcp(self.node.name, ("127.0.0.1", 9768)) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while True:
                part = sock.recv(65536)
                if not part:
                    break
                data += part
        head, _, body = data.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            body = unchunk(body)
        return int(head.split()[1]), body.decode()

    def metrics(self):
        """{"name{label=...}": value} as scraped."""
        status, body = self.http("/metrics")
        equal(status, 200, "GET /metrics")
        lines = [line for line in body.splitlines() if line and not line.startswith("#")]
        return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in lines)}

    # Phones and media

    def phone(self, ip, port=5060, user=None):
        inner = is_inside(ip)
        ns = self.caller if inner else self.callee
        node = (INSIDE, OUTSIDE, INSIDE6, OUTSIDE6)[(not inner) + 2 * (":" in ip)]
        user = user or "u" + re.split(r"[.:]", ip)[-1]
        phone = Phone(ns.name, ip, (node, 5060), port, user)
        self.phones.append(phone)
        return phone

    def end(self, ip, port=None, **kw):
        ns = self.caller if is_inside(ip) else self.callee
        end = rtp.RtpEnd(self.engine, ns.name, ip, port or next(self.media_ports), **kw)
        self.ends.append(end)
        return end

    def number(self, prefix="7"):
        """A number that no other call of this lab has: strays of an old call are told apart."""
        return f"{prefix}{next(self.numbers)}"

    def hang_up_all(self):
        for call in self.calls():
            self.ctl_run("call", call["id"], "hangup")

    def clear(self):
        """Closes phones and ends, so that their ports can be taken again."""
        for thing in self.ends + self.phones:
            thing.close()
        self.ends, self.phones = [], []

    def between_tests(self, failed):
        """Closes the phones of a test, ends its calls, and looks for a sanitizer's report."""
        for phone in self.phones if failed else ():
            diag(phone.text())
        if failed:
            diag("daemon: " + "\n".join(self.log().splitlines()[-40:]))
        self.clear()
        if self.daemon and self.daemon.poll() is not None:
            code, self.daemon = self.daemon.returncode, None
            self.start()
            raise Failed(f"the daemon ended with {code}")
        if self.daemon:
            self.hang_up_all()
            wait_for(lambda: not self.calls(), 10, "calls gone after hangup")
        self.sane()

    def detached(self):
        """`rtpfwd -D` leaves no pin and no XDP program."""
        done = self.run("-c", self.conf, "-D")
        equal(done.returncode, 0, f"rtpfwd -D: {done.stderr}")
        equal(pins(self.bpffs), [], "pins after -D")
        for dev in ("in0", "out0"):
            text = self.node("ip", "-d", "link", "show", "dev", dev).stdout
            check("prog/xdp" not in text, f"XDP program left on {dev}: {text}")


@contextlib.contextmanager
def running(text=config, args=(), **kw):
    """A lab (`kw`: as Lab's) whose daemon runs as `text(lab)` says; ended and detached behind."""
    with Lab(**kw) as lab:
        lab.start(text(lab), args=args)
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def unchunk(body):
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        n = int(size.split(b";")[0], 16)
        if not n:
            break
        out, body = out + body[:n], body[n + 2:]
    return out


def pins(folder):
    return sorted(os.path.join(d, f) for d, _, files in os.walk(folder) for f in files)


def nothing_left():
    """no namespace, pin or process of this lab is left"""
    equal(ours(f"{PREFIX}{os.getpid()}"), [], "left behind")
    mine = f"{PREFIX}{os.getpid()}-"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                argv = cmdline.read().decode("utf-8", "replace")
        except OSError:
            continue
        check(mine not in argv, f"process {pid} left: {argv!r}")


def port_free(ns, ip, port):
    """Nothing in the namespace holds this UDP port."""
    try:
        netns.udp(ns, ip, port).close()
        return True
    except OSError:
        return False
