/* SPDX-License-Identifier: Apache-2.0 */
/* That packets really go there is tests/lb/retire's to show. */
#include "lb/lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

#define FLOWS 3000u
#define HOSTS 3u

/* A service of three backends on a host each; an earlier generation led all to the third one. */
struct world {
	struct lb_catalog catalog;
	struct catalog_service service;
	struct catalog_backend backends[HOSTS];
	struct catalog_share before[HOSTS], shares[HOSTS];
	struct maglev_cache maglevs;
	struct lead leads[HOSTS];
};

static struct world *world_new(const char *weights, enum lb_scheduler scheduler)
{
	struct world *w = calloc(1, sizeof *w);

	w->catalog = (struct lb_catalog){.secret = {7, 9}, .services = &w->service, .service_count = 1};
	w->service = (struct catalog_service){
		.id = 1, .scheduler = scheduler, .backends = w->backends, .backend_count = HOSTS, .generation_count = 2};
	w->service.generations[0] = (struct catalog_generation){4, w->before, HOSTS};
	w->service.generations[1] = (struct catalog_generation){5, w->shares, HOSTS};
	for (uint32_t i = 0; i < HOSTS; i++) {
		w->backends[i].id = 10 + i;
		w->before[i] = (struct catalog_share){10 + i, i == 2};
		w->shares[i] = (struct catalog_share){10 + i, (uint16_t)(weights[i] - '0')};
	}
	for (uint32_t i = 0; i < HOSTS; i++) {
		bool here[HOSTS] = {false};

		here[i] = true;
		lead_init(&w->leads[i], &w->maglevs, &w->catalog, &w->service, here);
	}
	return w;
}

static void world_free(struct world *w)
{
	for (uint32_t i = 0; i < HOSTS; i++)
		lead_fini(&w->leads[i]);
	maglev_cache_fini(&w->maglevs);
	free(w);
}

static struct lb_flow flow(uint32_t number)
{
	return (struct lb_flow){.src.word[0] = (uint32_t)mix64(number / 4),
				.dst.word[0] = 1,
				.sport = (uint16_t)mix64(number),
				.dport = 80,
				.proto = 6,
				.family = LB_IP4};
}

/* How many flows are led to each host; how many to so many hosts at once. */
struct led {
	uint32_t to[HOSTS], at_once[HOSTS + 1];
};

static struct led lead_all(const struct world *w)
{
	struct led l = {0};

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lb_flow f = flow(i);
		uint32_t hosts = 0;

		for (uint32_t h = 0; h < HOSTS; h++) {
			bool here = lead_is_here(&w->leads[h], &f);

			l.to[h] += here;
			hosts += here;
		}
		l.at_once[hosts]++;
	}
	return l;
}

static void test_each_flow_to_one_host(void **state)
{
	static const enum lb_scheduler schedulers[] = {LB_MAGLEV, LB_SOURCE};

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct world *w = world_new("120", schedulers[i]);
		struct led l = lead_all(w);

		assert_int_equal(w->leads[0].generation, 5);
		assert_int_equal(l.at_once[1], FLOWS);
		assert_in_range(l.to[0], FLOWS / 3 - FLOWS / 10, FLOWS / 3 + FLOWS / 10);
		assert_int_equal(l.to[2], 0);
		world_free(w);
	}
}

/* By its source a client's flows are all led alike. */
static void test_by_source(void **state)
{
	struct world *w = world_new("110", LB_SOURCE);

	(void)state;
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lb_flow one = flow(i), other = one;

		other.sport++;
		assert_int_equal(lead_is_here(&w->leads[0], &one), lead_is_here(&w->leads[0], &other));
	}
	world_free(w);
}

static void test_two_choices(void **state)
{
	struct world *w = world_new("110", LB_TWO_CHOICES);
	struct led l = lead_all(w);

	(void)state;
	assert_int_equal(l.at_once[0], 0);
	assert_in_range(l.at_once[2], FLOWS / 2 - FLOWS / 10, FLOWS / 2 + FLOWS / 10);
	assert_int_equal(l.to[2], 0);
	world_free(w);
}

static void test_round_robin(void **state)
{
	struct world *w = world_new("110", LB_ROUND_ROBIN);
	struct led l = lead_all(w);

	(void)state;
	assert_true(l.to[0] == FLOWS && l.to[1] == FLOWS && l.to[2] == 0);
	world_free(w);
}

/* Then the table before stays in force. */
static void test_nobody_has_weight(void **state)
{
	struct world *w = world_new("000", LB_MAGLEV);
	struct led l = lead_all(w);

	(void)state;
	assert_int_equal(w->leads[2].generation, 0);
	assert_int_equal(l.at_once[0], FLOWS);
	world_free(w);
}

/* A host that is several backends of the service has what any of them owns. */
static void test_a_host_that_is_two(void **state)
{
	struct world *w = world_new("111", LB_MAGLEV);
	const bool here[HOSTS] = {true, false, true};
	struct lead both;

	(void)state;
	lead_init(&both, &w->maglevs, &w->catalog, &w->service, here);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lb_flow f = flow(i);

		assert_int_equal(lead_is_here(&both, &f), lead_is_here(&w->leads[0], &f) || lead_is_here(&w->leads[2], &f));
	}
	lead_fini(&both);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_flow_to_one_host), cmocka_unit_test(test_by_source),
		cmocka_unit_test(test_two_choices),           cmocka_unit_test(test_round_robin),
		cmocka_unit_test(test_nobody_has_weight),     cmocka_unit_test(test_a_host_that_is_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
