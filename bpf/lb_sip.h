/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012) of whole words, for what outsiders get to see: from lb_hash.h's own function they could work
 * out its key.
 */
#ifndef HF_BPF_LB_SIP_H
#define HF_BPF_LB_SIP_H

#include "bpf/lb_abi.h"

struct lb_sip {
	__u64 v[4];
};

LB_INLINE __u64 lb_sip_rotate(__u64 word, __u32 by)
{
	return word << by | word >> (64 - by);
}

LB_INLINE void lb_sip_round(struct lb_sip *s)
{
	s->v[0] += s->v[1];
	s->v[2] += s->v[3];
	s->v[1] = lb_sip_rotate(s->v[1], 13) ^ s->v[0];
	s->v[3] = lb_sip_rotate(s->v[3], 16) ^ s->v[2];
	s->v[0] = lb_sip_rotate(s->v[0], 32);
	s->v[2] += s->v[1];
	s->v[0] += s->v[3];
	s->v[1] = lb_sip_rotate(s->v[1], 17) ^ s->v[2];
	s->v[3] = lb_sip_rotate(s->v[3], 21) ^ s->v[0];
	s->v[2] = lb_sip_rotate(s->v[2], 32);
}

LB_INLINE void lb_sip_word(struct lb_sip *s, __u64 word)
{
	s->v[3] ^= word;
	lb_sip_round(s);
	lb_sip_round(s);
	s->v[0] ^= word;
}

/* count words, which are read as little-endian bytes. */
LB_INLINE __u64 lb_sip_hash(const __u64 key[2], const __u64 *words, __u32 count)
{
	struct lb_sip s = {{key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL, key[0] ^ 0x6c7967656e657261ULL,
			    key[1] ^ 0x7465646279746573ULL}};

	for (__u32 i = 0; i < count; i++)
		lb_sip_word(&s, words[i]);
	lb_sip_word(&s, (__u64)count << 59); /* the size in bytes, in the last byte */
	s.v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		lb_sip_round(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

#endif
