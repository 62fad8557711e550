/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a BPF hash map or LPM trie should hold. It is written over what the map holds: first all that is wanted, then what is too much
 * goes, so that an entry that stays is never missing in between.
 */
#ifndef HF_LB_WANTED_H
#define HF_LB_WANTED_H

#include <stddef.h>
#include <stdint.h>

struct wanted {
	uint8_t *entries; /* a key and its value each */
	size_t key_size, value_size, count, room;
};

void wanted_init(struct wanted *w, size_t key_size, size_t value_size);
void wanted_free(struct wanted *w);
/* A key that is put again has its last value. */
void wanted_put(struct wanted *w, const void *key, const void *value);
/* The two steps, for a caller with something to do in between. 0, or negative errno: -E2BIG if the map is too small. */
int wanted_add(const struct wanted *w, int map);
int wanted_remove_others(struct wanted *w, int map);

#endif
