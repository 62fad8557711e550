/* SPDX-License-Identifier: Apache-2.0 */
/* What a table that is looked up by key should hold. */
#ifndef HF_LB_WANTED_H
#define HF_LB_WANTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wanted {
	uint8_t *entries; /* a key and its value each */
	size_t key_size, value_size, count, room;
};

void wanted_init(struct wanted *w, size_t key_size, size_t value_size);
void wanted_free(struct wanted *w);
/* A key that is put again has its last value: whoever reads goes by order. */
void wanted_put(struct wanted *w, const void *key, const void *value);
const void *wanted_key(const struct wanted *w, size_t i);
const void *wanted_value(const struct wanted *w, size_t i);
/* By their keys' bytes. The order of puts is lost. */
void wanted_sort(struct wanted *w);
/* Once it is sorted. */
bool wanted_has(const struct wanted *w, const void *key);

#endif
