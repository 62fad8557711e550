/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A flood of SYNs to a service whose backends have no decapsulator of ours to answer them ([syn flood]): sources must show that they are
 * there before their SYNs go on. Who isn't known gets a SYN-ACK that acknowledges what it never sent; a host that did send the SYN answers
 * that by a RST with this very number (RFC 9293, 3.10.7.3) and, having connected to nothing yet, tries again: Linux at once. The number is
 * a keyed hash of the flow and of the time, so nothing is kept of a SYN; of sources that showed themselves the last ones are kept.
 *
 *   SYN of a flood, source not known   SYN-ACK with a wrong acknowledgement, in place of the SYN
 *   RST with the right number          its source is known from now on; the RST has done its work
 *   anything else                      as if nothing was
 *
 * An answer is no larger than what it answers, and goes back where that came from.
 */
#ifndef HF_BPF_LB_CHALLENGE_H
#define HF_BPF_LB_CHALLENGE_H

#include "bpf/lb_flood.h"
#include "bpf/lb_mtu.h"
#include "bpf/lb_sip.h"

/* Defined by the includer: what the maps hold, or NULL. */
LB_INLINE struct lb_flood *lb_flood_at(__u32 service);
LB_INLINE struct lb_verified_bucket *lb_verified_at(__u32 index);

/* A number is right for at least so many ticks, and at most for twice as many. */
#define LB_CHALLENGE_SHIFT 5

/* What lb_hash_address() is asked for: no service has this number. */
#define LB_CHALLENGE_PURPOSE 0xfffffffeu

/* What a packet is to a service that is flooded. */
enum lb_challenge_kind {
	LB_CHALLENGE_NOTHING,
	LB_CHALLENGE_SYN, /* of a source that isn't known */
	LB_CHALLENGE_RST, /* by which a source may show itself */
};

struct lb_challenge {
	struct lb_address src;
	__u32 service;
	__u32 l4;
	__be16 sport;
	__be16 dport;
	__u32 seq;  /* of the packet */
	__u32 time; /* now, in ticks */
};

/* The right number, so many periods ago. */
LB_APART __u32 lb_challenge_number(const struct lb_challenge *c, __u32 ago)
{
	const struct lb_config *cfg = lb_config_get();
	__u64 words[4];

	if (!c || !cfg)
		return 0;
	words[0] = (__u64)c->src.word[1] << 32 | c->src.word[0];
	words[1] = (__u64)c->src.word[3] << 32 | c->src.word[2];
	words[2] = (__u64)c->service << 32 | (__u32)c->sport << 16 | c->dport;
	words[3] = (c->time >> LB_CHALLENGE_SHIFT) - ago;
	return (__u32)lb_sip_hash(cfg->secret, words, 4);
}

/* What a source's way says of it, but for the time. It is never 0, so that an empty way is nobody's. */
LB_INLINE __u64 lb_verified_tag(__u64 hash)
{
	return (hash | 1ULL << 63) & ~0xffffffffULL;
}

/* How long ago, in ticks: less than none if another core has read the clock later than this one. */
LB_INLINE __s32 lb_verified_age(__u64 way, __u32 now)
{
	return (__s32)(now - (__u32)way);
}

LB_INLINE _Bool lb_verified_live(__u64 way, __u32 now)
{
	return way && lb_verified_age(way, now) <= LB_VERIFIED_TICKS;
}

LB_INLINE _Bool lb_verified_has(const struct lb_verified_bucket *b, __u64 hash, __u32 now)
{
	for (int i = 0; i < LB_VERIFIED_WAYS; i++) {
		__u64 way = *(const volatile __u64 *)&b->way[i];

		if ((way & ~0xffffffffULL) == lb_verified_tag(hash) && lb_verified_live(way, now))
			return 1;
	}
	return 0;
}

/* Where a source is kept, and its hash. */
LB_INLINE struct lb_verified_bucket *lb_verified_of(const struct lb_config *cfg, const struct lb_challenge *c, __u64 *ret_hash)
{
	*ret_hash = lb_hash_address(cfg, &c->src, LB_CHALLENGE_PURPOSE);
	return lb_verified_at((__u32)*ret_hash & (LB_VERIFIED_BUCKETS - 1));
}

/* How willingly a way is given to a source: its own, else one that is free, else the oldest. */
LB_INLINE __u64 lb_verified_rank(__u64 way, __u64 hash, __u32 now)
{
	if (way && (way & ~0xffffffffULL) == lb_verified_tag(hash))
		return 1ULL << 34;
	return lb_verified_live(way, now) ? (1ULL << 32) + (__u64)(__s64)lb_verified_age(way, now) : 1ULL << 33;
}

/* The source is known from now on. Of two that take one way at once, one is lost and shows itself again. */
LB_APART int lb_verified_put(const struct lb_challenge *c)
{
	const struct lb_config *cfg = lb_config_get();
	struct lb_verified_bucket *b;
	__u64 hash, best_rank = 0;
	__u32 best = 0;

	if (!c || !cfg)
		return 0;
	b = lb_verified_of(cfg, c, &hash);
	if (!b)
		return 0;
	for (__u32 i = 0; i < LB_VERIFIED_WAYS; i++) {
		__u64 rank = lb_verified_rank(*(volatile __u64 *)&b->way[i], hash, c->time);

		if (rank > best_rank) {
			best_rank = rank;
			best = i;
		}
#ifdef __bpf__
		asm volatile(""
			     : "+r"(best_rank), "+r"(best)); /* one way after the other: all at once would take more stack than there is */
#endif
	}
	*(volatile __u64 *)&b->way[best & (LB_VERIFIED_WAYS - 1)] = lb_verified_tag(hash) | c->time;
	return 1;
}

