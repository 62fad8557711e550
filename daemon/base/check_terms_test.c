/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check_terms.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct check_terms read_back(const struct check_terms *t, bool *ret_bad)
{
	struct bytes record = {0};
	struct check_terms back;
	struct cursor in;

	check_terms_put(&record, t);
	in = cursor_of(record.data, record.size);
	back = check_terms_get(&in);
	*ret_bad = in.bad || cursor_left(&in);
	bytes_free(&record);
	return back;
}

static void test_bounds(void **state)
{
	static const struct {
		const char *what;
		struct check_terms terms;
		bool bad;
	} rows[] = {
		{"the least of all", {100, 10, 1, 1}, false},
		{"the most of all", {3600000, 3239999, 100, 100}, false},
		{"a timeout that doesn't suit the interval is not looked at here", {100, 5000, 1, 1}, false},
		{"an interval too short", {99, 10, 1, 1}, true},
		{"an interval too long", {3600001, 10, 1, 1}, true},
		{"a timeout too short", {100, 9, 1, 1}, true},
		{"a timeout too long for any interval", {3600000, 3240000, 1, 1}, true},
		{"no success is enough", {100, 10, 0, 1}, true},
		{"no failure is enough", {100, 10, 1, 0}, true},
		{"too many successes", {100, 10, 101, 1}, true},
		{"too many failures", {100, 10, 1, 101}, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct check_terms *t = &rows[i].terms;
		bool bad;
		struct check_terms back = read_back(t, &bad);

		if (bad != rows[i].bad)
			fail_msg("%s: bad %d, wanted %d", rows[i].what, bad, rows[i].bad);
		if (back.interval_ms != t->interval_ms || back.timeout_ms != t->timeout_ms || back.rise != t->rise || back.fall != t->fall)
			fail_msg("%s: came back as %u %u %u %u", rows[i].what, back.interval_ms, back.timeout_ms, back.rise, back.fall);
	}
}

/* Or two probes of one backend could be under way at once. */
static void test_a_probe_ends_before_the_next(void **state)
{
	(void)state;
	for (uint32_t ms = CHECK_INTERVAL_MIN_MS; ms <= CHECK_INTERVAL_MAX_MS; ms += 7)
		assert_true(check_timeout_max_ms(ms) < ms - ms / 10 && check_timeout_max_ms(ms) >= CHECK_TIMEOUT_MIN_MS);
	assert_true(check_terms_default.timeout_ms <= check_timeout_max_ms(check_terms_default.interval_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_a_probe_ends_before_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
