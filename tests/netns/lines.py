# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of several m= lines, and of such that are no plain RTP: phones that describe each line by
itself, and datagrams of any content."""
import netns
import rtp
import sip
from lab import CALLEE, CALLER
from netns import text
from tap import Failed, check, equal, wait_for

AUDIO, VIDEO = "audio", "video"
T38 = ["a=T38FaxVersion:0", "a=T38MaxBitRate:14400", "a=T38FaxRateManagement:transferredTCF",
       "a=T38FaxUdpEC:t38UDPRedundancy"]
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
CRYPTO_B = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

# RFC 7983 7, by the first byte; the rest is not looked at.
FIRST_BYTES = {
    "STUN": b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(range(12)) + b"\x00\x06\x00\x04abcd",
    "ZRTP": b"\x10\x00\x00\x01ZRTP" + bytes(range(20)),
    "DTLS": b"\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x01\x00\x04\x01\x00\x00\x00",
    "TURN": b"\x40\x00\x00\x08" + bytes(8),
    "SRTP": b"\x80\x00\x00\x01\x00\x00\x00\xa0\xca\xfe\xf0\x0d" + bytes(range(170)),
    "SRTCP": b"\x80\xc8\x00\x06\xca\xfe\xf0\x0d" + bytes(range(34)),
    "UDPTL": b"\x00\x07\x06\xc0\x01\x80\x00\x00\xff",
    "a keepalive": b"\x00",
    "nothing": b"",
}


def audio(port, pts=(0, 8), proto="RTP/AVP", extra=()):
    return [f"m=audio {port} {proto} " + " ".join(map(str, pts)), *extra]


def video(port, proto="RTP/AVP", extra=()):
    return [f"m=video {port} {proto} 97", "a=rtpmap:97 H264/90000", *extra]


def fax(port, extra=T38):
    return [f"m=image {port} udptl t38", *(extra if port else ())]


def describe(ip, lines, version=1):
    head = ["v=0", f"o=phone 4711 {version} IN IP4 {ip}", "s=-", f"c=IN IP4 {ip}", "t=0 0"]
    return "\r\n".join(head + [x for line in lines for x in line]) + "\r\n"


def told(description):
    """[(kind, has a port)] of each line."""
    return [(kind, port != 0) for kind, port, *_ in
            (description.m(i) for i in range(len(description.media)))]


class Raw:
    """A socket that sends and hears datagrams of any content."""

    def __init__(self, lab, ip, port=None):
        ns = lab.caller if ip.startswith("10.91.1.") else lab.callee
        self.ip, self.port = ip, port or next(lab.media_ports)
        self.sock = netns.udp(ns.name, ip, self.port)
        self.sock.settimeout(3)
        lab.ends.append(self)

    def close(self):
        self.sock.close()

    def hears(self, data, sender, relay, source, what):
        """`sender` sends that to its `relay`; here the very bytes come from `source`."""
        sender.sock.sendto(data, relay)
        try:
            got = self.sock.recvfrom(4096)
        except TimeoutError:
            raise Failed(f"{what}: not heard") from None
        equal(got, (data, source), what)

    def reaches(self, other, relay):
        """Entries that were changed just now take the next change only after a grace period: sends
        until the other one hears it, and then no more."""
        def heard():
            self.sock.sendto(b"again", relay)
            try:
                return other.sock.recvfrom(4096)
            except TimeoutError:
                return False
        other.sock.settimeout(0.1)
        wait_for(heard, 5, "the first datagram")
        try:
            while True:
                other.sock.recvfrom(4096)
        except TimeoutError:
            other.sock.settimeout(3)


class Lines:
    """A call whose lines are given by each test; `a` and `b` are the dialogs."""

    def __init__(self, lab, prefix="7", a_ip=CALLER, b_ip=CALLEE):
        self.lab = lab
        self.a_phone, self.b_phone = self.phone(a_ip), self.phone(b_ip)
        self.number = lab.number(prefix)
        self.version = {"a": 0, "b": 0}

    def phone(self, ip):
        return self.lab.phone(ip)

    def ip(self, side):
        return (self.a_phone if side == "a" else self.b_phone).ip

    def sdp(self, side, lines):
        self.version[side] += 1
        return describe(self.ip(side), lines, self.version[side])

    def ring(self, lines):
        self.a = self.a_phone.call(self.number, self.sdp("a", lines))
        self.b = self.b_phone.incoming(self.number)
        self.to_b = self.b.invite.sdp
        return self

    def answer(self, lines):
        self.b.reply(self.b.invite, 200, self.sdp("b", lines))
        final = self.a.expect("final")
        self.a.ack(final)
        equal(final.code, 200, "answer to the caller")
        self.b.expect("ACK")
        self.to_a = final.sdp
        return self

    def offer(self, side, lines, answer=None, code=200, expected=None):
        """A re-INVITE of one side; the other answers with these lines, or refuses with `code`, or
        (None) is not asked. Returns the final response."""
        me, other, to = ((self.a, self.b, "b"), (self.b, self.a, "a"))[side == "b"]
        me.reinvite(self.sdp(side, lines))
        if answer is not None or code != 200:
            msg = other.expect("INVITE")
            if code == 200:
                setattr(self, f"to_{to}", msg.sdp)
            other.reply(msg, code, self.sdp(to, answer) if code == 200 else None)
            other.expect("ACK")
        final = me.expect("final")
        me.ack(final)
        equal(final.code, expected or code, "answer to the re-INVITE")
        if final.code == 200:
            setattr(self, f"to_{side}", final.sdp)
        return final

    def show(self):
        found = [c for c in self.lab.calls() if c["a"]["call_id"] == self.a.call_id]
        equal(len(found), 1, "calls shown with the caller's Call-ID")
        return found[0]

    def flows(self, relays):
        """Those at these addresses and the ports above them, in order."""
        at = {text((r[0], r[1] + i)) for r in relays for i in (0, 1)}
        return [f for f in self.lab.flows() if f["local"] in at]

    def hang_up(self):
        self.a.request("BYE")
        self.b.expect_bye()
        equal(self.a.expect("final").code, 200, "answer to BYE")
        self.gone()

    def gone(self):
        wait_for(lambda: not self.lab.flows() and not self.lab.calls(), 3, "call and flows gone")
        equal(used(self.lab), {"inside": 0, "outside": 0}, "ports used after the end")


def used(lab):
    return {r["name"]: r["ports_used"] for r in lab.ctl("show", "status")["realms"]}


def rtp_ends(lab, pt):
    return lab.end(CALLER, pt=pt), lab.end(CALLEE, pt=pt)


def whole(x, y, relay_x, relay_y, what):
    """What both ends have sent came, whole, from the relay."""
    rtp.settle(x, y)
    rtp.expect_whole(x, y, relay_y, what=f"{what} a to b")
    rtp.expect_whole(y, x, relay_x, what=f"{what} b to a")


__all__ = ["AUDIO", "CRYPTO", "CRYPTO_B", "FIRST_BYTES", "T38", "VIDEO", "Lines", "Raw", "audio",
           "check", "describe", "fax", "rtp_ends", "sip", "told", "used", "video", "whole"]
