# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual machine that runs test programs of this host under another kernel, and nothing else.

Its root is an archive in memory: busybox, the kernel's modules that are asked for, programs with
the libraries they need. What the programs print comes back by the second serial port; the first
is the kernel's console.
"""
import glob
import lzma
import os
import re
import shutil
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
QEMU = "qemu-system-x86_64"
MEMORY = "1024"
CPUS = "2"
# Both processors by one thread. With one for each, QEMU 7.2 on a busy host now and then goes on
# running what the other one has patched, an int3 in the place of a static key, and both stand.
ACCELERATOR = "tcg,thread=single"
# A crash ends the machine; freed memory is poisoned, and each kind of object has its own.
KERNEL_WORDS = "console=ttyS0 quiet panic=-1 oops=panic slab_nomerge slub_debug=FZP"
APPLETS = ("mount", "insmod", "rmmod", "dmesg", "poweroff", "timeout", "cat", "sleep", "ls", "grep",
           "rm", "mkdir", "seq", "sed")
TOOLS = ("ip", "ethtool", "sysctl")
INIT = """#!/bin/sh
export PATH=/test:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t bpf bpf /sys/fs/bpf
exec </dev/null >/dev/ttyS1 2>&1
export CMOCKA_MESSAGE_OUTPUT=TAP QUICK=1
ip link set lo up
for m in {modules}; do insmod /modules/$m.ko; done
{steps}
poweroff -f
"""
STEP = """echo "@begin {name}"
timeout {limit} {command}
echo "@end {name} $? $(cat /proc/uptime)"
"""


def missing():
    """Why no machine can be run here; empty: one can."""
    if not shutil.which(QEMU):
        return f"no {QEMU} (package qemu-system-x86)"
    if not os.path.exists("/bin/busybox"):
        return "no /bin/busybox (package busybox-static)"
    return ""


class Archive:
    """A cpio archive (newc, Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.entries = {}       # name: (mode, content)

    def folder(self, name):
        while name:
            self.entries.setdefault(name, (0o040755, b""))
            name = os.path.dirname(name)

    def add(self, name, content, mode=0o100755):
        self.folder(os.path.dirname(name))
        self.entries[name] = (mode, content)

    def link(self, name, target):
        self.add(name, target.encode(), 0o120777)

    def copy(self, path, name=None):
        with open(path, "rb") as f:
            self.add(name or path.lstrip("/"), f.read())

    def program(self, path, name=None):
        """A program and what it is linked with."""
        self.copy(path, name)
        out = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             check=False, universal_newlines=True).stdout
        for library in re.findall(r"(/\S+) \(0x", out):
            if library.lstrip("/") not in self.entries:
                self.copy(library)

    def library(self, name):
        """One that a program opens when it runs, which ldd does not tell."""
        for path in glob.glob(f"/usr/lib/*/{name}") + glob.glob(f"/usr/lib/*/*/{name}"):
            self.program(path)

    def write(self, path):
        with open(path, "wb") as f:
            for number, name in enumerate(sorted(self.entries) + ["TRAILER!!!"]):
                mode, content = self.entries.get(name, (0, b""))
                fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
                head = b"070701" + b"".join(b"%08X" % x for x in fields) + name.encode() + b"\0"
                f.write(head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4))


class Guest:
    def __init__(self, kernel, folder):
        self.kernel = kernel
        self.folder = folder
        self.modules = []
        self.steps = []
        self.words = KERNEL_WORDS
        self.cpus, self.memory = CPUS, MEMORY
        self.archive = Archive()
        for name in ("proc", "sys", "dev", "tmp", "test", "modules"):
            self.archive.folder(name)
        self.archive.copy("/bin/busybox", "bin/busybox")
        for applet in APPLETS:
            self.archive.link(f"bin/{applet}", "busybox")
        # Not busybox's shell: that one prefers its own `ip`, which knows no veth.
        self.archive.program("/bin/dash", "bin/sh")
        for tool in TOOLS:
            path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")
            if path:
                self.archive.program(path, f"bin/{tool}")

    def module(self, name):
        """A module of this kernel, behind those that it depends on. Built in: nothing to do."""
        if name in self.modules:
            return
        spelled = re.sub("[-_]", "[-_]", name)
        found = glob.glob(f"{self.kernel.modules}/**/{spelled}.ko*", recursive=True)
        if not found:
            return
        with open(found[0], "rb") as f:
            content = f.read()
        if found[0].endswith(".xz"):
            content = lzma.decompress(content)
        depends = re.search(rb"\0depends=([^\0]*)\0", content)
        for other in depends.group(1).decode().split(",") if depends else ():
            if other:
                self.module(other)
        self.archive.add(f"modules/{name}.ko", content)
        self.modules.append(name)

    def step(self, name, command, limit):
        self.steps.append(STEP.format(name=name, command=command, limit=limit))

    def boot(self, limit, options=()):
        """{step: (exit status or None, output, uptime)} and what the console said."""
        os.makedirs(self.folder, exist_ok=True)
        self.archive.add("init", INIT.format(modules=" ".join(self.modules),
                                             steps="".join(self.steps)).encode())
        paths = {x: os.path.join(self.folder, x) for x in ("initrd", "console", "output")}
        self.archive.write(paths["initrd"])
        argv = [QEMU, "-accel", ACCELERATOR, "-cpu", "max", "-M", "q35", "-m", self.memory,
                "-smp", self.cpus, "-nodefaults", "-display", "none", "-no-reboot",
                "-serial", f"file:{paths['console']}", "-serial", f"file:{paths['output']}",
                "-kernel", self.kernel.image, "-initrd", paths["initrd"], "-append",
                self.words] + list(options)
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, check=False, timeout=limit)
        except subprocess.TimeoutExpired:
            pass
        os.remove(paths["initrd"])
        return results(read(paths["output"])), read(paths["console"])


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace", newline="") as f:
        return f.read().replace("\r", "")


def results(text):
    found = {}
    for part in re.split(r"^@begin ", text, flags=re.MULTILINE)[1:]:
        name, _, output = part.partition("\n")
        end = re.search(r"^@end \S+ (\d+) ([\d.]+)", output, re.MULTILINE)
        found[name] = (int(end.group(1)), output[:end.start()], float(end.group(2))) if end else \
            (None, output, 0.0)
    return found
