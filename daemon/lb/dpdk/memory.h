/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DPDK data plane's tables: memory of this process, read by its workers without a lock. What is looked up by key, and the
 * configuration, is replaced whole by one store of a pointer; what it replaced is freed when every worker has begun another turn
 * (quiescent-state-based reclamation, rte_rcu_qsbr).
 */
#ifndef HF_LB_DPDK_MEMORY_H
#define HF_LB_DPDK_MEMORY_H

#include <rte_rcu_qsbr.h>

#include "lb/dpdk/fragments.h"
#include "lb/dpdk/image.h"
#include "lb/tables.h"

/* How much of what: TABLES_ constants in the program, less in a test. */
struct memory_sizes {
	uint32_t services, backends, slots, flows, buckets, snats, snat_buckets;
};

/* Written by one worker alone, read by whoever likes. Drops have reasons; what a queue had no room for is beside them. */
struct memory_counts {
	struct lb_count *services, *backends; /* by number */
	struct lb_drops drops;
	uint64_t to_kernel, from_kernel;
	uint64_t unsent, kernel_unsent; /* the queue was full */
};

struct memory {
	struct tables tables;
	struct lb_config *config; /* replaced whole */
	struct image *keyed[TABLES_KEYED];
	struct fragments *fragments;
	struct rte_rcu_qsbr *rcu;            /* workers report to it under their numbers */
	const struct memory_counts **counts; /* the workers', by these; NULL until one is there */
};

extern const struct memory_sizes memory_sizes_default;

/* Empty tables for so many workers. */
void memory_init(struct memory *m, const struct memory_sizes *sizes, unsigned workers);
void memory_fini(struct memory *m);

#endif
