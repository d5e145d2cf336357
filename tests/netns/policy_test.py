#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a call's media is here: `explain`, `reason` and the metrics, for each row that a call of this
lab can reach. No call lives long enough to be moved."""
import json
import os

import sip
import tap
from calls import call
from lab import CALLEE, CALLER, config, nothing_left, running
from registrant import Registrant
from tap import check, equal, wait_for

# What a call that nothing keeps here may be found in, one moment or the next.
FREE = {"SETTLE", "DRAIN", "DIRECT"}
PCMU = ((0, "PCMU/8000"),)
PEERS = """
[alice]
type = peer
realm = inside
host = 10.91.1.10
canreinvite = yes
quirk = Cisco ATA 186*: no-reinvite
[anna]
type = peer
realm = inside
host = 10.91.1.11
canreinvite = no
[nora]
type = peer
realm = inside
host = 10.91.1.12
canreinvite = nonat
[dora]
type = friend
realm = inside
host = dynamic
secret = s3cret
canreinvite = yes
[bob]
type = peer
realm = outside
host = 10.91.2.20
canreinvite = yes
[ben]
type = peer
realm = outside
host = 10.91.2.21
canreinvite = no
[bea]
type = peer
realm = outside
host = 10.91.2.22
canreinvite = yes
dtmfmode = info
directmediadeny = 0.0.0.0/0
directmediapermit = 10.91.1.12
[to-bob]
type = route
match = _7X.
to = bob
[to-ben]
type = route
match = _8X.
to = ben
[to-bea]
type = route
match = _5X.
to = bea
[to-alice]
type = route
from = outside
match = _6X.
to = alice
[to-dora]
type = route
match = dora
to = dora
[transfer]
type = route
match = _1X.
to = bob
options = t
[info-transfer]
type = route
match = _2X.
to = bea
options = tw
[warned]
type = route
match = _3X.
to = bob
options = L(3600000:60000:30000)
[limited]
type = route
match = _4X.
to = bob
options = L(3600000)S(3600)
"""
INSIDE_CONF = {"direct": "outside"}


def general(lab):
    """Calls are over before their media moves."""
    return {"state": f"{lab.dir}/state", "settle": "10000"}


def make():
    return running(lambda lab: config(lab, general(lab), inside=INSIDE_CONF, peers=PEERS))


def explain(c):
    """(reason that decides, every reason that matches) of a call."""
    shown = c.show()
    rows = c.lab.ctl("explain", shown["id"])
    matched = [r["reason"] for r in rows if r["matched"]]
    check(matched[-1] == "DIRECT", "the last row matches always:", matched)
    if matched[0] not in FREE:
        equal(shown["reason"], matched[0], "reason of show call")
        equal(shown["path"], "relay", "path")
    return matched[0], set(matched)


def decides(c, reason, also=()):
    """The first row that matches, and those that match beside it and what is always there."""
    first, matched = explain(c)
    equal(first, reason, "reason")
    equal(matched - FREE - {"NOT_ANSWERED"}, {reason, *also} - FREE - {"NOT_ANSWERED"}, "rows")
    return c


def free(c):
    """Nothing keeps it here."""
    equal(explain(c)[1] - FREE, set(), "rows that match")
    return c


def up(lab, prefix="7", a_ip=CALLER, b_ip=CALLEE, ptime=None, server=None, **kw):
    """An answered call; `ptime` of the callee, `server` what it calls itself."""
    c = call(lab, prefix, a_ip, b_ip, **kw)
    if ptime:
        c.b_sdp = c.b_sdp.replace("a=ptime:20", f"a=ptime:{ptime}")
    c.ring()
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=[("Server", server)] if server else [])
    c.a_answer = c.a.expect(200).sdp
    c.relay_a = c.a_answer.rtp()
    c.a.ack(c.phone_final())
    c.b.expect("ACK")
    return c


def end(c):
    c.hang_up().gone()
    c.lab.clear()


def invited(lab, a_ip, headers=()):
    """A call up to the callee's INVITE, whose caller believes to be elsewhere."""
    c = call(lab, a_ip=a_ip)
    c.a = c.a_phone.call(c.number, c.a_sdp, via="192.168.7.7:5060;rport", headers=headers)
    c.a.expect(100)
    c.b = c.b_phone.incoming(c.number)
    return c


def refuse(c):
    c.b.reply(c.b.invite, 486)
    c.a.ack(c.a.expect(486))
    c.lab.clear()


