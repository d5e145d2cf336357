# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp scenarios in few words: each step becomes its XML."""
SDP = """
v=0
o=sipp 1 {version} IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a={direction}"""
OURS = {"a": "[pid]a[call_number]", "b": "[pid]b[call_number]"}


def sdp(direction="sendrecv", version=1):
    return SDP.format(direction=direction, version=version)


def message(lines, body=""):
    head = [line for line in lines if line]
    if body:
        head.append("Content-Type: application/sdp")
    return "<![CDATA[\n" + "\n".join(head) + "\nContent-Length: [len]\n\n" + body.strip() + \
        "\n]]></send>"


class Side:
    """One end's scenario: `a` calls, `b` is called. Steps are added in order."""

    def __init__(self, which, user="sipp"):
        self.which, self.user, self.steps, self.saved = which, user, [], set()
        self.invite_at = 0  # the step that sent the last INVITE

    def xml(self, name):
        saved = f'<Reference variables="{",".join(sorted(self.saved))}"/>' if self.saved else ""
        last = '<timewait milliseconds="1000"/>' if self.which == "b" else ""
        return f'<?xml version="1.0"?><scenario name="{name}">\n' + "\n".join(self.steps) + \
            f"\n{saved}{last}</scenario>\n"

    def recv(self, what, optional=False, save=None, has=None, auth=False):
        """A method or a code. `save`: {variable: header}; `has`: {header: pattern in it}; `auth`:
        its challenge is what [authentication] answers."""
        kind = "response" if isinstance(what, int) else "request"
        actions = ""
        for variable, header in (save or {}).items():
            actions += f'<ereg regexp=".*" search_in="hdr" header="{header}:" ' \
                f'assign_to="{variable}"/>'
            self.saved.add(variable)
        for i, (header, pattern) in enumerate((has or {}).items()):
            variable = f"has{len(self.steps)}x{i}"
            actions += f'<ereg regexp="{pattern}" search_in="hdr" header="{header}:" ' \
                f'check_it="true" assign_to="{variable}"/>'
            self.saved.add(variable)
        action = f"<action>{actions}</action>" if actions else ""
        more = ' optional="true"' if optional else ' rrs="true"'
        more += ' auth="true"' if auth else ""
        self.steps.append(f'<recv {kind}="{what}"{more}>{action}</recv>')
        return self

    def _to(self, method, first):
        if self.which == "b":
            return "To:[$peer]"
        user = self.user if method == "REGISTER" else "[service]"
        tag = "" if first else "[peer_tag_param]"
        return f"To: <sip:{user}@[remote_ip]:[remote_port]>{tag}"

    def ask(self, method, cseq, body="", headers=(), first=False, same=False):
        """A request; `first`: it begins the dialog; `same`: it has the branch of the INVITE: CANCEL
        of it, or ACK where it was refused."""
        branch = f"[branch-{len(self.steps) - self.invite_at}]" if same else "[branch]"
        if method == "INVITE":
            self.invite_at = len(self.steps)
        uri = "sip:[service]@[remote_ip]:[remote_port]" if first or same else "[next_url]"
        uri = "sip:[remote_ip]:[remote_port]" if method == "REGISTER" else uri
        retrans = "" if method == "ACK" else ' retrans="500"'
        self.steps.append(f"<send{retrans}>" + message(
            [f"{method} {uri} SIP/2.0",
             f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}",
             f"From: <sip:{self.user}@[local_ip]:[local_port]>;tag={OURS[self.which]}",
             self._to(method, first or method == "CANCEL"),
             "Call-ID: [call_id]", f"CSeq: {cseq} {method}",
             f"Contact: <sip:{self.user}@[local_ip]:[local_port]>", "Max-Forwards: 70", *headers],
            body))
        return self

    def reply(self, code, body="", headers=(), to=None):
        """An answer to the last request, or to the one whose Via, From, To and CSeq were saved with
        the prefix `to` (`i`: the INVITE that began it all)."""
        tag = f";tag={OURS['b']}" if to == "i" or self.fresh else ""
        head = ["[last_Via:]", "[last_From:]", f"[last_To:]{tag}", "[last_CSeq:]"] if not to else \
            [f"Via:[${to}via]", f"From:[${to}from]", f"To:[${to}to]{tag}", f"CSeq:[${to}cseq]"]
        retrans = ' retrans="500"' if code == 200 and body else ""
        self.steps.append(f"<send{retrans}>" + message(
            [f"SIP/2.0 {code} Said", *head, "Call-ID: [call_id]",
             "Contact: <sip:[local_ip]:[local_port]>", *headers], body))
        return self

    fresh = False       # the request that is answered has no To tag

    # What most scenarios have in common

    def invite(self, body=True, headers=(), cseq=1):
        self.ask("INVITE", cseq, sdp() if body else "", headers, first=True)
        return self.recv(100, optional=True)

    def invited(self, headers=(), has=None, code=180, body=""):
        """The INVITE and its first answer."""
        self.fresh = True
        self.recv("INVITE", save={"peer": "From", "ivia": "Via", "ifrom": "From", "ito": "To",
                                  "icseq": "CSeq"}, has=has)
        self.reply(code, body, headers)
        self.fresh = False
        return self

    def accept(self, body=None, headers=()):
        return self.reply(200, body or sdp(), headers, to="i").recv("ACK")

    def up(self, headers=()):
        """The caller's way to an answered call."""
        return self.invite(headers=headers).recv(180).recv(200).ask("ACK", 1)

    def hang_up(self, cseq):
        return self.ask("BYE", cseq).recv(200)

    def hung_up(self):
        return self.recv("BYE").reply(200)


def a(user="sipp"):
    return Side("a", user)


def b():
    return Side("b")

