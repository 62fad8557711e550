/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads in place of cores. All share one bucket and record and look up many more flows than it holds, so that entries change under
 * their readers' eyes all the time. A flow's backend follows from its key: whoever finds another was told a lie.
 */
#include "tests/bpf/race.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"
#include "bpf/lb_flow.h"

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

unsigned long race_run(unsigned long rounds, unsigned long *ret_found)
{
	struct core cores[THREADS];
	unsigned long lies = 0;

	*ret_found = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		cores[i] = (struct core){.dice = i, .rounds = rounds};
		if (pthread_create(&cores[i].thread, NULL, work, &cores[i]))
			abort();
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(cores[i].thread, NULL);
		lies += cores[i].lies;
		*ret_found += cores[i].found;
	}
	return lies;
}

_Bool race_twice_recorded(void)
{
	struct lb_flow_key key = key_of(7);
	union lb_flow_word w = {.s = {.backend = 3, .stage = LB_FLOW_CONFIRMED, .seen_ticks = 1}};
	struct lb_flow_bucket twice = {.entry = {[0] = {.state = w.whole, .key = key}, [1] = {.state = w.whole, .key = key}}};

	return lb_flow_find(&config, &twice, &key, 1, &w) && w.s.backend == 3;
}
