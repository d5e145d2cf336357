# SPDX-License-Identifier: GPL-2.0-or-later
"""A control group whose processes get a part of one core."""
import os

from tap import Failed

V1, V2 = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"
PERIOD_US = 10000       # their pauses stay far below what a caller notices


class Share:
    """`with Share(name, 0.25) as share: share.take(pids)`"""

    def __init__(self, name, part):
        self.path = os.path.join(V1 if os.path.isdir(V1) else V2, name)
        self.quota = int(PERIOD_US * part)

    def __enter__(self):
        try:
            os.mkdir(self.path)
            if self.path.startswith(V1):
                self.set("cpu.cfs_period_us", PERIOD_US)
                self.set("cpu.cfs_quota_us", self.quota)
            else:
                self.set("cpu.max", f"{self.quota} {PERIOD_US}")
        except OSError as why:
            self.__exit__()
            raise Failed(f"no control group for CPU time: {why}") from why
        return self

    def __exit__(self, *_):
        if not os.path.isdir(self.path):
            return
        with open(os.path.join(self.path, "cgroup.procs")) as left:
            for pid in left.read().split():
                put(os.path.dirname(self.path), "cgroup.procs", pid)
        os.rmdir(self.path)

    def set(self, key, value):
        put(self.path, key, value)

    def take(self, pids):
        for pid in pids:
            self.set("cgroup.procs", pid)


def put(folder, key, value):
    # Not created where there is none: then this kernel or its set-up has no such control.
    with open(os.path.join(folder, key), "r+") as out:
        out.write(str(value))
