/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet costs in the DPDK twin: the program's own worker on one core and one port, net_null, which gives and takes packets for
 * nothing. A source in the port's receive callback writes headers over them, of 2^20 flows to one VIP.
 *
 *   bare      receive, send
 *   source    receive, headers written, send
 *   0 % moved, 100 % moved      the worker: receive, headers written, decision, IPIP, send
 *
 * Net of the source is a row less what the source adds to bare. On the way out one packet in some ten thousands is looked at, byte for
 * byte.
 *
 * usage: lb_dpdk [MILLISECONDS a row] -- EAL arguments, with two cores and one port
 * output: a row a line: name, ns a packet, ns net of the source
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/mem.h"
#include "bench/lb_dpdk_source.h"
#include "bpf/lb_wire.h"
#include "lb/dpdk/worker.h"
#include "lb/maglev.h"

#define FLOWS SOURCE_FLOWS
#define BACKENDS 16u
#define FLOW_BUCKETS (1u << 19) /* of four flows: a million fill half */
#define DESCRIPTORS 512
#define SAMPLE_MASK 0xfffu /* of bursts */
#define OWN LB_HTONL(0x0a090001)

struct bench {
	struct memory memory;
	struct worker worker;
	uint16_t port, kernel;
	bool stop;
	__u64 passed;  /* by the loops without a decision */
	struct source source;
	uint32_t bursts;
	uint64_t sampled, wrong;
};

