# SPDX-License-Identifier: GPL-2.0-or-later
"""Many calls at once between two scripted phones that do whatever a seed tells them: a fast SIP
peer of one thread, with retransmissions of its own and messages that get lost."""
import collections
import heapq
import json
import random
import re
import select
import socket
import time

import netns
from lab import CALLEE, CALLER, INSIDE, OUTSIDE

T1, T2, GIVE_UP = 0.5, 4.0, 32.0    # RFC 3261 17.1.1.1
LOSS = 0.02                         # of all messages, each way
MIRROR = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly",
          "inactive": "inactive"}
MOODS = ("refuse", "slow", "swallow")
ACTIONS = ("hold", "resume", "move", "ask", "same", "update", "refuse") + MOODS
REFUSALS = (400, 403, 488, 491, 500, 603)
TAG = re.compile(r";tag=([^;>\s]+)")
BRANCH = re.compile(r"branch=([^;,\s]+)")


class Message:
    """What of a message this peer reads; its first Via, From and so on as they are written."""
    __slots__ = ("method", "uri", "code", "headers", "body", "vias", "source")

    def __init__(self, data, source):
        head, _, self.body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        words = first.split(" ", 2)
        self.code = int(words[1]) if words[0] == "SIP/2.0" else 0
        self.method, self.uri = ("", "") if self.code else words[:2]
        self.headers, self.vias, self.source = {}, [], source
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            if name == "via":
                self.vias.append(value)
            self.headers.setdefault(name, value)

    @property
    def cseq(self):
        number, method = self.headers["cseq"].split()
        return int(number), method

    def tag(self, name):
        found = TAG.search(self.headers[name])
        return found.group(1) if found else None

    @property
    def direction(self):
        found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\r?$", self.body, re.MULTILINE)
        return found.group(1) if found else "sendrecv"


