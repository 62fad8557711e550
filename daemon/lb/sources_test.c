/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/sources.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lb_snat_address places[LB_SNAT_ADDRESSES];
static struct tables tables = {.snat_addresses = places, .snat_address_count = LB_SNAT_ADDRESSES};

/* The sources of a list that ends with NULL, put into the tables. */
static struct lb_config place(const char *const *list)
{
	struct lb_config config = {0};
	struct sources s = {0};

	for (; *list; list++)
		assert_int_equal(sources_take_option(&s, *list), 0);
	sources_place(&s, &tables, &config);
	return config;
}

static bool is_at(uint32_t where, const char *text)
{
	struct host_address a;

	assert_int_equal(host_address_parse(&a, text), 0);
	return places[where].family == a.family && !memcmp(&places[where].addr, &a.addr, sizeof a.addr);
}

static void test_an_address_keeps_its_place(void **state)
{
	struct lb_config config;

	(void)state;
	memset(places, 0, sizeof places);
	config = place((const char *const[]){"10.0.0.1", "fd00::1", "10.0.0.2", "10.0.0.3", NULL});
	assert_true(config.snat4 == 3 && config.snat6 == 1);
	assert_true(is_at(0, "10.0.0.1") && is_at(1, "10.0.0.2") && is_at(2, "10.0.0.3") && is_at(LB_SNAT_FAMILY, "fd00::1"));
	config = place((const char *const[]){"10.0.0.3", "10.0.0.1", NULL});
	assert_true(config.snat4 == 3 && config.snat6 == 0);
	assert_true(is_at(0, "10.0.0.1") && places[1].family == 0 && is_at(2, "10.0.0.3") && places[LB_SNAT_FAMILY].family == 0);
	config = place((const char *const[]){"10.0.0.9", "10.0.0.3", "10.0.0.1", NULL});
	assert_int_equal(config.snat4, 3);
	assert_true(is_at(0, "10.0.0.1") && is_at(1, "10.0.0.9") && is_at(2, "10.0.0.3"));
}

static void test_all_of_a_family_can_change_at_once(void **state)
{
	struct lb_config config;

	(void)state;
	memset(places, 0, sizeof places);
	(void)place((const char *const[]){"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", NULL});
	config = place((const char *const[]){"10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4", NULL});
	assert_int_equal(config.snat4, LB_SNAT_FAMILY);
	for (uint32_t i = 0; i < LB_SNAT_FAMILY; i++) {
		char text[16];

		(void)snprintf(text, sizeof text, "10.0.1.%u", i + 1);
		assert_true(is_at(i, text));
	}
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {"10.0.0", "0.0.0.0", "::", "127.0.0.1", "::1", "224.0.0.1", "ff02::1", "240.0.0.1", "255.255.255.255",
					  "::ffff:10.0.0.1", "fe80::1"};
	struct sources s = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		if (sources_take_option(&s, bad[i]) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	for (unsigned i = 0; i < LB_SNAT_FAMILY; i++)
		assert_int_equal(sources_take_option(&s, (const char *const[]){"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}[i]), 0);
	assert_int_equal(sources_take_option(&s, "10.0.0.5"), -EINVAL);
	assert_false(sources_have(&s, LB_IP6));
	assert_int_equal(sources_take_option(&s, "fd00::1"), 0);
	assert_int_equal(sources_take_option(&s, "fd00::1"), -EINVAL);
	assert_true(sources_have(&s, LB_IP4) && sources_have(&s, LB_IP6) && s.count == 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_address_keeps_its_place),
		cmocka_unit_test(test_all_of_a_family_can_change_at_once),
		cmocka_unit_test(test_what_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
