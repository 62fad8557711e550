/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/loads.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/numbers.h"

#define BUCKETS 8u
#define BACKENDS 64u
#define NOW 5000u
#define NOW_MS 700000u
#define IDLE 100u

/* Two services, 1 and 2 in the catalog, and what the tables have of them: 0 and 1. */
struct world {
	struct lb_service services[2];
	struct lb_name names[2];
	struct lb_backend backends[BACKENDS];
	__u64 ids[BACKENDS];
	struct lb_load loads_of[BACKENDS];
	struct lb_flow_bucket flows[BUCKETS];
	struct lb_snat snats[BUCKETS];
	struct lb_config config;
	struct tables_plane plane;
	struct tables tables;
	struct catalog_backend listed[2][BACKENDS];
	struct catalog_share shares[2][BACKENDS];
	struct catalog_service served[2];
	struct lb_catalog catalog;
	struct loads loads;
	struct lb_told told[8];
	uint32_t told_count;
	uint64_t now_ms;
};

static void await_packets(struct tables *t)
{
	(void)t;
}

/* So many backends with ids from first on, of weights 1, 2, 3, 1, ... */
static void serve(struct world *w, uint32_t i, uint64_t first, uint32_t count)
{
	struct catalog_service *c = &w->served[i];

	c->backends = w->listed[i];
	c->backend_count = count;
	c->generation_count = 1;
	c->generations[0] = (struct catalog_generation){.number = 1, .shares = w->shares[i], .share_count = count};
	for (uint32_t b = 0; b < count; b++) {
		w->listed[i][b] = (struct catalog_backend){.id = first + b};
		w->shares[i][b] = (struct catalog_share){.backend = first + b, .weight = (uint16_t)(1 + b % 3)};
	}
	assert_int_equal(numbers_give(&w->tables, &w->services[i], c), 0);
	loads_weigh(&w->tables, &w->services[i], c);
}

static void *world_new(void)
{
	struct world *w = calloc(1, sizeof *w);

	w->now_ms = NOW_MS;
	w->plane.await_packets = await_packets;
	w->tables = (struct tables){
		.plane = &w->plane,
		.services = w->services,
		.names = w->names,
		.backends = w->backends,
		.ids = w->ids,
		.loads = w->loads_of,
		.flows = w->flows,
		.snats = w->snats,
		.service_count = 2,
		.backend_count = BACKENDS,
		.flow_count = BUCKETS,
		.snat_count = BUCKETS,
	};
	for (uint32_t stage = LB_FLOW_EMBRYONIC; stage < LB_FLOW_STAGES; stage++)
		w->config.idle_ticks[stage] = IDLE;
	w->catalog = (struct lb_catalog){.services = w->served, .service_count = 2};
	for (uint32_t i = 0; i < 2; i++) {
		w->names[i].id = i + 1;
		w->served[i] = (struct catalog_service){.id = i + 1, .scheduler = LB_TWO_CHOICES, .vip.proto = IPPROTO_TCP};
		serve(w, i, 11, 3);
	}
	return w;
}

static void put_flow(struct world *w, uint32_t at, uint32_t service, struct lb_flow_state state)
{
	struct lb_flow_entry *e = &w->flows[at / LB_FLOW_WAYS].entry[at % LB_FLOW_WAYS];

	memcpy(&e->state, &state, sizeof e->state);
	e->key.word[2] = (__u64)service << 32 | at;
}

static uint32_t flows_of(const struct world *w, uint32_t service, uint32_t number)
{
	return w->loads_of[w->services[service].backend_base + number].flows;
}

static void look(struct world *w)
{
	const struct loads_view v = {.catalog = &w->catalog,
				     .config = &w->config,
				     .now_ticks = NOW,
				     .now_ms = w->now_ms,
				     .told = w->told,
				     .told_count = w->told_count};

	loads_look(&w->loads, &w->tables, &v);
}

/* A second later. */
static void look_again(struct world *w)
{
	w->now_ms += 1000;
	look(w);
}

static void world_free(struct world *w)
{
	free(w->loads.begun.backends);
	free(w);
}

