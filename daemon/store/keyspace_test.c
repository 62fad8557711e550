/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keyspace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/mem.h"

#define KEYS 3000
#define SLOT_OF_TAG 15495 /* of "{a}" */

/* All keys share a slot, so that its table grows. */
static size_t name(char *ret, unsigned k)
{
	return (size_t)sprintf(ret, "{a}%u", k);
}

static uint64_t recount(const struct keyspace *ks)
{
	struct keyspace_recount count = {0};

	while (keyspace_recount_some(ks, &count, 100))
		;
	return count.sum;
}

/* Redis Cluster specification: XMODEM CRC16, and its examples of hash tags. */
static void test_slots(void **state)
{
	static const struct {
		const char *key;
		uint16_t slot;
	} table[] = {
		{"123456789", 12739}, {"", 0}, {"a", 15495}, {"{a}", SLOT_OF_TAG}, {"foo", 12182}, {"{foo}bar", 12182},
		{"x{foo}", 12182},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_int_equal(key_slot(table[i].key, strlen(table[i].key)), table[i].slot);
	assert_int_equal(key_slot("{user1000}.following", 20), key_slot("user1000", 8));
	assert_int_equal(key_slot("foo{{bar}}zap", 13), key_slot("{bar", 4));
	assert_int_equal(key_slot("foo{bar}{zap}", 13), key_slot("bar", 3));
	assert_int_not_equal(key_slot("foo{}{bar}", 10), key_slot("bar", 3)); /* an empty tag is none */
}

struct seen {
	uint8_t *times;
	unsigned count;
	uint64_t last_hash, trail; /* what was met, in order */
};

static void see(void *arg, const struct object *o)
{
	struct seen *s = arg;
	char text[32] = {0};

	memcpy(text, object_key(o) + 3, o->key_size - 3);
	s->times[atoi(text)]++;
	s->count++;
	assert_true(o->hash >= s->last_hash);
	s->last_hash = o->hash;
	s->trail = mix64(s->trail ^ hash64(o->data, o->key_size, 1));
}

static void walk(const struct keyspace *ks, struct seen *s, size_t max)
{
	uint64_t from = 0;

	while (keyspace_walk(ks, SLOT_OF_TAG, from, max, see, s, &from))
		;
}

static void test_random_operations_against_reference(void **state)
{
	struct keyspace *ks = keyspace_new(99);
	static int value_of[KEYS]; /* -1: not there; else the length of its value */
	static int64_t expiry_of[KEYS];
	uint64_t seed = 23, count = 0;

	(void)state;
	memset(value_of, 0xff, sizeof value_of);
	memset(expiry_of, 0, sizeof expiry_of);
	for (unsigned step = 0; step < 60000; step++) {
		unsigned k = (unsigned)rand_below(&seed, KEYS);
		char key[32], value[64];
		size_t size = name(key, k), length = rand_below(&seed, 60);
		struct object *o = keyspace_find(ks, key, size);

		assert_int_equal(o != NULL, value_of[k] >= 0);
		memset(value, 'a' + (int)(step % 26), sizeof value);
		keyspace_set_index(ks, step + 1);
		switch (rand_below(&seed, 6)) {
		case 0:
		case 1: {
			bool keep = rand_below(&seed, 2);

			o = keyspace_set_string(ks, key, size, value, length, keep);
			count += value_of[k] < 0;
			value_of[k] = (int)length;
			if (!keep)
				expiry_of[k] = 0;
			assert_int_equal(o->value_size, length);
			assert_memory_equal(object_value(o), value, length);
			break;
		}
		case 2:
			if (!o)
				break;
			keyspace_remove(ks, o);
			count--;
			value_of[k] = -1;
			expiry_of[k] = 0;
			break;
		case 3:
			if (!o)
				break;
			expiry_of[k] = (int64_t)rand_below(&seed, 1000);
			keyspace_set_expiry(ks, o, expiry_of[k]);
			break;
		case 4:
			if (!o)
				break;
			o = keyspace_resize_string(ks, o, length);
			value_of[k] = (int)length;
			break;
		case 5:
			if (!o || !o->value_size)
				break;
			keyspace_change_begin(ks, o);
			o->data[o->key_size] ^= 1;
			keyspace_change_end(ks, o);
			break;
		}
		assert_int_equal(keyspace_count(ks), count);
		assert_int_equal(keyspace_slot_count(ks, SLOT_OF_TAG), count);
		o = keyspace_find(ks, key, size);
		if (o)
			assert_int_equal(o->expire_ms, expiry_of[k]);
		if (step % 2000 == 0) {
			uint64_t expiring = 0;
			int64_t first = 0;

			assert_true(keyspace_sum(ks) == recount(ks));
			for (unsigned i = 0; i < KEYS; i++)
				if (expiry_of[i]) {
					expiring++;
					first = !first || expiry_of[i] < first ? expiry_of[i] : first;
				}
			assert_int_equal(keyspace_expiring_count(ks), expiring);
			if (expiring)
				assert_int_equal(keyspace_first_expiry(ks)->expire_ms, first);
		}
	}
	assert_true(keyspace_sum(ks) == recount(ks));
	{ /* the check bites: a byte that changes behind the keyspace's back is found ([checksum]) */
		struct object *o = keyspace_set_string(ks, "{a}1", 4, "value", 5, false);

		o->data[o->key_size] ^= 1;
		assert_false(keyspace_sum(ks) == recount(ks));
		o->data[o->key_size] ^= 1;
	}
	keyspace_clear(ks);
	assert_int_equal(keyspace_count(ks), 0);
	assert_true(keyspace_sum(ks) == 0 && recount(ks) == 0);
	assert_int_equal(keyspace_bytes(ks), 0);
	keyspace_free(ks);
}

/* A walk in steps, keys added between the steps and the table growing: what was there at its start is met exactly once. */
static void test_walk_meets_each_once_while_growing(void **state)
{
	(void)state;
	for (size_t max = 1; max <= 64; max *= 4) {
		struct keyspace *ks = keyspace_new(7);
		uint8_t times[KEYS] = {0};
		struct seen s = {.times = times};
		unsigned there = 200, added = there;
		uint64_t from = 0;
		char key[32];

		for (unsigned k = 0; k < there; k++)
			(void)keyspace_set_string(ks, key, name(key, k), "v", 1, false);
		while (keyspace_walk(ks, SLOT_OF_TAG, from, max, see, &s, &from))
			for (unsigned i = 0; i < 15 && added < KEYS; i++, added++)
				(void)keyspace_set_string(ks, key, name(key, added), "v", 1, false);
		for (unsigned k = 0; k < there; k++)
			assert_int_equal(times[k], 1);
		for (unsigned k = there; k < KEYS; k++)
			assert_true(times[k] <= 1);
		keyspace_free(ks);
	}
}

/* [layout]: two histories, one content: the same walk and the same sum. */
static void test_layout_tells_nothing_of_history(void **state)
{
	struct keyspace *a = keyspace_new(5), *b = keyspace_new(5), *other = keyspace_new(6);
	uint8_t times[KEYS] = {0};
	struct seen sa = {.times = times}, sb = {.times = times}, so = {.times = times};
	char key[32];

	(void)state;
	for (unsigned k = 0; k < 1000; k++) {
		(void)keyspace_set_string(a, key, name(key, k), "v", 1, false);
		(void)keyspace_set_string(other, key, name(key, k), "v", 1, false);
	}
	for (unsigned k = KEYS; k-- > 0;) /* backwards, larger, and most of it removed again */
		(void)keyspace_set_string(b, key, name(key, k), "longer", 6, false);
	for (unsigned k = 1000; k < KEYS; k++)
		keyspace_remove(b, keyspace_find(b, key, name(key, k)));
	for (unsigned k = 0; k < 1000; k++)
		(void)keyspace_set_string(b, key, name(key, k), "v", 1, false);
	walk(a, &sa, 10);
	walk(b, &sb, 100);
	walk(other, &so, 10);
	assert_int_equal(sa.count, 1000);
	assert_int_equal(sb.count, 1000);
	assert_true(sa.trail == sb.trail);
	assert_true(sa.trail != so.trail); /* the check bites: another hash seed, another order */
	assert_true(keyspace_sum(a) == keyspace_sum(b));
	assert_int_equal(keyspace_bytes(a), keyspace_bytes(b));
	keyspace_free(a);
	keyspace_free(b);
	keyspace_free(other);
}

/* [watch]: a change is seen at its index; a collision may only claim a later one. */
static void test_modified_index(void **state)
{
	struct keyspace *ks = keyspace_new(1);
	uint64_t h = keyspace_hash(ks, "k", 1);

	(void)state;
	assert_int_equal(keyspace_modified(ks, h), 0);
	keyspace_set_index(ks, 10);
	(void)keyspace_set_string(ks, "k", 1, "v", 1, false);
	assert_int_equal(keyspace_modified(ks, h), 10);
	keyspace_set_index(ks, 12);
	keyspace_set_expiry(ks, keyspace_find(ks, "k", 1), 50);
	assert_int_equal(keyspace_modified(ks, h), 12);
	keyspace_set_index(ks, 13);
	keyspace_remove(ks, keyspace_find(ks, "k", 1));
	assert_int_equal(keyspace_modified(ks, h), 13);
	(void)keyspace_set_string(ks, "k", 1, "v", 1, false);
	keyspace_set_index(ks, 14);
	keyspace_clear(ks);
	assert_int_equal(keyspace_modified(ks, h), 14);
	keyspace_free(ks);
}

static void ignore(void *arg, const struct object *o)
{
	(void)arg;
	(void)o;
}

/* [watch]: clearing changes the keys that are there, and no other, whether a snapshot holds them or not. */
static void test_clearing_modifies_what_is_there(void **state)
{
	uint64_t sums[2] = {0};

	(void)state;
	for (unsigned snapshot = 0; snapshot < 2; snapshot++) {
		struct keyspace *ks = keyspace_new(1);
		uint64_t there = keyspace_hash(ks, "there", 5), absent = keyspace_hash(ks, "absent", 6);
		char key[32];

		keyspace_set_index(ks, 10);
		(void)keyspace_set_string(ks, "there", 5, "v", 1, false);
		if (snapshot)
			keyspace_snapshot_begin(ks, ignore, NULL);
		keyspace_set_index(ks, 11);
		keyspace_clear(ks);
		assert_int_equal(keyspace_modified(ks, there), 11);
		assert_int_equal(keyspace_modified(ks, absent), 0);
		for (unsigned k = 0; k < KEYS; k++)
			(void)keyspace_set_string(ks, key, name(key, k), "v", 1, false);
		keyspace_set_index(ks, 12);
		keyspace_clear(ks);
		for (unsigned k = 0; k < KEYS; k++)
			assert_int_equal(keyspace_modified(ks, keyspace_hash(ks, key, name(key, k))), 12);
		for (uint64_t h = 0; h < 4096; h++)
			sums[snapshot] = sums[snapshot] * 31 + keyspace_modified(ks, h);
		keyspace_free(ks);
	}
	assert_true(sums[0] == sums[1]);
}

/* A large keyspace is cleared at once and freed in steps, also while a snapshot still needs it. */
static void test_clearing_frees_in_steps(void **state)
{
	struct keyspace *ks = keyspace_new(3);
	unsigned steps = 0;
	char key[16];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 5000; i++)
			(void)keyspace_set_string(ks, key, (size_t)sprintf(key, "%u", i), "v", 1, false);
		keyspace_clear(ks);
		assert_int_equal(keyspace_count(ks), 0);
		assert_true(keyspace_sum(ks) == 0);
	}
	(void)keyspace_set_string(ks, "1", 1, "new", 3, false);
	while (keyspace_reclaim(ks, 500))
		steps++;
	assert_true(steps >= 20);
	assert_int_equal(keyspace_count(ks), 1);
	assert_non_null(keyspace_find(ks, "1", 1));
	keyspace_free(ks);
}

