/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The decision table: what decides whether a call's media is relayed or goes direct. Rows in order,
 * of which the first that matches decides:
 *
 *	X(reason code, row, class, decision, predicate of match.c, text for people)
 *
 * Class: PERMANENT for the call; CONDITION: decided again when a fact changes; TRANSIENT: it ends
 * by itself. Everything that names a row is made from this.
 */
#ifndef RTPFWD_POLICY_ROWS_H
#define RTPFWD_POLICY_ROWS_H

#define POLICY_ROWS(X)                                                                             \
	X(OPERATOR, "1", CONDITION, RELAY, operator, "the operator keeps it relayed")              \
	X(RECORDING, "2", CONDITION, RELAY, recording, "media is being recorded")                  \
	X(POLICY_NO_A, "3", PERMANENT, RELAY, no_a, "canreinvite=no on leg a")                     \
	X(POLICY_NO_B, "3", PERMANENT, RELAY, no_b, "canreinvite=no on leg b")                     \
	X(QUIRK_NO_REINVITE, "4", PERMANENT, RELAY, quirk, "a device known to break on re-INVITE") \
	X(PEER_REFUSED, "5", PERMANENT, RELAY, refused, "a leg refused our re-INVITE")             \
	X(CRYPTO, "6", PERMANENT, RELAY, crypto, "the keys of encrypted media end here")           \
	X(ICE, "8", PERMANENT, RELAY, ice, "ICE ends here")                                        \
	X(T38, "9", CONDITION, RELAY, t38, "fax stays relayed")                                    \
	X(MULTI_M, "10", CONDITION, RELAY, multi_m,                                                \
	  "not exactly one m= line of one kind on both legs")                                      \
	X(VIDEO, "11", CONDITION, RELAY, video, "video")                                           \
	X(CODEC, "12", CONDITION, RELAY, codec, "the legs have no codec in common")                \
	X(PT_MISMATCH, "13", CONDITION, RELAY, pt_mismatch,                                        \
	  "the same codec has another payload number on each leg")                                 \
	X(FMTP, "13", CONDITION, RELAY, parameters,                                                \
	  "the same codec has other parameters on each leg")                                       \
	X(PTIME, "14", CONDITION, RELAY, ptime, "packets of different length in milliseconds")     \
	X(DTMF_MODE, "15", CONDITION, RELAY, dtmf_mode, "the legs send digits in different ways")  \
	X(DTMF_FEATURE, "16", CONDITION, RELAY, dtmf_feature,                                      \
	  "a Dial option of t T h H w W k K x X needs the digits in the media")                    \
	X(LIMIT_WARN, "17", CONDITION, RELAY, limit_warn,                                          \
	  "L(x:y...) must play a warning; a bare L(x) does not match")                             \
	X(ADDR_FAMILY, "18", PERMANENT, RELAY, family, "IPv4 and IPv6 cannot talk")                \
	X(REALM, "18a", CONDITION, RELAY, realm,                                                   \
	  "the legs' realms are neither the same nor joined by 'direct ='")                        \
	X(ACL, "19", PERMANENT, RELAY, acl,                                                        \
	  "directmediapermit/directmediadeny, or an address that media never goes to directly")    \
	X(NAT_A, "20", CONDITION, RELAY, nat_a, "canreinvite=nonat, and leg a is behind NAT")      \
	X(NAT_B, "20", CONDITION, RELAY, nat_b, "canreinvite=nonat, and leg b is behind NAT")      \
	X(NAT_UNKNOWN, "20", CONDITION, RELAY, nat_unknown,                                        \
	  "canreinvite=nonat, and it is not known where a leg's media comes from")                 \
	X(PRIVATE_ADDR, "21", CONDITION, RELAY, private_addr,                                      \
	  "a private address, and realms that are not joined")                                     \
	X(HOLD, "22", CONDITION, STAY, hold, "on hold: the path stays what it is")                 \
	X(TRANSFER, "23", TRANSIENT, RELAY, transfer, "a transfer is under way")                   \
	X(NOT_ANSWERED, "24", TRANSIENT, RELAY, not_answered, "not answered yet")                  \
	X(SETTLE, "25", TRANSIENT, RELAY, settling, "the settle time has not passed yet")          \
	X(GLARE, "26", TRANSIENT, RELAY, glare, "re-INVITEs crossed; it is tried again")           \
	X(GLARE_GIVEUP, "26", PERMANENT, RELAY, glare_giveup, "re-INVITEs crossed too often")      \
	X(OUTGOING_WAIT, "26a", CONDITION, RELAY, outgoing_wait,                                   \
	  "canreinvite=outgoing, and that side's own re-INVITE did not come")                      \
	X(PEER_TIMEOUT, "27", PERMANENT, RELAY, peer_timeout,                                      \
	  "a leg did not answer our re-INVITE, but its media lives")                               \
	X(PEER_IGNORES_C, "28", PERMANENT, RELAY, peer_ignores_c,                                  \
	  "a leg agreed to send elsewhere, but went on sending here")                              \
	X(UNSTABLE_SDP, "28a", PERMANENT, RELAY, unstable,                                         \
	  "a leg gave another address in each answer")                                             \
	X(DRAIN, "29", TRANSIENT, STAY, moving, "a move is in progress")                           \
	X(DIRECT_SETUP, "31", CONDITION, DIRECT_SETUP, at_setup,                                   \
	  "direct from the first INVITE on")                                                       \
	X(DIRECT, "32", CONDITION, DIRECT, always, "nothing keeps the media here")

#endif
