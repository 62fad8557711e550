/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/map.h"

#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>

#define KEY_MAX 64

int map_add(int map, const struct wanted *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (bpf_map_update_elem(map, wanted_key(w, i), wanted_value(w, i), BPF_ANY) < 0)
			return -errno;
	return 0;
}

/* The next key is asked for before one is deleted: from a key that isn't there the kernel starts anew. */
int map_remove_others(int map, struct wanted *w)
{
	uint8_t key[KEY_MAX], next[KEY_MAX];
	int more = bpf_map_get_next_key(map, NULL, key);

	wanted_sort(w);
	while (more == 0) {
		more = bpf_map_get_next_key(map, key, next);
		if (!wanted_has(w, key) && bpf_map_delete_elem(map, key) < 0 && errno != ENOENT)
			return -errno;
		memcpy(key, next, w->key_size);
	}
	return 0;
}
