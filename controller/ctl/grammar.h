/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of the control socket, written once: grammar, help, the daemon's handlers and the
 * tool's printers follow. */
#ifndef RTPFWD_CTL_GRAMMAR_H
#define RTPFWD_CTL_GRAMMAR_H

#include <stddef.h>

/* X(name, words, help). A word in capitals stands for one argument. Handlers are `name` in
 * command.c, printers `print_name` in the tool. */
#define GRAMMAR_COMMANDS(X)                                                                        \
	X(show_status, "show status", "version, calls, realms with their interfaces and ports")    \
	X(show_calls, "show calls", "every call, oldest first")                                    \
	X(show_call, "show call ID", "one call, both legs")                                        \
	X(explain, "explain ID",                                                                   \
	  "the rows of the policy in order, and which of them match a call")                       \
	X(show_flows, "show flows", "every forwarding entry, one for each direction and kind")     \
	X(show_peers, "show peers", "the configured peers")                                        \
	X(show_drops, "show drops", "packets refused, or passed up, by reason")                    \
	X(doctor, "doctor", "what of this host keeps media from being fast and safe")              \
	X(peer_quirk_show, "peer NAME quirk show",                                                 \
	  "devices of a peer that were found to break on re-INVITE")                               \
	X(peer_quirk_clear, "peer NAME quirk clear", "forget them")                                \
	X(call_relay, "call ID relay", "bring a call's media back, and keep it here")              \
	X(call_direct, "call ID direct", "move a call's media out now, if the policy lets it go")  \
	X(call_auto, "call ID auto", "let the policy alone decide again")                          \
	X(call_hangup, "call ID hangup", "end a call: BYE or CANCEL to both sides")                \
	X(reload, "reload", "read the configuration again, as SIGHUP does")                        \
	X(drain, "drain", "take no new calls (503); calls in progress go on")                      \
	X(undrain, "undrain", "take new calls again")

#define GRAMMAR_ID(name, words, help) GRAMMAR_##name,
enum grammar_id { GRAMMAR_COMMANDS(GRAMMAR_ID) GRAMMAR_N };
#undef GRAMMAR_ID

struct grammar {
	const char *words, *help;
};

extern const struct grammar grammar[GRAMMAR_N];

/* Which command these words are, and its argument (NULL: it takes none). 0 or -ENOENT. */
int grammar_find(enum grammar_id *id, const char **arg, const char *const *words, size_t n);

#endif
