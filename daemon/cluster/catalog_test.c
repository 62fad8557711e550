/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>

#include <cmocka.h>

/* Every slot lies in exactly one group, whatever the count. */
static void test_ranges_cover_all_slots_once(void **state)
{
	(void)state;
	for (uint32_t groups = 1; groups <= 4096; groups = groups < 300 ? groups + 1 : groups + 97) {
		struct catalog c = {.ready = true, .group_count = groups};
		uint32_t next = 0;

		for (uint32_t g = 1; g <= groups; g++) {
			uint16_t first, last;

			catalog_slots_of_group(&c, g, &first, &last);
			assert_int_equal(first, next);
			assert_true(last >= first && (uint32_t)(last - first) <= SLOT_COUNT / groups);
			assert_int_equal(catalog_group_of_slot(&c, first), g);
			assert_int_equal(catalog_group_of_slot(&c, last), g);
			next = last + 1u;
		}
		assert_int_equal(next, SLOT_COUNT);
	}
}

static int apply(struct catalog *c, uint8_t kind, const struct bytes *data, size_t size)
{
	struct entry *e = entry_new(kind, (uint32_t)size);
	int r;

	memcpy(e->data, data->data, size);
	e->index = c->applied + 1;
	e->term = 1;
	r = catalog_apply(c, e);
	entry_unref(e);
	return r;
}

static void test_first_init_counts(void **state)
{
	static const uint8_t members[] = {1, 2, 3};
	struct catalog c = {0};
	struct bytes one = {0}, two = {0}, bad = {0};
	uint64_t sum;

	(void)state;
	catalog_encode_init(&one, 1000, 42, 6, 3, members);
	catalog_encode_init(&two, 1000, 43, 9, 3, members);
	for (size_t size = 0; size < one.size; size++) {
		assert_int_equal(apply(&c, ENTRY_CATALOG, &one, size), -EBADMSG);
		assert_false(c.ready);
	}
	catalog_encode_init(&bad, 1000, 42, 0, 3, members);
	assert_int_equal(apply(&c, ENTRY_CATALOG, &bad, bad.size), -EBADMSG);
	bad.size = 0;
	catalog_encode_init(&bad, 1000, 42, 4097, 3, members);
	assert_int_equal(apply(&c, ENTRY_CATALOG, &bad, bad.size), -EBADMSG);
	bad.size = 0;
	catalog_encode_init(&bad, 1000, 42, 6, 8, (const uint8_t[8]){1, 2, 3, 4, 5, 6, 7, 1});
	assert_int_equal(apply(&c, ENTRY_CATALOG, &bad, bad.size), -EBADMSG);
	assert_int_equal(apply(&c, ENTRY_NOOP, &one, 8), 0);
	assert_int_equal(apply(&c, ENTRY_CATALOG, &one, one.size), 0);
	assert_int_equal(c.group_count, 6);
	assert_int_equal(c.member_count, 3);
	sum = catalog_checksum(&c);
	assert_int_equal(apply(&c, ENTRY_CATALOG, &two, two.size), 0); /* a second leader wanted to begin */
	assert_int_equal(c.group_count, 6);
	assert_true(c.hash_seed == 42 && catalog_checksum(&c) == sum);
	bytes_free(&one);
	bytes_free(&two);
	bytes_free(&bad);
}

/* From what a node tells of its catalog, nobody learns the seed: two that differ in it alone tell the same. */
static void test_the_seed_is_not_told(void **state)
{
	static const uint8_t members[] = {1, 2, 3};
	struct catalog c[2] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct bytes init = {0};

		catalog_encode_init(&init, 1000, 42 + i, 6, 3, members);
		assert_int_equal(apply(&c[i], ENTRY_CATALOG, &init, init.size), 0);
		bytes_free(&init);
	}
	assert_int_not_equal(catalog_checksum(&c[0]), catalog_checksum(&c[1]));
	assert_int_equal(catalog_checksum_told(&c[0]), catalog_checksum_told(&c[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges_cover_all_slots_once), cmocka_unit_test(test_first_init_counts),
					   cmocka_unit_test(test_the_seed_is_not_told)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
