// SPDX-License-Identifier: GPL-2.0-or-later
/* The object whose programs call rtpfwd.ko. Its skeleton is of the type of the plain one's (the
 * build compares them), so that only who opens it need know which it is. */
#include "datapath/priv.h"

#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

/* The generated skeleton, under the warnings that its generator knows. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#include "rtpfwd_kmod.skel.h"
#pragma GCC diagnostic pop

struct rtpfwd_bpf *xdp_open_kmod(void)
{
	return rtpfwd_bpf__open();
}
