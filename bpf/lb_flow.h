/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The flow table ([flow table]): which backend a flow through a moved slot was given. Buckets of four entries, one
 * bucket a look-up, whole keys compared. Cores share it without a lock:
 *
 *   FREE, expired or EMBRYONIC --compare-and-swap--> BUSY --key written, then one store--> EMBRYONIC or DATAGRAM
 *   EMBRYONIC --a later packet, compare-and-swap--> CONFIRMED --FIN or RST--> ENDED --SYN--> CONFIRMED
 *   ENDED, and silent for TIME_WAIT --SYN, compare-and-swap--> BUSY, as if nothing were recorded
 *
 * A reader loads the state, compares the key and loads the state again; `turn` differs if the entry was taken in
 * between. Whoever finds no room or loses an exchange does without: its SYN too goes to previous, which is where the
 * flow's other packets go as long as nothing is recorded.
 *
 * A confirmed flow is never evicted, only expires; nor is one that has ended, for anybody can forge a FIN or RST. Embryonic entries and
 * datagrams make room for each other, oldest first. So a flood of SYNs or of spoofed datagrams costs no established connection its backend.
 *
 * A SYN keeps the backend of the entry that it hits: it may be forged, or sent again. But proxies and NAT gateways take their ports again
 * within minutes, and if each flow stayed where the one before it was, a drained backend would have new ones for ever. So an entry that has
 * ended, and then had no packet of any kind for LB_FLOW_WAIT_TICKS, gives way to a SYN of its own. Who can forge both the end
 * and, after such a silence, the SYN can move an idle flow of a moved slot.
 */
#ifndef HF_BPF_LB_FLOW_H
#define HF_BPF_LB_FLOW_H

#include "bpf/lb_abi.h"

union lb_flow_word {
	__u64 whole;
	struct lb_flow_state s;
};

LB_INLINE __u64 lb_flow_load(const struct lb_flow_entry *e)
{
	return *(const volatile __u64 *)&e->state;
}

/* 1 if an entry has this key, else 0, without a branch: see lb_flow_find(). Another core may be writing it, so it is loaded anew each time,
 * in the order of the program. */
LB_INLINE __u64 lb_flow_key_equal(const struct lb_flow_key *entry, const struct lb_flow_key *key)
{
	const volatile __u64 *word = entry->word;
	__u64 differ = (word[0] ^ key->word[0]) | (word[1] ^ key->word[1]) | (word[2] ^ key->word[2]);

	differ |= -differ;
#ifdef __bpf__
	asm volatile("" : "+r"(differ)); /* else it is made a comparison again, and that a branch */
#endif
	return ~differ >> 63;
}

LB_INLINE void lb_flow_key_store(struct lb_flow_key *entry, const struct lb_flow_key *key)
{
	volatile __u64 *word = entry->word;

	for (int i = 0; i < 3; i++)
		word[i] = key->word[i];
}

/* TIME_WAIT of Linux, 60 s: for so long who closed first keeps the port back, unless told otherwise. What comes sooner stays where the
 * backend may still know the connection. */
#define LB_FLOW_WAIT_TICKS 56
static_assert((__u64)LB_FLOW_WAIT_TICKS << LB_TICK_SHIFT >= 60000000000ULL, "no sooner than TIME_WAIT is over");

LB_INLINE __u32 lb_flow_idle(const struct lb_config *cfg, struct lb_flow_state s)
{
	return cfg->idle_ticks[s.stage & (LB_FLOW_STAGES - 1)];
}

/* Another core may have read the clock later than this one, and so have seen the flow in a tick to come. */
LB_INLINE _Bool lb_flow_live(const struct lb_config *cfg, struct lb_flow_state s, __u32 now)
{
	return s.stage >= LB_FLOW_EMBRYONIC && (__s32)(now - s.seen_ticks) <= (__s32)lb_flow_idle(cfg, s);
}

/* Whether a SYN of this flow begins another one. */
LB_INLINE _Bool lb_flow_over(struct lb_flow_state s, __u32 now)
{
	return s.stage == LB_FLOW_ENDED && (__s32)(now - s.seen_ticks) > LB_FLOW_WAIT_TICKS;
}

/*
 * The entry of a key, its state in *ret_word; NULL if there is none or it has expired. Which of the entries it is can't be
 * predicted, and the bucket is seldom in the cache: a branch a way would be taken wrongly and wait for memory, and nothing of the next
 * packet would be done meanwhile. So the way is computed, and the only branch is whether there is one.
 */
