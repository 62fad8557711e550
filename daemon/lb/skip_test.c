/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/skip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/slots.h"

#define COUNT 3u
#define IDLE 100u

/* A service of backends 11, 12 and 13, as the maps and the catalog have it; what is skipped is told as text, "-s-" say. */
struct world {
	struct lb_backend backends[COUNT];
	__u64 ids[COUNT];
	struct check_member members[COUNT];
	struct catalog_share shares[COUNT];
	struct catalog_service service;
};

static bool turned[COUNT];

static void world_init(struct world *w, const char *weights)
{
	*w = (struct world){.service = {.id = 1, .generation_count = 1}};
	for (uint32_t i = 0; i < COUNT; i++) {
		w->ids[i] = 11 + i;
		w->shares[i] = (struct catalog_share){.backend = 11 + i, .weight = (uint16_t)(weights[i] - '0')};
	}
	w->service.generations[0] = (struct catalog_generation){.shares = w->shares, .share_count = COUNT};
}

/* States of the three: u, d, ?. */
static bool update(struct world *w, const char *states, uint32_t now)
{
	struct check_list own = {w->members, COUNT};

	for (uint32_t i = 0; states && i < COUNT; i++)
		w->members[i] = (struct check_member){.service = 1,
						      .backend = 11 + i,
						      .state = states[i] == 'u'   ? CHECK_UP
							       : states[i] == 'd' ? CHECK_DOWN
										  : CHECK_UNKNOWN};
	return skip_update(w->backends, w->ids, COUNT, &w->service, states ? &own : NULL, now, IDLE, turned);
}

static const char *skipped(const struct world *w)
{
	static char text[COUNT + 1];
	uint8_t skips[COUNT];

	(void)skip_read(w->backends, w->ids, COUNT, skips);
	for (uint32_t i = 0; i < COUNT; i++)
		text[i] = "-sl"[skips[i]];
	return text;
}

static const char *turned_text(void)
{
	static char text[COUNT + 1];

	for (uint32_t i = 0; i < COUNT; i++)
		text[i] = turned[i] ? 't' : '-';
	return text;
}

/* What is worth a line in the log: a backend that stays as it is is none, nor is the end of what it was lately. */
static void test_who_turned(void **state)
{
	static const struct {
		const char *states;
		uint32_t now;
		const char *turned;
	} steps[] = {
		{"uuu", 1000, "---"}, {"udu", 1001, "-t-"}, {"udu", 1002, "---"},        {"udd", 1003, "--t"},
		{NULL, 1004, "-tt"},  {"uuu", 1005, "---"}, {"uuu", 1005 + IDLE, "---"},
	};
	struct world w;

	(void)state;
	world_init(&w, "111");
	for (uint32_t n = 0; n < sizeof steps / sizeof *steps; n++) {
		(void)update(&w, steps[n].states, steps[n].now);
		if (strcmp(turned_text(), steps[n].turned) != 0)
			fail_msg("step %u: turned \"%s\", wanted \"%s\"", n, turned_text(), steps[n].turned);
	}
}

static void test_what_is_skipped(void **state)
{
	static const struct {
		const char *what, *weights;
		struct {
			const char *states; /* NULL: records can be had */
			const char *skipped;
			bool changed;
		} steps[4];
	} rows[] = {
		{"none is down", "111", {{"uuu", "---", false}}},
		{"one is down, and up again",
		 "111",
		 {{"udu", "-s-", true}, {"udu", "-s-", false}, {"uuu", "-l-", true}, {"udu", "-s-", true}}},
		{"not judged yet: as before", "111", {{"udu", "-s-", true}, {"???", "-s-", false}, {"u?d", "-ss", true}}},
		{"not judged yet: none was", "111", {{"???", "---", false}}},
		{"[generations] records can be had: only they count",
		 "111",
		 {{"udu", "-s-", true}, {NULL, "-l-", true}, {NULL, "-l-", false}}},
		{"[generations] all dead: keep the last table", "111", {{"udu", "-s-", true}, {"ddd", "-s-", false}, {"udd", "-ss", true}}},
		{"[generations] all dead at once: keep the last table", "111", {{"ddd", "---", false}}},
		{"without weight it is no refuge", "110", {{"dud", "s-s", true}, {"ddu", "s-s", false}, {"udu", "lsl", true}}},
		{"the only one with weight is down", "010", {{"udu", "---", false}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct world w;

		world_init(&w, rows[i].weights);
		for (uint32_t n = 0; n < 4 && rows[i].steps[n].skipped; n++) {
			bool changed = update(&w, rows[i].steps[n].states, 1000 + n);

			if (changed != rows[i].steps[n].changed || strcmp(skipped(&w), rows[i].steps[n].skipped) != 0)
				fail_msg("%s, step %u: \"%s\", changed %d; wanted \"%s\", %d", rows[i].what, n, skipped(&w), changed,
					 rows[i].steps[n].skipped, rows[i].steps[n].changed);
		}
	}
}

/* Weights change under those that are skipped: what was kept must not leave new flows without a backend. */
static void test_what_is_kept_still_leaves_one(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, "111");
	(void)update(&w, "udu", 1000);
	w.shares[0].weight = w.shares[2].weight = 0;
	assert_true(update(&w, "ddd", 1001));
	assert_string_equal(skipped(&w), "-l-");
}

static void test_lately_ends(void **state)
{
	static const uint32_t begins[] = {0, 1, 1000, UINT32_MAX - 1}; /* ticks wrap */

	(void)state;
	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
		struct world w;

		world_init(&w, "111");
		(void)update(&w, "udu", begins[i]);
		(void)update(&w, "uuu", begins[i]);
		assert_false(update(&w, "uuu", begins[i]));
		assert_false(update(&w, "uuu", begins[i] + IDLE - 1));
		assert_string_equal(skipped(&w), "-l-");
		assert_true(update(&w, "uuu", begins[i] + IDLE + 1));
		assert_string_equal(skipped(&w), "---");
		assert_false(update(&w, "uuu", begins[i] + IDLE + 2));
	}
}

static void test_numbers_of_nobody_are_left_alone(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, "111");
	(void)update(&w, "udu", 999);
	w.ids[1] = 0; /* it was removed */
	assert_false(update(&w, "uuu", 1000));
	assert_string_equal(skipped(&w), "---");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_skipped),
		cmocka_unit_test(test_who_turned),
		cmocka_unit_test(test_what_is_kept_still_leaves_one),
		cmocka_unit_test(test_lately_ends),
		cmocka_unit_test(test_numbers_of_nobody_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
