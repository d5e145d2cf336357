/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of controller/call/ share. Nobody else includes this. */
#ifndef RTPFWD_CALL_CALL_PRIV_H
#define RTPFWD_CALL_CALL_PRIV_H

#include "call/call.h"
#include "call/direct.h"
#include "lib/log.h"
#include "media/desc_facts.h"
#include "policy/policy.h"
#include "sip/relay.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

/* What the descriptions in force say that the policy asks for, read once. */
struct call_said {
	struct desc_facts leg[2]; /* of those that there are */
	struct desc_pair pair;	  /* where there are both */
};

/* What the sources of a leg's RTP told of a NAT. It holds as long as the address that is signalled:
 * one that was seen there is proof for good, whoever else is heard of later. */
struct call_nat {
	enum policy_nat found;
	struct addr of;	    /* the address signalled; AF_UNSPEC: none yet */
	struct addr before; /* last source seen when that came; it says nothing of it */
};

/* Where a leg hears music. */
struct call_ear {
	struct stream *stream;
	enum side side;
};

/* One leg's part of a call. */
struct call_side {
	struct leg *leg; /* NULL: none yet, or over */
	const struct conf_peer *peer;
	const struct conf_realm *realm;
	struct peer_load *load; /* in which this leg is counted; NULL: not yet */
	struct desc *said;	   /* its description in force; NULL: none yet */
	struct desc_audio audio;   /* of `said` */
	struct call_nat nat;
	struct addr rtp, rtcp;	   /* where it wants its media, or wanted it before it held */
	struct desc_origin origin; /* what we told it, and our o= in its dialog */
	bool asked; /* that is an offer, which it has not agreed to yet */
	bool early; /* it said that in an early dialog */
	struct desc *invited; /* what the INVITE to it offered; NULL: no keys, or it is answered */
	/* Bit by m= line: what it said answers an offer without rtcp-mux (RFC 5761 5.1.1). */
	uint32_t not_muxed;
	struct flow_payloads sends; /* numbers by what was agreed upon last */
	bool holds;		   /* it holds, and the other leg, not told so, hears music */
	struct player *player;	   /* of the music that it hears; NULL: none so far */
	struct call_ear ear;
	bool tls;		   /* before there is a leg: it will be spoken to over TLS */
};

/* What a description is: the last kind is an answer of one of the callee's dialogs. */
enum call_word { WORD_OFFER, WORD_ANSWER, WORD_RESPONSE };

/* An m= line of both dialogs. */
struct call_line {
	struct stream *stream;
	unsigned int index;
	enum desc_kind kind; /* as said last */
	struct call_keys *keys[2]; /* keys.c, by side; NULL: none pass between it and us */
};

/* A re-INVITE of one leg that waits for the other leg's answer. */
struct call_offer {
	bool open;
	bool withdrawn;	    /* CANCEL came for it: what the other leg accepts must be taken back */
	bool moves;	    /* it moves both legs: canreinvite=outgoing */
	bool returns;	    /* it brings both back: what it offers cannot be direct */
	bool back;	    /* it is that: nobody waits for the answer */
	enum side from;	    /* who offers */
	struct desc *offer; /* NULL when withdrawn */
	struct desc_origin
		before; /* what the other leg was told until then: in force again if it refuses */
};

/* Where an INVITE goes that replaces a dialog of ours (RFC 3891): to whoever has that dialog. */
struct replacing {
	struct conf_route route;
	const struct conf_peer *to; /* its only target, of `peers` */
	struct addr at;		    /* where the device is that has the dialog */
	unsigned int bind;	    /* and by which socket it is reached: as leg_target.bind */
	struct peers *peers;	    /* of the call replaced, which lives while this is made */
	char dialled[256];
};

/* A leg asked us for an offer: its INVITE or re-INVITE had none. The other leg is asked in turn,
 * and the answer to what it offers comes in the asker's ACK or PRACK. */
