/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this folder share; nobody else includes it. */
#ifndef RTPFWD_DOCTOR_EXAM_H
#define RTPFWD_DOCTOR_EXAM_H

#include "doctor/doctor.h"

#include <limits.h>

struct exam {
	const struct doctor_node *node;
	doctor_each each;
	void *ctx;
};

/* One finding; `advice` is left out where all is well. */
__attribute__((format(printf, 5, 6))) void exam_say(const struct exam *e, const char *check,
						    bool ok, const char *advice, const char *found,
						    ...);

/* The first line of a file below node->root. False: it cannot be read. */
__attribute__((format(printf, 4, 5))) bool exam_text(const struct exam *e, char *out, size_t size,
						     const char *path, ...);
/* The same as a number. */
__attribute__((format(printf, 3, 4))) bool exam_number(const struct exam *e, long *out,
						       const char *path, ...);

/* Calls `check` once for every interface of the realms. */
void exam_interfaces(const struct exam *e,
		     void (*check)(const struct exam *e, const char *interface));

void exam_kernel(const struct exam *e);	 /* kernel.c: version, BPF, clock */
void exam_network(const struct exam *e); /* network.c: addresses, ports, filters */
void exam_cards(const struct exam *e);	 /* card.c: what the drivers say */

#endif
