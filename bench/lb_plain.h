/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef HOLDFAST_BENCH_LB_PLAIN_H
#define HOLDFAST_BENCH_LB_PLAIN_H

/*
 * An encapsulation and nothing else: IPv4 in IPv4 to an address that the caller has, no table asked, nothing counted. What bench/lb and
 * bench/lb_veth.py hold the balancer against.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/lb_wire.h"

/* The outer headers. */
struct plain_tunnel {
	struct lb_mac from, to;
	__be32 src, dst;
};

/* RFC 1071. */
static __always_inline __be16 plain_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__be16) ~((sum & 0xffff) + (sum >> 16));
}

/* size: bytes of the inner packet. Returns the verdict. */
static __always_inline int plain_encapsulate(struct xdp_md *ctx, const struct plain_tunnel *t, __u32 size)
{
	struct lb_ip4 *ip, outer = {
				   .version_words = 0x45,
				   .length = LB_HTONS(size + sizeof outer),
				   .ttl = 64,
				   .proto = LB_PROTO_IP4,
				   .src = t->src,
				   .dst = t->dst,
			   };
	struct lb_eth *eth;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof outer))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	outer.sum = plain_fold((__u64)0x45 + outer.length + 0x0440 + outer.src + (__u64)outer.dst);
	eth->src = t->from;
	eth->dst = t->to;
	eth->type = LB_HTONS(LB_ETH_IP4);
	*ip = outer;
	return XDP_TX;
}

#endif
