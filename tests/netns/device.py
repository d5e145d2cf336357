# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripted phones with a voice: they play a tone as G.711, listen for one, and do with re-INVITEs
what they were made for."""
import array
import audioop
import math
import threading

import rtp
import sip
import tone
from phone import Dialog
from tap import Failed, wait_for


CODECS = ((0, "PCMU/8000"), (101, "telephone-event/8000"))


class Voice(rtp.RtpEnd):
    """An end that sends a tone instead of numbers."""

    hertz = 440

    def packet(self, index):
        first = index * rtp.PAYLOAD
        wave = array.array("h", (int(10000 * math.sin(2 * math.pi * self.hertz * i / tone.RATE))
                                 for i in range(first, first + rtp.PAYLOAD)))
        head = rtp.rtp_packet(self.pt, self.seq0 + index, first, self.ssrc, index, index == 0)[:12]
        return head + audioop.lin2ulaw(wave.tobytes(), 2)


def voice(lab, ip, hertz):
    ns = lab.caller if ip.startswith("10.91.1.") else lab.callee
    end = Voice(lab.engine, ns.name, ip, next(lab.media_ports))
    end.hertz = hertz
    lab.ends.append(end)
    return end


def judged(end, hertz):
    """What an end heard, as a recording is judged."""
    pcm = b"".join(audioop.ulaw2lin(g[4][12:], 2) for g in list(end.rtp.got))
    return tone.Heard.of_samples(tone.RATE, array.array("h", pcm), hertz)


class Device:
    """Answers calls. `manner` with re-INVITEs: "refuses" (488) or "swallows"."""

    def __init__(self, lab, ip, hertz, manner):
        self.manner, self.ended = manner, False
        self.phone = lab.phone(ip)
        self.end = voice(lab, ip, hertz)
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.running = True
        self.thread.start()

    def live(self):
        while self.running and not self.ended:
            try:
                self.phone.pump(0.02)
            except OSError:     # the lab is being taken down
                return
            while self.phone.backlog:
                self.take(self.phone.backlog.pop(0))

    def take(self, msg):
        if msg.method == "INVITE" and msg.tag("to") is None and not msg.repeat:
            self.answer(msg)
        elif msg.method == "INVITE" and msg.tag("to") and self.manner == "refuses":
            self.dialog.reply(msg, 488)
        elif msg.method == "BYE":
            self.dialog.reply(msg, 200)
            self.end.stop()
            self.ended = True

    def answer(self, msg):
        self.dialog = Dialog.of_invite(self.phone, msg)
        self.dialog.reply(msg, 180)
        self.dialog.reply(msg, 200, sip.sdp(self.phone.ip, self.end.port, CODECS))
        self.end.start(msg.sdp.rtp(), msg.sdp.rtcp())

    def heard(self, hertz):
        return judged(self.end, hertz)


class Caller:
    """Calls a number, and agrees to nothing but what it has."""

    def __init__(self, lab, ip, hertz, number):
        self.phone = lab.phone(ip)
        self.end = voice(lab, ip, hertz)
        self.dialog = self.phone.call(number, sip.sdp(ip, self.end.port, CODECS))
        answer = self.dialog.expect(200)
        self.dialog.ack(answer)
        self.end.start(answer.sdp.rtp(), answer.sdp.rtcp())

    def heard(self, hertz):
        return judged(self.end, hertz)

    def hang_up(self):
        self.end.stop()
        self.dialog.bye()


def both_hear(a, b, seconds, say):
    """Both hear the other's tone for so many further seconds."""
    for phone in (a, b):
        phone.end.rtp.forget()
    want = int(seconds * 50)
    wait_for(lambda: all(len(p.end.rtp.got) >= want for p in (a, b)), seconds + 5,
             lambda: f"{want} packets each; heard {[len(p.end.rtp.got) for p in (a, b)]}")
    for phone, other in ((a, b), (b, a)):
        heard = phone.heard(other.end.hertz)
        say(f"   {phone.phone.ip} hears the other's {other.end.hertz} Hz: {heard}")
        if not heard.good(0.8 * seconds):
            raise Failed(f"{phone.phone.ip} does not hear {other.phone.ip}")
