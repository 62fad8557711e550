/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/lb_dpdk_source.h"

#include <rte_byteorder.h>
#include <rte_ip.h>

static const struct headers template = {
	.eth = {.dst = {{LB_HTONS(0x0200), 0, LB_HTONS(1)}}, .src = {{LB_HTONS(0x0200), 0, LB_HTONS(2)}}, .type = LB_HTONS(LB_ETH_IP4)},
	.ip = {.version_words = 0x45, .length = LB_HTONS(46), .ttl = 64, .proto = LB_PROTO_TCP, .dst = SOURCE_VIP},
	.tcp = {.dport = LB_HTONS(80), .words = 0x50, .flags = LB_TCP_ACK},
};

static void write_one(struct headers *h, uint32_t flow)
{
	*h = template;
	h->ip.src = LB_HTONL(0x0a800000) | rte_cpu_to_be_32(flow);
	h->tcp.sport = rte_cpu_to_be_16((uint16_t)(1024 + (flow & 0x3fff)));
	h->ip.sum = rte_ipv4_cksum((const struct rte_ipv4_hdr *)&h->ip);
	h->tcp.sum = rte_ipv4_udptcp_cksum((const struct rte_ipv4_hdr *)&h->ip, &h->tcp);
}

uint16_t source_write(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n, uint16_t max, void *arg)
{
	struct source *s = arg;

	(void)port;
	(void)queue;
	(void)max;
	for (uint16_t i = 0; i < n; i++)
		write_one(rte_pktmbuf_mtod(packets[i], struct headers *), s->next++ & (SOURCE_FLOWS - 1));
	return n;
}

struct headers source_headers(const struct headers *h)
{
	struct headers made;

	write_one(&made, rte_be_to_cpu_32(h->ip.src) & (SOURCE_FLOWS - 1));
	return made;
}
