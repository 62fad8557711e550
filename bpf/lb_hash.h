/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The hash of a flow: the same on every balancer of a cluster, and keyed, so that nobody outside can choose flows that
 * meet in one slot or bucket. Multiply and xor-shift over 64-bit words, the constants from MurmurHash3's finaliser
 * (Appleby, public domain). It is no cryptographic function; what a collision costs is bounded by the flow table, which
 * compares whole keys. The upper half chooses the slot, the lower half the bucket.
 */
#ifndef HF_BPF_LB_HASH_H
#define HF_BPF_LB_HASH_H

#include "bpf/lb_tuple.h"

LB_INLINE __u64 lb_hash_word(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdULL;
	return hash ^ hash >> 32;
}

LB_INLINE __u64 lb_hash_end(__u64 hash, __u64 secret)
{
	hash = (hash ^ secret) * 0xc4ceb9fe1a85ec53ULL;
	hash ^= hash >> 29;
	hash *= 0xff51afd7ed558ccdULL;
	return hash ^ hash >> 32;
}

/* Addresses two words at a time, as they lie in the packet. */
LB_INLINE __u64 lb_hash_pair(__u64 hash, __be32 high, __be32 low)
{
	return lb_hash_word(hash, (__u64)high << 32 | low);
}

LB_INLINE __u64 lb_hash_flow(const struct lb_config *cfg, const struct lb_flow *f)
{
	__u64 hash = cfg->secret[0];

	if (f->family == LB_IP4) {
		hash = lb_hash_pair(hash, f->src.word[0], f->dst.word[0]);
	} else {
		for (int i = 0; i < 4; i++)
			hash = lb_hash_pair(hash, f->src.word[i], f->dst.word[i]);
	}
	return lb_hash_end(lb_hash_word(hash, (__u64)f->sport << 32 | (__u64)f->dport << 16 | f->proto), cfg->secret[1]);
}

/* By the source alone: all flows of one client to one backend. */
LB_INLINE __u64 lb_hash_source(const struct lb_config *cfg, const struct lb_flow *f)
{
	__u64 hash = lb_hash_pair(cfg->secret[0], f->src.word[0], f->src.word[1]);

	return lb_hash_end(lb_hash_pair(hash, f->src.word[2], f->src.word[3]), cfg->secret[1]);
}

/* Of an address for some other purpose than to choose a slot. */
LB_INLINE __u64 lb_hash_address(const struct lb_config *cfg, const struct lb_address *a, __u32 purpose)
{
	__u64 hash = lb_hash_pair(lb_hash_word(cfg->secret[0], purpose), a->word[0], a->word[1]);

	return lb_hash_end(lb_hash_pair(hash, a->word[2], a->word[3]), cfg->secret[1]);
}

/* Where the hash falls among count slots, without a division. */
LB_INLINE __u32 lb_hash_slot(__u64 hash, __u32 count)
{
	return (__u32)((hash >> 32) * count >> 32);
}

/* The other slot of two choices, by the half of the hash that chose no slot yet. */
LB_INLINE __u32 lb_hash_second(__u32 lower, __u32 count)
{
	return lb_hash_slot((__u64)lower << 32, count);
}

#endif
