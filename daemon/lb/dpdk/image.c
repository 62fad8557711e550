/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/image.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bpf/lb_abi.h"

static_assert(32 + 8 * sizeof(struct lb_address) < IMAGE_LENGTHS_MAX, "every length has room");

static uint8_t *place(const struct image *i, uint32_t at)
{
	return (uint8_t *)(uintptr_t)i->places + (size_t)at * i->stride;
}

static uint64_t hash_at(const struct image *i, uint32_t at)
{
	uint64_t hash;

	memcpy(&hash, place(i, at), sizeof hash);
	return hash;
}

/* Where the key is, or where it would be. */
static uint8_t *find(const struct image *i, const void *key, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & i->mask;

	while (hash_at(i, at) && (hash_at(i, at) != hash || memcmp(place(i, at) + sizeof hash, key, i->key_size) != 0))
		at = (at + 1) & i->mask;
	return place(i, at);
}

static void put(struct image *i, const void *key, const void *value, bool replace)
{
	uint64_t hash = image_hash(key, i->key_size), held;
	uint8_t *to = find(i, key, hash);

	memcpy(&held, to, sizeof held);
	if (held && !replace)
		return;
	i->count += !held;
	assert(i->count <= i->mask);
	memcpy(to, &hash, sizeof hash);
	memcpy(to + sizeof hash, key, i->key_size);
	memcpy(to + sizeof hash + i->key_size, value, i->value_size);
}

static struct image *allocate(const struct wanted *w, const struct image *beside)
{
	size_t stride = sizeof(uint64_t) + w->key_size + w->value_size, places = 2;
	struct image *i;

	while (places < 2 * (w->count + (beside ? beside->count : 0) + 1))
		places *= 2;
	i = mem_aligned(_Alignof(struct image), round_up(sizeof *i + places * stride, _Alignof(struct image)));
	memset(i, 0, sizeof *i + places * stride);
	i->mask = (uint32_t)places - 1;
	i->key_size = (uint32_t)w->key_size;
	i->value_size = (uint32_t)w->value_size;
	i->stride = (uint32_t)stride;
	return i;
}

static void put_others(struct image *i, const struct image *beside)
{
	for (uint32_t at = 0; beside && at <= beside->mask; at++)
		if (hash_at(beside, at))
			put(i, place(beside, at) + sizeof(uint64_t), place(beside, at) + sizeof(uint64_t) + beside->key_size, false);
}

struct image *image_new(const struct wanted *w, const struct image *beside)
{
	struct image *i = allocate(w, beside);

	for (size_t n = 0; n < w->count; n++)
		put(i, wanted_key(w, n), wanted_value(w, n), true);
	put_others(i, beside);
	return i;
}

/* Without what is behind its end. */
static struct lb_prefix cut(const struct lb_prefix *p)
{
	struct lb_prefix to = *p;
	uint8_t *addr = (uint8_t *)&to.addr;

	for (uint32_t bit = to.bits - 32; bit < 8 * sizeof to.addr; bit++)
		addr[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return to;
}

static void note_lengths(struct image *i)
{
	bool there[IMAGE_LENGTHS_MAX] = {false};

	for (uint32_t at = 0; at <= i->mask; at++) {
		struct lb_prefix p;

		memcpy(&p, place(i, at) + sizeof(uint64_t), sizeof p);
		if (hash_at(i, at))
			there[p.bits] = true;
	}
	for (unsigned bits = IMAGE_LENGTHS_MAX; bits-- > 0;)
		if (there[bits])
			i->lengths[i->length_count++] = (uint8_t)bits;
}

struct image *image_new_prefixes(const struct wanted *w, const struct image *beside)
{
	struct image *i = allocate(w, beside);

	for (size_t n = 0; n < w->count; n++) {
		struct lb_prefix p = cut(wanted_key(w, n));

		put(i, &p, wanted_value(w, n), true);
	}
	put_others(i, beside);
	note_lengths(i);
	return i;
}

void image_free(struct image *i)
{
	free(i);
}