struct call_ask {
	bool open;
	bool waiting;	    /* the other leg has not offered yet */
	bool withdrawn;	    /* CANCEL came for it */
	enum side from;	    /* who asked, and is to answer */
	struct desc *offer; /* of the other leg; NULL: what is in force was offered, nobody asked
			       the other leg */
	struct desc_origin before; /* what the asker was told until then */
};

/* How many addresses of one name a call tries. */
enum { CALL_SERVERS_MAX = 4 };

struct call {
	struct calls *all;
	struct call *prev, *next; /* of all->list, oldest first */
	UT_hash_handle hh;	  /* by owner */
	uint64_t owner;
	char id[17]; /* `owner` in hex */
	uint64_t number; /* how many there were before it, and 1 */
	enum call_state state;
	struct peers *peers; /* of its set-up; a reload leaves it */
	struct peers *callers; /* the caller's: another one where it replaces an older call */
	const struct conf_route *route;
	struct replacing *replacing; /* holds `route`; NULL: it is the configuration's */
	size_t target;		     /* index in route->to */
	uint64_t tried;		     /* of route->to: bit per target (order.c) */
	const char *over;	     /* "peer_limit", "peer_rate": of the present target */
	size_t contact;		     /* of that peer: which of its contacts or servers */
	struct addr servers[CALL_SERVERS_MAX]; /* of that peer, where its host is a name */
	size_t n_servers;
	bool rang; /* the present target said something */
	bool nowhere;		     /* the target cannot be reached: another may */
	struct call_side side[2];
	struct call_line lines[DESC_RELAYED]; /* in no order */
	size_t n_lines;
	struct stream *stream; /* of the main one of them; NULL: none yet */
	unsigned int deferred; /* flows follow when it is 0: call_enforce() */
	struct call_offer offer;
	struct call_ask ask;
	uint64_t early_version; /* of the description that the caller got reliably before the
				   answer; 0: none */
	char codec[32];		/* negotiated, "" not yet */
	struct call_said said;
	struct policy_course course; /* how it was moved until now, and whether it may be */
	uint64_t transfer_until_ms; /* loop clock: one is under way; 0: none */
	struct policy_verdict verdict; /* the last; `matched` 0: none was made */
	char *from, *to, *from_uri, *to_uri, *display, *dialled;
	unsigned int max_forwards;
	uint32_t way; /* sip_request.way */
	struct timespec started, answered;
	uint64_t answered_ms; /* loop clock; 0: not answered */
	struct timer ring;    /* the route's timeout, then the S() or L() limit */
	struct timer idle;    /* rtptimeout */
	struct timer music;   /* its way is asked for again */
	unsigned int silent_sides; /* of which nothing was heard for a while, as counted */
	struct call_media media;
};

/* Codes that a re-INVITE may be refused with, each counted for itself. */
enum { CALLS_REFUSALS_LO = 300, CALLS_REFUSALS = 400 };

/* What an offer within a call is for. */
enum call_purpose {
	CALL_FOR_DIRECT, /* the other leg's address */
	CALL_FOR_RECON,	 /* the same again, it has changed */
	CALL_FOR_BACK,	 /* the relay's address */
	CALL_FOR_THEM,	 /* what a far end offered */
	CALL_FOR_OFFER,	 /* an offer is asked for */
	CALL_PURPOSES
};

/* Final responses: 200 to 699. */
enum { CALLS_CODE_LO = 200, CALLS_CODES = 500 };

struct calls {
	struct calls_setup setup;
	uint64_t offers[2][CALL_PURPOSES][CALLS_CODES]; /* [1]: of far ends; by their answers */
	struct peers *peers;
	struct sip *sip;
	struct call *list;
	struct call *by_owner;
	uint64_t numbers; /* of calls, ended ones included */
	bool draining;
	struct calls_report counts; /* `live` is kept current */
	uint64_t decisions[POLICY_ROW_COUNT]; /* times that a row came to decide a call */
	uint64_t refusals[CALLS_REFUSALS];    /* the same of PEER_REFUSED, by code */
};