LB_INLINE struct lb_flow_entry *lb_flow_find(const struct lb_config *cfg, struct lb_flow_bucket *b, const struct lb_flow_key *key,
					     __u32 now, union lb_flow_word *ret_word)
{
	struct lb_flow_entry *e;
	__u64 found = 0; /* the last one that has the key, counted from 1: two cores may have recorded it at once */

	for (int i = 0; i < LB_FLOW_WAYS; i++)
		found += ((__u64)i + 1 - found) * lb_flow_key_equal(&b->entry[i].key, key);
	if (!found)
		return (void *)0;
	e = &b->entry[(found - 1) & (LB_FLOW_WAYS - 1)];
	ret_word->whole = lb_flow_load(e);
	if (!lb_flow_key_equal(&e->key, key) || !lb_flow_live(cfg, ret_word->s, now) || lb_flow_load(e) != ret_word->whole)
		return (void *)0;
	return e;
}

/* What a packet makes of a known flow. */
LB_INLINE __u8 lb_flow_next(__u8 stage, _Bool syn, _Bool ends)
{
	if (ends)
		return LB_FLOW_ENDED;
	return stage == (syn ? LB_FLOW_ENDED : LB_FLOW_EMBRYONIC) ? LB_FLOW_CONFIRMED : stage;
}

/* How old the time that is stored may be: a 64th of the silence that is asked for. So a busy flow doesn't make its cache line travel with
 * every packet. */
LB_INLINE __s32 lb_flow_grain(const struct lb_config *cfg, struct lb_flow_state s)
{
	return (__s32)((s.stage == LB_FLOW_ENDED ? LB_FLOW_WAIT_TICKS : lb_flow_idle(cfg, s)) >> 6);
}

/* A packet of a known flow: a packet behind the first confirms it. */
LB_INLINE void lb_flow_touch(const struct lb_config *cfg, struct lb_flow_entry *e, union lb_flow_word w, _Bool syn, _Bool ends, __u32 now)
{
	union lb_flow_word next = w;

	next.s.stage = lb_flow_next(w.s.stage, syn, ends);
	if (next.s.stage == w.s.stage && (__s32)(now - w.s.seen_ticks) <= lb_flow_grain(cfg, w.s))
		return;
	next.s.seen_ticks = now;
	__sync_val_compare_and_swap(&e->state, w.whole, next.whole);
}

#define LB_FLOW_OWN (~0ULL)

/* How willingly an entry is given up: 0 never, more the better. */
LB_INLINE __u64 lb_flow_rank(const struct lb_config *cfg, const struct lb_flow_entry *e, union lb_flow_word w,
			     const struct lb_flow_key *key, __u32 now)
{
	if (w.s.stage == LB_FLOW_BUSY)
		return 0;
	if (w.s.stage != LB_FLOW_FREE && lb_flow_key_equal(&e->key, key))
		return LB_FLOW_OWN; /* its own, expired or with a dead backend: never two entries of one key */
	if (!lb_flow_live(cfg, w.s, now))
		return 1ULL << 33;
	return w.s.stage == LB_FLOW_CONFIRMED || w.s.stage == LB_FLOW_ENDED ? 0 : 1 + (__u64)(now - w.s.seen_ticks);
}

/* Records that a flow went to a backend. False: there was no room, or another core took the entry first. */
LB_INLINE _Bool lb_flow_put(const struct lb_config *cfg, struct lb_flow_bucket *b, const struct lb_flow_key *key, __u16 backend, __u8 stage,
			    __u32 now)
{
	union lb_flow_word best = {0}, next = {0};
	__u64 best_rank = 0;
	__u32 way = 0;

	for (int i = 0; i < LB_FLOW_WAYS; i++) {
		union lb_flow_word w = {.whole = lb_flow_load(&b->entry[i])};
		__u64 rank = lb_flow_rank(cfg, &b->entry[i], w, key, now);

		if (rank > best_rank || rank == LB_FLOW_OWN) { /* of two of its own the one that lb_flow_find() takes */
			best_rank = rank;
			best = w;
			way = i;
		}
	}
	if (!best_rank)
		return 0;
	next.s = (struct lb_flow_state){.stage = LB_FLOW_BUSY, .turn = best.s.turn + 1};
	way &= LB_FLOW_WAYS - 1;
	if (__sync_val_compare_and_swap(&b->entry[way].state, best.whole, next.whole) != best.whole)
		return 0;
	lb_flow_key_store(&b->entry[way].key, key);
	next.s.backend = backend;
	next.s.stage = stage;
	next.s.seen_ticks = now;
	*(volatile __u64 *)&b->entry[way].state = next.whole;
	return 1;
}

#endif
