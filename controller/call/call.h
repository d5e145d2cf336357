/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A call: two legs, one stream, and the only state machine that joins things. */
#ifndef RTPFWD_CALL_CALL_H
#define RTPFWD_CALL_CALL_H

#include "conf/conf.h"
#include "lib/loop.h"
#include "media/desc.h"
#include "media/stream.h"
#include "peer/peer.h"
#include "peer/quirk.h"
#include "policy/policy.h"
#include "reach/reach.h"
#include "service/music.h"
#include "sip/leg.h"

#include <time.h>

struct calls; /* every call of this node */
struct call_report;

struct calls_setup {
	struct loop *loop;
	struct media *media;
	struct peers *peers; /* calls_reload() exchanges it */
	struct reach *reach; /* of the same peers */
	struct music *music; /* may be NULL: nobody hears any */
	struct quirks *quirks;
	void (*ended)(void *ctx, const struct call_report *report); /* for the CDR; may be NULL */
	void *ctx;
};

int calls_new(struct calls **out, const struct calls_setup *setup);
/* After sip_free(), which ends no call: media flows on, the flows stay installed. NULL-safe. */
void calls_free(struct calls *calls);
/* To give to sip_new(); then calls_attach() it. */
struct sip_handlers calls_handlers(struct calls *calls);
void calls_attach(struct calls *calls, struct sip *sip);
/* New calls are set up under these; those in progress keep theirs. Takes `peers`. */
void calls_reload(struct calls *calls, struct peers *peers);
const struct peers *calls_peers(const struct calls *calls); /* in force for new calls */
void calls_drain(struct calls *calls, bool drain);	    /* new calls get 503 */
bool calls_draining(const struct calls *calls);

enum call_state { CALL_SETUP, CALL_EARLY, CALL_UP, CALL_ENDING };

/* What happened to the path of a call's media; the last of it is kept. */
struct media_step {
	struct timespec at;
	const char *event;
	const char *state; /* since then */
	int side;	   /* -1: no leg's */
	int code;	   /* 0: none */
};

enum { MEDIA_STEPS_FIRST = 3, MEDIA_STEPS = 24 };

struct media_trail {
	size_t n; /* since the beginning: the last `room` of them are kept */
	size_t room; /* doubled up to MEDIA_STEPS: most calls need no more than the first */
	struct media_step steps[];
};

/* One m= line, as one leg has it. */
struct call_stream_report {
	unsigned int index;
	const char *kind; /* "audio", "video", "image" */
	const char *crypto; /* suite; NULL: not encrypted between the leg and us */
	struct stream_report media;
};

struct call_leg_report {
	const char *peer, *realm, *call_id; /* "" where there is no leg yet */
	char canreinvite[32];
	struct stream_report media; /* of the first audio line */
	struct call_stream_report streams[DESC_RELAYED]; /* by index; with n_streams */
	size_t n_streams;
	struct addr told; /* address now in force for that leg */
	bool direct;	  /* that is the other leg's own */
	const char *offer; /* of that, by us: "open", "waits" for another attempt; NULL: none */
	char codec[32];
	const char *user_agent;
	bool music; /* it hears music, the other one holds */
	const char *crypto; /* suite of its media; NULL: not encrypted between it and us */
};

/* A snapshot; texts live until the loop goes on. */
struct call_report {
	const char *id;
	uint64_t owner; /* as in flow_want */
	enum call_state state;
	const char *path;		   /* as MEDIA_STATES says */
	const char *media;		   /* the state of 6.5: "move_1" */
	char reason[POLICY_REASON_TEXT];   /* the row of the policy that decides now */
	const char *plane;		   /* "xdp" or "none" */
	struct timespec started, answered; /* wall clock; answered.tv_sec 0: not yet */
	double duration_s;		   /* since the answer, monotonic */
	double direct_s;		   /* of that, its media was direct */
	const struct media_trail *trail;   /* NULL: nothing happened to it */
	const char *from, *to, *from_uri, *to_uri;
	struct call_leg_report leg[2];
	const char *route;
	int end_code;	       /* final status to the caller; 0 while it lives */
	unsigned int end_q850; /* cause of Q.850: as the far end's Reason said, else by RFC 3398 */
	const char *end_cause; /* "bye_a", "bye_b", "hangup", "refused", "cancelled", "timeout",
				  "rtp_timeout", ... */
};

