// SPDX-License-Identifier: GPL-2.0-only
/*
 * RFC 3711 3.3. What was not authenticated changes nothing: no window, no rollover counter, no
 * sender that is remembered.
 */
#include "srtp.h"

#include "../bpf/rtpfwd_rtp.h"
#include "compat.h"

/* Which of the counters says that. */
static enum rtpfwd_counter refusal(int err)
{
	switch (err) {
	case -EBADMSG:
		return RTPFWD_C_auth_failed;
	case -EEXIST:
		return RTPFWD_C_replayed;
	case -ESTALE:
		return RTPFWD_C_stale;
	case -EPROTO:
		return RTPFWD_C_malformed;
	case -ENOKEY:
		return RTPFWD_C_unencrypted;
	case -ENOSPC:
		return RTPFWD_C_no_room;
	case -EKEYEXPIRED:
		return RTPFWD_C_exhausted;
	case -EMFILE:
		return RTPFWD_C_no_stream;
	default:
		return RTPFWD_C_no_memory;
	}
}

static int parse(struct srtp_packet *p, u8 *data, u32 length)
{
	const u8 *end = data + length;

	if (length > RTPFWD_MAX_PACKET)
		return -EPROTO;
	p->data = data;
	p->length = length;
	p->rtcp = rtpfwd_is_rtcp(data, end, length);
	if (p->rtcp) {
		p->head = SRTCP_HEAD;
		p->ssrc = get_unaligned_be32(data + 4);
		return 0;
	}
	p->head = rtpfwd_rtp_header(data, end, length);
	if (!p->head)
		return -EPROTO;
	p->ssrc = get_unaligned_be32(data + 8);
	return 0;
}

static struct index_window *window_of(struct stream *s, const struct srtp_packet *p)
{
	return p->rtcp ? &s->rtcp : &s->rtp;
}

static u16 sequence_of(const struct srtp_packet *p)
{
	return get_unaligned_be16(p->data + 2);
}

/* The index to send `p` under. */
static int choose(struct srtp_packet *p, const struct stream *s)
{
	s64 guess;

	if (p->rtcp) {
		p->index = s->rtcp.next;
		return p->index < INDEX_RTCP_END ? 0 : -EKEYEXPIRED;
	}
	guess = index_guess(&s->rtp, sequence_of(p));
	if (guess < 0)
		return -ESTALE;
	p->index = guess;
	if (p->index >= INDEX_RTP_END)
		return -EKEYEXPIRED;
	/* An index is never used again: it would be the same key stream. */
	return index_check(&s->rtp, p->index);
}

static int protect(struct context *c, u8 *data, u32 length, u32 room)
{
	struct srtp_packet p;
	struct cipher *cipher;
	struct stream *s;
	int err;

	err = parse(&p, data, length);
	if (err)
		return err;
	cipher = p.rtcp ? &c->keys->rtcp : &c->keys->rtp;
	if (cipher_overhead(cipher, p.rtcp) > room)
		return -ENOSPC;
	s = keys_find(c->keys, p.ssrc);
	if (!s)
		err = keys_add_stream(&s, c->keys, p.ssrc);
	err = err ?: choose(&p, s);
	if (err)
		return err;
	index_accept(window_of(s, &p), p.index);
	err = cipher->suite->ops->seal(cipher, &p);
	if (err)
		return err;
	c->counters[p.rtcp ? RTPFWD_C_protected_rtcp : RTPFWD_C_protected]++;
	return length + cipher_overhead(cipher, p.rtcp);
}

int srtp_protect(struct context *c, u8 *data, u32 length, u32 room)
{
	int ret;

	spin_lock_bh(&c->lock);
	ret = protect(c, data, length, room);
	if (ret < 0)
		c->counters[refusal(ret)]++;
	spin_unlock_bh(&c->lock);
	return ret;
}

/* `p` as it lies under `k`: without what that suite has behind it. */
static int measure(struct srtp_packet *p, const struct keys *k, u32 length)
{
	const struct cipher *cipher = p->rtcp ? &k->rtcp : &k->rtp;
	u32 overhead = cipher_overhead(cipher, p->rtcp);
	u32 word;

	if (length < p->head + overhead)
		return -EPROTO;
	p->length = length - overhead;
	if (!p->rtcp)
		return 0;
	word = get_unaligned_be32(cipher_word(cipher, p));
	p->index = word & ~SRTCP_E;
	return word & SRTCP_E ? 0 : -ENOKEY;
}

/* The index that the sender must have meant, as far as the one known of it tells. */
static void guess(struct srtp_packet *p, const struct stream *s)
{
	s64 index;

	if (p->rtcp)
		return;
	index = s ? index_guess(&s->rtp, sequence_of(p)) : sequence_of(p);
	/* From behind the first packet on it may have been silent for long: the tag will tell. */
	p->index = index < 0 ? sequence_of(p) : index;
}

static int open_as(struct keys *k, struct stream *s, struct srtp_packet *p)
{
	struct cipher *cipher = p->rtcp ? &k->rtcp : &k->rtp;
	int err = 0;

	if (p->index >= INDEX_RTP_END)
		return -EKEYEXPIRED;
	if (s)
		err = index_check(window_of(s, p), p->index);
	err = err ?: cipher->suite->ops->open(cipher, p);
	if (err)
		return err;
	if (!s)
		err = keys_add_stream(&s, k, p->ssrc);
	if (!err)
		index_accept(window_of(s, p), p->index);
	return err;
}

/*
 * Of a sender that is new under these keys, but was heard under the former ones, it is open
 * whether the rollover counter went on (RFC 3711 3.3.1) or began anew (as with a new context of
 * RFC 4568 7.1.4): endpoints do either, and the tag tells.
 */
static int open_under(struct keys *k, struct keys *former, struct srtp_packet *p, u32 length)
{
	struct stream *s, *known;
	int err;

	err = measure(p, k, length);
	if (err)
		return err;
	s = keys_find(k, p->ssrc);
	known = s || !former ? s : keys_find(former, p->ssrc);
	guess(p, known);
	err = open_as(k, s, p);
	if (err != -EBADMSG || s || p->rtcp || p->index == sequence_of(p))
		return err;
	p->index = sequence_of(p);
	return open_as(k, s, p);
}

/* From the first packet under the new keys on, the days of the former ones are counted. */
static void count_down(struct context *c)
{
	if (c->former && !c->former_until)
		c->former_until = (jiffies + msecs_to_jiffies(c->overlap)) | 1;
}

static void expire(struct context *c)
{
	if (!c->former || !c->former_until || !time_after(jiffies, c->former_until))
		return;
	keys_free(c->former);
	c->former = NULL;
}

static int unprotect(struct context *c, u8 *data, u32 length)
{
	struct srtp_packet p;
	int err;

	err = parse(&p, data, length);
	if (err)
		return err;
	expire(c);
	err = open_under(c->keys, c->former, &p, length);
	if (!err) {
		count_down(c);
	} else {
		if (!c->former || open_under(c->former, NULL, &p, length))
			return err;
		c->counters[RTPFWD_C_former]++;
	}
	c->counters[p.rtcp ? RTPFWD_C_unprotected_rtcp : RTPFWD_C_unprotected]++;
	return p.length;
}

int srtp_unprotect(struct context *c, u8 *data, u32 length)
{
	int ret;

	spin_lock_bh(&c->lock);
	ret = unprotect(c, data, length);
	if (ret < 0)
		c->counters[refusal(ret)]++;
	spin_unlock_bh(&c->lock);
	return ret;
}
