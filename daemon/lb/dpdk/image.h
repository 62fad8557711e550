/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that is looked up by key and never changes: what replaces it is another one, and one store puts that in its place. So a look-up
 * takes no lock and nothing can move under its eyes. Open addressing with linear probing, at most half full; what a look-up passes on its
 * way depends on what is in the table, which is the catalog's, never on what outsiders look for.
 */
#ifndef HF_LB_DPDK_IMAGE_H
#define HF_LB_DPDK_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lb/wanted.h"

#define IMAGE_LENGTHS_MAX 193 /* 32 bits of service and 128 of address, and none */

struct image {
	uint32_t mask; /* places less one */
	uint32_t count;
	uint32_t key_size, value_size, stride;
	uint8_t lengths[IMAGE_LENGTHS_MAX]; /* of a table of prefixes: those that there are, longest first */
	uint8_t length_count;
	_Alignas(64) uint8_t places[]; /* the hash of the key, 0 where the place is free; the key; its value */
};

/* All that is wanted, the last value of each key; besides, what another image has under other keys. beside may be NULL. */
struct image *image_new(const struct wanted *w, const struct image *beside);
/* The same of prefixes: keys are struct lb_prefix, and what is behind a prefix's end doesn't count. */
struct image *image_new_prefixes(const struct wanted *w, const struct image *beside);
void image_free(struct image *i);

/* Keys are words of four bytes. Never 0. */
static inline uint64_t image_hash(const void *key, size_t key_size)
{
	uint64_t hash = 0, word;
	uint32_t half;
	size_t at = 0;

	for (; at + sizeof word <= key_size; at += sizeof word) {
		memcpy(&word, (const uint8_t *)key + at, sizeof word);
		hash = (hash ^ word) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 32;
	}
	if (at < key_size) {
		memcpy(&half, (const uint8_t *)key + at, sizeof half);
		hash = (hash ^ half) * 0xc4ceb9fe1a85ec53u;
		hash ^= hash >> 32;
	}
	return hash | 1u << 31;
}

/* The value of a key, or NULL. The size is the table's, and a constant where this is called, so that nothing loops. */
static inline const void *image_find(const struct image *i, const void *key, size_t key_size, size_t value_size)
{
	const size_t stride = sizeof(uint64_t) + key_size + value_size;
	uint64_t hash = image_hash(key, key_size), held;

	for (uint32_t at = (uint32_t)hash & i->mask;; at = (at + 1) & i->mask) {
		const uint8_t *place = i->places + at * stride;

		memcpy(&held, place, sizeof held);
		if (held == hash && !memcmp(place + sizeof held, key, key_size))
			return place + sizeof held + key_size;
		if (!held)
			return NULL;
	}
}

#endif
