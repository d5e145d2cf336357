/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside peer/ only. */
#ifndef RTPFWD_PEER_HOME_H
#define RTPFWD_PEER_HOME_H

#include "conf/conf.h"

/* The realm by which this host reaches `host`, asked of the kernel; NULL: by none. */
const struct conf_realm *peer_home_find(const struct conf *conf, const struct addr *host);

#endif
