/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one core, one pair of queues on the port and one on the kernel's side of it. Each turn of its loop is
 *
 *   port --burst--> recognise all --slots fetched--> look at the slots --flows, backends fetched--> decide, rewrite --> port
 *                                                                            not for a VIP, or LOCAL --------------> kernel
 *   kernel --burst------------------------------------------------------------------------------------------------> port
 *   quiescent: nothing of the tables is held any more
 *
 * What the decision needs from memory is asked for a burst at a time before it is used, so that its misses overlap.
 */
#ifndef HF_LB_DPDK_WORKER_H
#define HF_LB_DPDK_WORKER_H

#include <stdbool.h>

#include <rte_mbuf.h>

#include "lb/dpdk/capture.h"
#include "lb/dpdk/memory.h"

#define WORKER_BURST 32

struct worker {
	struct memory *memory;
	uint16_t number; /* of its queues, and in the memory's RCU */
	uint16_t port, kernel;
	const bool *stop;
	struct memory_counts counts;
	struct capture capture;
	/* of the burst at hand */
	const struct lb_config *config;
	uint64_t now_ns;
	struct lb_fragment fragment; /* the last that was looked up */
};

/* What became of a burst but for what was dropped and freed. */
struct verdicts {
	struct rte_mbuf *send[WORKER_BURST], *kernel[WORKER_BURST];
	uint16_t send_count, kernel_count;
};

void worker_init(struct worker *w, struct memory *m, uint16_t number);
void worker_fini(struct worker *w);
/* Decides on up to WORKER_BURST packets, which it takes over, and rewrites those to be sent. now_ns is of the monotonic clock. */
void worker_decide(struct worker *w, struct rte_mbuf **burst, uint16_t count, uint64_t now_ns, struct verdicts *ret);
/* The loop, until *stop; the worker's port, kernel and stop are set. For rte_eal_remote_launch(); 0. */
int worker_run(void *worker);

#endif
