/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/check.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ull
#define MS 1000000ull
#define INTERVAL (check_terms_default.interval_ms * MS)

/* Services of backends 10.0.x.y; the catalog owns none of it. */
static struct catalog_backend pool[4096];

static struct catalog_service service(uint64_t id, uint32_t first, uint32_t count)
{
	struct catalog_service s = {
		.id = id, .check = CHECK_TCP, .check_terms = check_terms_default, .backends = &pool[first], .backend_count = count};

	s.vip.port = htons(80);
	for (uint32_t i = first; i < first + count; i++) {
		pool[i] = (struct catalog_backend){.id = i + 1, .at = {.family = LB_IP4}};
		pool[i].at.addr.word[0] = htonl(0x0a000000 + i);
	}
	return s;
}

static void follow(struct checks *c, struct catalog_service *services, uint32_t count, uint64_t now)
{
	struct lb_catalog catalog = {.services = services, .service_count = count};

	checks_follow(c, &catalog, now);
}

/* Until the only target was probed: its result, at a time after all before. Whether its state changed. */
static bool probe_once(struct checks *c, bool good)
{
	uint64_t now = checks_next_ns(c);
	struct check *k = checks_take(c, now);

	assert_non_null(k);
	return check_done(c, k, good, now + SECOND / 10);
}

static void test_results_in_a_row_change_the_state(void **state)
{
	static const struct {
		const char *what, *results, *states; /* after each result: ?, u, d */
		uint8_t rise, fall;
	} rows[] = {
		{"never heard of: one good result is enough", "+", "u", 2, 3},
		{"never heard of: it takes three bad ones", "---", "??d", 2, 3},
		{"never heard of, bad ones first", "--+", "??u", 2, 3},
		{"up: the third bad one in a row", "+---", "uuud", 2, 3},
		{"up: a good one between begins the count anew", "+--+--", "uuuuuu", 2, 3},
		{"up: and again", "+--+---", "uuuuuud", 2, 3},
		{"down: the second good one in a row", "---++", "??ddu", 2, 3},
		{"down: a bad one between begins the count anew", "---+-+", "??dddd", 2, 3},
		{"down: and again", "---+-++", "??ddddu", 2, 3},
		{"down stays down", "------", "??dddd", 2, 3},
		{"down, up and down again", "---++---", "??dduuud", 2, 3},
		{"one failure is enough", "+-++", "uddu", 2, 1},
		{"one success is", "+---+-+---", "uuuduuuuud", 1, 3},
		{"five failures", "+---------+-", "uuuuuddddddd", 2, 5},
		{"three successes", "---++-+++", "??ddddddu", 3, 3},
		{"never heard of: one good result is enough, whatever rise says", "+", "u", 100, 3},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct catalog_service s = service(1, 0, 1);
		struct checks c;
		char was = '?';

		s.check_terms.rise = rows[i].rise;
		s.check_terms.fall = rows[i].fall;
		checks_init(&c, i);
		follow(&c, &s, 1, 0);
		for (size_t n = 0; rows[i].results[n]; n++) {
			bool changed = probe_once(&c, rows[i].results[n] == '+');
			char is = "?ud"[c.list[0]->state];

			if (is != rows[i].states[n] || changed != (is != was))
				fail_msg("%s: %c after result %zu (changed %d), wanted %c", rows[i].what, is, n, changed,
					 rows[i].states[n]);
			was = is;
		}
		checks_fini(&c);
	}
}

