#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted legs, SRTP here and RTP there, libsrtp2 at the far end: through the userspace relay,
and with RUNG=kmod (see tests/kmod/endtoend.py) by rtpfwd.ko."""
import os
import shutil
import signal

import rtp
import sdes
import srtp
import tap
from baresip import Baresip
from calls import INSIDE, OUTSIDE
from lab import CALLER, RUNG, nothing_left, running
from sdes import (AES32, AES80, ALICE, ANNA, BEA, BEN, BOB, GCM128, GCM256, OLGA, SUITES, Key,
                  SdesCall, between_tests, clear, keys_of)
from tap import check, equal, wait_for

PLANE = "kmod" if RUNG == "kmod" else "user"


def make():
    return running(sdes.settings, addresses=5)


def talking(lab, a_ip, b_ip, a_keys=(), b_keys=(), **kw):
    """A call whose phones encrypt as they have agreed to, talking."""
    c = SdesCall(lab, a_ip, b_ip, a_keys, b_keys, **kw).up()
    if a_keys:
        srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
    if b_keys:
        ours = next(k for k in c.told_b if k.suite == c.b_keys[0].suite)
        srtp.encrypt(c.b_rtp, c.b_keys[0], ours)
    equal({f["plane"] for f in c.flows().values()}, {PLANE if a_keys or b_keys else "xdp"}, "plane")
    return c.talk()


def drops(lab):
    found = lab.drops()
    return {name: found[name] for name in ("srtp_auth", "srtp_replay", "srtp_failed")}


def whole(c, before):
    """All of it arrived, both ways, and nothing was refused."""
    c.quiet().whole()
    for end in (c.a_rtp, c.b_rtp):
        equal(getattr(end, "unheard", []), [], "packets that do not decrypt")
    equal(drops(c.lab), before, "drops")
    return c


def every_suite(lab):
    """SRTP and SRTCP of each suite from a secure phone to a plain one and back"""
    for suite in SUITES:
        before = drops(lab)
        c = talking(lab, ANNA, BOB, [Key(suite)]).heard(60)
        whole(c, before)
        equal(c.crypto(), (suite, None), "crypto shown")
        shown = c.show()
        equal(shown["a"]["rx_packets"], len(c.a_rtp.rtp.sent), "packets of a")
        equal(shown["b"]["rx_packets"], len(c.b_rtp.rtp.sent), "packets of b")
        c.hang_up().gone()
        clear(lab)


def both_legs(lab):
    """each leg with a suite of its own: decrypted and encrypted anew"""
    before = drops(lab)
    c = talking(lab, ANNA, BEA, [Key(AES32)], [Key(GCM256, tag=4)]).heard(60)
    whole(c, before)
    check(not set(c.a_rtp.wire) & {g[4] for g in c.b_rtp.rtp.got}, "nothing passed as it came")
    c.hang_up().gone()


def tampered(lab):
    """what was changed on the way is srtp_auth: not heard, not counted as received"""
    c = talking(lab, ANNA, BOB, [Key(AES80)]).heard(20).quiet()
    before, heard = drops(lab), len(c.b_rtp.rtp.got)
    received = c.show()["a"]["rx_packets"]
    for number, at in enumerate((1, 20, -1)):
        packet = bytearray(c.a_rtp.sends.protect(c.a_rtp.packet(c.a_rtp.rtp.next + number)))
        packet[at] ^= 0x80
        c.a_rtp.tx[0].sendto(bytes(packet), c.relay_a)
    wait_for(lambda: drops(lab)["srtp_auth"] == before["srtp_auth"] + 3, 3, "three srtp_auth")
    equal(drops(lab)["srtp_replay"], before["srtp_replay"], "srtp_replay")
    equal(len(c.b_rtp.rtp.got), heard, "packets heard")
    equal(c.show()["a"]["rx_packets"], received, "packets counted")
    c.hang_up().gone()


def unencrypted(lab):
    """plain RTP of the right source at an encrypted leg is srtp_auth, and is not heard"""
    c = talking(lab, ANNA, BOB, [Key(GCM128)]).heard(20).quiet()
    before, heard = drops(lab), len(c.b_rtp.rtp.got)
    for _ in range(3):
        c.a_rtp.tx[0].sendto(c.a_rtp.packet(c.a_rtp.rtp.next), c.relay_a)
    wait_for(lambda: drops(lab)["srtp_auth"] == before["srtp_auth"] + 3, 3, "three srtp_auth")
    equal(len(c.b_rtp.rtp.got), heard, "packets heard")
    c.hang_up().gone()


def replayed(lab):
    """what came before is srtp_replay; so it is behind a new relay"""
    c = talking(lab, ANNA, BOB, [Key(AES80)]).heard(40).quiet()
    before, heard = drops(lab), len(c.b_rtp.rtp.got)
    old = [p for p in c.a_rtp.wire if not 192 <= p[1] <= 223][-20:]
    for n, again in enumerate((False, True)):
        if again:
            kill_relay(lab)
        for packet in old:
            c.a_rtp.tx[0].sendto(packet, c.relay_a)
        wait_for(lambda: drops(lab)["srtp_replay"] == before["srtp_replay"] + 20 * (n + 1), 5,
                 lambda: f"srtp_replay: {drops(lab)}")
    equal(len(c.b_rtp.rtp.got), heard, "packets heard")
    c.hang_up().gone()


def rollover(lab):
    """sequence numbers roll over, both ways, on both legs"""
    before = drops(lab)
    c = SdesCall(lab, ANNA, BEA, [Key(AES80)], [Key(AES80)]).up()
    srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
    srtp.encrypt(c.b_rtp, c.b_keys[0], c.told_b[0])
    c.a_rtp.seq0, c.b_rtp.seq0 = 65520, 65500
    whole(c.talk().heard(80), before)
    c.hang_up().gone()


def relay_of(lab):
    """The process of the userspace relay: a child of the daemon."""
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/stat") as f:
                words = f.read().split()
        except (OSError, ValueError):
            continue
        if pid.isdigit() and words[1] == "(rtpfwd-relay)" and int(words[3]) == lab.daemon.pid:
            return int(pid)
    return None


def kill_relay(lab):
    old = relay_of(lab)
    check(old, "a relay runs")
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: relay_of(lab) not in (None, old), 5, "another relay")


def relay_killed(lab):
    """kill -9 of the relay behind a rollover: its successor goes on, not a packet is lost"""
    before = drops(lab)
    c = SdesCall(lab, ANNA, BEA, [Key(AES80)], [Key(GCM128, tag=3)]).up()
    srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
    srtp.encrypt(c.b_rtp, c.b_keys[0], c.told_b[2])
    c.a_rtp.seq0, c.b_rtp.seq0 = 65520, 65510
    c.talk().heard(50)
    kill_relay(lab)
    c.heard(50)
    kill_relay(lab)
    whole(c.heard(50), before)
    c.hang_up().gone()


def daemon_killed(lab):
    """kill -9 of the daemon: its relay goes on, the next one takes over, not a packet is lost"""
    before = drops(lab)
    c = talking(lab, ANNA, BEA, [Key(AES80)], [Key(AES32, tag=2)]).heard(30)
    lab.stop(signal.SIGKILL)
    c.heard(50)
    lab.start()
    c.heard(50)
    c.quiet().whole()
    for end in (c.a_rtp, c.b_rtp):
        equal(end.unheard, [], "packets that do not decrypt")
    equal(drops(lab), before, "drops")


def pitfall_19_rekeyed(lab):
    """new keys in a re-INVITE while both talk: the former key is taken for a while, nothing is
    lost"""
    before = drops(lab)
    c = talking(lab, ANNA, BEA, [Key(AES80)], [Key(AES80)]).heard(20)
    for version, suite in ((2, AES80), (3, GCM256)):
        key = Key(suite, tag=version)
        c.a.reinvite(c.write("a", [key], version=version))
        answer = c.a.expect("final")
        c.a_rtp.hear_also(keys_of(answer.sdp)[0])
        c.a.ack(answer)
        c.heard(10)
        c.a_rtp.rekey(key)
        c.heard(20)
    whole(c, before)
    c.hang_up().gone()


def suite_returns(lab):
    """a suite that is left, for another or for none, comes back under another key of ours: no index
    comes twice under one key (RFC 3711 9.1), though the phone takes its own old key again"""
    before = drops(lab)
    for ips, side in (((OLGA, BOB), "a"), ((ALICE, BEN), "b")):
        keys = [Key(AES80), Key(GCM256), None, Key(AES80), Key(AES80)]
        keys[3] = keys[0]
        kw = {f"{side}_keys": keys[:1], f"{side}_profile": "RTP/AVP"}
        c = talking(lab, *ips, **kw).heard(20)
        end, me = (c.a_rtp, c.a) if side == "a" else (c.b_rtp, c.b)
        ours = [k.key for k in (c.told_a if side == "a" else c.told_b) if k.suite == AES80]
        for version, key in enumerate(keys[1:4], 2):
            c.quiet()
            answer = me.offer(c.write(side, [key] if key else [], version=version))
            if key:
                srtp.encrypt(end, key, keys_of(answer.sdp)[0])
                ours.append(keys_of(answer.sdp)[0].key)
            else:
                equal(keys_of(answer.sdp), [], "keys answered")
                end.__class__ = rtp.RtpEnd
            c.talk().heard(20)
            whole(c, before)
        equal(len(set(ours)), 3, "keys of ours, no two alike")
        c.hang_up().gone()
        clear(lab)


def forks(lab):
    """each fork has a key of its own, and what it answers is answered for good by the 2xx alone:
    another suite of another fork does not take the first one's key out of use"""
    before = drops(lab)
    c = SdesCall(lab, ALICE, BEA, b_keys=[Key(AES80)]).ring()
    ours = {k.suite: k for k in c.told_b}
    first, tags = c.b_sdp, (c.b.local_tag, "another-fork")

    def early(tag, text, key):
        c.b.local_tag = tag
        c.b.reply(c.b.invite, 183, text)
        c.a_answer = c.a.expect(183, repeats=True).sdp or c.a_answer
        c.relay_a = c.a_answer.rtp()
        equal(c.crypto(), (None, key.suite), "crypto shown")
        srtp.encrypt(c.b_rtp, key, ours[key.suite])
        c.talk().heard(15)
        whole(c, before)
    c.a_answer = None
    early(tags[0], first, c.b_keys[0])
    other = Key(AES80)
    early(tags[1], c.write("b", [other]), other)
    c.b.local_tag = "third-fork"
    c.b.reply(c.b.invite, 183, c.write("b", [Key(GCM128, tag=3)]))
    c.a.expect(183, repeats=True)
    equal(c.crypto(), (None, GCM128), "crypto shown")
    c.b.local_tag = tags[0]
    c.b_sdp = first
    c.answer()
    srtp.encrypt(c.b_rtp, c.b_keys[0], ours[AES80])
    whole(c.talk().heard(20), before)
    c.hang_up().gone()