/* What a packet of TCP is; its sequence number and the time in *c. */
LB_APART int lb_challenge_judge(lb_frame *frame, struct lb_challenge *c)
{
	const struct lb_config *cfg = lb_config_get();
	struct lb_verified_bucket *b;
	const struct lb_rules *rules;
	const struct lb_tcp *tcp;
	struct lb_flood *flood;
	struct lb_packet p;
	__u64 now, hash;
	__u8 flags;

	if (!frame || !c || !cfg)
		return LB_CHALLENGE_NOTHING;
	p = lb_packet_of(frame);
	tcp = lb_at(&p, c->l4 & LB_WALK_MAX, sizeof *tcp);
	if (!tcp)
		return LB_CHALLENGE_NOTHING;
	flags = tcp->flags & (LB_TCP_SYN | LB_TCP_RST | LB_TCP_ACK);
	c->seq = LB_NTOHL(tcp->seq);
	rules = lb_rules_at(c->service);
	flood = lb_flood_at(c->service);
	if (!rules || !flood)
		return LB_CHALLENGE_NOTHING;
	now = lb_now_ns();
	c->time = (__u32)(now >> LB_TICK_SHIFT);
	if (flags & LB_TCP_RST)
		return lb_flood_lasts(flood, &rules->syns, now) ? LB_CHALLENGE_RST : LB_CHALLENGE_NOTHING;
	if (flags != LB_TCP_SYN || !lb_flood_rises(flood, &rules->syns, now))
		return LB_CHALLENGE_NOTHING;
	b = lb_verified_of(cfg, c, &hash);
	return b && !lb_verified_has(b, hash, c->time) ? LB_CHALLENGE_SYN : LB_CHALLENGE_NOTHING;
}

/* The answer, in the place of what is behind the link header. False: the packet has no room for it. */
LB_INLINE _Bool lb_challenge_answer(struct lb_packet *p, const struct lb_flow *f, __u32 number)
{
	struct lb_flow reply = {.l3 = f->l3, .size = sizeof(struct lb_tcp)};
	__u32 l4 = f->l3 + (f->family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6));
	const struct lb_tcp out = {
		.sport = f->dport,
		.dport = f->sport,
		.ack = LB_HTONL(number),
		.words = sizeof out / 4 << 4,
		.flags = LB_TCP_SYN | LB_TCP_ACK,
		.window = 0xffff,
	};
	const struct lb_eth *eth = lb_at(p, 0, sizeof *eth);
	struct lb_tcp *tcp;
	struct lb_mac back;
	__u64 sum;

	if (!eth)
		return 0;
	back = eth->src;
	if (lb_tail_trim(p, l4 + sizeof *tcp) || !lb_link_turn(p, &back))
		return 0;
	if (!(f->family == LB_IP4 ? lb_outer_ip4(p, &reply, f->dst.word[0], f->src.word[0], 0, LB_PROTO_TCP)
				  : lb_outer_ip6(p, &reply, &f->dst, &f->src, 0, LB_PROTO_TCP)))
		return 0;
	tcp = lb_at(p, l4, sizeof *tcp);
	if (!tcp)
		return 0;
	*tcp = out;
	sum = LB_HTONL(sizeof out) + LB_HTONL(LB_PROTO_TCP) + ((__u64)f->dport << 16 | f->sport) + out.ack;
	sum += ((__u64)out.flags << 8 | out.words) + out.window;
	for (int i = 0; i < 4; i++)
		sum += (__u64)f->src.word[i] + f->dst.word[i];
	tcp->sum = lb_sum_fold(sum);
	return 1;
}

LB_INLINE enum lb_verdict lb_challenge_syn(struct lb_packet *p, const struct lb_flow *f, const struct lb_challenge *c,
					   struct lb_decision *d)
{
	__u32 number = lb_challenge_number(c, 0);

	/* It must be a wrong one to whoever sent the SYN. */
	if (number == c->seq + 1)
		number = lb_challenge_number(c, 1);
	d->reason = LB_REASON_SYN_CHALLENGED;
	return lb_challenge_answer(p, f, number) ? LB_SEND : LB_DROP;
}

LB_INLINE enum lb_verdict lb_challenge_rst(const struct lb_challenge *c, struct lb_decision *d)
{
	if (c->seq != lb_challenge_number(c, 0) && c->seq != lb_challenge_number(c, 1))
		return LB_PASS;
	(void)lb_verified_put(c);
	d->reason = LB_REASON_SYN_VERIFIED;
	return LB_DROP;
}

/* LB_PASS: the decision goes on as if there were no flood. */
LB_INLINE enum lb_verdict lb_challenge(struct lb_packet *p, const struct lb_service *s, const struct lb_flow *f, struct lb_decision *d)
{
	struct lb_challenge c;

	if (!(s->flags & LB_SERVICE_CHALLENGE) || f->proto != LB_PROTO_TCP || f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_LATER))
		return LB_PASS;
	if (s->flags & LB_SERVICE_PREFIXES && lb_prefix_denies(s, f, d->service))
		return LB_PASS;
	c = (struct lb_challenge){.src = f->src, .service = d->service, .l4 = f->l4, .sport = f->sport, .dport = f->dport};
	switch (lb_challenge_judge(p->frame, &c)) {
	case LB_CHALLENGE_SYN:
		return lb_challenge_syn(p, f, &c, d);
	case LB_CHALLENGE_RST:
		return lb_challenge_rst(&c, d);
	default:
		return LB_PASS;
	}
}

#endif
