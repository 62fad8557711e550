/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DPDK worker's burst function, on mbufs in memory and on tables that are fed as the daemon feeds them. Each packet is the middle one
 * of a burst: strangers before and behind it, which are for no VIP, must come out as they went in and in their order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>

#include "lb/dpdk/worker.h"
#include "tests/bpf/load.h"
#include "tests/bpf/plane.h"

#define STRANGERS 2 /* on each side */
#define STRANGER_SIZE 60
#define ROOM (RTE_PKTMBUF_HEADROOM + FRAME_MAX)

static struct memory memory;
static struct worker worker;
static struct rte_mempool *pool;
static struct wanted wanted[TABLES_KEYED];
static struct lb_drops drops; /* so far */
static uint64_t now_ns;

static int start_eal(struct plane *p)
{
	/* The EAL keeps what it is given, and takes no constants. */
	static char args[][20] = {"packets", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "--log-level=error", "-m", "64",
				  "-l",      "0"};
	static char *given[sizeof args / sizeof *args];
	static bool started;

	if (started)
		return 0;
	for (size_t i = 0; i < sizeof args / sizeof *args; i++)
		given[i] = args[i];
	if (rte_eal_init(sizeof args / sizeof *args, given) < 0) {
		(void)snprintf(p->error, sizeof p->error, "DPDK can't be started: %s", rte_strerror(rte_errno));
		return -rte_errno;
	}
	started = true;
	return 0;
}

static int dpdk_open(struct plane *p)
{
	static const struct memory_sizes sizes = {.services = WORLD_SERVICES,
						  .backends = LOAD_BACKENDS,
						  .slots = LOAD_SLOTS,
						  .flows = WORLD_BUCKETS,
						  .buckets = LOAD_BUCKETS,
						  .snats = LOAD_SNATS,
						  .snat_buckets = WORLD_BUCKETS};
	int r = start_eal(p);

	if (r < 0)
		return r;
	pool = rte_pktmbuf_pool_create("test", 63, 0, 0, ROOM, SOCKET_ID_ANY);
	if (!pool) {
		(void)snprintf(p->error, sizeof p->error, "no memory for packets: %s", rte_strerror(rte_errno));
		return -rte_errno;
	}
	memory_init(&memory, &sizes, 1);
	worker_init(&worker, &memory, 0);
	return 0;
}

static void dpdk_close(struct plane *p)
{
	(void)p;
	worker_fini(&worker);
	memory_fini(&memory);
	rte_mempool_free(pool);
}

static void put_vip(const struct lb_vip *vip, __u32 service)
{
	wanted_put(&wanted[TABLES_BY_VIP], vip, &service);
}

static void put_prefix(const struct lb_prefix *prefix, __u32 value)
{
	wanted_put(&wanted[TABLES_BY_PREFIX], prefix, &value);
}

static void put_quic(const struct lb_quic_key *key, __u32 backend)
{
	wanted_put(&wanted[TABLES_BY_QUIC], key, &backend);
}

static void put_reply(const struct lb_vip *backend, const struct lb_reply *reply)
{
	wanted_put(&wanted[TABLES_BY_REPLY], backend, reply);
}

/* A key that is put twice has its last value, so what is wanted is added in order, and sorted only then. */
static void write_keyed(enum tables_keyed which)
{
	if (memory.tables.plane->add(&memory.tables, which, &wanted[which]) < 0)
		abort();
	wanted_free(&wanted[which]);
}

static void dpdk_reload(struct plane *p, const struct world *w)
{
	struct lb_config config;
	struct load l = {.config = &config,
			 .service = memory.tables.services,
			 .backend = memory.tables.backends,
			 .slot = memory.tables.slots,
			 .rules = memory.tables.rules,
			 .limits = memory.tables.limits,
			 .loads = memory.tables.loads,
			 .snat_addresses = memory.tables.snat_addresses,
			 .put_vip = put_vip,
			 .put_quic = put_quic,
			 .put_reply = put_reply,
			 .put_prefix = put_prefix};

	(void)p;
	for (int i = 0; i < TABLES_KEYED; i++) {
		wanted_init(&wanted[i], memory.keyed[i]->key_size, memory.keyed[i]->value_size);
		(void)memory.tables.plane->remove_others(&memory.tables, (enum tables_keyed)i, &wanted[i]);
	}
	load_world(&l, w);
	for (int i = 0; i < TABLES_KEYED; i++)
		write_keyed((enum tables_keyed)i);
	if (memory.tables.plane->set_config(&memory.tables, &config) < 0)
		abort();
}

