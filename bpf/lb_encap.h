/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The outer header: IPv4 or IPv6 by the backend's address, around IPv4 or IPv6 (RFC 2003, 2473, 4213). The Ethernet
 * header and the VLAN tags move outward: the next hop is on the network that the packet came by. The outer source is
 * the balancer's own address, traffic class and ECN are the inner packet's (RFC 6040), and an outer IPv4 header says DF
 * with id 0 (RFC 6864), because what doesn't fit was answered before ([mtu]).
 */
#ifndef HF_BPF_LB_ENCAP_H
#define HF_BPF_LB_ENCAP_H

#include "bpf/lb_overhead.h"
#include "bpf/lb_slot.h"

#define LB_OUTER_TTL 64

/* Once the head has grown: Ethernet header and tags, of l3 bytes, from where they were to the new start. */
LB_INLINE _Bool lb_link_move(struct lb_packet *p, __u32 by, __u32 l3, const struct lb_mac *next_hop, __be16 type)
{
	const struct lb_eth *was = lb_at(p, by, sizeof *was);
	struct lb_eth *eth;
	struct lb_mac own;
	__be16 *last;

	if (!was)
		return 0;
	own = was->dst;
	eth = lb_at(p, 0, sizeof *eth);
	if (!eth)
		return 0;
	eth->src = own;
	eth->dst = *next_hop;
	if (l3 == sizeof *eth) {
		eth->type = type;
		return 1;
	}
	for (__u32 at = 12; at < 20 && at + 2 < l3; at += 2) {
		const __be16 *from = lb_at(p, by + at, 2);
		__be16 half, *to;

		if (!from)
			return 0;
		half = *from;
		to = lb_at(p, at, 2);
		if (!to)
			return 0;
		*to = half;
	}
	last = lb_at(p, l3 - 2, 2);
	if (!last)
		return 0;
	*last = type;
	return 1;
}

LB_INLINE _Bool lb_outer_ip4(struct lb_packet *p, const struct lb_flow *f, __be32 src, __be32 dst, __u32 shim, __u8 proto)
{
	struct lb_ip4 *ip = lb_at(p, f->l3, sizeof *ip);
	struct lb_ip4 outer = {
		.version_words = 0x45,
		.tos = f->tos,
		.length = LB_HTONS(f->size + shim + sizeof *ip),
		.fragment = LB_HTONS(LB_IP4_DF),
		.ttl = LB_OUTER_TTL,
		.proto = proto,
		.src = src,
		.dst = dst,
	};
	__u64 sum;

	if (!ip)
		return 0;
	sum = ((__u64)f->tos << 8 | 0x45) + outer.length + outer.fragment + ((__u64)proto << 8 | LB_OUTER_TTL) + src + (__u64)dst;
	outer.sum = lb_sum_fold(sum);
	*ip = outer;
	return 1;
}

LB_INLINE _Bool lb_outer_ip6(struct lb_packet *p, const struct lb_flow *f, const struct lb_address *src, const struct lb_address *dst,
			     __u32 shim, __u8 proto)
{
	struct lb_ip6 *ip = lb_at(p, f->l3, sizeof *ip);

	if (!ip)
		return 0;
	ip->version_class_label = LB_HTONL(6u << 28 | (__u32)f->tos << 20);
	ip->length = LB_HTONS(f->size + shim);
	ip->next = proto;
	ip->hops = LB_OUTER_TTL;
	for (int i = 0; i < 4; i++) {
		ip->src[i] = src->word[i];
		ip->dst[i] = dst->word[i];
	}
	return 1;
}

/* Puts an outer header of this protocol in front, with shim bytes behind it for the caller to fill. False: no room. */
LB_INLINE _Bool lb_encapsulate(const struct lb_config *cfg, struct lb_packet *p, const struct lb_flow *f, const struct lb_backend *b,
			       __u32 shim, __u8 proto)
{
	__u32 by;

	if (b->family == LB_IP4) {
		by = sizeof(struct lb_ip4) + shim;
		if (lb_head_grow(p, (int)by) == 0 && lb_link_move(p, by, f->l3, &b->mac, LB_HTONS(LB_ETH_IP4)) &&
		    lb_outer_ip4(p, f, cfg->source4, b->addr.word[0], shim, proto))
			return 1;
	} else {
		by = sizeof(struct lb_ip6) + shim;
		if (lb_head_grow(p, (int)by) == 0 && lb_link_move(p, by, f->l3, &b->mac, LB_HTONS(LB_ETH_IP6)) &&
		    lb_outer_ip6(p, f, &cfg->source6, &b->addr, shim, proto))
			return 1;
	}
	return 0;
}