static void test_an_interval_apart_from_begin_to_begin(void **state)
{
	struct catalog_service s = service(1, 0, 1);
	uint64_t began = 0, least = UINT64_MAX, most = 0;
	struct checks c;

	(void)state;
	checks_init(&c, 7);
	follow(&c, &s, 1, 5 * SECOND);
	assert_in_range(checks_next_ns(&c), 5 * SECOND, 5 * SECOND + INTERVAL - 1);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t now = checks_next_ns(&c);
		struct check *k = checks_take(&c, now);

		assert_null(checks_take(&c, now)); /* it isn't due while it is being probed */
		assert_true(checks_next_ns(&c) == UINT64_MAX);
		if (i && now - began < least)
			least = now - began;
		if (i && now - began > most)
			most = now - began;
		began = now;
		/* Whether it timed out or answered at once makes no difference. */
		(void)check_done(&c, k, false, now + (i % 2 ? check_terms_default.timeout_ms * MS : 1000));
	}
	assert_in_range(least, INTERVAL * 9 / 10, INTERVAL * 92 / 100);
	assert_in_range(most, INTERVAL * 108 / 100, INTERVAL * 11 / 10);
	checks_fini(&c);
}

/* Each at its own interval; a long one doesn't put off the first probe. */
static void test_intervals_of_services(void **state)
{
	static const uint32_t intervals_ms[] = {100, 1000, 30000, 3600000};

	(void)state;
	for (size_t i = 0; i < sizeof intervals_ms / sizeof *intervals_ms; i++) {
		struct catalog_service s = service(1, 0, 1);
		uint64_t interval = intervals_ms[i] * MS, first, second;
		struct checks c;

		s.check_terms.interval_ms = intervals_ms[i];
		s.check_terms.timeout_ms = 10;
		checks_init(&c, i);
		follow(&c, &s, 1, 5 * SECOND);
		first = checks_next_ns(&c);
		assert_in_range(first, 5 * SECOND, 5 * SECOND + (interval < 2 * SECOND ? interval : 2 * SECOND) - 1);
		(void)check_done(&c, checks_take(&c, first), true, first);
		second = checks_next_ns(&c);
		assert_in_range(second - first, interval * 9 / 10, interval * 11 / 10);
		checks_fini(&c);
	}
}

/* One backend in services that go by other terms: each has its own results. And a change of terms takes effect at once. */
static void test_other_terms_are_another_target(void **state)
{
	struct catalog_service s[5] = {service(1, 0, 1), service(2, 0, 1), service(3, 0, 1), service(4, 0, 1), service(5, 0, 1)};
	struct checks c;

	(void)state;
	s[1].check_terms.interval_ms = 500;
	s[2].check_terms.timeout_ms = 500;
	s[3].check_terms.rise = 1;
	s[4].check_terms.fall = 1;
	checks_init(&c, 1);
	follow(&c, s, 5, 0);
	assert_int_equal(c.count, 5);
	follow(&c, s, 1, 0);
	(void)probe_once(&c, true);
	(void)probe_once(&c, false);
	assert_int_equal(c.list[0]->state, CHECK_UP);
	s[0].check_terms.fall = 1;
	follow(&c, s, 1, 10 * SECOND);
	assert_int_equal(c.count, 1);
	assert_int_equal(c.list[0]->state, CHECK_UNKNOWN);
	(void)probe_once(&c, false);
	assert_int_equal(c.list[0]->state, CHECK_DOWN);
	checks_fini(&c);
}

static void test_what_was_held_up_is_due_at_once_and_once(void **state)
{
	struct catalog_service s = service(1, 0, 1);
	struct checks c;
	struct check *k;

	(void)state;
	checks_init(&c, 7);
	follow(&c, &s, 1, 0);
	k = checks_take(&c, 100 * SECOND);
	check_undone(&c, k, 110 * SECOND);
	assert_true(checks_next_ns(&c) == 110 * SECOND);
	assert_int_equal(k->state, CHECK_UNKNOWN);
	k = checks_take(&c, 110 * SECOND);
	assert_false(check_done(&c, k, true, 110 * SECOND) && checks_next_ns(&c) < 111 * SECOND);
	checks_fini(&c);
}

