// SPDX-License-Identifier: GPL-2.0-or-later
#include "media.h"

#include <arpa/inet.h>
#include <errno.h>
#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "media_srtp.h"

#define ROOM (MEDIA_RTP + SRTP_MAX_TRAILER_LEN)

static srtp_t session(const uint8_t *key, srtp_ssrc_type_t type)
{
	srtp_policy_t policy = { .ssrc.type = type, .key = (uint8_t *)key, .window_size = 128 };
	srtp_t s;

	srtp_crypto_policy_set_rtp_default(&policy.rtp);
	srtp_crypto_policy_set_rtcp_default(&policy.rtcp);
	return srtp_create(&s, &policy) ? NULL : s;
}

static uint16_t sum_of(const uint8_t *bytes, size_t size)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i + 1 < size; i += 2) {
		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)(sum + (sum >> 16));
}

static void write_plain(uint8_t rtp[MEDIA_RTP], uint32_t turn)
{
	const uint32_t words[] = { htonl(0x80000000 | turn), htonl(turn * 160), htonl(MEDIA_SSRC) };

	memcpy(rtp, words, sizeof(words));
	for (size_t i = sizeof(words); i < MEDIA_RTP; i++)
		rtp[i] = (uint8_t)(i * 37 + turn);
}

/* All of them, under the one key. */
static int make_packets(struct media_packet *packets, const uint8_t key[MEDIA_KEY])
{
	uint8_t buffer[ROOM];
	int length, err = 0;
	srtp_t sender;

	if (srtp_init())
		return -EIO;
	sender = session(key, ssrc_any_outbound);
	if (!sender)
		return -EIO;
	for (uint32_t turn = 0; turn < MEDIA_TURNS && !err; turn++) {
		struct media_packet *p = &packets[turn];

		write_plain(p->plain, turn);
		memcpy(buffer, p->plain, MEDIA_RTP);
		length = MEDIA_RTP;
		if (srtp_protect(sender, buffer, &length) || length != MEDIA_SRTP)
			err = -EIO;
		memcpy(p->secret, buffer, MEDIA_SRTP);
		p->sums[0] = sum_of(p->plain, MEDIA_RTP);
		p->sums[1] = sum_of(p->secret, MEDIA_SRTP);
	}
	srtp_dealloc(sender);
	return err;
}

static bool decrypt(uint8_t bytes[MEDIA_SRTP], const uint8_t *key)
{
	srtp_t receiver = session(key, ssrc_any_inbound);
	int length = MEDIA_SRTP;
	bool good;

	if (!receiver)
		return false;
	good = !srtp_unprotect(receiver, bytes, &length) && length == MEDIA_RTP;
	srtp_dealloc(receiver);
	return good;
}

/* What arrived is the packet of its turn; `key`: it is encrypted. */
static bool is_right(const struct media_sample *sample, const uint8_t *key,
		     const struct media_packet *packets)
{
	uint8_t bytes[MEDIA_SRTP];
	uint16_t turn;

	memcpy(bytes, sample->bytes, sizeof(bytes));
	if (key && !decrypt(bytes, key))
		return false;
	memcpy(&turn, bytes + 2, sizeof(turn));
	return ntohs(turn) < MEDIA_TURNS && !memcmp(bytes, packets[ntohs(turn)].plain, MEDIA_RTP);
}

static int read_key(uint8_t key[MEDIA_KEY], const char *line)
{
	const char *at = strrchr(line, ' ');

	if (!at || strlen(at + 1) != 2 * MEDIA_KEY + 1)
		return -EINVAL;
	for (size_t i = 0; i < MEDIA_KEY; i++)
		if (sscanf(at + 1 + 2 * i, "%2hhx", &key[i]) != 1)
			return -EINVAL;
	return 0;
}

int media_srtp_add(struct media_srtp *s, uint32_t n, const char *line)
{
	struct media_flow *f = &s->flows[n];
	uint64_t *numbers = s->numbers + f->side * 2UL * 65536;
	int err = read_key(s->keys[n], line);

	if (err)
		return err;
	f->secret = f->side == MEDIA_CALLER;
	numbers[ntohs(f->relay_port)] = numbers[65536 + ntohs(f->out_port)] = n;
	if (!f->secret)
		return 0;
	if (s->sent)
		return memcmp(s->sent, s->keys[n], MEDIA_KEY) ? -EINVAL : 0;
	s->sent = s->keys[n];
	return make_packets(s->packets, s->sent);
}

uint32_t media_srtp_look(const struct media_srtp *s, const struct media_sink *sinks,
			 uint32_t *wrong)
{
	uint32_t n = 0;

	for (uint32_t side = 0; side < MEDIA_SIDES; side++) {
		uint64_t kept = (sinks[side].received + MEDIA_KEEP - 1) / MEDIA_KEEP;

		for (uint32_t i = 0; i < kept && i < MEDIA_KEPT; i++, n++) {
			const struct media_sample *sample = &s->samples[side * MEDIA_KEPT + i];
			const uint8_t *key = s->keys[sample->flow];

			if (s->flows[sample->flow].secret)
				key = NULL; /* decrypted */
			*wrong += !is_right(sample, key, s->packets);
		}
	}
	return n;
}
