/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this folder share; nobody else includes it. All of it is the loop thread's. */
#ifndef RTPFWD_DATAPATH_PRIV_H
#define RTPFWD_DATAPATH_PRIV_H

#include "conf/conf.h"
#include "datapath/ciphers.h"
#include "datapath/datapath.h"
#include "datapath/grace.h"
#include "datapath/layout.h"
#include "datapath/netlink.h"
#include "datapath/user.h"
#include "../kmod/rtpfwd_nl.h"
#include "rtpfwd_abi.h"

#include <limits.h>
#include <net/if.h>
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#define TRACES 3

struct crypt_keys;
struct guard;
struct kmod;
struct rtpfwd_bpf;

/* An interface of one or more realms. */
struct link {
	char name[IF_NAMESIZE];
	uint32_t key; /* in the DEVMAP */
	enum conf_xdp want;
	struct nl_link now; /* now.ifindex 0: there is none of that name at the moment */
	int fd;		    /* the BPF link; -1: not attached */
	bool native;
	char reason[80];     /* why no higher rung; "": it is native */
	bool passing;	     /* that is not of its own, and may pass */
	int fault;	     /* -errno of the last attempt: no program, against our will; 0: none */
	uint64_t retry_ms;   /* then: when it is tried again */
	unsigned int wait_ms;
	uint64_t changed_ms; /* when it last went up, down or elsewhere */
	uint64_t refused;    /* last seen figure of rtpfwd_link_stats */
};

/* The parts of one copy of what to do (rtpfwd_abi.h). */
struct action {
	struct rtpfwd_action act;
	struct rtpfwd_wide wide;
	struct rtpfwd_extra extra;
	struct rtpfwd_path path;
};

#define COPIES	3
#define NO_COPY COPIES /* unleased */

struct flow {
	struct flow_want want;
	uint32_t slot;
	unsigned int realm; /* where its packets come from */
	bool live;	    /* leased; else it only waits for its last readers */
	bool adopted;
	uint32_t contexts[2]; /* of rtpfwd.ko, by direction; 0: none */
	int refused;	      /* -errno for which that did not take its keys; 0: it did */
	uint8_t copy;	      /* in force, 0 to COPIES - 1, or NO_COPY */
	uint8_t left;	 /* bit set of copies that readers may still be in: they wait for a grace
			    period */
	uint8_t leaving; /* the same: the running grace period is theirs */
	bool queued;	 /* in datapath.graces or graces_running */
	struct nexthop *hop; /* NULL unless it forwards */
	bool local;	     /* instead: to the relay port of the slot `next` */
	uint32_t next;
	struct flow *hop_prev, *hop_next;
	struct flow *grace_next;
	struct flow *live_prev, *live_next;
	uint8_t plane; /* as which it is in datapath.n_plane; PLANES: as none */
	struct {       /* what the realm's totals hold of it */
		uint64_t packets, bytes, lost;
	} summed;
	struct flow *group_prev, *group_next; /* adopted flows of one owner */
};

/* A router or phone on the link; shared by the next hops that go through it. */
struct neighbour {
	struct neighbour_key { /* compared as bytes */
		uint32_t ifindex;
		struct addr ip;
	} key;
	uint8_t mac[6];
	bool valid;	    /* `mac` is to be used */
	bool failed;	    /* asked for, and nobody answered */
	bool unsure;	    /* `mac` is what it was: the kernel does not know it any more */
	uint64_t unsure_ms; /* since when, by the loop's clock */
	struct nexthop *hops;
	UT_hash_handle hh;
};

/* A destination as seen from a relay address and its realm; shared by the flows that go there. */
struct nexthop {
	struct nexthop_key { /* compared as bytes */
		struct addr to;
		struct addr from;
		uint32_t realm; /* by whose interfaces it is to be reached */
	} key;
	uint8_t drop;	 /* 0, or enum rtpfwd_reason */
	bool unresolved; /* RTPFWD_F_UNRESOLVED */
	struct link *link;
	uint32_t ifindex;	     /* of `link`, or of a VLAN's interface on it */
	uint32_t mtu;		     /* the longest IP packet that the way takes; 0: any */
	struct neighbour *neighbour; /* NULL: no route, or a link without neighbours (loopback) */
	struct nexthop *peer_prev, *peer_next; /* in neighbour->hops */
	struct nexthop *stale_prev, *stale_next;
	bool stale; /* in datapath.stale_hops: its route is to be asked for again */
	struct flow *flows;
	UT_hash_handle hh;
};

/* What has changed of the routes. A table of a carrier has a million of them, and some change every
 * second: for those that lead elsewhere nobody is asked. */
#define ROUTE_NEWS 64
struct route_news {
	bool all; /* anything may have */
	size_t n;
	struct addr_prefix only[ROUTE_NEWS];
};

