#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that sends SIP as fast as told until it is ended: INVITE, REGISTER, OPTIONS and garbage
by turns, each of them new.

  flood.py FROM-IP TO-IP PER-SECOND
"""
import itertools
import os
import socket
import sys
import time

BURST = 100     # far below what a veth's ring holds


def message(method, source, to, i):
    return (f"{method} sip:1{i}@{to} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {source}:5099;branch=z9hG4bKflood{i}\r\n"
            f"From: <sip:f{i}@{source}>;tag=f{i}\r\nTo: <sip:1{i}@{to}>\r\n"
            f"Call-ID: flood{i}@{source}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n"
            f"Contact: <sip:f@{source}:5099>\r\nContent-Length: 0\r\n\r\n").encode()


def main(source, to, rate):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 5099))
    began = time.monotonic()
    for i in itertools.count():
        method = ("INVITE", "REGISTER", "OPTIONS", None)[i % 4]
        data = message(method, source, to, i) if method else b"INVITE " + os.urandom(200)
        sock.sendto(data, (to, 5060))
        if i % BURST == 0:
            time.sleep(max(0, began + i / rate - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
