/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A packet as bytes between two pointers, and the headers that stand in it. Nothing is read before lb_at() has checked
 * that it lies inside; the BPF verifier insists on it, and the host tests run under ASan for the other includers.
 *
 * IP starts two bytes off a word behind Ethernet, so headers have that alignment on the host; BPF on x86 doesn't care,
 * and packed structs would be read there byte by byte.
 */
#ifndef HF_BPF_LB_PACKET_H
#define HF_BPF_LB_PACKET_H

#include "bpf/lb_abi.h"

#ifdef __bpf__
#define LB_WIRE
#else
#define LB_WIRE __attribute__((packed, aligned(2)))
#endif
#define LB_INLINE static inline __attribute__((always_inline, unused))
/* What is seldom taken. In BPF a function that the verifier proves once, by itself, whatever its callers do: without that the
 * branches of all features would multiply. Its arguments may be numbers and pointers to plain memory, checked for NULL. */
#ifdef __bpf__
#define LB_APART __attribute__((noinline))
#else
#define LB_APART static inline __attribute__((unused))
#endif

#define LB_HTONS(x) ((__be16)__builtin_bswap16((__u16)(x)))
#define LB_NTOHS(x) __builtin_bswap16((__u16)(x))
#define LB_HTONL(x) ((__be32)__builtin_bswap32((__u32)(x)))
#define LB_NTOHL(x) __builtin_bswap32((__u32)(x))

enum lb_ethertype {
	LB_ETH_IP4 = 0x0800,
	LB_ETH_VLAN = 0x8100,
	LB_ETH_IP6 = 0x86dd,
	LB_ETH_QINQ = 0x88a8,
};

enum lb_protocol {
	LB_PROTO_HOP_BY_HOP = 0,
	LB_PROTO_ICMP = 1,
	LB_PROTO_IP4 = 4,
	LB_PROTO_TCP = 6,
	LB_PROTO_UDP = 17,
	LB_PROTO_IP6 = 41,
	LB_PROTO_ROUTING = 43,
	LB_PROTO_FRAGMENT = 44,
	LB_PROTO_AUTHENTICATION = 51,
	LB_PROTO_ICMP6 = 58,
	LB_PROTO_DESTINATION = 60,
};

struct lb_eth {
	struct lb_mac dst;
	struct lb_mac src;
	__be16 type;
} LB_WIRE;
static_assert(sizeof(struct lb_eth) == 14, "wire");

struct lb_vlan {
	__be16 tag;
	__be16 type;
} LB_WIRE;
static_assert(sizeof(struct lb_vlan) == 4, "wire");

struct lb_ip4 {
	__u8 version_words; /* version << 4 | header length in words */
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 proto;
	__be16 sum;
	__be32 src;
	__be32 dst;
} LB_WIRE;
static_assert(sizeof(struct lb_ip4) == 20, "wire");

#define LB_IP4_DF 0x4000
#define LB_IP4_MF 0x2000
#define LB_IP4_OFFSET 0x1fff

struct lb_ip6 {
	__be32 version_class_label;
	__be16 length; /* of what follows this header */
	__u8 next;
	__u8 hops;
	__be32 src[4];
	__be32 dst[4];
} LB_WIRE;
static_assert(sizeof(struct lb_ip6) == 40, "wire");

/* The start that all IPv6 extension headers but Fragment share. */
struct lb_ip6_extension {
	__u8 next;
	__u8 size;
} LB_WIRE;

struct lb_tcp {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 words; /* header length in words << 4 */
	__u8 flags;
	__be16 window;
	__be16 sum;
	__be16 urgent;
} LB_WIRE;
static_assert(sizeof(struct lb_tcp) == 20, "wire");

#define LB_TCP_FIN 0x01
#define LB_TCP_SYN 0x02
#define LB_TCP_RST 0x04
#define LB_TCP_ACK 0x10

struct lb_udp {
	__be16 sport;
	__be16 dport;
	__be16 length;
	__be16 sum;
} LB_WIRE;
static_assert(sizeof(struct lb_udp) == 8, "wire");

struct lb_ip6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in bytes, a multiple of 8, and the more-to-come bit */
	__be32 id;
} LB_WIRE;
static_assert(sizeof(struct lb_ip6_fragment) == 8, "wire");

#define LB_IP6_OFFSET 0xfff8

struct lb_icmp {
	__u8 type;
	__u8 code;
	__be16 sum;
	__be32 word; /* next-hop MTU in packet-too-big */
} LB_WIRE;
static_assert(sizeof(struct lb_icmp) == 8, "wire");

enum lb_icmp_type {
	LB_ICMP_UNREACHABLE = 3,
	LB_ICMP_TIME_EXCEEDED = 11,
	LB_ICMP_PARAMETER = 12,
	LB_ICMP6_UNREACHABLE = 1,
	LB_ICMP6_TOO_BIG = 2,
	LB_ICMP6_PARAMETER = 4,
};

#define LB_ICMP_FRAGMENTATION_NEEDED 4

/* GUE variant 0 (draft-ietf-intarea-gue), without flags. */
struct lb_gue {
	__u8 words; /* of private data */
	__u8 proto;
	__be16 flags;
} LB_WIRE;
static_assert(sizeof(struct lb_gue) == 4, "wire");

#define LB_GUE_PORT 6080

/* The private data of GUE that hands a packet from backend to backend ([chain]); addresses of the outer header's family follow. */
struct lb_chain {
	__u8 type;
	__u8 next; /* the hop to try if this host doesn't know the connection */
	__u8 count;
	__u8 reserved;
} LB_WIRE;
static_assert(sizeof(struct lb_chain) == 4, "wire");

#define LB_CHAIN_TYPE 1
#define LB_HOPS_MAX 2

struct lb_packet {
	void *frame; /* the includer's: what lb_head_grow() and lb_tail_trim() move */
	__u8 *data;
	__u8 *end;
};

/* Moves the start of the packet by so many bytes outward (inward if negative) and sets data and end anew; what was
 * found in the packet before is void. 0, or negative errno and nothing moved. Defined by the includer. */
LB_INLINE int lb_head_grow(struct lb_packet *p, int by);
/* Cuts the packet to so many bytes, fewer than it has; as lb_head_grow(). */
LB_INLINE int lb_tail_trim(struct lb_packet *p, __u32 size);

/*
 * Where size bytes at this offset start, or NULL if they aren't all there. Test the result before the next call: the
 * verifier knows a pointer as checked only on the branch of its own comparison, so BPF's compiler must not join two.
 */
LB_INLINE void *lb_at(const struct lb_packet *p, __u32 offset, __u32 size)
{
	__u8 *at = p->data + offset;

#ifdef __bpf__
	asm volatile("" : "+r"(at));
#endif
	return at + size > p->end ? (void *)0 : at;
}

/* How many bytes there are. */
LB_INLINE __u64 lb_size(const struct lb_packet *p)
{
	__u64 size = (__u64)(p->end - p->data);

#ifdef __bpf__
	asm volatile("" : "+r"(size)); /* else the pointers are narrowed before they are subtracted */
#endif
	return size;
}

/* The Internet checksum of a sum of words (RFC 1071), folded and complemented. */
LB_INLINE __be16 lb_sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__be16)~sum;
}

#endif
