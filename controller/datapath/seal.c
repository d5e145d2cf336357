// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is made here for one who hears under a key, sealed by libsrtp2 in this process: the planes
 * of its flows know nothing of it. It is a source (SSRC) of its own, and so has indices of its own
 * under the key that it shares with them (RFC 3711 3.2.3, 9.1).
 */
#include "datapath/priv.h"
#include "datapath/user_srtp.h"

#include <errno.h>
#include <srtp2/srtp.h>
#include <stdlib.h>

struct seal {
	struct srtp_ctx_t_ *session;
};

/* Before any call waits. */
int seals_open(struct datapath *dp, const struct conf *conf)
{
	return dp->ciphers.ready || !crypts_wanted(conf) ? 0 : ciphers_open(&dp->ciphers);
}

void seals_close(struct datapath *dp)
{
	ciphers_close(&dp->ciphers);
}

int datapath_seal(struct seal **out, const struct datapath *dp, const struct flow_crypt *crypt,
		  uint32_t ssrc)
{
	struct seal *seal = dp->ciphers.ready ? calloc(1, sizeof(*seal)) : NULL;
	srtp_policy_t policy;
	int err;

	if (!seal)
		return dp->ciphers.ready ? -ENOMEM : -EOPNOTSUPP;
	err = user_srtp_policy(&policy, crypt, ssrc);
	if (!err && srtp_create(&seal->session, &policy))
		err = -ENOMEM;
	if (err) {
		free(seal);
		return err;
	}
	*out = seal;
	return 0;
}

void seal_free(struct seal *seal)
{
	if (seal)
		srtp_dealloc(seal->session); /* wipes its keys */
	free(seal);
}

int seal_packet(struct seal *seal, uint8_t *packet, size_t len, bool rtcp)
{
	int grown = (int)len;

	if ((rtcp ? srtp_protect_rtcp : srtp_protect)(seal->session, packet, &grown))
		return -EPROTO;
	return grown;
}
