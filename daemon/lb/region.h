/* SPDX-License-Identifier: Apache-2.0 */
/* Room for a run of elements in an array that many share: services' backends and slots in the maps. */
#ifndef HF_LB_REGION_H
#define HF_LB_REGION_H

#include <stdbool.h>
#include <stdint.h>

struct region {
	uint32_t base, size;
};

/* The first place where size elements fit between those in use, below limit. Sorts used. False: there is none. */
bool region_find(struct region *used, uint32_t count, uint32_t size, uint32_t limit, uint32_t *ret_base);

#endif
