# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripted phones that send and hear SRTP: libsrtp2, as the oracle of what the node does."""
import ctypes
import threading

import rtp
from tap import equal

LIB = ctypes.CDLL("libsrtp2.so.1")
LIB.srtp_init()
POLICIES = {"AES_CM_128_HMAC_SHA1_80": ("rtp_default", "rtcp_default"),
            "AES_CM_128_HMAC_SHA1_32": ("aes_cm_128_hmac_sha1_32", "rtcp_default"),
            "AEAD_AES_128_GCM": ("aes_gcm_128_16_auth",) * 2,
            "AEAD_AES_256_GCM": ("aes_gcm_256_16_auth",) * 2}
ANY_INBOUND, ANY_OUTBOUND = 2, 3
ROOM = 64


class Crypto(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 6)]


class Policy(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("ssrc", ctypes.c_uint), ("rtp", Crypto),
                ("rtcp", Crypto), ("key", ctypes.c_char_p), ("keys", ctypes.c_void_p),
                ("n_keys", ctypes.c_ulong), ("ekt", ctypes.c_void_p),
                ("window", ctypes.c_ulong), ("repeat", ctypes.c_int),
                ("headers", ctypes.c_void_p), ("n_headers", ctypes.c_int),
                ("next", ctypes.c_void_p)]


def is_rtcp(packet):
    """RFC 5761 4: also at the port of RTP."""
    return 192 <= packet[1] <= 223


class Session:
    """One direction under one sdes.Key."""

    def __init__(self, key, sends):
        policy = Policy(type=ANY_OUTBOUND if sends else ANY_INBOUND, key=key.key, window=1024)
        for part, name in zip((policy.rtp, policy.rtcp), POLICIES[key.suite]):
            getattr(LIB, f"srtp_crypto_policy_set_{name}")(ctypes.byref(part))
        self.handle = ctypes.c_void_p()
        if LIB.srtp_create(ctypes.byref(self.handle), ctypes.byref(policy)):
            raise OSError(f"no session of {key.suite}")

    def _run(self, function, packet):
        buffer = ctypes.create_string_buffer(packet, len(packet) + ROOM)
        length = ctypes.c_int(len(packet))
        if function(self.handle, buffer, ctypes.byref(length)):
            return None
        return buffer.raw[:length.value]

    def protect(self, packet, rtcp=False):
        return self._run(LIB.srtp_protect_rtcp if rtcp else LIB.srtp_protect, packet)

    def unprotect(self, packet, rtcp=False):
        """None: it does not authenticate, or came before."""
        return self._run(LIB.srtp_unprotect_rtcp if rtcp else LIB.srtp_unprotect, packet)


def encrypt(end, sends, hears):
    """From now on that rtp.RtpEnd sends under the one key and hears under the other."""
    end.__class__ = SrtpEnd
    end.wire = getattr(end, "wire", [])
    end.unheard = getattr(end, "unheard", [])
    with end.engine.lock:
        end.sends = Session(sends, True)
        end.hears = [Session(hears, False)]
        end.decrypting = threading.Lock()


class SrtpEnd(rtp.RtpEnd):
    """`wire`: what it sent, as sent; `unheard`: what it could not decrypt."""

    def rekey(self, sends):
        with self.engine.lock:
            self.sends = Session(sends, True)

    def _out(self, sock, packet, to):
        self.wire.append(self.sends.protect(packet, is_rtcp(packet)))
        super()._out(sock, self.wire[-1], to)

    def hear_also(self, hears):
        """Under this key, too: also what came under it before the answer that told it was read."""
        with self.decrypting:
            self.hears.insert(0, Session(hears, False))
            early, self.unheard = self.unheard, []
            for packet in early:
                self._take(*packet)

    def heard(self, data, source, rtcp, when):
        with self.decrypting:
            self._take(data, source, rtcp, when)

    def _take(self, data, source, rtcp, when):
        for session in self.hears:
            plain = session.unprotect(data, is_rtcp(data))
            if plain is not None:
                super().heard(plain, source, rtcp, when)
                return
        self.unheard.append((data, source, rtcp, when))


def under(end, key, told):
    """It sends under that key, and hears under ours of the same suite."""
    encrypt(end, key, next(k for k in told if k.suite == key.suite))


def begin_anew(c):
    """Both are quiet, and what they said and heard is forgotten."""
    c.quiet()
    for end in (c.a_rtp, c.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()
        if isinstance(end, SrtpEnd):
            end.unheard.clear()


def whole(c, packets=20):
    """What both say arrives and decrypts, from when each is heard: an entry that was changed twice
    in a row takes the second change a moment later."""
    c.talk().heard(5)
    begin_anew(c)
    c.talk().heard(packets).quiet().whole()
    for end in (c.a_rtp, c.b_rtp):
        equal(getattr(end, "unheard", []), [], "packets that do not decrypt")
    return c