/* Ascending. */
static void tell(struct world *w, uint64_t service, uint64_t backend, uint32_t sockets, uint64_t age_ms)
{
	w->told[w->told_count++] = (struct lb_told){{service, backend}, sockets, w->now_ms - age_ms};
}

static void begin(struct world *w, uint32_t service, uint32_t number, uint32_t flows)
{
	w->loads_of[w->services[service].backend_base + number].flows += flows;
}

static void test_flows_that_are_there_count(void **state)
{
	static const struct {
		struct lb_flow_state flow;
		uint32_t service, counts;
	} cases[] = {
		{{.backend = 1, .stage = LB_FLOW_EMBRYONIC, .seen_ticks = NOW}, 0, 1},
		{{.backend = 1, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW - IDLE}, 0, 1},
		{{.backend = 1, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW - IDLE - 1}, 0, 0},
		{{.backend = 1, .stage = LB_FLOW_DATAGRAM, .seen_ticks = NOW}, 0, 1},
		{{.backend = 1, .stage = LB_FLOW_ENDED, .seen_ticks = NOW}, 0, 0},
		{{.backend = 1, .stage = LB_FLOW_BUSY, .seen_ticks = NOW}, 0, 0},
		{{.backend = 1}, 0, 0},
		{{.backend = 2, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW}, 0, 0},
		{{.backend = 1, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW}, 1, 0},
		{{.backend = 1, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW}, 7, 0},
		{{.backend = 60000, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW}, 0, 0},
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = world_new();

		w->loads_of[w->services[0].backend_base + 1].flows = 40; /* what packets counted gives way */
		put_flow(w, i, cases[i].service, cases[i].flow);
		look(w);
		if (flows_of(w, 0, 1) != cases[i].counts)
			fail_msg("case %u: %u flows, wanted %u", i, flows_of(w, 0, 1), cases[i].counts);
		world_free(w);
	}
}

static void test_each_backend_has_its_own(void **state)
{
	struct world *w = world_new();

	(void)state;
	for (uint32_t i = 0; i < 7; i++)
		put_flow(w, i, i >= 3, (struct lb_flow_state){.backend = i == 2 || i == 5, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW});
	look(w);
	assert_int_equal(flows_of(w, 0, 0), 2);
	assert_int_equal(flows_of(w, 0, 1), 1);
	assert_int_equal(flows_of(w, 1, 0), 3);
	assert_int_equal(flows_of(w, 1, 1), 1);
	world_free(w);
}

static void test_connections_of_snat(void **state)
{
	static const __u8 stages[] = {LB_FLOW_EMBRYONIC, LB_FLOW_CONFIRMED, LB_FLOW_DATAGRAM, LB_FLOW_CLOSED, LB_FLOW_FREE, LB_FLOW_BUSY};
	struct world *w = world_new();

	(void)state;
	w->served[0].delivery = LB_SNAT;
	for (uint32_t i = 0; i < sizeof stages; i++) {
		struct lb_snat_state connection = {.stage = stages[i], .seen_ticks = NOW};

		memcpy(&w->snats[i].state, &connection, sizeof connection);
		w->snats[i].backend = 2;
	}
	/* It is in the flow table, too, from its SYN: that doesn't count twice. */
	put_flow(w, 0, 0, (struct lb_flow_state){.backend = 2, .stage = LB_FLOW_EMBRYONIC, .seen_ticks = NOW});
	look(w);
	assert_int_equal(flows_of(w, 0, 2), 3);
	world_free(w);
}

static void test_chained_counts_fall(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->served[0].delivery = w->served[1].delivery = LB_GUE;
	w->served[0].chain = w->served[1].chain = true;
	w->served[1].vip.proto = IPPROTO_UDP; /* those are recorded */
	w->loads_of[w->services[0].backend_base].flows = 1600;
	w->loads_of[w->services[0].backend_base + 1].flows = 1;
	w->loads_of[w->services[1].backend_base].flows = 1600;
	look(w);
	assert_int_equal(flows_of(w, 0, 0), 1500);
	assert_int_equal(flows_of(w, 0, 1), 0);
	assert_int_equal(flows_of(w, 0, 2), 0);
	assert_int_equal(flows_of(w, 1, 0), 0);
	for (int i = 0; i < 11; i++)
		look(w);
	assert_in_range(flows_of(w, 0, 0), 700, 800);
	world_free(w);
}

