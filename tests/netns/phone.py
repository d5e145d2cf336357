# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted SIP peer over UDP: sends what it is told to, and hears exactly what it expects."""
import time

import netns
import sip
from sip import Msg, token
from tap import SLOW, Failed, check, equal

REASONS = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 404: "Not Found",
           480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
           486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
           491: "Request Pending", 500: "Server Internal Error", 503: "Service Unavailable",
           603: "Decline"}


class Phone:
    transport, params = "UDP", ""       # of Via, and of the URI in Contact

    def __init__(self, ns, ip, node, port=5060, user="phone"):
        self.ip, self.port, self.node, self.user, self.ns = ip, port, node, user, ns
        self.sock = netns.udp(ns, ip, port)
        self.backlog = []       # heard, and not yet expected by anybody
        self.seen = set()
        self.trace = []         # (time, ">" or "<", message, peer address)
        self.repeats = 0        # retransmissions heard

    def close(self):
        self.sock.close()

    def send(self, msg, to=None):
        self.trace.append((time.monotonic(), ">", msg, to or self.node))
        self.sock.sendto(msg.bytes(), to or self.node)
        return msg

    def send_raw(self, data, to=None):
        self.sock.sendto(data, to or self.node)

    def _hear(self, timeout):
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data, source = self.sock.recvfrom(65535)
        except (TimeoutError, ConnectionRefusedError):
            return False
        if len(data.strip(b"\r\n\0")) == 0:
            return True
        msg = Msg.parse(data)
        msg.source = source = source[:2]
        msg.repeat = msg.key in self.seen
        self.repeats += msg.repeat
        self.seen.add(msg.key)
        self.trace.append((time.monotonic(), "<", msg, source))
        self.backlog.append(msg)
        return True

    def find(self, what, call_id=None, repeats=False):
        """Takes the first fitting message out of the backlog. `what`: a method, a code, "2xx"."""
        for msg in self.backlog:
            if call_id and msg.call_id != call_id:
                continue
            if (msg.repeat and not repeats) or not fits(msg, what):
                continue
            self.backlog.remove(msg)
            return msg
        return None

    def expect(self, what, timeout=3.0, call_id=None, repeats=False, where=None):
        """The next message that fits; a retransmission only with `repeats`."""
        deadline = time.monotonic() + timeout * SLOW
        while True:
            msg = self.find(what, call_id, repeats)
            if msg and (where is None or where(msg)):
                return msg
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failed(f"{self.user}@{self.ip}: no {what} within {timeout} s; "
                             f"unclaimed: {[str(m) for m in self.backlog if not m.repeat]}")
            self._hear(left)

    def pump(self, seconds=0.0):
        """Hears what is there, and what comes within so many seconds."""
        deadline = time.monotonic() + seconds
        while self._hear(deadline - time.monotonic()) or time.monotonic() < deadline:
            pass

    def none(self, what, call_id=None, seconds=0.0, repeats=False):
        """Nothing of that kind came (up to now and for so many seconds more)."""
        self.pump(seconds)
        msg = self.find(what, call_id, repeats)
        check(msg is None, f"{self.user}@{self.ip}: heard {msg}")

    def call(self, number, sdp, headers=(), node=None, via=None, user=None, branch=None):
        dialog = Dialog(self, f"sip:{number}@{sip.host(self.node[0])}", node=node, user=user)
        dialog.invite = dialog.request("INVITE", sdp, headers=headers, via=via, branch=branch)
        return dialog

    def incoming(self, number=None, timeout=3.0):
        """Waits for an INVITE that begins a dialog (for `number`, in the request URI)."""
        def new(msg):
            return msg.tag("to") is None and \
                (number is None or msg.uri.startswith(f"sip:{number}@"))
        deadline = time.monotonic() + timeout * SLOW
        while True:
            for msg in self.backlog:
                if msg.method == "INVITE" and not msg.repeat and new(msg):
                    self.backlog.remove(msg)
                    return Dialog.of_invite(self, msg)
            if time.monotonic() > deadline:
                raise Failed(f"{self.user}@{self.ip}: no INVITE for {number} within {timeout} s; "
                             f"unclaimed: {[str(m) for m in self.backlog]}")
            self._hear(deadline - time.monotonic())

    def ask(self, method, uri=None, headers=(), to_tag=None, call_id=None, cseq=1):
        """A request outside any dialog; returns it (see expect() for the answer)."""
        dialog = Dialog(self, uri or f"sip:{self.node[0]}")
        dialog.remote_tag = to_tag
        dialog.call_id = call_id or dialog.call_id
        return dialog.request(method, headers=headers, cseq=cseq)

    def text(self):
        return "\n".join(f"{t:.3f} {self.user} {d} {m} ({p[0]}:{p[1]})"
                         for t, d, m, p in self.trace)


def fits(msg, what):
    if isinstance(what, int):
        return msg.code == what
    if what == "final":
        return msg.code is not None and msg.code >= 200
    if what[1:] == "xx":
        return msg.code is not None and msg.code // 100 == int(what[0])
    return msg.method == what


