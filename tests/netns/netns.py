# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces: making them, and sockets and commands inside of them."""
import ctypes
import os
import socket
import subprocess
import threading

from tap import SLOW

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def sh(*argv, check=True, timeout=20, **kw):
    """Runs a command and returns the finished process with its texts."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=timeout * SLOW, **kw)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit {done.returncode}: {done.stderr}")
    return done


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, "setns: " + os.strerror(code))


class inside:
    """`with inside(name):` the calling thread alone stands in the namespace; sockets made there
    stay there."""

    def __init__(self, name):
        self.path = f"/run/netns/{name}"

    def __enter__(self):
        self.home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)

    def __exit__(self, *_):
        try:
            _setns(self.home)
        finally:
            os.close(self.home)


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def text(address):
    """As the node shows (ip, port)."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def udp(ns, ip, port=0):
    with inside(ns):
        sock = socket.socket(family(ip), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((ip, port))
    return sock


def raw(ns):
    """A socket for whole IPv4 packets, header included."""
    with inside(ns):
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def tcp(ns, to, timeout=5):
    with inside(ns):
        sock = socket.socket(family(to[0]), socket.SOCK_STREAM)
    sock.settimeout(timeout * SLOW)
    sock.connect(to)
    return sock


class Namespace:
    def __init__(self, name):
        self.name = name
        sh("ip", "netns", "add", name)
        self("ip", "link", "set", "lo", "up")

    def argv(self, *argv):
        """nsenter, not `ip netns exec`: that one hides the host's bpffs."""
        return ["nsenter", f"--net=/run/netns/{self.name}"] + [str(a) for a in argv]

    def __call__(self, *argv, **kw):
        return sh(*self.argv(*argv), **kw)

    def popen(self, *argv, **kw):
        return subprocess.Popen(self.argv(*argv), **kw)

    def pids(self):
        out = sh("ip", "netns", "pids", self.name, check=False).stdout
        return [int(p) for p in out.split()]

    def delete(self):
        sh("ip", "netns", "del", self.name, check=False)


def link(ns_a, dev_a, mac_a, ns_b, dev_b, mac_b):
    """A veth pair with fixed MACs, and checksums that are real on the wire: XDP rewrites them."""
    sh("ip", "link", "add", dev_a, "address", mac_a, "netns", ns_a.name, "type", "veth",
       "peer", "name", dev_b, "address", mac_b, "netns", ns_b.name)
    for ns, dev in ((ns_a, dev_a), (ns_b, dev_b)):
        ns("ethtool", "-K", dev, "tx", "off", "rx", "off")