def another_sender(lab):
    """the SSRC changes in mid-call, several times: each has its own rollover"""
    before = drops(lab)
    c = talking(lab, ANNA, BOB, [Key(AES80)]).heard(10)
    for ssrc in (0x1111, 0x2222, 0x3333, 0x1111):
        c.quiet()
        c.a_rtp.rtp.forget()
        c.b_rtp.rtp.forget()
        c.a_rtp.rtcp.forget()
        c.b_rtp.rtcp.forget()
        with c.a_rtp.engine.lock:
            c.a_rtp.ssrc = ssrc
        c.talk().heard(10)
    rtp.settle(c.a_rtp, c.b_rtp)
    equal(drops(lab), before, "drops")
    equal(c.a_rtp.unheard, [], "packets that do not decrypt")
    c.hang_up().gone()


def largest(lab):
    """a packet of the link's MTU grows by its tag, and arrives whole, in fragments"""
    c = talking(lab, ALICE, BEA, b_keys=[Key(GCM128, tag=3)]).heard(10).quiet()
    packet = rtp.rtp_packet(0, c.a_rtp.seq0 + c.a_rtp.rtp.next, 0, c.a_rtp.ssrc, 7)
    packet += bytes(1472 - len(packet))
    c.a_rtp.tx[0].sendto(packet, c.relay_a)
    wait_for(lambda: packet in [g[4] for g in c.b_rtp.rtp.got], 3, "the packet")
    c.hang_up().gone()


