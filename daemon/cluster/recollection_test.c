/* SPDX-License-Identifier: Apache-2.0 */
/* [torn]: a peer that remembers more of our journal than recovery found. */
#include "cluster/recollection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct row {
	const char *what;
	struct recollection before; /* as the journal had it */
	uint64_t last;              /* what recovery found */
	uint64_t remembered;
	bool misses;
};

static void test_what_is_missed(void **state)
{
	static const struct row table[] = {
		{"nothing was lost", {0}, 20, 20, false},
		{"it heard of less", {0}, 20, 12, false},
		{"one batch was lost", {0}, 20, 21, true},
		{"an empty journal that a peer remembers", {0}, 0, 1, true},
		{"the first start", {0}, 0, 0, false},
		{"lost before the last life, whose batches have the same numbers", {.unasked = true, .bound = 20}, 25, 21, true},
		{"the last life told it nothing, and nothing was lost", {.unasked = true, .bound = 20}, 25, 20, false},
		{"what the last life wrote was lost again", {.unasked = true, .bound = 20}, 15, 16, true},
		{"asked in the last life, and told since", {.unasked = false, .bound = 0}, 25, 25, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct recollection r = table[i].before;

		recollection_begin(&r, table[i].last);
		if (recollection_misses(&r, table[i].remembered) != table[i].misses)
			fail_msg("%s: want %d", table[i].what, table[i].misses);
	}
}

/* Nothing of this life is told before the comparison is made and durable: else the next life would take it for lost. */
static void test_what_may_be_told(void **state)
{
	struct recollection r = {0};

	(void)state;
	recollection_begin(&r, 20);
	assert_int_equal(recollection_tell(&r, 20), 20);
	assert_int_equal(recollection_tell(&r, 23), 20);
	r.unasked = false;
	r.asked_at = 25;
	assert_int_equal(recollection_tell(&r, 24), 20);
	assert_int_equal(recollection_tell(&r, 25), 25);
	assert_false(recollection_misses(&r, 26));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_missed),
		cmocka_unit_test(test_what_may_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
