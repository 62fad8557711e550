/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster/leases.h"

#define MS 1000u /* in us */

/* ---- parts of weights ---- */

static const struct weighing {
	const char *what;
	uint32_t us[9];
	uint8_t before[9];
	uint8_t after[9]; /* none: nothing changes */
} weighings[] = {
	{"all alike", {20 * MS, 20 * MS, 20 * MS}, {100, 100, 100}, {0}},
	{"twice as slow is half", {19 * MS, 39 * MS}, {100, 100}, {100, 50}},
	{"a fifth less is worth it", {19 * MS, 24 * MS}, {100, 100}, {100, 80}},
	{"less than a fifth isn't", {19 * MS, 23 * MS}, {100, 100}, {0}},
	{"nor back", {19 * MS, 22 * MS}, {100, 81}, {0}},
	{"back is", {19 * MS, 19 * MS}, {100, 80}, {100, 100}},
	{"the others keep theirs", {19 * MS, 39 * MS, 21 * MS}, {100, 100, 100}, {100, 50, 100}},
	{"nobody starves", {1 * MS, 900 * MS}, {100, 100}, {100, LATENCY_FLOOR}},
	{"nor is one worth much more than it was at the floor", {1 * MS, 800 * MS}, {100, LATENCY_FLOOR}, {0}},
	{"below a millisecond is noise", {100, 300}, {100, 100}, {0}},
	{"who isn't measured keeps its part", {19 * MS, 0, 39 * MS}, {100, 40, 100}, {100, 40, 50}},
	{"nobody is measured", {0, 0}, {100, 40}, {0}},
	{"one alone is the fastest", {900 * MS, 0}, {50, 100}, {100, 100}},
	{"one very fast one of five doesn't make the others slow",
	 {100, 39 * MS, 39 * MS, 39 * MS, 39 * MS},
	 {100, 100, 100, 100, 100},
	 {0}},
	{"one very slow one of five loses alone",
	 {39 * MS, 39 * MS, 39 * MS, 39 * MS, 900 * MS},
	 {100, 100, 100, 100, 100},
	 {100, 100, 100, 100, LATENCY_FLOOR}},
	{"of four the fastest is the measure", {19 * MS, 39 * MS, 39 * MS, 39 * MS}, {100, 100, 100, 100}, {100, 50, 50, 50}},
	{"the largest there can be", {UINT32_MAX, UINT32_MAX}, {100, 50}, {100, 100}},
};

static void test_parts_of_weights(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof weighings / sizeof *weighings; i++) {
		const struct weighing *w = &weighings[i];
		struct latency list[9];
		uint32_t count = 0;
		bool worth;

		for (; w->before[count]; count++)
			list[count] = (struct latency){.backend = count + 1, .us = w->us[count], .percent = w->before[count]};
		worth = latency_weigh(list, count);
		if (worth != (w->after[0] != 0))
			fail_msg("%s: %sworth it", w->what, worth ? "" : "not ");
		for (uint32_t k = 0; worth && k < count; k++)
			if (list[k].percent != w->after[k])
				fail_msg("%s: backend %u gets %u%%, wanted %u%%", w->what, k + 1, list[k].percent, w->after[k]);
	}
}

/* ---- from reports to generations ---- */

struct world {
	struct leases leases;
	struct services *services;
	uint64_t now_ns, index;
};

static struct reporter named(const char *id, enum reporter_side side)
{
	struct reporter r = {.node = 1, .side = side};

	(void)snprintf(r.id, sizeof r.id, "%s", id);
	return r;
}

static struct service *service(const struct world *w)
{
	return w->services->list[0];
}

