#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Far ends that do not answer our offers, and what else takes long: all of these calls run at once,
each with phones of its own, and each test looks at one of them."""
import contextlib
import threading

import moving
import tap
from lab import nothing_left
from moving import Moving
from tap import check, equal

CALLS = 10
PEERS = "".join(f"""
[a{i}]
type = peer
realm = inside
host = 10.91.1.{10 + i}
canreinvite = yes
[b{i}]
type = peer
realm = outside
host = 10.91.2.{20 + i}
canreinvite = yes
[to-b{i}]
type = route
from = a{i}
to = b{i}
""" for i in range(CALLS))


def talking(lab, i):
    c = Moving(lab, lab.phone(f"10.91.1.{10 + i}"), lab.phone(f"10.91.2.{20 + i}"), lab.number())
    return c.up().talk().heard(5)


def end(c):
    c.heard(10).lost()
    c.hang_up().gone()


def both_ended(c, timeout=40):
    c.a.expect_bye(timeout)
    c.b.expect_bye(timeout)
    c.gone()


def move_1_timeout_alive(lab, i):
    """the first leg swallows the offer, but its media lives: nobody moved, the call goes on"""
    c = talking(lab, i)
    c.sb.told()
    c.is_relayed("PEER_TIMEOUT", 40)
    equal(c.sources("a"), [c.relay_a], "where the caller's audio came from")
    end(c)


def move_1_timeout_dead(lab, i):
    """the first leg swallows the offer and sends no media: both are ended"""
    c = talking(lab, i)
    c.sb.told()
    c.b_rtp.stop()
    both_ended(c)


def move_2_timeout_alive(lab, i):
    """the second leg swallows the offer, but its media lives: the first is brought back"""
    c = talking(lab, i)
    c.sb.accept(c.sb.told())
    c.sa.told()
    msg = c.sb.told(40)
    equal(msg.sdp.rtp(), c.relay_b, "address told to b")
    c.sb.accept(msg)
    c.is_relayed("PEER_TIMEOUT")
    end(c)


def move_2_timeout_dead(lab, i):
    """the second leg swallows the offer and sends no media: both are ended"""
    c = talking(lab, i)
    c.sb.accept(c.sb.told())
    c.sa.told()
    c.a_rtp.stop()
    both_ended(c)


def move_1_provisional_then_silence(lab, i):
    """100 and then nothing (pitfall 47): CANCEL after 16 s; its 487 is a refusal"""
    c = talking(lab, i)
    msg = c.sb.told()
    c.b.reply(msg, 100)
    cancel = c.b.expect("CANCEL", 20)
    c.b.reply(cancel, 200)
    c.sb.refuse(msg, 487)
    c.is_relayed("PEER_REFUSED_487")
    end(c)


def move_1_provisional_never_final(lab, i):
    """no answer to the CANCEL either: a timeout, and the call goes on"""
    c = talking(lab, i)
    msg = c.sb.told()
    c.b.reply(msg, 100)
    c.b.reply(c.b.expect("CANCEL", 20), 200)
    c.is_relayed("PEER_TIMEOUT", 60)
    end(c)


def move_1_late_answer(lab, i):
    """a 200 long after we gave up: ACK, and the leg is told the relay again"""
    c = talking(lab, i)
    msg = c.sb.told()
    c.is_relayed("PEER_TIMEOUT", 40)
    c.sb.follow(msg.sdp)
    c.b.reply(msg, 200, c.sb.sdp())
    c.b.expect("ACK")
    back = c.sb.told()
    equal(back.sdp.rtp(), c.relay_b, "address told to b")
    equal(back.sdp.version, msg.sdp.version + 1, "version: the late 200 took that of ours")
    c.sb.accept(back)
    c.is_relayed("PEER_TIMEOUT")
    end(c)


def back_timeout_dead(lab, i):
    """a leg does not answer on the way back, and is not heard here: both are ended"""
    c = talking(lab, i)
    c.move_out()
    c.is_direct()
    lab.ctl("call", c.show()["id"], "relay")
    c.sa.told()
    c.sb.accept(c.sb.told())
    both_ended(c)


def back_timeout_alive(lab, i):
    """a leg does not answer on the way back, but comes: it is asked again, and keeps its call"""
    c = talking(lab, i)
    c.move_out()
    c.is_direct()
    lab.ctl("call", c.show()["id"], "relay")
    c.sa.follow(c.sa.told().sdp)
    c.sb.accept(c.sb.told())
    again = c.sa.told(45)
    equal(again.sdp.rtp(), c.relay_a, "address told to a")
    c.sa.accept(again)
    c.is_relayed("OPERATOR")
    end(c)


def pitfall_59_refresh_while_direct(lab, i):
    """pitfall 59: our session refresh of a direct call has the description in force, as it was"""
    a, b = lab.phone(f"10.91.1.{10 + i}"), lab.phone(f"10.91.2.{20 + i}")
    c = Moving(lab, a, b, lab.number())
    c.a = a.call(c.number, c.a_sdp, headers=[("Supported", "timer"),
                                             ("Session-Expires", "90;refresher=uas")])
    c.a.expect(100)
    c.b = b.incoming(c.number)
    c.b_offer = c.b.invite.sdp
    c.relay_b = c.b_offer.rtp()
    c.answer().talk().heard(5)
    c.sb.accept(c.sb.told())
    second = c.sa.told()
    check(second.get("session-expires"), "the offer refreshes the session, too")
    c.sa.follow(second.sdp)
    c.a.reply(second, 200, c.sa.sdp(), headers=[
        ("Require", "timer"), ("Session-Expires", second.get("session-expires"))])
    c.a.expect("ACK")
    c.is_direct()
    msg = c.sa.told(60)
    equal(msg.sdp.text, second.sdp.text, "description in the refresh")
    c.sa.accept(msg)
    c.is_direct()
    end(c)


SCRIPTS = [move_1_timeout_alive, move_1_timeout_dead, move_2_timeout_alive, move_2_timeout_dead,
           move_1_provisional_then_silence, move_1_provisional_never_final, move_1_late_answer,
           back_timeout_dead, back_timeout_alive, pitfall_59_refresh_while_direct]


class Running(threading.Thread):
    def __init__(self, lab, i, script):
        super().__init__(daemon=True)
        self.lab, self.i, self.script, self.fault = lab, i, script, None
        self.start()

    def run(self):
        try:
            self.script(self.lab, self.i)
        except Exception as fault:  # noqa: B902: it is the fault of the test that looks at it
            self.fault = fault


@contextlib.contextmanager
def make():
    with moving.make(peers=PEERS, addresses=CALLS) as lab:
        running = {s.__name__: Running(lab, i, s) for i, s in enumerate(SCRIPTS)}
        try:
            yield running
        finally:
            for one in running.values():
                one.join(100)


def looks_at(script):
    def test(running):
        one = running[script.__name__]
        one.join(100)
        check(not one.is_alive(), "still running")
        if one.fault:
            raise one.fault
    test.__name__, test.__doc__ = script.__name__, script.__doc__
    return test


if __name__ == "__main__":
    tap.run([looks_at(s) for s in SCRIPTS], make, final=nothing_left)
