# SPDX-License-Identifier: GPL-2.0-or-later
"""What rtpfwd.ko tells of its contexts (kmod/rtpfwd_nl.h), asked by generic netlink."""
import socket
import struct

import netns

NETLINK_GENERIC, GENL_ID_CTRL = 16, 16
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 1, 0x300, 2, 3
CMD_GET = 4
NUMBERS = {2: "id", 3: "direction", 4: "suite", 7: "cookie", 8: "pinned", 9: "overlap"}
STREAM, COUNTERS = 11, 12
COUNTED = ("protected", "protected_rtcp", "unprotected", "unprotected_rtcp", "former")
PROTECT, UNPROTECT = 1, 2


def attributes(data):
    """(type, content) of each."""
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]


def number(content):
    return int.from_bytes(content, "little")


def request(sock, family, command, flags, body=b""):
    """What is answered: the attributes of each message."""
    sock.send(struct.pack("=IHHIIBBH", 20 + len(body), family, NLM_F_REQUEST | flags, 1, 0,
                          command, 1, 0) + body)
    while True:
        data = sock.recv(1 << 16)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == NLMSG_ERROR:
                code = -struct.unpack_from("=i", data, 16)[0]
                raise OSError(code, "the module's answer")
            if kind == NLMSG_DONE:
                return
            yield list(attributes(data[20:length]))
            data = data[(length + 3) & ~3:]
        if not flags:
            return


def context(found):
    """Its numbers, its senders by SSRC and what it counted, by name."""
    told = {NUMBERS[kind]: number(content) for kind, content in found if kind in NUMBERS}
    for kind, content in found:
        if kind == COUNTERS:
            values = dict(attributes(content))
            told.update({name: number(values[i + 1]) for i, name in enumerate(COUNTED)})
    told["senders"] = sum(kind == STREAM for kind, _ in found)
    return told


def listed(ns):
    """{id: context} of that namespace."""
    with netns.inside(ns):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
    name = b"rtpfwd\0"
    asked = struct.pack("=HH", 4 + len(name), CTRL_ATTR_FAMILY_NAME) + name + b"\0"
    with sock:
        answer = next(request(sock, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, asked))
        family = number(dict(answer)[CTRL_ATTR_FAMILY_ID])
        found = [context(a) for a in request(sock, family, CMD_GET, NLM_F_DUMP)]
    return {c["id"]: c for c in found}