struct adopted_group {
	uint64_t owner;
	struct flow *flows;
	UT_hash_handle hh;
};

struct datapath {
	const struct conf *conf;
	struct loop *loop;
	struct datapath_events events;
	struct layout layout;
	char folder[PATH_MAX]; /* conf->bpffs */
	int lock;	       /* of that folder; -1: not ours */
	bool survives;
	bool reused;		/* the maps are a former controller's */
	bool made;		/* they are new: a start that fails takes them away again */
	struct rtpfwd_bpf *bpf; /* xdp.c's; the others use its descriptors: */
	struct {
		int xdp, beat, probe, steer, trace[TRACES]; /* programs */
		int tx, drops, links, events;		    /* maps */
		int control, slots, rests, relay, socks;    /* the same */
		int crypts;				    /* -1: none is needed */
		int uppers, again;
	} fd;
	struct rtpfwd_control *control; /* mapped */
	struct rtpfwd_slot *slots;	/* mapped */
	struct rtpfwd_rest *rests;	/* mapped; at the same index */
	struct rtpfwd_relay *relay;	/* mapped; what the userspace relay counts */
	struct rtpfwd_uppers *uppers;	/* mapped; what stands on our interfaces */
	bool uppers_stale;		/* an interface has come, changed or gone */
	struct kmod *kmod;		/* NULL: the programs in force do not call it */
	uint32_t kmod_folder;		/* what our contexts are known by there */
	uint64_t keys_refused;		/* by it */
	struct user user;		/* that relay, as a process */
	struct ciphers ciphers;		/* of seal.c */
	struct crypt_keys *crypts;	/* mapped; the keys that it uses. NULL: none */
	int traces[TRACES];		/* BPF links of the tracepoints; -1: none */

	struct { /* jiffies as a line through the last heartbeat */
		double hz;
		uint64_t jiffies;
		uint64_t ns;
	} clock;

	struct link links[RTPFWD_MAX_LINKS];
	size_t n_links;

	struct flow **flows;	/* by slot; NULL: none */
	size_t n_flows;		/* live ones */
	size_t n_strays;	/* of those, ports without an entry: media is direct */
	size_t n_plane[PLANES]; /* the others, by who forwards them */
	struct datapath_realm_report
		*totals;       /* by realm; each flow's part of them is flow->summed */
	struct flow *live;     /* every live flow */
	struct flow *sum_next; /* where the next slice of summing begins; NULL: at the start */
	struct timer sum;
	struct grace *grace;
	struct flow *graces; /* for the grace period after the running one */
	struct flow *graces_running;

	struct netlink *netlink;
	struct neighbour *neighbours;
	struct nexthop *hops;
	struct nexthop *stale_hops;
	struct timer refresh;	 /* works stale_hops off in slices */
	bool refreshing;	 /* it is set, to the next turn */
	struct route_news news;	 /* since its last turn */
	struct route_news again; /* what is asked once more, since `again_ms` */
	struct route_news later; /* and what came meanwhile: behind that */
	uint64_t again_ms;
	struct nexthop *next_look; /* whose turn is next in nexthop_look(); NULL: the first's */
	size_t kicked;		 /* neighbours that had their turn in nexthop_kick() */
	struct timer tick;    /* once a second */

	struct ring_buffer *ring; /* libbpf's, of what the data path tells */
	int ring_taken;		  /* events of this turn */
	struct watch ring_watch;

	struct adopted_group *adopted;
	uint64_t opened_jiffies;

	struct guard *guard;
};

/* slots.c: publication; action.c: what is published. */
/* Puts in force what flow->want and its next hop say. */
void slots_publish(struct datapath *dp, struct flow *flow);
/* Unleased; the flow is freed when no reader is left. */
void slots_withdraw(struct datapath *dp, struct flow *flow);
void slots_grace_over(void *datapath);
/* Waits until everything desired is in force; at the end only. */
void slots_settle(struct datapath *dp);
/* What flow->want and its next hop say, where `now` is in force (NULL: nothing): its source stays
 * admitted for a while. */
struct action action_desired(const struct datapath *dp, const struct flow *flow,
			     const struct action *now);
/* Equal but for who is late? */
bool action_same(const struct action *a, const struct action *b);
/* payloads.c: their numbers. */
void payloads_desire(struct action *out, const struct flow_payloads *payloads);
void payloads_read(struct flow_payloads *out, const struct action *a); /* without the late ones */
bool payloads_same(const struct action *a, const struct action *b);    /* the same */
/* Those of `now` that `next` does not name are late; `late`: so are still those of before `now`. */
void payloads_keep(struct action *next, const struct action *now, bool late);
void payloads_forget_late(struct action *a);
/* Carries on where the former controller stopped; no reader of its is left. */
void slots_adopt(struct datapath *dp, struct flow *flow);
/* The copy in force. False: unleased. */
bool slots_action(const struct datapath *dp, uint32_t slot, struct action *out);
bool slots_leased(const struct rtpfwd_slot *slot);

