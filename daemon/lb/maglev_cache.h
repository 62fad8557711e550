/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maglev tables that were filled before. A table is a function of its generation, and a change of a service asks for those of all its
 * kept generations again, twice: to fill them anew would take longer than all else from the change to the first packet by it.
 */
#ifndef HF_LB_MAGLEV_CACHE_H
#define HF_LB_MAGLEV_CACHE_H

#include "lb/maglev.h"

#define MAGLEV_CACHE_MAX 64u /* 8 MiB of the largest ones */

struct maglev_cache {
	struct cached_table {
		uint64_t key; /* hash of what it was filled from */
		uint32_t size;
		uint64_t used; /* turn of the last use; 0: none yet */
		uint16_t *slots;
	} list[MAGLEV_CACHE_MAX];
	uint64_t turn;
};

void maglev_cache_fini(struct maglev_cache *c);
/* As maglev_fill(). *ret_slots is the cache's, and stays until MAGLEV_CACHE_MAX others were asked for. */
int maglev_cache_get(struct maglev_cache *c, const struct maglev_backend *backends, uint32_t count, uint32_t size, const uint16_t **ret_slots);

#endif
