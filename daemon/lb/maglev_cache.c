/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/maglev_cache.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

void maglev_cache_fini(struct maglev_cache *c)
{
	for (uint32_t i = 0; i < MAGLEV_CACHE_MAX; i++)
		free(c->list[i].slots);
	*c = (struct maglev_cache){0};
}

/* Word by word: what pads the structs is nobody's. */
static uint64_t key_of(const struct maglev_backend *backends, uint32_t count)
{
	uint64_t key = count;

	for (uint32_t i = 0; i < count; i++) {
		key = mix64(key ^ backends[i].id);
		key = mix64(key ^ ((uint64_t)backends[i].number << 16 | backends[i].weight));
	}
	return key;
}

/* The one that has it, else the one that was used longest ago. */
static struct cached_table *find(struct maglev_cache *c, uint64_t key, uint32_t size)
{
	struct cached_table *oldest = &c->list[0];

	for (uint32_t i = 0; i < MAGLEV_CACHE_MAX; i++) {
		struct cached_table *one = &c->list[i];

		if (one->used && one->key == key && one->size == size)
			return one;
		if (one->used < oldest->used)
			oldest = one;
	}
	oldest->used = 0;
	return oldest;
}

int maglev_cache_get(struct maglev_cache *c, const struct maglev_backend *backends, uint32_t count, uint32_t size, const uint16_t **ret_slots)
{
	uint64_t key = key_of(backends, count);
	struct cached_table *one = find(c, key, size);
	int r;

	if (!one->used) {
		one->slots = mem_realloc(one->slots, size * sizeof *one->slots);
		r = maglev_fill(backends, count, one->slots, size);
		if (r < 0)
			return r;
		one->key = key;
		one->size = size;
	}
	one->used = ++c->turn;
	*ret_slots = one->slots;
	return 0;
}