/* Measured latencies of service 1's backends 1, 2 and 3; 0: none. Who is down stays so. */
static void say(struct world *w, const char *id, enum reporter_side side, const uint32_t us[3])
{
	struct report r = {.by = named(id, side), .version = w->index, .latencies.list = mem_zalloc(3 * sizeof *r.latencies.list)};

	r.down = mem_zalloc(3 * sizeof *r.down);
	for (uint32_t i = 0; i < 3; i++)
		if (service(w)->backends[i].down)
			r.down[r.down_count++] = (struct report_place){1, i + 1};
	for (uint32_t i = 0; i < 3; i++)
		if (us[i])
			r.latencies.list[r.latencies.count++] = (struct report_figure){{1, i + 1}, us[i]};
	assert_true(leases_take(&w->leases, &r, w->now_ns) >= 0);
	report_fini(&r);
}

/* A service by latency with three backends of weight 1 and a balancer "a" that the catalog knows. */
static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof *w);
	struct service *s = mem_zalloc(sizeof *s);

	w->services = services_new();
	w->now_ns = 1000 * NS_PER_S;
	s->id = 1;
	s->name[0] = 's';
	s->settings = (struct service_settings){.scheduler = SCHEDULE_LATENCY, .flow_idle_s = 7800};
	s->backends = mem_zalloc(3 * sizeof *s->backends);
	s->backend_count = s->backend_last = 3;
	for (uint32_t i = 0; i < 3; i++)
		s->backends[i] = (struct backend){.id = i + 1, .weight = 1, .percent = SERVICE_PERCENT};
	service_prepare(s, 1);
	w->services->list[w->services->count++] = s;
	w->services->id_last = 1;
	w->services->balanced = true;
	w->services->lease_ids[0] = w->services->lease_last = 1;
	w->services->reporters[w->services->reporter_count++] = named("a", SIDE_BALANCER);
	return w;
}

static void world_free(struct world *w)
{
	leases_fini(&w->leases);
	services_free(w->services);
	free(w);
}

/* As the leader does once a second; balancer "a" keeps its lease and measures this. How many facts there were. */
static uint32_t pass(struct world *w, unsigned seconds, const uint32_t us[3])
{
	struct fact *facts = mem_alloc(FACTS_MAX * sizeof *facts);
	uint32_t all = 0, count;

	for (unsigned i = 0; i < seconds; i++) {
		w->now_ns += NS_PER_S;
		say(w, "a", SIDE_BALANCER, us);
		(void)leases_expire(&w->leases, w->services, w->now_ns);
		leases_grace(&w->leases, w->services, w->now_ns);
		while ((count = leases_conclude(&w->leases, w->services, facts)) > 0) {
			struct bytes record = {0};
			struct cursor in;

			facts_put(&record, facts, count);
			in = cursor_of(record.data + 9, record.size - 9);
			assert_int_equal(services_apply_facts(w->services, &in, ++w->index), 0);
			bytes_free(&record);
			say(w, "a", SIDE_BALANCER, us); /* it has it in force at once */
			all += count;
		}
	}
	free(facts);
	return all;
}

static void active_is(const struct world *w, uint16_t one, uint16_t two, uint16_t three)
{
	const struct generation *g = &service(w)->generations[service(w)->generation_count - 1];

	assert_int_equal(g->count, 3);
	assert_int_equal(g->shares[0].weight, one);
	assert_int_equal(g->shares[1].weight, two);
	assert_int_equal(g->shares[2].weight, three);
}

static const uint32_t even[3] = {19 * MS, 19 * MS, 19 * MS}, slow[3] = {19 * MS, 39 * MS, 19 * MS}, slower[3] = {19 * MS, 99 * MS, 19 * MS};

static void test_one_generation_for_a_change(void **state)
{
	struct world *w = world_new();

	(void)state;
	pass(w, 20, even);
	assert_int_equal(service(w)->generation_count, 1);
	pass(w, 1, slow);
	assert_int_equal(service(w)->generation_count, 2);
	active_is(w, 100, 50, 100);
	assert_int_equal(service(w)->backends[1].latency_us, 39 * MS);
	assert_true(services_intact(w->services));
	world_free(w);
}