def real_phones(lab):
    """baresip over TLS with its srtp module, against a plain one: each calls the other, each hears
    the other's tone; RTP/AVP, RTP/SAVP and RTP/SAVPF with keys"""
    for user, mediaenc, calls in (("dora", "srtp-mand", False),
                                  ("dora", "srtp-mandf", True), ("otto", "srtp", True),
                                  ("otto", "srtp", False)):
        before = drops(lab)
        a = Baresip(lab, lab.caller, CALLER, user, 440, not calls, mediaenc=mediaenc,
                    account=(f"{INSIDE}:5061", "s3cret"), transport="tls", cafile=lab.certs.ca)
        b = Baresip(lab, lab.callee, BOB, "7001", 660, answers=calls)
        a.ready()
        b.ready()
        wait_for(lambda: lab.metrics()["rtpfwd_registrations"] == 1, 15,
                 lambda: f"{user} registered; {a.log()[-1500:]}")
        if calls:
            a.dial(f"sip:7001@{INSIDE}:5061;transport=tls")
        else:
            b.dial(f"sip:{user}@{OUTSIDE}")
        for phone in (a, b):
            phone.wait_log("Call established")
        side, other = "ab" if calls else "ba"
        wait_for(lambda: lab.calls() and min(lab.calls()[0][s]["rx_packets"] for s in "ab") >= 150,
                 15, lambda: f"150 packets each way: {lab.calls()} {lab.drops()}")
        call = lab.calls()[0]
        check(call[side]["crypto"] in SUITES, f"{mediaenc}: crypto of it:", call[side])
        equal(call[other]["crypto"], None, "crypto of the plain one")
        # Before they hang up: what a phone sends behind its keys then is its own affair.
        equal(drops(lab), before, "drops")
        (a if calls else b).hangup()
        (b if calls else a).wait_log("terminated")
        for phone, hears in ((a, 660), (b, 440)):
            phone.stop()
            check(phone.heard(hears).good(2), f"{mediaenc}: {phone.user} heard",
                  phone.heard(hears))
        wait_for(lambda: lab.metrics()["rtpfwd_registrations"] == 0, 10, "registration taken back")
        for phone in (a, b):
            shutil.rmtree(phone.folder)


