// SPDX-License-Identifier: GPL-2.0-or-later
/* What drivers say of the realms' interfaces (ethtool). */
#include "doctor/exam.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHECK	  64
#define FEW_SLOTS 1024 /* of a receive ring: 20 ms of 50,000 packets a second */

static int ask(const char *interface, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", interface);
	err = ioctl(fd, request, ifr) ? -errno : 0;
	close(fd);
	return err;
}

static int ask_driver(const char *interface, void *data)
{
	struct ifreq ifr = { 0 };

	ifr.ifr_data = data;
	return ask(interface, SIOCETHTOOL, &ifr);
}

static const char *label(char text[CHECK], const char *check, const char *interface)
{
	snprintf(text, CHECK, "%.*s %s", CHECK - IF_NAMESIZE - 2, check, interface);
	return text;
}

static enum conf_xdp wanted(const struct conf *conf, const char *interface)
{
	enum conf_xdp want = XDP_AUTO;

	for (size_t r = 0; r < conf->n_realms; r++)
		for (size_t i = 0; i < conf->realms[r].n_interfaces; i++)
			if (strcmp(conf->realms[r].interfaces[i], interface) == 0 &&
			    conf->realms[r].xdp != XDP_AUTO)
				want = conf->realms[r].xdp;
	return want;
}

/* What `auto` is to be, and what the others insist on. */
static bool is_high(const char *mode, enum conf_xdp want)
{
	static const char *const modes[] = { [XDP_AUTO] = "native",
					     [XDP_NATIVE] = "native",
					     [XDP_GENERIC] = "generic",
					     [XDP_OFF] = "off" };

	return strcmp(mode, modes[want]) == 0;
}

static void mode(const struct exam *e, const char *interface)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	const char *now = "off", *reason = "";
	char text[CHECK];

	for (size_t i = 0; i < e->node->n_interfaces; i++) {
		const struct datapath_interface_report *report = &e->node->interfaces[i];

		if (strcmp(report->name, interface) == 0) {
			now = report->mode;
			reason = report->reason ? report->reason : "";
		}
	}
	ask_driver(interface, &driver);
	exam_say(e, label(text, "xdp", interface), is_high(now, wanted(e->node->conf, interface)),
		 "take away what stands against it: within two minutes it is tried again. On veth: "
		 "an XDP program, or `ethtool -K DEV gro on`, at the other end before the link "
		 "goes up",
		 "%s, driver %s%s%s", now, *driver.driver ? driver.driver : "unknown",
		 *reason ? ": " : "", reason);
}

static void queues(const struct exam *e, const char *interface)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int now, most;
	char text[CHECK];

	if (ask_driver(interface, &c))
		return;
	now = c.rx_count + c.combined_count;
	most = c.max_rx + c.max_combined;
	exam_say(e, label(text, "queues", interface), now >= most || now >= (unsigned long)cpus,
		 "ethtool -L DEV: one queue is one CPU's", "%u of at most %u to receive, %ld CPUs",
		 now, most, cpus);
}

static void spread(const struct exam *e, const char *interface, unsigned int flow_type,
		   const char *name)
{
	const __u64 ports = RXH_L4_B_0_1 | RXH_L4_B_2_3;
	struct ethtool_rxnfc c = { .cmd = ETHTOOL_GRXFH, .flow_type = flow_type };
	char text[CHECK];

	if (ask_driver(interface, &c) || c.data & RXH_DISCARD)
		return;
	exam_say(e, label(text, name, interface), (c.data & ports) == ports,
		 "ethtool -N DEV rx-flow-hash udp4|udp6 sdfn: else all calls of one trunk are on "
		 "one queue",
		 "%s", (c.data & ports) == ports ? "by address and port" : "by address alone");
}

static void rings(const struct exam *e, const char *interface)
{
	struct ethtool_ringparam r = { .cmd = ETHTOOL_GRINGPARAM };
	unsigned int enough;
	char text[CHECK];

	if (ask_driver(interface, &r) || !r.rx_max_pending)
		return;
	enough = r.rx_max_pending < FEW_SLOTS ? r.rx_max_pending : FEW_SLOTS;
	exam_say(e, label(text, "rings", interface), r.rx_pending >= enough,
		 "ethtool -G DEV rx: a short stall of the CPU loses packets", "%u of at most %u",
		 r.rx_pending, r.rx_max_pending);
}

