# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbered RTP and RTCP: ends that send 50 packets a second and record what they hear."""
import random
import selectors
import struct
import threading
import time

import netns
from tap import SLOW, Failed, wait_for

MAGIC = b"RTPn"
PAYLOAD = 160       # 20 ms of G.711
RTCP_EVERY = 10     # one sender report for so many RTP packets


def rtp_packet(pt, seq, timestamp, ssrc, index, marker=False):
    head = struct.pack("!BBHII", 0x80, (0x80 if marker else 0) | pt, seq & 0xffff,
                       timestamp & 0xffffffff, ssrc)
    body = MAGIC + struct.pack("!I", index)
    return head + body + bytes((index + i) & 0xff for i in range(PAYLOAD - len(body)))


def rtcp_packet(ssrc, index):
    """A sender report without report blocks; its packet count is the number of this packet."""
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, index << 32, index * PAYLOAD, index, 0)


def event_packet(pt, seq, timestamp, ssrc, event, duration, marker, end):
    """RFC 4733 2.3: the time stamp is that of the key's being pressed."""
    return struct.pack("!BBHIIBBH", 0x80, (0x80 if marker else 0) | pt, seq & 0xffff,
                       timestamp & 0xffffffff, ssrc, event, (0x80 if end else 0) | 10, duration)


def number_of(data, rtcp):
    """(ssrc, number) of a packet made here, or None."""
    if not rtcp and len(data) == 16:
        since, ssrc, _, duration = struct.unpack("!IIHH", data[4:])
        return ssrc, (since + duration) // PAYLOAD - 1
    if rtcp:
        if len(data) == 28 and data[1] == 200:
            return struct.unpack("!I", data[4:8])[0], struct.unpack("!I", data[20:24])[0]
    elif len(data) >= 20 and data[12:16] == MAGIC:
        return struct.unpack("!I", data[8:12])[0], struct.unpack("!I", data[16:20])[0]
    return None


class Engine:
    """One thread that hears for all ends, one that sends for all."""

    def __init__(self):
        self.lock = threading.RLock()
        self.selector = selectors.DefaultSelector()
        self.senders = []
        self.running = True
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._hear, self._send)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.running = False
        for thread in self.threads:
            thread.join(timeout=2)

    def _hear(self):
        while self.running:
            # Without the lock: a test that holds it, to stop the sending, waits to have heard all.
            if not self.selector.get_map():
                time.sleep(0.01)
                continue
            for key, _ in self.selector.select(timeout=0.05):
                self._drain(key.fileobj, *key.data)

    @staticmethod
    def _drain(sock, end, rtcp):
        try:
            while True:
                data, source = sock.recvfrom(65535)
                end.heard(data, source[:2], rtcp, time.monotonic())
        except (BlockingIOError, InterruptedError, ConnectionRefusedError):
            pass
        except OSError:     # closed meanwhile
            pass

    def _send(self):
        while self.running:
            now = time.monotonic()
            with self.lock:
                due = [end for end in self.senders if end.next_at <= now]
                for end in due:
                    end.send_one()
                    end.next_at += end.gap
            time.sleep(0.002)

    def watch(self, sock, end, rtcp):
        with self.lock:
            self.selector.register(sock, selectors.EVENT_READ, (end, rtcp))

    def forget(self, sock):
        with self.lock:
            try:
                self.selector.unregister(sock)
            except (KeyError, ValueError):
                pass


class Heard:
    """One kind (RTP or RTCP) of one end: what it sent by number, what it heard in order."""

    def __init__(self):
        self.next = 0       # number of the next packet
        self.sent = {}
        self.got = []       # (ssrc, number, source, time, data); ssrc None: not of our making

    def put(self, build):
        """The next packet, kept under its number."""
        packet = self.sent[self.next] = build(self.next)
        self.next += 1
        return packet

    def forget(self):
        """Begins the comparison anew; the numbering goes on."""
        self.sent, self.got = {}, []


