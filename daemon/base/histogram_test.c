/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A bucket's upper end belongs to it: what OpenMetrics calls "le". */
static void test_buckets(void **state)
{
	static const struct {
		uint64_t ns;
		unsigned bucket;
	} table[] = {
		{0, 0}, {1, 0}, {1000, 0}, {1001, 1}, {2000, 1}, {2001, 2}, {4000, 2}, {4001, 3}, {1000000, 10}, {1024000, 10},
		{1024001, 11}, {8388608000, 23}, {8388608001, 23}, {UINT64_MAX / 2, 23},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct histogram h = {0};

		histogram_add(&h, table[i].ns, 3);
		assert_int_equal(h.bucket[table[i].bucket], 3);
		assert_int_equal(h.count, 3);
		assert_true(h.sum_ns == table[i].ns * 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_buckets)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