/* Names of the features, `*n` of them, ETH_GSTRING_LEN bytes each. NULL: not told. */
static char *feature_names(const char *interface, unsigned int *n)
{
	union {
		struct ethtool_sset_info info;
		__u32 words[sizeof(struct ethtool_sset_info) / sizeof(__u32) + 1]; /* one count */
	} sets = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES } };
	struct ethtool_gstrings *strings;

	if (ask_driver(interface, &sets) || !sets.info.sset_mask)
		return NULL;
	*n = sets.info.data[0];
	strings = calloc(1, sizeof(*strings) + (size_t)*n * ETH_GSTRING_LEN);
	if (!strings)
		return NULL;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = *n;
	if (ask_driver(interface, strings)) {
		free(strings);
		return NULL;
	}
	memmove(strings, strings->data, (size_t)*n * ETH_GSTRING_LEN);
	return (char *)strings;
}

static struct ethtool_gfeatures *feature_bits(const char *interface, unsigned int n)
{
	unsigned int blocks = (n + 31) / 32;
	struct ethtool_gfeatures *f =
		calloc(1, sizeof(*f) + blocks * sizeof(struct ethtool_get_features_block));

	if (!f)
		return NULL;
	f->cmd = ETHTOOL_GFEATURES;
	f->size = blocks;
	if (!ask_driver(interface, f))
		return f;
	free(f);
	return NULL;
}

static bool is_harmful(const char *feature)
{
	return strcmp(feature, "rx-lro") == 0 || strcmp(feature, "rx-gro-hw") == 0;
}

/* The card must not join datagrams before a program sees them. */
static void offloads(const struct exam *e, const char *interface)
{
	unsigned int n = 0;
	char *names = feature_names(interface, &n);
	struct ethtool_gfeatures *bits = names ? feature_bits(interface, n) : NULL;
	const char *bad = NULL;
	char text[CHECK];

	for (unsigned int i = 0; bits && i < n; i++)
		if (bits->features[i / 32].active & 1u << i % 32 &&
		    is_harmful(names + (size_t)i * ETH_GSTRING_LEN))
			bad = names + (size_t)i * ETH_GSTRING_LEN;
	if (bits)
		exam_say(e, label(text, "offloads", interface), !bad,
			 "ethtool -K DEV lro off rx-gro-hw off", "%s%s", bad ? bad : "none",
			 bad ? " is on" : " that joins packets");
	free(bits);
	free(names);
}

static int mtu_of(const char *interface)
{
	struct ifreq ifr = { 0 };

	return ask(interface, SIOCGIFMTU, &ifr) ? 0 : ifr.ifr_mtu;
}

/* What came in by the largest must fit into the smallest. */
static void mtu(const struct exam *e)
{
	const char *small = NULL, *large = NULL;
	int least = 0, most = 0;

	for (size_t i = 0; i < e->node->n_interfaces; i++) {
		const char *name = e->node->interfaces[i].name;
		int now = mtu_of(name);

		if (now && (!small || now < least)) {
			small = name;
			least = now;
		}
		if (now > most) {
			large = name;
			most = now;
		}
	}
	if (small)
		exam_say(e, "mtu", least == most,
			 "make them alike: what is too long for where it leaves goes in fragments, "
			 "by the userspace relay (up_mtu)",
			 "%d on %s, %d on %s", least, small, most, large);
}

static void card(const struct exam *e, const char *interface)
{
	mode(e, interface);
	queues(e, interface);
	spread(e, interface, UDP_V4_FLOW, "rss_udp4");
	spread(e, interface, UDP_V6_FLOW, "rss_udp6");
	rings(e, interface);
	offloads(e, interface);
}

void exam_cards(const struct exam *e)
{
	exam_interfaces(e, card);
	mtu(e);
}
