# SPDX-License-Identifier: GPL-2.0-or-later
"""Relays of media under test, each in a lab of its own with its calls set up: what forwards RTP
between 10.91.1.10 and 10.91.2.20, and SRTP of the former to RTP of the latter and back."""
import base64
import os
import re
import shutil
import socket
import subprocess

import netns
import nodes
from lab import CALLEE, CALLER, INSIDE, OUTSIDE, TOP, Lab, config
from sipp import FOLDER, Sipp
from tap import Failed, wait_for

FIRST = 20000       # port of the first call where the relay has the choice; of the next one: + 2
SETUP_RATE = 500    # calls a second
NG = ("127.0.0.1", 2223)
CORE = 0            # where relays run; the generator has the other one
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY = bytes(range(30))  # of all callers
CRYPTO = f"a=crypto:1 {SUITE} inline:{base64.b64encode(KEY).decode()}"
ANSWERED = re.compile(rf"m=audio (\d+) RTP/SAVP [^\0]*?a=crypto:1 {SUITE} inline:(\S+)")
ENCRYPTED = """
encryption = sdes
encryption_over = any
"""
NAT = f"""
table ip media {{
    chain pre {{
        type nat hook prerouting priority dstnat
        iifname in0 udp dport {FIRST}-65535 dnat to {CALLEE}
        iifname out0 udp dport {FIRST}-65535 dnat to {CALLER}
    }}
    chain post {{
        type nat hook postrouting priority srcnat
        oifname out0 udp dport {FIRST}-65535 snat to {OUTSIDE}
        oifname in0 udp dport {FIRST}-65535 snat to {INSIDE}
    }}
}}
"""


class MediaLab(Lab):
    """Every interface polls, so that each takes the frames that are redirected into it."""

    def polled(self):
        return super().polled() + ((self.node, "in0"), (self.node, "out0"))


def both_ways(inner, outer, caller, callee):
    """The two flows of a call as lines of media_bench: relay and phone ports of either side."""
    return [f"0 {CALLER} {caller} {INSIDE} {inner} {OUTSIDE} {outer} {CALLEE} {callee}",
            f"1 {CALLEE} {callee} {OUTSIDE} {outer} {INSIDE} {inner} {CALLER} {caller}"]


def secret(lines, keys):
    """The same lines, behind each the key that the caller sends under, or hears under: that of the
    relay's port that it leaves from."""
    return [f"{line} {(KEY if line[0] == '0' else keys[int(line.split()[6])]).hex()}"
            for line in lines]


def keys_of(text):
    """{relay's port: key} of the descriptions in a text."""
    return {int(port): base64.b64decode(key) for port, key in ANSWERED.findall(text)}


class Relay:
    sink = "tc"
    encrypted = False

    def __init__(self, name, calls):
        self.name, self.calls = name, calls
        self.lab = MediaLab(sanitized=False, name=f"rtpfwd-media{os.getpid()}-{name}", addresses=1)

    def open(self):
        self.lab.__enter__()

    def close(self):
        self.lab.close()

    def start(self):
        """Sets the calls up and returns the lines of their flows."""
        return [line for i in range(self.calls) for line in both_ways(*[FIRST + 2 * i] * 4)]

    def end(self):
        """Before its lab goes."""

    def pin(self):
        """To its core, before all others there."""
        for pid in self.lab.node.pids():
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), {CORE})
                os.setpriority(os.PRIO_PROCESS, int(task), -20)

    def cpu_ns(self):
        """Of all that runs in the relay's namespace."""
        total = 0
        for pid in self.lab.node.pids():
            for task in os.listdir(f"/proc/{pid}/task"):
                total += ran(task)
        return total

    def spawn(self, *argv):
        process = self.lab.node.popen(*argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, universal_newlines=True)
        self.lab.started.append(process)
        return process


def ran(task):
    """ns that a thread has run."""
    with open(f"/proc/{task}/schedstat") as stat:
        return int(stat.read().split()[0])


class Bare(Relay):
    """XDP that only redirects: the limit."""
    sink = "bare"

    def start(self):
        """Packets arrive as they were sent."""
        return [" ".join((line.split(" ", 5)[:5] + line.split(" ")[1:5]))
                for line in super().start()]


class Rtpfwd(Relay):
    """The daemon, its calls set up by SIP."""

    def __init__(self, name, calls, xdp):
        super().__init__(name, calls)
        self.xdp = xdp
        self.sink = "xdp" if xdp == "native" else "tc"

    peers = nodes.CLIENTS

    def start(self):
        ports = {"ports": f"10000-{min(59999, 10000 + max(9999, 3 * self.calls))}",
                 "xdp": self.xdp}
        self.lab.start(config(self.lab, general={"max_calls": "1000000", "rtptimeout": "0",
                                                 "rtpholdtimeout": "0"},
                              inside=ports, outside=ports, peers=self.peers))
        self.call()
        return self.flows()

    def up(self):
        return int(self.lab.metrics().get('rtpfwd_calls{state="up"}', 0))

    def call(self):
        """SIPp, where it gets no time, gives some up: they are placed again."""
        for _ in range(5):
            if self.up() < self.calls:
                self.place(self.calls - self.up())

    def place(self, count):
        """Callers and callees are killed, not ended: the calls stay."""
        timeout, began = 60 + 4 * count // SETUP_RATE, self.up()
        server = Sipp(self.lab, self.lab.callee, "uas", CALLEE, count,
                      timeout=10 * timeout).listening()
        client = Sipp(self.lab, self.lab.caller, "uac", CALLER, count, "-s", "7001", "-r",
                      SETUP_RATE, "-d", 1000000, "-l", count, *self.more_args, f"{INSIDE}:5060",
                      timeout=10 * timeout, xml=self.scenario())
        wait_for(lambda: self.up() - began + client.count("FailedCall(C)") >= count, timeout,
                 f"{count} calls are up")
        client.kill()
        server.kill()

    def flows(self):
        lines = []
        for flow in self.lab.flows():
            if flow["kind"] == "rtp":
                side = 0 if flow["local"].startswith(INSIDE) else 1
                ends = (flow[end].replace(":", " ") for end in ("expect", "local", "from", "to"))
                lines.append(" ".join((str(side), *ends)))
        if len(lines) != 2 * self.calls:
            raise Failed(f"{self.name}: {len(lines)} flows of {self.calls} calls")
        return lines

    more_args = ()

    def scenario(self):
        """Another than SIPp's part of the tests."""

    def end(self):
        if self.lab.daemon:
            self.lab.stop()
            self.lab.run("-c", self.lab.conf, "-D")


