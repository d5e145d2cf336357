// SPDX-License-Identifier: GPL-2.0-or-later
/* Music on hold: which file. Whether it can be played, service/ finds out. */
#include "conf/keys.h"
#include "conf/value.h"

CONF_SETTER(conf_set_moh)
{
	struct conf_moh *moh = (struct conf_moh *)((char *)object + key->offset);

	*moh = (struct conf_moh){ .file = e->at.file, .line = e->at.line };
	if (conf_value_off(e->value))
		return 0;
	if (e->value[0] != '/')
		return conf_bad_value(l, e, "a path that begins with '/', or off");
	return conf_set_path(l, key, e, object);
}

const struct conf_moh *conf_peer_moh(const struct conf_peer *peer, const struct conf_realm *realm)
{
	const struct conf_moh *moh = peer->moh.file ? &peer->moh : &realm->moh;

	return moh->path ? moh : NULL;
}
