/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads in place of cores. All share one bucket and record and look up many more flows than it holds, so that entries change under
 * their readers' eyes all the time. A flow's backend follows from its key: whoever finds another was told a lie.
 */
#include "tests/bpf/race.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "bpf/lb_snat_table.h"

#define THREADS 4
#define FLOWS 64

static struct lb_flow_bucket bucket;
static const struct lb_config config = {.idle_ticks = {[LB_FLOW_EMBRYONIC] = 1000, [LB_FLOW_CONFIRMED] = 1000, [LB_FLOW_DATAGRAM] = 1000}};

struct core {
	pthread_t thread;
	uint64_t dice;
	unsigned long rounds, lies, found;
};

static struct lb_flow_key key_of(uint64_t flow)
{
	return (struct lb_flow_key){{flow, flow, flow}};
}

static __u16 backend_of(uint64_t flow)
{
	return (__u16)mix64(flow);
}

static void *work(void *arg)
{
	struct core *c = arg;

	for (unsigned long n = 0; n < c->rounds; n++) {
		uint64_t flow = 1 + rand_below(&c->dice, FLOWS);
		struct lb_flow_key key = key_of(flow);
		union lb_flow_word w;
		struct lb_flow_entry *e = lb_flow_find(&config, &bucket, &key, 1, &w);

		if (!e) {
			lb_flow_put(&config, &bucket, &key, backend_of(flow), LB_FLOW_DATAGRAM, 1);
			continue;
		}
		c->found++;
		c->lies += w.s.backend != backend_of(flow);
	}
	return NULL;
}

static unsigned long run(void *(*core)(void *), unsigned long rounds, unsigned long *ret_found)
{
	struct core cores[THREADS];
	unsigned long lies = 0;

	*ret_found = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		cores[i] = (struct core){.dice = i, .rounds = rounds};
		if (pthread_create(&cores[i].thread, NULL, core, &cores[i]))
			abort();
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(cores[i].thread, NULL);
		lies += cores[i].lies;
		*ret_found += cores[i].found;
	}
	return lies;
}

unsigned long race_run(unsigned long rounds, unsigned long *ret_found)
{
	return run(work, rounds, ret_found);
}

/* ---- snat: few ports, whose connections expire all the time, and one bucket of the index ---- */

#define PORTS 2

static struct lb_snat snats[PORTS];
static struct lb_snat_bucket index_bucket;
static const struct lb_snat_address own = {.addr.word = {0x0700090a}, .family = LB_IP4};
static const struct lb_config snat_config = {
	.idle_ticks = {[LB_FLOW_EMBRYONIC] = 0, [LB_FLOW_CONFIRMED] = 1}, .snat4 = 1, .snat_ports = PORTS, .cores = 1};
static __u64 rounds_done; /* by all cores: time passes with them */

static const struct lb_snat_address *lb_snat_address_at(__u32 place)
{
	return place == 0 ? &own : NULL;
}

static struct lb_snat *lb_snat_at(__u32 number)
{
	return number < PORTS ? &snats[number] : NULL;
}

static struct lb_snat_bucket *lb_snat_bucket_at(__u32 number)
{
	return number == 0 ? &index_bucket : NULL;
}

static __u32 lb_core(void)
{
	return 0;
}

static const struct lb_config *lb_config_get(void)
{
	return &snat_config;
}

static __u64 lb_now_ns(void)
{
	return __atomic_load_n(&rounds_done, __ATOMIC_RELAXED) / 4 << LB_TICK_SHIFT;
}

static struct lb_snat_flow snat_of(uint64_t flow)
{
	return (struct lb_snat_flow){
		.client = key_of(flow),
		.backend_addr.word = {backend_of(flow), backend_of(flow), backend_of(flow), backend_of(flow)},
		.own = own.addr,
		.own_port = LB_HTONS((__u16)(LB_SNAT_PORT_FIRST + flow % PORTS)),
		.hash = (__u32)mix64(flow),
		.backend = backend_of(flow),
		.backend_port = backend_of(flow),
		.proto = LB_PROTO_TCP,
		.family = LB_IP4,
	};
}

static void *work_snat(void *arg)
{
	struct core *c = arg;

	for (unsigned long n = 0; n < c->rounds; n++) {
		uint64_t flow = 1 + rand_below(&c->dice, FLOWS);
		struct lb_snat_flow q = snat_of(flow);

		__atomic_fetch_add(&rounds_done, 1, __ATOMIC_RELAXED);
		if (lb_snat_find(&q)) {
			c->found++;
			c->lies += q.backend != backend_of(flow) || q.backend_port != backend_of(flow) ||
				   q.backend_addr.word[3] != backend_of(flow);
			lb_snat_touch(q.number, LB_TCP_ACK, 1);
		} else {
			lb_snat_open(&q);
		}
		q = snat_of(flow);
		if (lb_snat_match(&q)) {
			c->found++;
			c->lies += q.client.word[0] != q.client.word[2] || backend_of(q.client.word[0]) != backend_of(flow);
		}
	}
	return NULL;
}

unsigned long race_snat_run(unsigned long rounds, unsigned long *ret_found)
{
	return run(work_snat, rounds, ret_found);
}

_Bool race_twice_recorded(void)
{
	struct lb_flow_key key = key_of(7);
	union lb_flow_word w = {.s = {.backend = 3, .stage = LB_FLOW_CONFIRMED, .seen_ticks = 1}};
	struct lb_flow_bucket twice = {.entry = {[0] = {.state = w.whole, .key = key}, [1] = {.state = w.whole, .key = key}}};

	return lb_flow_find(&config, &twice, &key, 1, &w) && w.s.backend == 3 &&
	       lb_flow_put(&config, &twice, &key, 4, LB_FLOW_EMBRYONIC, 1) && lb_flow_find(&config, &twice, &key, 1, &w) &&
	       w.s.backend == 4;
}

_Bool race_seen_ahead(void)
{
	struct lb_flow_key key = key_of(7);
	union lb_flow_word w = {.s = {.backend = 3, .stage = LB_FLOW_CONFIRMED, .seen_ticks = 6}};
	union lb_snat_word held = {.s = {.stage = LB_FLOW_CONFIRMED, .seen_ticks = 6}};
	struct lb_flow_bucket ahead = {.entry = {{.state = w.whole, .key = key}}};

	return lb_flow_find(&config, &ahead, &key, 5, &w) && lb_snat_live(&snat_config, held, 5);
}
