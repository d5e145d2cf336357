# SPDX-License-Identifier: GPL-2.0-or-later
"""SIP messages and session descriptions as texts: parsed and built, nothing assumed."""
import random
import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact",
           "l": "content-length", "c": "content-type", "k": "supported", "s": "subject",
           "e": "content-encoding"}
CODECS = ((0, "PCMU/8000"), (8, "PCMA/8000"), (101, "telephone-event/8000"))


def token(n=10):
    return "".join(random.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(n))


def host(ip):
    """As URIs and Via have it."""
    return f"[{ip}]" if ":" in ip else ip


def routes(msg):
    """The entries of Record-Route, the nearest first for who was asked."""
    return [r for v in msg.all("record-route") for r in re.findall(r"<[^>]*>[^,]*", v)]


class Msg:
    """A request (method, uri) or a response (code, reason); headers in order, as written."""

    def __init__(self, method=None, uri=None, code=None, reason=None, headers=(), body=b""):
        self.method, self.uri, self.code, self.reason = method, uri, code, reason
        self.headers = [tuple(h) for h in headers]
        self.body = body.encode() if isinstance(body, str) else body

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name.strip(), value.strip()))
        first = lines[0].split(" ", 2)
        if first[0] == "SIP/2.0":
            return cls(code=int(first[1]), reason=first[2] if len(first) > 2 else "",
                       headers=headers, body=body)
        if len(first) != 3 or first[2] != "SIP/2.0":
            raise ValueError(f"no SIP: {lines[0]!r}")
        return cls(method=first[0], uri=first[1], headers=headers, body=body)

    def all(self, name):
        want = name.lower()
        return [v for n, v in self.headers if COMPACT.get(n.lower(), n.lower()) == want]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def set(self, name, value):
        self.drop(name)
        self.headers.append((name, value))

    def drop(self, name):
        self.headers = [h for h in self.headers if h[0].lower() != name.lower()]

    def bytes(self):
        first = f"{self.method} {self.uri} SIP/2.0" if self.method else \
            f"SIP/2.0 {self.code} {self.reason}"
        lines = [first] + [f"{n}: {v}" for n, v in self.headers
                           if n.lower() != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body

    @property
    def call_id(self):
        return self.get("call-id")

    @property
    def cseq(self):
        number, method = self.get("cseq").split()
        return int(number), method

    @property
    def branch(self):
        found = re.search(r";\s*branch=([^;\s,]+)", self.get("via", ""))
        return found.group(1) if found else None

    def tag(self, name):
        found = re.search(r";\s*tag=([^;\s>]+)", self.get(name, "").rpartition(">")[2] or
                          self.get(name, ""))
        return found.group(1) if found else None

    def address(self, name):
        """The URI inside of From, To or Contact."""
        value = self.get(name, "")
        found = re.search(r"<([^>]+)>", value)
        return found.group(1) if found else value.split(";")[0].strip()

    @property
    def sdp(self):
        return Sdp(self.body) if self.body else None

    @property
    def key(self):
        """Alike for a message and its retransmissions."""
        return self.method, self.code, self.branch, self.get("cseq"), self.tag("to"), self.call_id

    def __str__(self):
        first = f"{self.method} {self.uri}" if self.method else f"{self.code} {self.reason}"
        return f"{first} [{self.get('cseq')}] {self.call_id}"


class Sdp:
    """A description: lines before the first m= in `session`, then one list of lines for each."""

    def __init__(self, body):
        self.text = body.decode() if isinstance(body, bytes) else body
        self.lines = [line for line in re.split(r"\r?\n", self.text) if line]
        self.session, self.media = [], []
        for line in self.lines:
            if line.startswith("m="):
                self.media.append([line])
            elif self.media:
                self.media[-1].append(line)
            else:
                self.session.append(line)

    @property
    def origin(self):
        return next(line for line in self.session if line.startswith("o="))

    @property
    def origin_id(self):
        """Who and which session, without the version."""
        o = self.origin.split()
        return o[0], o[1], o[3:]

    @property
    def version(self):
        return int(self.origin.split()[2])

    def m(self, index=0):
        kind, port, proto, *formats = self.media[index][0][2:].split()
        return kind, int(port), proto, formats

    def connection(self, index=0):
        for line in self.media[index] + self.session:
            if line.startswith("c="):
                return line.split()[2]
        return None

    def attributes(self, index=0):
        return [line[2:] for line in self.media[index] if line.startswith("a=")]

    def direction(self, index=0):
        for line in self.attributes(index) + [s[2:] for s in self.session if s.startswith("a=")]:
            if line in ("sendrecv", "sendonly", "recvonly", "inactive"):
                return line
        return "sendrecv"

    def rtp(self, index=0):
        return self.connection(index), self.m(index)[1]

    def rtcp(self, index=0):
        ip, port = self.rtp(index)
        for line in self.attributes(index):
            if line.startswith("rtcp:"):
                words = line[5:].split()
                return (words[3] if len(words) > 3 else ip), int(words[0])
        return ip, port + 1


def sdp(ip, port, codecs=CODECS, direction=None, version=1, session=4711, c=None, extra=(),
        media=(), c_media=False, profile="RTP/AVP"):
    """An audio description; `media` are further m= sections, each a list of lines."""
    net = f"IN IP6 {ip}" if ":" in ip else f"IN IP4 {ip}"
    c_line = c or f"c={net}"
    lines = ["v=0", f"o=phone {session} {version} {net}", "s=-"]
    lines += [] if c_media else [c_line]
    lines += ["t=0 0", f"m=audio {port} {profile} " + " ".join(str(pt) for pt, _ in codecs)]
    lines += [c_line] if c_media else []
    lines += [f"a=rtpmap:{pt} {name}" for pt, name in codecs]
    if any(name.startswith("telephone-event") for _, name in codecs):
        lines.append("a=fmtp:101 0-16")
    lines += ["a=ptime:20"] + list(extra)
    lines += [f"a={direction}"] if direction else []
    for section in media:
        lines += list(section)
    return "\r\n".join(lines) + "\r\n"
