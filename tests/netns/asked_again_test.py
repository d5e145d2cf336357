#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A move whose offer has to be made again: who sends it is asked for credentials (401, 407), or its
session interval is too small (422). Nobody has moved meanwhile, and no packet is lost."""
import moving
import tap
from digest import again, challenge, fields
from lab import PEERS, nothing_left
from moving import call
from tap import check, equal

MORE = "canreinvite = yes\nremotesecret = their-secret\ndefaultuser = acc\n" \
       "session-timers = originate\nsession-expires = 90\n"
STATES = {1: ("b", "the first leg"), 2: ("a", "the second leg")}


def make():
    peers = PEERS
    for host in ("10.91.1.10", "10.91.2.20"):
        peers = peers.replace(f"host = {host}\ncanreinvite = yes\n", f"host = {host}\n{MORE}")
    return moving.make(peers=peers)


def offered(lab, state):
    """A call in MOVE_1 or MOVE_2, the side that is asked, and our offer to it."""
    c = call(lab).up().talk().heard(5)
    if state == 2:
        c.sb.accept(c.sb.told())
    side = c.at(STATES[state][0])
    return c, side, side.told()


def goes_on(c, state, side, msg):
    """The offer is accepted in the end: everybody moves, nothing is lost."""
    side.accept(msg)
    if state == 1:
        c.sa.accept(c.sa.told())
    c.is_direct()
    c.heard(5).lost()
    c.hang_up().gone()


def comes_back(c, state, reason):
    """The offer is refused in the end: whoever has moved is brought back, nothing is lost."""
    if state == 2:
        msg = c.sb.told()
        equal(msg.sdp.rtp(), c.relay_b, "address told to b again")
        c.sb.accept(msg)
    c.is_relayed(reason)
    c.a.none("INVITE", seconds=0.3)
    c.b.none("INVITE")
    c.heard(5).lost()
    c.hang_up().gone()


def asked(code, header):
    def function(lab, state):
        c, side, msg = offered(lab, state)
        challenge(side.dialog, msg, code)
        c.heard(2)
        goes_on(c, state, side, again(side.dialog, msg, header))
    return function, f"{code}: the same offer with credentials"


def stale(lab, state):
    c, side, msg = offered(lab, state)
    challenge(side.dialog, msg)
    second = again(side.dialog, msg)
    challenge(side.dialog, second, 401, "n2", ", stale=true")
    third = again(side.dialog, second)
    equal(fields(third.get("authorization"))["nonce"], "n2", "nonce")
    goes_on(c, state, side, third)


def refused(lab, state):
    c, side, msg = offered(lab, state)
    challenge(side.dialog, msg)
    challenge(side.dialog, again(side.dialog, msg), 401, "n2")
    comes_back(c, state, "PEER_REFUSED_401")


def raised(side, msg, min_s):
    """The offer after a 422 with this Min-SE."""
    side.refuse(msg, 422, headers=[("Min-SE", str(min_s))])
    got = side.told()
    equal(got.cseq[0], msg.cseq[0] + 1, "CSeq")
    equal(got.sdp.text, msg.sdp.text, "offer")
    equal((got.get("session-expires").split(";")[0], got.get("min-se")), (str(min_s), str(min_s)),
          "interval")
    return got


def too_small(lab, state):
    c, side, msg = offered(lab, state)
    check(msg.get("session-expires").startswith("90;"), "Session-Expires of the offer")
    goes_on(c, state, side, raised(side, msg, 120))


def too_small_twice(lab, state):
    c, side, msg = offered(lab, state)
    side.refuse(raised(side, msg, 120), 422, headers=[("Min-SE", "120")])
    comes_back(c, state, "PEER_REFUSED_422")


def row(state, name, function, text):
    def test(lab):
        function(lab, state)
    test.__name__ = f"move_{state}_{name}"
    test.__doc__ = f"{STATES[state][1]}: {text}"
    return test


ROWS = [("401", *asked(401, "authorization")), ("407", *asked(407, "proxy-authorization")),
        ("401_stale", stale, "a nonce that is too old is asked for once more"),
        ("401_refused", refused, "credentials that do not hold are a refusal"),
        ("422", too_small, "the same offer with the interval that is wanted"),
        ("422_again", too_small_twice, "the interval that was wanted is refused, too: a refusal")]
TESTS = [row(state, *r) for state in STATES for r in ROWS]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
