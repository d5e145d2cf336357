#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that the node must outlive: floods, descriptions that are bombs, clocks that jump, disks
that are full. (Others have files of their own: see tests/README.md.)"""
import contextlib
import datetime
import glob
import json
import os
import time

import sip
import tap
from calls import INSIDE, call
from lab import CALLEE, CALLER, PEERS, PREFIX, Lab, binary, config, nothing_left, running
from netns import sh
from registrant import Registrant
from stream import StreamPhone
from tap import check, equal, wait_for

HOUR = 3600
BOMBS = 20
DISK = 16 << 10     # bytes of a disk that is soon full
FLOOD_RATE = 20000
INSIDE_KEYS = {"bind": f"udp:{INSIDE}:5060,tcp:{INSIDE}:5060"}
PHONE = """
[carol]
type = friend
realm = outside
host = dynamic
secret = s3cret
"""


def make():
    return running(lambda lab: config(lab, inside=INSIDE_KEYS))


def fault_14_mixed_flood(_):
    """INVITE, REGISTER, OPTIONS and garbage, 20,000 a second: a call in progress loses no audio and
    can be ended meanwhile; memory stays bounded; then all is as before"""
    with Lab(sanitized=False, name=f"{PREFIX}{os.getpid()}-flood") as lab:
        lab.start(config(lab))
        began = lab.rss_kb()
        c = call(lab).up().talk().heard(25)
        flooder = lab.caller.popen(os.path.join(os.path.dirname(__file__), "flood.py"),
                                   "10.91.1.11", INSIDE, FLOOD_RATE)
        lab.started.append(flooder)
        requests = 'rtpfwd_sip_requests_total{method="%s",direction="in"}'
        wait_for(lambda: min(lab.metrics().get(requests % m, 0) for m in
                             ("INVITE", "REGISTER", "OPTIONS")) > 200, 20, "the flood to arrive")
        c.heard(50).quiet().whole()
        hang_up_again_and_again(c)
        equal(flooder.poll(), None, "the flood goes on")
        flooder.kill()
        flooder.wait()
        drained(lab)
        check(lab.metrics()["rtpfwd_sip_malformed_total"] > 50, "garbage counted")
        check(lab.rss_kb() - began < 128 << 10, f"memory: {began} to {lab.rss_kb()} KB")
        lab.clear()
        call(lab).up().talk().heard(25).quiet().whole().hang_up().gone()
        equal(lab.stop(), 0, "exit status")
        lab.detached()


def hang_up_again_and_again(c):
    """As a phone does whose BYE may be lost in a full socket: every T1 until it is answered."""
    bye = c.a.request("BYE")

    def answered():
        c.b_phone.pump()
        msg = c.b_phone.find("BYE", c.b.call_id)
        if msg:
            c.b.reply(msg, 200)
        c.a_phone.pump(0.5)
        final = c.a_phone.find(200, c.a.call_id)
        if not final:
            c.a_phone.send(bye)
        return final
    wait_for(answered, 32, "the answer to BYE")


def drained(lab):
    """What lay in the socket has been read: nothing came for half a second."""
    last = {"count": None, "since": 0}

    def quiet():
        count = lab.metrics()["rtpfwd_sip_malformed_total"]
        if count != last["count"]:
            last["count"], last["since"] = count, time.monotonic()
        return time.monotonic() - last["since"] > 0.5
    wait_for(quiet, 60, "the flood to be read")


def bomb(n_media=0, n_attributes=0, n_codecs=0, size=0):
    """A description with so many of each, or of so many bytes."""
    media = [[f"m=audio {20000 + 2 * i} RTP/AVP 0"] for i in range(n_media)]
    codecs = list(sip.CODECS) + [(96 + i % 32, f"c{i}/8000") for i in range(n_codecs)]
    text = sip.sdp(CALLER, 20000, codecs, extra=["a=x"] * n_attributes, media=media)
    return text + f"a=fill:{'z' * (size - len(text) - 9)}\r\n" if size else text


def fault_20_sdp_bomb(lab):
    """descriptions of 64 KB, of 1,000 media, 10,000 attributes, 2,000 codecs: 413, and nothing of
    them is kept"""
    a, b = lab.phone(CALLER), lab.phone(CALLEE)
    stream = StreamPhone(lab, lab.caller.name, CALLER, (INSIDE, 5060), None, "alice")
    bombs = (bomb(size=64000), bomb(n_media=1000), bomb(n_media=17), bomb(n_attributes=10000),
             bomb(n_codecs=2000))
    began = 0
    for _ in range(BOMBS):
        for phone in (a, stream):
            for text in bombs:
                d = phone.call("7000", text)
                final = d.expect("final")
                d.ack(final)
                equal(final.code, 413, f"answer to {len(text)} bytes")
        began = began or lab.rss_kb()
    b.none("INVITE")
    check(lab.rss_kb() - began < 16 << 10, f"memory: {began} to {lab.rss_kb()} KB")
    lab.clear()
    call(lab).up().talk().heard(10).quiet().whole().hang_up().gone()


class Clock:
    """What libfaketime tells a daemon of the time of day; its other clocks are true. The kernel's
    stamps on datagrams do not jump with it, so that all of them seem to have waited for an hour
    and new calls are refused: calls begin before a jump here."""

    def __init__(self, lab):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            raise tap.Skip("libfaketime is missing")
        self.path = f"{lab.dir}/offset"
        self.env = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.path,
                    "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                    "NO_FAKE_STAT": "1"}
        self.set(0)

    def set(self, seconds):
        with open(self.path + ".new", "w") as out:
            out.write(f"{seconds:+d}\n")
        os.rename(self.path + ".new", self.path)


def records(lab):
    path = f"{lab.dir}/cdr.jsonl"
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def jumped(lab, clock, offset):
    """A call while the clock jumps, with a registration and its own timers; its record."""
    clock.set(0)
    p = Registrant(lab.phone(CALLEE, user="carol"), "carol", "s3cret")
    equal(p.register(expires=60).code, 200, "answer")
    c = call(lab, b_ip="10.91.2.21", prefix="8").up().talk().heard(25)
    clock.set(offset)
    c.heard(50)
    equal(lab.metrics()["rtpfwd_registrations"], 1, "registrations")
    c.a.offer(c.a_sdp)
    equal([x["state"] for x in lab.calls()], ["up"], "calls")
    c.heard(50).quiet().whole()
    equal(p.register(expires=60).code, 200, "a nonce of before the jump, or a new one")
    c.hang_up().gone()
    return wait_for(lambda: [r for r in records(lab) if r["a"]["call_id"] == c.a.call_id], 3,
                    "its record")[0]


def fault_22_clock_jump(_):
    """the time of day jumps an hour ahead, or back: calls, audio, registrations do not notice, and
    a call lasts as long as it did"""
    with Lab(sanitized=False, name=f"{PREFIX}{os.getpid()}-clock") as lab:
        clock = Clock(lab)
        lab.start(config(lab, {"cdr": f"{lab.dir}/cdr.jsonl"}, peers=PEERS + PHONE),
                  env=clock.env)
        for offset in (HOUR, -HOUR):
            record = jumped(lab, clock, offset)
            day = seconds(record["ended"]) - seconds(record["started"])
            check(abs(day - offset) < 600, f"it saw the jump: {record}")
            check(0 < record["duration_s"] < 600, f"duration: {record}")
            lab.clear()
        equal(lab.stop(), 0, "exit status")
        lab.detached()


@contextlib.contextmanager
def small_disk(lab):
    folder = f"{lab.dir}/disk"
    os.makedirs(folder)
    sh("mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", folder)
    try:
        yield folder
    finally:
        sh("umount", "-l", folder)


def fault_23_disk_full(lab):
    """the disk of the records is full: calls and audio go on, what is lost is counted, and records
    are whole lines again when there is room"""
    lost, written = "rtpfwd_cdr_lost_total", "rtpfwd_cdr_written_total"
    with small_disk(lab) as disk:
        lab.write(config(lab, {"cdr": f"{disk}/cdr.jsonl"}, inside=INSIDE_KEYS))
        lab.ctl("reload")
        with open(f"{disk}/other", "wb") as other:
            with contextlib.suppress(OSError):
                while True:
                    os.write(other.fileno(), b"x")
        before = lab.metrics()
        c = call(lab).up().talk().heard(25)
        call(lab, a_ip="10.91.1.11", b_ip="10.91.2.21", prefix="8").up().hang_up().gone()
        wait_for(lambda: lab.metrics()[lost] == before[lost] + 1, 3, "a lost record")
        equal(os.path.getsize(f"{disk}/cdr.jsonl"), 0, "bytes of records")
        check("No space left on device: records are lost" in lab.log(), "log line")
        c.heard(25).quiet().whole()
        os.unlink(f"{disk}/other")
        c.hang_up().gone()
        wait_for(lambda: lab.metrics()[written] == before[written] + 1, 3, "a record")
        check("written again, 1 records were lost" in lab.log(), "log line")
        with open(f"{disk}/cdr.jsonl") as lines:
            equal([json.loads(x)["a"]["call_id"] for x in lines], [c.a.call_id], "records")
        lab.write(config(lab, inside=INSIDE_KEYS))
        lab.ctl("reload")


def standard_descriptors_closed(lab):
    """started without input, output and error: they are no map's or socket's, media flows through
    the userspace relay, and what is logged goes nowhere"""
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    lab.write(config(lab, inside={**INSIDE_KEYS, "xdp": "off"}, outside={"xdp": "off"}))
    lab.daemon = lab.node.popen("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh",
                                binary("rtpfwd"), "-v", "-v", "-c", lab.conf)
    lab.started.append(lab.daemon)
    wait_for(lab.answers, 15, "the daemon answers")
    for number in range(3):
        equal(os.readlink(f"/proc/{lab.daemon.pid}/fd/{number}"), "/dev/null", f"fd {number}")
    c = call(lab).up().talk().heard(25)
    c.quiet().whole()
    c.hang_up().gone()
    equal(lab.stop(), 0, "exit status")
    lab.detached()
    lab.start(config(lab, inside=INSIDE_KEYS))


TESTS = [fault_14_mixed_flood, fault_20_sdp_bomb, fault_22_clock_jump, fault_23_disk_full,
         standard_descriptors_closed]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