/* nexthop.c */
int nexthop_open(struct datapath *dp);
void nexthop_close(struct datapath *dp);
/* Finds or makes the one that flow->want needs, and leaves the former. */
void nexthop_join(struct datapath *dp, struct flow *flow);
void nexthop_leave(struct datapath *dp, struct flow *flow);
/* The neighbour is as it was, until the kernel says otherwise. */
void nexthop_assume(const struct datapath *dp, struct flow *flow, const struct rtpfwd_action *act);
void nexthop_kick(struct datapath *dp); /* once a second: asks again for who did not answer */
void nexthop_look(struct datapath *dp); /* the same: for some of all, in turn */
/* The kernel is asked for the way there, and its flows are told. -errno: it did not answer, and is
 * to be asked again. */
int nexthop_ask(struct datapath *dp, struct nexthop *hop);

/* news.c: which next hops are asked for again. */
void news_open(struct datapath *dp);
void news_close(struct datapath *dp);
void news_route(struct datapath *dp, const struct addr_prefix *only); /* NULL: of any */
void news_concern(struct datapath *dp, struct nexthop *hop);
void news_forget(struct datapath *dp, struct nexthop *hop);
void news_retry(struct datapath *dp); /* asks before long for whom there was no answer */

/* xdp.c: maps and programs. */
int xdp_open(struct datapath *dp, char *why, size_t why_size); /* attaches nothing */
struct rtpfwd_bpf *xdp_open_kmod(void);	       /* the object whose programs call rtpfwd.ko */
void xdp_close(struct datapath *dp);	       /* everything pinned stays */
int xdp_beat(struct datapath *dp, bool renew); /* sets the clock, renews the lease */

/* trace.c: what becomes of frames after the verdict. */
int trace_attach(struct datapath *dp, char *why, size_t why_size);
void trace_close(struct datapath *dp);
struct rtpfwd_link_stats trace_stats(const struct datapath *dp, const struct link *link);
/* Does the other end take redirected frames? */
bool trace_probe(struct datapath *dp, const struct link *link);

/* link.c: interfaces. */
int link_open_all(struct datapath *dp, char *why, size_t why_size); /* names to interfaces */
/* What netlink says. */
void link_changed(struct datapath *dp, const struct nl_link *now, bool gone);
void link_resync(struct datapath *dp); /* asks for every interface again */
struct link *link_by_name(const struct datapath *dp, const char *name);
struct link *link_by_ifindex(struct datapath *dp, uint32_t ifindex);

/* rung.c: the XDP program on them, and in which mode. */
/* `keep`: media flows, no mode is changed. */
int rung_attach_all(struct datapath *dp, bool keep, char *why, size_t why_size);
void rung_close_all(struct datapath *dp);
void rung_again(struct datapath *dp, struct link *link); /* it is there, as another interface */
void rung_leave(struct datapath *dp, struct link *link); /* it is gone */
void rung_news(struct datapath *dp, struct link *link);	 /* something of it has changed */
void rung_tick(struct datapath *dp);			 /* attaches again, falls, climbs */

/* uppers.c: what stands on those interfaces. */
void uppers_tick(struct datapath *dp); /* looks again where something has changed */

/* pins.c: the folder. What is pinned there is named by kind and name. */
#define PIN_MAP	  "rtpfwd_"
#define PIN_LINK  "link_"
#define PIN_TRACE "trace_"
#define PIN_STEER "steer_"
int pins_open(struct datapath *dp, char *why, size_t why_size);
int pins_path(char path[PATH_MAX], const char *folder, const char *kind, const char *name);
/* Keeps every other rtpfwd off the folder until `*out` is closed. -EBUSY: one is there. */
int pins_lock(int *out, const char *folder, char *why, size_t why_size);
bool pins_exist(const char *folder);
int pins_empty(const char *folder);   /* removes what is ours in it */
int pins_clear(const char *folder);   /* and the folder itself */
void pins_remove(const char *path);   /* detaches a link, too */
void pins_prune(struct datapath *dp); /* links of interfaces that are no realm's any more */

/* learn.c: sources that the data path has found. Who floods a port that learns must not hold the
 * loop: either plane has so many events heard before others get their turn. */
#define LEARN_PER_TURN 64
int learn_open(struct datapath *dp);
void learn_close(struct datapath *dp);
void learn_found(struct datapath *dp, uint32_t slot); /* told by either plane */