/* 4096 targets: no tenth of a second has more than twice its share, neither at the start nor a minute later. */
static void test_thousands_never_come_at_once(void **state)
{
	struct catalog_service s[4] = {service(1, 0, 1024), service(2, 1024, 1024), service(3, 2048, 1024), service(4, 3072, 1024)};
	enum { WINDOWS = 600, SHARE = 4096 / 20 };
	static unsigned begun[WINDOWS];
	struct checks c;

	(void)state;
	checks_init(&c, 42);
	follow(&c, s, 4, 0);
	while (checks_next_ns(&c) < WINDOWS * SECOND / 10) {
		uint64_t now = checks_next_ns(&c);
		struct check *k = checks_take(&c, now);

		begun[now / (SECOND / 10)]++;
		(void)check_done(&c, k, true, now);
	}
	for (unsigned i = 0; i < WINDOWS; i++)
		assert_in_range(begun[i], i < 20 ? SHARE / 2 : 1, 2 * SHARE);
	checks_fini(&c);
}

static void test_one_target_of_many_services_is_probed_once(void **state)
{
	struct catalog_service s[4] = {service(9, 0, 2), service(5, 0, 2), service(6, 0, 2), service(7, 0, 2)};
	struct catalog_place *down;
	struct check_list all;
	struct checks c;

	(void)state;
	s[2].check = CHECK_REDIS; /* another check of the same port is another target */
	s[3].check = CHECK_NONE;
	checks_init(&c, 1);
	follow(&c, s, 4, 0);
	assert_int_equal(c.count, 4);
	for (unsigned i = 0; i < 50; i++) {
		struct check *k = checks_take(&c, checks_next_ns(&c));

		(void)check_done(&c, k, k->target.at.addr.word[0] != htonl(0x0a000001) || k->target.kind == CHECK_REDIS, k->begun_ns);
	}
	checks_list(&c, &all);
	assert_int_equal(all.count, 6);
	assert_int_equal(check_down(&all, &down), 2);
	assert_true(down[0].service == 5 && down[0].backend == 2);
	assert_true(down[1].service == 9 && down[1].backend == 2);
	assert_int_equal(check_list_find(&all, 9, 2)->state, CHECK_DOWN);
	assert_int_equal(check_list_find(&all, 9, 1)->state, CHECK_UP);
	assert_int_equal(check_list_find(&all, 6, 2)->state, CHECK_UP);
	assert_null(check_list_find(&all, 7, 2));
	check_list_free(&all);
	free(down);
	checks_fini(&c);
}