class Half:
    """One phone's half of a call: its dialog, and what it has been told to do next."""

    def __init__(self, phone, name, call_id):
        self.phone, self.name, self.call_id = phone, name, call_id
        # What it does hangs on the seed and its number, not on what happens to whom first.
        self.random = random.Random(f"{phone.swarm.seed}/{name}/{phone.user}")
        self.local_tag, self.remote_tag = f"t{self.random.getrandbits(40):x}", None
        self.local = self.remote = self.target = None
        self.cseq, self.version, self.direction = 0, 1, "sendrecv"
        self.port = self.random.randrange(20000, 60000, 2)
        self.mood = "accept"        # what becomes of the next offer
        self.pending = None         # our INVITE: CSeq number
        self.asked = None           # theirs, not answered yet
        self.replies = {}           # by (CSeq, method): sent again when it comes again
        self.acks = {}              # of a 2xx, by CSeq
        self.final = None           # CSeq number of the INVITE answered last
        self.deaf = False           # to the CANCEL of what it swallowed
        self.state = "early"        # early, up, ending, over
        self.was_up = False
        self.trace = []             # what was sent and heard, to be shown of one that stays

    # Descriptions

    def sdp(self, direction=None):
        return (f"v=0\r\no=swarm 4711 {self.version} IN IP4 {self.phone.ip}\r\ns=-\r\n"
                f"c=IN IP4 {self.phone.ip}\r\nt=0 0\r\nm=audio {self.port} RTP/AVP 0 8 101\r\n"
                "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
                f"a={direction or self.direction}\r\n")

    def answer(self, offer):
        """Takes what was offered, but for what it does not want itself while it holds."""
        mirrored = MIRROR[offer.direction]
        if self.direction in ("sendonly", "inactive") and mirrored in ("sendrecv", "sendonly"):
            mirrored = self.direction
        elif self.direction == "inactive":
            mirrored = "inactive"
        self.version += 1
        return self.sdp(mirrored)

    # Sending

    def send(self, text, body):
        first = text.split("\r\n", 1)[0]
        words = first.split()
        self.note(">", words[1] if words[0] == "SIP/2.0" else words[0],
                  re.search(r"CSeq: ([^\r]*)", text).group(1))
        return self.phone.send(text, body)

    def note(self, way, what, cseq):
        self.trace.append(f"{time.monotonic() % 1000:.2f}{way}{what} {cseq}")

    def request(self, method, body="", cseq=None, branch=None):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or f"z9hG4bK{self.random.getrandbits(60):x}"
        to = self.remote + (f";tag={self.remote_tag}" if self.remote_tag else "")
        text = (f"{method} {self.target} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {self.phone.ip}:5060;rport;branch={branch}\r\n"
                f"Max-Forwards: 70\r\nFrom: {self.local};tag={self.local_tag}\r\nTo: {to}\r\n"
                f"Call-ID: {self.call_id}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:{self.phone.user}@{self.phone.ip}>\r\n"
                "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS\r\n")
        data = self.send(text, body)
        if method == "ACK":
            return data
        self.phone.repeat((self, cseq, method), data)
        return cseq, branch

    def reply(self, msg, code, body="", again=False):
        to = msg.headers["to"]
        if code > 100 and not msg.tag("to"):
            to += f";tag={self.local_tag}"
        text = f"SIP/2.0 {code} Reason\r\n" + "".join(f"Via: {v}\r\n" for v in msg.vias)
        text += (f"From: {msg.headers['from']}\r\nTo: {to}\r\nCall-ID: {self.call_id}\r\n"
                 f"CSeq: {msg.headers['cseq']}\r\n"
                 f"Contact: <sip:{self.phone.user}@{self.phone.ip}>\r\n"
                 "Allow: INVITE, ACK, CANCEL, BYE, UPDATE, OPTIONS\r\n")
        data = self.send(text, body)
        self.replies[msg.cseq] = data
        if again:       # until its ACK
            self.phone.repeat((self, msg.cseq[0], "ACK"), data)

    def ack(self, msg, body=""):
        """Of a 2xx: a request of its own, the same each time; of a refusal: as its INVITE was."""
        number = msg.cseq[0]
        if number in self.acks:
            self.phone.send_raw(self.acks[number])
        elif msg.code < 300:
            self.acks[number] = self.request("ACK", body, number)
        else:
            self.like_invite("ACK", number, msg.tag("to"), BRANCH.search(msg.vias[0]).group(1))

    def like_invite(self, method, number, tag, branch):
        """ACK of a refusal, and CANCEL: of the INVITE's transaction (RFC 3261 9.1, 17.1.1.3)."""
        kept = self.target, self.remote_tag
        self.target, self.remote_tag = self.invite_uri, tag
        self.request(method, "", number, branch)
        self.target, self.remote_tag = kept

    def invite(self, body):
        if self.pending or self.asked or self.state == "over":
            return False
        self.invite_uri, self.invite_tag = self.target, self.remote_tag
        self.pending, self.invite_branch = self.request("INVITE", body)
        self.offered = bool(body)
        return True

    # What a script has it do

    def hold(self):
        self.change(self.random.choice(("sendonly", "inactive")))

    def resume(self):
        self.change("sendrecv")

    def move(self):
        self.port = self.random.randrange(20000, 60000, 2)
        self.change(self.direction)

    def change(self, direction):
        self.direction = direction
        self.version += 1
        if self.state == "up":
            self.invite(self.sdp())

    def ask(self):
        if self.state == "up":
            self.invite("")

    def same(self):
        if self.state == "up":
            self.invite(self.sdp())

    def update(self):
        if self.state == "up" and not self.pending and not self.asked:
            self.version += 1
            self.request("UPDATE", self.sdp())

    def bye(self):
        if self.state == "up":
            self.state = "ending"
            self.request("BYE")
        elif self.state == "early" and self.pending:
            self.state = "ending"
            self.like_invite("CANCEL", self.pending, self.invite_tag, self.invite_branch)

    def up(self):
        if self.state == "early":
            self.state, self.was_up = "up", True

    def over(self, how):
        if self.state != "over":
            self.phone.swarm.ended[how] += 1
        self.state = "over"
        self.phone.quiet(self)

    # What comes

    def heard(self, msg):
        self.note("<", msg.code or msg.method, msg.headers["cseq"])
        if msg.code:
            self.response(msg)
        elif msg.method == "ACK":
            self.phone.answered(self, msg.cseq[0], "ACK")
            if self.asked and self.asked.cseq[0] == msg.cseq[0]:
                self.asked = None
        elif msg.cseq in self.replies:
            self.phone.send_raw(self.replies[msg.cseq])
        elif self.state in ("ending", "over") and msg.method not in ("BYE", "CANCEL"):
            self.reply(msg, 481, again=msg.method == "INVITE")
        else:
            getattr(self, "on_" + msg.method.lower(), self.on_other)(msg)

    def on_other(self, msg):
        self.reply(msg, 200)

    def on_bye(self, msg):
        self.reply(msg, 200)
        self.over("bye")

    def on_cancel(self, msg):
        self.reply(msg, 200)
        late = self.final == msg.cseq[0]        # it is answered: CANCEL changes nothing
        if self.asked and self.asked.cseq[0] == msg.cseq[0] and not self.deaf and not late:
            self.reply(self.asked, 487, again=True)
            self.asked = None
            if self.state == "early":
                self.over("cancelled")

    def on_update(self, msg):
        if self.pending or self.asked:
            self.reply(msg, 491)
        else:
            self.reply(msg, 200, self.answer(msg) if msg.body else "")

    def on_invite(self, msg):
        if self.pending:
            self.reply(msg, 491, again=True)
            return
        if self.asked:
            self.reply(msg, 500, again=True)
            return
        mood, self.mood = self.mood, "accept"
        self.asked = msg
        if mood == "swallow":
            self.deaf = self.random.random() < 0.5
            if self.state == "early":   # nobody tells it when the caller's side gives up
                self.phone.swarm.later(GIVE_UP + 4, self.over, "swallowed")
            return
        if mood == "slow":
            self.reply(msg, 100)
            self.phone.swarm.later(self.random.uniform(0.05, 0.6), self.settle, msg)
        elif mood == "refuse":
            self.settle(msg, self.random.choice(REFUSALS))
        else:
            self.settle(msg)

    def settle(self, msg, code=200):
        """The final answer to an INVITE, unless it was cancelled meanwhile."""
        if self.asked is not msg or self.state == "over":
            return
        self.final = msg.cseq[0]
        if code == 200:
            self.reply(msg, 200, self.answer(msg) if msg.body else self.sdp("sendrecv"), True)
            self.up()
        else:
            self.reply(msg, code, again=True)
            self.asked = None
            if self.state == "early":
                self.over("refused")

    def response(self, msg):
        number, method = msg.cseq
        if method != "INVITE":
            if msg.code >= 200:
                self.phone.answered(self, number, method)
            if method == "BYE" and msg.code >= 200:
                self.over("bye")
            return
        self.phone.answered(self, number, method)
        if msg.code < 200:
            self.remote_tag = self.remote_tag or msg.tag("to")
            return
        if msg.code < 300:
            self.accepted(msg)
        else:
            self.ack(msg)
            if number == self.pending:
                self.refused(msg)

    def accepted(self, msg):
        first = msg.cseq[0] == self.pending
        if first and self.remote_tag is None or self.state in ("early", "ending"):
            self.remote_tag = msg.tag("to")
            contact = msg.headers.get("contact", self.target)
            self.target = contact.strip("<>").split(">")[0]
        if first:
            self.pending = None
        asked = not self.offered and bool(msg.body)
        self.ack(msg, self.sdp() if asked else "")
        if self.state == "ending" and not self.was_up:      # the 200 crossed our CANCEL
            self.was_up = True
            self.request("BYE")
        self.up()

    def refused(self, msg):
        self.pending = None
        if self.state == "early" or (self.state == "ending" and not self.was_up):
            self.over("refused")
        elif msg.code in (481, 408) and self.state == "up":
            self.bye()