/* 10 s after the leader began to look, 40 s after the first change, 160 s after the second, and so on; no fifth one while all are kept. */
static void test_changes_are_few(void **state)
{
	static const unsigned seconds[] = {10, 40, 160, 640};
	struct world *w = world_new();

	(void)state;
	pass(w, 1, slow);
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t *us = i % 2 ? even : slow;

		pass(w, seconds[i] - 1, us);
		assert_int_equal(service(w)->generation_count, i + 1);
		pass(w, 1, us);
		assert_int_equal(service(w)->generation_count, i + 2);
	}
	pass(w, 4000, slow);
	assert_int_equal(service(w)->generation_count, 5);
	active_is(w, 100, 100, 100);
	assert_true(service_retire_earlier(service(w)));
	pass(w, 1, slow);
	active_is(w, 100, 50, 100);
	world_free(w);
}

static void test_a_new_leader_counts_anew(void **state)
{
	struct world *w = world_new();

	(void)state;
	pass(w, 12, slow);
	active_is(w, 100, 50, 100);
	(void)service_retire_earlier(service(w));
	w->leases.turns.count = 0; /* it knows nothing of the change */
	pass(w, 10, even);
	active_is(w, 100, 50, 100);
	pass(w, 1, even);
	active_is(w, 100, 100, 100);
	world_free(w);
}

static void test_the_median_of_balancers_counts(void **state)
{
	static const uint32_t alone[3] = {19 * MS, 0, 0};
	struct world *w = world_new();

	(void)state;
	/* b sees a slow way to backend 2, c and the backends' side of d measure nothing that counts. */
	for (unsigned i = 0; i < 15; i++) {
		say(w, "b", SIDE_BALANCER, slower);
		say(w, "c", SIDE_BALANCER, alone);
		say(w, "d", SIDE_BACKEND, slower);
		say(w, "e", SIDE_BACKEND, slower);
		pass(w, 1, even);
	}
	active_is(w, 100, 100, 100);
	for (unsigned i = 0; i < 15; i++) {
		say(w, "b", SIDE_BALANCER, slower);
		say(w, "c", SIDE_BALANCER, slower);
		say(w, "d", SIDE_BACKEND, even);
		say(w, "e", SIDE_BACKEND, even);
		pass(w, 1, even);
	}
	active_is(w, 100, 20, 100);
	world_free(w);
}

static void test_only_those_that_get_flows_are_compared(void **state)
{
	struct world *w = world_new();

	(void)state;
	service(w)->backends[0].down = service(w)->backends[2].down = true;
	pass(w, 15, slow);
	assert_int_equal(service(w)->backends[1].percent, 100);
	service(w)->backends[0].down = service(w)->backends[2].down = false;
	service(w)->settings.scheduler = SCHEDULE_MAGLEV;
	pass(w, 15, slow);
	assert_int_equal(service(w)->backends[1].percent, 100);
	world_free(w);
}

static void test_nothing_while_something_is_prepared(void **state)
{
	struct world *w = world_new();
	static const uint32_t none[3];

	(void)state;
	pass(w, 1, slow);
	for (unsigned i = 0; i < 20; i++) {
		say(w, "b", SIDE_BALANCER, none); /* it is behind, so that the change below stays prepared */
		w->leases.list[1].report.version = 0;
		if (i == 0) {
			service(w)->backends[2].weight = 2;
			service_prepare(service(w), 1);
		}
		pass(w, 1, slow);
		w->leases.list[1].report.version = 0;
	}
	assert_int_equal(service(w)->prepared.number, 2);
	assert_int_equal(service(w)->backends[1].percent, 100);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_weights),
		cmocka_unit_test(test_one_generation_for_a_change),
		cmocka_unit_test(test_changes_are_few),
		cmocka_unit_test(test_a_new_leader_counts_anew),
		cmocka_unit_test(test_the_median_of_balancers_counts),
		cmocka_unit_test(test_only_those_that_get_flows_are_compared),
		cmocka_unit_test(test_nothing_while_something_is_prepared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
