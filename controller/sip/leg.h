/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One SIP dialog of a call (RFC 3261 12): tags, Call-ID, CSeq, route set and remote target, the
 * INVITE transactions in it, the 2xx and ACK that belong to the dialog and not to a transaction. A
 * leg knows nothing of the other leg.
 *
 * Life: the stack makes an incoming leg, leg_new() an outgoing one. Its owner gets the events below
 * until leg_free(), which may be called at any time, also inside an event: what the RFC still wants
 * done (ACK of a late 2xx, BYE, retransmissions) is then done by the stack alone, and the memory
 * goes when that is over.
 */
#ifndef RTPFWD_SIP_LEG_H
#define RTPFWD_SIP_LEG_H

#include "sip/sip.h"

struct relay;

struct leg_events {
	/* Outgoing: 101 to 199. `sdp.p` NULL: none. Called for each, also when the same comes
	 * again. */
	void (*progress)(void *owner, struct leg *leg, int code, const char *reason,
			 struct slice sdp);
	/* Outgoing: 2xx to the INVITE; its ACK goes out by itself (now and for each retransmission)
	 * unless the leg is ended in here. */
	void (*answered)(void *owner, struct leg *leg, struct slice sdp);
	/* Outgoing: refused (300 to 699), 408 no answer in time, 503 cannot be reached. The leg is
	 * over: leg_free() it. */
	void (*failed)(void *owner, struct leg *leg, int code, const char *reason,
		       unsigned int retry_after_s);
	/* Incoming: CANCEL before the answer; 200 and 487 went out. The leg is over: leg_free() it.
	 */
	void (*cancelled)(void *owner, struct leg *leg);
	/* Our 2xx (to INVITE or re-INVITE) was acknowledged, or the offer in our reliable
	 * provisional response was answered in its PRACK: `sdp` is the answer where we made the
	 * offer. */
	void (*acked)(void *owner, struct leg *leg, struct slice sdp);
	/* A re-INVITE, UPDATE or PRACK with an offer: answer now or later with leg_agree() or
	 * leg_disagree(). (While another offer is open, of either side, the leg answers by itself
	 * with 491 or 500.) */
	void (*offered)(void *owner, struct leg *leg, struct slice sdp);
	/* A re-INVITE without an offer: leg_agree() with ours, whose answer comes with `acked`, or
	 * leg_disagree(). NULL: 488. */
	void (*asked)(void *owner, struct leg *leg);
	/* The offer is withdrawn: CANCEL came for the re-INVITE; 487 went out. */
	void (*offer_cancelled)(void *owner, struct leg *leg);
	/* The final answer to our re-INVITE or UPDATE, 200 to 699 (408: none came); a 2xx was
	 * acknowledged, but for one that makes the offer: leg_accept() it. 491 and 500 with
	 * Retry-After come here only after the leg tried again (RFC 3261 14.1), but for those of
	 * leg_move(). The leg lives, but
	 * for 481 and 408, after which it is the owner's to end it. */
	void (*reanswered)(void *owner, struct leg *leg, int code, const char *reason,
			   struct slice sdp);
	/* A 2xx to a re-INVITE of ours came after that was given up (408); its ACK went out. May be
	 * NULL. */
	void (*late)(void *owner, struct leg *leg, struct slice sdp);
	/* BYE came (200 went out); our 2xx, or a reliable provisional response, was never
	 * acknowledged; the far end's offer was not answered in time (BYE or 504 went out). The leg
	 * is over: leg_free() it. `why`: "bye", "no_ack", "no_prack", "no_answer", "expired" (its
	 * session timer). */
	void (*ended)(void *owner, struct leg *leg, const char *why);
	/* What we last told the far end, to be told again byte for byte (session refresh). */
	struct slice (*in_force)(void *owner, const struct leg *leg);
	/* What it answered to that. May be NULL. */
	void (*refreshed)(void *owner, struct leg *leg, struct slice sdp);
	/* A request that is the other side's to answer: relay_to_leg() or relay_refuse(), now
	 * (sip/relay.h). NULL: 405. */
	void (*requested)(void *owner, struct leg *leg, struct relay *relay);
	/* What was passed on into this dialog got 481, or no answer (408): the dialog is the
	 * owner's to end. */
	void (*gone)(void *owner, struct leg *leg, int code);
	/* The other leg of the same call; NULL: none. */
	struct leg *(*twin)(void *owner, const struct leg *leg);
};

