#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold with music: who holds is answered by the node, the other one hears the file to the byte."""
import contextlib
import os
import struct
import subprocess

import rtp
import sip
import tap
from calls import call
from lab import CALLER, PEERS, PREFIX, Lab, config, nothing_left
from reinvite_test import HOLDS, answer_offer, end_whole, move, sides, talking
from tap import check, equal, wait_for
from tune import Tune, hears, is_tune, played

BEA, BEN, ANNA = "10.91.2.22", "10.91.2.21", "10.91.1.11"


def with_music(lab, house, own):
    """alice has her realm's music, bea her own, anna none although her realm has some."""
    peers = PEERS.replace("allow = alaw\n", f"allow = alaw\nmoh = {own}\n")
    peers = peers.replace("canreinvite = no\n[bob]", "canreinvite = no\nmoh = off\n[bob]")
    return config(lab, inside={"moh": house}, peers=peers)


@contextlib.contextmanager
def make():
    with Lab() as lab:
        lab.house = Tune(f"{lab.dir}/house.wav")
        lab.own = Tune(f"{lab.dir}/own.wav", seed=2)
        lab.start(with_music(lab, lab.house.path, lab.own.path))
        yield lab
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


def hold(c, holder, spelling="sendonly", version=2):
    """Holds; the answer is the node's own, mirrored."""
    me, end, phone, _, _ = sides(c, holder)
    kw, _, back = HOLDS[spelling]
    answer = me.offer(sip.sdp(phone.ip, end.port, version=version, **kw)).sdp
    equal(answer.direction(), back, f"direction answered to {spelling}")
    equal(answer.rtp(), c.relay_a if holder == "a" else c.relay_b, "relay address answered")
    return answer


def resume(c, holder, version=3):
    me, end, phone, _, _ = sides(c, holder)
    answer = me.offer(sip.sdp(phone.ip, end.port, version=version)).sdp
    equal(answer.direction(), "sendrecv", "direction answered to the resume")
    return answer


def forget(c):
    """What is counted begins anew: the holder's audio during the hold reaches nobody."""
    rtp.settle(c.a_rtp, c.b_rtp)
    for end in (c.a_rtp, c.b_rtp):
        end.rtp.forget()
        end.rtcp.forget()
    c.talk()


def music_for(c, holder, tune, pt=0, count=60):
    """The held one hears that file, and nothing of the holder; the other way is whole."""
    _, end, _, other, other_end = sides(c, holder)
    relay = c.relay_b if holder == "a" else c.relay_a
    before = len(other_end.rtp.got)
    packets = hears(other_end, count)
    ssrc = is_tune(packets, tune, relay, pt)
    check(ssrc not in (end.ssrc, other_end.ssrc), "the music has a phone's SSRC")
    late = [g for g in other_end.rtp.got[before:] if g[0] == end.ssrc]
    equal(late, [], "packets of the holder heard during the music")
    other.none("INVITE", seconds=0.1)
    return ssrc


def hold_and_resume(lab, spelling):
    c = talking(lab)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a", spelling)
    c.a_rtp.start(c.relay_a)        # what it sends on hold is not what the other one hears
    music_for(c, "a", lab.house)
    shown = c.show()
    equal((shown["a"]["music"], shown["b"]["music"]), (False, True), "music")
    c.a_rtp.stop()
    if spelling == "sendonly":      # the one on hold was never told: its audio goes on
        rtp.drain(c.b_rtp, c.a_rtp)
    resume(c, "a")
    forget(c)
    equal(c.show()["b"]["music"], False, "music after the resume")
    c.b.none("INVITE")
    end_whole(c)


def hold_by_sendonly(lab):
    """hold by sendonly: the other one hears the file, and is told nothing"""
    hold_and_resume(lab, "sendonly")


def hold_by_inactive(lab):
    """hold by inactive: the other one hears the file, and is told nothing"""
    hold_and_resume(lab, "inactive")


def hold_by_null_address(lab):
    """hold by 0.0.0.0: the other one hears the file, and is told nothing"""
    hold_and_resume(lab, "0.0.0.0")


def hold_by_null_address_of_ipv6(lab):
    """hold by :: (pitfall 18): the other one hears the file, and is told nothing"""
    hold_and_resume(lab, "::")


