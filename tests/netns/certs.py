# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates of a test: an authority, what it signed, and what another one signed."""
from netns import sh


class Certs:
    """Paths of PEM files: `ca`; `node`, `phone`, `front` and `elsewhere` (that bears another
    address) signed by it, each with its key; `stranger` signed by somebody else, `other_ca`."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other")
        self.node = self._sign("node", "ca", "IP:10.91.1.1,IP:10.91.2.1")
        self.phone = self._sign("phone", "ca", "DNS:phone.example,IP:10.91.2.22")
        self.front = self._sign("front", "ca", "IP:10.91.1.13")
        self.elsewhere = self._sign("elsewhere", "ca", "IP:10.91.2.99")
        self.stranger = self._sign("stranger", "other", "IP:10.91.2.22")

    def _path(self, name, suffix):
        return f"{self.folder}/{name}.{suffix}"

    def _authority(self, name):
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self._path(name, "key"),
           "-out", self._path(name, "pem"), "-addext", "basicConstraints=critical,CA:TRUE",
           "-addext", "keyUsage=critical,keyCertSign")
        return self._path(name, "pem")

    def _sign(self, name, by, san):
        request, out, key = (self._path(name, s) for s in ("csr", "pem", "key"))
        extensions = self._path(name, "ext")
        with open(extensions, "w") as f:
            f.write(f"subjectAltName={san}\n")
        sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        sh("openssl", "x509", "-req", "-in", request, "-days", "2", "-CA", self._path(by, "pem"),
           "-CAkey", self._path(by, "key"), "-CAcreateserial", "-extfile", extensions, "-out", out)
        with open(key) as k, open(out, "a") as f:
            f.write(k.read())
        return out
