/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fragments ([fragments, icmp]). Only the first has ports: it is remembered, and the later ones take the same way through
 * the decision. A later one to a VIP whose first didn't come by is dropped by name, because to guess would spread a
 * datagram over backends. Fragments to addresses that are no VIP pass, and are remembered only if they come from a dnat backend or to an
 * address of snat ([nat]); of those a later one may be no service's, so it passes when it isn't known. Routers must keep a datagram on one
 * balancer.
 */
#ifndef HF_BPF_LB_FRAGMENT_H
#define HF_BPF_LB_FRAGMENT_H

#include "bpf/lb_service.h"
#include "bpf/lb_snat_table.h"

/* Defined by the includer: the table, and the monotonic clock. */
LB_INLINE const struct lb_fragment *lb_fragment_lookup(const struct lb_fragment_key *key);
LB_INLINE void lb_fragment_put(const struct lb_fragment_key *key, const struct lb_fragment *value);
LB_INLINE __u64 lb_now_ns(void);
LB_INLINE const struct lb_config *lb_config_get(void);

/* A fragment; of a later one, ports and flags are filled in. */
struct lb_piece {
	struct lb_fragment_key key;
	struct lb_fragment first;
};

LB_INLINE _Bool lb_fragment_to_vip(const struct lb_fragment_key *key)
{
	struct lb_vip vip = {.addr = key->dst, .family = key->family};

	return lb_vip_lookup(&vip) != (void *)0;
}

LB_INLINE _Bool lb_fragment_from_backend(const struct lb_fragment_key *key)
{
	struct lb_vip backend = {.addr = key->src, .family = key->family};
	const struct lb_config *cfg = lb_config_get();

	return cfg && cfg->nat && lb_reply_lookup(&backend);
}

LB_INLINE _Bool lb_fragment_to_source(const struct lb_fragment_key *key)
{
	const struct lb_config *cfg = lb_config_get();

	return cfg && (cfg->snat4 || cfg->snat6) && lb_snat_place(&key->dst, key->family) >= 0;
}

/* Whether the flow is known now: LB_SEND if so. Key and value go to the maps from the stack: the verifier of Linux 6.1 lets a map's
 * function read no memory that came as an argument. */
LB_APART int lb_fragment_join(struct lb_piece *piece)
{
	__u32 now = (__u32)(lb_now_ns() >> LB_TICK_SHIFT);
	const struct lb_fragment *known;
	struct lb_fragment first;
	struct lb_fragment_key key;
	_Bool to_vip;

	if (!piece)
		return LB_PASS;
	key = piece->key;
	to_vip = lb_fragment_to_vip(&key);
	if (!to_vip && !lb_fragment_from_backend(&key) && !lb_fragment_to_source(&key))
		return LB_PASS;
	if (!(piece->first.flags & LB_FLOW_IS_LATER)) {
		first = piece->first;
		first.seen_ticks = now;
		lb_fragment_put(&key, &first);
		return LB_SEND;
	}
	known = lb_fragment_lookup(&key);
	if (!known || now - known->seen_ticks > LB_FRAGMENT_TICKS)
		return to_vip ? LB_DROP : LB_PASS;
	piece->first = *known;
	return LB_SEND;
}

LB_INLINE int lb_fragment_resolve(struct lb_flow *f)
{
	struct lb_piece piece = {
		.key = {.src = f->src, .dst = f->dst, .id = f->id, .proto = f->family == LB_IP4 ? f->proto : 0, .family = f->family},
		.first = {.sport = f->sport, .dport = f->dport, .flags = f->flags, .proto = f->proto},
	};
	int verdict = lb_fragment_join(&piece);

	f->sport = piece.first.sport;
	f->dport = piece.first.dport;
	f->proto = piece.first.proto;
	f->flags |= piece.first.flags;
	return verdict;
}

#endif
