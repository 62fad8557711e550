/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/maglev_cache.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

#define SIZE MAGLEV_SIZE_MIN

/* Three backends; the first has the weight. */
static void backends_of(struct maglev_backend b[3], uint16_t weight)
{
	for (uint16_t i = 0; i < 3; i++)
		b[i] = (struct maglev_backend){.id = i + 1, .number = i, .weight = i ? 1 : weight};
}

/* Whatever was asked for before, what comes is what maglev_fill() says. */
static void test_tables_are_the_right_ones(void **state)
{
	struct maglev_cache *c = mem_zalloc(sizeof *c);
	struct maglev_backend b[3];
	uint16_t want[2 * SIZE];
	const uint16_t *slots;

	(void)state;
	for (unsigned round = 0; round < 3; round++)
		for (uint16_t weight = 1; weight <= 2 * MAGLEV_CACHE_MAX; weight++) {
			uint32_t size = weight % 2 ? SIZE : 2 * SIZE;

			backends_of(b, weight);
			assert_int_equal(maglev_fill(b, 3, want, size), 0);
			assert_int_equal(maglev_cache_get(c, b, 3, size, &slots), 0);
			assert_memory_equal(slots, want, size * sizeof *slots);
			assert_int_equal(maglev_cache_get(c, b, 3, 3 * SIZE - size, &slots), 0); /* the other size */
			assert_int_equal(maglev_fill(b, 3, want, 3 * SIZE - size), 0);
			assert_memory_equal(slots, want, (3 * SIZE - size) * sizeof *slots);
		}
	maglev_cache_fini(c);
	free(c);
}

/* As many as there is room for stay, where they are. */
static void test_tables_stay(void **state)
{
	struct maglev_cache *c = mem_zalloc(sizeof *c);
	const uint16_t *first[MAGLEV_CACHE_MAX], *slots;
	struct maglev_backend b[3];

	(void)state;
	for (uint16_t i = 0; i < MAGLEV_CACHE_MAX; i++) {
		backends_of(b, i + 1);
		assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &first[i]), 0);
	}
	for (uint16_t i = 0; i < MAGLEV_CACHE_MAX; i++) {
		backends_of(b, i + 1);
		assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &slots), 0);
		assert_ptr_equal(slots, first[i]);
	}
	backends_of(b, 1);
	assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &slots), 0); /* used last now: the second one goes */
	backends_of(b, 1000);
	assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &slots), 0);
	for (uint16_t i = 0; i < MAGLEV_CACHE_MAX; i++) {
		backends_of(b, i + 1);
		if (i == 1)
			continue;
		assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &slots), 0);
		assert_ptr_equal(slots, first[i]);
	}
	for (uint16_t i = 0; i < 3; i++)
		b[i].weight = 0;
	assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &slots), -EINVAL);
	assert_int_equal(maglev_cache_get(c, b, 3, SIZE, &slots), -EINVAL); /* what couldn't be filled is none */
	maglev_cache_fini(c);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_are_the_right_ones),
		cmocka_unit_test(test_tables_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