const char *call_state_text(enum call_state state);
/* Each live call, oldest first, until `each` returns false. Begins at `*at` (0: with the oldest)
 * and leaves there where to go on. */
void calls_each(const struct calls *calls, uint64_t *at,
		bool (*each)(void *ctx, const struct call_report *report), void *ctx);
/* The same without the counters, which are what costs: for sums over all calls. */
void calls_each_path(const struct calls *calls,
		     void (*each)(void *ctx, const char *path, const char *reason), void *ctx);
/* How often a row of the policy came to decide a call, by reason; those that never did, too. */
void calls_each_decision(const struct calls *calls,
			 void (*each)(void *ctx, const char *reason, uint64_t n), void *ctx);
/* One call by id or unique prefix. 0, -ENOENT or -EEXIST (the prefix is not unique). */
int calls_find(const struct calls *calls, const char *id, struct call_report *out);
/* What the policy says of a call, decided anew. Errors as calls_find(). */
int calls_explain(const struct calls *calls, const char *id, struct policy_verdict *out);
/* The id of the call that owns a flow; NULL: none. */
const char *calls_owner_id(const struct calls *calls, uint64_t owner);
/* Ends it: BYE or CANCEL to both. Errors as calls_find(). */
int calls_hangup(struct calls *calls, const char *id);
/* Keeps a call's media here, and brings it back; lets it go by policy again. */
int calls_relay(struct calls *calls, const char *id);
int calls_auto(struct calls *calls, const char *id);
enum { CALLS_REASON_TEXT = 24 };
/* Moves it out now, settle time and glare set aside. -EPERM: the policy's `reason` forbids it. */
int calls_direct(struct calls *calls, const char *id, char reason[CALLS_REASON_TEXT]);

/* How moves of media between relay and phones ended. X(name). */
#define MEDIA_RESULTS(X)                                                                           \
	X(ok) X(refused) X(rolled_back) X(glare) X(timeout) X(unstable) X(aborted) X(ignores_c)

enum media_result {
#define MEDIA_RESULT_ENUM(name) MEDIA_RESULT_##name,
	MEDIA_RESULTS(MEDIA_RESULT_ENUM)
#undef MEDIA_RESULT_ENUM
	MEDIA_N_RESULTS
};

const char *media_result_text(enum media_result result);
/* Offers within calls (re-INVITE, UPDATE) by direction, purpose and the code of their answer. */
void calls_each_offer(const struct calls *calls,
		      void (*each)(void *ctx, const char *direction, const char *purpose, int code,
				   uint64_t n),
		      void *ctx);

struct calls_report {
	uint64_t live[4]; /* by call_state */
	/* Answered and relayed ones of which one side, or none, has been heard for five seconds. */
	uint64_t oneway, nortp;
	uint64_t total_answered, total_failed, total_cancelled,
		total_rejected; /* rtpfwd_calls_total{result}: ended so */
	struct calls_histogram {
		const double *bounds; /* seconds, n of them; the last bucket is +Inf */
		uint64_t count[16];   /* per bucket, not cumulated */
		size_t n;
		double sum;
	} setup_seconds, call_seconds;
	uint64_t transitions[MEDIA_N_RESULTS]; /* rtpfwd_direct_transitions_total{result} */
	uint64_t split;			       /* calls now whose legs have not both come back */
	struct calls_histogram transition_seconds; /* first offer to the agreement of both legs */
};

void calls_report(const struct calls *calls, struct calls_report *out);

#endif
