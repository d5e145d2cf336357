# SPDX-License-Identifier: GPL-2.0-or-later
"""What the node has received of the one call of phones that tell nothing themselves."""
import time

from tap import equal, wait_for

ENOUGH = 100    # packets of audio: two seconds


def received(lab):
    """Packets of each stream from the caller, then from the callee."""
    calls = lab.calls()
    equal(len(calls), 1, "calls")
    return [stream["rx_packets"] for side in "ab" for stream in calls[0][side]["streams"]]


def more(lab, packets=ENOUGH):
    """So many more in every stream of both sides."""
    before = received(lab)
    wait_for(lambda: all(got >= was + packets for got, was in zip(received(lab), before)), 20,
             lambda: f"{packets} more packets than {before}: {received(lab)}")


def silent(lab):
    """None for a second: neither of them sends while the call is held."""
    last = {"count": None, "since": 0}

    def still():
        count = received(lab)
        if count != last["count"]:
            last["count"], last["since"] = count, time.monotonic()
        return time.monotonic() - last["since"] > 1
    wait_for(still, 10, lambda: f"silence: {last}")


def over(lab):
    wait_for(lambda: not lab.calls() and not lab.flows(), 5, "no call and no flow")
