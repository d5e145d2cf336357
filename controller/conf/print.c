// SPDX-License-Identifier: GPL-2.0-or-later
/* A snapshot in its own syntax. Every value is written, defaults too. */
#include "conf/ignored.h"
#include "conf/keys.h"

#include <string.h>

/* The key that begins a list, the comma after it. */
static const char *separator(size_t i)
{
	return i ? "," : "";
}

/* `;` begins a comment. */
static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text == ';' ? "\\%c" : "%c", *text);
}

static void print_text(FILE *out, const char *key, const char *text)
{
	fprintf(out, "%s = ", key);
	print_escaped(out, text);
	fputc('\n', out);
}

static void print_ignored(const struct conf *conf, FILE *out)
{
	for (size_t i = 0; i < conf->n_ignored; i++)
		fprintf(out, "%s%s", i ? ", " : CONF_IGNORED_MARK, conf->ignored[i]);
	if (conf->n_ignored)
		fputc('\n', out);
}

static void print_general(const struct conf *conf, FILE *out)
{
	static const char *const digest[] = { "", "md5", "sha256", "sha256,md5" };
	char text[ADDR_TEXT];

	fprintf(out, "[general]\n");
	print_ignored(conf, out);
	print_text(out, "bpffs", conf->bpffs);
	fprintf(out, "lease = %u\n", conf->lease_s);
	fprintf(out, "guard = %s\n", conf_guard_text(conf->guard));
	fprintf(out, "rtptimeout = %u\n", conf->rtptimeout_s);
	fprintf(out, "rtpholdtimeout = %u\n", conf->rtpholdtimeout_s);
	print_text(out, "control", conf->control);
	addr_print(text, &conf->metrics);
	fprintf(out, "metrics = %s\n", *text ? text : "off");
	print_text(out, "state", conf->state ? conf->state : "off");
	print_text(out, "cdr", conf->cdr ? conf->cdr : "off");
	if (conf->dns)
		fprintf(out, "dns = %s\n", conf->dns);
	fprintf(out, "max_calls = %u\n", conf->max_calls);
	fprintf(out, "directsetup = %s\n", conf->directsetup ? "yes" : "no");
	fprintf(out, "settle = %u-%u\n", conf->settle.lo_ms, conf->settle.hi_ms);
	fprintf(out, "drain_idle = %u\n", conf->drain_idle_ms);
	fprintf(out, "drain_max = %u\n", conf->drain_max_ms);
	fprintf(out, "digest = %s\n", digest[conf->digest]);
	fprintf(out, "defaultexpiry = %u\n", conf->defaultexpiry_s);
	fprintf(out, "minexpiry = %u\n", conf->minexpiry_s);
	fprintf(out, "maxexpiry = %u\n", conf->maxexpiry_s);
	fprintf(out, "authlimit = %u\n", conf->authlimit);
	for (size_t i = 0; i < conf->n_registers; i++)
		print_text(out, "register", conf->registers[i].text);
}

/* Only where something was said of it: most realms speak no TLS. */
static void print_tls(const struct conf_realm *realm, FILE *out)
{
	if (realm->tls_cert)
		print_text(out, "tlscertfile", realm->tls_cert);
	if (realm->tls_key)
		print_text(out, "tlsprivatekey", realm->tls_key);
	if (realm->tls_ca)
		print_text(out, "tlscafile", realm->tls_ca);
	if (realm->tls_cert || realm->tls_verify)
		fprintf(out, "tlsverify = %s\n", realm->tls_verify ? "yes" : "no");
}

static void print_moh(const struct conf_moh *moh, FILE *out)
{
	if (moh->file)
		print_text(out, "moh", moh->path ? moh->path : "off");
}