/* calls.c: errors as calls_find() */
int calls_seek(const struct calls *calls, const char *id, struct call **out);

/* call.c: a call's life */
void call_begin(struct calls *all, struct leg *leg, const struct sip_request *request,
		const struct conf_peer *from);
/* Ends it whatever its state: flows first, then what SIP asks for, CDR, memory. `code` goes to a
 * caller that was not answered. The pointer is dead after. */
void call_end(struct call *c, const char *cause, int code, const char *reason,
	      unsigned int retry_after_s);
void call_set_state(struct call *c, enum call_state state);
/* Memory, timers and legs; no report, no counting of its end. */
void call_free(struct call *c);

/* order.c: which target comes next, and whether it may have one more call */
/* Chooses c->target among those not tried. False: there are no more. */
bool call_choose_target(struct call *c);
/* Counts the call with that side's peer, unless it is. 0; 503: the peer is at its limit. */
int call_count(struct call *c, enum side side, struct peer_load *load);
void call_uncount(struct call *c, enum side side);
/* The callee's peer refused. */
void call_rest_target(struct call *c, int code, unsigned int retry_after_s);
/* target.c: where it goes */
/* The present target, and side B's peer and realm. 0, or the status code that says why there is
 * none. */
int call_find_target(struct call *c, struct reach_target *out);
/* Moves on. False: there are no more. */
bool call_next_target(struct call *c);
/* What of it the peer alone says; `from_user` NULL: the caller's. */
void call_address(struct leg_target *out, const struct conf_peer *peer,
		  const struct reach_target *at);
void call_fill_target(const struct call *c, const struct reach_target *at, struct leg_target *out);
/* The leg answers challenges of that peer. 0 or -ENOMEM. */
int call_login(struct leg *leg, const struct conf_peer *peer);

/* answer.c: the callee's answer to the first INVITE */
/* Of an early dialog, or the offer that the caller asked for. -errno: there is nothing to tell. */
int call_take_early(struct call *c, struct slice sdp);
/* What its 2xx says. -errno: it cannot be told. */
int call_take_answer(struct call *c, struct slice sdp);

/* told.c: what a leg is told */
/* Address and RTP port that are in force for that leg: ours, or the other leg's own. */
struct addr call_told(const struct call *c, enum side side);
/* Builds the offer to `side` out of the other leg's description. Errors of desc_render(). */
int call_tell_offer(struct call *c, enum side side, const struct desc *in);
/* Builds the answer to `side`'s `offer` out of the other leg's description. */
int call_tell_answer(struct call *c, enum side side, const struct desc *offer,
		     const struct desc *in);
/* Builds the answer that we give ourselves, the other leg not being asked. */
int call_tell_own(struct call *c, enum side side, const struct desc *offer);
/* Builds the offer of what is in force, for a leg that asks for one. */
int call_tell_in_force(struct call *c, enum side side);
/* Builds the offer of what is in force and both legs know, with the address that the leg is to send
 * to. */
int call_tell_path(struct call *c, enum side side);
/* A copy, to go back to. 0 or -ENOMEM. */
int call_keep_origin(struct desc_origin *copy, const struct desc_origin *origin);
/* What a leg was told comes to nothing: `before` is in force again, and is taken. */
void call_told_as_before(struct call *c, enum side side, struct desc_origin *before);
/* Of `said`: audio, and where it wants that. */
void call_read_audio(struct call_side *s);
/* Takes over what a leg said: it is in force, and the flows follow. Owns `said`. */
void call_heard(struct call *c, enum side side, struct desc *said);
/* The same of the callee in an early dialog, where another one may answer in the end, and of the
 * one that has answered. */
