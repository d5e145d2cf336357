/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: the inside of a leg. leg.c: its life; leg_uas.c: what comes in;
 * leg_uac.c: what it sends; leg_jobs.c: what waits to be sent; leg_early.c: dialogs before the
 * answer; leg_rel.c: reliable provisional responses; leg_update.c: UPDATE. */
#ifndef RTPFWD_SIP_LEG_PRIV_H
#define RTPFWD_SIP_LEG_PRIV_H

#include "sip/client.h"
#include "sip/leg.h"
#include "sip/server.h"

enum leg_phase {
	LEG_NEW,   /* outgoing, nothing sent */
	LEG_SETUP, /* the first INVITE has no final response */
	LEG_UP,
	LEG_OVER, /* refused, or BYE sent or received */
};

/* Our 2xx until its ACK: it belongs to the dialog, not to a transaction (RFC 3261 13.3.1.4). */
struct leg_ok {
	const struct sip_bind *bind;
	struct addr to, fallback; /* of sip_send_back() */
	uint32_t cseq;
	bool initial;
	bool offer; /* it carries an offer, whose answer comes in the ACK */
	unsigned int interval_ms;
	uint64_t over_at_ms;
	size_t len;
	char bytes[];
};

/* What is to be sent in the dialog as soon as nothing else is open there. */
enum leg_work {
	LEG_OFFER,   /* re-INVITE or UPDATE with an offer */
	LEG_MOVE,    /* the same, tried once */
	LEG_ASK,     /* re-INVITE without one: the far end offers */
	LEG_REFRESH, /* of the session: UPDATE without an offer, or what is in force in a re-INVITE
		      */
	LEG_WHO,     /* who is on the other side: the same */
};

struct leg_job {
	struct leg_job *next;
	enum leg_work work;
	bool update; /* by UPDATE where the far end takes that */
	bool sent;
	bool expired;	       /* provisional responses came, and no final one in time */
	bool withdrawn;	       /* leg_cancel() */
	bool postponed;	       /* a Retry-After was honoured */
	unsigned int glares;   /* 491 so far */
	struct sip_pass *pass; /* of the other side, that goes with it */
	size_t len;
	char sdp[];
};

/* Who refreshes, as a request says it. */
enum leg_refresher { LEG_EITHER, LEG_UAC, LEG_UAS };

/* A session timer (RFC 4028). */
struct leg_session {
	struct conf_session conf; /* whole: no zeros; a 422 raises its intervals */
	unsigned int raises;	  /* 422 so far */
	unsigned int interval_s;  /* 0: none runs */
	bool ours;		  /* we refresh */
	bool refreshing;	  /* our refresh of this interval was put into the queue */
	struct timer timer;
	/* Of the request that is being answered, for its 2xx; 0: there is to be none */
	unsigned int asked_s;
	bool asked_knows; /* it supports timers */
	enum leg_refresher asked;
};

/* A description of the far end's. */
struct leg_said {
	char *sdp; /* NULL: none */
	size_t len;
	bool offer; /* it came in an UPDATE that offered it */
};

/* One of the dialogs that an INVITE of ours may end in (RFC 3261 12.1). */
struct leg_fork {
	char *tag;
	uint32_t rseq; /* of the last reliable response; 0: none */
	bool settled;  /* offer and answer went reliably: what later responses describe is void */
	bool updated;  /* and so did others after them, by UPDATE */
	struct leg_said said; /* its last description */
};

/* Far ends beyond these are heard, but not told apart. */
enum { LEG_FORKS_MAX = 8, LEG_RELIABLE_MAX = 8, LEG_JOBS_MAX = 8 };

/* A provisional response that goes out reliably. */
struct leg_reliable {
	struct leg_reliable *next;
	int code;
	char *reason; /* NULL: the standard one */
	struct sip_pass *pass;
	char *sdp;
	size_t len;
};

/* What a PRACK acknowledges (RFC 3262 7.2); rseq 0: nothing. */
struct leg_rack {
	uint32_t rseq, cseq;
};

/* What is needed only until the first INVITE has its final response. */
struct leg_early {
	/* Outgoing */
	struct leg_fork forks[LEG_FORKS_MAX];
	size_t n_forks;
	bool reliable_now;  /* the response being told of */
	bool offer_now;     /* what the owner is told in `answered` */
	const struct leg_fork *told; /* whose description the owner has heard last; NULL: of none */
	struct leg_said offered;     /* in the UPDATE that is not answered */
	uint32_t held_rseq; /* its PRACK waits for our answer; 0: none */
	uint32_t held_cseq;
	/* Incoming */
	enum leg_reliability wanted;
	struct leg_reliable *reliable; /* the first is sent and not acknowledged */
	uint32_t rseq;		       /* of it */
	unsigned int interval_ms;
	uint64_t over_at_ms;
	bool described; /* a description went out reliably */
	bool settled;	/* and was acknowledged */
	bool final;	/* the 200 waits for the PRACK */
};