class Dialog:
    """This phone's half of a dialog; also before it is one."""

    def __init__(self, phone, remote_uri, node=None, user=None):
        self.phone = phone
        self.node = node or phone.node
        self.call_id = f"{token(16)}@{phone.ip}"
        self.local_uri = f"sip:{user or phone.user}@{sip.host(phone.ip)}"
        self.remote_uri = self.target = remote_uri
        self.local_tag, self.remote_tag = token(), None
        self.cseq = 0
        self.invite = None      # the INVITE under way or the last one, ours or theirs
        self.routes = []

    @classmethod
    def of_invite(cls, phone, msg):
        dialog = cls(phone, msg.address("from"))
        dialog.call_id, dialog.remote_tag = msg.call_id, msg.tag("from")
        dialog.local_uri, dialog.target = msg.address("to"), msg.address("contact")
        dialog.invite = msg
        dialog.node = msg.source
        dialog.routes = sip.routes(msg)
        return dialog

    @property
    def contact(self):
        return f"<sip:{self.phone.user}@{sip.host(self.phone.ip)}:{self.phone.port}" \
            f"{self.phone.params}>"

    def request(self, method, sdp=None, headers=(), cseq=None, branch=None, via=None):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        via = via or f"{sip.host(self.phone.ip)}:{self.phone.port};rport"
        to = f"<{self.remote_uri}>" + (f";tag={self.remote_tag}" if self.remote_tag else "")
        msg = Msg(method, self.target, headers=[
            ("Via", f"SIP/2.0/{self.phone.transport} {via};"
                    f"branch={branch or 'z9hG4bK' + token(12)}"),
            ("Max-Forwards", "70"), ("From", f"<{self.local_uri}>;tag={self.local_tag}"),
            ("To", to), ("Call-ID", self.call_id), ("CSeq", f"{cseq} {method}"),
            ("Contact", self.contact), ("User-Agent", "scripted")])
        msg.headers += [("Route", r) for r in self.routes]
        for name, value in headers:
            msg.set(name, value)
        if sdp:
            msg.set("Content-Type", "application/sdp")
            msg.body = sdp.encode()
        return self.phone.send(msg, self.node)

    def reply(self, req, code, sdp=None, reason=None, headers=(), send=True):
        """An answer to `req`; only built when `send` is false."""
        msg = Msg(code=code, reason=reason or REASONS.get(code, "Reason"))
        msg.headers = [("Via", v) for v in req.all("via")]
        to = req.get("to")
        if code > 100 and not req.tag("to"):
            to += f";tag={self.local_tag}"
        msg.headers += [("From", req.get("from")), ("To", to), ("Call-ID", req.call_id),
                        ("CSeq", req.get("cseq"))]
        if req.method == "INVITE" and 100 < code < 300:
            msg.headers.append(("Contact", self.contact))
            msg.headers += [("Record-Route", v) for v in req.all("record-route")]
        msg.headers += list(headers)
        if sdp:
            msg.set("Content-Type", "application/sdp")
            msg.body = sdp.encode()
        return self.phone.send(msg, req.source) if send else msg

    def expect(self, what, timeout=3.0, repeats=False):
        msg = self.phone.expect(what, timeout, self.call_id, repeats)
        if msg.code and msg.code > 100 and msg.cseq[1] == "INVITE":
            self.remote_tag = msg.tag("to") if self.remote_tag is None or msg.code >= 200 \
                else self.remote_tag
            if msg.code < 300 and msg.get("contact"):
                self.target = msg.address("contact")
            if msg.code < 300 and not self.routes:
                self.routes = sip.routes(msg)[::-1]
        if msg.method == "INVITE":
            self.invite = msg
            self.target = msg.address("contact")
        return msg

    def none(self, what, seconds=0.0, repeats=False):
        self.phone.none(what, self.call_id, seconds, repeats)

    def ack(self, answer, sdp=None, branch=None):
        """Of a refusal: the transaction's branch (RFC 3261 17.1.1.3); of a 2xx: one of its own."""
        number = answer.cseq[0]
        if answer.code < 300:
            return self.request("ACK", sdp, cseq=number, branch=branch)
        self.remote_tag, kept = answer.tag("to"), self.remote_tag
        target, self.target = self.target, self.invite.uri
        msg = self.request("ACK", cseq=number, branch=self.invite.branch,
                           via=self.invite.get("via").split(" ", 1)[1].split(";branch=")[0])
        self.remote_tag, self.target = kept if self.invite.tag("to") else None, target
        return msg

    def cancel(self):
        """CANCEL of the INVITE under way: same branch, number, tags and routes (RFC 3261 9.1)."""
        tag, self.remote_tag = self.remote_tag, self.invite.tag("to")
        routes, self.routes = self.routes, self.invite.all("route")
        target, self.target = self.target, self.invite.uri
        msg = self.request("CANCEL", cseq=self.invite.cseq[0], branch=self.invite.branch)
        self.remote_tag, self.target, self.routes = tag, target, routes
        return msg

    def reinvite(self, sdp, headers=()):
        self.invite = self.request("INVITE", sdp, headers=headers)
        return self.invite

    def offer(self, sdp):
        """A re-INVITE that must be accepted: returns the 200, acknowledged."""
        self.reinvite(sdp)
        answer = self.expect("final")
        self.ack(answer)
        equal(answer.code, 200, "answer to the re-INVITE")
        return answer

    def bye(self):
        self.request("BYE")
        equal(self.expect("final").code, 200, "answer to BYE")

    def expect_bye(self, timeout=3.0):
        msg = self.expect("BYE", timeout)
        self.reply(msg, 200)
        return msg


def audio(phone, port, **kw):
    return sip.sdp(phone.ip, port, **kw)
