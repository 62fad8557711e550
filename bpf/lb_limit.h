/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Who may send, and how much: prefixes and token buckets. */
#ifndef HF_BPF_LB_LIMIT_H
#define HF_BPF_LB_LIMIT_H

#include "bpf/lb_bucket.h"
#include "bpf/lb_hash.h"

/* Defined by the includer: what the maps hold, or NULL; the monotonic clock. */
LB_INLINE const __u32 *lb_prefix_lookup(const struct lb_prefix *prefix);
LB_INLINE const struct lb_rules *lb_rules_at(__u32 service);
LB_INLINE __u64 *lb_bucket_at(__u32 index);
LB_INLINE struct lb_limited *lb_limited_at(__u32 number);
LB_INLINE const struct lb_config *lb_config_get(void);
LB_INLINE __u64 lb_now_ns(void);

/* Takes a token; false if there is none. */
LB_INLINE _Bool lb_bucket_take(__u64 *bucket, const struct lb_limit *l, __u64 now)
{
	__u64 spent;

	if (!l->interval_ns || !bucket)
		return 1;
	spent = *(volatile __u64 *)bucket;
	if (lb_bucket_spent(spent, l, now))
		return 0;
	lb_bucket_spend(bucket, spent, l, now);
	return 1;
}

/* A source's bucket in one of the two rows, 0 or 1. */
LB_INLINE __u64 *lb_source_bucket(const struct lb_config *cfg, __u64 hash, __u32 row)
{
	return lb_bucket_at(cfg->bucket_sources + row * (cfg->bucket_mask + 1) + ((__u32)(hash >> 32 * row) & cfg->bucket_mask));
}

/* A token of a source: refused only if its buckets in both rows are spent. */
LB_INLINE _Bool lb_source_take(const struct lb_config *cfg, const struct lb_address *prefix, __u32 purpose, const struct lb_limit *l,
			       __u64 now)
{
	__u64 hash = lb_hash_address(cfg, prefix, purpose), spent_a, spent_b;
	__u64 *a = lb_source_bucket(cfg, hash, 0), *b = lb_source_bucket(cfg, hash, 1);

	if (!l->interval_ns || !a || !b)
		return 1;
	spent_a = *(volatile __u64 *)a;
	spent_b = *(volatile __u64 *)b;
	if (lb_bucket_spent(spent_a, l, now) && lb_bucket_spent(spent_b, l, now))
		return 0;
	lb_bucket_spend(a, spent_a, l, now);
	lb_bucket_spend(b, spent_b, l, now);
	return 1;
}

/* The longest prefix with a limit that covers an address; NULL: there is none. A service's prefixes are all of one family, so an IPv4
 * address may be asked for with all bits of an IPv6 one: what is behind its end matches nothing. */
LB_INLINE struct lb_limited *lb_limited_of(const struct lb_rules *rules, struct lb_prefix *address)
{
	const __u32 *number = rules->limited ? lb_prefix_lookup(address) : (void *)0;

	return number ? lb_limited_at(*number) : (void *)0;
}

/* A packet that may begin a flow. 0, or the reason to drop it. */
LB_APART int lb_limit_new(const struct lb_address *src, __u32 service)
{
	const struct lb_config *cfg = lb_config_get();
	const struct lb_rules *rules = lb_rules_at(service);
	__u64 now = lb_now_ns();
	struct lb_prefix prefix = {.bits = LB_PREFIX_BITS_MAX, .service = service | LB_PREFIX_LIMITED};
	struct lb_limited *limited;

	if (!src || !cfg || !rules)
		return LB_REASON_NONE;
	prefix.addr = *src;
	limited = lb_limited_of(rules, &prefix);
	lb_address_mask(&prefix.addr, rules->source_bits);
	/* The source first, then its prefix: what one is refused must not use up the tokens of all around it. */
	if (!lb_source_take(cfg, &prefix.addr, service, &rules->source, now))
		return LB_REASON_SOURCE_LIMIT;
	if (limited && !lb_bucket_take(&limited->spent, &limited->limit, now))
		return LB_REASON_PREFIX_LIMIT;
	if (!lb_bucket_take(lb_bucket_at(LB_BUCKET_SERVICES + service), &rules->service, now))
		return LB_REASON_SERVICE_LIMIT;
	return LB_REASON_NONE;
}

/* Whether one more packet-too-big may be sent, here and to this address. */
LB_APART int lb_limit_answer(const struct lb_address *to)
{
	const struct lb_config *cfg = lb_config_get();
	__u64 now = lb_now_ns();

	if (!to || !cfg)
		return 0;
	return lb_source_take(cfg, to, ~0u, &cfg->answers_source, now) &&
	       lb_bucket_take(lb_bucket_at(LB_BUCKET_ANSWERS), &cfg->answers, now);
}

LB_INLINE _Bool lb_prefix_denies(const struct lb_service *s, const struct lb_flow *f, __u32 service)
{
	struct lb_prefix prefix = {.bits = f->family == LB_IP4 ? 64 : 160, .service = service, .addr = f->src};
	const __u32 *rule = lb_prefix_lookup(&prefix);

	return rule ? *rule == LB_PREFIX_DENY : s->flags & LB_SERVICE_DENY;
}

/* Whether a packet takes tokens: one that may begin a flow of a service with a limit. */
LB_INLINE _Bool lb_is_limited(const struct lb_service *s, const struct lb_flow *f)
{
	return s->flags & LB_SERVICE_LIMITS && !(f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_LATER)) &&
	       (f->flags & LB_FLOW_IS_SYN || f->proto == LB_PROTO_UDP);
}

/* 0, or the reason to drop. What a service doesn't use isn't looked at. */
LB_INLINE __u8 lb_refuse(const struct lb_service *s, const struct lb_flow *f, __u32 service)
{
	struct lb_address src = f->src;

	if (s->flags & LB_SERVICE_PREFIXES && lb_prefix_denies(s, f, service))
		return LB_REASON_PREFIX_DENIED;
	if (lb_is_limited(s, f))
		return (__u8)lb_limit_new(&src, service);
	return LB_REASON_NONE;
}

#endif
