#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Music for an encrypted leg: it hears all of it under the key that it was told, as a source of its
own, and the call's media before and after; libsrtp2 is who hears."""
import contextlib

import rtp
import sdes
import srtp
import tap
from lab import Lab, nothing_left
from sdes import (AES32, AES80, ALICE, ANNA, BEA, GCM128, GCM256, Key, SdesCall, between_tests,
                  clear, keys_of)
from tap import check, equal, wait_for
from tune import Tune, hears, is_tune, played

GOODBYE = bytes((0x81, 203, 0, 1))     # one source (RFC 3550 6.6)


@contextlib.contextmanager
def make():
    with Lab(addresses=5) as lab:
        lab.house = Tune(f"{lab.dir}/house.wav")
        lab.start(sdes.settings(lab, inside={"moh": lab.house.path}))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def talking(lab, ips, a_keys, b_key):
    c = SdesCall(lab, *ips, a_keys, [b_key]).up()
    if a_keys:
        srtp.encrypt(c.a_rtp, a_keys[0], c.told_a[0])
    srtp.encrypt(c.b_rtp, b_key, next(k for k in c.told_b if k.suite == b_key.suite))
    return c.talk().heard(20)


def update(c, version, **kw):
    """As often as it likes: of re-INVITEs a leg takes 32 in 32 seconds."""
    c.a.request("UPDATE", c.write("a", version=version, **kw))
    answer = c.a.expect("final")
    equal(answer.code, 200, "answer to the UPDATE")
    return answer.sdp


def hold(c, version, ask=lambda c, **kw: c.a.offer(c.write("a", **kw)).sdp):
    """Held by the caller, whose audio stops; the callee is not told."""
    c.quiet()
    for end in (c.a_rtp, c.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()
    answer = ask(c, version=version, direction="sendonly")
    equal(answer.direction(), "recvonly", "direction answered to the hold")


def resume(c, version):
    """Nothing that came was not for the callee to decrypt; what both say is whole again."""
    equal(c.a.offer(c.write("a", version=version)).sdp.direction(), "sendrecv", "resumed")
    equal(c.b_rtp.unheard, [], "packets that do not decrypt")
    rtp.settle(c.a_rtp, c.b_rtp)
    for end in (c.a_rtp, c.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()
    c.talk().heard(20).quiet().whole()
    for end in (c.a_rtp, c.b_rtp):
        equal(getattr(end, "unheard", []), [], "packets that do not decrypt")


def music_between(lab):
    """music, the call, music, the call, under one key: every packet decrypts in one session of the
    far end, reports, too, and all music is one source beside the phones"""
    for ips, a_keys, suite in (((ALICE, BEA), [], AES80), ((ANNA, BEA), [Key(AES80)], GCM256),
                               ((ALICE, BEA), [], AES32), ((ALICE, BEA), [], GCM128)):
        tag = sdes.SUITES.index(suite) + 1
        c = talking(lab, ips, a_keys, Key(suite, tag))
        sources = {c.a_rtp.ssrc, c.b_rtp.ssrc}
        for version in (2, 4):
            hold(c, version)
            packets = hears(c.b_rtp, 40)
            sources.add(is_tune(packets, lab.house, c.relay_b))
            check(version > 2 or packets[0].seq < 0x8000, "first sequence number:", packets[0].seq)
            reports = [g for g in list(c.b_rtp.rtcp.got) if g[0] is None]
            check(reports, "no sender report of the music was heard")
            shown = c.show()["b"]
            equal((shown["music"], shown["crypto"]), (True, suite), "shown")
            resume(c, version + 1)
        equal(len(sources), 3, "sources, no two alike")
        c.b.none("INVITE")
        c.hang_up().gone()
        clear(lab)


def rekeyed_amid_music(lab):
    """the listener takes another suite while it hears music: the same source goes on under the new
    key"""
    c = talking(lab, (ALICE, BEA), [], Key(AES80))
    hold(c, 2)
    before = hears(c.b_rtp, 20)
    key = Key(GCM128, tag=3)
    c.b.reinvite(c.write("b", [key], version=2))
    answer = c.b.expect("final")
    equal(answer.code, 200, "answer to the new key")
    with c.b_rtp.engine.lock:
        c.b_rtp.hears.insert(0, srtp.Session(keys_of(answer.sdp)[0], False))
    c.b.ack(answer)
    after = hears(c.b_rtp, len(before) + 40)
    equal({p.ssrc for p in after}, {before[0].ssrc}, "SSRC")
    c.b_rtp.rekey(key)
    c.b_keys = [key]
    # What came between the answer and the new session here was not heard.
    c.b_rtp.unheard.clear()
    resume(c, 3)
    c.hang_up().gone()


def forty_holds(lab):
    """a listener that is held forty times under one key hears three sources, of which a node or
    phone keeps some 32 at most, and decrypts every packet"""
    c = talking(lab, (ALICE, BEA), [], Key(AES80))
    sources, last = {c.a_rtp.ssrc, c.b_rtp.ssrc}, None
    for version in range(2, 82, 2):
        hold(c, version, update)
        packets = hears(c.b_rtp, 3)
        sources.add(is_tune(packets, lab.house, c.relay_b))
        check(last in (None, packets[0].seq - 1 & 0xffff), "a number is missing:", last,
              packets[0].seq)
        update(c, version + 1)
        rtp.settle(c.a_rtp, c.b_rtp)
        last = played(c.b_rtp)[-1].seq
        c.talk().heard(2)
    equal(len(sources), 3, "sources")
    equal(c.b_rtp.unheard, [], "packets that do not decrypt")
    c.hang_up().gone()


def torn_down_amid_music(lab):
    """whoever ends the call amid music to an encrypted leg: the goodbye goes under its key, nothing
    goes without"""
    def by_listener(c):
        c.b.request("BYE")
        c.a.expect_bye()
        c.b.expect("final")

    def by_operator(c):
        lab.ctl("call", c.show()["id"], "hangup")
        c.a.expect_bye()
        c.b.expect_bye()

    def by_stop(_):
        lab.stop()
        lab.detached()
        lab.start()

    for end in (SdesCall.hang_up, by_listener, by_operator, by_stop):
        c = talking(lab, (ALICE, BEA), [], Key(AES80))
        hold(c, 2)
        hears(c.b_rtp, 10)
        end(c)
        wait_for(lambda: any(g[4][-8:-4] == GOODBYE for g in list(c.b_rtp.rtcp.got)), 3,
                 lambda: f"RTCP BYE of {end.__name__}")
        rtp.settle(c.a_rtp, c.b_rtp)
        equal(c.b_rtp.unheard, [], "packets that do not decrypt")
        clear(lab)


TESTS = (music_between, rekeyed_amid_music, forty_holds, torn_down_amid_music)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
