// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Debian's libsrtp2 has its ciphers from NSS and asks it for small tables (NSS_INIT_OPTIMIZESPACE):
 * 32 lists of all keys, in which NSS searches several times for each packet. At 1,000 calls that
 * takes longer than all else. Who initializes NSS first says how large they are: 1,024 lists. They
 * stay as long as someone holds NSS. A libsrtp2 of other ciphers has not brought NSS along.
 */
#include "datapath/ciphers.h"

#include <dlfcn.h>
#include <errno.h>
#include <srtp2/srtp.h>
#include <stddef.h>
#include <stdint.h>

/* nss.h: READONLY, NOCERTDB, NOMODDB, FORCEOPEN; as libsrtp2's, but for one. */
#define NSS_FLAGS 0xf

typedef void *nss_init(const char *dir, const char *certs, const char *keys, const char *modules,
		       void *params, uint32_t flags);
typedef int nss_end(void *context);

static void *nss_hold(void)
{
	nss_init *init = (nss_init *)dlsym(RTLD_DEFAULT, "NSS_InitContext");

	return init ? init("", "", "", "", NULL, NSS_FLAGS) : NULL;
}

static void nss_release(void *context)
{
	nss_end *end = (nss_end *)dlsym(RTLD_DEFAULT, "NSS_ShutdownContext");

	if (context && end)
		end(context);
}

int ciphers_open(struct ciphers *c)
{
	c->nss = nss_hold();
	c->ready = srtp_init() == srtp_err_status_ok;
	if (!c->ready)
		ciphers_close(c);
	return c->ready ? 0 : -EIO;
}

void ciphers_close(struct ciphers *c)
{
	if (c->ready)
		srtp_shutdown();
	nss_release(c->nss);
	*c = (struct ciphers){ 0 };
}
