/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slot words of a service, computed from the generations of its backends that the catalog keeps ([slot], [generations]): never
 * from what this balancer did before, so that a restarted or third one agrees.
 *
 *   current    the owner in the active generation
 *   previous   the oldest live owner that is not retired: where flows of unknown age belong
 *   between    what a hand-over tries first: the owner to come of a prepared change, else the latest earlier live owner ([two steps],
 * [chain]) moved      whether any of them is another than current
 */
#ifndef HF_LB_SLOTS_H
#define HF_LB_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/lb_abi.h"

#define GENERATIONS_MAX 8

/* A table that maglev_fill() made. */
struct generation {
	const uint16_t *table;
	uint32_t size;
};

struct generations {
	struct generation active;
	struct generation prepared;                 /* table NULL: no change is prepared */
	struct generation earlier[GENERATIONS_MAX]; /* not retired, the latest first */
	uint32_t earlier_count;
	const bool *alive; /* by backend number */
};

/* How many slots the words take: those of the largest table. */
uint32_t slots_count(const struct generations *g);
/* Fills that many words and returns how many of them say that they moved. */
uint32_t slots_compute(const struct generations *g, struct lb_slot *ret);

#endif
