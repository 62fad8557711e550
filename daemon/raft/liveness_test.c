/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of [promise] and [suspicion] between two nodes, A (1) and B (2), each with its own struct and clock. */
#include "raft/liveness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS 1000000ull
#define A 1
#define B 2

static void test_supporter_ends_last(void **state)
{
	struct liveness a, b;
	uint64_t epoch;

	(void)state;
	liveness_init(&a, 1, 0);
	liveness_init(&b, 1, 0);
	epoch = liveness_heard(&b, A, 0, 1010 * MS); /* A sent at 1000 */
	liveness_answered(&a, B, epoch, 1000 * MS);
	assert_true(epoch != 0);
	/* 1 % for drift, counted from the sending: 148.5 ms. */
	assert_int_equal(liveness_ours(&a, B, 1148 * MS), epoch);
	assert_int_equal(liveness_ours(&a, B, 1149 * MS), 0);
	assert_int_equal(liveness_given(&b, A, 1159 * MS), epoch);
	assert_int_equal(liveness_given(&b, A, 1160 * MS), 0);
}

static void test_epoch_is_raised_when_support_ran_out(void **state)
{
	struct liveness b;
	uint64_t first, second, third;

	(void)state;
	liveness_init(&b, 1, 0);
	first = liveness_heard(&b, A, 0, 1000 * MS);
	assert_int_equal(liveness_heard(&b, A, 0, 1100 * MS), first); /* extended */
	assert_int_equal(liveness_heard(&b, A, 0, 1249 * MS), first);
	second = liveness_heard(&b, A, 0, 1399 * MS); /* exactly at its end: over */
	assert_true(second > first);
	/* The same by the clock, before anything is heard. */
	assert_int_equal(liveness_expire(&b, 1548 * MS), 0);
	assert_int_equal(liveness_expire(&b, 1549 * MS), 1u << A);
	assert_int_equal(liveness_expire(&b, 1600 * MS), 0); /* once */
	third = liveness_heard(&b, A, 0, 1601 * MS);
	assert_true(third > second);
}

/* *Case: an answer that crossed an old connection revives a promise that was withdrawn.* */
static void test_late_answers_are_ignored(void **state)
{
	struct liveness a;

	(void)state;
	liveness_init(&a, 1, 0);
	liveness_answered(&a, B, 7, 1000 * MS);
	liveness_answered(&a, B, 6, 1100 * MS); /* an older epoch, though a later sending */
	assert_int_equal(liveness_ours(&a, B, 1120 * MS), 7);
	assert_int_equal(liveness_ours(&a, B, 1149 * MS), 0);
	liveness_answered(&a, B, 7, 1050 * MS);
	liveness_answered(&a, B, 7, 1010 * MS); /* out of order: shortens nothing */
	assert_int_equal(liveness_ours(&a, B, 1198 * MS), 7);
}

/* A leader that gives up a group ends what was promised to it, at once. */
static void test_generation_ends_promises(void **state)
{
	struct liveness b;
	uint64_t first, second;

	(void)state;
	liveness_init(&b, 1, 0);
	first = liveness_heard(&b, A, 3, 1000 * MS);
	assert_int_equal(liveness_heard(&b, A, 3, 1010 * MS), first);
	second = liveness_heard(&b, A, 4, 1020 * MS);
	assert_true(second > first);
	assert_int_equal(liveness_heard(&b, A, 2, 1030 * MS), second); /* late: no effect */
	assert_int_equal(liveness_heard(&b, A, 4, 1040 * MS), second);
}

static void test_suspicion_shortens_nothing(void **state)
{
	struct liveness b;
	uint64_t epoch;

	(void)state;
	liveness_init(&b, 1, 0);
	epoch = liveness_heard(&b, A, 0, 1000 * MS);
	liveness_suspect(&b, A);
	assert_true(b.suspected[A]);
	assert_int_equal(liveness_given(&b, A, 1149 * MS), epoch);
	assert_int_equal(liveness_heard(&b, A, 0, 1050 * MS), epoch);
	assert_false(b.suspected[A]); /* heard again */
}

static void test_restart_of_either_side(void **state)
{
	struct liveness b, again;
	uint64_t epoch, fresh;

	(void)state;
	liveness_init(&b, 1, 0);
	epoch = liveness_heard(&b, A, 9, 1000 * MS);
	liveness_answered(&b, A, 5, 1000 * MS);
	liveness_restarted(&b, A);
	assert_int_equal(liveness_given(&b, A, 1001 * MS), 0);
	assert_int_equal(liveness_ours(&b, A, 1001 * MS), 0);
	fresh = liveness_heard(&b, A, 0, 1002 * MS); /* a new process counts its generations from 0 */
	assert_true(fresh > epoch);
	/* B itself restarts: quiet for as long as an old promise could last, and no epoch is used twice. */
	liveness_init(&again, 2, 2000 * MS);
	assert_int_equal(again.quiet_until_ns, 2000 * MS + LIVENESS_NS);
	assert_true(liveness_heard(&again, A, 0, 2001 * MS) > fresh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_supporter_ends_last),
		cmocka_unit_test(test_epoch_is_raised_when_support_ran_out),
		cmocka_unit_test(test_late_answers_are_ignored),
		cmocka_unit_test(test_generation_ends_promises),
		cmocka_unit_test(test_suspicion_shortens_nothing),
		cmocka_unit_test(test_restart_of_either_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
