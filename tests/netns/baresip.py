# SPDX-License-Identifier: GPL-2.0-or-later
"""A real phone that we did not write: baresip, headless, plays a tone and records what it hears."""
import glob
import json
import os
import socket
import subprocess

import netns
import sip
import tone
from tap import SLOW, Failed, wait_for

CONFIG = """
poll_method epoll
sip_listen {host}:5060
net_interface eth0
audio_player nil
audio_source aufile,{folder}/tone.wav
audio_alert aufile,{folder}/tone.wav
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
audio_level no
rtp_ports {ports}
rtcp_enable yes
jitter_buffer_delay 1-5
module_path {modules}
module g711.so
module aufile.so
module ausine.so
module sndfile.so
snd_path {folder}/heard
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:4444
"""
# A picture of its own making, and a display that shows it to nobody.
VIDEO = """
module vp8.so
module fakevideo.so
video_source fakevideo,nil
video_display fakevideo,nil
video_size 176x144
video_bitrate 128000
video_fps 10
"""
FOLDERS = ("/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules")


class Baresip:
    def __init__(self, lab, ns, ip, user, frequency, answers=False, seconds=60, account=None,
                 transport=None, cafile=None, mediaenc=None, codecs="PCMU/8000/1", video=False):
        """`account`: (domain, secret) with which it registers, over `transport`; `cafile`: whom it
        believes where that is TLS; `mediaenc`: of its srtp module, "srtp", "srtp-mand" or
        "srtp-mandf"; `video`: sends and takes VP8."""
        self.ns, self.ip, self.user, self.frequency = ns, ip, user, frequency
        self.folder = os.path.join(lab.dir, f"baresip-{user}")
        os.makedirs(self.folder + "/heard")
        tone.write(self.folder + "/tone.wav", frequency, seconds)
        modules = next((f for f in FOLDERS if os.path.isdir(f)), FOLDERS[0])
        self._write("config", CONFIG.format(host=sip.host(ip), folder=self.folder, modules=modules,
                                            ports="20000-20100") +
                    (f"sip_cafile {cafile}\n" if cafile else "") +
                    ("module srtp.so\n" if mediaenc else "") + (VIDEO if video else ""))
        mode = ";answermode=auto" if answers else ""
        if account:
            mode += f";auth_user={user};auth_pass={account[1]}"
        mode += f";mediaenc={mediaenc}" if mediaenc else ""
        domain = account[0] if account else sip.host(ip)
        domain += f";transport={transport}" if transport else ""
        self._write("accounts", f"<sip:{user}@{domain}>;"
                    f"regint={60 if account else 0};audio_codecs={codecs}{mode}\n")
        self._write("contacts", "")
        self.control = None
        with open(self.folder + "/log", "w") as log:
            self.process = ns.popen("baresip", "-f", self.folder, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)
        lab.started.append(self.process)

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as out:
            out.write(text)

    def log(self):
        with open(self.folder + "/log", errors="replace") as log:
            return log.read()

    def ready(self, timeout=10):
        wait_for(lambda: "baresip is ready" in self.log() or self.process.poll() is not None,
                 timeout, lambda: f"baresip {self.user} is ready: {self.log()}")
        if self.process.poll() is not None:
            raise Failed(f"baresip {self.user} ended: {self.log()}")
        self.control = netns.tcp(self.ns.name, (self.ip, 4444))
        return self

    def command(self, name, params=""):
        """A netstring of JSON; events that come between are not waited for."""
        text = json.dumps({"command": name, "params": params, "token": name}).encode()
        self.control.sendall(b"%d:%s," % (len(text), text))
        data = b""
        while b'"token":"%s"' % name.encode() not in data:
            try:
                part = self.control.recv(65536)
            except socket.timeout:
                part = b""
            if not part:
                raise Failed(f"baresip {self.user}: no answer to {name}: {data!r}")
            data += part
        if b'"ok":true' not in data:
            raise Failed(f"baresip {self.user}: {name} refused: {data!r}")

    def dial(self, uri):
        self.command("dial", uri)

    def hangup(self):
        self.command("hangup")

    def wait_log(self, text, timeout=10):
        wait_for(lambda: text in self.log(), timeout,
                 lambda: f"baresip {self.user} says {text!r}; said:\n{self.log()[-2000:]}")

    def heard(self, frequency):
        """Judges the recording of what came in."""
        files = sorted(glob.glob(self.folder + "/heard/*-dec.wav"))
        return tone.Heard(files[-1] if files else self.folder + "/nothing", frequency)

    def heard_in_all(self, frequency):
        """Seconds of that tone in all that it recorded: hold and resume begin new files."""
        files = glob.glob(self.folder + "/heard/*-dec.wav")
        return sum(tone.Heard(f, frequency).tone for f in files)

    def stop(self):
        if self.control:
            self.control.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
