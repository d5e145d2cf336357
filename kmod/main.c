// SPDX-License-Identifier: GPL-2.0-only
/* SRTP for XDP programs: see README.md. */
#include <linux/module.h>

#include "context.h"
#include "kfunc.h"
#include "netlink.h"

static int __init load(void)
{
	int err;

	err = keys_init();
	if (err)
		return err;
	err = context_init();
	if (err)
		goto no_context;
	err = kfunc_init();
	if (err)
		goto no_kfunc;
	err = netlink_init();
	if (err)
		goto no_kfunc;
	return 0;

no_kfunc:
	context_exit();
no_context:
	keys_exit();
	return err;
}

/* No program calls us any more: one that is loaded holds the module. */
static void __exit unload(void)
{
	netlink_exit();
	context_exit();
	keys_exit();
}

module_init(load);
module_exit(unload);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("SRTP for XDP programs");
MODULE_SOFTDEP("pre: ctr gcm aesni-intel ghash-clmulni-intel sha1-ssse3");
