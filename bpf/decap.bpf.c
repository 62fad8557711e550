/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The backend's side: takes the outer header off what balancers send, so that no tunnel module is needed, and hands a packet of a
 * connection that this host doesn't know on to an earlier owner of its slot ([chain]; as Beamer's daisy chaining, NSDI 2018).
 *
 *   outer header to us, from a host of the catalog? --no--> pass unchanged, it is somebody else's tunnel
 *   what is inside is for a VIP of ours?            --no--> drop: we answer for nothing else
 *   a SYN, and there are too many of them?          --yes-> the answer, with a cookie, to where it came from (bpf/decap_cookie.h)
 *   hops left, and TCP that isn't known here?       --yes-> to the next hop, one hop used up
 *   take the outer header off, to the host's stack
 *
 * A hop list comes from the wire, so a hop is used only if the catalog has it as a backend of that VIP. The last host always
 * delivers: its stack answers with RST what nobody knows.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/decap_cookie.h"
#include "bpf/decap_socket.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct lb_peer_key);
	__type(value, __u32);
} decap_peers SEC(".maps");

/* VIPs of this host: address and family, port and protocol 0. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lb_vip);
	__type(value, __u32);
} decap_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct lb_hop_key);
	__type(value, struct lb_hop);
} decap_hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_decap_counts);
} decap_counts SEC(".maps");

/* A tunnelled packet: where its parts are. */
struct tunnel {
	struct lb_flow outer;
	struct lb_flow inner;
	__u32 chain; /* offset of struct lb_chain; 0: none */
};

