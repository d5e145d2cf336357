# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab of tests/netns within a virtual machine: the daemon as users run it, its module loaded,
scripted phones and real ones, under a kernel of Debian's.

The daemon here is not the sanitized one: QEMU is slow enough without that.
"""
import glob
import os
import re
import shutil

import guest

TOP = guest.TOP
HERE = os.path.join(TOP, "tests", "kmod")
MEMORY = "2048"
SLOW = "10"             # limits of the lab grow by so much
STEP_LIMIT = 900        # seconds
FOLDER = "rtpfwd"       # of the machine: a small copy of this tree
# What is loaded on demand elsewhere. There is nobody to ask for it.
MODULES = ("veth", "nf_tables", "nft_ct", "nft_socket", "nft_objref", "aesni-intel",
           "ghash-clmulni-intel", "sha1-ssse3", "ctr", "gcm", "ghash-generic")
PROGRAMS = ("nsenter", "stat", "openssl", "nft", "baresip")
PHONE_MODULES = ("account", "aufile", "ausine", "ctrl_tcp", "g711", "menu", "sndfile", "srtp")
# Opened by name when they are needed, which ldd does not tell.
OPENED = ("libsrtp2.so.1", "libsoftokn3.*", "libfreebl3.*", "libfreeblpriv3.*", "libgcc_s.so.1")
PYTHON = "/usr/bin/python3"
NOT_OF_PYTHON = re.compile(r"/(config-[^/]*|test|idlelib|lib2to3|tkinter|turtledemo|ensurepip|"
                           r"distutils|pydoc_data|unittest|dist-packages)/")
OURS = ("calls", "contexts")
PUBLISHED = "controller/media/README.md"    # which spray_test reads
KERNELS = ("6.1", "6.12")
STEPS = {
    "calls": ("lab kmod/calls", KERNELS),
    "phones": ("lab netns/srtp_test real_phones", KERNELS),
    "spray": ("lab netns/spray_test sprayed", KERNELS[:1]),     # what it asks of is the daemon's
    "unloaded": ("unloaded", KERNELS),
}
LAB = f"""#!/bin/sh
export RUNG=kmod SLOW={SLOW} TEST="$2" PYTHONDONTWRITEBYTECODE=1
exec {PYTHON} /{FOLDER}/tests/$1.py
"""
# What the kernel has to say of objects that were left it says then.
UNLOADED = """#!/bin/sh
echo 1..1
for i in $(seq 100); do
	rmmod rtpfwd && echo "ok 1 - nothing_holds_the_module" && exit 0
	sleep 0.1
done
echo "not ok 1 - nothing_holds_the_module"
exit 1
"""


def missing():
    """What of the machine's programs is not here; empty: nothing."""
    return ", ".join(f"no {name}" for name in PROGRAMS if not shutil.which(name))


def put_python(archive):
    archive.program(os.path.realpath(PYTHON), PYTHON.lstrip("/"))
    for root in glob.glob("/usr/lib/python3.*"):
        for folder, _, names in os.walk(root):
            if NOT_OF_PYTHON.search(folder + "/"):
                continue
            for name in names:
                path = os.path.join(folder, name)
                (archive.program if name.endswith(".so") else archive.copy)(path)


def put_phone(archive):
    for folder in glob.glob("/usr/lib/baresip/modules"):
        for name in PHONE_MODULES:
            archive.program(f"{folder}/{name}.so")


def put_lab(archive):
    for path in glob.glob(f"{TOP}/tests/netns/*.py") + [f"{HERE}/{n}.py" for n in OURS]:
        archive.copy(path, f"{FOLDER}/{os.path.relpath(path, TOP)}")
    archive.copy(f"{TOP}/{PUBLISHED}", f"{FOLDER}/{PUBLISHED}")
    for name in ("rtpfwd", "rtpfwd-ctl"):
        archive.program(f"{TOP}/build/{name}", f"{FOLDER}/build/{name}")
    archive.link(f"{FOLDER}/build/san", ".")
    archive.add("test/lab", LAB.encode())
    archive.add("test/unloaded", UNLOADED.encode())
    archive.copy("/etc/ssl/openssl.cnf")
    archive.link("usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf")


def names(label):
    """The steps under that kernel, less those that TEST leaves out."""
    only = os.environ.get("TEST", "")
    return [n for n, (_, kernels) in STEPS.items() if label in kernels and only in n]


def prepare(kernel, module, wanted):
    machine = guest.Guest(kernel, os.path.join(TOP, "build", "kmod", kernel.release, "endtoend"))
    machine.memory = MEMORY
    for name in MODULES:
        machine.module(name)
    machine.archive.copy(module, "modules/rtpfwd.ko")
    machine.modules.append("rtpfwd")
    for name in PROGRAMS:
        machine.archive.program(shutil.which(name), f"bin/{name}")
    for name in OPENED:
        machine.archive.library(name)
    for name in ("run/netns", "usr/bin"):
        machine.archive.folder(name)
    put_python(machine.archive)
    put_phone(machine.archive)
    put_lab(machine.archive)
    for name in wanted:
        machine.step(name, STEPS[name][0], STEP_LIMIT)
    machine.step("dmesg", "dmesg", STEP_LIMIT)
    return machine
