# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted SIP peer over TCP or TLS: a Phone that listens, connects, and cuts its stream."""
import re
import select
import socket
import ssl
import time

import netns
from phone import Phone
from sip import Msg
from tap import SLOW, Failed, check, equal

LENGTH = re.compile(rb"^content-length\s*:\s*(\d+)\s*$", re.IGNORECASE | re.MULTILINE)


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def udp(ns, ip, port=0):
    with netns.inside(ns):
        sock = socket.socket(family(ip), socket.SOCK_DGRAM)
    sock.bind((ip, port))
    return sock


def dial(ns, ip, to, port=0, timeout=5):
    """A TCP connection of its own, to be closed by the caller."""
    with netns.inside(ns):
        sock = socket.socket(family(ip), socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(timeout * SLOW)
    sock.bind((ip, port))
    sock.connect(to[:2])
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_to_end(sock, timeout=5):
    """All that comes until the far end closes; it must."""
    sock.settimeout(timeout * SLOW)
    data = b""
    while True:
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return data
        except TimeoutError:
            raise Failed(f"still open after {timeout} s; heard {data!r}") from None
        if not part:
            return data
        data += part


class Tls:
    """The contexts of one end; `ca` None: the other end is believed."""

    def __init__(self, cert=None, ca=None):
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client.check_hostname = False
        for context in (self.client, self.server):
            context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
            if ca:
                context.load_verify_locations(ca)
            if cert:
                context.load_cert_chain(cert)


class StreamPhone(Phone):
    """`port` is where it listens (None: it does not); requests go over the connection with the
    node if there is one."""

    def __init__(self, lab, ns, ip, node, port=5060, user="phone", tls=None, params=True):
        self.ip, self.port, self.node, self.user, self.ns = ip, port, node, user, ns
        self.tls = tls
        self.transport = "TLS" if tls else "TCP"
        self.params = f";transport={self.transport.lower()}" if params else ""
        self.backlog, self.seen, self.trace, self.repeats = [], set(), [], 0
        self.conns, self.partial = {}, {}
        self.listener = None
        if port:
            self.listen(port)
        else:
            self.port = 5060
        lab.phones.append(self)

    def listen(self, port):
        with netns.inside(self.ns):
            self.listener = socket.socket(family(self.ip), socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.ip, port))
        self.listener.listen(64)

    def close(self):
        self.hang_up()
        if self.listener:
            self.listener.close()
            self.listener = None

    def hang_up(self):
        """Closes its connections, not its ear."""
        for sock in self.conns.values():
            sock.close()
        self.conns, self.partial = {}, {}

    def connect(self, to=None):
        to = (to or self.node)[:2]
        sock = dial(self.ns, self.ip, to)
        if self.tls:
            sock = self.tls.client.wrap_socket(sock)
        self.conns[to], self.partial[to] = sock, b""
        return sock

    def send(self, msg, to=None):
        to = (to or self.node)[:2]
        self.trace.append((time.monotonic(), ">", msg, to))
        self.send_raw(msg.bytes(), to)
        return msg

    def send_raw(self, data, to=None):
        to = (to or self.node)[:2]
        if to not in self.conns:
            self.connect(to)
        self.conns[to].sendall(data)

    def _accept(self):
        sock, peer = self.listener.accept()
        sock.settimeout(5 * SLOW)
        if self.tls:
            try:
                sock = self.tls.server.wrap_socket(sock, server_side=True)
            except (ssl.SSLError, OSError):
                sock.close()
                return
        self.conns[peer[:2]], self.partial[peer[:2]] = sock, b""

    def _read(self, peer):
        sock = self.conns[peer]
        try:
            data = sock.recv(65536)
            while self.tls and sock.pending():
                data += sock.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            data = b""
        if not data:
            sock.close()
            del self.conns[peer], self.partial[peer]
            return
        self.partial[peer] += data
        self._cut(peer)

    def _cut(self, peer):
        while True:
            data = self.partial[peer].lstrip(b"\r\n")
            head, blank, rest = data.partition(b"\r\n\r\n")
            if not blank:
                return
            found = LENGTH.search(head.replace(b"\r", b""))
            check(found, f"no Content-Length from the node: {head!r}")
            n = int(found.group(1))
            if len(rest) < n:
                return
            self.partial[peer] = rest[n:]
            self._take(Msg.parse(head + blank + rest[:n]), peer)

    def _take(self, msg, peer):
        msg.source = peer
        msg.repeat = msg.key in self.seen
        self.repeats += msg.repeat
        self.seen.add(msg.key)
        self.trace.append((time.monotonic(), "<", msg, peer))
        self.backlog.append(msg)

    def _hear(self, timeout):
        ears = {s.fileno(): p for p, s in self.conns.items()}
        if self.listener:
            ears[self.listener.fileno()] = None
        poll = select.poll()
        for fd in ears:
            poll.register(fd, select.POLLIN)
        ready = poll.poll(max(timeout, 0.001) * 1000)
        for fd, _ in ready:
            if ears[fd] is None:
                self._accept()
            else:
                self._read(ears[fd])
        return bool(ready)

    def closed(self, timeout=5):
        """Waits until the node has closed every connection."""
        deadline = time.monotonic() + timeout * SLOW
        while self.conns:
            if time.monotonic() > deadline:
                raise Failed(f"{self.user}@{self.ip}: {list(self.conns)} still open")
            self._hear(0.05)


def via_is(msg, transport, host):
    """The top Via names that transport and sent-by."""
    equal(msg.get("via").split(";")[0], f"SIP/2.0/{transport} {host}", "Via")
