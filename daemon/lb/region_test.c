/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/region.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NONE 0xffffffffu

static void test_the_first_gap_that_is_large_enough(void **state)
{
	static const struct {
		struct region used[4];
		uint32_t count, size, base;
	} rows[] = {
		{{{0, 0}}, 0, 100, 0},
		{{{0, 0}}, 0, 101, NONE},
		{{{0, 10}}, 1, 90, 10},
		{{{0, 10}}, 1, 91, NONE},
		{{{10, 10}}, 1, 10, 0},
		{{{10, 10}}, 1, 11, 20},
		{{{50, 10}, {0, 10}, {20, 10}}, 3, 10, 10}, /* in any order */
		{{{50, 10}, {0, 10}, {20, 10}}, 3, 20, 30},
		{{{0, 60}, {10, 10}, {70, 30}}, 3, 10, 60}, /* one within another */
		{{{0, 10}, {10, 0}, {20, 80}}, 3, 10, 10},  /* an empty one takes no room */
		{{{0, 100}}, 1, 1, NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct region used[4];
		uint32_t base = NONE;

		for (uint32_t n = 0; n < 4; n++)
			used[n] = rows[i].used[n];
		assert_int_equal(region_find(used, rows[i].count, rows[i].size, 100, &base), rows[i].base != NONE);
		assert_int_equal(base, rows[i].base);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_gap_that_is_large_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