static void test_only_two_choices(void **state)
{
	struct world *w = world_new();

	(void)state;
	assert_true(loads_wanted(&w->catalog));
	w->served[0].scheduler = LB_MAGLEV;
	w->loads_of[w->services[0].backend_base].flows = 5;
	look(w);
	assert_int_equal(flows_of(w, 0, 0), 5);
	w->served[1].scheduler = LB_ROUND_ROBIN;
	assert_false(loads_wanted(&w->catalog));
	world_free(w);
}

/* Its number goes to another one: neither flows nor weight stay. */
static void test_a_number_is_used_again(void **state)
{
	struct world *w = world_new();
	const struct lb_load *load = &w->loads_of[w->services[0].backend_base + 2];

	(void)state;
	assert_int_equal(load->weight, 3);
	w->loads_of[w->services[0].backend_base + 2].flows = 9;
	serve(w, 0, 11, 2);
	serve(w, 0, 11, 3);
	assert_int_equal(load->flows, 0);
	assert_int_equal(load->weight, 3);
	w->loads_of[w->services[0].backend_base + 2].flows = 9;
	w->listed[0][2].id = 99;
	w->shares[0][2] = (struct catalog_share){.backend = 11, .weight = 1};
	assert_int_equal(numbers_give(&w->tables, &w->services[0], &w->served[0]), 0);
	loads_weigh(&w->tables, &w->services[0], &w->served[0]);
	assert_int_equal(load->flows, 0);
	assert_int_equal(load->weight, 0);
	world_free(w);
}

static void test_loads_move_with_their_backends(void **state)
{
	struct world *w = world_new();
	uint32_t base = w->services[0].backend_base;

	(void)state;
	w->loads_of[base + 1].flows = 9;
	serve(w, 0, 11, 20);
	assert_int_not_equal(w->services[0].backend_base, base);
	assert_int_equal(flows_of(w, 0, 1), 9);
	assert_int_equal(flows_of(w, 0, 19), 0);
	assert_int_equal(w->loads_of[w->services[0].backend_base + 19].weight, 2);
	world_free(w);
}

static uint8_t by(const struct world *w, uint32_t service, uint32_t number)
{
	return w->loads_of[w->services[service].backend_base + number].by;
}

/* Whoever sent them the flows. Another service's are its own. */
static void test_what_hosts_tell_counts(void **state)
{
	struct world *w = world_new();

	(void)state;
	put_flow(w, 0, 0, (struct lb_flow_state){.backend = 1, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW});
	put_flow(w, 1, 1, (struct lb_flow_state){.backend = 1, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW});
	for (uint32_t i = 0; i < 3; i++)
		tell(w, 1, 11 + i, 100 * (i + 1), 10);
	look(w);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(flows_of(w, 0, i), 100 * (i + 1));
		assert_int_equal(by(w, 0, i), LB_LOAD_SOCKETS);
		assert_int_equal(by(w, 1, i), LB_LOAD_OWN);
	}
	assert_int_equal(flows_of(w, 1, 1), 1);
	world_free(w);
}