struct leg {
	struct sip *sip;
	struct sip_key key;
	const struct leg_events *events; /* NULL: nobody listens */
	void *owner;
	enum leg_phase phase;
	bool incoming;
	bool released;	   /* leg_free() was called: gone as soon as nothing is under way */
	unsigned int busy; /* handlers of ours on the stack */
	struct sip_dialog dialog;
	struct addr first_hop; /* outgoing: where the first INVITE goes */
	unsigned int max_forwards;
	uint32_t way; /* of leg_target */
	struct sip_server *ist;	    /* INVITE from the far end without a final response of ours */
	bool ist_offer;		    /* it carried SDP */
	char *ist_target;	    /* its Contact: the remote target once it is answered */
	struct sip_server *ost;	    /* UPDATE or PRACK with an offer that is not answered */
	char *ost_target;	    /* its Contact; NULL: none */
	char *ost_tag;		    /* of the far end that sent that UPDATE; NULL: no memory */
	struct sip_client *ict;	    /* INVITE of ours without a final response */
	bool ict_offer;		    /* it carried SDP */
	struct sip_client *uct;	    /* UPDATE of ours */
	struct sip_client *unacked; /* its 2xx made an offer: the ACK waits for our answer */
	uint32_t unacked_cseq;
	unsigned int pracks; /* of ours without a final response */
	struct leg_job *jobs;
	struct timer job_timer;
	struct leg_session session;
	bool never_reinvite;
	struct leg_early *early;	  /* NULL: answered, or nothing to remember */
	struct leg_rack late;		  /* what the 2xx overtook */
	enum leg_reliability reliability; /* outgoing: to ask for */
	bool far_updates;		  /* UPDATE is in its Allow */
	bool far_natted;		  /* as its last INVITE or answer to one says */
	uint64_t who;	  /* is there, as it said last (sip_pass_who()); 0: it did not */
	bool who_changed; /* by the message heard last that may say it */
	bool cancelled;			  /* leg_cancel() while it was out */
	struct sip_client *ping;	  /* our OPTIONS, until it is answered */
	struct sip_client *bye;		  /* our BYE, until it is answered */
	bool bye_wanted; /* as soon as our first 2xx is acknowledged (RFC 3261 15) */
	char *bye_reason;
	struct leg_ok *ok;     /* NULL: none */
	struct timer timer;    /* 2xx again, or provisional response again */
	struct sip_pass *pass; /* of the other side, for the next message sent */
	struct relay *relays; /* requests of this dialog that the other side is to answer */
	unsigned int invites; /* re-INVITEs since `invites_since_ms` */
	uint64_t invites_since_ms;
	char *user_agent;
	uint64_t arrived_us;
	unsigned int later_s; /* Retry-After of the last refusal of a job */
	UT_hash_handle hh;
};

/* leg.c */
struct leg *leg_make(struct sip *sip, const struct sip_bind *bind, const char *call_id);
void leg_enter(struct leg *leg);
void leg_leave(struct leg *leg); /* the leg may be gone after */
/* The leg whose dialog a request belongs to; NULL: none. */
struct leg *leg_find(const struct sip_msg *m);
struct leg *leg_of_key(const struct sip *sip, const struct sip_key *key);
struct leg *leg_of_dialog(const struct sip_bind *bind, const char *call_id, const char *local_tag,
			  const char *remote_tag);
/* nat.c: the sender of an INVITE or of a response to one is not seen by the address that it writes.
 */
bool sip_msg_natted(const struct sip_msg *m);
/* What a message says of its sender: User-Agent, Allow, NAT. */
void leg_see_far(struct leg *leg, const struct sip_msg *m);
/* leg_pass.c: who the message says is there. */
void leg_see_who(struct leg *leg, const struct sip_msg *m);
void leg_drop_ok(struct leg *leg);
/* BYE, or CANCEL, or a final response: whatever ends it in its phase. `reason` as of leg_bye(). */
void leg_end(struct leg *leg, const char *reason);

/* Seconds for Retry-After where a request came too early. */
unsigned int leg_retry_after(struct leg *leg);

/* leg_uas.c */
/* How a request of the dialog is answered at once. */
void leg_reply(struct leg *leg, const struct sip_msg *m, const struct sip_reply *reply);
/* Why an offer is not put to the owner; code 0: it is. */
struct sip_reply leg_refuse_offer(struct leg *leg, const struct sip_msg *m);
/* A new INVITE: makes the leg, sends 100, hands it over. */
void leg_invited(const struct sip_msg *m, const struct sip_request *request,
		 const struct sip_verdict *verdict);
/* A request in the dialog but ACK and CANCEL. */
void leg_request(struct leg *leg, const struct sip_msg *m);
void leg_ack_received(struct leg *leg, const struct sip_msg *m);
/* CANCEL of the INVITE that the leg has not answered. */
void leg_cancel_received(struct leg *leg);
void leg_timer(void *owner);

