/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packet index of SRTP and SRTCP, and which ones were seen. Numbers alone: no kernel call, so
 * that unit tests run it as it is.
 */
#ifndef RTPFWD_INDEX_H
#define RTPFWD_INDEX_H

#include <linux/errno.h>
#include <linux/types.h>

#define INDEX_WORDS    4			/* a power of two */
#define INDEX_WINDOW   ((INDEX_WORDS - 1) * 64) /* RFC 3711 3.3.2: at least 64 */
#define INDEX_RTP_END  (1ULL << 48)
#define INDEX_RTCP_END (1ULL << 31)

/* A ring of bits by index, as in RFC 6479: never shifted, words are cleared ahead of the newest. */
struct index_window {
	__u64 next; /* newest index plus one; 0: none so far */
	__u64 seen[INDEX_WORDS];
};

/* Index of an RTP packet (RFC 3711 3.3.1, appendix A). Below 0: of before the first packet. */
static inline __s64 index_guess(const struct index_window *w, __u16 seq)
{
	__u64 newest = w->next - 1;
	__s64 rollover = newest >> 16;
	__u16 last = newest & 0xffff;

	if (!w->next)
		return seq;
	if (last < 32768 && seq - last > 32768)
		rollover--;
	else if (last >= 32768 && last - 32768 > seq)
		rollover++;
	return rollover * 65536 + seq;
}

static inline int index_check(const struct index_window *w, __u64 index)
{
	if (index >= w->next)
		return 0;
	if (w->next - index > INDEX_WINDOW)
		return -ESTALE;
	return w->seen[index / 64 % INDEX_WORDS] >> index % 64 & 1 ? -EEXIST : 0;
}

/* An index that passed index_check(). */
static inline void index_accept(struct index_window *w, __u64 index)
{
	__u64 word = w->next ? (w->next - 1) / 64 : index / 64;
	int clear = INDEX_WORDS;

	for (; word < index / 64 && clear; clear--)
		w->seen[++word % INDEX_WORDS] = 0;
	w->seen[index / 64 % INDEX_WORDS] |= 1ULL << index % 64;
	if (index >= w->next)
		w->next = index + 1;
}

/* As if everything up to `newest` had been seen, and nothing beyond: that may come in any order. */
static inline void index_resume(struct index_window *w, __u64 newest)
{
	w->next = newest + 1;
	for (int i = 0; i < INDEX_WORDS; i++)
		w->seen[i] = ~0ULL;
	w->seen[newest / 64 % INDEX_WORDS] >>= 63 - newest % 64;
}

#endif