LB_INLINE _Bool lb_send_ipip(const struct lb_config *cfg, struct lb_packet *p, const struct lb_flow *f, const struct lb_backend *b)
{
	return lb_encapsulate(cfg, p, f, b, 0, f->family == LB_IP4 ? LB_PROTO_IP4 : LB_PROTO_IP6);
}

/* UDP and GUE. The entropy is in the source port, of the dynamic range; no checksum, as RFC 6935 lets tunnels do. */
LB_INLINE _Bool lb_gue_write(struct lb_packet *p, __u32 at, const struct lb_flow *f, __u32 hash, __u32 private_size)
{
	struct {
		struct lb_udp udp;
		struct lb_gue gue;
	} *h = lb_at(p, at, sizeof *h);

	if (!h)
		return 0;
	h->udp = (struct lb_udp){
		.sport = LB_HTONS(0xc000 | (hash & 0x3fff)),
		.dport = LB_HTONS(LB_GUE_PORT),
		.length = LB_HTONS(sizeof *h + private_size + f->size),
	};
	h->gue = (struct lb_gue){.words = (__u8)(private_size / 4), .proto = f->family == LB_IP4 ? LB_PROTO_IP4 : LB_PROTO_IP6};
	return 1;
}

LB_INLINE _Bool lb_hop_write(struct lb_packet *p, __u32 at, const struct lb_backend *hop, __u32 words)
{
	for (__u32 i = 0; i < words; i++) {
		__be32 *word = lb_at(p, at + 4 * i, sizeof *word);

		if (!word)
			return 0;
		__builtin_memcpy(word, &hop->addr.word[i], sizeof *word);
	}
	return 1;
}

LB_INLINE _Bool lb_chain_write(struct lb_packet *p, __u32 at, const struct lb_decision *d, const struct lb_backend *b)
{
	struct lb_chain *chain = lb_at(p, at, sizeof *chain);
	const struct lb_service *s = lb_service_at(d->service);

	if (!chain || !s)
		return 0;
	*chain = (struct lb_chain){.type = LB_CHAIN_TYPE, .count = d->hop_count};
	at += sizeof *chain;
	for (__u32 i = 0; i < LB_HOPS_MAX && i < d->hop_count; i++) {
		const struct lb_backend *hop = lb_backend_at(s->backend_base + d->hop[i]);

		if (!hop || !lb_hop_write(p, at, hop, b->family == LB_IP4 ? 1 : 4))
			return 0;
		at += lb_hop_size(b->family);
	}
	return 1;
}

/* The private data of the longest chain is smaller; a mask, because the verifier of Linux 6.1 takes a product for any number. */
#define LB_PRIVATE_MASK 63
static_assert(sizeof(struct lb_chain) + LB_HOPS_MAX * sizeof(struct lb_address) <= LB_PRIVATE_MASK, "a chain fits below the mask");

LB_INLINE __u32 lb_private_size(const struct lb_decision *d, const struct lb_backend *b)
{
	return d->hop_count ? (sizeof(struct lb_chain) + d->hop_count * lb_hop_size(b->family)) & LB_PRIVATE_MASK : 0;
}

LB_INLINE _Bool lb_send_gue(const struct lb_config *cfg, struct lb_packet *p, const struct lb_flow *f, const struct lb_backend *b,
			    const struct lb_decision *d)
{
	__u32 private_size = lb_private_size(d, b);
	__u32 at = f->l3 + (b->family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6));
	__u32 shim = sizeof(struct lb_udp) + sizeof(struct lb_gue);

	if (!lb_encapsulate(cfg, p, f, b, shim + private_size, LB_PROTO_UDP) || !lb_gue_write(p, at, f, d->hash, private_size))
		return 0;
	return !d->hop_count || lb_chain_write(p, at + shim, d, b);
}

/* The frame as it is to a next hop on the network that it came by: DSR is no more than that. */
LB_INLINE _Bool lb_link_turn(const struct lb_packet *p, const struct lb_mac *next_hop)
{
	struct lb_eth *eth = lb_at(p, 0, sizeof *eth);

	if (!eth)
		return 0;
	eth->src = eth->dst;
	eth->dst = *next_hop;
	return 1;
}

#endif
