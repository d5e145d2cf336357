# SPDX-License-Identifier: GPL-2.0-or-later
"""Half a million flows: what they cost the controller."""
import json
import os

import figures
from figures import Spread
from lab import CALLEE, CALLEE6, CALLER, CALLER6, INSIDE6, OUTSIDE6, TOP, Lab, config
from tap import Failed

SIDES = (("in0", "10.91.1", INSIDE6), ("out0", "10.91.2", OUTSIDE6))


def media(lab, dev, net, six):
    """Four addresses of IPv4 and one of IPv6 for each realm."""
    found = [f"{net}.{n}" for n in (1, 101, 102, 103)]
    for ip in found[1:]:
        lab.node("ip", "addr", "add", f"{ip}/24", "dev", dev)
    return ", ".join(found + [six])


def measure(lab):
    done = lab.node(f"{TOP}/build/scale_bench", lab.conf, f"{CALLER}:1", f"{CALLEE}:1",
                    f"[{CALLER6}]:1", f"[{CALLEE6}]:1", check=False, timeout=120)
    if done.returncode:
        raise Failed(f"scale_bench: {done.stderr.strip()}")
    return json.loads(done.stdout)


def rows(runs):
    def row(title, pick, form="{:.2f}"):
        return [title, Spread([pick(r) for r in runs]).text(form)]

    one = runs[0]
    return [
        [f"{one['flows']:,} flows, 10 addresses", "CPU, median (least-most)"],
        row("us to add one", lambda r: r["add_us"] / r["flows"]),
        row("us to remove one", lambda r: r["remove_us"] / r["flows"]),
        row(f"ms to read all counters of {one['swept']:,}", lambda r: r["sweep_us"] / 1000,
            "{:.1f}"),
        row("  memcpy of the same lines", lambda r: r["copy_us"] / 1000, "{:.1f}"),
        row("MB of the maps", lambda r: r["maps_kb"] / 1024, "{:.0f}"),
        row("MB of the process, maps included", lambda r: r["rss_kb"] / 1024, "{:.0f}"),
    ]


def run(quick):
    with Lab(sanitized=False, name=f"rtpfwd-bench{os.getpid()}") as lab:
        inside, outside = ({"media": media(lab, *side), "ports": "10000-59999", "xdp": "generic"}
                           for side in SIDES)
        lab.write(config(lab, inside=inside, outside=outside))
        runs = [measure(lab) for _ in range(1 if quick else 5)]
    print()
    for line in figures.table(rows(runs)):
        print(line, flush=True)
