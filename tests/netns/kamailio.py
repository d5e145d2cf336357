# SPDX-License-Identifier: GPL-2.0-or-later
"""Kamailio, a proxy, registrar and trunk that we did not write, in a namespace."""
import glob
import os
import signal
import subprocess

import netns
from lab import port_free
from tap import Failed, wait_for

CONFIG = """
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
tcp_source_ipv4={ip}
dns=no
rev_dns=no
mpath="{modules}"
{listen}
{modules_loaded}
modparam("rr", "enable_double_rr", 1)
modparam("registrar", "max_expires", 3600)
modparam("auth", "nonce_expire", 300)
{tls}
request_route {{
	if (!mf_process_maxfwd_header("10")) {{
		sl_send_reply("483", "Too Many Hops");
		exit;
	}}
	if (is_method("CANCEL")) {{
		if (t_check_trans()) t_relay();
		exit;
	}}
	if (is_method("REGISTER")) {{
		if (!pv_www_authenticate("{ip}", "{secret}", "0")) {{
			www_challenge("{ip}", "1");
			exit;
		}}
		if (!save("location")) sl_reply_error();
		exit;
	}}
	if (has_totag()) {{
		if (!loose_route()) {{
			if (is_method("ACK") && t_check_trans()) t_relay();
			else if (!is_method("ACK")) sl_send_reply("404", "No Route");
			exit;
		}}
		if (is_method("INVITE")) record_route();
		if (is_method("INVITE|BYE")) route(PROVE);
		t_relay();
		exit;
	}}
	t_check_trans();
	route(PROVE);
	remove_hf("Route");
	record_route();
	if ($si == "{node}") {{
		if (!lookup("location")) {{
			{to_phone}
		}}
	}} else if (!lookup("location")) {{
		{to_node}
	}}
	t_relay();
}}
# What the node asks must be proven where this is a trunk.
route[PROVE] {{
	if ($si != "{challenged}") return;
	if (!pv_proxy_authenticate("{ip}", "{secret}", "0")) {{
		proxy_challenge("{ip}", "1");
		exit;
	}}
	consume_credentials();
	append_hf("X-Proved: $au\\r\\n");
}}
"""
TLS = """
modparam("tls", "private_key", "{cert}")
modparam("tls", "certificate", "{cert}")
modparam("tls", "ca_list", "{ca}")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 1)
modparam("tls", "tls_method", "TLSv1.2+")
"""
MODULES = ["tm", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "usrloc", "registrar", "auth"]
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}


def folder():
    found = glob.glob("/usr/lib/*/kamailio/modules")
    if not found:
        raise Failed("Kamailio's modules are missing")
    return found[0]


def forward(to):
    """What becomes of a request for somebody who is not registered."""
    return f'$ru = "sip:" + $rU + "@{to}";' if to else \
        'sl_send_reply("404", "Not Registered"); exit;'


class Kamailio:
    """One Kamailio: record-routes what passes; from the node to who registered as the called user,
    else to `phone` (ip:port); from everybody else so, too, else to the node over `transport` (None:
    404). `challenges`: INVITE and BYE of the node must be proven with `secret`. `tls`:
    (certificate, authority)."""

    def __init__(self, lab, ns, ip, node, phone=None, transport="udp", secret="unused",
                 challenges=False, tls=None):
        self.ns, self.ip, self.kinds = ns, ip, ["udp", "tcp"] + (["tls"] if tls else [])
        self.folder = f"{lab.dir}/kamailio-{len(lab.started)}"
        os.makedirs(self.folder)
        modules = MODULES + (["tls"] if tls else [])
        text = CONFIG.format(
            modules=folder(), ip=ip, node=node, secret=secret,
            challenged=node if challenges else "nobody", to_phone=forward(phone),
            to_node=forward(transport and f"{node}:{PORTS[transport]};transport={transport}"),
            listen="\n".join([f"listen={k}:{ip}:{PORTS[k]}" for k in self.kinds] +
                             (["enable_tls=yes"] if tls else [])),
            modules_loaded="\n".join(f'loadmodule "{m}.so"' for m in modules),
            tls=TLS.format(cert=tls[0], ca=tls[1]) if tls else "")
        path = f"{self.folder}/kamailio.cfg"
        with open(path, "w") as out:
            out.write(text)
        with open(f"{self.folder}/log", "w") as log:
            self.process = ns.popen("kamailio", "-f", path, "-DD", "-E", "-m", 32, "-M", 8,
                                    "-Y", self.folder, "-w", self.folder,
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    start_new_session=True)
        lab.started.append(self.process)
        wait_for(self.listens, 15, lambda: f"Kamailio listens: {self.log()[-3000:]}")

    def log(self):
        with open(f"{self.folder}/log", errors="replace") as log:
            return log.read()

    def listens(self):
        if self.process.poll() is not None:
            raise Failed(f"Kamailio ended: {self.log()[-3000:]}")
        try:
            netns.tcp(self.ns.name, (self.ip, PORTS[self.kinds[-1]])).close()
            return True
        except ConnectionRefusedError:
            return False

    def stop(self):
        """All of its processes at once: asked to end, some versions never do."""
        if self.process.poll() is not None:
            raise Failed(f"Kamailio ended: {self.log()[-3000:]}")
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_for(lambda: port_free(self.ns.name, self.ip, PORTS["udp"]), 10, "Kamailio is gone")