static void dpdk_load(struct plane *p, const struct world *w)
{
	memset(memory.tables.flows, 0, WORLD_BUCKETS * sizeof *memory.tables.flows);
	memset(memory.tables.buckets, 0, LOAD_BUCKETS * sizeof *memory.tables.buckets);
	memset(memory.tables.limits, 0, LOAD_LIMITS * sizeof *memory.tables.limits);
	memset(memory.tables.turns, 0, WORLD_SERVICES * sizeof *memory.tables.turns);
	memset(memory.tables.snats, 0, LOAD_SNATS * sizeof *memory.tables.snats);
	memset(memory.tables.snat_buckets, 0, WORLD_BUCKETS * sizeof *memory.tables.snat_buckets);
	memset(memory.tables.floods, 0, WORLD_SERVICES * sizeof *memory.tables.floods);
	memset(memory.tables.verified, 0, LB_VERIFIED_BUCKETS * sizeof *memory.tables.verified);
	memset(memory.tables.backends, 0, LOAD_BACKENDS * sizeof *memory.tables.backends);
	fragments_free(memory.fragments);
	memory.fragments = fragments_new();
	dpdk_reload(p, w);
}

static void dpdk_clock(struct plane *p, uint64_t ticks)
{
	(void)p;
	now_ns = ticks << LB_TICK_SHIFT;
}

static struct rte_mbuf *mbuf_of(const uint8_t *bytes, size_t size)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	if (!m || !rte_pktmbuf_append(m, (uint16_t)size))
		abort();
	memcpy(rte_pktmbuf_mtod(m, void *), bytes, size);
	return m;
}

/* Ethernet of a type of its own, and a number to know it by. */
static void stranger(uint8_t *bytes, uint8_t number)
{
	memset(bytes, number, STRANGER_SIZE);
	bytes[12] = 0x88;
	bytes[13] = 0xb5;
}

/* The reason whose count went up. An answer in place of a packet counts too, but is no drop. */
static const char *reason_of_drop(void)
{
	const char *found = "?";

	for (unsigned i = 0; i < LB_REASON_COUNT; i++)
		if (worker.counts.drops.count[i] != drops.count[i] && !load_is_answer(i))
			found = load_reason(i);
	drops = worker.counts.drops;
	return found;
}

/* Takes the strangers out of what goes to the kernel: what is left, or NULL. */
static struct rte_mbuf *take_strangers(struct verdicts *v)
{
	struct rte_mbuf *left = NULL;
	uint8_t bytes[STRANGER_SIZE], number = 0;

	for (uint16_t i = 0; i < v->kernel_count; i++) {
		struct rte_mbuf *m = v->kernel[i];

		stranger(bytes, number);
		if (number == STRANGERS && !left && v->kernel_count == 2 * STRANGERS + 1) {
			left = m;
			continue;
		}
		if (m->pkt_len != STRANGER_SIZE || memcmp(rte_pktmbuf_mtod(m, void *), bytes, STRANGER_SIZE)) {
			fprintf(stderr, "FAIL dpdk: the packet before or behind came out otherwise\n");
			abort();
		}
		number++;
		rte_pktmbuf_free(m);
	}
	if (number != 2 * STRANGERS) {
		fprintf(stderr, "FAIL dpdk: %u of %u strangers came out\n", number, 2 * STRANGERS);
		abort();
	}
	return left;
}

static void dpdk_run(struct plane *p, const struct frame *f, struct result *ret)
{
	struct rte_mbuf *burst[2 * STRANGERS + 1], *out;
	uint8_t bytes[STRANGER_SIZE];
	struct verdicts v;

	(void)p;
	for (uint8_t i = 0; i < 2 * STRANGERS; i++) {
		stranger(bytes, i);
		burst[i < STRANGERS ? i : i + 1] = mbuf_of(bytes, STRANGER_SIZE);
	}
	burst[STRANGERS] = mbuf_of(f->bytes, f->size);
	worker_decide(&worker, burst, 2 * STRANGERS + 1, now_ns, &v);
	out = take_strangers(&v);
	ret->outcome = v.send_count ? OUT_SEND : out ? OUT_PASS : OUT_DROP;
	ret->reason = ret->outcome == OUT_DROP ? reason_of_drop() : NULL;
	drops = worker.counts.drops;
	if (v.send_count)
		out = v.send[0];
	if (!out)
		return;
	ret->frame.size = out->pkt_len;
	memcpy(ret->frame.bytes, rte_pktmbuf_mtod(out, void *), out->pkt_len);
	rte_pktmbuf_free(out);
}

static unsigned dpdk_older(struct plane *p, unsigned service, unsigned backend)
{
	(void)p;
	return memory.tables.backends[service * WORLD_BACKENDS + backend].older_ticks;
}

struct plane plane_dpdk = {
	.name = "dpdk",
	.coarse = true,
	.open = dpdk_open,
	.close = dpdk_close,
	.load = dpdk_load,
	.reload = dpdk_reload,
	.clock = dpdk_clock,
	.run = dpdk_run,
	.older = dpdk_older,
};
