/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What both sides of bench/lb_dpdk forward: TCP segments with right checksums, of 2^20 flows to one VIP in turn, written over what a port that
 * gives packets for nothing (net_null) gave.
 */
#ifndef HF_BENCH_LB_DPDK_SOURCE_H
#define HF_BENCH_LB_DPDK_SOURCE_H

#include <rte_mbuf.h>

#include "bpf/lb_wire.h"

#define SOURCE_FLOWS (1u << 20)
#define SOURCE_VIP LB_HTONL(0x0a010001)

struct headers {
	struct lb_eth eth;
	struct lb_ip4 ip;
	struct lb_tcp tcp;
	__u8 payload[6]; /* up to the least size of a frame */
} __attribute__((packed, aligned(2)));

struct source {
	uint32_t next; /* flow */
};

/* A receive callback (rte_rx_callback_fn); arg: the source. */
uint16_t source_write(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n, uint16_t max, void *arg);
/* What the source wrote where h says that it is of this flow. Only h's source address is read. */
struct headers source_headers(const struct headers *h);

#endif
