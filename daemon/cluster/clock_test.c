/* SPDX-License-Identifier: Apache-2.0 */
/* [time]: whose clock is believed. */
#include "cluster/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS 1000000ull
#define NOW_NS (5000 * MS)
#define TRUE_MS 1750000000000ull
#define YEAR_MS (365ll * 86400000)
#define SILENT INT64_MIN

struct row {
	const char *what;
	unsigned quorum;
	int64_t ours, peers[4]; /* off the true time; 0 after the last: heard and right; SILENT: not heard */
	bool fit;
};

static void test_whose_clock_is_believed(void **state)
{
	static const struct row table[] = {
		{"alone in a cluster of one", 1, YEAR_MS, {SILENT, SILENT, SILENT, SILENT}, true},
		{"nobody heard yet", 2, 0, {SILENT, SILENT, SILENT, SILENT}, false},
		{"of three, all right", 2, 0, {20, -300, SILENT, SILENT}, true},
		{"of three, ours a year ahead", 2, YEAR_MS, {0, 0, SILENT, SILENT}, false},
		{"of three, ours a year behind", 2, -YEAR_MS, {0, 0, SILENT, SILENT}, false},
		{"of three, another one a year ahead", 2, 0, {YEAR_MS, 0, SILENT, SILENT}, true},
		{"of two, the other ahead", 2, 0, {YEAR_MS, SILENT, SILENT, SILENT}, true},
		{"of two, the other behind", 2, 0, {-YEAR_MS, SILENT, SILENT, SILENT}, false},
		{"of two, within the bound", 2, 900, {0, SILENT, SILENT, SILENT}, true},
		{"of two, just beyond it", 2, 1100, {0, SILENT, SILENT, SILENT}, false},
		{"of three, all apart: the middle one", 2, 0, {-5000, 5000, SILENT, SILENT}, true},
		{"of three, all apart: not the last", 2, 10000, {0, 5000, SILENT, SILENT}, false},
		{"of five, two lie alike", 3, 0, {YEAR_MS, YEAR_MS, 0, 0}, true},
		{"of five, ours is one of two liars", 3, YEAR_MS, {YEAR_MS, 0, 0, 0}, false},
		{"of five, three heard", 3, 0, {YEAR_MS, 0, SILENT, SILENT}, true},
		{"of five, only two heard", 3, 0, {0, SILENT, SILENT, SILENT}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		const struct row *t = &table[i];
		struct clock c = {0};

		for (uint8_t k = 0; k < 4; k++)
			if (t->peers[k] != SILENT)
				clock_heard(&c, (uint8_t)(k + 2), TRUE_MS + (uint64_t)t->peers[k], NOW_NS);
		clock_judge(&c, t->quorum, TRUE_MS + (uint64_t)t->ours, NOW_NS);
		if (clock_fit(&c) != t->fit)
			fail_msg("%s: should be %s", t->what, t->fit ? "fit" : "unfit");
	}
}

/* A clock that jumps while its node leads is not stamped, not even before the next heartbeat. */
static void test_a_jump_is_not_stamped(void **state)
{
	struct clock c = {0};
	uint64_t now = NOW_NS;

	(void)state;
	clock_heard(&c, 2, TRUE_MS, now);
	clock_heard(&c, 3, TRUE_MS, now);
	clock_judge(&c, 2, TRUE_MS, now);
	now += 40 * MS;
	assert_int_equal(clock_stamp_ms(&c, now), TRUE_MS + 40);
	clock_judge(&c, 2, TRUE_MS + 40 + YEAR_MS, now);
	assert_false(clock_fit(&c));
	assert_int_equal(clock_stamp_ms(&c, now), TRUE_MS + 40);
	now += 400 * MS;
	clock_judge(&c, 2, TRUE_MS + 440 + YEAR_MS, now);
	assert_int_equal(clock_stamp_ms(&c, now), TRUE_MS + 440);
	now += 200 * MS; /* the others fell silent: no quorum, nothing changes */
	clock_judge(&c, 2, TRUE_MS + 640, now);
	assert_false(clock_fit(&c));
	clock_heard(&c, 2, TRUE_MS + 640, now); /* a small step by NTP is taken over */
	clock_judge(&c, 2, TRUE_MS + 700, now);
	assert_true(clock_fit(&c));
	assert_int_equal(clock_stamp_ms(&c, now), TRUE_MS + 700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose_clock_is_believed),
		cmocka_unit_test(test_a_jump_is_not_stamped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
