#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp on both sides of the node, a scenario for each thing that signalling must do: five calls of
each, every message of which must come as the scenario says."""

import tap
from calls import INSIDE
from lab import CALLEE, CALLER, config, nothing_left, running
from script import a, b, sdp
from sipp import Sipp
from tap import equal, wait_for

CALLS, RATE = 5, 10
PEERS = """
[alice]
type = friend
realm = inside
host = dynamic
secret = s3cret
[sipp]
type = peer
realm = inside
host = 10.91.1.11
[bob]
type = peer
realm = outside
host = 10.91.2.20
[out]
type = route
from = inside
match = _7X.
to = bob
"""
UAC = "10.91.1.11"
HOLD = sdp("sendonly", 2)
TIMED = "Session-Expires: 120;refresher=uac"
ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, REFER, NOTIFY, INFO"


def make():
    return running(lambda lab: config(lab, {"digest": "md5"}, peers=PEERS))


def prack():
    """180 reliably, PRACK and its 200, then the answer"""
    one = a().invite(headers=["Supported: 100rel", ALLOW])
    one.recv(180, save={"rseq": "RSeq"}, has={"Require": "100rel"})
    one.ask("PRACK", 2, headers=["RAck:[$rseq] 1 INVITE"]).recv(200).recv(200)
    one.ask("ACK", 1).hang_up(3)
    two = b().invited(["Require: 100rel", "RSeq: 17", ALLOW], has={"Supported": "100rel"})
    two.recv("PRACK", has={"RAck": "17 1 INVITE"}).reply(200)
    return one, two.accept().hung_up()


def early_media():
    """183 with a description, then the answer"""
    one = a().invite().recv(183, has={"Content-Type": "application/sdp"}).recv(200).ask("ACK", 1)
    return one.hang_up(2), b().invited(code=183, body=sdp()).accept().hung_up()


def update():
    """UPDATE with an offer within the call, answered by the far end"""
    one = a().up([ALLOW]).ask("UPDATE", 2, HOLD).recv(200, has={"Content-Type": "sdp"})
    two = b().invited(headers=[ALLOW]).accept(headers=[ALLOW])
    two.recv("UPDATE").reply(200, sdp("recvonly", 2))
    return one.hang_up(3), two.hung_up()


def hold():
    """re-INVITE to hold and back"""
    one, two = a().up(), b().invited().accept()
    for i, body in enumerate((HOLD, sdp("sendrecv", 3))):
        one.ask("INVITE", 2 + i, body).recv(100, optional=True).recv(200).ask("ACK", 2 + i)
        two.recv("INVITE").reply(200, sdp("recvonly" if i == 0 else "sendrecv", 2 + i)).recv("ACK")
    return one.hang_up(4), two.hung_up()


def late_offer():
    """INVITE without an offer: it comes in the 200, the answer in the ACK"""
    one = a().invite(body=False).recv(180).recv(200, has={"Content-Type": "application/sdp"})
    one.ask("ACK", 1, sdp())
    two = b().invited().reply(200, sdp(), to="i")
    two.recv("ACK", has={"Content-Type": "application/sdp"})
    return one.hang_up(2), two.hung_up()


def glare():
    """a re-INVITE of the callee while the caller's is open: 491, and the caller's goes on"""
    one = a().up().ask("INVITE", 2, HOLD).recv(100, optional=True).recv(200).ask("ACK", 2)
    two = b().invited().accept()
    two.recv("INVITE", save={"rvia": "Via", "rfrom": "From", "rto": "To", "rcseq": "CSeq"})
    two.ask("INVITE", 1, sdp("sendrecv", 2)).recv(100, optional=True).recv(491)
    two.ask("ACK", 1, same=True).reply(200, sdp("recvonly", 3), to="r").recv("ACK")
    return one.hang_up(3), two.hung_up()


def cancel_crosses_200():
    """CANCEL meets a 200: the caller hears 487, the callee gets ACK and BYE"""
    one = a().invite().recv(180).ask("CANCEL", 1, same=True).recv(200).recv(487)
    one.ask("ACK", 1, same=True)
    two = b().invited().recv("CANCEL").reply(200)
    return one, two.accept().hung_up()


def session_refresh():
    """a session timer is granted to the caller, and its refresh answered by the node"""
    one = a().invite(headers=["Supported: timer", TIMED]).recv(180)
    one.recv(200, has={"Session-Expires": "120;refresher=uac"}).ask("ACK", 1)
    one.ask("UPDATE", 2, headers=["Supported: timer", TIMED])
    one.recv(200, has={"Session-Expires": "120;refresher=uac"})
    return one.hang_up(3), b().invited().accept().hung_up()


def session_too_small():
    """422 with Min-SE, and nothing to the callee"""
    one = a().invite(headers=["Supported: timer", "Session-Expires: 60"])
    one.recv(422, has={"Min-SE": "90"}).ask("ACK", 1, same=True)
    return one, None


def refer():
    """REFER to the callee, NOTIFY back with its subscription"""
    one = a().up([ALLOW]).ask("REFER", 2, headers=[f"Refer-To: <sip:7999@{INSIDE}>"]).recv(202)
    one.recv("NOTIFY", has={"Event": "refer", "Subscription-State": "terminated"}).reply(200)
    two = b().invited().accept().recv("REFER", has={"Refer-To": "sip:"}).reply(202)
    two.ask("NOTIFY", 1, headers=["Event: refer", "Subscription-State: terminated;reason=noresource"
                                  ]).recv(200)
    return one.hang_up(3), two.hung_up()


def info():
    """INFO both ways within the call"""
    one, two = a().up([ALLOW]), b().invited().accept()
    one.ask("INFO", 2, headers=["Info-Package: x"]).recv(200)
    two.recv("INFO", has={"Info-Package": "x"}).reply(200)
    two.ask("INFO", 1, headers=["Info-Package: y"]).recv(200)
    one.recv("INFO", has={"Info-Package": "y"}).reply(200)
    return one.hang_up(3), two.hung_up()


def callee_ends():
    """the callee hangs up"""
    return a().up().recv("BYE").reply(200), b().invited().accept().hang_up(1)


AUTH = ["[authentication username=alice password=s3cret]"]


def register():
    """REGISTER is challenged, and accepted with digest"""
    one = a("alice").ask("REGISTER", 1, first=True).recv(401, auth=True)
    return one.ask("REGISTER", 2, "", AUTH, first=True).recv(200, has={"Contact": "expires="}), None


def auth():
    """INVITE is challenged, and goes on with digest"""
    one = a("alice").invite().recv(401, auth=True).ask("ACK", 1, same=True)
    one.invite(headers=AUTH, cseq=2).recv(180).recv(200).ask("ACK", 2)
    return one.hang_up(3), b().invited().accept().hung_up()


def run(lab, name, build, ip, *args):
    one, two = build()
    ends = []
    try:
        if two:
            ends.append(Sipp(lab, lab.callee, name + "-b", CALLEE, CALLS, timeout=30,
                             xml=two.xml(name)).listening())
        ends.append(Sipp(lab, lab.caller, name + "-a", ip, CALLS, "-s", "7001", "-r", RATE, *args,
                         f"{INSIDE}:5060", timeout=30, xml=one.xml(name)))
        for sipp in reversed(ends):
            code = sipp.end()
            equal(code, 0, f"exit: {[s.errors() for s in ends]}")
            equal((sipp.count("SuccessfulCall(C)"), sipp.count("FailedCall(C)")), (CALLS, 0),
                  "good and bad calls")
    finally:
        for sipp in ends:
            sipp.kill()
    wait_for(lambda: not lab.calls() and not lab.flows(), 5, "no call and no flow")


def test(build, ip=UAC, *args):
    def named(lab):
        run(lab, build.__name__, build, ip, *args)
    named.__name__, named.__doc__ = build.__name__, build.__doc__
    return named


TESTS = [test(build) for build in (
    prack, early_media, update, hold, late_offer, glare, cancel_crosses_200, session_refresh,
    session_too_small, refer, info, callee_ends)]
TESTS += [test(register, CALLER), test(auth, CALLER, "-auth_uri", f"7001@{INSIDE}:5060")]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
