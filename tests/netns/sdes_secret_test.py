#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys are told to the phones and to nobody else: everything that the daemon and its tools wrote
during calls is searched for them, as text, as bytes and as hexadecimal digits."""
import base64
import os
import signal

import sdes
import sip
import srtp
import tap
from lab import nothing_left, running
from sdes import (AES80, ALICE, ANNA, BEA, BOB, GCM128, GCM256, Key, SdesCall, between_tests, clear,
                  keys_of, phone, refused, savp)
from tap import check, equal

COMMANDS = ("show status", "show calls", "show call {id}", "explain {id}", "show flows",
            "show peers", "show drops", "doctor", "peer anna quirk show", "peer anna quirk clear",
            "call {id} relay", "call {id} direct", "call {id} auto", "call nonsense relay",
            "show nonsense", "drain", "undrain")


def settings(lab):
    return sdes.settings(lab, general={"cdr": f"{lab.dir}/cdr.jsonl", "state": f"{lab.dir}/state"})


def make():
    return running(settings, args=("-vv",), addresses=5)


class Said:
    """All that is written where people read it."""

    def __init__(self, lab):
        self.lab, self.parts = lab, {}

    def add(self, name, data):
        self.parts[name] = self.parts.get(name, b"") + \
            (data.encode() if isinstance(data, str) else data)

    def ask(self, call_id):
        """What the tools and the metrics say now."""
        for command in COMMANDS:
            for json_out in (False, True):
                done = self.lab.ctl_run(*command.format(id=call_id).split(), json_out=json_out)
                self.add(command, done.stdout + done.stderr)
        self.add("metrics", self.lab.http("/metrics")[1])
        for pid in (self.lab.daemon.pid, *children(self.lab.daemon.pid)):
            for name in ("cmdline", "environ", "comm"):
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    self.add(name, f.read())

    def read_files(self):
        """What was left behind: log, records, journal, and whatever else lies there."""
        for folder, _, names in os.walk(self.lab.dir):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not path.endswith((".pem", ".key")):
                    with open(path, "rb") as f:
                        self.add(path, f.read())

    def found(self, keys):
        """Where any of them is."""
        texts = [b"inline:"]
        for key in keys:
            digits = key.key[:8].hex()
            texts += [base64.b64encode(key.key)[:20], key.key[:12], key.key[-12:],
                      digits.encode(), digits.upper().encode(), key.key[:8].hex(" ").encode()]
        return [name for name, data in self.parts.items() if any(t in data for t in texts)]

    def lacks(self, keys):
        told = Said(self.lab)
        told.add("a phone", keys[0].line)
        equal(told.found(keys), ["a phone"], "where a key is that was told")
        equal(self.found(keys), [], "where a key is")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


def a_whole_call(lab):
    """set-up, new keys, refusals, packets in the clear, every command, a reload, and another daemon
    behind kill -9"""
    said = Said(lab)
    c = SdesCall(lab, ANNA, BEA, a_keys=[Key(AES80)], b_keys=[Key(GCM128, tag=3)]).ring()
    keys = [*c.a_keys, *c.b_keys, *c.told_b]
    said.ask(c.lab.calls()[0]["id"])
    c.answer()
    keys += c.told_a
    srtp.encrypt(c.a_rtp, c.a_keys[0], c.told_a[0])
    srtp.encrypt(c.b_rtp, c.b_keys[0], c.told_b[2])
    c.talk().heard(10).quiet()
    c.a_rtp.tx[0].sendto(c.a_rtp.packet(0), c.relay_a)      # in the clear: refused
    new, bad = Key(GCM256, tag=6), Key(AES80, tag=1, tail="|1:4")
    keys += [new, bad, *keys_of(c.a.offer(c.write("a", [new], version=2)).sdp)]
    for text in (c.write("a", [bad], version=3), c.write("a", [bad], version=4)[:-40] + "\r\n=x"):
        c.a.reinvite(text)
        c.a.ack(c.a.expect("4xx"))
    said.ask(c.show()["id"])
    lab.ctl("reload")
    lab.stop(signal.SIGKILL)
    lab.start(args=("-vv",))
    said.ask("nonsense")
    said.read_files()
    check(c.a.call_id.encode() in said.parts[lab.log_path], "the log was read")
    said.lacks(keys)


def faults(lab):
    """descriptions that cannot be read or served, and answers to what was not offered"""
    said, keys = Said(lab), []
    for tail in ("|1:4", " KDR=4", "|2^99", " UNENCRYPTED_SRTP", "|2^20|3"):
        keys.append(Key(AES80, tail=tail))
        refused(lab, ANNA, BOB, savp(sip.sdp(ANNA, 20000, extra=[keys[-1].line])))
    for text in ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline", "a=crypto", "a=crypto:1 x y z"):
        refused(lab, ANNA, BOB, savp(sip.sdp(ANNA, 20000, extra=[text])))
    keys.append(Key(AES80))
    refused(lab, ANNA, BOB, "x" + savp(sip.sdp(ANNA, 20000, extra=[keys[-1].line])), code=400)
    refused(lab, ALICE, BEA, savp(sip.sdp(ALICE, 20000, extra=[keys[-1].line])))
    keys.append(Key(AES80, tag=9))
    c = SdesCall(lab, ALICE, BEA, b_keys=[keys[-1]]).ring()
    keys += c.told_b
    c.b.reply(c.b.invite, 200, c.b_sdp)
    c.a.ack(c.a.expect(488))
    c.b.expect("ACK")
    c.b.expect_bye()
    c.gone()
    clear(lab)
    # Not SIP, or nearly: what is wrong with it is logged without it.
    a = phone(lab, ANNA)
    keys.append(Key(AES80))
    a.send_raw(b"INVITE sip:7@x SIP/2.0\r\nContent-Length: 500000\r\n\r\n" + keys[-1].line.encode())
    b = lab.phone(ALICE)
    b.send_raw(b"INVITE sip:7@x SIP/2.0\r\n" + keys[-1].line.encode() + b"\r\n\r\n")
    tap.wait_for(lambda: lab.metrics()["rtpfwd_sip_malformed_total"] >= 1, 3, "malformed")
    said.ask("nonsense")
    said.read_files()
    said.lacks(keys)


TESTS = (faults, a_whole_call)

if __name__ == "__main__":
    tap.run(TESTS, make, between_tests, nothing_left)
