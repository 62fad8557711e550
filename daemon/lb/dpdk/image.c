/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/image.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bpf/lb_abi.h"

static_assert(32 + 8 * sizeof(struct lb_address) < IMAGE_LENGTHS_MAX, "every length has room");

static_assert(sizeof(struct lb_prefix) <= sizeof(struct image_key), "every key has room");

static uint64_t *place(const struct image *i, uint32_t at)
{
	return (uint64_t *)(uintptr_t)i->places + (size_t)at * i->stride;
}

static struct image_key key_at(const uint64_t *place)
{
	struct image_key key;

	memcpy(&key, place + 1, sizeof key);
	return key;
}

static const void *value_at(const uint64_t *place)
{
	return place + 1 + IMAGE_KEY_WORDS;
}

/* Where the key is, or where it would be. */
static uint64_t *find(const struct image *i, const struct image_key *key, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & i->mask;

	while (*place(i, at) && (*place(i, at) != hash || memcmp(place(i, at) + 1, key, sizeof *key) != 0))
		at = (at + 1) & i->mask;
	return place(i, at);
}

static void put(struct image *i, const struct image_key *key, const void *value, bool replace)
{
	uint64_t hash = image_hash(key), *to = find(i, key, hash);

	if (*to && !replace)
		return;
	i->count += !*to;
	assert(i->count <= i->mask);
	to[0] = hash;
	memcpy(to + 1, key, sizeof *key);
	memcpy(to + 1 + IMAGE_KEY_WORDS, value, i->value_size);
}

static struct image_key words(const void *key, size_t size)
{
	struct image_key to = {{0}};

	memcpy(&to, key, size);
	return to;
}

static struct image *allocate(const struct wanted *w, const struct image *beside)
{
	size_t stride = 1 + IMAGE_KEY_WORDS + round_up(w->value_size, sizeof(uint64_t)) / sizeof(uint64_t), places = 2, size;
	struct image *i;

	while (places < 2 * (w->count + (beside ? beside->count : 0) + 1))
		places *= 2;
	size = round_up(sizeof *i + places * stride * sizeof(uint64_t), _Alignof(struct image));
	i = mem_aligned(_Alignof(struct image), size);
	memset(i, 0, size);
	i->mask = (uint32_t)places - 1;
	i->key_size = (uint32_t)w->key_size;
	i->value_size = (uint32_t)w->value_size;
	i->stride = (uint32_t)stride;
	return i;
}

static void put_others(struct image *i, const struct image *beside)
{
	for (uint32_t at = 0; beside && at <= beside->mask; at++) {
		const uint64_t *from = place(beside, at);
		struct image_key key = key_at(from);

		if (*from)
			put(i, &key, value_at(from), false);
	}
}

struct image *image_new(const struct wanted *w, const struct image *beside)
{
	struct image *i = allocate(w, beside);

	for (size_t n = 0; n < w->count; n++) {
		struct image_key key = words(wanted_key(w, n), w->key_size);

		put(i, &key, wanted_value(w, n), true);
	}
	put_others(i, beside);
	return i;
}

/* Without what is behind its end. */
static struct lb_prefix cut(const struct lb_prefix *p)
{
	struct lb_prefix to = *p;

	lb_address_mask(&to.addr, to.bits - 32);
	return to;
}

static void note_lengths(struct image *i)
{
	bool there[IMAGE_LENGTHS_MAX] = {false};

	for (uint32_t at = 0; at <= i->mask; at++) {
		struct lb_prefix p;

		memcpy(&p, place(i, at) + 1, sizeof p);
		if (*place(i, at))
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
		struct image_key key = words(&p, sizeof p);

		put(i, &key, wanted_value(w, n), true);
	}
	put_others(i, beside);
	note_lengths(i);
	return i;
}

void image_free(struct image *i)
{
	free(i);
}
