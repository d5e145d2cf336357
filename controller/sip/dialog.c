// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/dialog.h"

#include "sip/reply.h"
#include "sip/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void clear_routes(struct sip_dialog *d)
{
	for (size_t i = 0; i < d->n_routes; i++)
		free(d->routes[i]);
	free(d->routes);
	d->routes = NULL;
	d->n_routes = 0;
}

struct sip_key sip_dialog_key(const struct sip_bind *bind, const char *call_id,
			      const char *local_tag)
{
	struct sip_hash h;

	sip_hash_start(&h, bind->sip);
	sip_hash_bytes(&h, (const char *)&bind->realm->index, sizeof(bind->realm->index));
	sip_hash_text(&h, call_id);
	sip_hash_text(&h, local_tag);
	return sip_hash_end(&h);
}

void sip_dialog_clear(struct sip_dialog *d)
{
	clear_routes(d);
	free(d->call_id);
	free(d->local);
	free(d->remote);
	free(d->local_tag);
	free(d->remote_tag);
	free(d->target);
	free(d->refers);
	free(d->user);
	free(d->secret);
	*d = (struct sip_dialog){0};
}

int sip_dialog_login(struct sip_dialog *d, const char *user, const char *secret)
{
	free(d->user);
	free(d->secret);
	d->user = strdup(user);
	d->secret = strdup(secret);
	return d->user && d->secret ? 0 : -ENOMEM;
}

/* `uri` out of a Route value. */
static int route_uri(struct sip_uri *out, const char *route)
{
	struct slice spec = sip_addr_spec(route);
	char *text = strndup(spec.p ? spec.p : "", spec.len);
	int err = text ? sip_uri_parse(out, text) : -ENOMEM;

	free(text);
	return err;
}

/* Whoever asked for TLS gets nothing else. */
static bool keeps_tls(const struct sip_dialog *d, enum conf_transport transport)
{
	return d->bind->transport == CONF_TLS && transport != CONF_TLS;
}

/* A dialog goes where its target or first route says (12.2.1.1), also when that is by another
 * transport, unless the way it came is the only one. What a URI does not say stays as it is: far
 * ends that speak TCP and do not write so into Contact are common. */
static void follow(struct sip_dialog *d, const struct sip_uri *uri)
{
	enum conf_transport transport = d->bind->transport;
	sa_family_t family = d->bind->local.family;
	const struct sip_bind *bind = NULL;

	if (uri->sips)
		transport = CONF_TLS;
	else if (uri->transport_written)
		transport = uri->transport;
	if (uri->addr.family != AF_UNSPEC)
		family = uri->addr.family;
	else if (!uri->sips)
		return; /* a name: by the way that its last message came */
	if (d->force_rport || transport == CONF_TRANSPORTS || keeps_tls(d, transport) ||
	    (transport == d->bind->transport && family == d->bind->local.family))
		return;
	bind = sip_bind_find(d->bind->sip, d->bind->realm->name, family, transport);
	if (!bind)
		return;
	d->bind = bind;
	d->source = (struct addr){0};
}

static void find_hop(struct sip_dialog *d)
{
	struct sip_uri uri = {0};

	if (d->n_routes)
		route_uri(&uri, d->routes[0]);
	else if (d->target)
		sip_uri_parse(&uri, d->target);
	d->hop = uri.addr;
	follow(d, &uri);
}

void sip_dialog_heard(struct sip_dialog *d, const struct sip_msg *m)
{
	if (m->bind == d->bind)
		d->source = m->source;
}

static int add_route(struct sip_dialog *d, struct slice item)
{
	char *text;

	if (d->n_routes == SIP_ROUTES_MAX || item.len > SIP_VALUE_MAX)
		return -E2BIG;
	text = strndup(item.p, item.len);
	if (!text)
		return -ENOMEM;
	d->routes[d->n_routes++] = text;
	return 0;
}

static void reverse_routes(struct sip_dialog *d)
{
	for (size_t i = 0; i < d->n_routes / 2; i++) {
		char *first = d->routes[i];

		d->routes[i] = d->routes[d->n_routes - 1 - i];
		d->routes[d->n_routes - 1 - i] = first;
	}
}

int sip_dialog_set_routes(struct sip_dialog *d, const struct sip_msg *m, bool reversed)
{
	struct slice item;
	int err = 0;

	clear_routes(d);
	if (!m->first[SIP_H_RECORD_ROUTE])
		goto out;
	d->routes = calloc(SIP_ROUTES_MAX, sizeof(*d->routes));
	if (!d->routes)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_lines; i++) {
		const char *rest = m->lines[i].value;

		if (m->lines[i].kind != SIP_H_RECORD_ROUTE)
			continue;
		while (!err && sip_list_next(&rest, ',', &item))
			if (item.len)
				err = add_route(d, item);
	}
	if (reversed)
		reverse_routes(d);
out:
	find_hop(d);
	return err;
}

