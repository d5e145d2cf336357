#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The controller dies or is told to hang up while media moves, or while it is direct: nobody loses
audio by that, and nothing of the call is left for ever."""
import signal

import moving
import tap
from lab import nothing_left
from moving import Moving, call
from tap import check, equal, wait_for

LEASE = 5


def make():
    return moving.make(general={"lease": str(LEASE)})


def returned(c, signo):
    """Audio over the end of the controller and its return."""
    c.lab.stop(signo)
    c.heard(20)
    c.lab.start(args=("-v",))
    c.heard(20)


def unknown(c):
    """The node does not know the call; once its media has ended nothing of it is left."""
    equal(c.lab.calls(), [], "calls known")
    c.a.request("BYE")
    equal(c.a.expect("final").code, 481, "answer to BYE")
    c.lost(0)
    wait_for(lambda: not leased(c.lab), LEASE + 20, "ports given back")


def leased(lab):
    metrics = lab.metrics()
    return sum(metrics[f'rtpfwd_ports{{realm="{realm}",state="used"}}']
               for realm in ("inside", "outside"))


def direct_over_end(lab, signo):
    c = call(lab).direct()
    returned(c, signo)
    new = Moving(lab, c.a_phone, c.b_phone, lab.number()).up()
    check(not {new.relay_a, new.relay_b} & {c.relay_a, c.relay_b}, "ports handed out twice")
    new.hang_up().gone()
    unknown(c)


def direct_kill_9(lab):
    """SIGKILL while direct: audio goes on; nobody else gets the ports until the lease ends"""
    direct_over_end(lab, signal.SIGKILL)


def direct_sigterm(lab):
    """SIGTERM is no different"""
    direct_over_end(lab, signal.SIGTERM)


def half_moved(lab):
    c = call(lab).up().talk().heard(5)
    c.sb.accept(c.sb.told())
    return c, c.sa.told()


def pitfall_67_move_2_kill_9(lab):
    """SIGKILL when half moved: the leg that still sends here is heard on and on"""
    c, msg = half_moved(lab)
    returned(c, signal.SIGKILL)
    c.a.reply(msg, 200, c.sa.sdp())
    c.sa.follow(msg.sdp)
    c.heard(10)
    unknown(c)


def drain_kill_9(lab):
    """SIGKILL while the entries wait for silence: they do not stay for ever"""
    c = call(lab).up().talk().heard(5)
    c.move_out()
    c.shows(path="draining")
    returned(c, signal.SIGKILL)
    unknown(c)


def hangup_in_each_state(lab):
    """the operator's `hangup` with an offer of ours open: both get BYE, a late 200 gets its ACK"""
    for moved in (False, True):
        c = call(lab).up().talk().heard(2)
        side = c.sb
        msg = c.sb.told()
        if moved:
            side = c.sa
            c.sb.accept(msg)
            msg = c.sa.told()
        lab.ctl("call", c.show()["id"], "hangup")
        c.a.expect_bye()
        c.b.expect_bye()
        side.dialog.reply(msg, 200, side.sdp())
        side.dialog.expect("ACK")
        side.dialog.none("INVITE", seconds=0.3)
        c.gone()
        lab.clear()


def end_with_an_offer_held(lab):
    """the caller's offer waits for ours to the callee, which hangs up: it is answered yet"""
    c = call(lab).up().talk().heard(2)
    msg = c.sb.told()
    c.a.reinvite(c.sa.sdp(port=c.a_rtp.port + 2))
    c.shows(path="moving")
    wait_for(lambda: ("offer_waits", "move_1", "a", None) in c.trail(c.show()), 3, "the offer held")
    c.a_rtp.stop()
    c.b_rtp.stop()
    c.b.request("BYE")
    equal(c.b.expect("final").code, 200, "answer to BYE")
    c.a.expect_bye()
    final = c.a.expect("final")
    c.a.ack(final)
    check(final.code >= 400, "answer to the offer", final)
    c.b.reply(msg, 488)
    c.b.expect("ACK")
    c.gone()


TESTS = [direct_kill_9, direct_sigterm, pitfall_67_move_2_kill_9, drain_kill_9,
         hangup_in_each_state, end_with_an_offer_held]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
