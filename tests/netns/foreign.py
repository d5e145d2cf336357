# SPDX-License-Identifier: GPL-2.0-or-later
"""An XDP program of somebody else's on an interface: it passes everything on."""
import ctypes
import os
import socket
import struct

import netns

LIB = ctypes.CDLL("libbpf.so.1", use_errno=True)
PROG_TYPE_XDP, ATTACH_XDP = 6, 37
GENERIC, NATIVE = 2, 4                                  # XDP_FLAGS_SKB_MODE, XDP_FLAGS_DRV_MODE
PASS = struct.pack("<QQ", 2 << 32 | 0xb7, 0x95)         # r0 = XDP_PASS; exit


class LinkOptions(ctypes.Structure):
    """struct bpf_link_create_opts, up to what is used of it."""
    _fields_ = [("sz", ctypes.c_size_t), ("flags", ctypes.c_uint32)]


def done(what, value):
    if value < 0:
        raise OSError(-value if value != -1 else ctypes.get_errno(), what)
    return value


class Foreign:
    """`by_link`: attached by a BPF link, of which netlink says nothing."""

    def __init__(self, ns, dev, flags=NATIVE, by_link=False):
        self.ns, self.dev, self.flags, self.link = ns, dev, flags, None
        self.fd = done("load", LIB.bpf_prog_load(PROG_TYPE_XDP, b"foreign", b"GPL", PASS, 2, None))
        with netns.inside(ns.name):
            index = socket.if_nametoindex(dev)
            if by_link:
                opts = LinkOptions(ctypes.sizeof(LinkOptions), flags)
                self.link = done("link", LIB.bpf_link_create(self.fd, index, ATTACH_XDP,
                                                             ctypes.byref(opts)))
            else:
                done("attach", LIB.bpf_xdp_attach(index, self.fd, flags, None))

    def there(self):
        return "prog/xdp id" in self.ns("ip", "-d", "link", "show", "dev", self.dev).stdout

    def remove(self):
        if self.link is None:
            self.ns("ip", "link", "set", "dev", self.dev, "xdpgeneric" if self.flags == GENERIC
                    else "xdpdrv", "off")
        else:
            os.close(self.link)
        os.close(self.fd)
