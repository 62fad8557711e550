/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/earlier.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START 1000u
#define IDLE 10u /* ticks */

/* One service, id 7, backends 1 to 3; generations by their shares, the last one active. */
struct world {
	struct lb_catalog catalog;
	struct catalog_service service;
	struct catalog_backend backends[3];
	struct catalog_share shares[4][3];
	uint32_t last[3];
	uint64_t seen;
	struct earlier e;
};

static void last(void *arg, const struct catalog_service *s, uint32_t *ret)
{
	const struct world *w = arg;

	memcpy(ret, w->last, s->backend_count * sizeof *ret);
}

static uint64_t seen(void *arg, const struct catalog_service *s)
{
	const struct world *w = arg;

	(void)s;
	return w->seen;
}

/* "110" is a generation of backends 1 and 2; the first one has this number. */
static void generations(struct world *w, uint32_t first, const char *const *weights)
{
	struct catalog_service *s = &w->service;

	for (s->generation_count = 0; weights[s->generation_count]; s->generation_count++) {
		struct catalog_share *shares = w->shares[s->generation_count];

		for (uint32_t i = 0; i < 3; i++)
			shares[i] = (struct catalog_share){i + 1, (uint16_t)(weights[s->generation_count][i] - '0')};
		s->generations[s->generation_count] = (struct catalog_generation){first + s->generation_count, shares, 3};
	}
}

static void world_init(struct world *w)
{
	const struct earlier_plane plane = {.last = last, .seen = seen, .arg = w};

	*w = (struct world){.service = {.id = 7, .flow_idle_s = IDLE, .affinity = true, .vip.proto = IPPROTO_TCP, .backends = w->backends, .backend_count = 3}};
	for (uint32_t i = 0; i < 3; i++)
		w->backends[i].id = i + 1;
	w->catalog = (struct lb_catalog){.services = &w->service, .service_count = 1};
	earlier_init(&w->e, &plane);
	assert_int_equal(earlier_idle_ticks(&w->service), IDLE);
}

/* The numbers of those without flows; what it is to be asked again for stands behind. */
static void idle_is(const struct world *w, uint32_t now, const char *want, uint32_t want_ticks)
{
	struct catalog_past *list;
	uint32_t ticks, count = earlier_idle(&w->e, &w->catalog, now, UINT32_MAX, 8, &list, &ticks);
	char said[64] = "";

	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(list[i].service, 7);
		(void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s%u", i ? " " : "", (unsigned)list[i].generation);
	}
	free(list);
	if (strcmp(said, want) || ticks != want_ticks)
		fail_msg("at %u: \"%s\" are idle, asked again in %u; wanted \"%s\", %u", now, said, ticks, want, want_ticks);
}

/* The service is known to have had flows before this process was. */
static void found(struct world *w, const char *const *weights)
{
	world_init(w);
	generations(w, 1, weights);
	earlier_follow(&w->e, &w->catalog, START);
}

/* The same within so many seconds, if flow_idle is more. */
static void test_quiet(void **state)
{
	static const char *const weights[] = {"100", "110", NULL};
	struct catalog_past *list;
	uint32_t ticks;
	struct world w;

	(void)state;
	found(&w, weights);
	w.service.flow_idle_s = 1000;
	w.last[0] = START + 10;
	assert_int_equal(earlier_idle(&w.e, &w.catalog, START + 20, 20, 8, &list, &ticks), 0);
	assert_int_equal(ticks, 10); /* 20 s are a bit more than 18 ticks */
	free(list);
	assert_int_equal(earlier_idle(&w.e, &w.catalog, START + 30, 20, 8, &list, &ticks), 1);
	assert_true(list[0].service == 7 && list[0].generation == 1 && ticks == 1);
	free(list);
	assert_int_equal(earlier_idle(&w.e, &w.catalog, START + 30, 2000, 8, &list, &ticks), 0);
	free(list);
	w.last[0] = START + 31;
	assert_int_equal(earlier_idle(&w.e, &w.catalog, START + 31, 20, 8, &list, &ticks), 0);
	free(list);
	w.service.slow_start_s = 100; /* who comes gets its flows bit by bit: others' slots send them elsewhere */
	assert_int_equal(earlier_idle(&w.e, &w.catalog, START + 60, 20, 8, &list, &ticks), 0);
	free(list);
	assert_int_equal(earlier_idle(&w.e, &w.catalog, START + 100, 20, 8, &list, &ticks), 1);
	free(list);
	free(w.e.services);
}

static void test_started(void **state)
{
	static const char *const weights[] = {"100", "110", NULL}, *const one[] = {"110", NULL};
	struct world w;

	(void)state;
	found(&w, weights);
	w.last[0] = START - 5; /* it doesn't say what was when */
	idle_is(&w, START, "", IDLE + 1);
	idle_is(&w, START + IDLE, "", 1);
	idle_is(&w, START + IDLE + 1, "1", 1);
	earlier_follow(&w.e, &w.catalog, START + 50); /* the same again: the time goes on */
	idle_is(&w, START + IDLE + 1, "1", 1);
	generations(&w, 2, one);
	earlier_follow(&w.e, &w.catalog, START + 60);
	idle_is(&w, START + 60, "", 0);
	free(w.e.services);
}