class RtpEnd:
    """A socket pair in a namespace. Each end has its own SSRC, sequence and numbering, which go on
    when it moves to another port."""

    def __init__(self, engine, ns, ip, port, pt=0, rtcp_port=None):
        self.engine, self.ns, self.ip, self.pt = engine, ns, ip, pt
        self.ssrc = random.getrandbits(32)
        self.seq0 = random.getrandbits(16)
        self.rtp, self.rtcp = Heard(), Heard()
        self.to = self.rtcp_to = None
        self.gap, self.next_at = 0.02, 0.0
        self.socks, self.pairs = [], {}
        self.refused = 0    # sends that this machine refused
        self.key = None     # held down: (payload type, event, number of the first packet, end)
        self.open(port, rtcp_port)

    def open(self, port, rtcp_port=None):
        """Hears at a further pair of ports; what is sent leaves by the old one until use()."""
        self.new_port = port
        self.new_tx = []
        for number, rtcp in ((port, False), (rtcp_port or port + 1, True)):
            sock = netns.udp(self.ns, self.ip, number)
            sock.setblocking(False)
            self.socks.append(sock)
            self.new_tx.append(sock)
            self.engine.watch(sock, self, rtcp)
        self.pairs[port] = self.new_tx
        if len(self.socks) == 2:
            self.use()

    def use(self, port=None):
        """From now on sends by the ports opened last, or by those."""
        with self.engine.lock:
            self.port = port or self.new_port
            self.tx = self.pairs[self.port]

    def start(self, to, rtcp_to=None, pps=50):
        with self.engine.lock:
            self.aim(to, rtcp_to)
            self.gap = 1.0 / pps
            self.next_at = time.monotonic()
            if self not in self.engine.senders:
                self.engine.senders.append(self)

    def aim(self, to, rtcp_to=None):
        with self.engine.lock:
            self.to = to
            self.rtcp_to = rtcp_to or (to[0], to[1] + 1)

    def stop(self):
        with self.engine.lock:
            if self in self.engine.senders:
                self.engine.senders.remove(self)

    def send_one(self):
        self._out(self.tx[0], self.rtp.put(self.packet), self.to)
        if self.rtp.next % RTCP_EVERY == 1:
            self._out(self.tx[1], self.rtcp.put(lambda i: rtcp_packet(self.ssrc, i)), self.rtcp_to)

    def press(self, event, pt=101):
        """Sends telephone-events instead of audio until release()."""
        with self.engine.lock:
            self.key = (pt, event, self.rtp.next, False)

    def release(self):
        """The next packet is the last of the event."""
        with self.engine.lock:
            self.key = (*self.key[:3], True)

    def packet(self, index):
        if self.key:
            pt, event, first, end = self.key
            self.key = None if end else self.key
            return event_packet(pt, self.seq0 + index, first * PAYLOAD, self.ssrc, event,
                                (index - first + 1) * PAYLOAD, index == first, end)
        return rtp_packet(self.pt, self.seq0 + index, index * PAYLOAD, self.ssrc, index,
                          marker=index == 0)

    def _out(self, sock, packet, to):
        try:
            sock.sendto(packet, to)
        except OSError:
            self.refused += 1

    def burst(self, count, to=None, rtcp_to=None):
        """Sends so many at once, to where it is aimed or to `to`."""
        with self.engine.lock:
            if to:
                self.aim(to, rtcp_to)
            for _ in range(count):
                self.send_one()

    def heard(self, data, source, rtcp, when):
        ssrc, number = number_of(data, rtcp) or (None, None)
        (self.rtcp if rtcp else self.rtp).got.append((ssrc, number, source, when, data))

    def close(self):
        self.stop()
        for sock in self.socks:
            self.engine.forget(sock)
            sock.close()
        self.socks = []


class Delivery:
    """What became of the packets of one end at another."""

    def __init__(self, sender, receiver, rtcp=False):
        sent = (sender.rtcp if rtcp else sender.rtp).sent
        got = list((receiver.rtcp if rtcp else receiver.rtp).got)
        mine = [g for g in got if g[0] == sender.ssrc]
        order = [g[1] for g in mine]
        self.sent, self.received = len(sent), len(order)
        self.lost = sorted(set(sent) - set(order))
        self.duplicated = len(order) - len(set(order))
        self.reordered = sum(1 for a, b in zip(order, order[1:]) if b < a)
        self.sources = {g[2] for g in mine}
        self.corrupt = sum(1 for g in mine if sent.get(g[1]) != g[4])
        self.strangers = len(got) - len(mine)

    def __repr__(self):
        return (f"sent {self.sent} received {self.received} lost {self.lost[:20]} "
                f"duplicated {self.duplicated} reordered {self.reordered} corrupt {self.corrupt} "
                f"strangers {self.strangers} from {sorted(self.sources)}")

    def whole(self):
        return self.sent > 0 and not (self.lost or self.duplicated or self.reordered or
                                      self.corrupt or self.strangers)


def settle(*ends, timeout=2.0):
    """Stops sending and waits until nothing more arrives that was sent."""
    for end in ends:
        end.stop()
    state = {"count": -1, "since": time.monotonic()}

    def quiet():
        count = sum(len(e.rtp.got) + len(e.rtcp.got) for e in ends)
        if count != state["count"]:
            state["count"], state["since"] = count, time.monotonic()
        return time.monotonic() - state["since"] > 0.15 * SLOW
    wait_for(quiet, timeout, "silence after the senders stopped")


def drain(sender, receiver, timeout=2.0):
    """Stops one end and waits until the other has heard all that it sent."""
    sender.stop()

    def missing():
        return Delivery(sender, receiver).lost + Delivery(sender, receiver, rtcp=True).lost
    wait_for(lambda: not missing(), timeout, lambda: f"all of it heard; lost {missing()}")


def expect_whole(sender, receiver, source=None, rtcp=True, what=""):
    """Every packet arrived once, in order, with its bytes, from `source` (address, port). The
    last ones may still be on their way: a busy machine's relay holds them for longer than any
    lull tells."""
    for kind in ((False, True) if rtcp else (False,)):
        limit = time.monotonic() + 2
        while Delivery(sender, receiver, rtcp=kind).lost and time.monotonic() < limit:
            time.sleep(0.01)
        d = Delivery(sender, receiver, rtcp=kind)
        name = f"{what} {'RTCP' if kind else 'RTP'}"
        if not d.whole():
            raise Failed(f"{name}: {d}")
        if source:
            want = {(source[0], source[1] + (1 if kind else 0))}
            if d.sources != want:
                raise Failed(f"{name}: came from {d.sources}, want {want}")
