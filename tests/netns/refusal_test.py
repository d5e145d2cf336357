#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a move that is refused: no packet is lost, and no call ends that could live."""
import moving
import tap
from lab import nothing_left
from moving import call
from tap import check, equal

# 4xx and 6xx that say no for good.
FINAL = (400, 403, 404, 405, 415, 480, 486, 488, 501, 503, 603, 606)


def make():
    return moving.make()


def talking(lab, **kw):
    return call(lab, **kw).up().talk().heard(5)


def end(c):
    c.heard(10).lost()
    c.hang_up().gone()


def relayed_only(c):
    equal(c.sources("a"), [c.relay_a], "where the caller's audio came from")
    equal(c.sources("b"), [c.relay_b], "where the callee's audio came from")


def move_1_refused(lab, code):
    """The first leg refuses: nobody has moved, nobody is asked again."""
    c = talking(lab)
    c.sb.refuse(c.sb.told(), code)
    c.is_relayed(f"PEER_REFUSED_{code}")
    c.heard(10)
    c.a.none("INVITE", seconds=0.3)
    c.b.none("INVITE")
    relayed_only(c)
    end(c)


def roll_back(c, first):
    """The first leg is told the relay again, as before, with the next version."""
    msg = c.sb.told()
    equal(msg.sdp.rtp(), c.relay_b, "address told to b again")
    equal(msg.sdp.origin_id, first.sdp.origin_id, "identity of our o=")
    equal(msg.sdp.version, first.sdp.version + 1, "version of our o=")
    c.sb.accept(msg)


def move_2_refused(lab, code):
    """The second leg refuses: the first is brought back at once."""
    c = talking(lab)
    first = c.sb.told()
    c.sb.accept(first)
    second = c.sa.told()
    c.heard(5)
    c.sa.refuse(second, code)
    roll_back(c, first)
    c.is_relayed(f"PEER_REFUSED_{code}")
    c.heard(10)
    equal(c.sources("a"), [c.relay_a, c.address("b"), c.relay_a], "where the caller's came from")
    equal(c.sources("b"), [c.relay_b], "where the callee's audio came from")
    c.a.none("INVITE", seconds=0.3)
    end(c)


def row(function, code):
    def test(lab):
        before = lab.metrics()
        function(lab, code)
        grown(lab, before, "refused" if function is move_1_refused else "rolled_back", code)
    test.__name__ = f"{function.__name__.replace('refused', str(code))}"
    test.__doc__ = f"{code} by the {'first' if function is move_1_refused else 'second'} leg"
    return test


def grown(lab, before, result, code):
    after = lab.metrics()
    for name in (f'rtpfwd_direct_transitions_total{{result="{result}"}}',
                 f'rtpfwd_reinvites_total{{direction="out",purpose="direct",code="{code}"}}'):
        equal(after[name] - before.get(name, 0), 1, name)


def move_1_491(lab):
    """491 by the first leg: relayed with reason GLARE meanwhile, then it is asked again"""
    c = talking(lab)
    first = c.sb.told()
    c.sb.refuse(first, 491)
    c.is_relayed("GLARE")
    again = c.sb.told()
    equal(again.cseq[0], first.cseq[0] + 1, "CSeq")
    equal(again.sdp.rtp(), c.address("a"), "address told to b")
    c.sb.accept(again)
    c.sa.accept(c.sa.told())
    c.is_direct()
    end(c)


def move_1_491_exhausted(lab):
    """491 five times by the first leg: GLARE_GIVEUP, and the call stays relayed"""
    c = talking(lab)
    for _ in range(5):
        c.sb.refuse(c.sb.told(6), 491)
    c.is_relayed("GLARE_GIVEUP")
    c.b.none("INVITE", seconds=0.5)
    relayed_only(c)
    end(c)


