/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to controller/sip: the inside of a leg. leg.c: its life; leg_uas.c: what comes in;
 * leg_uac.c: what it sends. */
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
	char *bytes; /* NULL: none */
	size_t len;
	const struct sip_bind *bind;
	struct addr to, fallback; /* of sip_send_back() */
	uint32_t cseq;
	bool initial;
	bool offer; /* it carries an offer, whose answer comes in the ACK */
	unsigned int interval_ms;
	uint64_t over_at_ms;
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
	struct sip_server *ist; /* INVITE from the far end without a final response of ours */
	bool ist_offer;		/* it carried SDP */
	char *ist_target;	/* its Contact: the remote target once it is answered */
	struct sip_client *ict; /* INVITE of ours without a final response */
	bool cancelled;		/* leg_cancel() while it was out */
	struct sip_client *bye; /* our BYE, until it is answered */
	bool bye_wanted;	/* as soon as our first 2xx is acknowledged (RFC 3261 15) */
	char *bye_reason;
	struct leg_ok ok;
	struct timer timer; /* 2xx again, or provisional response again */
	struct sip_pass *pass; /* of the other side, for the next message sent */
	char *user_agent;
	uint64_t arrived_us;
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
void leg_see_agent(struct leg *leg, const struct sip_msg *m);
void leg_drop_ok(struct leg *leg);
/* BYE, or CANCEL, or a final response: whatever ends it in its phase. `reason` as of leg_bye(). */
void leg_end(struct leg *leg, const char *reason);

/* leg_uas.c */
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

/* ua.c */
/* 405 or 501, for a method that we do not serve. */
struct sip_reply sip_refuse_method(const struct sip_msg *m);
/* A body that is not SDP, or an extension that we do not know: code 0 where there is none. */
struct sip_reply sip_refuse_content(const struct sip_msg *m);

#endif
