#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where calls go: lists of targets tried in order, what a peer may carry, who asked for rest."""
import json

import sip
import tap
from calls import OUTSIDE, Call, relayed
from lab import CALLEE, CALLER, INSIDE, PEERS, config, nothing_left, running
from tap import check, equal, wait_for

BEN, TIN, ONE, SLOW = (f"10.91.2.{i}" for i in range(21, 25))
LIL, QUICK = "10.91.1.12", "10.91.1.13"
MORE = """
[one]
type = peer
realm = outside
host = 10.91.2.23
max_calls = 1
[slow]
type = peer
realm = outside
host = 10.91.2.24
callrate = 1
[lil]
type = peer
realm = inside
host = 10.91.1.12
max_calls = 1
[quick]
type = peer
realm = inside
host = 10.91.1.13
callrate = 1
[list]
type = route
from = inside
match = _91X.
to = bob,ben
[short-list]
type = route
from = inside
match = _92X.
to = bob,ben
timeout = 2
[tiny]
type = realm
interface = out0
bind = udp:10.91.2.1:5070
media = 10.91.2.1
ports = 11000-11001
[tin]
type = peer
realm = tiny
host = 10.91.2.22
[tiny-first]
type = route
from = inside
match = _93X.
to = tin,ben
[one-first]
type = route
from = inside
match = _94X.
to = one,ben
[one-only]
type = route
from = inside
match = _95X.
to = one
[slow-first]
type = route
from = inside
match = _96X.
to = slow,ben
"""


def text(lab, more=MORE):
    return config(lab, general={"cdr": f"{lab.dir}/cdr.jsonl"}, peers=PEERS + more)


def make():
    return running(text, addresses=5)


def peer(lab, name):
    return next(p for p in lab.ctl("show", "peers") if p["name"] == name)


def nothing_lives(lab):
    wait_for(lambda: not lab.calls() and not lab.flows(), 3, "no call and no flow")
    for p in lab.ctl("show", "peers"):
        equal(p["calls"], 0, f"calls of {p['name']}")


def refused(dialog, code, timeout=3.0):
    final = dialog.expect("final", timeout)
    dialog.ack(final)
    equal(final.code, code, "final answer")
    return final


def not_called(phone, number):
    phone.pump(0.05)
    equal([m for m in phone.backlog if m.method == "INVITE" and f"sip:{number}@" in m.uri], [],
          f"INVITE for {number}")


def record(lab):
    """The last call detail record."""
    with open(f"{lab.dir}/cdr.jsonl") as lines:
        return json.loads(lines.read().splitlines()[-1])


class Failover(Call):
    """A call whose second target may answer: b is the first, `second` the other."""

    def __init__(self, lab, prefix, a_ip=CALLER, b_ip=CALLEE, second_ip=BEN):
        super().__init__(lab, lab.phone(a_ip), lab.phone(b_ip), lab.number(prefix))
        self.first_phone, self.first_rtp, self.first_sdp = self.b_phone, self.b_rtp, self.b_sdp
        self.second_phone = lab.phone(second_ip)

    def place(self):
        self.a = self.a_phone.call(self.number, self.a_sdp)
        return self

    def at_first(self):
        self.first = self.first_phone.incoming(self.number)
        return self

    def at_second(self, timeout=3.0):
        """The second target rings: from here on it is the callee."""
        self.b_phone = self.second_phone
        self.b_rtp = self.lab.end(self.b_phone.ip)
        self.b_sdp = sip.sdp(self.b_phone.ip, self.b_rtp.port)
        self.b = self.b_phone.incoming(self.number, timeout)
        self.b_offer = self.b.invite.sdp
        self.relay_b = self.b_offer.rtp()
        relayed(self.b_offer, OUTSIDE)
        self.b.reply(self.b.invite, 180)
        self.a.expect(180, repeats=True)
        return self

    def talks(self):
        self.answer()
        equal(self.show()["b"]["peer"], "ben", "callee's peer")
        self.talk().heard(20).quiet().whole()
        return self.hang_up().gone()


def tried_in_order(lab):
    """408, 500, 502, 503 and 504 of the first target: the second is called, the caller waits"""
    for code in (408, 500, 502, 503, 504):
        c = Failover(lab, "91").place().at_first()
        c.second_phone.none("INVITE", seconds=0.05)
        c.first.reply(c.first.invite, code)
        c.first.expect("ACK")
        c.at_second()
        check(c.b.invite.call_id != c.first.invite.call_id, "a dialog of its own")
        c.talks()
        equal((record(lab)["a"]["peer"], record(lab)["b"]["peer"]), ("alice", "ben"), "peers")
        lab.clear()
    nothing_lives(lab)


def list_stops(lab):
    """486, 404, 480, 488, 600, 603 and 606 end the list: nobody else is called"""
    for code in (486, 404, 480, 488, 600, 603, 606):
        c = Failover(lab, "91").place().at_first()
        c.first.reply(c.first.invite, code)
        c.first.expect("ACK")
        refused(c.a, code)
        c.second_phone.none("INVITE", seconds=0.1)
        equal((record(lab)["code"], record(lab)["cause"]), (code, "refused"), "record")
        lab.clear()
    nothing_lives(lab)


