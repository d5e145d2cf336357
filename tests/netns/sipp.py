# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp as caller and callee."""
import csv
import os
import socket
import subprocess

import netns
from tap import Failed, wait_for

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sipp")


class Sipp:
    """One process running a scenario of sipp/, or the one in `xml`, in a namespace; `kind`: UDP's
    or TCP's ports."""

    def __init__(self, lab, ns, scenario, ip, calls, *args, port=5060, timeout=60,
                 kind=socket.SOCK_DGRAM, xml=None):
        self.scenario, self.ns, self.ip, self.port = scenario, ns, ip, port
        self.kind, self.folder = kind, lab.dir
        tag = f"{lab.dir}/{scenario}-{len(lab.started)}"
        self.stats_path, self.errors_path = tag + ".csv", tag + ".err"
        path = f"{FOLDER}/{scenario}.xml"
        if xml:
            path = tag + ".xml"
            with open(path, "w") as out:
                out.write(xml)
        self.process = ns.popen(
            "sipp", "-nostdin", "-sf", path, "-i", ip, "-mi", ip, "-p", port,
            "-m", calls, "-buff_size", 8388608, "-timeout", timeout, "-timeout_error", "-trace_err",
            "-error_file", self.errors_path, "-trace_stat", "-fd", 1, "-stf", self.stats_path,
            *args, cwd=lab.dir, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        lab.started.append(self.process)

    def listening(self):
        """Waits until the port is taken."""
        def taken():
            if self.process.poll() is not None:
                raise Failed(f"sipp {self.scenario} ended: {self.process.stderr.read()}")
            with netns.inside(self.ns.name):
                sock = socket.socket(socket.AF_INET, self.kind)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind((self.ip, self.port))
                return False
            except OSError:
                return True
            finally:
                sock.close()
        wait_for(taken, 5, f"sipp {self.scenario} listens")
        return self

    def end(self, timeout=60):
        """Its exit status: 0 when every call went as the scenario says."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stats(self):
        """The last line of its statistics by column; empty before its first second is over."""
        if not os.path.exists(self.stats_path):
            return {}
        with open(self.stats_path) as f:
            rows = list(csv.DictReader(f, delimiter=";"))
        return rows[-1] if rows else {}

    def response_times(self):
        """Where -trace_rtt writes."""
        return f"{self.folder}/{self.scenario}_{self.process.pid}_rtt.csv"

    def errors(self):
        if not os.path.exists(self.errors_path):
            return ""
        with open(self.errors_path, errors="replace") as f:
            return f.read()[:2000]

    def count(self, column):
        return int(self.stats().get(column, 0))
