#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""canreinvite = outgoing and update: whose re-INVITE comes first, and by which method it goes."""
import moving
import tap
from lab import PEERS, nothing_left
from moving import call
from tap import check, equal

UPDATES = [("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE")]


def make():
    peers = PEERS.replace("host = 10.91.1.10\ncanreinvite = yes",
                          "host = 10.91.1.10\ncanreinvite = outgoing") \
        .replace("host = 10.91.2.22\ncanreinvite = yes\ndisallow = all\nallow = alaw",
                 "host = 10.91.2.22\ncanreinvite = update")
    peers += "[ann]\ntype = peer\nrealm = inside\nhost = 10.91.1.12\ncanreinvite = yes\n"
    check("outgoing" in peers and "update" in peers, "the lab's peers have changed")
    return moving.make(peers=peers)


def end(c):
    c.heard(10).lost()
    c.hang_up().gone()


def elsewhere(c):
    """The caller, a node like ours, gives its own phone's address."""
    port = next(c.lab.media_ports)
    c.a_rtp.open(port)
    c.a.reinvite(c.sa.sdp(port=port))
    return port


def outgoing_serves_theirs(lab):
    """the caller's own re-INVITE comes in time: it moves both legs at once"""
    c = call(lab).up().talk().heard(5)
    c.shows(path="relay", reason="OUTGOING_WAIT")
    c.b.none("INVITE")
    port = elsewhere(c)
    msg = c.sb.told()
    equal(msg.sdp.rtp(), (c.sa.ip, port), "address told to b")
    c.sb.accept(msg)
    answer = c.a.expect(200)
    c.a.ack(answer)
    c.a_rtp.use()
    equal(answer.sdp.rtp(), c.address("b"), "address answered")
    c.sa.follow(answer.sdp)
    c.is_direct()
    c.a.none("INVITE", seconds=0.3)
    end(c)


def outgoing_refused(lab):
    """the other leg refuses that: the caller is answered here, and the call stays relayed"""
    c = call(lab).up().talk().heard(5)
    c.shows(path="relay", reason="OUTGOING_WAIT")
    elsewhere(c)
    c.sb.refuse(c.sb.told(), 488)
    answer = c.a.expect(200)
    c.a.ack(answer)
    equal(answer.sdp.rtp(), c.relay_a, "address answered")
    c.a_rtp.use()
    c.is_relayed("PEER_REFUSED_488")
    end(c)


def outgoing_wait(lab):
    """it does not come within 3 s: the call stays relayed"""
    c = call(lab).up().talk()
    c.a.none("INVITE", seconds=4)
    c.b.none("INVITE")
    c.is_relayed("OUTGOING_WAIT")
    end(c)


def outgoing_when_called(lab):
    """the same peer as callee is re-INVITEd by us"""
    c = call(lab, prefix="6", a_ip="10.91.2.20", b_ip="10.91.1.10").up().talk().heard(5)
    msg = c.sb.told()
    equal(msg.sdp.rtp(), c.address("a"), "address told to b")
    c.sb.accept(msg)
    c.sa.accept(c.sa.told())
    c.is_direct()
    end(c)


def answered_with_update(lab):
    """Up between a caller and a callee that says it takes UPDATE (canreinvite = update)."""
    c = call(lab, prefix="5", a_ip="10.91.1.12", b_ip="10.91.2.22").ring()
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=UPDATES)
    c.a_answer = c.a.expect(200).sdp
    c.relay_a = c.a_answer.rtp()
    c.a.ack(c.phone_final())
    c.b.expect("ACK")
    c.sides()
    return c.talk().heard(5)


def by_update(lab):
    """canreinvite = update and an Allow that has it: the offer goes by UPDATE"""
    c = answered_with_update(lab)
    msg = c.b.expect("UPDATE", 5)
    equal(msg.sdp.rtp(), c.address("a"), "address told to b")
    c.sb.accept(msg)
    c.sa.accept(c.sa.told())
    c.is_direct()
    end(c)


def update_refused(lab, code):
    c = answered_with_update(lab)
    c.sb.refuse(c.b.expect("UPDATE", 5), code)
    c.move_out()
    c.is_direct()
    end(c)


def move_1_update_405(lab):
    """405 to UPDATE: the offer goes again by INVITE"""
    update_refused(lab, 405)


def move_1_update_501(lab):
    """501 to UPDATE: the offer goes again by INVITE"""
    update_refused(lab, 501)


def update_not_allowed(lab):
    """canreinvite = update without UPDATE in its Allow: INVITE"""
    c = call(lab, prefix="5", a_ip="10.91.1.12", b_ip="10.91.2.22").up().talk()
    c.move_out()
    c.is_direct()
    end(c)


TESTS = [outgoing_serves_theirs, outgoing_refused, outgoing_wait, outgoing_when_called,
         by_update, move_1_update_405, move_1_update_501, update_not_allowed]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