def direct(lab):
    """DIRECT: nothing keeps it here, and explain lists every row in order"""
    c = free(up(lab))
    rows = lab.ctl("explain", c.show()["id"])
    equal(sorted(rows[0]), ["matched", "reason", "row", "text"], "keys of a row")
    equal([r["reason"] for r in rows][:4], ["OPERATOR", "RECORDING", "POLICY_NO_A", "POLICY_NO_B"],
          "first rows")
    equal([(r["row"], r["reason"]) for r in rows][-2:], [("31", "DIRECT_SETUP"), ("32", "DIRECT")],
          "last rows")
    end(c)
    gone = lab.ctl_run("explain", "nobody")
    equal((gone.returncode, gone.stderr), (4, "rtpfwd-ctl: no call 'nobody'\n"), "no such call")


def operator(lab):
    """OPERATOR: until he lets the policy decide again"""
    c = free(up(lab))
    shown = c.show()["id"]
    equal(lab.ctl("call", shown, "relay"), {"ok": True}, "relay")
    decides(c, "OPERATOR")
    equal(lab.ctl("call", shown, "auto"), {"ok": True}, "auto")
    free(c)
    end(c)


def not_answered(lab):
    """NOT_ANSWERED: while it rings"""
    c = call(lab).ring()
    decides(c, "NOT_ANSWERED")
    free(c.answer())
    end(c)


def policy_no(lab):
    """POLICY_NO_A, POLICY_NO_B: canreinvite=no on either leg, the caller's told first"""
    c = decides(up(lab, a_ip="10.91.1.11"), "POLICY_NO_A")
    end(c)
    c = decides(up(lab, "8", b_ip="10.91.2.21"), "POLICY_NO_B")
    end(c)
    c = decides(up(lab, "8", a_ip="10.91.1.11", b_ip="10.91.2.21"), "POLICY_NO_A",
                {"POLICY_NO_B"})
    end(c)