/* Reliable provisional responses (RFC 3262), as an INVITE says it: not known, Supported, Require.
 */
enum leg_reliability { LEG_UNRELIABLE, LEG_RELIABLE, LEG_ONLY_RELIABLE };

/* An outgoing leg. All texts are copied. */
struct leg_target {
	const struct conf_realm *realm;
	struct addr to;		   /* where the INVITE is sent */
	const char *number;	   /* request URI: sip:NUMBER@HOST:PORT */
	const char *host;	   /* HOST:PORT of that; NULL: `to` */
	const char *uri;	   /* request URI of a phone, as it registered; NULL: by `number` */
	unsigned int bind; /* socket as in sip_registration, and 1 added; 0: the realm's first */
	const char *from_user;	   /* caller's user at our own address; "" anonymous */
	const char *from_host;	   /* NULL: our own address */
	const char *from_display;  /* "" none */
	const char *user, *secret; /* what challenges are answered with; NULL: they are refusals */
	unsigned int max_forwards; /* to send */
	uint32_t way; /* sip_request.way of who asked for it; 0: nobody did */
	bool force_rport;
	enum conf_transport transport; /* another is taken where the realm does not bind it */
	bool grows;	       /* requests too large for UDP go over TCP (RFC 3261 18.1.1) */
	unsigned int identity; /* of conf_identity */
	enum leg_reliability reliability; /* asked of the far end */
	struct conf_session session;	  /* session timers with it */
};

int leg_new(struct leg **out, struct sip *sip, const struct leg_target *target,
	    const struct leg_events *events, void *owner);

/* What the far end's challenges are answered with (401, 407), once for each request; without it
 * they are refusals. */
int leg_login(struct leg *leg, const char *user, const char *secret);

/* Makes `owner` the one who gets an incoming leg's events. */
void leg_take(struct leg *leg, const struct leg_events *events, void *owner);
/* Of an incoming leg, before anything passes: what its far end is trusted with (conf_identity). */
void leg_set_identity(struct leg *leg, unsigned int identity);
/* As of leg_new() or leg_take(); NULL: nobody. */
void *leg_owner(const struct leg *leg);
/* The leg sends no more events. Where it is still alive it is ended: outgoing CANCEL or BYE,
 * incoming 500 or BYE. */
void leg_free(struct leg *leg);

/* This far end is not re-INVITEd of our own accord: its session is refreshed by UPDATE, or by it.
 */
void leg_never_reinvite(struct leg *leg);

/* Outgoing: sends the INVITE with the offer; `sdp` NULL: the far end offers. 0 or -errno (nothing
 * was sent). */
int leg_invite(struct leg *leg, const char *sdp, size_t len);
/* Incoming: 101 to 199, `sdp` NULL: none. It is sent again by itself once a minute (RFC
 * 3261 13.3.1.1). */
int leg_progress(struct leg *leg, int code, const char *reason, const char *sdp, size_t len);
/* The same, but sent until its PRACK comes where the far end knows that (RFC 3262); one after the
 * other. Descriptions after the first that went out so are left out. */
int leg_progress_reliably(struct leg *leg, int code, const char *reason, const char *sdp,
			  size_t len);
/* Incoming: what the INVITE said. Outgoing, inside `progress`: whether this response came reliably.
 */
enum leg_reliability leg_reliability(const struct leg *leg);
/* Outgoing, not answered: several far ends were heard, and each may answer. */
bool leg_forked(const struct leg *leg);
/* Inside `answered`: the description came as an offer, in an UPDATE before, not as an answer. */
bool leg_answers_by_offer(const struct leg *leg);
/* Incoming INVITE or re-INVITE: 200 with the answer; retransmitted until its ACK, sent after the
 * PRACK that is waited for. -EINVAL: nothing to answer. */
int leg_answer(struct leg *leg, const char *sdp, size_t len);
/* Incoming INVITE or re-INVITE: 300 to 699. */
int leg_refuse(struct leg *leg, int code, const char *reason, unsigned int retry_after_s);
/* Answers the open offer of a re-INVITE, UPDATE or PRACK; refuses it with 300 to 699. -EINVAL:
 * there is none. */
