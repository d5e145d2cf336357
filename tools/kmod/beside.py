# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast path and rtpengine's kernel module in one virtual machine: same packets, same kernel."""
import glob
import os
import re
import shutil
import statistics
import subprocess

import debian
import guest
import kmod_test

PACKAGES = ["rtpengine-kernel-dkms", "rtpengine-iptables"]
MODULES = ("sch_ingress", "cls_bpf", "x_tables", "ip_tables", "iptable_filter")
PLUGINS = "usr/lib/x86_64-linux-gnu/xtables"
ROWS = (("RTP", "rtp"), ("RTP to SRTP (AES_CM_128_HMAC_SHA1_80)", "srtp"))


def missing():
    for program, package in (("rtpengine", "rtpengine-daemon"), ("iptables-legacy", "iptables")):
        if not shutil.which(program):
            return f"no {program} (package {package})"
    return ""


def fetch():
    """Their module's source and its plugin for iptables, unpacked."""
    root = os.path.join(debian.TOP, "build", "kmod", "rtpengine-source")
    if not os.path.exists(f"{root}/ready"):
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(f"{root}/debs")
        debian.Apt().download(PACKAGES, f"{root}/debs")
        for package in glob.glob(f"{root}/debs/*.deb"):
            debian.run(["dpkg-deb", "-x", package, root])
        with open(f"{root}/ready", "w"):
            pass
    return root


def build_theirs(build, kernel, root):
    """Their module, unchanged, for one kernel; its path."""
    folder = os.path.join(debian.TOP, "build", "kmod", kernel.release, "rtpengine")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(debian.one(f"{root}/usr/src/rtpengine-*"), folder)
    build.kbuild(kernel.kdir, folder)
    return f"{folder}/xt_RTPENGINE.ko"


def furnish(machine, theirs, root):
    for name in MODULES:
        machine.module(name)
    machine.archive.copy(theirs, "modules/xt_RTPENGINE.ko")
    for name in ("rtpengine", "iptables-legacy"):
        machine.archive.program(shutil.which(name), f"bin/{name}")
    machine.archive.copy(f"{root}/{PLUGINS}/libxt_RTPENGINE.so", f"{PLUGINS}/libxt_RTPENGINE.so")
    machine.archive.folder("run")
    machine.archive.program(f"{debian.TOP}/build/tests/kmod/beside", "test/beside")


def measure(build, kernel, words, limit):
    """{row: instructions per packet, the median of its runs}"""
    module, _ = build.build(kernel.kdir, kernel.release, kernel.btf)
    root = fetch()
    machine = guest.Guest(kernel, os.path.join(debian.TOP, "build", "kmod", kernel.release,
                                               "beside"))
    kmod_test.furnish(machine, module)
    furnish(machine, build_theirs(build, kernel, root), root)
    machine.step("beside", "beside", limit)
    machine.words, machine.cpus = words, "1"
    found, console = machine.boot(limit, ["-icount", "shift=0,sleep=off"])
    code, output, _ = found.get("beside", (None, console, 0))
    rows = {}
    for name, value in re.findall(r"^beside (\S+) (\d+)$", output, re.MULTILINE):
        rows.setdefault(name, []).append(int(value))
    if code != 0:
        raise debian.Unavailable(f"exit status {code}\n{output[-3000:]}\n{console[-2000:]}")
    return {name: statistics.median(values) for name, values in rows.items()}


def table(rows):
    """Lines of text: each side less the same injection without a relay, and the ratio."""
    for title, kind in ROWS:
        ours = rows[f"rtpfwd_{kind}"] - rows["base_xdp"]
        theirs = rows[f"rtpengine_{kind}"] - rows["base_skb"]
        yield f"  {title:<46}{ours:>10.0f}{theirs:>11.0f}{theirs / ours:>18.1f}"
