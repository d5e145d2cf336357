/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The path of a call's media, and what moves it: relayed here, or direct between the legs
 * (canreinvite.md 6.5). For the files of controller/call/ only.
 *
 * Nothing here is told what to do: facts change (course, needs, descriptions), and direct_changed()
 * looks at what each leg is told and at what the policy wants, and takes the next step if none is
 * under way. So whatever crosses whatever, it ends where the facts want it.
 */
#ifndef RTPFWD_CALL_DIRECT_H
#define RTPFWD_CALL_DIRECT_H

#include "conf/conf.h"
#include "lib/addr.h"
#include "lib/loop.h"
#include "media/desc.h"
#include "media/stream.h"
#include "policy/policy.h"

#include <time.h>

struct call;
struct leg;

/* X(name, path as shown). */
#define MEDIA_STATES(X)                                                                            \
	X(SETUP, "relay")      /* not answered, or not acknowledged */                             \
	X(RELAY, "relay")                                                                          \
	X(SETTLE, "relay")     /* the first offer waits for its time */                            \
	X(MOVE_1, "moving")    /* the first leg is offered the other's address */                  \
	X(MOVE_2, "moving")    /* so is the second; the first sends to it already */               \
	X(RECON, "moving")     /* an answer brought another address: who was told is told anew */  \
	X(DRAIN, "draining")   /* both agreed; the entries stay until nothing comes any more */    \
	X(DIRECT, "direct")    /* the entries are gone, the ports stay leased */                   \
	X(BACK_1, "returning") /* one leg is offered the relay's address again */                  \
	X(BACK_2, "returning") /* both are */                                                      \
	X(SPLIT, "split")      /* one leg does not come back; it is asked again and again */       \
	X(LOCKED, "relay")     /* for the rest of the call */

enum media_state {
#define MEDIA_STATE_ENUM(name, path) MEDIA_##name,
	MEDIA_STATES(MEDIA_STATE_ENUM)
#undef MEDIA_STATE_ENUM
	MEDIA_N_STATES
};

/* Why media must be here that could be elsewhere, beside what the policy knows. A bit set; the
 * lowest gives the reason shown. */
enum media_need {
	NEED_MUSIC = 1,	    /* on hold: HOLD */
	NEED_RECORDING = 2, /* RECORDING */
	NEED_FEATURE = 4,   /* DTMF_FEATURE */
	NEED_FAX = 8,	    /* T38 */
	NEED_TRANSFER = 16, /* TRANSFER */
};

struct media_leg {
	bool peer;		   /* told the other leg's own address, or (`open`) being told */
	bool open;		   /* an offer of ours is under way */
	bool swallowed;		   /* it was never answered: a 2xx may still come */
	struct desc_origin before; /* in force again if it is refused; `peer` then: */
	bool peer_before;
	struct desc *held; /* an offer of its own, until ours on the other leg is answered */
	unsigned int glares, refusals;
	bool postponed;	    /* a 5xx was tried again */
	struct timer again; /* the next attempt */
	uint64_t strays[2]; /* seen at the last two looks while direct */
};

struct call_media {
	enum media_state state;
	unsigned int needs; /* of media_need */
	enum side first; /* whom the present move began with */
	unsigned int recons;
	bool moved_once; /* the settle time is for the first move */
	uint64_t withheld_ms; /* since when a leg's own re-INVITE is waited for; 0: it is not */
	struct timer timer;	/* of the state */
	uint64_t not_before_ms; /* no offer before that */
	uint64_t digit_ms;	/* since when a key that is down is waited for; 0: none is */
	uint64_t since_ms;	/* of the state */
	uint64_t move_ms;	/* first offer of the present move */
	uint64_t here_ms;	/* since when media is to be expected here; 0: since the answer */
	uint64_t direct_ms;	/* spent direct before the present state */
	uint64_t pinged_ms;
	char reason[POLICY_REASON_TEXT];
	struct media_leg leg[2];
	struct media_trail *trail; /* NULL: nothing happened, or no memory */
};

/* direct.c: states, and what makes them change. */
void direct_init(struct call *c);
void direct_free(struct call *c);
void direct_ended(struct call *c); /* the call is; before its last report */
uint64_t direct_spent_ms(const struct call *c);
/* The call is answered and acknowledged; or a fact has changed, or what was under way has ended.
 * The call may be over after. */