def planes(lab):
    """show flows: the encrypted call's four are of user or kmod, the plain one's of xdp"""
    for ips, keys, plane in (((ANNA, BOB), [Key()], PLANE), ((ALICE, BOB), [], "xdp")):
        c = talking(lab, *ips, keys).heard(10)
        equal({f["plane"] for f in c.flows().values()}, {plane}, f"plane of {ips}")
        equal("rtpfwd.ko" in (c.flows()["a"]["reason"] or ""), plane == "user", "reason")
        c.hang_up().gone()
        clear(lab)


def first_encrypted_peer(lab):
    """a reload brings the first peer that encrypts: who talks loses nothing, by XDP or the relay;
    the next call is encrypted, and goes on behind kill -9"""
    for xdp, plane in (({}, "xdp"), ({"xdp": "off"}, "user")):
        lab.stop()
        lab.detached()
        text = sdes.settings(lab, inside=xdp)
        lab.start(text.replace("encryption = ", "encryption = no ;"))
        relay = relay_of(lab)
        c = SdesCall(lab, ALICE, BOB).up().talk().heard(20)
        equal(c.flows()["a"]["plane"], plane, "plane of what is plain")
        lab.write(text)
        lab.ctl("reload")
        d = talking(lab, ANNA, BEA, [Key(AES80)], [Key(GCM128, tag=3)]).heard(50)
        c.heard(50)
        equal(relay_of(lab), relay, "process of the relay")
        lab.stop(signal.SIGKILL)
        lab.start()
        for call in (c.heard(50), d.heard(50)):
            call.quiet().whole()
        equal(d.a_rtp.unheard + d.b_rtp.unheard, [], "packets that do not decrypt")
        equal(set(drops(lab).values()), {0}, "drops")
        clear(lab)
    lab.stop()
    lab.detached()
    lab.start(sdes.settings(lab))


TESTS = (every_suite, both_legs, tampered, unencrypted, replayed, rollover, relay_killed,
         daemon_killed, pitfall_19_rekeyed, suite_returns, forks, another_sender, largest, planes,
         first_encrypted_peer, real_phones)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