int leg_agree(struct leg *leg, const char *sdp, size_t len);
int leg_disagree(struct leg *leg, int code, const char *reason, unsigned int retry_after_s);
/* The open offer came in an UPDATE or PRACK. */
bool leg_offer_by_update(const struct leg *leg);
/* Answers the offer of a 2xx or reliable provisional response to an INVITE of ours that had none:
 * in its ACK or PRACK; `sdp` NULL: it cannot be answered. -EINVAL: there is none. */
int leg_accept(struct leg *leg, const char *sdp, size_t len);
/* A re-INVITE with an offer, or (`sdp` NULL) asking for one. It is sent as soon as nothing else is
 * open in this dialog; `reanswered` follows. -EBUSY: too much waits already; -ENOTCONN: not
 * confirmed or over. */
int leg_reinvite(struct leg *leg, const char *sdp, size_t len);
/* The same by UPDATE, also before the answer, where leg_can_update(); else by re-INVITE. */
int leg_update(struct leg *leg, const char *sdp, size_t len);
/* An offer of our own accord, for which nobody waits: when to try again is the owner's to say. By
 * UPDATE where that is asked for and leg_can_update(). Errors as leg_reinvite(). */
int leg_move(struct leg *leg, bool update, const char *sdp, size_t len);
/* Within `reanswered`: the Retry-After of the refusal in seconds; 0: none. */
unsigned int leg_later_s(const struct leg *leg);
/* How long to wait after a 491 (RFC 3261 14.1), at random. */
unsigned int leg_glare_ms(struct leg *leg);
/* OPTIONS in the dialog: `gone` follows where there is no dialog any more, or no answer. -ENOTCONN:
 * there is none; -errno of sending. */
int leg_ping(struct leg *leg);
/* A session timer runs (RFC 4028): whoever is gone is missed without our asking. */
bool leg_has_session(const struct leg *leg);
/* The far end takes UPDATE, and the offer of the INVITE is answered (RFC 3311 5.1). */
bool leg_can_update(const struct leg *leg);
/* Our INVITE that is not answered: CANCEL (once a provisional response came). What becomes of it
 * is told as ever: `failed` with 487 or 408, or `reanswered` of a re-INVITE, also of one that still
 * waits for its turn. */
void leg_cancel(struct leg *leg);
/* BYE with a Reason header (RFC 3326; NULL: none). No event follows: leg_free() it. */
void leg_bye(struct leg *leg, const char *reason);

/* What passes through the node of the message that `from` is being served, or of its INVITE that
 * waits for an answer (headers, and the parts of a body beside the description), goes into the next
 * message sent in `to`. Either may be NULL: nothing does. */
void leg_pass(struct leg *to, const struct leg *from);
/* The re-INVITE or UPDATE that is being answered is not put to the other leg, but may say who is
 * there now (pitfall 51): the other leg's far end is told so, by itself, as soon as nothing else is
 * open there. */
void leg_pass_who(struct leg *from);

/* The Q.850 cause in the Reason headers (RFC 3326) of the message of this dialog that is being
 * served; 0: none. */
unsigned int leg_heard_q850(const struct leg *leg);

const char *leg_call_id(const struct leg *leg);
/* Where the next request in the dialog goes, and by which socket (leg_target.bind). */
struct addr leg_hop(const struct leg *leg);
unsigned int leg_bind(const struct leg *leg);
/* Nothing is under way or waits, and the last 2xx is acknowledged, either way. */
bool leg_settled(const struct leg *leg);
/* The User-Agent or Server of the far end's last INVITE or answer; "" unknown. */
const char *leg_user_agent(const struct leg *leg);
/* Where its last message came from; AF_UNSPEC: none came. */
struct addr leg_source(const struct leg *leg);
/* What is sent to it goes over TLS, to the next hop at least; while a request of its is open that
 * came in another way, its answer does not. */
bool leg_over_tls(const struct leg *leg);
/* The same of a leg that leg_new() would make. */
bool leg_will_be_over_tls(const struct sip *sip, const struct leg_target *target);
/* The far end is behind a NAT, by what its INVITE or answer says: a Via (judged where it is alone,
 * and no proxy has recorded a route) that is not its source; or a private Contact from a public
 * source. */
bool leg_natted(const struct leg *leg);
/* When the INVITE of an incoming leg arrived at the socket (loop_now_us()), for the set-up
 * histogram. */
uint64_t leg_arrived_us(const struct leg *leg);

#endif