/* All hosts or none: what one has doesn't compare with what comes through here to another. */
static void test_who_must_have_told(void **state)
{
	static const struct {
		const char *what;
		uint32_t told, age_ms; /* a bit for each backend; of the last one */
		bool down, weightless; /* the last one */
		bool counts;
	} cases[] = {
		{"all", 7, 10, false, false, true},
		{"one is missing", 3, 10, false, false, false},
		{"one is old", 7, LEASE_MS, false, false, false},
		{"one is old, but not too old", 7, LEASE_MS - 1, false, false, true},
		{"the one that is missing is down", 3, 10, true, false, true},
		{"it gets no new flows", 3, 10, false, true, true},
		{"nobody", 0, 10, false, false, false},
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world *w = world_new();

		put_flow(w, 0, 0, (struct lb_flow_state){.backend = 0, .stage = LB_FLOW_CONFIRMED, .seen_ticks = NOW});
		w->listed[0][2].down = cases[i].down;
		if (cases[i].weightless)
			w->shares[0][2].weight = 0;
		for (uint32_t b = 0; b < 3; b++)
			if (cases[i].told & 1u << b)
				tell(w, 1, 11 + b, 50, b == 2 ? cases[i].age_ms : 10);
		look(w);
		if ((flows_of(w, 0, 0) == 50) != cases[i].counts || (by(w, 0, 0) == LB_LOAD_SOCKETS) != cases[i].counts)
			fail_msg("%s: load %u by %u", cases[i].what, flows_of(w, 0, 0), by(w, 0, 0));
		world_free(w);
	}
}

/* What has begun since the count isn't in it; of a second in which it was counted, a part. */
static void test_what_began_since_the_count(void **state)
{
	struct world *w = world_new();

	(void)state;
	look(w);
	begin(w, 0, 0, 1000);
	look_again(w);
	begin(w, 0, 0, 200);
	begin(w, 0, 1, 40);
	look_again(w);
	begin(w, 0, 0, 8);
	for (uint32_t i = 0; i < 3; i++)
		tell(w, 1, 11 + i, 5, i == 1 ? 0 : 250);
	look_again(w); /* counted 1,250 and 1,000 ms ago */
	assert_int_equal(flows_of(w, 0, 0), 5 + 8 + 200 / 4);
	assert_int_equal(flows_of(w, 0, 1), 5);
	assert_int_equal(flows_of(w, 0, 2), 5);
	begin(w, 0, 0, 7); /* packets go on counting */
	assert_int_equal(flows_of(w, 0, 0), 5 + 8 + 50 + 7);
	look_again(w); /* the same counts, a second older */
	assert_int_equal(flows_of(w, 0, 0), 5 + 8 + 50 + 7);
	w->told_count = 0;
	look_again(w);
	assert_int_equal(flows_of(w, 0, 0), 0);
	assert_int_equal(by(w, 0, 0), LB_LOAD_OWN);
	world_free(w);
}

/* What was begun at whoever had its number before, or while nobody looked, isn't its own. */
static void test_what_began_is_a_backends_own(void **state)
{
	struct world *w = world_new();

	(void)state;
	look(w);
	begin(w, 0, 2, 1000);
	look_again(w);
	w->listed[0][2].id = 99;
	w->shares[0][2].backend = 99;
	assert_int_equal(numbers_give(&w->tables, &w->services[0], &w->served[0]), 0);
	tell(w, 1, 11, 5, 1500);
	tell(w, 1, 12, 5, 1500);
	tell(w, 1, 99, 5, 1500);
	look_again(w);
	assert_int_equal(flows_of(w, 0, 2), 5);
	assert_int_equal(by(w, 0, 2), LB_LOAD_SOCKETS);
	w->served[0].scheduler = LB_MAGLEV;
	look_again(w);
	begin(w, 0, 0, 1000);
	w->served[0].scheduler = LB_TWO_CHOICES;
	for (uint32_t i = 0; i < 3; i++)
		w->told[i].counted_ms = w->now_ms;
	look_again(w);
	assert_int_equal(flows_of(w, 0, 0), 5);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_that_are_there_count),
		cmocka_unit_test(test_each_backend_has_its_own),
		cmocka_unit_test(test_connections_of_snat),
		cmocka_unit_test(test_chained_counts_fall),
		cmocka_unit_test(test_only_two_choices),
		cmocka_unit_test(test_a_number_is_used_again),
		cmocka_unit_test(test_loads_move_with_their_backends),
		cmocka_unit_test(test_what_hosts_tell_counts),
		cmocka_unit_test(test_who_must_have_told),
		cmocka_unit_test(test_what_began_since_the_count),
		cmocka_unit_test(test_what_began_is_a_backends_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