static void test_packets(void **state)
{
	static const char *const weights[] = {"100", "011", "001", NULL};
	struct world w;

	(void)state;
	found(&w, weights);
	w.last[0] = START + 3;
	idle_is(&w, START + IDLE + 1, "2", 1);
	w.last[0] = START + 8; /* whoever has no packets of older flows is no reason */
	idle_is(&w, START + IDLE + 5, "2", 1);
	idle_is(&w, START + 8 + IDLE + 1, "1 2", 1);
	w.last[1] = START + 30; /* a packet came after all */
	idle_is(&w, START + 32, "1", 1);
	w.last[0] = w.last[2] = START + 32;
	idle_is(&w, START + 32, "", IDLE + 1);
	free(w.e.services);
}

/* The next change: what was active becomes an earlier one, from then on. */
static void test_change(void **state)
{
	static const char *const weights[] = {"100", "010", NULL}, *const next[] = {"100", "010", "001", NULL};
	struct world w;

	(void)state;
	found(&w, weights);
	generations(&w, 1, next);
	earlier_follow(&w.e, &w.catalog, START + 6);
	idle_is(&w, START + IDLE + 1, "1", 1);
	idle_is(&w, START + 6 + IDLE, "1", 1);
	idle_is(&w, START + 6 + IDLE + 1, "1 2", 1);
	free(w.e.services);
}

/* New flows still go to who had the slots before. */
static void test_slow_start(void **state)
{
	static const char *const weights[] = {"100", "110", NULL};
	struct world w;

	(void)state;
	found(&w, weights);
	w.service.slow_start_s = 30;
	idle_is(&w, START + IDLE, "", 1);
	idle_is(&w, START + IDLE + 1, "", 28 - IDLE - 1);
	idle_is(&w, START + 27, "", 1);
	idle_is(&w, START + 28, "1", 1);
	free(w.e.services);
}

/* Flows of these stay with their backend, which most often isn't the slot's: only who gets no new ones is an older owner. */
static void test_recorded(void **state)
{
	static const char *const weights[] = {"111", "110", NULL};
	struct world w;

	(void)state;
	found(&w, weights);
	w.service.scheduler = LB_ROUND_ROBIN;
	w.last[0] = w.last[1] = START + 50;
	idle_is(&w, START + 50, "1", 1);
	w.last[2] = START + 45;
	idle_is(&w, START + 50, "", 6);
	w.service.scheduler = LB_MAGLEV;
	w.service.delivery = LB_SNAT;
	idle_is(&w, START + 50, "", 6);
	w.last[2] = START;
	idle_is(&w, START + 50, "1", 1);
	w.service.delivery = LB_IPIP;
	idle_is(&w, START + 50, "", IDLE + 1);
	free(w.e.services);
}

static void test_datagrams(void **state)
{
	static const char *const weights[] = {"100", "010", NULL};
	struct world w;

	(void)state;
	found(&w, weights);
	w.service.flow_idle_s = 7800;
	assert_true(earlier_idle_ticks(&w.service) > 7200);
	w.service.vip.proto = IPPROTO_UDP;
	assert_int_equal(earlier_idle_ticks(&w.service), 28);
	idle_is(&w, START + 28, "", 1);
	idle_is(&w, START + 29, "1", 1);
	w.service.affinity = false;
	w.last[0] = START;
	idle_is(&w, START, "1", 1);
	free(w.e.services);
}

/* Nobody has come yet, so there are no flows of what was before. */
static void test_new_service(void **state)
{
	static const char *const weights[] = {"100", "110", "111", NULL};
	struct world w;

	(void)state;
	world_init(&w);
	w.seen = 40; /* of a service that had its number before */
	w.catalog.service_count = 0;
	earlier_follow(&w.e, &w.catalog, START);
	w.catalog.service_count = 1;
	generations(&w, 1, weights);
	earlier_follow(&w.e, &w.catalog, START + 1);
	idle_is(&w, START + 1, "1 2", 1);
	w.seen++;
	idle_is(&w, START + 2, "", IDLE);
	earlier_follow(&w.e, &w.catalog, START + 3);
	idle_is(&w, START + 3, "", IDLE - 1);
	free(w.e.services);
}

/* The first catalog there is has it, and no backends yet. */
static void test_new_cluster(void **state)
{
	static const char *const none[] = {NULL}, *const weights[] = {"100", "110", NULL};
	struct world w;

	(void)state;
	found(&w, none);
	idle_is(&w, START, "", 0);
	generations(&w, 1, weights);
	earlier_follow(&w.e, &w.catalog, START + 1);
	idle_is(&w, START + 1, "1", 1);
	w.seen++;
	idle_is(&w, START + 2, "", IDLE);
	free(w.e.services);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_quiet),  cmocka_unit_test(test_packets),   cmocka_unit_test(test_change),
		cmocka_unit_test(test_recorded), cmocka_unit_test(test_datagrams), cmocka_unit_test(test_new_service),
		cmocka_unit_test(test_new_cluster), cmocka_unit_test(test_slow_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
