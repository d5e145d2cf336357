#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""XDP modes: ends without NAPI, and each mode by configuration."""
import contextlib
import time

import tap
from calls import call
from lab import Lab, config, nothing_left
from tap import check, equal, wait_for


@contextlib.contextmanager
def make():
    """Every test makes the lab that it needs."""
    yield None


def modes(lab):
    return {i["name"]: i["xdp"] for r in lab.ctl("show", "status")["realms"]
            for i in r["interfaces"]}


def mode_metric(lab, mode):
    metrics = lab.metrics()
    return {dev: next(v for k, v in metrics.items() if k.startswith("rtpfwd_xdp_mode{") and
                      f'interface="{dev}"' in k and f'mode="{mode}"' in k)
            for dev in ("in0", "out0")}


def ended(lab):
    equal(lab.stop(), 0, "exit status after SIGTERM")
    lab.detached()


def auto_without_napi(_):
    """xdp=auto, ends that native redirect cannot reach: falls to generic, audio flows"""
    with Lab(napi=False) as lab:
        lab.start(config(lab))
        c = call(lab).up().talk()
        wait_for(lambda: modes(lab) == {"in0": "generic", "out0": "generic"}, 20,
                 lambda: f"generic everywhere: {modes(lab)}")
        c.heard(25)
        c.quiet()
        for end in (c.a_rtp, c.b_rtp):
            end.rtp.forget()
            end.rtcp.forget()
        c.talk().heard(50).quiet().whole()
        equal(mode_metric(lab, "generic"), {"in0": 1, "out0": 1}, "rtpfwd_xdp_mode generic")
        equal(mode_metric(lab, "native"), {"in0": 0, "out0": 0}, "rtpfwd_xdp_mode native")
        c.hang_up().gone()
        ended(lab)


def auto_with_napi(_):
    """xdp=auto, ends with NAPI: native, and it stays so"""
    whole_in_mode("auto", "native")


def forced_generic(_):
    """xdp=generic where native could be: generic"""
    whole_in_mode("generic", "generic")


def forced_native(_):
    """xdp=native: native"""
    whole_in_mode("native", "native")


def whole_in_mode(configured, shown):
    with Lab() as lab:
        xdp = {"xdp": configured}
        lab.start(config(lab, inside=xdp, outside=xdp))
        c = call(lab).up().talk().heard(50)
        equal(modes(lab), {"in0": shown, "out0": shown}, "modes")
        equal(mode_metric(lab, shown), {"in0": 1, "out0": 1}, "rtpfwd_xdp_mode")
        c.quiet().whole()
        c.hang_up().gone()
        ended(lab)


def doctor_says(lab):
    one = next(f for f in lab.ctl("doctor") if f["check"] == "xdp in0")
    return one["ok"], one["found"]


def doctor_of_generic(_):
    """doctor: generic mode is found wanting, unless the configuration wants it"""
    with Lab(napi=False) as lab:
        lab.start(config(lab))
        equal(doctor_says(lab), (False, "generic, driver veth: the other end of in0 takes no "
                                  "redirected frames"), "xdp = auto")
        ended(lab)
        lab.start(config(lab, inside={"xdp": "generic"}, outside={"xdp": "generic"}))
        equal(doctor_says(lab), (True, "generic, driver veth: xdp = generic"), "xdp = generic")
        ended(lab)


def tx_failed_counted(_):
    """xdp=native, ends without NAPI: what the egress refuses is counted as tx_failed"""
    with Lab(napi=False) as lab:
        xdp = {"xdp": "native"}
        lab.start(config(lab, inside=xdp, outside=xdp))
        c = call(lab).up()
        before = lab.drops()["tx_failed"]
        c.talk()
        began = time.monotonic()
        wait_for(lambda: len(c.a_rtp.rtp.sent) >= 50, 5, "50 packets sent")
        c.quiet()
        sent = sum(h.next for e in (c.a_rtp, c.b_rtp) for h in (e.rtp, e.rtcp))
        heard = sum(len(h.got) for e in (c.a_rtp, c.b_rtp) for h in (e.rtp, e.rtcp))
        wait_for(lambda: lab.drops()["tx_failed"] - before >= sent - heard, 5,
                 lambda: f"tx_failed of {sent - heard}: {lab.drops()}")
        equal(lab.drops()["tx_failed"] - before, sent - heard, "tx_failed")
        tap.diag(f"{sent} sent, {heard} heard in {time.monotonic() - began:.1f} s")
        c.hang_up().gone()
        ended(lab)


def off(_):
    """xdp=off: no program on the interface, audio flows; other interfaces are generic"""
    with Lab() as lab:
        lab.start(config(lab, inside={"xdp": "off"}, outside={"xdp": "auto"}))
        c = call(lab).up().talk().heard(25).quiet().whole()
        equal(modes(lab), {"in0": "off", "out0": "generic"}, "modes")
        equal(mode_metric(lab, "off"), {"in0": 1, "out0": 0}, "rtpfwd_xdp_mode off")
        check("xdp" not in lab.node("ip", "link", "show", "dev", "in0").stdout, "program on in0")
        c.hang_up().gone()
        ended(lab)


def off_and_on_again(_):
    """a restart takes the program off an interface that is to have none, and puts it back"""
    with Lab() as lab:
        lab.start(config(lab))
        c = call(lab).up().talk().heard(10)
        for xdp, shown in (("off", "off"), ("auto", "native"), ("off", "off")):
            lab.stop()
            lab.start(config(lab, inside={"xdp": xdp}, outside={"xdp": xdp}))
            c.heard(10)
            equal(modes(lab), {"in0": shown, "out0": shown}, "modes")
        c.quiet()
        c.a.request("BYE")
        ended(lab)


TESTS = [auto_with_napi, auto_without_napi, forced_generic, forced_native, doctor_of_generic,
         tx_failed_counted, off, off_and_on_again]

if __name__ == "__main__":
    tap.run(TESTS, make, final=nothing_left)
