#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The way back to the relay, and out again: what is answered first, and what no longer is."""
import moving
import tap
from lab import PEERS, nothing_left
from moving import call
from tap import check, equal, wait_for


LIMITED = """
[limited]
type = route
from = inside
match = _9X.
to = bob
options = L(3000)
"""


def make():
    return moving.make(general={"rtptimeout": "2"}, peers=PEERS + LIMITED)


def end(c):
    c.heard(10).lost()
    c.hang_up().gone()


def operator(c, word, code=0):
    done = c.lab.ctl_run("call", c.show()["id"], word)
    equal(done.returncode, code, f"exit status of call ID {word}: {done.stderr.strip()}")
    return done.stderr


def both_back(c, order="ba"):
    """Both are offered the relay's address at once, and answer in this order."""
    msgs = {"a": c.sa.told(), "b": c.sb.told()}
    for side in order:
        equal(msgs[side].sdp.rtp(), c.relay(side), f"address told to {side}")
        c.at(side).accept(msgs[side])
        c.heard(2)
    return msgs


def operator_relay_and_auto(lab):
    """`call ID relay` brings both back, nothing lost; `auto` lets them go again"""
    c = call(lab).direct()
    c.heard(10)
    operator(c, "relay")
    both_back(c)
    c.is_relayed("OPERATOR")
    c.heard(10)
    equal(c.sources("a"), [c.relay_a, c.address("b"), c.relay_a], "where the caller's came from")
    c.a.none("INVITE", seconds=0.5)
    operator(c, "auto")
    c.move_out()
    c.is_direct()
    end(c)


def back_in_either_order(lab):
    """the way back is safe whoever answers first"""
    for order in ("ab", "ba"):
        c = call(lab).direct()
        operator(c, "relay")
        both_back(c, order)
        c.is_relayed("OPERATOR")
        end(c)
        lab.clear()


def operator_direct(lab):
    """`call ID direct` takes back an earlier `relay`, and nothing else"""
    c = call(lab).up().talk()
    operator(c, "relay")
    c.is_relayed("OPERATOR")
    c.b.none("INVITE", seconds=0.5)
    operator(c, "direct")
    c.move_out()
    c.is_direct()
    operator(c, "direct")
    end(c)
    lab.clear()
    c = call(lab, prefix="8", b_ip="10.91.2.21").up().talk()
    check("POLICY_NO_B" in operator(c, "direct", 1), "the reason is told")
    end(c)


def operator_unknown(lab):
    """`call ID relay` of no call: exit 4"""
    for word in ("relay", "direct", "auto"):
        equal(lab.ctl_run("call", "nonsense", word).returncode, 4, f"exit status of {word}")


def back_491(lab):
    """491 on the way back: asked again until it is taken"""
    c = call(lab).direct()
    operator(c, "relay")
    a, b = c.sa.told(), c.sb.told()
    c.sb.accept(b)
    c.sa.refuse(a, 491)
    c.shows(path="returning", reason="OPERATOR")
    c.sa.accept(c.sa.told(5))
    c.is_relayed("OPERATOR")
    end(c)


def split(lab):
    """a leg that refuses three times to come back stays where it is, and both are heard"""
    c = call(lab).direct()
    operator(c, "relay")
    a, b = c.sa.told(), c.sb.told()
    c.sb.accept(b)
    c.sa.refuse(a, 488)
    for _ in range(2):
        c.sa.refuse(c.sa.told(5), 488)
    c.shows(path="split", reason="OPERATOR")
    equal(lab.metrics()["rtpfwd_direct_split"], 1, "rtpfwd_direct_split")
    c.heard(20)
    c.sa.accept(c.sa.told(12))
    c.is_relayed("OPERATOR")
    equal(lab.metrics()["rtpfwd_direct_split"], 0, "rtpfwd_direct_split")
    end(c)