/* [checksum]: a snapshot counts anew, whatever changes meanwhile; a byte that flipped in a key that nobody touches is found. */
static void test_snapshot_finds_rot(void **state)
{
	(void)state;
	for (unsigned flipped = 0; flipped < 2; flipped++) {
		struct keyspace *ks = keyspace_new(5);
		char key[16];

		for (unsigned i = 0; i < 3000; i++)
			(void)keyspace_set_string(ks, key, (size_t)sprintf(key, "%u", i), "value", 5, false);
		if (flipped)
			keyspace_find(ks, "77", 2)->data[3] ^= 4;
		keyspace_snapshot_begin(ks, ignore, NULL);
		for (unsigned i = 0; keyspace_snapshot_next(ks, 10); i++) {
			(void)keyspace_set_string(ks, key, (size_t)sprintf(key, "%u", 3000 - i), "another", 7, false);
			(void)keyspace_set_string(ks, key, (size_t)sprintf(key, "new%u", i), "v", 1, false);
			if (i < 100)
				keyspace_set_expiry(ks, keyspace_find(ks, "1", 1), 1000 + i);
			if (i == 20)
				keyspace_remove(ks, keyspace_find(ks, "2", 1));
			if (i == 100)
				keyspace_clear(ks);
		}
		assert_int_equal(keyspace_snapshot_intact(ks), !flipped);
		keyspace_snapshot_end(ks);
		keyspace_free(ks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_random_operations_against_reference),
		cmocka_unit_test(test_walk_meets_each_once_while_growing),
		cmocka_unit_test(test_layout_tells_nothing_of_history),
		cmocka_unit_test(test_modified_index),
		cmocka_unit_test(test_clearing_modifies_what_is_there),
		cmocka_unit_test(test_clearing_frees_in_steps),
		cmocka_unit_test(test_snapshot_finds_rot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