def move_2_491(lab):
    """491 by the second leg: half moved and heard meanwhile, then asked again"""
    c = talking(lab)
    c.sb.accept(c.sb.told())
    first = c.sa.told()
    c.sa.refuse(first, 491)
    c.shows(path="moving", reason="DIRECT")
    c.heard(5)
    again = c.sa.told()
    equal(again.cseq[0], first.cseq[0] + 1, "CSeq")
    c.sa.accept(again)
    c.is_direct()
    equal(c.sources("a"), [c.relay_a, c.address("b")], "where the caller's audio came from")
    equal(c.sources("b"), [c.relay_b, c.address("a")], "where the callee's audio came from")
    end(c)


def move_2_491_exhausted(lab):
    """491 five times by the second leg: the first is brought back"""
    c = talking(lab)
    first = c.sb.told()
    c.sb.accept(first)
    for _ in range(5):
        c.sa.refuse(c.sa.told(6), 491)
    roll_back(c, first)
    c.is_relayed("GLARE_GIVEUP")
    end(c)


def move_1_500(lab):
    """500 without Retry-After (our re-INVITE overtook the ACK): asked once more"""
    c = talking(lab)
    c.sb.refuse(c.sb.told(), 500)
    c.shows(path="relay", reason="SETTLE")
    c.move_out()
    c.is_direct()
    end(c)


def move_1_500_twice(lab):
    """500 twice: that is a refusal"""
    c = talking(lab)
    for _ in range(2):
        c.sb.refuse(c.sb.told(), 500)
    c.is_relayed("PEER_REFUSED_500")
    relayed_only(c)
    end(c)


def move_1_503_retry_after(lab):
    """503 with Retry-After: asked once more after it"""
    c = talking(lab)
    c.sb.refuse(c.sb.told(), 503, headers=[("Retry-After", "1")])
    c.move_out()
    c.is_direct()
    end(c)


def move_1_503_retry_after_long(lab):
    """503 with a Retry-After of more than 32 s: a refusal"""
    c = talking(lab)
    c.sb.refuse(c.sb.told(), 503, headers=[("Retry-After", "33")])
    c.is_relayed("PEER_REFUSED_503")
    end(c)


def move_2_500(lab):
    """500 by the second leg: asked once more"""
    c = talking(lab)
    c.sb.accept(c.sb.told())
    c.sa.refuse(c.sa.told(), 500)
    c.sa.accept(c.sa.told())
    c.is_direct()
    end(c)


def move_2_500_twice(lab):
    """500 twice by the second leg: rolled back"""
    c = talking(lab)
    first = c.sb.told()
    c.sb.accept(first)
    for _ in range(2):
        c.sa.refuse(c.sa.told(), 500)
    roll_back(c, first)
    c.is_relayed("PEER_REFUSED_500")
    end(c)


def gone_both(c):
    c.a_rtp.stop()
    c.b_rtp.stop()
    for dialog in (c.a, c.b):
        check("cause=481" in dialog.expect_bye().get("reason", ""), "Reason of the BYE")
    c.gone()


def move_1_481(lab):
    """481 by the first leg: its dialog is gone, both are ended"""
    c = talking(lab)
    c.sb.refuse(c.sb.told(), 481)
    gone_both(c)


def move_2_481(lab):
    """481 by the second leg: both are ended"""
    c = talking(lab)
    c.sb.accept(c.sb.told())
    c.sa.refuse(c.sa.told(), 481)
    gone_both(c)


def move_1_unusable(lab):
    """the first leg's 200 refuses the audio (port 0): it is brought back, the call stays relayed"""
    c = talking(lab)
    first = c.sb.told()
    c.b.reply(first, 200, c.sb.sdp(port=0).replace(f"audio {c.b_rtp.port}", "audio 0"))
    c.b.expect("ACK")
    roll_back(c, first)
    c.is_relayed("PEER_REFUSED_488")
    end(c)


TESTS = [row(move_1_refused, code) for code in FINAL] + \
    [row(move_2_refused, code) for code in FINAL] + \
    [move_1_491, move_1_491_exhausted, move_2_491, move_2_491_exhausted, move_1_500,
     move_1_500_twice, move_1_503_retry_after, move_1_503_retry_after_long, move_2_500,
     move_2_500_twice, move_1_481, move_2_481, move_1_unusable]

if __name__ == "__main__":
    tap.run(TESTS, make, moving.between_tests, nothing_left)
