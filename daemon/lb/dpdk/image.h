/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that is looked up by key and never changes: what replaces it is another one, and one store puts that in its place. So a look-up
 * takes no lock and nothing can move under its eyes. Open addressing with linear probing, at most half full; what a look-up passes on its
 * way depends on what is in the table, which is the catalog's, never on what outsiders look for.
 */
#ifndef HF_LB_DPDK_IMAGE_H
#define HF_LB_DPDK_IMAGE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bpf/lb_wire.h"
#include "lb/wanted.h"

#define IMAGE_LENGTHS_MAX 193 /* 32 bits of service and 128 of address, and none */

/* Keys of up to 24 bytes as words, zero behind their end. Whoever looks up makes the words of values in registers: a key that is stored in
 * parts and loaded whole waits for the stores, which is most of what a look-up takes. */
#define IMAGE_KEY_WORDS 3

struct image_key {
	uint64_t word[IMAGE_KEY_WORDS];
};

struct image {
	uint32_t mask; /* places less one */
	uint32_t count;
	uint32_t key_size, value_size, stride;
	uint8_t lengths[IMAGE_LENGTHS_MAX]; /* of a table of prefixes: those that there are, longest first */
	uint8_t length_count;
	_Alignas(64) uint64_t places[]; /* the hash of the key, 0 where the place is free; the key; its value */
};

/* All that is wanted, the last value of each key; besides, what another image has under other keys. beside may be NULL. */
struct image *image_new(const struct wanted *w, const struct image *beside);
/* The same of prefixes: keys are struct lb_prefix, and what is behind a prefix's end doesn't count. */
struct image *image_new_prefixes(const struct wanted *w, const struct image *beside);
void image_free(struct image *i);

static inline uint64_t image_hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 32;
}

/* Never 0. No loop, which would have the key in memory. */
static inline uint64_t image_hash(const struct image_key *key)
{
	return image_hash_word(image_hash_word(image_hash_word(0, key->word[0]), key->word[1]), key->word[2]) | 1u << 31;
}
static_assert(IMAGE_KEY_WORDS == 3, "every word is hashed");

/* The value of a key, or NULL. Its size is the table's, and a constant where this is called. */
static inline __attribute__((always_inline)) const void *image_find(const struct image *i, const struct image_key *key, size_t value_size)
{
	const size_t stride = 1 + IMAGE_KEY_WORDS + (value_size + sizeof(uint64_t) - 1) / sizeof(uint64_t);
	uint64_t hash = image_hash(key);

	for (uint32_t at = (uint32_t)hash & i->mask;; at = (at + 1) & i->mask) {
		const uint64_t *place = i->places + at * stride;

		if (place[0] == hash && place[1] == key->word[0] && place[2] == key->word[1] && place[3] == key->word[2])
			return place + 1 + IMAGE_KEY_WORDS;
		if (!place[0])
			return NULL;
	}
}

static_assert(sizeof(struct lb_prefix) == sizeof(struct image_key), "a prefix is whole words");

/* The value of the longest prefix that matches, or NULL: one look-up for each length that there is. */
static inline const uint32_t *image_find_prefix(const struct image *i, const struct lb_prefix *prefix)
{
	for (unsigned n = 0; n < i->length_count; n++) {
		struct lb_prefix p = *prefix;
		struct image_key key;
		const uint32_t *value;

		if (i->lengths[n] > prefix->bits)
			continue;
		p.bits = i->lengths[n];
		lb_address_mask(&p.addr, p.bits - 32);
		memcpy(&key, &p, sizeof p);
		value = image_find(i, &key, sizeof *value);
		if (value)
			return value;
	}
	return NULL;
}

#endif
