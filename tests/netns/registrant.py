# SPDX-License-Identifier: GPL-2.0-or-later
"""A scripted phone that registers, and asks with credentials."""
import digest
from phone import Dialog
from tap import check, equal


class Registrant:
    """The account of a phone: its name and secret, and the registration under way."""

    def __init__(self, phone, user, secret, algorithm="SHA-256"):
        self.phone, self.user, self.secret, self.algorithm = phone, user, secret, algorithm
        self.domain = phone.node[0]
        self.dialog = Dialog(phone, f"sip:{user}@{self.domain}", user=user)
        self.dialog.local_uri = f"sip:{user}@{self.domain}"
        self.uri = f"sip:{self.domain}"
        self.challenge, self.count = None, 0

    @property
    def contact(self):
        return f"<sip:{self.user}@{self.phone.ip}:{self.phone.port}{self.phone.params}>"

    def headers(self, method, uri, **kw):
        """Credentials for the last challenge, with the next count."""
        self.count += 1
        kw = {"nc": self.count, "algorithm": self.algorithm, **kw}
        return [("Authorization", digest.credentials(self.challenge, self.user, self.secret,
                                                     method, uri, **kw))]

    def take(self, msg):
        """The challenge with our algorithm out of a 401."""
        equal(msg.code, 401, "answer")
        offered = digest.challenges(msg)
        equal([c["algorithm"] for c in offered], ["SHA-256", "MD5"], "algorithms offered")
        check(all(c["qop"] == "auth" for c in offered), offered)
        self.challenge = next(c for c in offered if c["algorithm"] == self.algorithm)
        self.count = 0
        return self.challenge

    def ask(self, headers=(), contact=None, expires=None, cseq=None):
        """One REGISTER and its answer."""
        d = self.dialog
        d.target = self.uri
        more = [("Contact", self.contact if contact is None else contact)]
        more += [("Expires", str(expires))] if expires is not None else []
        msg = d.request("REGISTER", headers=more + list(headers), cseq=cseq)
        if contact == "":
            return msg, None
        return msg, d.phone.expect("final", call_id=d.call_id)

    def register(self, contact=None, expires=None, cseq=None):
        """Challenged where need be; the last answer."""
        if self.challenge:
            _, final = self.ask(self.headers("REGISTER", self.uri), contact, expires, cseq)
            if final.code != 401:
                return final
        else:
            _, final = self.ask((), contact, expires, cseq)
        self.take(final)
        return self.ask(self.headers("REGISTER", self.uri), contact, expires,
                        cseq + 1 if cseq else None)[1]

    def call(self, number, sdp):
        """An INVITE that proves who it is; the dialog, behind its challenge."""
        uri = f"sip:{number}@{self.domain}"
        dialog = Dialog(self.phone, uri, user=self.user)
        dialog.local_uri = f"sip:{self.user}@{self.domain}"
        dialog.invite = dialog.request("INVITE", sdp)
        refusal = dialog.expect("final")
        dialog.ack(refusal)
        dialog.remote_tag = None
        self.take(refusal)
        dialog.invite = dialog.request("INVITE", sdp, headers=self.headers("INVITE", uri))
        return dialog


def bound(msg):
    """{URI: seconds} of the Contacts in a 200."""
    found = {}
    for value in msg.all("contact"):
        uri, _, rest = value.partition(">")
        found[uri.lstrip("<")] = int(rest.split("expires=")[1].split(";")[0])
    return found
