/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a way to deliver puts in front of a packet: a constant of it, hops counted, so that a path has one MTU whether its slot moved or not
 * ([mtu]). For the data planes, and for the backend's side, whose clients are to know it.
 */
#ifndef HF_BPF_LB_OVERHEAD_H
#define HF_BPF_LB_OVERHEAD_H

#include "bpf/lb_wire.h"

/* Of a hop's address in a chain, by the family of backends. */
LB_INLINE __u32 lb_hop_size(__u8 family)
{
	return family == LB_IP4 ? 4 : 16;
}

/* family: the backend's; chain: with hops, which only GUE has room for. */
LB_INLINE __u32 lb_tunnel_overhead(__u8 delivery, _Bool chain, __u8 family)
{
	__u32 outer = family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6);

	if (delivery == LB_IPIP)
		return outer;
	if (delivery != LB_GUE)
		return 0;
	outer += sizeof(struct lb_udp) + sizeof(struct lb_gue);
	return chain ? outer + sizeof(struct lb_chain) + LB_HOPS_MAX * lb_hop_size(family) : outer;
}

#endif