/* The median of the latest good ones: one slow answer doesn't show, four in a row do. */
static void test_latency(void **state)
{
	static const struct {
		const char *what;
		uint32_t count;
		int took_us[12]; /* negative: bad, after so long */
		uint32_t latency_us;
	} rows[] = {
		{"never probed", 0, {0}, 0},
		{"bad ones don't count", 2, {-5000, -7000}, 0},
		{"one", 1, {900}, 900},
		{"of two the lower", 2, {900, 700}, 700},
		{"one slow one", 4, {500, 400, 90000, 600}, 500},
		{"the latest seven", 11, {90000, 90000, 90000, 90000, 3000, 2000, 1000, 1000, 2000, 3000, 9000}, 2000},
		{"three slow ones", 7, {500, 500, 500, 500, 90000, 90000, 90000}, 500},
		{"four slow ones", 8, {500, 500, 500, 500, 90000, 90000, 90000, 90000}, 90000},
		{"bad ones between", 6, {500, -90000, 600, -90000, 700, -90000}, 600},
		{"no time at all is known, too", 1, {0}, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct catalog_service s = service(1, 0, 1);
		struct check_list all;
		struct checks c;

		checks_init(&c, 1);
		follow(&c, &s, 1, 0);
		for (uint32_t n = 0; n < rows[i].count; n++) {
			struct check *k = checks_take(&c, checks_next_ns(&c));
			int took_us = rows[i].took_us[n];

			(void)check_done(&c, k, took_us >= 0, k->begun_ns + (uint64_t)abs(took_us) * 1000);
		}
		checks_list(&c, &all);
		if (all.list[0].latency_us != rows[i].latency_us)
			fail_msg("%s: %u us, wanted %u", rows[i].what, all.list[0].latency_us, rows[i].latency_us);
		check_list_free(&all);
		checks_fini(&c);
	}
}

/* Who starts anew repeats what the catalog says of a backend until its own checks know better. */
static void test_what_is_not_known_is_what_the_catalog_says(void **state)
{
	static const struct {
		const char *what, *results; /* '+' passed, '-' failed */
		bool said_down, down;
	} rows[] = {
		{"not probed yet", "", false, false},
		{"not probed yet, and dead by record", "", true, true},
		{"up", "+", true, false},
		{"down twice is not known yet", "--", false, false},
		{"down", "---", false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct catalog_service s = service(1, 0, 1);
		struct catalog_place *down;
		struct check_list all;
		struct checks c;
		uint32_t count;

		s.backends[0].down = rows[i].said_down;
		checks_init(&c, 1);
		follow(&c, &s, 1, 0);
		for (size_t n = 0; rows[i].results[n]; n++)
			(void)probe_once(&c, rows[i].results[n] == '+');
		checks_list(&c, &all);
		count = check_down(&all, &down);
		if (count != rows[i].down)
			fail_msg("%s: %u are down, wanted %u", rows[i].what, count, rows[i].down);
		check_list_free(&all);
		free(down);
		checks_fini(&c);
	}
}

static void test_the_port_is_the_backends_or_the_services(void **state)
{
	struct catalog_service s = service(1, 0, 3);
	struct checks c;

	(void)state;
	pool[1].port = 8080;
	pool[2].removed = true;
	checks_init(&c, 1);
	follow(&c, &s, 1, 0);
	assert_int_equal(c.count, 2);
	assert_int_equal(c.list[0]->target.port, 80);
	assert_int_equal(c.list[1]->target.port, 8080);
	checks_fini(&c);
}

static void test_what_stays_keeps_its_state(void **state)
{
	struct catalog_service s = service(1, 0, 1), more = service(1, 0, 3), other = service(1, 10, 2);
	struct check *kept, *probed;
	struct checks c;

	(void)state;
	checks_init(&c, 1);
	follow(&c, &s, 1, 0);
	(void)probe_once(&c, true);
	kept = c.list[0];
	follow(&c, &more, 1, 10 * SECOND);
	assert_int_equal(c.count, 3);
	assert_ptr_equal(c.list[0], kept);
	assert_int_equal(kept->state, CHECK_UP);
	assert_int_equal(c.list[1]->state, CHECK_UNKNOWN);
	/* One goes while it is being probed, and its result changes nothing any more. */
	probed = checks_take(&c, 20 * SECOND);
	follow(&c, &other, 1, 20 * SECOND);
	assert_int_equal(c.count, 2);
	assert_false(check_done(&c, probed, true, 21 * SECOND));
	assert_int_equal(c.due.count, 2);
	follow(&c, NULL, 0, 22 * SECOND);
	assert_int_equal(c.due.count, 0);
	assert_true(checks_next_ns(&c) == UINT64_MAX);
	checks_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results_in_a_row_change_the_state),
		cmocka_unit_test(test_latency),
		cmocka_unit_test(test_an_interval_apart_from_begin_to_begin),
		cmocka_unit_test(test_intervals_of_services),
		cmocka_unit_test(test_other_terms_are_another_target),
		cmocka_unit_test(test_what_was_held_up_is_due_at_once_and_once),
		cmocka_unit_test(test_thousands_never_come_at_once),
		cmocka_unit_test(test_one_target_of_many_services_is_probed_once),
		cmocka_unit_test(test_what_is_not_known_is_what_the_catalog_says),
		cmocka_unit_test(test_the_port_is_the_backends_or_the_services),
		cmocka_unit_test(test_what_stays_keeps_its_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