static void print_realm(const struct conf_realm *realm, FILE *out)
{
	static const char *const xdp[] = { "auto", "native", "generic", "off" };
	char text[ADDR_TEXT];

	fprintf(out, "\n[%s]\ntype = realm\ninterface = ", realm->name);
	for (size_t i = 0; i < realm->n_interfaces; i++)
		fprintf(out, "%s%s", separator(i), realm->interfaces[i]);
	fprintf(out, "\nbind = ");
	for (size_t i = 0; i < realm->n_binds; i++)
		fprintf(out, "%s%s:%s", separator(i),
			conf_transport_name(realm->binds[i].transport),
			addr_print(text, &realm->binds[i].addr));
	fprintf(out, "\nmedia = ");
	for (size_t i = 0; i < realm->n_media; i++)
		fprintf(out, "%s%s", separator(i), addr_print(text, &realm->media[i]));
	fprintf(out, "\nports = %u-%u\nxdp = %s\n", realm->port_lo, realm->port_hi,
		xdp[realm->xdp]);
	if (realm->advertise.family != AF_UNSPEC)
		fprintf(out, "advertise = %s\n", addr_print(text, &realm->advertise));
	for (size_t i = 0; i < realm->n_direct; i++)
		fprintf(out, "%s%s%s", i ? "," : "direct = ", realm->direct[i],
			i + 1 < realm->n_direct ? "" : "\n");
	if (realm->vlan == CONF_VLAN_KEEP)
		fprintf(out, "vlan = keep\n");
	else if (realm->vlan)
		fprintf(out, "vlan = %u\n", realm->vlan);
	if (realm->marks)
		fprintf(out, "dscp = %u\n", realm->dscp);
	print_tls(realm, out);
	print_moh(&realm->moh, out);
}

static void print_names(FILE *out, const char *key, const char *const *encodings, size_t n)
{
	fprintf(out, "%s = ", key);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%s", separator(i), conf_codec_name(encodings[i]));
	fputc('\n', out);
}

static void print_codecs(const struct conf_codecs *codecs, FILE *out)
{
	if (codecs->all && !codecs->n_except) {
		fprintf(out, "allow = all\n");
	} else if (codecs->all) {
		print_names(out, "disallow", codecs->except, codecs->n_except);
	} else {
		fprintf(out, "disallow = all\n");
		print_names(out, "allow", codecs->only, codecs->n_only);
	}
}

static void print_acl(const struct conf_acl *acl, const char *prefix, FILE *out)
{
	char text[ADDR_TEXT];

	for (size_t i = 0; i < acl->n; i++)
		fprintf(out, "%s%s = %s/%u\n", prefix, acl->rules[i].permit ? "permit" : "deny",
			addr_print_ip(text, &acl->rules[i].prefix.net), acl->rules[i].prefix.bits);
}

/* In the order in which they were written. */
static void print_quirks(const struct conf_quirk *q, FILE *out)
{
	if (!q)
		return;
	print_quirks(q->before, out);
	fprintf(out, "quirk = ");
	print_escaped(out, q->pattern);
	fprintf(out, ": no-reinvite\n");
}

const char *conf_canreinvite_text(unsigned int canreinvite, char text[32])
{
	static const struct {
		unsigned int bit;
		const char *word;
	} words[] = {
		{ CANREINVITE_YES, "yes" },
		{ CANREINVITE_UPDATE, "update" },
		{ CANREINVITE_NONAT, "nonat" },
		{ CANREINVITE_OUTGOING, "outgoing" },
	};

	strcpy(text, canreinvite ? "" : "no");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!(canreinvite & words[i].bit))
			continue;
		if (*text)
			strcat(text, ",");
		strcat(text, words[i].word);
	}
	return text;
}

static void print_optional(FILE *out, const char *key, const char *text)
{
	if (text)
		print_text(out, key, text);
}

static void print_login(const struct conf_peer *peer, FILE *out)
{
	static const char *const insecure[] = { "no", "port", "invite", "port,invite" };

	print_optional(out, "secret", peer->secret);
	print_optional(out, "remotesecret", peer->remotesecret);
	print_optional(out, "defaultuser", peer->defaultuser);
	print_optional(out, "fromuser", peer->fromuser);
	print_optional(out, "fromdomain", peer->fromdomain);
	if (peer->insecure)
		fprintf(out, "insecure = %s\n", insecure[peer->insecure]);
	if (peer->dynamic)
		fprintf(out, "maxcontacts = %u\n", peer->maxcontacts);
	if (peer->qualify_ms)
		fprintf(out, "qualify = %u\nqualifyfreq = %u\n", peer->qualify_ms,
			peer->qualifyfreq_s);
}