/* leg_uac.c */
void leg_send_bye(struct leg *leg, const char *reason);
/* A 2xx to an INVITE of ours in the dialog whose transaction was given up: ACK. */
void leg_late_success(struct leg *leg, const struct sip_msg *m);
void leg_forget_reinvite(struct leg *leg);
/* A request in the dialog: method, content and what passes of `r` are given. 0 or -errno: nothing
 * was sent. */
int leg_send(struct leg *leg, struct sip_client **out, struct sip_outgoing *r);
int leg_adopt_dialog(struct leg *leg, const struct sip_msg *m);
/* The remote target from a Contact; without one it stays. */
int leg_refresh_target(struct leg *leg, const struct sip_msg *m);
/* ACK to the 2xx that made an offer. */
void leg_send_held_ack(struct leg *leg, struct slice sdp);
/* sip_client_events.next_cseq of a leg's requests. */
uint32_t leg_next_cseq(void *owner);

/* leg_jobs.c */
/* -EBUSY: too many wait; -errno: it could not be sent. */
int leg_job_add(struct leg *leg, enum leg_work work, bool update, const char *sdp, size_t len);
/* Something ended: the next job may begin. */
void leg_jobs_kick(struct leg *leg);
void leg_jobs_drop(struct leg *leg);
/* The owner wants it no more: what waits ends with 487. */
void leg_job_withdraw(struct leg *leg);
/* Our re-INVITE or UPDATE has its final response, or (m NULL) it was lost with `code`. */
void leg_job_done(struct leg *leg, int code, const struct sip_msg *m);
void leg_job_timer(void *owner);

/* leg_session.c */
void leg_session_setup(struct leg *leg, const struct conf_session *wanted);
/* Option tags: of requests that know no other, and all that we know; NULL: none. */
const char *leg_session_tag(const struct leg *leg);
const char *leg_session_supported(const struct leg *leg);
/* A request that may ask for a session timer; code 0: it goes on. */
struct sip_reply leg_session_asked(struct leg *leg, const struct sip_msg *m);
/* Header lines of the 2xx to it; NULL: none. */
const char *leg_session_reply(struct leg *leg);
/* That 2xx went out. */
void leg_session_answered(struct leg *leg);
/* A 2xx to such a request of ours came. */
void leg_session_granted(struct leg *leg, const struct sip_msg *m);
/* Header lines of an INVITE or UPDATE of ours; NULL: no timer runs or is wanted. */
const char *leg_session_request(const struct leg *leg, char lines[LEG_SESSION_LINES]);
/* 422 with a longer Min-SE, which is in force now; false where it is not longer, or longer than we
 * go. */
bool leg_session_raise(struct leg *leg, const struct sip_msg *m);
/* The end of a LEG_REFRESH. */
void leg_session_refreshed(struct leg *leg, int code, struct slice sdp);
void leg_session_stop(struct leg *leg);
void leg_session_timer(void *owner);

/* leg_early.c: outgoing, before the answer */
struct leg_early *leg_early(struct leg *leg); /* made where there is none; NULL: no memory */
void leg_early_free(struct leg *leg);
/* 101 to 199 to the first INVITE. */
void leg_early_heard(struct leg *leg, const struct sip_msg *m);
/* An UPDATE of the present dialog offers that. */
void leg_early_offered(struct leg *leg, struct slice sdp);
/* That offer is agreed upon, or ours to the dialog of that tag, which answered `sdp`: what its
 * responses describe is history. */
void leg_early_agreed(struct leg *leg, const char *tag);
void leg_early_updated(struct leg *leg, const char *tag, struct slice sdp);
/* The description of the dialog of this 2xx that counts now (pitfalls 55, 56), which may be that of
 * an UPDATE. None: what the owner has heard last, in an UPDATE of this very dialog; or there is
 * none. */
struct slice leg_early_answer(struct leg *leg, const struct sip_msg *m);
/* The dialog's offer is answered, ahead of the final response. */
bool leg_early_settled(const struct leg *leg);

/* leg_rel.c: incoming, before the answer */
void leg_prack_received(struct leg *leg, const struct sip_msg *m);
/* Is a description out that waits for its PRACK? */
bool leg_prack_wanted(const struct leg *leg);
void leg_reliable_timer(struct leg *leg);
void leg_reliable_drop(struct leg *leg);
/* The 2xx goes out: what is not acknowledged until now may be yet. */
void leg_reliable_overtaken(struct leg *leg);
/* The offer in a PRACK was answered, or none was in it. */
void leg_reliable_next(struct leg *leg);

/* leg_update.c */
int leg_send_update(struct leg *leg, struct slice sdp, const struct sip_pass *pass);
void leg_update_received(struct leg *leg, const struct sip_msg *m);
void leg_forget_ost(struct leg *leg);

/* ua.c */
/* 405 or 501, for a method that we do not serve. */
struct sip_reply sip_refuse_method(const struct sip_msg *m);
/* A body that is not SDP, or an extension that we do not know: code 0 where there is none. */
struct sip_reply sip_refuse_content(const struct sip_msg *m);

#endif