def bea_call(lab):
    """alice and bea, who takes A-law alone."""
    pcma = ((8, "PCMA/8000"),)
    c = call(lab, prefix="5", b_ip=BEA, codecs=pcma)
    c.a_rtp.pt = c.b_rtp.pt = 8
    return c.up().talk().heard(10)


def hold_by_callee(lab):
    """the callee's own music, in the coding that the caller negotiated"""
    c = bea_call(lab)
    me = c.b
    rtp.drain(c.b_rtp, c.a_rtp)
    answer = me.offer(sip.sdp(BEA, c.b_rtp.port, ((8, "PCMA/8000"),), "sendonly", 2)).sdp
    equal(answer.direction(), "recvonly", "answer")
    music_for(c, "b", lab.own, pt=8)
    me.offer(sip.sdp(BEA, c.b_rtp.port, ((8, "PCMA/8000"),), version=3))
    forget(c)
    end_whole(c)


def one_source_of_its_own(lab):
    """the music of one listener is one RTP source: each playing begins with a marker and the file's
    first sample, and numbers go on"""
    c = talking(lab)
    seen, last = set(), None
    for version in (2, 4, 6):
        rtp.drain(c.a_rtp, c.b_rtp)
        hold(c, "a", version=version)
        seen.add(music_for(c, "a", lab.house, count=10))
        check(last in (None, played(c.b_rtp)[0].seq - 1 & 0xffff), "a number is missing")
        resume(c, "a", version + 1)
        rtp.settle(c.a_rtp, c.b_rtp)
        last = played(c.b_rtp)[-1].seq
        forget(c)
        c.heard(5)
    equal(len(seen), 1, "sources")
    end_whole(c)


def never_reinvited_hears_music(lab):
    """canreinvite=no: that leg hears the music as well"""
    c = talking(lab, prefix="8", b_ip=BEN)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a")
    music_for(c, "a", lab.house)
    resume(c, "a")
    forget(c)
    end_whole(c)


def resume_at_a_new_port(lab):
    """resume at a new port (pitfall 64): nothing lost, the held one is told nothing"""
    c = talking(lab)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a")
    music_for(c, "a", lab.house, count=10)
    rtp.drain(c.b_rtp, c.a_rtp)
    port = next(lab.media_ports)
    c.a_rtp.open(port)
    answer = c.a.offer(sip.sdp(CALLER, port, version=3)).sdp
    equal(answer.rtp(), c.relay_a, "relay address told to who resumes")
    c.a_rtp.use()
    forget(c)
    equal(c.flows()["b"]["to"], f"{CALLER}:{port}", "destination after the resume")
    c.b.none("INVITE")
    end_whole(c)


def held_one_moves(lab):
    """the held one moves to another port: the music follows, same source, no packet twice"""
    c = talking(lab)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a")
    before = len(hears(c.b_rtp, 20))
    port = next(lab.media_ports)
    c.b_rtp.open(port)
    answer = c.b.offer(sip.sdp(c.b_phone.ip, port, version=2)).sdp
    equal(answer.direction(), "sendrecv", "direction answered to the held one")
    c.b_rtp.use()
    hears(c.b_rtp, 20, after=before + 2)
    is_tune(played(c.b_rtp), lab.house, c.relay_b)
    c.a.none("INVITE", seconds=0.1)
    equal(c.flows()["b"]["expect"], f"{c.b_phone.ip}:{port}", "source admitted")
    resume(c, "a")
    forget(c)
    end_whole(c)


def nested(lab, first_to_resume):
    """Both hold; returns with both resumed."""
    pcma = ((8, "PCMA/8000"),)
    c = bea_call(lab)
    at = {"a": (c.a, c.a_rtp, CALLER), "b": (c.b, c.b_rtp, BEA)}
    tune = {"a": lab.house, "b": lab.own}
    relay = {"a": c.relay_a, "b": c.relay_b}

    def offer(side, direction, version, want):
        dialog, end, ip = at[side]
        answer = dialog.offer(sip.sdp(ip, end.port, pcma, direction, version)).sdp
        equal(answer.direction(), want, f"answer to {side}")

    for end in (c.a_rtp, c.b_rtp):
        end.stop()
    rtp.settle(c.a_rtp, c.b_rtp)
    offer("a", "sendonly", 2, "recvonly")
    hears(c.b_rtp, 10)
    offer("b", "sendonly", 2, "recvonly")
    shown = c.show()
    equal((shown["a"]["music"], shown["b"]["music"]), (False, False), "music while both hold")
    other = "b" if first_to_resume == "a" else "a"
    listener = at[first_to_resume][1]
    rtp.settle(c.a_rtp, c.b_rtp)
    before = len(played(listener))
    offer(first_to_resume, None, 3, "sendrecv")
    is_tune(hears(listener, 20, after=before), tune[other], relay[first_to_resume], pt=8)
    offer(other, None, 3, "sendrecv")
    c.a.none("INVITE")
    c.b.none("INVITE")
    forget(c)
    end_whole(c)


