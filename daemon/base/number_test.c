/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
	const char *text;
	uint64_t max;
	bool ok;
	uint64_t n;
} numbers[] = {
	{"0", 0, true, 0},
	{"80", 65535, true, 80},
	{"65535", 65535, true, 65535},
	{"65536", 65535, false, 0},
	{"655350", 65535, false, 0},
	{"9", 5, false, 0},
	{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
	{"18446744073709551616", UINT64_MAX, false, 0},
	{"99999999999999999999999", UINT64_MAX, false, 0},
	{"", 65535, false, 0},
	{" 80", 65535, false, 0},
	{"80 ", 65535, false, 0},
	{"+80", 65535, false, 0},
	{"-80", 65535, false, 0},
	{"080", 65535, false, 0},
	{"00", 65535, false, 0},
	{"0x50", 65535, false, 0},
	{"8k", 65535, false, 0},
};

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		uint64_t n = 7;

		if (number_parse(numbers[i].text, numbers[i].max, &n) != numbers[i].ok)
			fail_msg("\"%s\" up to %llu", numbers[i].text, (unsigned long long)numbers[i].max);
		assert_int_equal(n, numbers[i].ok ? numbers[i].n : 7);
	}
}

static void test_what_is_behind(void **state)
{
	const char *end;
	uint64_t n;

	(void)state;
	assert_true(number_read("20k", 100, &n, &end));
	assert_int_equal(n, 20);
	assert_string_equal(end, "k");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_what_is_behind)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
