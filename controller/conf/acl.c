// SPDX-License-Identifier: GPL-2.0-or-later
#include "conf/conf.h"

/* Rules of one family say nothing about addresses of the other. */
bool conf_acl_permits(const struct conf_acl *acl, const struct addr *a)
{
	bool permits = true;

	for (size_t i = 0; i < acl->n; i++)
		if (addr_prefix_has(&acl->rules[i].prefix, a))
			permits = acl->rules[i].permit;
	return permits;
}
