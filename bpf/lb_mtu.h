/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Packets that won't fit once they are encapsulated ([mtu]). The sender is told by packet-too-big or fragmentation-needed, for DF=0 too: a
 * fragment that a router made would lose its ports. As much of the packet is quoted as RFC 1812 and RFC 4443 want.
 */
#ifndef HF_BPF_LB_MTU_H
#define HF_BPF_LB_MTU_H

#include "bpf/lb_encap.h"
#include "bpf/lb_limit.h"

/* What is quoted: up to the least that any host must take. Everything too big is larger. */
#define LB_QUOTE4 (576 - sizeof(struct lb_ip4) - sizeof(struct lb_icmp))
#define LB_QUOTE6 (1280 - sizeof(struct lb_ip6) - sizeof(struct lb_icmp))

LB_INLINE __u32 lb_overhead(const struct lb_service *s, const struct lb_backend *b)
{
	return lb_tunnel_overhead(s->delivery, s->flags & LB_SERVICE_CHAIN, b->family);
}

/* The sum of size bytes at this offset as 16-bit words, a multiple of four of them, or 0 if they aren't there. Defined by the
 * includer: a loop over packet bytes is proved turn by turn in BPF, for each way that leads to it. */
LB_INLINE __u64 lb_sum_bytes(const struct lb_packet *p, __u32 at, __u32 size);

/* Back to where the frame came from, with by bytes for new headers in front of what is quoted. */
LB_INLINE _Bool lb_answer_frame(struct lb_packet *p, const struct lb_flow *f, __u32 quote, __u32 by, __be16 type)
{
	const struct lb_eth *eth = lb_at(p, 0, sizeof *eth);
	struct lb_mac back;

	if (!eth || lb_size(p) < f->l3 + quote)
		return 0;
	back = eth->src;
	return lb_tail_trim(p, f->l3 + quote) == 0 && lb_head_grow(p, (int)by) == 0 && lb_link_move(p, by, f->l3, &back, type);
}

LB_INLINE _Bool lb_answer4(struct lb_packet *p, const struct lb_flow *f, __u32 mtu)
{
	struct lb_flow reply = {.l3 = f->l3, .size = LB_QUOTE4};
	__u32 at = f->l3 + sizeof(struct lb_ip4);
	struct lb_icmp *icmp;
	__u64 sum;

	if (!lb_answer_frame(p, f, LB_QUOTE4, sizeof(struct lb_ip4) + sizeof *icmp, LB_HTONS(LB_ETH_IP4)) ||
	    !lb_outer_ip4(p, &reply, f->dst.word[0], f->src.word[0], sizeof *icmp, LB_PROTO_ICMP))
		return 0;
	icmp = lb_at(p, at, sizeof *icmp);
	if (!icmp)
		return 0;
	*icmp = (struct lb_icmp){.type = LB_ICMP_UNREACHABLE, .code = LB_ICMP_FRAGMENTATION_NEEDED, .word = LB_HTONL(mtu)};
	sum = lb_sum_bytes(p, at, sizeof *icmp + LB_QUOTE4);
	icmp = lb_at(p, at, sizeof *icmp);
	if (icmp)
		icmp->sum = lb_sum_fold(sum);
	return 1;
}

LB_INLINE _Bool lb_answer6(struct lb_packet *p, const struct lb_flow *f, __u32 mtu)
{
	struct lb_flow reply = {.l3 = f->l3, .size = LB_QUOTE6};
	__u32 at = f->l3 + sizeof(struct lb_ip6);
	struct lb_icmp *icmp;
	__u64 sum;

	if (!lb_answer_frame(p, f, LB_QUOTE6, sizeof(struct lb_ip6) + sizeof *icmp, LB_HTONS(LB_ETH_IP6)) ||
	    !lb_outer_ip6(p, &reply, &f->dst, &f->src, sizeof *icmp, LB_PROTO_ICMP6))
		return 0;
	icmp = lb_at(p, at, sizeof *icmp);
	if (!icmp)
		return 0;
	*icmp = (struct lb_icmp){.type = LB_ICMP6_TOO_BIG, .word = LB_HTONL(mtu)};
	sum = lb_sum_bytes(p, at, sizeof *icmp + LB_QUOTE6) + LB_HTONL(sizeof *icmp + LB_QUOTE6) + LB_HTONL(LB_PROTO_ICMP6);
	for (int i = 0; i < 4; i++)
		sum += (__u64)f->src.word[i] + f->dst.word[i];
	icmp = lb_at(p, at, sizeof *icmp);
	if (icmp)
		icmp->sum = lb_sum_fold(sum);
	return 1;
}

/* Tells the sender the largest packet that fits. ICMP errors are never answered by errors. The reason says what became of the packet. */
LB_INLINE enum lb_verdict lb_too_big(struct lb_packet *p, const struct lb_flow *f, __u32 mtu, struct lb_decision *d)
{
	struct lb_address to = f->src;

	d->reason = LB_REASON_TOO_BIG;
	if (f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_LATER) || !lb_limit_answer(&to))
		return LB_DROP;
	if (!(f->family == LB_IP4 ? lb_answer4(p, f, mtu) : lb_answer6(p, f, mtu)))
		return LB_DROP;
	d->reason = LB_REASON_TOO_BIG_ANSWERED;
	return LB_SEND;
}

#endif