class Phone:
    def __init__(self, swarm, ns, ip, node, user):
        self.swarm, self.ip, self.node, self.user = swarm, ip, node, user
        self.sock = netns.udp(ns, ip, 5060)
        self.sock.setblocking(False)
        self.halves, self.waiting = {}, {}

    def send(self, text, body):
        if body:
            text += "Content-Type: application/sdp\r\n"
        data = f"{text}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        self.send_raw(data)
        return data

    def send_raw(self, data):
        if self.swarm.random.random() < self.swarm.loss:
            self.swarm.count["lost_out"] += 1
            return
        self.swarm.count["sent"] += 1
        try:
            self.sock.sendto(data, self.node)
        except OSError:
            self.swarm.count["refused_by_kernel"] += 1

    def repeat(self, key, data, wait=T1, since=None):
        """Sends it again until answered()."""
        since = since or time.monotonic()
        self.waiting[key] = data
        self.swarm.later(wait, self._again, key, data, wait, since)

    def _again(self, key, data, wait, since):
        if self.waiting.get(key) is not data:
            return
        if time.monotonic() - since >= GIVE_UP:
            del self.waiting[key]
            half, _, method = key
            self.swarm.count["given_up"] += 1
            if method == "BYE" or half.state in ("early", "ending"):
                half.over("silence")
            elif method == "INVITE":
                half.pending = None
            return
        self.swarm.count["repeated"] += 1
        self.send_raw(data)
        self.repeat(key, data, wait * 2 if key[2] == "INVITE" else min(wait * 2, T2), since)

    def answered(self, half, number, method):
        self.waiting.pop((half, number, method), None)

    def quiet(self, half):
        """What a dead dialog still waits for: the end of its own transactions alone."""
        for key in [k for k in self.waiting if k[0] is half and k[2] not in ("ACK", "BYE")]:
            del self.waiting[key]

    def hear(self):
        while True:
            try:
                data, source = self.sock.recvfrom(65535)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if self.swarm.random.random() < self.swarm.loss:
                self.swarm.count["lost_in"] += 1
                continue
            self.swarm.count["heard"] += 1
            self.take(Message(data, source))

    def take(self, msg):
        half = self.halves.get(msg.headers["call-id"])
        if half is None and msg.method == "INVITE" and msg.tag("to") is None:
            half = self.called(msg)
        if half is None:
            self.swarm.count["stray"] += 1
        else:
            half.heard(msg)

    def called(self, msg):
        number = re.match(r"sip:([^@]+)@", msg.uri).group(1)
        half = Half(self, number, msg.headers["call-id"])
        half.remote = msg.headers["from"].split(";tag=")[0]
        half.remote_tag, half.local = msg.tag("from"), msg.headers["to"]
        half.target = msg.headers["contact"].strip("<>").split(">")[0]
        half.cseq = 100
        self.halves[half.call_id] = half
        self.swarm.joined(half)
        return half