void call_heard_early(struct call *c, struct desc *said);
void call_heard_answer(struct call *c, struct desc *said);
/* Parses and keeps nothing that has no audio. 0, -EBADMSG, -E2BIG or -ENOENT. */
int call_parse(struct desc **out, struct slice sdp);
/* The same of a leg that was told something, or is to be: a leg's relay ports are of one address
 * family for the call's life; -EAFNOSUPPORT: it wants its audio in the other one (a null address,
 * hold, may). -ENOTSUP: call_keys_judge(). */
int call_parse_offer(struct desc **out, const struct call *c, enum side side, struct slice sdp);
int call_parse_answer(struct desc **out, const struct call *c, enum side side, struct slice sdp);
/* The callee's, in a response to the first INVITE. */
int call_parse_response(struct desc **out, const struct call *c, struct slice sdp);
/* The first codec of the last answer is the one in use. */
void call_note_codec(struct call *c, const struct desc *answer);

/* keys.c: keys of encrypted media */
/* encryption = no on both legs: those of RTP/SAVP are the far ends' own. */
bool call_keys_pass(const struct call *c);
/* Of the line of what `side` says at `index` the other leg can be told. */
bool call_keys_admit(const struct call *c, enum side side, const struct desc *said,
		     unsigned int index);
/* What cannot be served is -ENOTSUP (488), and logged. */
/* Before the leg is told anything. */
int call_keys_begin(const struct call *c, enum side side);
/* New ones for that line, where keys pass. 0, -ENOMEM or -EIO. */
int call_keys_make(const struct call *c, struct call_line *line, enum side side);
void call_keys_free(struct call_line *line, enum side side);
/* Of what the leg says, before anything is read of it: the main line is encrypted as its peer's has
 * to be; another that is not is passed over. */
int call_keys_judge(const struct call *c, enum side side, struct desc *d, enum call_word kind);
/* Into what the leg is told of `in`, an offer, or the answer to `offer`. */
int call_keys_tell(const struct call *c, enum side side, const struct desc *in,
		   const struct desc *offer, struct desc_rewrite *rw);
/* What the leg was told last may be told it again by the way that it asks now. */
bool call_keys_repeat(const struct call *c, enum side side);
/* What it said of that line is in force, with the next stream_describe(). */
void call_keys_heard(const struct call *c, struct call_line *line, enum side side);
bool call_keys_expected(const struct call *c, enum side side);
/* In use; 0: its media is not encrypted here. */
uint8_t call_keys_suite(const struct call_line *line, enum side side);
bool call_keys_used(const struct call *c, enum side side); /* by some line */

/* payloads.c: the flows follow from what was said and told */
/* What is said and told from the one to the other comes into force at once; pairs of them nest. */
void call_defer(struct call *c);
void call_enforce(struct call *c);

/* offers.c: answers, and their number */
void call_offer_answered(struct call *c, enum call_purpose purpose, int code); /* to ours */
/* Answers `side`'s open offer with what its leg was told last. Errors of leg_agree(). */
int call_agree(struct call *c, enum side side, enum call_purpose purpose);
void call_disagree(struct call *c, enum side side, enum call_purpose purpose, int code,
		   const char *reason);

/* reinvite.c: changes during the call */
void call_offered(struct call *c, enum side side, struct slice sdp);
void call_reanswered(struct call *c, enum side side, int code, const char *reason,
		     struct slice sdp);
void call_offer_withdrawn(struct call *c, enum side side);
/* Passes an offer of `side` on, or answers it. Owns `offer`. */
void call_serve_offer(struct call *c, enum side side, struct desc *offer);
void call_offer_close(struct call *c);

/* lines.c: m= lines and their streams */
/* The streams of what the caller offered, of one line where it offered nothing; or, for another
 * callee, of the same again. Errors of stream_new(). */
