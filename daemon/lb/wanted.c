/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/wanted.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void wanted_init(struct wanted *w, size_t key_size, size_t value_size)
{
	*w = (struct wanted){.key_size = key_size, .value_size = value_size};
}

void wanted_free(struct wanted *w)
{
	free(w->entries);
	w->entries = NULL;
	w->count = w->room = 0;
}

static uint8_t *entry(const struct wanted *w, size_t i)
{
	return w->entries + i * (w->key_size + w->value_size);
}

void wanted_put(struct wanted *w, const void *key, const void *value)
{
	if (w->count == w->room) {
		w->room = w->room ? 2 * w->room : 64;
		w->entries = mem_realloc(w->entries, w->room * (w->key_size + w->value_size));
	}
	memcpy(entry(w, w->count), key, w->key_size);
	memcpy(entry(w, w->count) + w->key_size, value, w->value_size);
	w->count++;
}

const void *wanted_key(const struct wanted *w, size_t i)
{
	return entry(w, i);
}

const void *wanted_value(const struct wanted *w, size_t i)
{
	return entry(w, i) + w->key_size;
}

static int by_key(const void *a, const void *b, void *key_size)
{
	return memcmp(a, b, *(size_t *)key_size);
}

void wanted_sort(struct wanted *w)
{
	if (w->count)
		qsort_r(w->entries, w->count, w->key_size + w->value_size, by_key, &w->key_size);
}

bool wanted_has(const struct wanted *w, const void *key)
{
	size_t low = 0, high = w->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = memcmp(entry(w, middle), key, w->key_size);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