void direct_changed(struct call *c);
/* Media is needed here for that from now on, or no longer: direct_changed() has to follow. Once
 * every leg is back, call_hold_follow() is told. */
void direct_set_need(struct call *c, enum media_need need, bool on);
/* Every leg is told the relay's address. */
bool direct_is_here(const struct call *c);
/* Every leg was told the other's, and has agreed to nothing else since. */
bool direct_is_out(const struct call *c);
/* What the policy says but for what ends by itself (settling, glare, a move in progress). */
struct media_verdict {
	bool direct, stay;
	bool permanent;
	bool may_learn; /* it waits for where media comes from */
	char reason[POLICY_REASON_TEXT];
};
void direct_judge(const struct call *c, struct media_verdict *out);
void direct_enter(struct call *c, enum media_state state, const char *event, int side, int code);
/* Nothing moves, as the verdict says. */
void direct_rest(struct call *c, const char *event, int side, int code);
/* Before the next offer at least so long; then SETTLE ends. */
void direct_settle(struct call *c, uint64_t ms, const char *event, int side, int code);
/* No offer of either leg's is open in the call, of any kind. */
bool direct_quiet(const struct call *c);
void direct_count(struct call *c, enum media_result result);
/* The other side's offer is open: this leg's waits for it. Owns `offer`. */
bool direct_must_hold(const struct call *c, enum side side);
void direct_hold(struct call *c, enum side side, struct desc *offer);
/* CANCEL came for it. */
void direct_held_cancelled(struct call *c, enum side side);

/* direct_offer.c: our offers of an address */
/* Tells `side` where to send: to the other leg (`peer`) or here. 0 or -errno: nothing was sent. */
int direct_offer(struct call *c, enum side side, bool peer);
bool direct_offered(const struct call *c, enum side side);
void direct_reanswered(struct call *c, enum side side, int code, struct slice sdp);
void direct_late(struct call *c, enum side side, struct slice sdp);
/* What `side` was told of the other leg is not true any more. */
bool direct_stale(const struct call *c, enum side side);

/* direct_move.c: MOVE_1, MOVE_2, RECON */
void direct_move(struct call *c);	/* SETTLE is over */
void direct_move_on(struct call *c);
void direct_move_refused(struct call *c, enum side side, int code);

/* direct_back.c: BACK_1, BACK_2, SPLIT */
void direct_back(struct call *c, const char *event, int side, int code);
void direct_back_on(struct call *c);
/* The entries are there again. */
void direct_install(struct call *c);
void direct_back_refused(struct call *c, enum side side, int code);
void direct_split_again(struct call *c);

/* direct_setup.c: direct from the first INVITE on */
/* Before the callee is offered anything: the caller's own address, if that may be. */
void direct_offer_setup(struct call *c);
/* Before the caller is answered what the callee said. */
void direct_answer_setup(struct call *c);
/* The call is answered. False: it was set up by the relay. */
bool direct_settled_setup(struct call *c);

/* direct_theirs.c: offers of a leg's own that move both */
/* While direct: what it offers cannot be, and its offer and the answer tell both the relay's
 * address. The entries are there. */
bool direct_returns_by(struct call *c, enum side side, const struct desc *offer);
/* It came to nothing; or the other leg has agreed to it, but not who offered. */
void direct_returns_not(struct call *c, enum side side, bool agreed);
/* canreinvite=outgoing: */
/* Whose own re-INVITE is to come first; -1: nobody's. */
int direct_withheld(const struct call *c);
/* That leg's offer moves both legs, if it may. */
bool direct_moves_by(struct call *c, enum side side);
/* It came to nothing; `code`: the other leg's refusal, 0: withdrawn. */
void direct_moves_not(struct call *c, enum side side, int code);

/* direct_drain.c: DRAIN and DIRECT */
/* The entries are gone from here on. */
void direct_begin(struct call *c, const char *event);
void direct_drain(struct call *c);
void direct_drain_look(struct call *c);
void direct_look(struct call *c); /* once a second while direct */

/* direct_trail.c: what is told of it */
const char *media_state_text(enum media_state state); /* "move_1" */
const char *media_state_path(enum media_state state);
void direct_step(struct call *c, const char *event, int side, int code);

#endif