def split_both(lab):
    """neither comes back: both stay direct, and no media timeout ends what is not heard here"""
    c = call(lab).direct()
    operator(c, "relay")
    for _ in range(3):
        for side in (c.sa, c.sb):
            side.refuse(side.told(5), 488)
    c.shows(path="split", reason="OPERATOR")
    equal(c.sources("a")[-1], c.address("b"), "where the caller's audio comes from")
    c.heard(10)
    for side in (c.sb, c.sa):
        side.accept(side.told(15))
    c.is_relayed("OPERATOR")
    end(c)


def back_481(lab):
    """481 on the way back: both are ended"""
    c = call(lab).direct()
    operator(c, "relay")
    a = c.sa.told()
    c.sb.accept(c.sb.told())
    c.sa.refuse(a, 481)
    c.a_rtp.stop()
    c.b_rtp.stop()
    c.a.expect_bye()
    c.b.expect_bye()
    c.gone()


def pitfall_3_ignores_c(lab):
    """pitfall 3: who agrees and goes on sending here is brought back, nothing lost"""
    c = call(lab).up().talk().heard(5)
    c.sb.accept(c.sb.told(), follow=False)
    c.sa.accept(c.sa.told())
    c.shows(path="draining")
    c.heard(20)
    both_back(c)
    c.is_relayed("PEER_IGNORES_C")
    c.a.none("INVITE", seconds=0.5)
    end(c)


def stray(lab):
    """five packets within two seconds while direct: the entries are there again, both come back"""
    c = call(lab).direct()
    c.heard(5)
    c.sb.end.aim(c.relay_b)
    a, b = c.sa.told(), c.sb.told()
    equal(len(c.entries()), 4, "entries are back before anybody answers")
    c.heard(10)
    c.sb.accept(b)
    c.sa.accept(a)
    c.is_relayed("PEER_IGNORES_C")
    check(lab.drops()["direct_stray"] >= 5, "strays counted")
    lost = len(set(c.b_rtp.rtp.sent) - {g[1] for g in c.a_rtp.rtp.got})
    check(5 <= lost <= 120, f"the strays alone are lost: {lost}")
    c.a_rtp.rtp.forget()
    c.hang_up().gone()


def few_strays(lab):
    """fewer strays, RTCP and strangers move nothing"""
    c = call(lab).direct()
    c.heard(5)
    before = lab.drops()
    c.sb.end.burst(4, c.relay_b)
    c.sb.end.aim(c.address("a"))
    stranger = lab.end("10.91.2.66")
    stranger.burst(20, c.relay_b)
    wait_for(lambda: lab.drops()["direct_stray"] >= before["direct_stray"] + 4 and
             lab.drops()["wrong_source"] >= before["wrong_source"] + 20, 3, "drops counted")
    c.a.none("INVITE", seconds=2.5)
    c.b.none("INVITE")
    c.is_direct()
    lost = set(c.b_rtp.rtp.sent) - {g[1] for g in c.a_rtp.rtp.got}
    check(len(lost) >= 4, "strays are lost")
    c.hang_up().gone()


def pitfall_65_transfer(lab):
    """pitfall 65: a REFER while direct: both come back before anybody is joined anew"""
    c = call(lab).direct()
    c.a.request("REFER", headers=[("Refer-To", "<sip:7999@10.91.1.1>")])
    c.b.reply(c.b.expect("REFER"), 202)
    equal(c.a.expect(202).code, 202, "answer to REFER")
    both_back(c)
    c.is_relayed("TRANSFER")
    end(c)


def pitfall_69_limit(lab):
    """pitfall 69: the limit of a bare L(x) ends a call whose media is direct"""
    c = call(lab, prefix="9").direct()
    c.a.expect_bye(6)
    c.b.expect_bye()
    c.gone()


def pitfall_68_media_timeout(lab):
    """pitfall 68: rtptimeout does not end a call whose media is direct"""
    c = call(lab).direct()
    c.a.none("BYE", seconds=3.5)
    c.is_direct()
    operator(c, "relay")
    both_back(c)
    c.is_relayed("OPERATOR")
    end(c)


TESTS = [operator_relay_and_auto, back_in_either_order, operator_direct, operator_unknown, back_491,
         split, split_both, back_481, pitfall_3_ignores_c, stray, few_strays, pitfall_65_transfer,
         pitfall_68_media_timeout, pitfall_69_limit]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