def both_hold_first_resumes_first(lab):
    """both hold (pitfall 63), who held first resumes first and hears the other's music"""
    nested(lab, "a")


def both_hold_last_resumes_first(lab):
    """both hold (pitfall 63), who held last resumes first and hears the music again"""
    nested(lab, "b")


def asks_on_hold(lab):
    """re-INVITE without an offer during hold (pitfall 48): a resume only if its answer says so"""
    c = talking(lab)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a")
    hears(c.b_rtp, 5)
    for version, direction, music in ((3, "sendonly", True), (4, None, False)):
        c.a.reinvite(None)
        offered = c.a.expect(200)
        equal(offered.sdp.direction(), "sendrecv", "direction offered")
        c.a.ack(offered, sip.sdp(CALLER, c.a_rtp.port, direction=direction, version=version))
        wait_for(lambda want=music: c.show()["b"]["music"] == want, 3, f"music: {music}")
    c.b.none("INVITE", seconds=0.1)
    forget(c)
    end_whole(c)


def passes(c, holder, lab):
    """Hold and resume go to the other phone, as where there is no music."""
    me, end, phone, other, other_end = sides(c, holder)
    codecs = ((9, "G722/8000"),) if end.pt == 9 else sip.CODECS
    for direction, back, version in (("sendonly", "recvonly", 2), (None, None, 3)):
        me.reinvite(sip.sdp(phone.ip, end.port, codecs, direction, version))
        msg = other.expect("INVITE")
        equal(msg.sdp.direction(), direction or "sendrecv", "direction told to the other")
        other.reply(msg, 200, sip.sdp(other.phone.ip, other_end.port, codecs, back, version))
        other.expect("ACK")
        me.ack(me.expect(200))
    equal(played(other_end), [], "music heard")


def no_music_of_its_peer(lab):
    """moh = off: the hold passes, although the realm has music"""
    c = talking(lab, a_ip=ANNA)
    passes(c, "a", lab)
    end_whole(c)


def no_music_without_g711(lab):
    """a leg that negotiated no G.711 hears no music: the hold passes"""
    c = call(lab, codecs=((9, "G722/8000"),))
    c.a_rtp.pt = c.b_rtp.pt = 9
    c.up().talk().heard(5)
    passes(c, "a", lab)
    end_whole(c)


def music_stays_in_its_realm(lab):
    """a description that names another network's host gets no music there"""
    victim = lab.end("10.91.1.66", 30000)
    c = call(lab, b_kw={"c": "c=IN IP4 10.91.1.66"})
    c.b_sdp = c.b_sdp.replace(f"m=audio {c.b_rtp.port} ", "m=audio 30000 ")
    c.up()
    hold(c, "a")
    equal(c.show()["b"]["music"], False, "music")
    c.hang_up().gone()
    equal(victim.rtp.got, [], "heard in the other network")


def end_amid_music(lab):
    """BYE amid the music: it ends with an RTCP BYE, no call, flow or listener is left"""
    c = talking(lab)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a")
    ssrc = music_for(c, "a", lab.house, count=10)
    metrics = lab.metrics()
    equal(metrics["rtpfwd_music_listeners"], 1, "listeners")
    check(metrics['rtpfwd_music_packets_total{result="sent"}'] >= 10, "packets counted")
    c.b_rtp.stop()
    c.hang_up().gone()
    want = struct.pack("!BBHI", 0x81, 203, 1, ssrc)
    reports = [g for g in c.b_rtp.rtcp.got if g[0] is None]
    check(reports and reports[0][4][:2] == b"\x80\xc8", "a sender report of the music")
    equal({g[2] for g in reports}, {(c.relay_b[0], c.relay_b[1] + 1)}, "where reports come from")
    wait_for(lambda: any(g[4].endswith(want) for g in c.b_rtp.rtcp.got), 3, "RTCP BYE")
    count = len(played(c.b_rtp))
    metrics = lab.metrics()
    equal(metrics["rtpfwd_music_listeners"], 0, "listeners")
    equal(metrics['rtpfwd_music_packets_total{result="failed"}'], 0, "failed")
    c.b_phone.pump(0.2)
    equal(len(played(c.b_rtp)), count, "music after the end")