static struct lb_packet lb_packet_of(struct xdp_md *ctx)
{
	return (struct lb_packet){.frame = ctx, .data = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
}

static int lb_head_grow(struct lb_packet *p, int by)
{
	int r = bpf_xdp_adjust_head(p->frame, -by);

	*p = lb_packet_of(p->frame);
	return r;
}

static int lb_tail_trim(struct lb_packet *p, __u32 size)
{
	int r = bpf_xdp_adjust_tail(p->frame, (int)(size - lb_size(p)));

	*p = lb_packet_of(p->frame);
	return r;
}

LB_INLINE int count(enum lb_decap what, int verdict)
{
	__u32 zero = 0;
	struct lb_decap_counts *counts = bpf_map_lookup_elem(&decap_counts, &zero);

	if (counts)
		counts->count[what]++;
	return verdict;
}

LB_INLINE _Bool is_peer(const struct lb_address *addr, __u8 family, __u32 flag)
{
	struct lb_peer_key key = {.addr = *addr, .family = family};
	const __u32 *flags = bpf_map_lookup_elem(&decap_peers, &key);

	return flags && *flags & flag;
}

/* What is behind UDP: GUE variant 0 without flags. Its private data is a chain, or there is none; the bits of another variant and of
 * control messages stand above the length and make it one that no chain has. 0, or -1. */
LB_INLINE int parse_gue(const struct lb_packet *p, struct tunnel *t, __u8 *ret_proto)
{
	__u32 at = t->outer.l4 + sizeof(struct lb_udp);
	const struct lb_gue *gue = lb_at(p, at, sizeof *gue);
	const struct lb_chain *chain;
	__u32 size, hop = t->outer.family == LB_IP4 ? 4 : 16;

	if (!gue || gue->flags)
		return -1;
	*ret_proto = gue->proto;
	size = gue->words * 4;
	at += sizeof *gue;
	t->inner.l3 = at + size;
	if (!size)
		return 0;
	chain = lb_at(p, at, sizeof *chain);
	if (!chain || chain->type != LB_CHAIN_TYPE || chain->count > LB_HOPS_MAX || sizeof *chain + chain->count * hop != size)
		return -1;
	t->chain = at;
	return 0;
}

/* Whether this is a tunnel to us: 0 and what it carries, 1 if it is not ours, -1 if it is and can't be understood. One from nobody that we
 * know may be the host's own; it is counted all the same, because a balancer that isn't known shows nowhere else. */
LB_INLINE int parse_tunnel(const struct lb_packet *p, struct tunnel *t, __u8 *ret_proto)
{
	__be16 type = 0;
	int r;

	t->outer.l3 = lb_parse_link(p, &type);
	if (!t->outer.l3 || (type != LB_HTONS(LB_ETH_IP4) && type != LB_HTONS(LB_ETH_IP6)))
		return 1;
	/* Balancers put no extension header in front, and no fragments: they know the MTU. */
	r = type == LB_HTONS(LB_ETH_IP4) ? lb_parse_ip4(p, &t->outer, 0) : lb_parse_ip6_header(p, &t->outer, 0);
	if (r < 0 || t->outer.flags & LB_FLOW_IS_FRAGMENT)
		return 1;
	*ret_proto = t->outer.proto;
	t->inner.l3 = t->outer.l4;
	if (t->outer.proto == LB_PROTO_UDP) {
		if (lb_parse_udp(p, &t->outer) < 0 || t->outer.dport != LB_HTONS(LB_GUE_PORT))
			return 1;
	} else if (t->outer.proto != LB_PROTO_IP4 && t->outer.proto != LB_PROTO_IP6) {
		return 1;
	}
	if (!is_peer(&t->outer.dst, t->outer.family, LB_PEER_SELF))
		return 1;
	if (!is_peer(&t->outer.src, t->outer.family, LB_PEER_SENDER))
		return count(LB_DECAP_UNKNOWN_SENDER, 1);
	return t->outer.proto == LB_PROTO_UDP ? parse_gue(p, t, ret_proto) : 0;
}

LB_INLINE _Bool is_vip(const struct lb_flow *inner)
{
	struct lb_vip vip = {.addr = inner->dst, .family = inner->family};

	return bpf_map_lookup_elem(&decap_vips, &vip) != (void *)0;
}

/* Of the hop to try next, address and way there; NULL if the catalog doesn't know it. */
LB_INLINE struct lb_hop *next_hop(const struct lb_packet *p, const struct tunnel *t, __u8 next, struct lb_hop_key *key)
{
	__u32 words = t->outer.family == LB_IP4 ? 1 : 4, at = t->chain + sizeof(struct lb_chain);

	/* Steps instead of a product, which the verifier of Linux 6.1 takes for any number. */
	if (next > 0)
		at += words * 4;
	if (next > 1)
		at += words * 4;
	static_assert(LB_HOPS_MAX == 3, "a step for each hop but the first");
	key->vip = t->inner.dst;
	key->vip_family = t->inner.family;
	key->hop_family = t->outer.family;
	for (__u32 i = 0; i < 4 && i < words; i++) {
		const __be32 *word = lb_at(p, at + i * 4, sizeof *word);

		if (!word)
			return (void *)0;
		key->hop.word[i] = *word;
	}
	return bpf_map_lookup_elem(&decap_hops, key);
}

LB_INLINE _Bool readdress4(const struct lb_packet *p, __u32 l3, __be32 src, __be32 dst)
{
	struct lb_ip4 *ip = lb_at(p, l3, sizeof *ip);
	__u64 sum;

	if (!ip || ip->version_words != 0x45)
		return 0;
	ip->src = src;
	ip->dst = dst;
	ip->ttl = 64;
	sum = ((__u64)ip->tos << 8 | 0x45) + ip->length + ip->id + ip->fragment + ((__u64)ip->proto << 8 | ip->ttl) + src + (__u64)dst;
	ip->sum = lb_sum_fold(sum);
	return 1;
}

LB_INLINE _Bool readdress6(const struct lb_packet *p, __u32 l3, const struct lb_address *src, const struct lb_address *dst)
{
	struct lb_ip6 *ip = lb_at(p, l3, sizeof *ip);

	if (!ip)
		return 0;
	ip->hops = 64;
	for (int i = 0; i < 4; i++) {
		ip->src[i] = src->word[i];
		ip->dst[i] = dst->word[i];
	}
	return 1;
}

/* Once a tick, so that the entry's cache line stays with all cores. By it the daemon knows which owners of old are in use ([generations]). */
LB_INLINE void mark_handed(struct lb_hop *hop)
{
	__u32 now = (__u32)(bpf_ktime_get_coarse_ns() >> LB_TICK_SHIFT);

	if (*(volatile __u32 *)&hop->handed_ticks != now)
		*(volatile __u32 *)&hop->handed_ticks = now;
}

/* From us to the hop; GUE's UDP has no checksum that would have to follow. */
LB_INLINE int hand_on(const struct lb_packet *p, const struct tunnel *t, struct lb_chain *chain)
{
	struct lb_hop_key key = {0};
	__u8 next = chain->next++;
	struct lb_hop *hop = next_hop(p, t, next, &key);
	struct lb_eth *eth;

	if (!hop)
		return count(LB_DECAP_UNKNOWN_HOP, XDP_DROP);
	if (!(t->outer.family == LB_IP4 ? readdress4(p, t->outer.l3, t->outer.dst.word[0], key.hop.word[0])
					: readdress6(p, t->outer.l3, &t->outer.dst, &key.hop)))
		return count(LB_DECAP_MALFORMED, XDP_DROP);
	eth = lb_at(p, 0, sizeof *eth);
	if (!eth)
		return XDP_DROP;
	eth->src = eth->dst;
	eth->dst = hop->mac;
	mark_handed(hop);
	return count(LB_DECAP_HANDED_ON, XDP_TX);
}

/* Takes off bytes behind the link header, of l3 bytes, for a packet of this family that lies there then. */
LB_INLINE _Bool cut(struct lb_packet *p, __u32 l3, __u32 bytes, __u8 family)
{
	__be16 link[11];

	for (__u32 i = 0; i < 11; i++) {
		const __be16 *half = lb_at(p, 2 * i, sizeof *half);

		if (!half)
			return 0;
		link[i] = *half;
	}
	if (lb_head_grow(p, -(int)bytes))
		return 0;
	for (__u32 i = 0; i < 11 && 2 * i < l3; i++) {
		__be16 *half = lb_at(p, 2 * i, sizeof *half);

		if (!half)
			return 0;
		*half = 2 * i + 2 < l3 ? link[i] : LB_HTONS(family == LB_IP4 ? LB_ETH_IP4 : LB_ETH_IP6);
	}
	return 1;
}

LB_INLINE int deliver(struct lb_packet *p, const struct tunnel *t, enum lb_decap as)
{
	return cut(p, t->outer.l3, t->inner.l3 - t->outer.l3, t->inner.family) ? count(as, XDP_PASS) : XDP_DROP;
}

/* A SYN of a flood. Its answer takes the place of the packet's end: it is at most as long as that and the tunnel's header. */
LB_INLINE int answer(struct lb_packet *p, const struct tunnel *t)
{
	__u32 l3 = t->outer.l3, hop = t->outer.family == LB_IP4 ? 4 : 16;
	struct cookie c = {.overhead = t->inner.l3 - l3};
	struct lb_flow inner = t->inner; /* a copy to point to: what the verifier knows of the other's offsets, it is to keep */

	/* A SYN has no hops with it, what follows may. */
	if (t->outer.proto == LB_PROTO_UDP && !t->chain)
		c.overhead += sizeof(struct lb_chain) + LB_HOPS_MAX * hop;

	if (!cookie_make(p->frame, &inner, &c))
		return deliver(p, t, LB_DECAP_SYN_DELIVERED);
	if (!cut(p, l3, t->inner.l3 - l3 - sizeof(struct lb_tcp_mss), t->inner.family) || lb_tail_trim(p, l3 + cookie_size(&t->inner)) ||
	    !cookie_write(p, l3, &t->inner, &c))
		return XDP_DROP;
	return count(LB_DECAP_SYN_ANSWERED, XDP_TX);
}

LB_INLINE int unwrap(struct lb_packet *p, struct tunnel *t)
{
	struct lb_chain *chain;

	if (t->inner.proto != LB_PROTO_TCP || t->inner.flags & LB_FLOW_IS_LATER || lb_parse_tcp(p, &t->inner) < 0)
		return deliver(p, t, LB_DECAP_DELIVERED);
	if (t->inner.flags & LB_FLOW_IS_SYN)
		return cookie_wanted(&t->inner) ? answer(p, t) : deliver(p, t, LB_DECAP_DELIVERED);
	if (t->chain) {
		chain = lb_at(p, t->chain, sizeof *chain);
		if (chain && chain->next < chain->count && chain->next < LB_HOPS_MAX && !socket_knows(p, &t->inner)) {
			chain = lb_at(p, t->chain, sizeof *chain);
			return chain ? hand_on(p, t, chain) : XDP_DROP;
		}
	}
	return deliver(p, t, LB_DECAP_DELIVERED);
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	struct lb_packet p = lb_packet_of(ctx);
	struct tunnel t = {0};
	__u8 proto = 0;
	int r;

	r = parse_tunnel(&p, &t, &proto);
	if (r > 0)
		return XDP_PASS;
	if (r == 0)
		r = proto == LB_PROTO_IP4 ? lb_parse_ip4(&p, &t.inner, 0) : proto == LB_PROTO_IP6 ? lb_parse_ip6(&p, &t.inner, 0) : -1;
	if (r < 0)
		return count(LB_DECAP_MALFORMED, XDP_DROP);
	if (!is_vip(&t.inner))
		return count(LB_DECAP_NO_VIP, XDP_DROP);
	return unwrap(&p, &t);
}

char _license[] SEC("license") = "Dual BSD/GPL";
