# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's cloud kernels, unpacked under build/kernels/: image, modules, headers.

Nothing is installed, no root is needed, versions come from apt at the time. A kernel that is there
is left as it is, until `make clean`.
"""
import fcntl
import glob
import os
import re
import shutil
import struct
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STORE = os.path.join(TOP, "build", "kernels")
METAS = ("linux-image-cloud-amd64", "linux-image-6.12-cloud-amd64")
LZ4 = b"\x02\x21\x4c\x18"


class Unavailable(Exception):
    """A kernel cannot be had here; the text says why."""


class Kernel:
    """One unpacked kernel."""

    def __init__(self, root):
        self.root = root
        self.image = one(f"{root}/boot/vmlinuz-*")
        self.release = os.path.basename(self.image)[len("vmlinuz-"):]
        self.label = ".".join(self.release.split(".")[:2])      # 6.1
        self.kdir = f"{root}/usr/src/linux-headers-{self.release}"
        self.modules = f"{root}/lib/modules/{self.release}/kernel"
        self.btf = f"{root}/btf"

    def resolver(self):
        """resolve_btfids of its own kbuild package; None: that one has none."""
        found = glob.glob(f"{self.root}/usr/lib/linux-kbuild-*/tools/bpf/resolve_btfids/"
                          "resolve_btfids")
        return found[0] if found else None


def one(pattern):
    found = glob.glob(pattern)
    if len(found) != 1:
        raise Unavailable(f"{pattern}: {len(found)} found")
    return found[0]


def run(argv, **options):
    """Output of a command; Unavailable with its last words when it fails."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              universal_newlines=True, timeout=300, **options)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise Unavailable(f"{argv[0]}: {fault}") from fault
    if done.returncode:
        raise Unavailable(f"{argv[0]}: {' '.join(done.stdout.split())[-200:]}")
    return done.stdout


class Apt:
    """apt as whoever we are; with lists of our own when the system's are missing or too old."""

    def __init__(self):
        self.options = []

    def refresh(self):
        state = os.path.join(STORE, "apt")
        os.makedirs(f"{state}/lists/partial", exist_ok=True)
        os.makedirs(f"{state}/cache/archives/partial", exist_ok=True)
        self.options = ["-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache",
                        "-o", "APT::Sandbox::User="]
        try:
            run(["apt-get", "-q"] + self.options + ["update"])
        except Unavailable:     # the download says so better
            pass

    def depends(self, package):
        out = run(["apt-cache"] + self.options + ["depends", "--important", package])
        return re.findall(r"^ +\|?Depends: (\S+)$", out, re.MULTILINE)

    def wanted(self, meta):
        """Packages of one kernel: image, headers, and what the headers cannot do without."""
        images = [p for p in self.depends(meta) if p.startswith("linux-image-")]
        if not images:
            raise Unavailable("not known to apt")
        image = images[0]
        headers = image.replace("-image-", "-headers-")
        return [image, headers] + [p for p in self.depends(headers)
                                   if re.match(r"linux-(headers|kbuild)-", p)]

    def download(self, packages, folder):
        run(["apt-get", "-q", "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"] +
            self.options + ["download"] + packages, cwd=folder)


def vmlinux_of(image):
    """The kernel within a bzImage (Documentation/arch/x86/boot.rst); None: packed otherwise."""
    with open(image, "rb") as f:
        data = f.read()
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (data[0x1f1] + 1) * 512 + offset
    payload = data[start:start + length - 4]
    if not payload.startswith(LZ4):
        return None
    if not shutil.which("lz4"):
        raise Unavailable("no lz4 here")
    return subprocess.run(["lz4", "-dc"], input=payload, stdout=subprocess.PIPE, check=True).stdout


def extract_btf(kernel):
    """Types of the kernel: headers bring them as `vmlinux`, or else the image has them."""
    shipped, unpacked = f"{kernel.kdir}/vmlinux", f"{kernel.root}/vmlinux"
    if os.path.exists(shipped):
        source = shipped
    else:
        content = vmlinux_of(kernel.image)
        if not content:
            raise Unavailable(f"{kernel.release}: no vmlinux in its headers, image not lz4")
        source = unpacked
        with open(unpacked, "wb") as f:
            f.write(content)
    run(["objcopy", "--dump-section", f".BTF={kernel.btf}", source, "/dev/null"])
    if source == unpacked:
        os.remove(unpacked)


def unpack(packages, root):
    for package in packages:
        run(["dpkg-deb", "-x", package, root])
    kernel = Kernel(root)
    # Debian's includes the common part by absolute path, and there it is not.
    makefile = f"{kernel.kdir}/Makefile"
    with open(makefile) as f:
        text = f.read()
    os.remove(makefile)
    with open(makefile, "w") as f:
        f.write(text.replace("/usr/src/", os.path.dirname(kernel.kdir) + "/"))
    extract_btf(kernel)


def fetch_one(apt, meta):
    packages = apt.wanted(meta)
    root = os.path.join(STORE, packages[0])
    if not os.path.exists(f"{root}/ready"):
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(f"{root}/debs")
        apt.download(packages, f"{root}/debs")
        unpack(glob.glob(f"{root}/debs/*.deb"), root)
        shutil.rmtree(f"{root}/debs")
        with open(f"{root}/ready", "w") as f:
            f.write("\n".join(packages) + "\n")
    return Kernel(root)


def stored():
    found = [Kernel(os.path.dirname(r)) for r in glob.glob(f"{STORE}/*/ready")]
    return sorted(found, key=lambda k: int(k.label.split(".")[1]))


def fetch():
    """(kernels of METAS, oldest first; why others cannot be had)."""
    os.makedirs(STORE, exist_ok=True)
    with open(f"{STORE}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if len(stored()) >= len(METAS):
            return stored(), []
        apt, faults = Apt(), []
        for meta in METAS:
            fault = attempt(apt, meta) and (apt.refresh() or attempt(apt, meta))
            faults += [f"{meta}: {fault}"] if fault else []
        return stored(), faults


def attempt(apt, meta):
    """Why not; empty: it is there."""
    try:
        fetch_one(apt, meta)
    except Unavailable as fault:
        return str(fault)
    return ""
