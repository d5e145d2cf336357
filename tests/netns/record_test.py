#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of calls: their records once they end, their count over a reload."""
import json

import tap
from calls import call
from lab import config, nothing_left, running
from tap import equal, wait_for


def make():
    return running(lambda lab: config(lab, general={"cdr": f"{lab.dir}/cdr.jsonl"}))


def records(lab):
    with open(f"{lab.dir}/cdr.jsonl") as lines:
        return [json.loads(line) for line in lines]


def recorded(lab, cause, a, b):
    """The record of the call between these dialogs is there, with both Call-IDs."""
    def mine():
        return [r for r in records(lab) if r["a"]["call_id"] == a.call_id]
    wait_for(mine, 3, lambda: f"the record of {a.call_id}: {records(lab)}")
    equal([(r["cause"], r["b"]["call_id"]) for r in mine()], [(cause, b.call_id)], "record")


def record_of_answered(lab):
    """the record names both Call-IDs, whoever hung up"""
    c = call(lab).up().hang_up().gone()
    recorded(lab, "bye_a", c.a, c.b)
    lab.clear()
    c = call(lab).up()
    c.b.request("BYE")
    c.a.expect_bye()
    recorded(lab, "bye_b", c.a, c.b)


def record_of_unanswered(lab):
    """the record names both Call-IDs of a call that was refused, cancelled or rang in vain"""
    c = call(lab).ring()
    c.b.reply(c.b.invite, 486)
    c.a.ack(c.a.expect(486))
    recorded(lab, "refused", c.a, c.b)
    lab.clear()
    c = call(lab).ring()
    c.a.cancel()
    c.a.ack(c.a.expect(487))
    recorded(lab, "cancelled", c.a, c.b)
    lab.clear()
    c = call(lab, prefix="3").ring()
    c.a.ack(c.a.expect(408, 5))
    recorded(lab, "timeout", c.a, c.b)


def q850(lab):
    """the cause of Q.850: as a Reason header says, else by the status code"""
    said = [("Reason", 'SIP;cause=200;text="a, b", Q.850 ;cause=21;text="x"')]
    odd = [("Reason", "Q.850;cause=128, Q.850;text=x;cause=,, x;cause=3")]
    for code, headers, want in ((486, [], 17), (404, [], 1), (486, said, 21), (486, odd, 17),
                                (480, [("Reason", "Q.850;cause=20")], 20), (499, [], 31)):
        c = call(lab).ring()
        c.b.reply(c.b.invite, code, headers=headers)
        final = c.a.expect("final")
        c.a.ack(final)
        ended(lab, c, final.code, want)
    for headers, want in (([], 16), ([("Reason", "Q.850;cause=38")], 38)):
        c = call(lab).up()
        c.b.request("BYE", headers=headers)
        c.a.expect_bye()
        ended(lab, c, 200, want)
    c = call(lab).ring()
    c.a.cancel()
    c.a.ack(c.a.expect(487))
    ended(lab, c, 487, 16)
    c = call(lab, prefix="3").ring()
    c.a.ack(c.a.expect(408, 5))
    ended(lab, c, 408, 102)


def ended(lab, c, code, cause):
    """Its record, status and cause; the next call may begin."""
    def mine():
        return [r for r in records(lab) if r["a"]["call_id"] == c.a.call_id]
    wait_for(mine, 3, "the record")
    equal([(r["code"], r["q850"]) for r in mine()], [(code, cause)], "code and cause of Q.850")
    lab.clear()


def calls_over_reload(lab):
    """`show peers` counts a call of before the reload"""
    def counted():
        return {p["name"]: p["calls"] for p in lab.ctl("show", "peers") if p["calls"]}
    c = call(lab).up()
    equal(counted(), {"alice": 1, "bob": 1}, "calls of peers")
    equal(lab.ctl("reload"), {"ok": True}, "reload")
    equal(counted(), {"alice": 1, "bob": 1}, "calls of peers after the reload")
    c.hang_up().gone()
    equal(counted(), {}, "calls of peers after the end")


TESTS = [record_of_answered, record_of_unanswered, q850, calls_over_reload]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