int sip_dialog_set_target(struct sip_dialog *d, const char *target)
{
	char *copy;

	if (!target)
		return 0;
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	free(d->target);
	d->target = copy;
	find_hop(d);
	return 0;
}

char *sip_contact_uri(const struct sip_msg *m)
{
	const char *rest = m->first[SIP_H_CONTACT];
	struct sip_uri uri;
	struct slice item, spec;
	char *text, *out = NULL;

	if (!rest || !sip_list_next(&rest, ',', &item) || item.len > SIP_VALUE_MAX)
		return NULL;
	text = strndup(item.p, item.len);
	if (!text)
		return NULL;
	spec = sip_addr_spec(text);
	if (spec.len)
		out = strndup(spec.p, spec.len);
	free(text);
	if (out &&
	    (strpbrk(out, " \t<>\"") || sip_uri_parse(&uri, out) || (!uri.sip && !uri.sips))) {
		free(out);
		return NULL;
	}
	return out;
}

int sip_dialog_set_remote(struct sip_dialog *d, const struct sip_msg *response)
{
	char *remote = strdup(response->first[SIP_H_TO]);
	char *tag = strdup(response->to_tag);

	if (!remote || !tag) {
		free(remote);
		free(tag);
		return -ENOMEM;
	}
	free(d->remote);
	free(d->remote_tag);
	d->remote = remote;
	d->remote_tag = tag;
	return 0;
}

/* Is the way by which the far end's last message came the one to take? Of a connection: as long as
 * it stands and no other leads to the same far end. */
static bool comes_back(const struct sip_dialog *d)
{
	bool forced = d->force_rport || d->hop.family != d->bind->local.family;

	if (d->source.family == AF_UNSPEC || !sip_bind_reliable(d->bind))
		return d->source.family != AF_UNSPEC && forced;
	if (!sip_bind_connected(d->bind, &d->source))
		return d->hop.family != d->bind->local.family;
	return forced ||
	       (addr_same_ip(&d->source, &d->hop) && !sip_bind_connected(d->bind, &d->hop));
}

struct addr sip_dialog_hop(const struct sip_dialog *d)
{
	return comes_back(d) ? d->source : d->hop;
}

/* The request URI and the Route headers: RFC 3261 12.2.1.1, with its rule for a strict router in
 * front. */
static void build_routing(struct buf *line, struct buf *routes, const struct sip_dialog *d)
{
	struct sip_uri first = {.loose = true};
	struct slice spec;

	if (d->n_routes)
		route_uri(&first, d->routes[0]);
	if (!first.loose) {
		spec = sip_addr_spec(d->routes[0]);
		buf_add(line, spec.p, spec.len);
	} else {
		buf_str(line, d->target);
	}
	for (size_t i = first.loose ? 0 : 1; i < d->n_routes; i++)
		buf_printf(routes, "Route: %s\r\n", d->routes[i]);
	if (!first.loose)
		buf_printf(routes, "Route: <%s>\r\n", d->target);
}

static void add_pair(struct buf *out, const char *name, const char *value)
{
	buf_str(out, name);
	buf_str(out, value);
	buf_add(out, "\r\n", 2);
}

void sip_build_request(struct buf *out, const struct sip_dialog *d, const struct sip_outgoing *r)
{
	const char *method = sip_method_name(r->method);
	struct buf routes = {0};

	buf_reset(out);
	buf_str(out, method);
	buf_add(out, " ", 1);
	build_routing(out, &routes, d);
	buf_str(out, " SIP/2.0\r\nVia: ");
	buf_str(out, d->bind->via);
	buf_str(out, d->bind->hostport);
	buf_str(out, ";branch=");
	buf_str(out, r->branch);
	buf_printf(out, ";rport\r\nMax-Forwards: %u\r\n", r->max_forwards);
	if (routes.len)
		buf_add(out, routes.data, routes.len);
	add_pair(out, "From: ", d->local);
	add_pair(out, "To: ", d->remote);
	add_pair(out, "Call-ID: ", d->call_id);
	buf_printf(out, "CSeq: %u %s\r\n", r->cseq, method);
	if (sip_method_has_contact(r->method))
		buf_printf(out, "Contact: <sip:%s%s>\r\n", d->bind->hostport, d->bind->params);
	buf_str(out, "User-Agent: " SIP_AGENT "\r\n");
	if (r->method == SIP_INVITE || r->method == SIP_UPDATE)
		sip_build_capabilities(out, r->supported);
	if (r->reason) {
		buf_str(out, "Reason: ");
		sip_add_plain(out, r->reason);
		buf_add(out, "\r\n", 2);
	}
	sip_pass_headers(out, r->pass);
	if (r->mapped)
		buf_str(out, r->mapped);
	if (r->lines)
		buf_str(out, r->lines);
	sip_pass_body(out, r->pass, r->sdp);
	out->failed |= routes.failed;
	buf_free(&routes);
}