int call_lines_lease(struct call *c, const struct stream_leg legs[2]);
/* Before an offer is passed on: its lines get streams, as far as there are ports. */
void call_lines_open(struct call *c, const struct desc *offer);
/* What `side` says is in force. */
void call_lines_heard(struct call *c, enum side side);
/* While no offer is under way: what neither leg has is given back. */
void call_lines_prune(struct call *c);
/* NULL: that line is not relayed. */
const struct call_line *call_line_at(const struct call *c, unsigned int index);
struct stream *call_stream(const struct call *c, unsigned int index);
const struct call_line *call_main_line(const struct call *c); /* NULL: none yet */
/* What a leg's figures are of: the main line, or the audio that it came after. */
const struct stream *call_shown_stream(const struct call *c);
size_t call_lines_report(const struct call *c, enum side side,
			 struct call_stream_report out[DESC_RELAYED]);
void call_lines_set_direct(struct call *c, bool direct);
void call_lines_stop(struct call *c);
void call_lines_free(struct call *c);
void call_lines_leave(struct call *c);

/* hold.c: hold with music */
void call_hold_init(struct call *c);
/* That offer is answered without the other leg: hold with music begins, changes or ends. */
bool call_hold_is_ours(const struct call *c, enum side side, const struct desc *offer);
/* What `side` said came into force without the other leg being told. */
void call_hold_answered(struct call *c, enum side side);
/* Starts, changes and stops music after anything that decides on it. */
void call_hold_follow(struct call *c);
void call_hold_stop(struct call *c);

/* A leg whose device was heard in the last seconds is alive, whatever it does not answer. */
bool call_heard_lately(const struct call *c, enum side side);

/* pass.c: what is the far ends' business within calls */
void call_requested(struct call *c, enum side side, struct relay *relay);
void call_gone(struct call *c, enum side side, int code);
/* NULL: it replaces nothing of ours, or no memory. */
struct replacing *call_replacing(const struct sip_request *request);
/* outside.c */
void calls_requested(struct calls *all, struct relay *relay, const struct sip_request *request);

/* ask.c: offers in responses */
void call_asked(struct call *c, enum side side);
/* The offer of the other leg came, to be put to the asker as side's origin.last. Owns `offer`;
 * errors of desc_render(). */
int call_ask_offer(struct call *c, struct desc *offer);
/* The final response to the re-INVITE that asked the other leg. */
void call_ask_reanswered(struct call *c, int code, struct slice sdp);
/* The asker's answer: `sdp` of its ACK or PRACK. The call may be over after. */
void call_ask_answered(struct call *c, struct slice sdp);
void call_ask_close(struct call *c);

/* device.c: what is known of the device on a leg; side's peer is known */
/* The quirk, configured or learned. */
bool call_breaks_on_reinvite(const struct call *c, enum side side);
/* May this leg be re-INVITEd of our own accord? */
bool call_may_reinvite(const struct call *c, enum side side);
/* A direct-media re-INVITE of this leg, or what followed from it, ended so. */
void call_note_move(const struct call *c, enum side side, enum quirk_outcome outcome);

/* facts.c: what the policy decides by, and what it decides now */
void call_collect(const struct call *c, struct policy_facts *out);
void call_decide(const struct call *c, struct policy_verdict *out);
/* A side's description is another one: what it says is read. */
void call_read_said(struct call *c);
/* Decides again, and keeps it as c->verdict. */
void call_review(struct call *c);

/* watch.c: clocks of an answered call */
void call_watch_start(struct call *c);
/* silence.c: calls that hear nothing. Now and then; before it is freed. */
void call_silence_look(struct call *c);
void call_silence_end(struct call *c);

/* cause.c */
/* Why the call ends: what the message being served says of it, else by its status code. */
unsigned int call_q850(const struct call *c, int code);
/* A `Reason` for the BYE (RFC 3326) where the node itself ended the call; NULL: none. */
const char *call_bye_reason(const char *cause);

/* report.c */
void call_fill_report(const struct call *c, struct call_report *out);
const char *call_path(const struct call *c);
/* By the last verdict. */
const char *call_reason(const struct call *c, char text[POLICY_REASON_TEXT]);
void histogram_init(struct calls_histogram *h, const double *bounds, size_t n);
void histogram_add(struct calls_histogram *h, double seconds);

#endif
