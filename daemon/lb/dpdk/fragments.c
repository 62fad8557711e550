/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/fragments.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lb/dpdk/image.h"

#define BUCKETS (1u << 12)
#define WAYS 4

#define KEY_WORDS (sizeof(struct lb_fragment_key) / sizeof(uint64_t))
#define VALUE_WORDS 2

/* Key and value as they are exchanged: whole words. */
union key {
	struct lb_fragment_key key;
	uint64_t word[KEY_WORDS];
};

union value {
	struct lb_fragment value;
	uint64_t word[VALUE_WORDS];
};

static_assert(sizeof(struct lb_fragment_key) % sizeof(uint64_t) == 0, "a key is words");
static_assert(sizeof(union value) == VALUE_WORDS * sizeof(uint64_t), "a value fits its words");

struct entry {
	uint64_t turn;
	uint64_t key[KEY_WORDS];
	uint64_t value[VALUE_WORDS];
};
static_assert(sizeof(struct entry) == 64, "one cache line");

struct fragments {
	struct entry entries[BUCKETS][WAYS];
};

struct fragments *fragments_new(void)
{
	struct fragments *f = mem_aligned(sizeof(struct entry), sizeof *f);

	memset(f, 0, sizeof *f);
	return f;
}

void fragments_free(struct fragments *f)
{
	free(f);
}

static void load(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void store(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
}

/* Key and value as they were at one moment; false if they were being written. */
static bool read_entry(const struct entry *e, union key *ret_key, union value *ret_value, uint64_t *ret_turn)
{
	*ret_turn = __atomic_load_n(&e->turn, __ATOMIC_ACQUIRE);
	load(ret_key->word, e->key, KEY_WORDS);
	load(ret_value->word, e->value, VALUE_WORDS);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(*ret_turn & 1) && __atomic_load_n(&e->turn, __ATOMIC_RELAXED) == *ret_turn;
}

static uint64_t bucket_of(const struct lb_config *c, const struct lb_fragment_key *key)
{
	const union key k = {.key = *key};
	uint64_t hash = c->secret[0];

	for (size_t i = 0; i < KEY_WORDS; i++)
		hash = image_hash_word(hash, k.word[i]);
	return image_hash_word(hash, c->secret[1]) % BUCKETS;
}

bool fragments_find(const struct fragments *f, const struct lb_config *c, const struct lb_fragment_key *key, struct lb_fragment *ret)
{
	const struct entry *bucket = f->entries[bucket_of(c, key)];
	union value v;
	union key k;
	uint64_t turn;

	for (int i = 0; i < WAYS; i++) {
		if (!read_entry(&bucket[i], &k, &v, &turn) || !turn || memcmp(&k.key, key, sizeof *key) != 0)
			continue;
		*ret = v.value;
		return true;
	}
	return false;
}

/* Where a key's value goes: over itself, into a free entry, else over the oldest. NULL if all are being written. */
static struct entry *find_place(struct entry *bucket, const struct lb_fragment_key *key, uint32_t now, uint64_t *ret_turn)
{
	struct entry *best = NULL;
	uint64_t best_age = 0;

	for (int i = 0; i < WAYS; i++) {
		union value v;
		union key k;
		uint64_t turn, age;

		if (!read_entry(&bucket[i], &k, &v, &turn))
			continue;
		age = !turn ? 1ull << 33 : !memcmp(&k.key, key, sizeof *key) ? 1ull << 34 : (uint64_t)(now - v.value.seen_ticks);
		if (!best || age > best_age) {
			best = &bucket[i];
			best_age = age;
			*ret_turn = turn;
		}
	}
	return best;
}

void fragments_put(struct fragments *f, const struct lb_config *c, const struct lb_fragment_key *key, const struct lb_fragment *value)
{
	union value v = {.word = {0}};
	union key k = {.key = *key};
	uint64_t turn = 0;
	struct entry *e = find_place(f->entries[bucket_of(c, key)], key, value->seen_ticks, &turn);

	if (!e || !__atomic_compare_exchange_n(&e->turn, &turn, turn + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	v.value = *value;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	store(e->key, k.word, KEY_WORDS);
	store(e->value, v.word, VALUE_WORDS);
	__atomic_store_n(&e->turn, turn + 2, __ATOMIC_RELEASE);
}
