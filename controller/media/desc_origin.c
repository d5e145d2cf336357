// SPDX-License-Identifier: GPL-2.0-or-later
/* Our side of a dialog's `o=` line, and the text that it stands for. */
#include "media/desc_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void desc_put_address(struct buf *out, const struct addr *a)
{
	char text[ADDR_TEXT];

	buf_printf(out, "IN IP%c %s\r\n", a->family == AF_INET6 ? '6' : '4',
		   addr_print_ip(text, a));
}

static int choose_id(struct desc_origin *o)
{
	uint32_t id;

	while (!o->id) {
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			return -errno;
		o->id = id & INT32_MAX;
	}
	return 0;
}

/* What follows the `v=` and `o=` lines of the text last sent. */
static struct slice last_rest(const struct desc_origin *o)
{
	struct slice rest = { o->last, o->last_len };

	if (o->last) {
		desc_until(&rest, '\n');
		desc_until(&rest, '\n');
	}
	return rest;
}

int desc_put_origin(struct desc_origin *origin, const struct addr *addr, const struct buf *rest)
{
	struct slice last = last_rest(origin);
	struct desc_origin next = *origin;
	struct buf text = { .secret = true };

	if (origin->last && last.len == rest->len && memcmp(last.p, rest->data, last.len) == 0)
		return 0;
	if (choose_id(&next))
		return -ENOMEM;
	if (next.addr.family == AF_UNSPEC)
		next.addr = addr_with_port(addr, 0);
	next.version++;
	buf_printf(&text, "v=0\r\no=rtpfwd %llu %llu ", (unsigned long long)next.id,
		   (unsigned long long)next.version);
	desc_put_address(&text, &next.addr);
	buf_add(&text, rest->data, rest->len);
	next.last_len = text.len;
	next.last = buf_take(&text);
	if (!next.last)
		return -ENOMEM;
	desc_origin_free(origin);
	*origin = next;
	return 0;
}

void desc_origin_free(struct desc_origin *origin)
{
	if (origin->last)
		explicit_bzero(origin->last, origin->last_len);
	free(origin->last);
	origin->last = NULL;
	origin->last_len = 0;
}