def reloaded(lab):
    """a reload reads the files again; one that cannot be played is refused whole"""
    bad = f"{lab.dir}/bad.wav"
    with open(bad, "w") as out:
        out.write("no audio")
    lab.write(with_music(lab, bad, lab.own.path))
    done = lab.ctl_run("reload")
    equal(done.returncode, 1, "reload with a bad file")
    check(f"moh '{bad}': " in done.stderr and "rtpfwd.conf:" in done.stderr, done.stderr)
    equal(lab.run("-n", "-c", lab.conf).returncode, 1, "rtpfwd -n with a bad file")
    c = talking(lab)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a")
    music_for(c, "a", lab.house, count=10)
    new = Tune(lab.house.path, 1600, seed=3)
    lab.write(with_music(lab, lab.house.path, lab.own.path))
    lab.ctl("reload")
    first = len(played(c.b_rtp))
    is_tune(hears(c.b_rtp, first + 20), lab.house, c.relay_b)
    resume(c, "a")
    forget(c)
    rtp.drain(c.a_rtp, c.b_rtp)
    hold(c, "a", version=4)
    music_for(c, "a", new, count=25)
    resume(c, "a", version=5)
    forget(c)
    end_whole(c)
    lab.house = new


def start_refused(lab):
    """a start names the file that cannot be played, and exits with 1"""
    code = lab.stop()
    equal(code, 0, "exit status")
    lab.write(with_music(lab, "/nonexistent.wav", lab.own.path))
    done = lab.run("-c", lab.conf)
    equal(done.returncode, 1, "exit status")
    check(done.stderr.rstrip().endswith("moh '/nonexistent.wav': No such file or directory"),
          done.stderr)
    check(not os.path.exists(lab.control), "the control socket is there")
    lab.start(with_music(lab, lab.house.path, lab.own.path))


def mute_kernel(lab):
    """What a daemon needs for its questions about routes to get no answer while a file is there,
    and that file."""
    library, file = f"{lab.dir}/mute.so", f"{lab.dir}/mute"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bpf/mute.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    return {"LD_PRELOAD": library, "MUTE": file}, file


def way_not_known_yet(_):
    """the kernel does not say just now where the held one is: it is asked again, and the music
    begins when it has answered"""
    with Lab(sanitized=False, name=f"{PREFIX}{os.getpid()}b") as lab:
        lab.house = Tune(f"{lab.dir}/house.wav")
        env, file = mute_kernel(lab)
        lab.start(with_music(lab, lab.house.path, lab.house.path), env=env)
        c = talking(lab)
        rtp.drain(c.a_rtp, c.b_rtp)
        with open(file, "w"):
            hold(c, "a")
        c.a.none("BYE", seconds=1)
        equal((c.show()["b"]["music"], played(c.b_rtp)), (False, []), "music before the answer")
        os.unlink(file)
        music_for(c, "a", lab.house)
        resume(c, "a")
        forget(c)
        end_whole(c)
        equal(lab.log().count("no music"), 0, "times that music was given up")
        equal(lab.stop(), 0, "exit status after SIGTERM")
        lab.detached()


TESTS = [hold_by_sendonly, hold_by_inactive, hold_by_null_address, hold_by_null_address_of_ipv6,
         hold_by_callee, one_source_of_its_own, never_reinvited_hears_music,
         resume_at_a_new_port, held_one_moves, both_hold_first_resumes_first,
         both_hold_last_resumes_first, asks_on_hold, no_music_of_its_peer, no_music_without_g711,
         way_not_known_yet, music_stays_in_its_realm, end_amid_music, reloaded, start_refused]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
