/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip. */
#ifndef RTPFWD_SIP_ASK_PRIV_H
#define RTPFWD_SIP_ASK_PRIV_H

#include "sip/ask.h"

/* For sip_free(): without a word to anybody. */
void sip_asks_free(struct sip *sip);

#endif
