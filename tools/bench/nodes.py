# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: programs that take calls at INSIDE and make them to CALLEE, one at a time in
the node's namespace of a lab."""
import os
import re
import shutil
import subprocess

from figures import histogram
from lab import CALLEE, INSIDE, OUTSIDE, Lab, config
from netns import udp
from tap import Failed, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
# Ports enough that neither their number nor the 10 s for which one rests is the limit: 8 addresses
# of 25,000 pairs carry 18,000 calls/s.
MEDIA = 8
PORTS = (10000, 59999)
CONTROL = "127.0.0.1:2223"
CLIENTS = f"""
[caller]
type = peer
realm = inside
host = 10.91.1.10
canreinvite = no
[callee]
type = peer
realm = outside
host = {CALLEE}
canreinvite = no
[out]
type = route
from = inside
match = _7X.
to = callee
"""


def media(realm_address):
    """Media addresses of a realm: its own, and those behind it."""
    net, _, first = realm_address.rpartition(".")
    return [f"{net}.{int(first) + i}" for i in range(MEDIA)]


def lab():
    made = Lab(sanitized=False, name=f"rtpfwd-bench{os.getpid()}")
    made.more_media = [(dev, ip) for dev, own in (("in0", INSIDE), ("out0", OUTSIDE))
                       for ip in media(own)[1:]]
    return made


class Node:
    """Programs to start, end, and look at from outside."""
    title, first_rate = "", 1000

    def __init__(self, made):
        self.lab = made
        self.running = []

    def start(self):
        raise NotImplementedError

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running = []

    def restart(self):
        """A step that failed leaves calls behind: the next one begins with none."""
        self.stop()
        self.start()

    def spawn(self, name, *argv):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
        if not path:
            raise Failed(f"{name} is missing: tools/setup --bench")
        with open(f"{self.lab.dir}/{name}.log", "a") as log:
            process = self.lab.node.popen(path, *argv, stdout=log, stderr=log,
                                          stdin=subprocess.DEVNULL)
        self.lab.started.append(process)
        self.running.append(process)
        return process

    def pids(self):
        """Its processes, and the children of these."""
        found = [p.pid for p in self.running]
        for pid in found:
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                found += [int(child) for child in children.read().split()]
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_kb(self):
        """Resident; what processes share is counted once."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += int(re.search(r"Pss:\s+(\d+)", rollup.read()).group(1))
        return total

    def setup_times(self):
        """Its own histogram from INVITE to INVITE (figures.histogram); None: it has none."""
        return None

    def taken(self, ip, port):
        """Does one of its programs have that UDP port?"""
        for process in self.running:
            if process.poll() is not None:
                raise Failed(f"{self.title}: {process.args} ended with {process.returncode}")
        try:
            udp(self.lab.node.name, ip, port).close()
            return False
        except OSError:
            return True


class Rtpfwd(Node):
    title, first_rate = "rtpfwd", 2800
    holds = 50000

    def start(self):
        for dev, ip in self.lab.more_media:
            self.lab.node("ip", "addr", "replace", f"{ip}/24", "dev", dev)
        wide = {"ports": "{}-{}".format(*PORTS)}
        # The calls have no RTP: those that are held would be ended for that.
        text = config(self.lab, general={"max_calls": "1000000", "rtptimeout": "0"},
                      inside={**wide, "media": ", ".join(media(INSIDE))},
                      outside={**wide, "media": ", ".join(media(OUTSIDE))})
        self.running = [self.lab.start(text)]

    def stop(self):
        if not self.running:
            return
        self.running = []
        self.lab.stop()
        self.lab.run("-c", self.lab.conf, "-D")

    def setup_times(self):
        return histogram(self.lab.metrics())


class Kamailio(Node):
    title, first_rate = "kamailio", 2000
    holds = 50000
    flags = ()

    def start(self):
        with open(f"{HERE}/kamailio.cfg") as template:
            text = template.read()
        for name, value in (("NODE", f"{INSIDE}:5060"), ("CALLEE", f'"{CALLEE}:5060"'),
                            ("CONTROL", f'"udp:{CONTROL}"')):
            text = re.sub(rf"(?<=[ :(]){name}(?=[);\n])", value, text)
        path = f"{self.lab.dir}/kamailio.cfg"
        with open(path, "w") as out:
            out.write(text)
        self.spawn("kamailio", "-f", path, "-DD", "-E", "-m", 2048, "-Y", self.lab.dir,
                   *self.flags)
        wait_for(lambda: self.taken(INSIDE, 5060), 15, "kamailio listens")


class Relayed(Kamailio):
    title, first_rate = "kam.+rtpengine", 500
    holds = 4000        # four sockets each, of 20,000 descriptors
    flags = ("-A", "RTPENGINE")

    def start(self):
        host, port = CONTROL.split(":")
        self.spawn("rtpengine", "--config-file=none", "--table=-1", "--foreground",
                   "--log-stderr", "--log-level=2", "--delete-delay=0",
                   f"--interface=inside/{INSIDE}", f"--interface=outside/{OUTSIDE}",
                   f"--listen-ng={CONTROL}", f"--port-min={PORTS[0]}", f"--port-max={PORTS[1]}")
        wait_for(lambda: self.taken(host, int(port)), 15, "rtpengine listens")
        super().start()