def early_media_changes_over(lab):
    """the first target's early media ends with it; only the second's is heard from then on"""
    c = Failover(lab, "91").place().at_first()
    first_relay = c.first.invite.sdp.rtp()
    c.first.reply(c.first.invite, 183, c.first_sdp)
    progress = c.a.expect(183)
    relayed(progress.sdp, INSIDE)
    c.first_rtp.start(first_relay)
    wait_for(lambda: len(c.a_rtp.rtp.got) >= 20, 3, "the first target's early media")
    c.first.reply(c.first.invite, 503)
    c.first.expect("ACK")
    c.at_second()
    # Its media goes on, and none of it is heard: the ports are not leased any more.
    dropped = lab.drops()["unleased"]
    wait_for(lambda: lab.drops()["unleased"] >= dropped + 20, 3, "stale packets dropped")
    heard = len(c.a_rtp.rtp.got)    # what had been forwarded has been read by now
    wait_for(lambda: lab.drops()["unleased"] >= dropped + 40, 3, "more of them")
    equal(len(c.a_rtp.rtp.got), heard, "packets at the caller")
    c.b.reply(c.b.invite, 183, c.b_sdp)
    again = c.a.expect(183, repeats=True)
    equal(again.sdp.rtp(), progress.sdp.rtp(), "relay address told to the caller")
    c.b_rtp.start(c.relay_b)
    wait_for(lambda: len([g for g in c.a_rtp.rtp.got if g[0] == c.b_rtp.ssrc]) >= 20, 3,
             "the second target's early media")
    stale = [g for g in c.a_rtp.rtp.got[heard:] if g[0] != c.b_rtp.ssrc]
    equal(stale, [], "packets of the first target after it refused")
    c.first_rtp.stop()
    c.a_rtp.rtp.got.clear()
    c.b_rtp.stop()
    c.answer()
    equal(c.relay_a, progress.sdp.rtp(), "relay address in the 200")
    c.a.request("BYE")
    c.b.expect_bye()
    equal(c.a.expect("final").code, 200, "answer to BYE")
    c.gone()


def out_of_ports(lab):
    """the first target's realm has no ports left: the next target is called"""
    first = Failover(lab, "93", b_ip=TIN)
    first.a = first.a_phone.call(first.number, first.a_sdp)
    first.at_first()
    equal(first.first.invite.sdp.rtp(), (OUTSIDE, 11000), "the only relay port")
    first.first.reply(first.first.invite, 180)
    first.a.expect(180)
    c = Call(lab, first.a_phone, first.second_phone, lab.number("93"))
    c.up().talk().heard(20).quiet().whole()
    first.first_phone.none("INVITE")
    equal(c.show()["b"]["peer"], "ben", "callee's peer")
    c.hang_up().gone()
    first.first.reply(first.first.invite, 486)
    refused(first.a, 486)
    nothing_lives(lab)


def cancelled_at_second(lab):
    """CANCEL while the second target rings: it alone is cancelled; the caller gets 487"""
    c = Failover(lab, "91").place().at_first()
    c.first.reply(c.first.invite, 503)
    c.first.expect("ACK")
    c.at_second()
    c.a.cancel()
    cancel = c.b.expect("CANCEL")
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    finals = [c.a.expect("final"), c.a.expect("final")]
    equal(sorted((m.cseq[1], m.code) for m in finals), [("CANCEL", 200), ("INVITE", 487)], "finals")
    c.a.ack(next(m for m in finals if m.code == 487))
    c.first_phone.none("CANCEL", seconds=0.1)
    equal(record(lab)["cause"], "cancelled", "cause")
    nothing_lives(lab)


def cancel_crosses_failure(lab):
    """CANCEL, then the first target's 503: the second is not called"""
    c = Failover(lab, "91").place().at_first()
    c.first.reply(c.first.invite, 180)
    c.a.expect(180)
    c.a.cancel()
    cancel = c.first.expect("CANCEL")
    c.first.reply(c.first.invite, 503)
    c.first.reply(cancel, 200)
    c.first.expect("ACK")
    finals = [c.a.expect("final"), c.a.expect("final")]
    c.a.ack(next(m for m in finals if m.code == 487))
    c.second_phone.none("INVITE", seconds=0.2)
    nothing_lives(lab)


def timeout_for_each(lab):
    """a route's timeout is each target's: CANCEL to the first, the second rings as long again"""
    c = Failover(lab, "92").place().at_first()
    c.first.reply(c.first.invite, 180)
    c.a.expect(180)
    cancel = c.first.expect("CANCEL", timeout=6)
    c.first.reply(cancel, 200)
    c.first.reply(c.first.invite, 487)
    c.first.expect("ACK")
    c.at_second()
    cancel = c.b.expect("CANCEL", timeout=6)
    c.b.reply(cancel, 200)
    c.b.reply(c.b.invite, 487)
    c.b.expect("ACK")
    refused(c.a, 408)
    equal((record(lab)["code"], record(lab)["cause"]), (408, "timeout"), "record")
    nothing_lives(lab)


