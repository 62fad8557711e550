/* SPDX-License-Identifier: Apache-2.0 */
/* [checksum]: the majority decides who diverged. */
#include "cluster/divergence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_majority_decides(void **state)
{
	struct divergence d = {.every = DIVERGENCE_EVERY};

	(void)state;
	divergence_note(&d, 1, 32, 7);
	assert_int_equal(divergence_told(&d, 1, 3, 2, 32, 7), DIVERGENCE_NONE);
	assert_int_equal(divergence_told(&d, 1, 3, 3, 32, 8), DIVERGENCE_NONE); /* node 3's trouble, not ours */
	divergence_note(&d, 1, 48, 7);
	assert_int_equal(divergence_told(&d, 1, 3, 2, 48, 9), DIVERGENCE_OPEN);
	assert_int_equal(divergence_told(&d, 1, 3, 3, 48, 9), DIVERGENCE_OURS);
}

static void test_only_equal_indexes_compare(void **state)
{
	struct divergence d = {.every = DIVERGENCE_EVERY};
	uint64_t sum;

	(void)state;
	divergence_note(&d, 1, 31, 5); /* not a round index: not kept */
	assert_false(divergence_sum(&d, 1, 31, &sum));
	assert_int_equal(divergence_told(&d, 1, 3, 2, 32, 9), DIVERGENCE_NONE);
	divergence_note(&d, 1, 32, 5);
	assert_true(divergence_sum(&d, 1, 32, &sum));
	assert_int_equal(sum, 5);
	/* A later index takes the place: what is told of the old one is not compared with it. */
	divergence_note(&d, 1, 32 + DIVERGENCE_EVERY * DIVERGENCE_KEPT, 6);
	assert_false(divergence_sum(&d, 1, 32, &sum));
	assert_int_equal(divergence_told(&d, 1, 3, 2, 32, 9), DIVERGENCE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_majority_decides),
		cmocka_unit_test(test_only_equal_indexes_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
