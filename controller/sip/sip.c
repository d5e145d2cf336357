// SPDX-License-Identifier: GPL-2.0-or-later
#include "sip/sip.h"

#include "sip/ask_priv.h"
#include "sip/auth.h"
#include "sip/relay_priv.h"

#include <errno.h>
#include <osipparser2/osip_port.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* Lines about malformed datagrams: a flood of them shall not become one of the log. */
enum { MALFORMED_LOG_PER_S = 1, MALFORMED_LOG_BURST = 10 };

/* Unless told so, libosip2 prints each parse error to standard output. */
static void silence_parser(void)
{
	for (int level = 0; level < END_TRACE_LEVEL; level++)
		osip_trace_disable_level((osip_trace_level_t)level);
}

int sip_new(struct sip **out, struct conf *conf, struct loop *loop,
	    const struct sip_handlers *handlers, char *why, size_t why_size)
{
	struct sip *sip = calloc(1, sizeof(*sip));
	int err;

	snprintf(why, why_size, "no memory");
	if (!sip)
		return -ENOMEM;
	silence_parser();
	sip->conf = conf_ref(conf);
	sip->loop = loop;
	sip->handlers = *handlers;
	sip->timing = (struct sip_timing){.t1 = SIP_T1_MS,
					  .t2 = SIP_T2_MS,
					  .t4 = SIP_T4_MS,
					  .d = 32000,
					  .c = 181000,
					  .progress = 60000,
					  .glare = 10,
					  .second = 1000};
	sip->limits = (struct sip_limits){.connect_ms = 5000,
					  .message_ms = 10000,
					  .idle_ms = 900000,
					  .linger_ms = 2000,
					  .per_source = 256,
					  .unproven = 1024,
					  .total = 20000,
					  .output = 1 << 20,
					  .pause = 1 << 16};
	sip->malformed_log =
		(struct log_limit){.per_s = MALFORMED_LOG_PER_S, .burst = MALFORMED_LOG_BURST};
	if (getrandom(sip->secret, sizeof(sip->secret), 0) != (ssize_t)sizeof(sip->secret)) {
		snprintf(why, why_size, "no random numbers from the kernel");
		err = -EIO;
		goto fail;
	}
	err = sip_guard_open(sip);
	if (err)
		goto fail;
	err = sip_transport_open(sip, why, why_size);
	if (err)
		goto fail;
	*out = sip;
	return 0;
fail:
	sip_free(sip);
	return err;
}

void sip_free(struct sip *sip)
{
	struct sip_server *server, *next_server;
	struct sip_client *client, *next_client;

	if (!sip)
		return;
	HASH_ITER (hh, sip->servers, server, next_server)
		sip_server_free(server);
	HASH_ITER (hh, sip->clients, client, next_client)
		sip_client_free(client);
	relays_free(sip);
	subscriptions_free(sip);
	sip_legs_free(sip);
	sip_asks_free(sip);
	sip_guard_close(sip);
	sip_transport_close(sip);
	buf_free(&sip->out);
	buf_free(&sip->head);
	buf_free(&sip->list);
	conf_unref(sip->conf);
	free(sip);
}

void sip_set_timing(struct sip *sip, const struct sip_timing *timing)
{
	sip->timing = *timing;
}

void sip_live(const struct sip *sip, size_t *transactions, size_t *legs)
{
	*transactions = HASH_CNT(hh, sip->servers) + HASH_CNT(hh, sip->clients);
	*legs = HASH_CNT(hh, sip->legs) + HASH_CNT(hh, sip->ends);
}
