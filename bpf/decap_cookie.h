/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * SYN cookies on a backend ([syn flood]; RFC 4987, 3.6). While a flood of SYNs comes to a listener, each is answered here with a SYN-ACK
 * whose sequence number is the kernel's own cookie for that listener, so that it costs no request socket and no way through the stack.
 * Nothing is kept; the client's ACK goes to the kernel, which knows its cookie and makes the connection.
 *
 * The answer has MSS for its only option: window scale and SACK would take a timestamp that only the kernel can make. It goes straight to
 * the client, by the host's own routes and neighbours. The kernel looks them up for a packet that came in by an interface that forwards;
 * the loopback interface is named as that one, because there the daemon can turn forwarding on without making the host a router, and
 * what is looked up is what a packet of the host's own would take. Where a route leads out of another interface, or the next hop's address
 * isn't known now, the SYN goes to the host, as it does when the kernel has no cookie for it: they are off, or the listener's queue has
 * room and net.ipv4.tcp_syncookies isn't 2, or nobody listens.
 */
#ifndef HF_BPF_DECAP_COOKIE_H
#define HF_BPF_DECAP_COOKIE_H

#include "bpf/decap_socket.h"
#include "bpf/lb_flood.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lb_vip);
	__type(value, struct lb_limit);
} decap_cookies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct lb_vip);
	__type(value, struct lb_flood);
} decap_floods SEC(".maps");

#define FAMILY_IP4 2 /* AF_INET and AF_INET6, whose header BPF doesn't have */
#define FAMILY_IP6 10
#define LOOPBACK 1 /* of every network namespace */
#define TCP_HEADER_MAX 60

/* An answer: what it says, and how it gets there. */
struct cookie {
	__u32 overhead; /* given: of the tunnel, by which the client's packets must be smaller */
	__be32 seq;
	__be32 ack;
	__be16 mss;
	struct lb_mac from;
	struct lb_mac to;
};

/* The answer that fits behind a SYN's own headers, but for the option. */
struct cookie_tcp {
	struct lb_tcp tcp;
	struct lb_tcp_mss option;
} LB_WIRE;

LB_INLINE struct lb_flood *cookie_flood(const struct lb_vip *vip)
{
	const struct lb_flood none = {0};
	struct lb_flood *flood = bpf_map_lookup_elem(&decap_floods, vip);

	if (flood)
		return flood;
	(void)bpf_map_update_elem(&decap_floods, vip, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&decap_floods, vip);
}

/* Counts a SYN. Whether it is to be answered with a cookie. */
LB_INLINE _Bool cookie_wanted(const struct lb_flow *f)
{
	struct lb_vip vip = {.addr = f->dst, .port = f->dport, .proto = LB_PROTO_TCP, .family = f->family};
	const struct lb_limit *limit = bpf_map_lookup_elem(&decap_cookies, &vip);
	struct lb_flood *flood;

	if (!limit) {
		vip.port = 0;
		limit = bpf_map_lookup_elem(&decap_cookies, &vip);
	}
	if (!limit)
		return 0;
	flood = cookie_flood(&vip);
	return flood && lb_flood_rises(flood, limit, bpf_ktime_get_coarse_ns());
}

/* A TCP header with its options. */
union cookie_syn {
	struct lb_tcp head;
	__u8 bytes[TCP_HEADER_MAX];
};

/* Its size, or 0 if it isn't all there. */
LB_INLINE __u32 cookie_read(lb_frame *frame, __u32 l4, union cookie_syn *ret)
{
	__u32 options, size;

	if (bpf_xdp_load_bytes(frame, l4, ret, sizeof ret->head))
		return 0;
	options = (__u32)(ret->head.words >> 4) - sizeof ret->head / 4;
	asm volatile("" : "+r"(options)); /* else the words are compared in place of what the verifier should see bounds of */
	if (options > (TCP_HEADER_MAX - sizeof ret->head) / 4)
		return 0;
	size = sizeof ret->head + options * 4;
	return bpf_xdp_load_bytes(frame, l4, ret, size) ? 0 : size;
}

/* The cookie, and above its 32 bits the MSS that it stands for; negative if the kernel has none. */
LB_INLINE __s64 cookie_generate(lb_frame *frame, const struct lb_flow *f, struct bpf_sock *sk, union cookie_syn *syn, __u32 syn_size)
{
	__u32 size = f->family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6);
	__u8 ip[sizeof(struct lb_ip6)] = {0};

	if (sk->state != BPF_TCP_LISTEN || bpf_xdp_load_bytes(frame, f->l3, ip, size))
		return -1;
	return bpf_tcp_gen_syncookie(sk, ip, size, (void *)syn, syn_size);
}

/* What the listener that the SYN is for would answer. */
LB_APART int cookie_ask(lb_frame *frame, const struct lb_flow *f, struct cookie *c)
{
	union cookie_syn syn = {0};
	struct bpf_sock *sk;
	__u32 size;
	__s64 made;

	if (!frame || !f || !c)
		return 0;
	size = cookie_read(frame, f->l4, &syn);
	sk = size ? socket_find(frame, f) : (void *)0;
	if (!sk)
		return 0;
	made = cookie_generate(frame, f, sk, &syn, size);
	bpf_sk_release(sk);
	if (made < 0)
		return 0;
	c->seq = LB_HTONL((__u32)made);
	c->ack = LB_HTONL(LB_NTOHL(syn.head.seq) + 1);
	c->mss = LB_HTONS(made >> 32);
	return 1;
}