def silent_first(lab):
    """a first target that says nothing at all: the second answers"""
    c = Failover(lab, "92").place().at_first()
    c.at_second(timeout=6)
    c.talks()
    nothing_lives(lab)


def over_limit(lab):
    """a caller at its max_calls gets 503 with Retry-After; reload and hang-up keep the count"""
    lil, bob = lab.phone(LIL), lab.phone(CALLEE)
    c = Call(lab, lil, bob, lab.number("7")).up()
    equal((peer(lab, "lil")["calls"], peer(lab, "lil")["call_limit"]), (1, 1), "calls and limit")
    before = lab.metrics().get('rtpfwd_sip_rejected_total{reason="peer_limit"}', 0)
    d = lil.call(lab.number("7"), sip.sdp(LIL, 20000))
    equal(refused(d, 503).get("retry-after"), "10", "Retry-After")
    lab.write(text(lab))
    lab.ctl("reload")
    equal(peer(lab, "lil")["calls"], 1, "calls after a reload")
    d = lil.call(lab.number("7"), sip.sdp(LIL, 20000))
    refused(d, 503)
    equal(lab.metrics()['rtpfwd_sip_rejected_total{reason="peer_limit"}'], before + 2, "rejected")
    bob.none("INVITE")
    c.hang_up().gone()
    equal(peer(lab, "lil")["calls"], 0, "calls after the end")
    Call(lab, lil, bob, lab.number("7")).up().hang_up().gone()
    nothing_lives(lab)


def over_rate(lab):
    """a caller beyond its callrate gets 503 with Retry-After: 1"""
    quick, bob = lab.phone(QUICK), lab.phone(CALLEE)
    dialogs = [quick.call(lab.number("7"), sip.sdp(QUICK, 20000)) for _ in range(3)]
    refusals = [quick.expect(503, call_id=d.call_id) for d in dialogs[1:]]
    for d, m in zip(dialogs[1:], refusals):
        d.ack(m)
        equal(m.get("retry-after"), "1", "Retry-After")
    i = bob.incoming()
    i.reply(i.invite, 486)
    refused(dialogs[0], 486)
    check(lab.metrics()['rtpfwd_sip_rejected_total{reason="peer_rate"}'] >= 2, "peer_rate")
    nothing_lives(lab)


def callee_at_limit(lab):
    """a target at its max_calls is passed over; where it was the last, the caller gets 503"""
    c = Call(lab, lab.phone(CALLER), lab.phone(ONE), lab.number("94")).up()
    equal(peer(lab, "one")["calls"], 1, "calls")
    other = Call(lab, c.a_phone, lab.phone(BEN), lab.number("94")).up()
    equal(other.show()["b"]["peer"], "ben", "callee's peer")
    d = c.a_phone.call(lab.number("95"), sip.sdp(CALLER, 20000))
    check(refused(d, 503).get("retry-after"), "no Retry-After")
    equal((record(lab)["code"], record(lab)["cause"]), (503, "peer_limit"), "record")
    c.b_phone.none("INVITE")
    for it in (c, other):
        it.hang_up().gone()
    nothing_lives(lab)


def callee_at_rate(lab):
    """a target beyond its callrate is passed over"""
    a, slow, ben = lab.phone(CALLER), lab.phone(SLOW), lab.phone(BEN)
    dialogs = [a.call(lab.number("96"), sip.sdp(CALLER, 20000)) for _ in range(2)]
    for phone in (slow, ben):
        i = phone.incoming()
        i.reply(i.invite, 486)
        i.expect("ACK")
    for d in dialogs:
        refused(d, 486)
    nothing_lives(lab)


def asks_for_rest(lab):
    """503 with Retry-After: the others are called first for so long, a sole target all the same"""
    c = Failover(lab, "91").place().at_first()
    c.first.reply(c.first.invite, 503, headers=[("Retry-After", "3")])
    c.first.expect("ACK")
    c.at_second().talks()
    check(0 < peer(lab, "bob")["rests_s"] <= 3, "rests_s", peer(lab, "bob"))
    c.number = lab.number("91")
    c.place().at_second()
    not_called(c.first_phone, c.number)
    # The one that rests is the last resort.
    c.b.reply(c.b.invite, 503)
    c.b.expect("ACK")
    c.at_first()
    c.first.reply(c.first.invite, 486)
    refused(c.a, 486)
    sole = Call(lab, c.a_phone, c.first_phone, lab.number("7")).up()
    sole.hang_up().gone()
    wait_for(lambda: peer(lab, "bob")["rests_s"] == 0, 5, "bob rested")
    c.number = lab.number("91")
    c.place().at_first()
    c.first.reply(c.first.invite, 486)
    refused(c.a, 486)
    nothing_lives(lab)


TESTS = [tried_in_order, list_stops, early_media_changes_over, cancelled_at_second,
         cancel_crosses_failure, timeout_for_each, silent_first, over_limit, over_rate,
         callee_at_limit, callee_at_rate, asks_for_rest, out_of_ports]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
