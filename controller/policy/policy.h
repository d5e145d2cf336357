/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy: facts in, verdict and reason out. Pure: no I/O, no clock, no memory of its own. The
 * rows are those of policy/rows.h.
 */
#ifndef RTPFWD_POLICY_POLICY_H
#define RTPFWD_POLICY_POLICY_H

#include "conf/conf.h"
#include "lib/addr.h"
#include "policy/rows.h"

enum policy_row {
#define POLICY_ROW_ENUM(name, ...) POLICY_ROW_##name,
	POLICY_ROWS(POLICY_ROW_ENUM)
#undef POLICY_ROW_ENUM
		POLICY_ROW_COUNT
};

enum policy_class { POLICY_PERMANENT, POLICY_CONDITION, POLICY_TRANSIENT };

enum policy_decision {
	POLICY_DECIDES_RELAY, /* here, or back here */
	POLICY_DECIDES_STAY,  /* where it is */
	POLICY_DECIDES_DIRECT,
	POLICY_DECIDES_DIRECT_SETUP, /* from the first INVITE on */
};

/* Is what we see of a leg not what it believes of itself? */
enum policy_nat { POLICY_NAT_UNKNOWN, POLICY_NAT_NONE, POLICY_NAT_SEEN };
enum policy_crypto { POLICY_PLAIN, POLICY_SDES, POLICY_DTLS, POLICY_ZRTP };
enum policy_dtmf { POLICY_DTMF_EVENTS /* RFC 4733 */, POLICY_DTMF_INBAND, POLICY_DTMF_INFO };
enum policy_mode { POLICY_AUTO, POLICY_FORCE_RELAY, POLICY_FORCE_DIRECT };
enum policy_glare { POLICY_GLARE_NONE, POLICY_GLARE_WAITS, POLICY_GLARE_GIVEN_UP };
enum policy_recording { POLICY_RECORDING_OFF, POLICY_RECORDING_ARMED, POLICY_RECORDING_ON };
/* Kinds of m= lines; also an index. */
enum policy_kind {
	POLICY_KIND_AUDIO,
	POLICY_KIND_VIDEO,
	POLICY_KIND_IMAGE,
	POLICY_KIND_OTHER,
	POLICY_KINDS
};
enum policy_feature {
	POLICY_DTMF_A = 1, /* by the caller's digits: T H W K X */
	POLICY_DTMF_B = 2, /* by the callee's: t h w k x */
	POLICY_WARN = 4,   /* L(x:y...) */
	POLICY_ANNOUNCE = 8,
};

/* How earlier moves of a leg went: kept by whoever moves it, for as long as the call lives. */
struct policy_leg_course {
	unsigned int refused; /* code that our re-INVITE got and would get again; 0: none */
	bool swallows;	      /* it answers no re-INVITE, but its media lives */
	bool ignores_c;	      /* it agreed and went on sending here */
	bool unstable;	      /* another address in each answer */
	bool update_refused;  /* 405 or 501 to UPDATE */
	bool reinvited;	      /* it sent a re-INVITE of its own */
	bool waited_for;      /* canreinvite=outgoing: its own did not come in time */
};

/* The same of the call. */
struct policy_course {
	enum policy_mode mode; /* what the operator said last */
	enum policy_glare glare;
	bool settling; /* the settle timer runs */
	bool moving;   /* a move or a hand-over is in progress: nothing new begins */
	bool transfer; /* REFER seen, or a dialog is being replaced */
	bool several;  /* more than one target at once, or more than one early answer */
	bool at_setup; /* the INVITE went out with the caller's own address, and that holds */
	struct policy_leg_course leg[2];
};

struct policy_leg {
	unsigned int canreinvite;	/* enum conf_canreinvite; 0: no */
	bool incoming;			/* its INVITE came to us */
	bool takes_update;		/* its Allow names UPDATE */
	bool no_reinvite;		/* the quirk, configured or learned */
	bool fixed;			/* its peer has a host of its own and nat = no */
	struct addr source;		/* of its signalling; AF_UNSPEC: not known */
	enum policy_nat nat_signalling; /* unknown counts as none */
	enum policy_nat nat_media;
	struct addr learned; /* where its RTP comes from; AF_UNSPEC: none came */
	bool described;	     /* else nothing is known of what follows */
	struct addr media;   /* where it wants RTP */
	bool own_address;    /* that is one of this node's */
	bool acl_denies;     /* its direct media rules do not let the other leg's address */
	enum policy_crypto crypto; /* not described: as it will be by its configuration */
	bool ice;
	bool hold;			 /* in any spelling */
	unsigned int live[POLICY_KINDS]; /* m= lines with a port */
	unsigned int ptime_ms;
	enum policy_dtmf dtmf;
};

/* What both descriptions say together; where a leg is not described, nothing. */
struct policy_pair {
	bool no_codec;		/* none in common */
	bool numbers_differ;	/* of a codec in common: payload number */
	bool parameters_differ; /* fmtp, clock or channels */
	bool events_differ;	/* telephone-event: payload number or digits */
	bool sdes_passes;	/* keys go from end to end */
};

struct policy_facts {
	struct policy_leg leg[2]; /* [0] the caller's */
	struct policy_pair pair;
	struct policy_course course;
	unsigned int features; /* enum policy_feature */
	enum policy_recording recording;
	bool joined; /* the legs' realms are one site */
	bool answered;
	/* What direct media at set-up asks for beside the rows. */
	bool setup_wanted; /* directsetup = yes */
	bool late_offer;   /* the INVITE had none */
};

struct policy_verdict {
	enum policy_row row; /* the first that matches */
	uint64_t matched;    /* bit per row */
	enum policy_decision decision;
	enum policy_class class;
	unsigned int code; /* of PEER_REFUSED; else 0 */
};

_Static_assert(POLICY_ROW_COUNT <= 64, "a bit per row");

void policy_decide(struct policy_verdict *out, const struct policy_facts *facts);

static inline bool policy_goes_direct(const struct policy_verdict *v)
{
	return v->decision == POLICY_DECIDES_DIRECT || v->decision == POLICY_DECIDES_DIRECT_SETUP;
}

/* The reason as shown: "POLICY_NO_A", "PEER_REFUSED_488". */
enum { POLICY_REASON_TEXT = 24 };

const char *policy_reason(char text[POLICY_REASON_TEXT], const struct policy_verdict *v);
/* The same of a row of the verdict, matched or not: one without a code is "PEER_REFUSED". */
const char *policy_row_reason(char text[POLICY_REASON_TEXT], const struct policy_verdict *v,
			      enum policy_row row);
const char *policy_row_number(enum policy_row row); /* "18a" */
const char *policy_row_text(enum policy_row row);   /* for people */
enum policy_class policy_row_class(enum policy_row row);
enum policy_decision policy_row_decision(enum policy_row row);

/* The re-INVITE that moves this leg is an UPDATE. */
bool policy_by_update(const struct policy_leg *leg, const struct policy_leg_course *course);
/* The first re-INVITE to this leg is left to it (canreinvite=outgoing, and it called us): a node
 * like us stands there. How long it is waited for, a constant. */
bool policy_withholds(const struct policy_leg *leg, const struct policy_leg_course *course);

enum { POLICY_WITHHOLD_MS = 3000 };

#endif