/* What the route and the tunnel leave room for. */
LB_INLINE void cookie_fit(struct cookie *c, __u32 mtu, __u32 ip_size)
{
	__u32 headers = c->overhead + ip_size + sizeof(struct lb_tcp);

	if (mtu > headers && LB_NTOHS(c->mss) > mtu - headers)
		c->mss = LB_HTONS(mtu - headers);
}

/* The way back to the client, if it leads out of the interface that the SYN came in by. */
LB_APART int cookie_route(lb_frame *frame, const struct lb_flow *f, struct cookie *c)
{
	struct bpf_fib_lookup way = {.l4_protocol = LB_PROTO_TCP, .ifindex = LOOPBACK};

	if (!frame || !f || !c)
		return 0;
	way.family = f->family == LB_IP4 ? FAMILY_IP4 : FAMILY_IP6;
	if (f->family == LB_IP4) {
		way.ipv4_src = f->dst.word[0];
		way.ipv4_dst = f->src.word[0];
	} else {
		__builtin_memcpy(way.ipv6_src, &f->dst, sizeof f->dst);
		__builtin_memcpy(way.ipv6_dst, &f->src, sizeof f->src);
	}
	if (bpf_fib_lookup(frame, &way, sizeof way, 0) != BPF_FIB_LKUP_RET_SUCCESS || way.ifindex != frame->ingress_ifindex)
		return 0;
	__builtin_memcpy(&c->from, way.smac, sizeof c->from);
	__builtin_memcpy(&c->to, way.dmac, sizeof c->to);
	cookie_fit(c, way.mtu_result, f->family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6));
	return 1;
}

/* The answer to a SYN; the packet is left as it is. False if there can be none. */
LB_INLINE _Bool cookie_make(lb_frame *frame, const struct lb_flow *f, struct cookie *c)
{
	return cookie_ask(frame, f, c) && cookie_route(frame, f, c);
}

/* Of the answer's IP packet. */
LB_INLINE __u32 cookie_size(const struct lb_flow *f)
{
	return (f->family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6)) + sizeof(struct cookie_tcp);
}

/* Of words, and what is in front of them, as one sum. */
LB_INLINE __u64 cookie_sum(const void *from, __u32 words)
{
	const __be32 *word = from;
	__u64 sum = 0;

	for (__u32 i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

LB_INLINE _Bool cookie_write_ip4(const struct lb_packet *p, __u32 l3, const struct lb_flow *f)
{
	struct lb_ip4 *ip = lb_at(p, l3, sizeof *ip);
	struct lb_ip4 out = {
		.version_words = 0x45,
		.length = LB_HTONS(sizeof out + sizeof(struct cookie_tcp)),
		.fragment = LB_HTONS(LB_IP4_DF),
		.ttl = 64,
		.proto = LB_PROTO_TCP,
		.src = f->dst.word[0],
		.dst = f->src.word[0],
	};

	if (!ip)
		return 0;
	out.sum = lb_sum_fold(cookie_sum(&out, sizeof out / 4));
	*ip = out;
	return 1;
}

LB_INLINE _Bool cookie_write_ip6(const struct lb_packet *p, __u32 l3, const struct lb_flow *f)
{
	struct lb_ip6 *ip = lb_at(p, l3, sizeof *ip);

	if (!ip)
		return 0;
	*ip = (struct lb_ip6){
		.version_class_label = LB_HTONL(6u << 28),
		.length = LB_HTONS(sizeof(struct cookie_tcp)),
		.next = LB_PROTO_TCP,
		.hops = 64,
	};
	for (int i = 0; i < 4; i++) {
		ip->src[i] = f->dst.word[i];
		ip->dst[i] = f->src.word[i];
	}
	return 1;
}

/* Into a packet that has been cut to the answer's size, in place of all that is in it. False: it is not so long. */
LB_INLINE _Bool cookie_write(const struct lb_packet *p, __u32 l3, const struct lb_flow *f, const struct cookie *c)
{
	const struct lb_tcp tcp = {
		.sport = f->dport,
		.dport = f->sport,
		.seq = c->seq,
		.ack = c->ack,
		.words = sizeof(struct cookie_tcp) / 4 << 4,
		.flags = LB_TCP_SYN | LB_TCP_ACK,
		.window = 0xffff,
	};
	struct cookie_tcp *at, out = {.tcp = tcp, .option = {.kind = LB_TCP_MSS, .size = sizeof out.option, .mss = c->mss}};
	struct lb_eth *eth = lb_at(p, 0, sizeof *eth);

	if (!eth)
		return 0;
	eth->src = c->from;
	eth->dst = c->to;
	if (!(f->family == LB_IP4 ? cookie_write_ip4(p, l3, f) : cookie_write_ip6(p, l3, f)))
		return 0;
	out.tcp.sum = lb_sum_fold(cookie_sum(&f->src, 4) + cookie_sum(&f->dst, 4) + LB_HTONL(sizeof out) + LB_HTONL(LB_PROTO_TCP) +
				  cookie_sum(&out, sizeof out / 4));
	at = lb_at(p, l3 + cookie_size(f) - sizeof out, sizeof out);
	if (!at)
		return 0;
	*at = out;
	return 1;
}

#endif
