/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slot words of a service, computed from the generations of its backends that the catalog keeps ([slot], [generations]): never
 * from what this balancer did before, so that a restarted or third one agrees.
 *
 *   current    the owner in the active generation
 *   previous   the oldest live owner that is not retired: where flows of unknown age belong
 *   between    what a hand-over tries first: the owner to come of a prepared change ([two steps]), else the latest earlier live owner
 *   moved      whether any of them is another than current, or an earlier owner is dead: what begins here meanwhile must be known when it
 *              is back
 *
 * One exception: a backend that takes no new flows here, because it fails this balancer's own checks and no record can be had. A stand-in
 * is current in its slots while it is skipped, and its flows stay with it; for a time after that its slots count as moved still, as they do
 * when a record of its death gives them to others, so that the stand-ins' flows are found in the flow table. The stand-in of a slot is
 * drawn from the other slots' owners by the slot's number: by weight, and the same whoever else is skipped, unless that is the one that was
 * drawn.
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

enum slot_skip {
	SLOT_NOT_SKIPPED,
	SLOT_SKIPPED,
	SLOT_SKIPPED_LATELY,
};

struct generations {
	struct generation active;
	struct generation prepared;                 /* table NULL: no change is prepared */
	struct generation earlier[GENERATIONS_MAX]; /* not retired, the latest first */
	uint32_t earlier_count;
	const bool *alive;      /* by backend number */
	const uint8_t *skipped; /* enum slot_skip, by backend number; NULL, or all owners are: none is */
	bool datagrams;         /* nobody can tell which are of an old flow: a stand-in gets them all */
};

/* How many slots the words take: those of the largest table. */
uint32_t slots_count(const struct generations *g);
/* Fills that many words and returns how many of them say that they moved. */
uint32_t slots_compute(const struct generations *g, struct lb_slot *ret);

#endif
