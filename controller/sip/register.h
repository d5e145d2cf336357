/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: REGISTER as it comes in. */
#ifndef RTPFWD_SIP_REGISTER_H
#define RTPFWD_SIP_REGISTER_H

#include "sip/msg.h"

struct sip_request;

/* An admitted REGISTER: reads it, asks the handler, answers. */
void sip_register_receive(const struct sip_msg *m, const struct sip_request *request,
			  bool force_rport);

#endif
