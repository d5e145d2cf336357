/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of this host keeps media from being as fast and as safe as it could be. Everything is read
 * anew and nothing is changed; no check waits for anything.
 */
#ifndef RTPFWD_DOCTOR_DOCTOR_H
#define RTPFWD_DOCTOR_DOCTOR_H

#include "conf/conf.h"
#include "datapath/datapath.h"

#include <stdbool.h>
#include <stddef.h>

/* All borrowed for the call. */
struct doctor_node {
	const struct conf *conf;
	const char *root; /* before "/proc" and "/sys": "" but in tests */
	const struct datapath_interface_report *interfaces;
	size_t n_interfaces;
	bool survives; /* datapath_survives() */
	struct datapath_guard_report guard;
	bool kmod;	 /* datapath_has_kmod() */
	unsigned int hz; /* datapath_hz() */
	size_t neighbours[2]; /* datapath_neighbours() of IPv4, of IPv6 */
};

/* Texts live as long as the call that hands them out. */
struct doctor_finding {
	const char *check; /* "mtu", or with its interface "rings eth0" */
	bool ok;
	const char *found;
	const char *advice; /* NULL: nothing to be done */
};

typedef void (*doctor_each)(void *ctx, const struct doctor_finding *finding);

/* Calls `each` for every check that can be made here, also those that are well. What the host does
 * not tell (a driver without rings, a kernel without the setting) is no finding. */
void doctor_run(const struct doctor_node *node, doctor_each each, void *ctx);

#endif