class RtpfwdSrtp(Rtpfwd):
    """Callers encrypt. The keys that they are told are in SIPp's trace."""
    encrypted = True
    peers = nodes.CLIENTS.replace(f"host = {CALLER}\n", f"host = {CALLER}{ENCRYPTED}")

    def __init__(self, name, calls):
        super().__init__(name, calls, "off")
        self.sink, self.traces = "srtp", []

    def scenario(self):
        with open(f"{FOLDER}/uac.xml") as f:
            return f.read().replace("RTP/AVP 0", f"RTP/SAVP 0\n      {CRYPTO}")

    def place(self, count):
        self.traces.append(f"{self.lab.dir}/messages-{len(self.traces)}")
        self.more_args = "-trace_msg", "-message_file", self.traces[-1]
        super().place(count)

    def flows(self):
        keys = {}
        for path in self.traces:
            with open(path, errors="replace") as f:
                keys.update(keys_of(f.read()))
        return secret(super().flows(), keys)


class Nat(Relay):
    """The kernel's own: a packet of either side makes the entry, both follow it."""

    def start(self):
        node = self.lab.node
        node("sysctl", "-qw", "net.ipv4.ip_forward=1")
        node("nft", "-f", "-", input=NAT)
        for key in ("udp_timeout", "udp_timeout_stream"):
            node("sysctl", "-qw", f"net.netfilter.nf_conntrack_{key}=3600")
        return super().start()


class Minimal(Relay):
    """recvmmsg, sendmmsg, epoll."""

    def start(self):
        process = self.spawn(f"{TOP}/build/media_relay", INSIDE, OUTSIDE, FIRST, self.calls,
                             CALLER, CALLEE)
        if process.stdout.readline() != "ready\n":
            raise Failed(f"media_relay ended with {process.wait()}")
        return super().start()


class Rtpengine(Relay):
    """Debian's daemon in userspace, its calls set up by its ng protocol."""
    socket, asked = None, 0

    def start(self):
        path = shutil.which("rtpengine", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not path:
            raise Failed("rtpengine is missing: tools/setup --bench")
        self.spawn(path, "--config-file=none", "--table=-1", "--foreground", "--log-stderr",
                   "--log-level=2", "--delete-delay=0", "--timeout=36000",
                   f"--interface=inside/{INSIDE}", f"--interface=outside/{OUTSIDE}",
                   "--listen-ng={}:{}".format(*NG), "--port-min=20000", "--port-max=60000")
        with netns.inside(self.lab.node.name):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.5)
        wait_for(self.pings, 15, "rtpengine answers")
        return [line for i in range(self.calls) for line in self.call(i)]

    def end(self):
        if self.socket:
            self.socket.close()

    def pings(self):
        try:
            return b"pong" in self.ask({"command": "ping"})
        except OSError:
            return False

    def ask(self, what):
        """A late answer to a question asked before is none to this one."""
        self.asked += 1
        cookie = b"%d " % self.asked
        self.socket.sendto(cookie + bencode(what), NG)
        while True:
            answer = self.socket.recv(65536)
            if answer.startswith(cookie):
                return answer

    def call(self, i):
        lines, _ = self.set_up(i, sdp(CALLER, FIRST + 2 * i))
        return lines

    def set_up(self, i, offer, **options):
        """Its flows, and what was answered."""
        port = FIRST + 2 * i
        names = {"call-id": f"call{i}", "from-tag": "a", "replace": ["origin"], "ICE": "remove"}
        outer = port_of(self.ask({**names, **options, "command": "offer", "sdp": offer,
                                  "direction": ["inside", "outside"]}))
        answer = self.ask({**names, "command": "answer", "to-tag": "b", "sdp": sdp(CALLEE, port)})
        return both_ways(port_of(answer), outer, port, port), answer


class RtpengineSrtp(Rtpengine):
    """The same; callers encrypt."""
    sink, encrypted = "srtp", True

    def call(self, i):
        offer = sdp(CALLER, FIRST + 2 * i).replace("RTP/AVP", "RTP/SAVP") + f"{CRYPTO}\r\n"
        lines, answer = self.set_up(i, offer, DTLS="off", **{"transport-protocol": "RTP/AVP"})
        return secret(lines, keys_of(answer.decode()))


def sdp(ip, port):
    return f"v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n" \
           f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"


def port_of(answer):
    _, found, rest = answer.partition(b"m=audio ")
    if not found:
        raise Failed(f"rtpengine: {answer[:200]}")
    return int(rest.split()[0])


def bencode(value):
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(v) for k, v in value.items()) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    data = value.encode()
    return b"%d:%s" % (len(data), data)
