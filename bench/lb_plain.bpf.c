/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The ceiling of bench/lb_veth.py: a balancer with no table at all. What it would look up is written here, and bench/lb_veth.py gives
 * its network these addresses: VIP 10.1.1.1, port 8080, balancer 10.2.0.10, backends 10.2.0.1 and .2 with MACs that end in the same number.
 */
#include "bench/lb_plain.h"

SEC("xdp")
int plain(struct xdp_md *ctx)
{
	struct lb_eth *eth = (void *)(long)ctx->data;
	struct lb_ip4 *ip = (void *)(eth + 1);
	struct lb_tcp *tcp = (void *)(ip + 1);
	struct plain_tunnel tunnel = {.src = LB_HTONL(0x0a02000a)};
	__u32 backend;

	if ((void *)(tcp + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (eth->type != LB_HTONS(LB_ETH_IP4) || ip->version_words != 0x45 || ip->proto != LB_PROTO_TCP)
		return XDP_PASS;
	if (ip->dst != LB_HTONL(0x0a010101) || tcp->dport != LB_HTONS(8080))
		return XDP_PASS;
	/* A Linux client takes every second port only, as long as there are any. */
	backend = 1 + (LB_NTOHS(tcp->sport) >> 1 & 1);
	tunnel.dst = LB_HTONL(0x0a020000 | backend);
	tunnel.to = (struct lb_mac){{LB_HTONS(0x0200), 0, LB_HTONS(backend)}};
	tunnel.from = eth->dst;
	return plain_encapsulate(ctx, &tunnel, LB_NTOHS(ip->length));
}

char _license[] SEC("license") = "Dual BSD/GPL";