/* Only where something was said of it: most peers have the defaults. */
static void print_session(const struct conf_session *session, FILE *out)
{
	static const char *const timers[] = { "accept", "originate", "refuse" };

	if (session->timers == SESSION_ACCEPT && session->expires_s == 1800 &&
	    session->min_s == 90 && !session->by_caller)
		return;
	fprintf(out, "session-timers = %s\n", timers[session->timers]);
	fprintf(out, "session-expires = %u\n", session->expires_s);
	fprintf(out, "session-minse = %u\n", session->min_s);
	fprintf(out, "session-refresher = %s\n", session->by_caller ? "uac" : "uas");
}

static void print_peer(const struct conf_peer *peer, FILE *out)
{
	static const char *const dtmf[] = { "rfc2833", "info", "inband", "auto" };
	static const char *const nat[] = { "no", "force_rport", "comedia", "force_rport,comedia" };
	static const char *const encryption[] = { "no", "sdes", "optional" };
	char text[ADDR_TEXT], canreinvite[32];

	fprintf(out, "\n[%s]\ntype = %s\n", peer->name, peer->type);
	if (peer->realm)
		fprintf(out, "realm = %s\n", peer->realm->name);
	fprintf(out, "host = %s\n",
		peer->dynamic ? "dynamic"
		: peer->host_name ? peer->host_text
		: peer->port_written ? addr_print(text, &peer->host)
				   : addr_print_ip(text, &peer->host));
	for (size_t i = 0; i < peer->n_transports; i++)
		fprintf(out, "%s%s%s", i ? "," : "transport = ",
			conf_transport_name(peer->transports[i]),
			i + 1 < peer->n_transports ? "" : "\n");
	print_login(peer, out);
	fprintf(out, "canreinvite = %s\n", conf_canreinvite_text(peer->canreinvite, canreinvite));
	print_codecs(&peer->codecs, out);
	if (peer->transcode)
		fprintf(out, "transcode = g711\n");
	fprintf(out, "nat = %s\n", nat[peer->nat]);
	fprintf(out, "asymmetric = %s\n", peer->asymmetric ? "yes" : "no");
	fprintf(out, "trustrpid = %s\n", peer->identity & IDENTITY_DISTRUST ? "no" : "yes");
	fprintf(out, "sendrpid = %s\n", peer->identity & IDENTITY_WITHHOLD ? "no" : "yes");
	fprintf(out, "dtmfmode = %s\n", dtmf[peer->dtmf]);
	if (peer->encryption)
		fprintf(out, "encryption = %s\n", encryption[peer->encryption]);
	if (peer->keys_over_any)
		fprintf(out, "encryption_over = any\n");
	print_moh(&peer->moh, out);
	if (peer->call_limit)
		fprintf(out, "max_calls = %u\n", peer->call_limit);
	if (peer->rate)
		fprintf(out, "rate = %u\n", peer->rate);
	if (peer->callrate)
		fprintf(out, "callrate = %u\n", peer->callrate);
	print_session(&peer->session, out);
	print_acl(&peer->acl, "", out);
	print_acl(&peer->direct_acl, "directmedia", out);
	print_quirks(peer->quirks, out);
}

static void print_route(const struct conf_route *route, FILE *out)
{
	fprintf(out, "\n[%s]\ntype = route\n", route->name);
	if (route->from_realm || route->from_peer)
		fprintf(out, "from = %s\n",
			route->from_realm ? route->from_realm->name : route->from_peer->name);
	if (route->match)
		fprintf(out, "match = %s\n", route->match);
	fprintf(out, "to = ");
	for (size_t i = 0; i < route->n_to; i++)
		fprintf(out, "%s%s", separator(i),
			route->to[i] ? route->to[i]->name : "registered");
	fputc('\n', out);
	if (route->strip)
		fprintf(out, "strip = %u\n", route->strip);
	if (*route->prepend)
		fprintf(out, "prepend = %s\n", route->prepend);
	if (*route->dial.text)
		fprintf(out, "options = %s\n", route->dial.text);
	fprintf(out, "timeout = %u\n", route->timeout_s);
}

void conf_print(const struct conf *conf, FILE *out)
{
	print_general(conf, out);
	for (size_t i = 0; i < conf->n_realms; i++)
		print_realm(&conf->realms[i], out);
	for (size_t i = 0; i < conf->n_peers; i++)
		print_peer(&conf->peers[i], out);
	for (size_t i = 0; i < conf->n_routes; i++)
		print_route(&conf->routes[i], out);
}
