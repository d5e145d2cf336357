# SPDX-License-Identifier: GPL-2.0-or-later
"""A real phone that we did not write: linphone-daemon, which plays a file into its calls."""
import os
import subprocess

import tone
from tap import Failed, wait_for

CONFIG = """
[sip]
sip_port=5060
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
guess_hostname=1
contact=sip:{user}@{ip}
inc_timeout=60
[net]
mtu=1300
[rtp]
audio_rtp_port=20000
[sound]
echocancellation=0
[video]
enabled=0
"""


class Linphone:
    def __init__(self, lab, ns, ip, user, frequency, answers=False):
        self.ns, self.ip, self.user, self.frequency = ns, ip, user, frequency
        self.folder = os.path.join(lab.dir, f"linphone-{len(lab.started)}")
        os.makedirs(self.folder + "/.local/share/linphone")
        self.wav = self.folder + "/tone.wav"
        tone.write(self.wav, frequency, 60)
        with open(self.folder + "/rc", "w") as out:
            out.write(CONFIG.format(user=user, ip=ip))
        env = {**os.environ, "HOME": self.folder, "XDG_DATA_HOME": self.folder + "/.local/share",
               "XDG_CONFIG_HOME": self.folder}
        self.path = self.folder + "/said"
        with open(self.path, "w") as out:
            self.process = ns.popen(
                "linphone-daemon", "--config", self.folder + "/rc", "--disable-stats-events",
                *(["--auto-answer"] if answers else []), stdin=subprocess.PIPE, stdout=out,
                stderr=out, env=env, cwd=self.folder, universal_newlines=True, bufsize=1)
        lab.started.append(self.process)
        self.command("version")

    def said(self):
        with open(self.path, errors="replace") as f:
            return f.read()

    def command(self, text, timeout=10):
        """What it answers; Failed where that is an error."""
        before = len(self.said())
        self.process.stdin.write(text + "\n")
        wait_for(lambda: "Status: " in self.said()[before:], timeout,
                 lambda: f"linphone answers {text!r}: {self.said()[-2000:]}")
        answer = self.said()[before:]
        if "Status: Ok" not in answer:
            raise Failed(f"linphone: {text}: {answer}")
        return answer

    def until(self, command, text, timeout=15):
        wait_for(lambda: text in self.command(command), timeout,
                 lambda: f"{command} says {text}: {self.said()[-2000:]}")

    def register(self, domain, secret):
        self.command(f"register sip:{self.user}@{domain} sip:{domain} {secret}")
        self.until("register-status ALL", "LinphoneRegistrationOk")

    def state(self, text, timeout=15):
        """Waits until its one call is in that state."""
        self.until("call-status", text, timeout)

    def call(self, uri):
        self.command(f"call {uri}")
        self.state("LinphoneCallStreamsRunning")

    def play(self):
        """Its tone into the call, from the beginning."""
        self.state("LinphoneCallStreamsRunning")
        self.command(f"incall-player-start {self.wav}")

    def hold(self):
        self.command("call-pause")
        self.event("LinphoneCallPaused\n")

    def resume(self):
        self.command("call-resume 1")
        self.state("LinphoneCallStreamsRunning")

    def event(self, name, timeout=15):
        wait_for(lambda: f"Event: {name}" in self.said(), timeout,
                 lambda: f"{name}: {self.said()[-2000:]}")

    def ended(self):
        self.event("LinphoneCallEnd")

    def received(self):
        """Datagrams that its sockets took: it has no other way to tell that works without a sound
        card."""
        udp = [line.split() for line in self.ns("cat", "/proc/net/snmp").stdout.splitlines()
               if line.startswith("Udp:")]
        return int(dict(zip(*udp))["InDatagrams"])

    def stop(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