def crypto(lab):
    """CRYPTO: keys offered by one side only, or fingerprints"""
    c = up(lab, a_kw={"extra": ["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40]})
    end(decides(c, "CRYPTO"))
    c = up(lab, b_kw={"extra": ["a=fingerprint:SHA-1 " + ":".join(["00"] * 20)]})
    end(decides(c, "CRYPTO"))


def ice(lab):
    """ICE: candidates end here"""
    extra = ["a=ice-ufrag:8hhY", "a=ice-pwd:asd88fgpdd777uzjYhagZg",
             f"a=candidate:1 1 UDP 2130706431 {CALLER} 8998 typ host"]
    end(decides(up(lab, a_kw={"extra": extra}), "ICE"))


def multi_m(lab):
    """MULTI_M and VIDEO: a second live line; a refused one does not count"""
    video = ["m=video 5004 RTP/AVP 99", "a=rtpmap:99 H264/90000"]
    end(decides(up(lab, a_kw={"media": [video]}), "MULTI_M", {"VIDEO"}))
    refused = ["m=video 0 RTP/AVP 99"]
    end(free(up(lab, a_kw={"media": [refused]})))


def t38(lab):
    """T38: a fax line beside the audio"""
    fax = ["m=image 5006 udptl t38", "a=T38FaxVersion:0"]
    end(decides(up(lab, a_kw={"media": [fax]}), "T38", {"MULTI_M"}))


def pt_mismatch(lab):
    """PT_MISMATCH: the same codec under another number"""
    c = up(lab, codecs=((96, "opus/48000/2"),))
    end(free(c))
    c = call(lab, codecs=((96, "opus/48000/2"),))
    c.b_sdp = sip.sdp(CALLEE, c.b_rtp.port, ((107, "opus/48000/2"),))
    end(decides(c.up(), "PT_MISMATCH"))


def fmtp(lab):
    """FMTP: the same codec with other parameters"""
    ilbc = {"codecs": ((97, "iLBC/8000"),), "a_kw": {"extra": ["a=fmtp:97 mode=20"]}}
    end(free(up(lab, **ilbc, b_kw={"extra": ["a=fmtp:97 mode=20"]})))
    end(decides(up(lab, **ilbc, b_kw={"extra": ["a=fmtp:97 mode=30"]}), "FMTP"))


def pitfall_12_ptime(lab):
    """PTIME: 20 ms against 30"""
    end(decides(up(lab, ptime=30), "PTIME"))


def pitfall_13_dtmf_mode(lab):
    """DTMF_MODE: digits as events, by other numbers, in INFO, or not at all"""
    c = call(lab)
    c.b_sdp = sip.sdp(CALLEE, c.b_rtp.port, ((0, "PCMU/8000"), (96, "telephone-event/8000")))
    end(decides(c.up(), "DTMF_MODE"))
    c = call(lab)
    c.b_sdp = sip.sdp(CALLEE, c.b_rtp.port, PCMU)
    end(decides(c.up(), "DTMF_MODE"))
    c = up(lab, "5", a_ip="10.91.1.12", b_ip="10.91.2.22")
    end(decides(c, "DTMF_MODE"))
    end(free(up(lab, codecs=PCMU)))


def dtmf_feature(lab):
    """DTMF_FEATURE: t needs the callee's digits, but not where they come in INFO"""
    end(decides(up(lab, "1"), "DTMF_FEATURE"))
    c = up(lab, "2", a_ip="10.91.1.12", b_ip="10.91.2.22", codecs=PCMU)
    end(decides(c, "DTMF_MODE"))


def limit_warn(lab):
    """LIMIT_WARN: L with a warning keeps media here, a bare L and S do not"""
    end(decides(up(lab, "3"), "LIMIT_WARN"))
    end(free(up(lab, "4")))


def features_are_told(lab):
    """a start names each route whose letters only keep media here, and those letters alone"""
    told = [line.split("route ")[1] for line in lab.log().splitlines() if "only keep" in line]
    equal(told, ["'transfer': options 't': t only keep media here",
                 "'info-transfer': options 'tw': t w only keep media here",
                 "'warned': options 'L(3600000:60000:30000)': L(x:y...) only keep media here"],
          "warnings")


def acl(lab):
    """ACL: whose media may not meet; an address that media never goes to"""
    c = up(lab, "5", b_ip="10.91.2.22", codecs=PCMU)
    end(decides(c, "DTMF_MODE", {"ACL"}))
    c = up(lab, "5", a_ip="10.91.1.12", b_ip="10.91.2.22", codecs=PCMU)
    end(decides(c, "DTMF_MODE"))
    end(decides(up(lab, a_kw={"c": "c=IN IP4 127.0.0.1"}), "ACL"))
    end(decides(up(lab, b_kw={"c": "c=IN IP4 10.91.1.1"}), "ACL"))


def nat_by_signalling(lab):
    """NAT_A: the top Via is not where the INVITE came from; not behind a proxy"""
    refuse(decides(invited(lab, "10.91.1.12"), "NAT_A"))
    proxied = [("Record-Route", "<sip:10.91.1.12;lr>")]
    refuse(decides(invited(lab, "10.91.1.12", proxied), "NOT_ANSWERED"))
    refuse(decides(invited(lab, CALLER), "NOT_ANSWERED"))      # both are canreinvite=yes


def nat_by_media(lab):
    """NAT_UNKNOWN, then NAT_B: media from where it was not signalled, of the other leg"""
    c = up(lab, a_ip="10.91.1.12", b_kw={"c": "c=IN IP4 10.91.2.21"})
    decides(c, "NAT_UNKNOWN")
    c.b_rtp.start(c.relay_b, c.b_offer.rtcp())      # from 10.91.2.20
    wait_for(lambda: c.show()["b"]["learned"], 5, "a source seen")
    decides(c, "NAT_B")
    end(c)


def no_nat(lab):
    """nonat without a NAT: what came is what was signalled"""
    c = up(lab, a_ip="10.91.1.12")
    c.talk()
    wait_for(lambda: c.show()["a"]["learned"] and c.show()["b"]["learned"], 5, "sources")
    free(c)
    end(c)


def nat_after_a_move(lab):
    """a source seen before the description changed tells nothing of the new one; no NAT before"""
    c = up(lab, a_ip="10.91.1.12")
    c.talk().heard(5)
    free(c)
    moved = lab.end("10.91.1.12")
    c.a.reinvite(sip.sdp("10.91.1.12", moved.port, version=2))
    invite = c.b.expect("INVITE")
    c.b.reply(invite, 200, sip.sdp(CALLEE, c.b_rtp.port, version=2))
    c.a.ack(c.a.expect(200))
    c.b.expect("ACK")
    free(c)
    moved.start(c.relay_a, c.a_answer.rtcp())
    wait_for(lambda: c.show()["a"]["learned"] == f"10.91.1.12:{moved.port}", 5, "the new source")
    free(c)
    end(c)


def nat_by_registration(lab):
    """NAT_B: the phone registered by an address that it is not seen at"""
    lab.write(config(lab, general(lab), inside=INSIDE_CONF, peers=PEERS.replace(
        "secret = s3cret\ncanreinvite = yes", "secret = s3cret\ncanreinvite = nonat\n"
        "nat = force_rport")))
    equal(lab.ctl("reload"), {"ok": True}, "reload")
    phone = lab.phone("10.91.1.11", 5070, user="dora")
    account = Registrant(phone, "dora", "s3cret")
    equal(account.register(contact="<sip:dora@192.168.7.7:5070>").code, 200, "REGISTER")
    c = call(lab, a_ip=CALLEE, b_ip=CALLER)
    c.b_phone, c.number = phone, "dora"
    c.b_sdp = sip.sdp(phone.ip, c.b_rtp.port)
    decides(c.up(), "NAT_B")
    end(c)
    lab.write(config(lab, general(lab), inside=INSIDE_CONF, peers=PEERS))
    equal(lab.ctl("reload"), {"ok": True}, "reload")


def notify(c, state):
    c.b.request("NOTIFY", headers=[("Event", "refer"), ("Subscription-State", state)])
    c.a.reply(c.a.expect("NOTIFY"), 200)
    equal(c.b.expect("final").code, 200, "answer to NOTIFY")


def transfer(lab):
    """TRANSFER: from the REFER until it is told that it ended"""
    c = free(up(lab))
    c.a.request("REFER", headers=[("Refer-To", "<sip:6555@192.0.2.9>")])
    refer = c.b.expect("REFER")
    c.b.reply(refer, 202, headers=[("Contact", c.b.contact)])
    equal(c.a.expect("final").code, 202, "answer to REFER")
    decides(c, "TRANSFER")
    notify(c, "active;expires=60")
    decides(c, "TRANSFER")
    notify(c, "terminated;reason=noresource")
    free(c)
    end(c)


def hold(lab):
    """HOLD: the path stays what it is"""
    c = up(lab)
    c.a.reinvite(sip.sdp(CALLER, c.a_rtp.port, version=2, direction="sendonly"))
    invite = c.b.expect("INVITE")
    c.b.reply(invite, 200, sip.sdp(CALLEE, c.b_rtp.port, version=2, direction="recvonly"))
    c.a.ack(c.a.expect(200))
    c.b.expect("ACK")
    decides(c, "HOLD")
    end(c)


def pitfall_1_device_by_user_agent(lab):
    """QUIRK_NO_REINVITE: by its User-Agent, and it hears of no hold of the other side"""
    c = up(lab, "6", a_ip=CALLEE, b_ip=CALLER, server="Cisco ATA 186  v3.2.0 atasip")
    decides(c, "QUIRK_NO_REINVITE")
    c.a.offer(sip.sdp(CALLEE, c.a_rtp.port, version=2, direction="sendonly"))
    c.b.none("INVITE", seconds=0.3)
    decides(c, "QUIRK_NO_REINVITE", {"HOLD"})
    end(c)
    c = up(lab, "6", a_ip=CALLEE, b_ip=CALLER, server="Linksys/SPA2102")
    end(free(c))
    shown = lab.ctl("peer", "alice", "quirk", "show")
    equal(shown, {"peer": "alice", "learned": [], "configured": [
        {"quirk": "no-reinvite", "pattern": "Cisco ATA 186*"}]}, "quirks")


def pitfall_30_realm_and_private(lab):
    """REALM, PRIVATE_ADDR: nobody said that the networks reach one another"""
    lab.stop()
    lab.start(config(lab, {"settle": "10000"}, peers=PEERS))
    end(decides(up(lab), "REALM", {"PRIVATE_ADDR"}))
    lab.write(config(lab, {"settle": "10000"}, outside={"direct": "inside"}, peers=PEERS))
    equal(lab.ctl("reload"), {"ok": True}, "reload")
    end(free(up(lab)))
    lab.stop()
    lab.start(config(lab, general(lab), inside=INSIDE_CONF, peers=PEERS))


def metrics(lab):
    """calls, streams and decisions by reason"""
    def value(name, reason):
        return lab.metrics().get(f'{name}{{reason="{reason}"}}', 0)
    before = value("rtpfwd_decisions_total", "PTIME")
    c = up(lab, ptime=30)
    equal(value("rtpfwd_path_reason_calls", "PTIME"), 1, "calls")
    equal(value("rtpfwd_not_offloaded_streams", "PTIME"), 1, "streams")
    equal(value("rtpfwd_decisions_total", "PTIME"), before + 1, "decisions")
    end(c)
    equal(value("rtpfwd_path_reason_calls", "PTIME"), 0, "calls after the end")
    equal(value("rtpfwd_decisions_total", "PTIME"), before + 1, "decisions after the end")


def learned_quirk_is_kept(lab):
    """a quirk that a former daemon learned: in force, shown, counted, and cleared"""
    lab.stop()
    entry = {"peer": "bob", "user_agent": "old phone", "cause": "refused", "since": 1,
             "until": 1 << 40}
    os.makedirs(f"{lab.dir}/state", exist_ok=True)
    with open(f"{lab.dir}/state/quirks.json", "w") as out:
        json.dump({"version": 1, "quirks": [entry]}, out)
    lab.start()
    end(decides(up(lab, server="old phone"), "QUIRK_NO_REINVITE"))
    end(free(up(lab, server="new phone")))
    equal({p["name"]: p["quirk"] for p in lab.ctl("show", "peers")}["bob"], "no-reinvite", "quirk")
    equal(lab.metrics()["rtpfwd_quirk_peers"], 1, "quirks counted")
    learned = lab.ctl("peer", "bob", "quirk", "show")["learned"]
    equal([(q["user_agent"], q["cause"]) for q in learned], [("old phone", "refused")], "learned")
    equal(lab.ctl("peer", "bob", "quirk", "clear"), {"ok": True, "cleared": 1}, "clear")
    end(free(up(lab, server="old phone")))
    equal(lab.metrics()["rtpfwd_quirk_peers"], 0, "quirks counted")
    with open(f"{lab.dir}/state/quirks.json") as kept:
        equal(json.load(kept)["quirks"], [], "kept")
    equal(lab.ctl_run("peer", "nobody", "quirk", "show").returncode, 4, "no such peer")


def pitfall_2_crash_and_register(lab):
    """no answer to a re-INVITE, then a fresh REGISTER: it crashed, and is spared"""
    phone = lab.phone("10.91.1.11", 5070, user="dora")
    account = Registrant(phone, "dora", "s3cret")
    agent = [("User-Agent", "fragile")]
    equal(account.register().code, 200, "REGISTER")
    c = call(lab, a_ip=CALLEE, b_ip=CALLER)
    c.b_phone, c.number = phone, "dora"
    c.b_sdp = sip.sdp(phone.ip, c.b_rtp.port)
    c.ring()
    c.b.reply(c.b.invite, 200, c.b_sdp, headers=agent)
    c.a.ack(c.a.expect(200))
    c.b.expect("ACK")
    c.a.reinvite(sip.sdp(CALLEE, c.a_rtp.port, version=2, direction="sendonly"))
    c.b.expect("INVITE")        # and never an answer: it is dead
    c.a.expect_bye(40)
    for expires in (0, 60):     # what is no new binding tells nothing
        account.dialog.call_id = f"boot{expires}@{phone.ip}"
        account.challenge = None
        register_as(account, expires, agent)
        learned = lab.ctl("peer", "dora", "quirk", "show")["learned"]
        equal([q["cause"] for q in learned], ["crashed"] if expires else [], f"Expires: {expires}")


def register_as(account, expires, headers):
    _, final = account.ask(headers, expires=expires)
    account.take(final)
    _, final = account.ask(account.headers("REGISTER", account.uri) + headers, expires=expires)
    equal(final.code, 200, "REGISTER")


TESTS = [direct, operator, not_answered, policy_no, crypto, ice, multi_m, t38, pt_mismatch, fmtp,
         pitfall_12_ptime, pitfall_13_dtmf_mode, dtmf_feature, limit_warn, features_are_told, acl,
         nat_by_signalling, nat_by_media, no_nat, nat_after_a_move, nat_by_registration, transfer,
         hold, pitfall_1_device_by_user_agent, pitfall_30_realm_and_private, metrics,
         learned_quirk_is_kept, pitfall_2_crash_and_register]

if __name__ == "__main__":
    tap.run(TESTS, make, lambda lab, failed: lab.between_tests(failed), nothing_left)
