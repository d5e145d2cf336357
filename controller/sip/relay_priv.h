/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: the inside of relays, and the subscriptions that they make. */
#ifndef RTPFWD_SIP_RELAY_PRIV_H
#define RTPFWD_SIP_RELAY_PRIV_H

#include "sip/leg_priv.h"
#include "sip/relay.h"

struct relay {
	struct sip *sip;
	struct relay *prev, *next; /* of sip->relays */
	struct leg *leg;	   /* in whose list it is; NULL: none */
	struct relay *leg_prev, *leg_next;
	const struct sip_msg *m;   /* while its handler runs */
	struct sip_dialog *in;	   /* while its handler runs: the dialog it came in; NULL: none */
	struct sip_server *server;
	struct sip_client *client;
	bool over; /* answered: gone when its handler returns */
	enum sip_method method;
	struct sip_key from, to; /* the dialogs, which may be gone when the answer comes */
	unsigned int identity; /* who asked is trusted so, and who answers */
	unsigned int answering;
	char *target;		 /* Contact of the request: in force once it is accepted */
	bool last;		 /* NOTIFY that ends the subscription */
	uint32_t expires_s;	 /* of a NOTIFY; 0: it says nothing */
	uint32_t cseq, their_cseq; /* of what went out, and of what came in */
	struct sip_pass *pass;	   /* what goes on of the request, to any target */
	unsigned int max_forwards; /* as received */
	uint32_t way;
	char *refer_to, *event;	   /* headers that name something of a dialog; NULL: none */
	const struct relay_targets *targets; /* relay_along(); NULL: it was for one far end */
	void *owner;			     /* of these */
	char *user, *secret;	   /* for challenges; NULL: none */
	bool trying_sent;
	/* 100 to a far end that would send again and again (RFC 4320), then the end of patience
	 * with a silent target. */
	struct timer trying;
};

/* relay_along.c */
/* The target did not serve the request: it went to the next. False: there is none, or none may. */
bool relay_goes_on(struct relay *r, int code);
/* The target has said nothing for so many T1 after the request, resp. after the 100. */
enum { RELAY_TRYING = 7, RELAY_PATIENCE = 16 };
void relay_lose_patience(struct relay *r);

bool sip_is_relayed(enum sip_method method);
/* A request in the leg's dialog. */
void relay_from_leg(struct leg *leg, const struct sip_msg *m);
/* Its dialog is over: what is not answered gets 487 (RFC 3261 15.1.2). */
void relays_end(struct leg *leg);
/* A request outside of dialogs. */
void relay_from_outside(const struct sip_msg *m, const struct sip_request *request,
			bool force_rport);
/* sip_free(): without a word to anybody. */
void relays_free(struct sip *sip);

/* subscription.c: two dialogs without a call, of which one is the caller's of SUBSCRIBE or REFER */
struct subscription;
struct sip_end {
	struct sip_dialog dialog;
	struct sip_key key;
	struct subscription *of;
	UT_hash_handle hh;
};

struct subscription {
	struct sip *sip;
	struct sip_end end[2]; /* who asked, and who was asked */
	struct timer life;
};

/* The dialogs of a request that makes them: end[0] is answered, end[1] is to be sent in. NULL: too
 * many, or no memory. */
struct subscription *subscription_new(const struct sip_msg *m, const char *tag,
				      const struct sip_bind *to, bool force_rport);
/* After end[1]'s texts were written. False: no memory. */
bool subscription_enter(struct subscription *s);
/* end[1] is to be written anew. */
void subscription_forget_target(struct subscription *s);
void subscription_free(struct subscription *s);
void subscriptions_free(struct sip *sip);
struct sip_end *sip_end_of_key(const struct sip *sip, const struct sip_key *key);
/* The end whose dialog a request belongs to; NULL: none. */
struct sip_end *sip_end_find(const struct sip_msg *m);
struct sip_end *sip_end_other(struct sip_end *end);
/* A request in its dialog. */
void subscription_request(struct sip_end *end, const struct sip_msg *m);
/* What was passed on got this answer; `m` NULL: none. The subscription may be gone after. */
void subscription_answered(struct sip_end *to, const struct relay *r, const struct sip_msg *m);

/* relay.c, for subscription.c: what came in the dialog `in` goes out in the dialog `to`. */
void relay_between(struct sip_dialog *in, const struct sip_key *from, const struct sip_msg *m,
		   struct sip_dialog *to, const struct sip_key *to_key);

#endif