/* adopt.c: flows of a former controller. */
int adopt_find(struct datapath *dp);	 /* 0 or -ENOMEM; clears what the lease has ended */
void adopt_resolve(struct datapath *dp); /* next hops, when the links are known */
void adopt_each(struct datapath *dp, void (*adopted)(void *ctx, const struct addr *local),
		void *ctx);
/* Its call is known again, or it is removed. */
void adopt_take_over(struct datapath *dp, struct flow *flow);
void adopt_sweep(struct datapath *dp);
void adopt_free(struct datapath *dp);

/* guard.c: the nftables table around the relay ports. */
int guard_open(struct datapath *dp, char *why, size_t why_size);
void guard_close(struct datapath *dp); /* the table stays */
/* There or not, as `want` says; made anew where it was there. Faults but of GUARD_ON warn. */
int guard_set(struct datapath *dp, enum conf_guard want, char *why, size_t why_size);
int guard_remove(const char *folder);		    /* that of the configuration which pins there */
void guard_tick(struct datapath *dp);		    /* puts it back when somebody removed it */
uint64_t guard_unserved(const struct datapath *dp); /* packets that it dropped */

/* keys.c: where the keys of encrypted flows are. */
/* Before `next` becomes what is wanted, and its action is published: both directions have their
 * keys, or -errno. */
int keys_apply(struct datapath *dp, struct flow *flow, const struct flow_want *next);
void keys_desire(const struct datapath *dp, struct action *out, const struct flow *flow);
bool keys_used(const struct flow *flow);
bool keys_are_contexts(const struct datapath *dp, const struct flow *flow,
		       enum rtpfwd_direction direction);
/* Some direction's are not in rtpfwd.ko. */
bool keys_need_relay(const struct datapath *dp, const struct flow *flow);
/* Why the relay has an encrypted flow. */
const char *keys_reason(const struct datapath *dp, const struct flow *flow);

/* contexts.c: what encrypted flows have in rtpfwd.ko. */
void contexts_open(struct datapath *dp); /* where programs can call it */
void contexts_close(struct datapath *dp);
uint32_t *contexts_of(struct flow *flow, enum rtpfwd_direction direction);
/* `next`, in the place of `now`; or -errno. */
int contexts_set(struct datapath *dp, struct flow *flow, enum rtpfwd_direction direction,
		 const struct flow_crypt *now, const struct flow_crypt *next);
void contexts_prune(struct datapath *dp, struct flow *flow); /* nobody reads former copies */
void contexts_end(struct datapath *dp, struct flow *flow);
/* What an adopted flow uses; then, of all: what none uses is deleted. */
void contexts_read(struct flow *flow, const struct action *action);
void contexts_adopt(struct datapath *dp);
void contexts_detach(const char *folder); /* deletes all of it */

/* seal.c: what is made here. Where no peer encrypts nothing is to be. 0 or -EIO. */
int seals_open(struct datapath *dp, const struct conf *conf);
void seals_close(struct datapath *dp);

/* crypts.c: keys of flows that the userspace relay encrypts and decrypts */
bool crypts_wanted(const struct conf *conf);
/* 0 or -errno; where no peer of `conf` encrypts there are none. Of those that are open: nothing. */
int crypts_open(struct datapath *dp, const struct conf *conf);
/* And the relay that runs without them is given them. */
int crypts_reload(struct datapath *dp, const struct conf *next);
void crypts_close(struct datapath *dp);
bool crypts_have(const struct datapath *dp, uint32_t slot, enum rtpfwd_direction direction);
void crypts_set(struct datapath *dp, uint32_t slot, enum rtpfwd_direction direction,
		const struct flow_crypt *next);
void crypts_end(struct datapath *dp, const struct flow *flow); /* they are gone */
/* Those of an adopted flow; then, of all: what none uses is wiped. */
void crypts_read(const struct datapath *dp, struct flow *flow);
void crypts_adopt(struct datapath *dp);

/* datapath.c */
struct flow *datapath_new_flow(struct datapath *dp, uint32_t slot, unsigned int realm);
void datapath_end_flow(struct datapath *dp, struct flow *flow);
struct flow *datapath_flow_at(const struct datapath *dp, const struct addr *local); /* or NULL */
uint64_t datapath_jiffies(const struct datapath *dp);

/* totals.c: sums over all flows, made in slices. */
void totals_start(struct datapath *dp);
void totals_stop(struct datapath *dp);
void totals_add(struct datapath *dp, struct flow *flow);     /* a new flow, its figures at 0 */
void totals_replane(struct datapath *dp, struct flow *flow); /* it is what it is now */
void totals_remove(struct datapath *dp,
		   struct flow *flow); /* its last figures stay in the totals */

/* report.c */
void report_flow(const struct datapath *dp, const struct flow *flow, struct flow_counters *out);
enum datapath_plane report_plane(const struct datapath *dp, const struct flow *flow);

#endif
