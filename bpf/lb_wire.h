/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The headers that stand in a packet, in network order.
 *
 * IP starts two bytes off a word behind Ethernet, so headers have that alignment on the host; BPF on x86 doesn't care,
 * and packed structs would be read there byte by byte.
 */
#ifndef HF_BPF_LB_WIRE_H
#define HF_BPF_LB_WIRE_H

#include "bpf/lb_abi.h"

#ifdef __bpf__
#define LB_WIRE
#else
#define LB_WIRE __attribute__((packed, aligned(2)))
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

/* A part of an address. */
struct lb_word {
	__be32 is;
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

/* The option that a SYN and its answer have (RFC 9293, 3.7.1). */
struct lb_tcp_mss {
	__u8 kind;
	__u8 size;
	__be16 mss;
} LB_WIRE;
static_assert(sizeof(struct lb_tcp_mss) == 4, "wire");

#define LB_TCP_MSS 2

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
#define LB_HOPS_MAX 3

/* The first so many bits of an address. */
LB_INLINE void lb_address_mask(struct lb_address *a, __u32 bits)
{
	for (__u32 i = 0; i < 4; i++) {
		if (bits <= 32 * i)
			a->word[i] = 0;
		else if (bits < 32 * (i + 1))
			a->word[i] &= LB_HTONL(~0u << (32 * (i + 1) - bits));
	}
}

#endif