class Swarm:
    """`calls` calls within `seconds`, each with a life of its own out of the seed."""

    def __init__(self, lab, seed, calls, seconds, loss=LOSS):
        self.lab, self.seed, self.loss = lab, seed, loss
        self.random = random.Random(seed)
        self.timers, self.order = [], 0
        self.count, self.ended = collections.Counter(), collections.Counter()
        self.a = Phone(self, lab.caller.name, CALLER, (INSIDE, 5060), "alice")
        self.b = Phone(self, lab.callee.name, CALLEE, (OUTSIDE, 5060), "bob")
        self.pairs = {}
        for i in range(calls):
            self.later(self.random.uniform(0, seconds), self.begin, f"7{i:06d}")
        self.poll = select.poll()
        for phone in (self.a, self.b):
            self.poll.register(phone.sock, select.POLLIN)

    def later(self, wait, what, *args):
        self.order += 1
        heapq.heappush(self.timers, (time.monotonic() + wait, self.order, what, args))

    def begin(self, number):
        half = Half(self.a, number, f"{number}-{self.random.getrandbits(48):x}@{CALLER}")
        half.local = f"<sip:alice@{CALLER}>"
        half.remote = f"<sip:{number}@{INSIDE}>"
        half.target = f"sip:{number}@{INSIDE}"
        self.a.halves[half.call_id] = half
        self.pairs[number] = [half]
        half.invite(half.sdp() if half.random.random() < 0.9 else "")
        if half.random.random() < 0.05:
            self.later(half.random.uniform(0, 0.3), half.bye)

    def joined(self, half):
        """The callee rings: what becomes of the call."""
        pair, chance = self.pairs[half.name], half.random
        pair.append(half)
        half.mood = chance.choices(("accept", "slow", "refuse", "swallow"), (80, 14, 4, 2))[0]
        life = chance.choice((0.0, 0.2, 1.0, 3.0, 6.0)) * chance.random()
        for _ in range(chance.randrange(7)):
            who, action = chance.choice(pair), chance.choice(ACTIONS)
            self.later(life * chance.random(), self.act, who, action)
        for who in pair if chance.random() < 0.2 else [chance.choice(pair)]:
            self.later(life, self.end, who)

    def act(self, half, action):
        self.count[action] += 1
        if action in MOODS:
            half.mood = action
        else:
            getattr(half, action)()

    def end(self, half):
        """Ends it, now or as soon as it is up."""
        half.bye()
        if half.state in ("early", "up"):
            self.later(0.3, self.end, half)

    def operate(self):
        """Commands about calls of the moment, until there are none."""
        calls = self.ask_node("show", "calls")
        self.count["most_calls"] = max(self.count["most_calls"], len(calls))
        for call in self.random.sample(calls, min(len(calls), 4)):
            command = self.random.choices(("relay", "direct", "auto", "hangup", "explain"),
                                          (4, 4, 4, 1, 4))[0]
            words = ("explain", call["id"]) if command == "explain" else \
                ("call", call["id"], command)
            self.ask_node(*words)
            self.count["command_" + command] += 1
        self.later(0.25, self.operate)

    def ask_node(self, *words):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(self.lab.control)
            sock.sendall(json.dumps({"command": words}).encode() + b"\n")
            answer = sock.makefile("rb").readline()
        return json.loads(answer).get("result")

    def turn(self, wait):
        """Hears what is there, within so many seconds, and does what is due."""
        now = time.monotonic()
        if self.timers:
            wait = min(wait, max(0.0, self.timers[0][0] - now))
        for fd, _ in self.poll.poll(wait * 1000):
            (self.a if fd == self.a.sock.fileno() else self.b).hear()
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, _, what, args = heapq.heappop(self.timers)
            what(*args)

    def alive(self):
        """Halves whose dialog has not ended."""
        return [h for p in (self.a, self.b) for h in p.halves.values() if h.state != "over"]

    def close(self):
        for phone in (self.a, self.b):
            phone.sock.close()
