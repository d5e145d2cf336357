/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libsrtp2, made ready: once in a process at a time. */
#ifndef RTPFWD_DATAPATH_CIPHERS_H
#define RTPFWD_DATAPATH_CIPHERS_H

#include <stdbool.h>

struct ciphers {
	bool ready;
	void *nss; /* NULL: not what its ciphers come from */
};

int ciphers_open(struct ciphers *c); /* 0, or -EIO: it does not work here. Takes some 40 ms */
void ciphers_close(struct ciphers *c);

#endif