static void fail(const char *what, int r)
{
	fprintf(stderr, "lb_dpdk: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

/* ---- who looks at what comes out ---- */

/* What came in, around it IPIP from the balancer to a backend, to whose next hop the frame goes. */
static bool is_right(const struct rte_mbuf *m)
{
	const struct lb_eth *eth = rte_pktmbuf_mtod(m, const struct lb_eth *);
	const struct lb_ip4 *outer = (const struct lb_ip4 *)(eth + 1);
	const struct headers *in = (const struct headers *)((const uint8_t *)(outer + 1) - sizeof *eth);
	uint32_t backend = rte_be_to_cpu_32(outer->dst) - 0x0a020001;
	struct headers want = source_headers(in);

	return backend < BACKENDS && outer->src == OWN && outer->proto == LB_PROTO_IP4 && outer->length == LB_HTONS(66) &&
	       outer->version_words == 0x45 && rte_raw_cksum(outer, sizeof *outer) == 0xffff && eth->type == LB_HTONS(LB_ETH_IP4) &&
	       eth->dst.half[2] == rte_cpu_to_be_16((uint16_t)(17 + backend)) && !memcmp(&eth->src, &want.eth.dst, sizeof eth->src) &&
	       !memcmp(&in->ip, &want.ip, sizeof want - sizeof want.eth) && m->pkt_len >= sizeof want + sizeof *outer;
}

static uint16_t look_at_sample(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n, void *arg)
{
	struct bench *b = arg;

	(void)port;
	(void)queue;
	if (++b->bursts & SAMPLE_MASK || !n)
		return n;
	b->sampled++;
	b->wrong += !is_right(packets[n / 2]);
	return n;
}

/* ---- set-up ---- */

static void open_port(uint16_t dev, struct rte_mempool *pool)
{
	struct rte_eth_conf c = {0};
	int r = rte_eth_dev_configure(dev, 1, 1, &c);

	if (r == 0)
		r = rte_eth_rx_queue_setup(dev, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, pool);
	if (r == 0)
		r = rte_eth_tx_queue_setup(dev, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL);
	if (r == 0)
		r = rte_eth_dev_start(dev);
	if (r < 0)
		fail("a port", r);
}

/* The port, and a kernel's side that never says anything. */
static void open_ports(struct bench *b)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create("packets", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	int r = rte_eal_hotplug_add("vdev", "net_ring_kernel", "");

	if (!pool || r < 0 || rte_eth_dev_get_port_by_name("net_ring_kernel", &b->kernel) < 0)
		fail("ports", r < 0 ? r : -ENOMEM);
	b->port = rte_eth_find_next(0);
	open_port(b->port, pool);
	open_port(b->kernel, pool);
}

static void tell_service(struct bench *b)
{
	struct lb_vip vip = {.addr.word[0] = SOURCE_VIP, .port = LB_HTONS(80), .proto = LB_PROTO_TCP, .family = LB_IP4};
	struct lb_config config = {
		.abi = LB_ABI,
		.flow_mask = FLOW_BUCKETS - 1,
		.secret = {0x0123456789abcdef, 0xfedcba9876543210},
		.idle_ticks = {[LB_FLOW_EMBRYONIC] = 56, [LB_FLOW_CONFIRMED] = 7200, [LB_FLOW_DATAGRAM] = 28},
		.source4 = OWN,
		.mac = {{LB_HTONS(0x0200), 0, LB_HTONS(1)}}, /* the source's frames are for it */
	};
	struct tables *t = &b->memory.tables;
	const uint32_t first = 0;
	struct wanted w;

	for (uint32_t i = 0; i < BACKENDS; i++)
		t->backends[i] = (struct lb_backend){.addr.word[0] = rte_cpu_to_be_32(0x0a020001 + i),
						     .family = LB_IP4,
						     .flags = LB_BACKEND_ALIVE,
						     .mac = {{LB_HTONS(0x0200), 0, rte_cpu_to_be_16((uint16_t)(17 + i))}},
						     .mtu = 1500};
	t->services[0] = (struct lb_service){.table[0] = {.count = maglev_size(BACKENDS, 0)}, .backend_count = BACKENDS};
	wanted_init(&w, sizeof vip, sizeof first);
	wanted_put(&w, &vip, &first);
	(void)t->plane->add(t, TABLES_BY_VIP, &w);
	(void)t->plane->set_config(t, &config);
	wanted_free(&w);
}

static void tell_slots(struct bench *b, bool moved)
{
	struct maglev_backend backends[BACKENDS];
	uint32_t size = b->memory.tables.services[0].table[0].count;
	uint16_t *table = mem_alloc(size * sizeof *table);

	for (uint32_t i = 0; i < BACKENDS; i++)
		backends[i] = (struct maglev_backend){.id = i + 1, .number = (uint16_t)i, .weight = 1};
	if (maglev_fill(backends, BACKENDS, table, size) < 0)
		fail("maglev", ENOMEM);
	for (uint32_t i = 0; i < size; i++) {
		struct lb_slot slot = {table[i], table[i], table[i], moved ? LB_SLOT_MOVED : 0};

		memcpy(&b->memory.tables.slots[i], &slot, sizeof slot);
	}
	free(table);
}

/* ---- rows ---- */

static int pass_run(void *arg)
{
	struct bench *b = arg;
	struct rte_mbuf *burst[WORKER_BURST];

	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		uint16_t n = rte_eth_rx_burst(b->port, 0, burst, WORKER_BURST);

		__atomic_store_n(&b->passed, b->passed + rte_eth_tx_burst(b->port, 0, burst, n), __ATOMIC_RELAXED);
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Once every flow has come by twice: tables are full, flows confirmed, caches as warm as they get. */
static double rate(struct bench *b, lcore_function_t *loop, void *arg, const __u64 *count, unsigned ms)
{
	const struct timespec moment = {.tv_nsec = 1000000}, row = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	uint64_t start, from, end, to, begun = __atomic_load_n(count, __ATOMIC_RELAXED);

	b->stop = false;
	if (rte_eal_remote_launch(loop, arg, rte_get_next_lcore(-1, 1, 0)) < 0)
		fail("the second core", EBUSY);
	while (__atomic_load_n(count, __ATOMIC_RELAXED) - begun < 2 * FLOWS)
		(void)nanosleep(&moment, NULL);
	start = now_ns();
	from = __atomic_load_n(count, __ATOMIC_RELAXED);
	(void)nanosleep(&row, NULL);
	end = now_ns();
	to = __atomic_load_n(count, __ATOMIC_RELAXED);
	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	return (double)(end - start) / (double)(to - from);
}

static void measure(struct bench *b, unsigned ms)
{
	const __u64 *forwarded = &b->worker.counts.services[0].packets;
	double bare = rate(b, pass_run, b, &b->passed, ms), source;

	if (!rte_eth_add_rx_callback(b->port, 0, source_write, &b->source))
		fail("the source", ENOMEM);
	source = rate(b, pass_run, b, &b->passed, ms) - bare;
	printf("bare %.2f %.2f\nsource %.2f %.2f\n", bare, bare, bare + source, bare);
	if (!rte_eth_add_tx_callback(b->port, 0, look_at_sample, b))
		fail("the samples", ENOMEM);
	for (unsigned moved = 0; moved <= 100; moved += 100) {
		double ns;

		tell_slots(b, moved);
		ns = rate(b, worker_run, &b->worker, forwarded, ms);
		printf("%u %% moved %.2f %.2f\n", moved, ns, ns - source);
	}
}

int main(int argc, char **argv)
{
	static struct bench b;
	unsigned ms = argc > 1 && strcmp(argv[1], "--") != 0 ? (unsigned)atoi(argv[1]) : 500;
	int rest = 1;

	while (rest < argc && strcmp(argv[rest], "--") != 0)
		rest++;
	if (!ms || rest == argc || rte_eal_init(argc - rest, argv + rest) < 0 || rte_lcore_count() != 2 || rte_eth_dev_count_avail() != 1) {
		fprintf(stderr, "usage: lb_dpdk [MILLISECONDS] -- EAL arguments, with two cores and one port\n");
		return 2;
	}
	open_ports(&b);
	memory_init(&b.memory,
		    &(struct memory_sizes){.services = 1,
					   .backends = BACKENDS,
					   .slots = MAGLEV_SIZE_MAX,
					   .flows = FLOW_BUCKETS,
					   .buckets = TABLES_BUCKETS,
					   .snats = 1,
					   .snat_buckets = 1},
		    1);
	worker_init(&b.worker, &b.memory, 0);
	b.worker.port = b.port;
	b.worker.kernel = b.kernel;
	b.worker.stop = &b.stop;
	tell_service(&b);
	measure(&b, ms);
	printf("samples %llu, wrong %llu\n", (unsigned long long)b.sampled, (unsigned long long)b.wrong);
	return !b.sampled || b.wrong;
}
