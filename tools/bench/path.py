# SPDX-License-Identifier: GPL-2.0-or-later
"""Each way through the fast path, alone."""
import os

from lab import TOP, Lab, config
from tap import Failed

TAG = """
[tagged]
type = realm
interface = tag0
bind = udp:10.91.7.1:5060
media = 10.91.7.1
ports = 10000-10999
vlan = 5
xdp = generic
"""


def prepare(lab):
    """A third network of the node, and neighbours that need not be asked for."""
    lab.node("ip", "link", "add", "tag0", "type", "veth", "peer", "name", "tag1")
    lab.node("ip", "addr", "add", "10.91.7.1/24", "dev", "tag0")
    for dev in ("tag0", "tag1"):
        lab.node("ip", "link", "set", dev, "up")
    for dev, net, six in (("in0", "10.91.1", "2001:db8:91:1"), ("out0", "10.91.2", "2001:db8:91:2"),
                          ("tag0", "10.91.7", "")):
        for ip in (f"{net}.32", f"{six}::20") if six else (f"{net}.32",):
            lab.node("ip", "neigh", "replace", ip, "lladdr", "02:91:07:00:00:20", "dev", dev,
                     "nud", "permanent")


def run(quick):
    with Lab(sanitized=False, name=f"rtpfwd-bench{os.getpid()}") as lab:
        prepare(lab)
        realms = ({"media": f"10.91.{n}.1, 2001:db8:91:{n}::1", "xdp": "generic"} for n in (1, 2))
        inside, outside = realms
        lab.write(config(lab, inside=inside, outside=outside) + TAG)
        done = lab.node(f"{TOP}/build/path_bench", lab.conf, 3 if quick else 7, check=False,
                        timeout=300)
    if done.returncode:
        raise Failed(done.stderr.strip())
    print()
    print(done.stdout, end="", flush=True)
