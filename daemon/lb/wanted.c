/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/wanted.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "base/mem.h"

#define KEY_MAX 64

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

int wanted_add(const struct wanted *w, int map)
{
	for (size_t i = 0; i < w->count; i++)
		if (bpf_map_update_elem(map, entry(w, i), entry(w, i) + w->key_size, BPF_ANY) < 0)
			return -errno;
	return 0;
}

static int by_key(const void *a, const void *b, void *key_size)
{
	return memcmp(a, b, *(size_t *)key_size);
}

/* Once the entries are in the order of their keys. */
static bool wants(const struct wanted *w, const void *key)
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

/* The next key is asked for before one is deleted: from a key that isn't there the kernel starts anew. */
int wanted_remove_others(struct wanted *w, int map)
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	int more = bpf_map_get_next_key(map, NULL, key);

	if (w->count)
		qsort_r(w->entries, w->count, w->key_size + w->value_size, by_key, &w->key_size);
	while (more == 0) {
		more = bpf_map_get_next_key(map, key, next);
		if (!wants(w, key) && bpf_map_delete_elem(map, key) < 0 && errno != ENOENT)
			return -errno;
		memcpy(key, next, w->key_size);
	}
	return 0;
}
