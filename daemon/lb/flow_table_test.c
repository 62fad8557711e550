/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/flow_table.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bpf/lb_flow.h"
#include "bpf/lb_hash.h"

#define BUCKETS 256u
#define SLOTS 64u
#define NUMBER 1u /* of the service; 0 is free */
#define NOW 1000u
#define FLOWS 100u

/* One service in two tables' room, of which the second is in use: every other slot counts as moved. */
struct world {
	struct lb_service services[2];
	struct lb_name names[2];
	__u64 slots[2 * SLOTS];
	struct lb_flow_bucket flows[BUCKETS];
	struct tables tables;
	struct lb_config config;
};

static struct world *world_new(uint8_t family, uint8_t scheduler)
{
	struct world *w = calloc(1, sizeof *w);
	struct lb_service *s = &w->services[NUMBER];

	w->tables = (struct tables){.services = w->services,
				    .names = w->names,
				    .slots = w->slots,
				    .flows = w->flows,
				    .service_count = 2,
				    .flow_count = BUCKETS};
	w->config = (struct lb_config){.secret = {0x5eed, 0xca7}, .flow_mask = BUCKETS - 1};
	for (unsigned i = 0; i < LB_FLOW_STAGES; i++)
		w->config.idle_ticks[i] = NOW;
	w->names[NUMBER].id = 7;
	s->vip.word[0] = htonl(0x0a010101);
	if (family == LB_IP6)
		s->vip.word[3] = htonl(1);
	s->family = family;
	s->scheduler = scheduler;
	s->current = 1;
	s->table[1] = (struct lb_table){.base = SLOTS, .count = SLOTS};
	for (uint32_t i = 0; i < SLOTS; i += 2)
		((struct lb_slot *)&w->slots[SLOTS])[i].flags = LB_SLOT_MOVED;
	return w;
}

static struct lb_flow flow(const struct world *w, uint32_t client, uint8_t proto)
{
	struct lb_flow f = {
		.dst = w->services[NUMBER].vip,
		.sport = htons((uint16_t)(40000 + client)),
		.dport = htons(80),
		.proto = proto,
		.family = w->services[NUMBER].family,
	};

	f.src.word[f.family == LB_IP6 ? 3 : 0] = htonl(0x0a000001 + client);
	return f;
}

static struct lb_flow_bucket *bucket_of(struct world *w, const struct lb_flow *f)
{
	return &w->flows[lb_hash_flow(&w->config, f) & w->config.flow_mask];
}

/* bpf/lb_abi.h says what it is. */
static struct lb_flow_key key_of(const struct lb_flow *f)
{
	return (struct lb_flow_key){{(__u64)f->src.word[1] << 32 | f->src.word[0], (__u64)f->src.word[3] << 32 | f->src.word[2],
				     (__u64)NUMBER << 32 | (uint32_t)f->sport << 16 | f->dport}};
}

/* As packets of these clients leave them. */
static void record(struct world *w, uint8_t proto, uint8_t stage)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lb_flow f = flow(w, i, proto);
		struct lb_flow_key key = key_of(&f);

		assert_true(lb_flow_put(&w->config, bucket_of(w, &f), &key, 1, stage, NOW));
	}
}

static bool is_remembered(struct world *w, const struct lb_flow *f)
{
	struct lb_flow_key key = key_of(f);
	union lb_flow_word word;

	return lb_flow_find(&w->config, bucket_of(w, f), &key, NOW, &word) != NULL;
}

static bool is_moved(const struct world *w, const struct lb_flow *f)
{
	uint64_t hash = w->services[NUMBER].scheduler == LB_SOURCE ? lb_hash_source(&w->config, f) : lb_hash_flow(&w->config, f);

	return lb_hash_slot(hash, SLOTS) % 2 == 0;
}

static uint32_t count_remembered(struct world *w, uint8_t proto)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lb_flow f = flow(w, i, proto);

		count += is_remembered(w, &f);
	}
	return count;
}

/* What is remembered afterwards is what has a moved slot, and there is some of both. */
static void forget_unmoved(uint8_t family, uint8_t scheduler, uint8_t proto, uint8_t stage)
{
	struct world *w = world_new(family, scheduler);
	uint32_t kept;

	record(w, proto, stage);
	flow_table_forget(&w->tables, &w->config);
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct lb_flow f = flow(w, i, proto);

		assert_int_equal(is_remembered(w, &f), is_moved(w, &f));
	}
	kept = count_remembered(w, proto);
	assert_in_range(kept, FLOWS / 4, FLOWS * 3 / 4);
	free(w);
}

static void test_flows_of_moved_slots_stay_and_others_go(void **state)
{
	(void)state;
	forget_unmoved(LB_IP4, LB_MAGLEV, IPPROTO_TCP, LB_FLOW_CONFIRMED);
	forget_unmoved(LB_IP6, LB_MAGLEV, IPPROTO_TCP, LB_FLOW_ENDED);
	forget_unmoved(LB_IP4, LB_SOURCE, IPPROTO_TCP, LB_FLOW_EMBRYONIC);
	forget_unmoved(LB_IP6, LB_SOURCE, IPPROTO_TCP, LB_FLOW_CONFIRMED);
	forget_unmoved(LB_IP4, LB_MAGLEV, IPPROTO_UDP, LB_FLOW_DATAGRAM);
}

/* The table is where these have their flows, whatever the slots say. */
static void test_schedulers_that_record_every_flow_keep_them(void **state)
{
	static const uint8_t schedulers[] = {LB_ROUND_ROBIN, LB_TWO_CHOICES};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *w = world_new(LB_IP4, schedulers[i]);

		record(w, IPPROTO_TCP, LB_FLOW_CONFIRMED);
		flow_table_forget(&w->tables, &w->config);
		assert_int_equal(count_remembered(w, IPPROTO_TCP), FLOWS);
		free(w);
	}
}

static void test_nothing_is_left_of_a_service_that_is_gone(void **state)
{
	struct world *w = world_new(LB_IP4, LB_ROUND_ROBIN);

	(void)state;
	record(w, IPPROTO_TCP, LB_FLOW_CONFIRMED);
	w->names[NUMBER].id = 0;
	flow_table_forget(&w->tables, &w->config);
	assert_int_equal(count_remembered(w, IPPROTO_TCP), 0);
	free(w);
}

/* Its key is half written: it is nobody's yet. */
static void test_an_entry_that_is_being_taken_is_left_alone(void **state)
{
	struct world *w = world_new(LB_IP4, LB_MAGLEV);
	const union lb_flow_word busy = {.s = {.stage = LB_FLOW_BUSY, .turn = 9}};

	(void)state;
	w->flows[3].entry[2].state = busy.whole;
	flow_table_forget(&w->tables, &w->config);
	assert_int_equal(w->flows[3].entry[2].state, busy.whole);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_of_moved_slots_stay_and_others_go),
		cmocka_unit_test(test_schedulers_that_record_every_flow_keep_them),
		cmocka_unit_test(test_nothing_is_left_of_a_service_that_is_gone),
		cmocka_unit_test(test_an_entry_that_is_being_taken_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
