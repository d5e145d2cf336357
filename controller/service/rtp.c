// SPDX-License-Identifier: GPL-2.0-or-later
#include "service/rtp.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { VERSION = 0x80, MARKER = 0x80 };
enum { SR = 200, SDES = 202, BYE = 203, SDES_CNAME = 1 };
/* Seconds from 1900, where NTP begins, to 1970. */
#define NTP_EPOCH 2208988800u

static uint8_t *put16(uint8_t *out, uint16_t value)
{
	value = htobe16(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

static uint8_t *put32(uint8_t *out, uint32_t value)
{
	value = htobe32(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

int rtp_begin(struct rtp_source *source)
{
	*source = (struct rtp_source){ 0 };
	if (getrandom(&source->ssrc, sizeof(source->ssrc), 0) < 0 ||
	    getrandom(&source->timestamp, sizeof(source->timestamp), 0) < 0 ||
	    getrandom(&source->seq, sizeof(source->seq), 0) < 0)
		return -errno;
	/* Who misses the first packets takes what rolled over meanwhile for the beginning (RFC 3711
	 * 3.3.1): not soon. */
	source->seq &= 0x7fff;
	return 0;
}

void rtp_header(uint8_t out[RTP_HEADER], struct rtp_source *source, uint8_t payload_type,
		size_t len)
{
	out[0] = VERSION;
	out[1] = (uint8_t)(payload_type | (source->talking ? 0 : MARKER));
	put32(put32(put16(out + 2, source->seq), source->timestamp), source->ssrc);
	source->talking = true;
	source->seq++;
	source->packets++;
	source->bytes += (uint32_t)len;
}

/* The header of an RTCP packet of `words` words after the first. */
static uint8_t *put_head(uint8_t *out, unsigned int count, uint8_t type, uint16_t words)
{
	out[0] = (uint8_t)(VERSION | count);
	out[1] = type;
	return put16(out + 2, words);
}

static uint8_t *put_sender_report(uint8_t *out, const struct rtp_source *source,
				  const struct timespec *now)
{
	out = put_head(out, 0, SR, 6);
	out = put32(out, source->ssrc);
	out = put32(out, (uint32_t)((uint64_t)now->tv_sec + NTP_EPOCH));
	out = put32(out, (uint32_t)(((uint64_t)now->tv_nsec << 32) / 1000000000u));
	out = put32(out, source->timestamp);
	out = put32(out, source->packets);
	return put32(out, source->bytes);
}

/* A name for a source that has no second stream to be matched with: any will do. The item's list
 * ends with a null byte, here that and two more fill the last word. */
static uint8_t *put_name(uint8_t *out, const struct rtp_source *source)
{
	static const char name[] = "rtpfwd";
	uint8_t *item = put32(put_head(out, 1, SDES, 4), source->ssrc);

	memset(item, 0, 12);
	item[0] = SDES_CNAME;
	item[1] = sizeof(name) - 1;
	memcpy(item + 2, name, sizeof(name) - 1);
	return item + 12;
}

size_t rtp_report(uint8_t out[RTCP_MAX], const struct rtp_source *source,
		  const struct timespec *now, bool bye)
{
	uint8_t *p = put_name(put_sender_report(out, source, now), source);

	if (bye)
		p = put32(put_head(p, 1, BYE, 1), source->ssrc);
	return (size_t)(p - out);
}
