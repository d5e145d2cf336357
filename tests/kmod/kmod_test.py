#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's 6.1 and 6.12 kernels in a virtual machine: the module's tests, and the fast path's.

The module is built for both; each is booted twice (QEMU, without hardware virtualisation): for
the programs of tests/kmod and, without the module, the packet fixtures of tests/bpf; then for the
daemon and phones (endtoend.py). Prints TAP. Less of it: KERNEL=6.1, TEST=part of a program's name.
"""
import glob
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools", "kmod"))
import debian    # noqa: E402
import endtoend  # noqa: E402
import guest     # noqa: E402

BUILD = os.path.join(TOP, "tools", "kmod", "build")
LIMIT, STEP_LIMIT = 1500, 480    # seconds
MODULES = ("veth", "bridge", "8021q", "aesni-intel", "ghash-clmulni-intel", "sha1-ssse3", "ctr",
           "gcm", "ghash-generic")
# libsrtp2 of Debian gets its ciphers from libnss3, which opens these.
OPENED = ("libsoftokn3.*", "libfreebl3.*", "libfreeblpriv3.*")
HELPERS = ("vectors", "hinder")
FIXTURES = ("verdict_test", "drops_test", "ipv6_test", "learn_test", "marks_test", "report_test",
            "vlan_test", "publish_test", "property_test", "payload_test", "again_test", "fit_test")
VECTORS = """#!/bin/sh
insmod /modules/vectors.ko && rmmod vectors && dmesg | sed -n 's/.*vectors: //p'
"""
TROUBLE = re.compile(r"WARNING:|BUG:|BUG |Oops:|general protection|Call Trace:|refcount_t:|"
                     r"Objects remaining|rtpfwd: (?!loading out-of-tree|module verification)")
RESULT = re.compile(r"^(not ok|ok) \d+ (?:- )?(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)$", re.MULTILINE)


class Tap:
    def __init__(self):
        self.count = self.bad = 0

    def add(self, good, name, note="", said=""):
        for line in said.splitlines():
            print("# " + line)
        self.count += 1
        self.bad += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}{note}", flush=True)

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.bad else 0


def load_build():
    loader = importlib.machinery.SourceFileLoader("build", BUILD)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
    loader.exec_module(module)
    return module


def programs():
    """{name: path, or None if it is written here}: with the module, then without."""
    ours = sorted(glob.glob(f"{TOP}/tests/kmod/*_test.c"))
    names = [os.path.basename(p)[:-2] for p in ours]
    found = {"vectors": None}
    found.update({n: f"{TOP}/build/{'san/' * n.startswith('fast')}tests/kmod/{n}" for n in names})
    found.update({n: f"{TOP}/build/san/tests/bpf/{n}" for n in FIXTURES})
    only = os.environ.get("TEST", "")
    return {name: path for name, path in found.items() if only in name}


def build_helpers(build, kernel):
    """Modules of the tests: the ciphers alone, and what makes allocations fail; their paths."""
    folder = os.path.join(TOP, "build", "kmod", kernel.release, "vectors")
    build.mirror(folder, "tests/kmod/Kbuild", ("kmod", "tests/kmod"))
    build.kbuild(kernel.kdir, folder)
    return [f"{folder}/{name}.ko" for name in HELPERS]


def furnish(machine, module):
    """What every program of tests/kmod needs."""
    for name in MODULES:
        machine.module(name)
    for name in OPENED:
        machine.archive.library(name)
    machine.archive.copy(module, "modules/rtpfwd.ko")


def without_types(module):
    """The module as a build without pahole or of another kernel's types would have it."""
    path = os.path.join(os.path.dirname(module), "untyped.ko")
    subprocess.run(["objcopy", "-R", ".BTF", module, path], check=True)
    return path


def prepare(kernel, module, helpers):
    machine = guest.Guest(kernel, os.path.join(TOP, "build", "kmod", kernel.release, "guest"))
    furnish(machine, module)
    for path in helpers + [without_types(module)]:
        machine.archive.copy(path, f"modules/{os.path.basename(path)}")
    machine.archive.add("test/vectors", VECTORS.encode())
    for name, path in programs().items():
        if path:
            machine.archive.program(path, f"test/{name}")
        machine.step(name, name, STEP_LIMIT)
    machine.step("dmesg", "dmesg", STEP_LIMIT)
    return machine


def judge(tap, label, name, code, output):
    """Passes on the results of one program; cmocka says what was wrong behind the result."""
    plan, seen, said, bad = PLAN.search(output), 0, [], False
    for line in output.splitlines():
        match = RESULT.match(line)
        if not match:
            said.append(line)
            if bad:
                print("# " + line)
            continue
        seen += 1
        bad = match.group(1) != "ok"
        if bad:     # Python says what was wrong before the result, cmocka behind it
            print("\n".join("# " + x.lstrip("# ") for x in said[-60:]))
        skipped = re.match(r"# SKIP (.*)", match.group(2))
        test = skipped.group(1) if skipped else match.group(2)
        tap.add(not bad, f"{label} {name}/{test}",
                f" # SKIP {' '.join(said[-1:])}" if skipped else "")
        said = []
    if plan is None or seen < int(plan.group(1)) or code != 0:
        tap.add(False, f"{label} {name}", f": exit status {code}, {seen} tests run",
                "\n".join(said[-60:]))


def test_kernel(tap, build, kernel):
    label = kernel.label
    try:
        module, said = build.build(kernel.kdir, kernel.release, kernel.btf)
        helpers = build_helpers(build, kernel)
    except build.Failed as fault:
        tap.add(False, f"{label} builds", "", str(fault))
        return
    tap.add("warning:" not in said, f"{label} builds", "", said if "warning:" in said else "")
    names = list(programs())
    if names:
        run(tap, label, prepare(kernel, module, helpers), names)
    names, why = endtoend.names(label), endtoend.missing()
    if names and why:
        tap.add(True, f"{label} calls", f" # SKIP {why}")
    elif names:
        run(tap, f"{label} calls:", endtoend.prepare(kernel, module, names), names)


def run(tap, label, machine, names):
    """Boots it, and judges those steps and what its kernel said."""
    found, console = machine.boot(LIMIT)
    tap.add("dmesg" in found, f"{label} boots and ends", "",
            "" if "dmesg" in found else "\n".join(console.splitlines()[-60:]))
    before = 0.0
    for name in names:
        code, output, uptime = found.get(name, (None, "", before))
        judge(tap, label, name, code, output)
        print(f"# {name}: {max(uptime - before, 0):.1f} s")
        before = uptime or before
    log = found.get("dmesg", (None, "", 0))[1] + console
    bad = [line for line in log.splitlines() if TROUBLE.search(line)]
    tap.add("dmesg" in found and not bad, f"{label} dmesg has neither WARN nor BUG", "",
            "\n".join(bad[:40]))


def main():
    tap = Tap()
    why = guest.missing()
    kernels, faults = ([], []) if why else debian.fetch()
    if why:
        tap.add(True, "kernels", f" # SKIP {why}")
    for fault in faults:
        tap.add(True, fault.split(":")[0], f" # SKIP {fault}")
    build = load_build()
    for kernel in kernels:
        if os.environ.get("KERNEL", kernel.label) != kernel.label:
            continue
        test_kernel(tap, build, kernel)
    return tap.end()


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
