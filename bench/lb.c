/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet costs in the forwarding decision: ns a packet through the XDP program, net of the rig around it.
 *
 *   rig: undo what is in front -> write flow, VIP and ports -> tail call -> program under test
 *
 * In every round of every row the rig is also run with an empty program, and with one that only moves the head, which makes the rig
 * move it back: one move costs half the difference. Net is what is left without the empty rig and, where the program encapsulates,
 * without the rig's move back. Medians of ROUNDS. Beside it stand the floors: an LRU hit, an LRU insert that evicts (from a
 * small table, and from one of as many flows as ours holds), an encapsulation without look-ups, and an LRU entry per flow as Katran has it.
 *
 * usage: lb [ROUNDS [PACKETS [WORDS]]]        takes root; only rows that contain the words
 * output: a row a line: name, median ns net, median ns of the empty rig
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/hash.h"
#include "bench/lb_rig.skel.h"
#include "bpf/lb_wire.h"
#include "bpf/lb_xdp.skel.h"
#include "lb/maglev.h"

#define FRAME_SIZE 96u
#define SERVICES_MAX 512u
#define BACKENDS 16u
#define BUCKETS (1u << 19) /* of four flows: a million fill half */
#define SYNS (1u << 24)    /* eight times what the flow table holds: when one comes again it is new */
#define SNAT_BUCKETS (1 << 17)
#define ROUNDS_MAX 101

enum kind {
	FLOOR_DROP, /* without the rig */
	FLOOR_SEND,
	FLOOR_HIT,
	FLOOR_INSERT,
	FLOOR_ENCAPSULATE,
	FLOOR_PER_FLOW,
	OURS,
};

struct row {
	const char *name;
	enum kind kind;
	uint32_t flows;
	uint32_t services;
	unsigned moved; /* per cent of the slots */
	enum lb_delivery delivery;
	uint32_t room; /* flows of the LRU that evicts */
	bool v6, limits, syn, pass;
};

/* A program of the rig, loaded for one row: the constants of the rig are the row's. */
struct bench {
	const struct row *row;
	struct lb_rig *rig;
	struct lb_xdp *lb;
	bool begin; /* what is sent is SYNs */
	double ns[ROUNDS_MAX], empty[ROUNDS_MAX], move[ROUNDS_MAX];
};

#define OURS_AT(flow_count, ...)                                                                                                           \
	{                                                                                                                                  \
		.kind = OURS, .flows = (flow_count), ##__VA_ARGS__                                                                         \
	}
#define OURS_ROWS(title, ...)                                                                                                              \
	OURS_AT(1, .name = title ", 1 flow", ##__VA_ARGS__), OURS_AT(1 << 16, .name = title ", 64k flows", ##__VA_ARGS__),                 \
		OURS_AT(1 << 20, .name = title ", 1M flows", ##__VA_ARGS__)

static const struct row rows[] = {
	{"XDP_DROP, no rig", FLOOR_DROP, .flows = 1, .services = 1},
	{"XDP_TX, no rig", FLOOR_SEND, .flows = 1, .services = 1},
	{"encapsulation without look-ups", FLOOR_ENCAPSULATE, .flows = 1 << 20, .services = 1},
	{"LRU hit, 1 flow", FLOOR_HIT, .flows = 1, .services = 1},
	{"LRU hit, 64k flows", FLOOR_HIT, .flows = 1 << 16, .services = 1},
	{"LRU hit, 1M flows", FLOOR_HIT, .flows = 1 << 20, .services = 1},
	{"LRU per flow (Katran's design), 1 flow", FLOOR_PER_FLOW, .flows = 1, .services = 1},
	{"LRU per flow (Katran's design), 64k flows", FLOOR_PER_FLOW, .flows = 1 << 16, .services = 1},
	{"LRU per flow (Katran's design), 1M flows", FLOOR_PER_FLOW, .flows = 1 << 20, .services = 1},
	OURS_ROWS("IPIP", .services = 1),
	OURS_ROWS("IPIP, 5 % moved", .services = 1, .moved = 5),
	OURS_ROWS("IPIP, all moved", .services = 1, .moved = 100),
	OURS_ROWS("IPIP, limits and prefixes", .services = 1, .limits = true),
	OURS_ROWS("IPIP, 5 % moved, limits and prefixes", .services = 1, .moved = 5, .limits = true),
	OURS_ROWS("IPIP, all moved, limits and prefixes", .services = 1, .moved = 100, .limits = true),
	OURS_ROWS("IPIP, 512 services", .services = 512),
	OURS_ROWS("IPIP, 512 services, 5 % moved", .services = 512, .moved = 5),
	OURS_ROWS("IPIP, 512 services, all moved", .services = 512, .moved = 100),
	OURS_ROWS("IPIP, 512 services, limits and prefixes", .services = 512, .limits = true),
	OURS_ROWS("IPIP, 512 services, 5 % moved, limits and prefixes", .services = 512, .moved = 5, .limits = true),
	OURS_ROWS("IPIP, 512 services, all moved, limits and prefixes", .services = 512, .moved = 100, .limits = true),
	OURS_ROWS("IPv6 in IPv6", .services = 1, .v6 = true),
	OURS_ROWS("GUE", .services = 1, .delivery = LB_GUE),
	OURS_ROWS("DSR", .services = 1, .delivery = LB_DSR),
	OURS_ROWS("NAT", .services = 1, .delivery = LB_DNAT),
	OURS_ROWS("NAT, IPv6", .services = 1, .delivery = LB_DNAT, .v6 = true),
	OURS_AT(1, .name = "snat, 1 flow", .services = 1, .delivery = LB_SNAT),
	OURS_AT(1 << 16, .name = "snat, 64k flows", .services = 1, .delivery = LB_SNAT),
	OURS_ROWS("pass, no VIP", .services = 1, .pass = true),
	{"IPIP, new SYN", OURS, SYNS, 1, .syn = true},
	{"IPIP, new SYN, limits and prefixes", OURS, SYNS, 1, .syn = true, .limits = true},
	{"LRU insert with eviction, of 128k flows", FLOOR_INSERT, .flows = 1 << 20, .services = 1, .room = 1 << 17},
	{"LRU insert with eviction, of as many as our flow table", FLOOR_INSERT, .flows = SYNS, .services = 1, .room = BUCKETS * LB_FLOW_WAYS},
	{"IPIP, new SYN, all moved", OURS, SYNS, 1, 100, .syn = true},
	{"IPIP, new SYN, all moved, limits and prefixes", OURS, SYNS, 1, 100, .syn = true, .limits = true},
	{"IPIP, new SYN, 512 services, all moved", OURS, SYNS, 512, 100, .syn = true},
};

#define ROWS (sizeof rows / sizeof *rows)

static void fail(const char *what, int r)
{
	fprintf(stderr, "lb: %s: %s\n", what, strerror(r < 0 ? -r : r));
	exit(1);
}

static void put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY) < 0)
		fail(bpf_map__name(map), errno);
}

static void put_at(struct bpf_map *map, uint32_t index, const void *value)
{
	put(map, &index, value);
}

/* ---- what the program under test is told ---- */

static void tell_vip(struct bench *b, uint32_t n)
{
	struct lb_vip vip = {.port = LB_HTONS(80), .proto = LB_PROTO_TCP, .family = b->row->v6 ? LB_IP6 : LB_IP4};

	if (b->row->v6) {
		vip.addr = (struct lb_address){{LB_HTONL(0xfd010000), 0, 0, LB_HTONL(n)}};
	} else {
		vip.addr.word[0] = LB_HTONL(0x0a010000 | n);
	}
	if (b->row->pass)
		vip.port = LB_HTONS(81);
	put(b->lb->maps.lb_vips, &vip, &n);
}

static void tell_backends(struct bench *b)
{
	for (uint32_t i = 0; i < BACKENDS; i++) {
		struct lb_backend backend = {
			.family = b->row->v6 ? LB_IP6 : LB_IP4,
			.flags = LB_BACKEND_ALIVE,
			.mac = {{LB_HTONS(0x0200), 0, LB_HTONS(17 + i)}},
			.mtu = 1500,
			.port = b->row->delivery >= LB_DNAT ? LB_HTONS(8080) : 0,
		};

		if (b->row->v6)
			backend.addr = (struct lb_address){{LB_HTONL(0xfd020000), 0, 0, LB_HTONL(i + 1)}};
		else
			backend.addr.word[0] = LB_HTONL(0x0a020000 | (i + 1));
		put_at(b->lb->maps.lb_backends, i, &backend);
	}
}

/* The slots of each service are its own: what 512 services cost in cache is part of the question. */
static void tell_slots(struct bench *b, uint32_t n, uint32_t size)
{
	struct maglev_backend backends[BACKENDS];
	uint16_t *table = malloc(size * sizeof *table);
	uint64_t dice = n;

	for (uint32_t i = 0; i < BACKENDS; i++)
		backends[i] = (struct maglev_backend){.id = (uint64_t)n << 32 | i, .number = (uint16_t)i, .weight = 1};
	if (!table || maglev_fill(backends, BACKENDS, table, size) < 0)
		fail("maglev", ENOMEM);
	for (uint32_t i = 0; i < size; i++) {
		bool moved = rand_below(&dice, 100) < b->row->moved;
		struct lb_slot slot = {table[i], table[i], table[i], moved ? LB_SLOT_MOVED : 0};

		put_at(b->lb->maps.lb_slots, n * size + i, &slot);
	}
	free(table);
}

static void tell_service(struct bench *b, uint32_t n, uint32_t size)
{
	struct lb_service service = {
		.table[0] = {.base = n * size, .count = size},
		.backend_count = BACKENDS,
		.delivery = (uint8_t)b->row->delivery,
		.flags = b->row->limits ? LB_SERVICE_LIMITS | LB_SERVICE_PREFIXES : 0,
	};
	struct lb_rules rules = {.service = {1, 1ull << 40}, .source = {1, 1ull << 40}, .source_bits = 24};
	struct lb_prefix prefix = {.bits = 32 + 8, .service = n, .addr.word[0] = LB_HTONL(0x0a000000)};
	uint32_t allow = LB_PREFIX_ALLOW;

	put_at(b->lb->maps.lb_services, n, &service);
	put_at(b->lb->maps.lb_rules, n, &rules);
	if (b->row->limits)
		put(b->lb->maps.lb_prefixes, &prefix, &allow);
	tell_vip(b, n);
	tell_slots(b, n, size);
}

/* All the ports that there are of one family, for this core alone. */
static void tell_snat(struct bench *b, struct lb_config *config)
{
	for (uint32_t i = 0; i < LB_SNAT_FAMILY; i++) {
		struct lb_snat_address own = {.addr.word[0] = LB_HTONL(0x0a090010 | i), .family = LB_IP4};

		put_at(b->lb->maps.lb_snat_addresses, i, &own);
	}
	config->snat4 = LB_SNAT_FAMILY;
	config->snat_ports = LB_SNAT_PORTS;
	config->cores = 1;
	config->snat_mask = SNAT_BUCKETS - 1;
}

static void tell_config(struct bench *b)
{
	struct lb_config config = {
		.abi = LB_ABI,
		.flow_mask = BUCKETS - 1,
		.secret = {0x0123456789abcdef, 0xfedcba9876543210},
		.idle_ticks = {[LB_FLOW_EMBRYONIC] = 56, [LB_FLOW_CONFIRMED] = 7200, [LB_FLOW_DATAGRAM] = 28},
		.source4 = LB_HTONL(0x0a090001),
		.source6 = {{LB_HTONL(0xfd090000), 0, 0, LB_HTONL(1)}},
		.mac = {{LB_HTONS(0x0200), 0, LB_HTONS(2)}}, /* the rig's frames are for it */
		.bucket_sources = 1024,
		.bucket_mask = (1 << 14) - 1,
	};

	if (b->row->delivery == LB_SNAT)
		tell_snat(b, &config);
	put_at(b->lb->maps.lb_config, 0, &config);
}

static void tell(struct bench *b)
{
	uint32_t size = maglev_size(BACKENDS, 0);

	b->lb = lb_xdp__open();
	if (!b->lb)
		fail("lb_xdp", errno);
	bpf_map__set_max_entries(b->lb->maps.lb_services, b->row->services);
	bpf_map__set_max_entries(b->lb->maps.lb_slots, b->row->services * size);
	bpf_map__set_max_entries(b->lb->maps.lb_flows, b->row->moved ? BUCKETS : 1);
	if (b->row->delivery == LB_SNAT) {
		bpf_map__set_max_entries(b->lb->maps.lb_snats, LB_SNAT_ADDRESSES * LB_SNAT_PORTS);
		bpf_map__set_max_entries(b->lb->maps.lb_snat_buckets, SNAT_BUCKETS);
	}
	if (lb_xdp__load(b->lb) < 0)
		fail("lb_xdp", errno);
	tell_config(b);
	tell_backends(b);
	for (uint32_t n = 0; n < b->row->services; n++)
		tell_service(b, n, size);
}

/* ---- the rig ---- */

static void tell_floor(struct bench *b)
{
	for (uint32_t n = 0; n < b->row->services; n++) {
		struct lb_vip vip = {
			.addr.word[0] = LB_HTONL(0x0a010000 | n), .port = LB_HTONS(80), .proto = LB_PROTO_TCP, .family = LB_IP4};

		put(b->rig->maps.vips, &vip, &n);
	}
	for (uint32_t i = 0; i < BACKENDS; i++) {
		struct lb_backend backend = {.addr.word[0] = LB_HTONL(0x0a020000 | (i + 1)),
					     .mac = {{LB_HTONS(0x0200), 0, LB_HTONS(17 + i)}}};

		put_at(b->rig->maps.backends, i, &backend);
	}
	for (uint32_t i = 0; i < 1 << 12; i++) {
		uint32_t backend = i % BACKENDS;

		put_at(b->rig->maps.ring, i, &backend);
	}
}

static struct bpf_program *program_of(struct bench *b)
{
	switch (b->row->kind) {
	case FLOOR_DROP:
		return b->rig->progs.floor_drop;
	case FLOOR_HIT:
		return b->rig->progs.floor_lru_hit;
	case FLOOR_INSERT:
		return b->rig->progs.floor_lru_insert;
	case FLOOR_ENCAPSULATE:
		return b->rig->progs.floor_encapsulate;
	case FLOOR_PER_FLOW:
		return b->rig->progs.floor_lru_per_flow;
	case OURS:
		return b->lb->progs.lb_xdp;
	default:
		return b->rig->progs.floor_tx;
	}
}

static void aim(struct bench *b, struct bpf_program *p)
{
	uint32_t fd = (uint32_t)bpf_program__fd(p);

	put_at(b->rig->maps.target, 0, &fd);
}

static void build_frame(const struct row *row, bool syn, uint8_t *frame)
{
	uint8_t flags = syn ? LB_TCP_SYN : LB_TCP_ACK;

	memset(frame, 0, FRAME_SIZE);
	if (row->v6) {
		struct lb_ip6 ip = {.version_class_label = LB_HTONL(6u << 28), .length = LB_HTONS(FRAME_SIZE - 54), .next = LB_PROTO_TCP};
		struct lb_tcp tcp = {.dport = LB_HTONS(80), .words = 0x50, .flags = flags};

		ip.dst[0] = LB_HTONL(0xfd010000);
		memcpy(frame + 14, &ip, sizeof ip);
		memcpy(frame + 54, &tcp, sizeof tcp);
	} else {
		struct lb_ip4 ip = {.version_words = 0x45, .length = LB_HTONS(FRAME_SIZE - 14), .ttl = 64, .proto = LB_PROTO_TCP};
		struct lb_tcp tcp = {.dport = LB_HTONS(80), .words = 0x50, .flags = flags};

		memcpy(frame + 14, &ip, sizeof ip);
		memcpy(frame + 34, &tcp, sizeof tcp);
	}
}

static double run(struct bench *b, int prog, uint32_t packets)
{
	uint8_t frame[FRAME_SIZE], out[2 * FRAME_SIZE];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = FRAME_SIZE, .data_out = out, .data_size_out = sizeof out,
		    .repeat = (int)packets);
	uint32_t want = b->row->kind == FLOOR_DROP ? XDP_DROP : b->row->pass ? XDP_PASS : XDP_TX;
	int r;

	build_frame(b->row, b->row->syn || b->begin, frame);
	r = bpf_prog_test_run_opts(prog, &opts);
	if (r < 0)
		fail(b->row->name, r);
	if (opts.retval != want) {
		fprintf(stderr, "lb: %s: verdict %u, wanted %u\n", b->row->name, opts.retval, want);
		exit(1);
	}
	return opts.duration;
}

/* Through the rig, or without it. */
static double run_program(struct bench *b, struct bpf_program *p, uint32_t packets)
{
	if (b->row->kind == FLOOR_DROP || b->row->kind == FLOOR_SEND)
		return run(b, bpf_program__fd(p), packets);
	aim(b, p);
	return run(b, bpf_program__fd(b->rig->progs.rig), packets);
}

/* Each flow once: tables are full, caches as warm as they get. */
static void warm_up(struct bench *b)
{
	if (b->row->kind == FLOOR_HIT)
		run_program(b, b->rig->progs.fill_lru, b->row->flows);
	b->begin = b->row->kind == OURS && b->row->delivery == LB_SNAT; /* nothing else insists on the SYN */
	if (b->begin)
		run_program(b, program_of(b), b->row->flows);
	b->begin = false;
	run_program(b, program_of(b), b->row->flows);
}

static void set_up(struct bench *b, const struct row *row)
{
	b->row = row;
	b->rig = lb_rig__open();
	if (!b->rig)
		fail("lb_rig", errno);
	b->rig->rodata->flow_mask = row->flows - 1;
	b->rig->rodata->services = row->services;
	b->rig->rodata->v6 = row->v6;
	if (row->kind != FLOOR_HIT && row->kind != FLOOR_PER_FLOW)
		bpf_map__set_max_entries(b->rig->maps.lru, 1);
	if (row->kind == FLOOR_INSERT)
		bpf_map__set_max_entries(b->rig->maps.lru_full, row->room);
	if (lb_rig__load(b->rig) < 0)
		fail("lb_rig", errno);
	if (row->kind == OURS)
		tell(b);
	else
		tell_floor(b);
	warm_up(b);
}

static void tear_down(struct bench *b)
{
	lb_rig__destroy(b->rig);
	if (b->lb)
		lb_xdp__destroy(b->lb);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *ns, unsigned rounds)
{
	qsort(ns, rounds, sizeof *ns, by_size);
	return ns[rounds / 2];
}

static bool encapsulates(const struct row *r)
{
	return r->kind == FLOOR_ENCAPSULATE || r->kind == FLOOR_PER_FLOW || (r->kind == OURS && !r->pass && r->delivery <= LB_GUE);
}

static void measure(struct bench *b, unsigned rounds, uint32_t packets)
{
	bool bare = b->row->kind == FLOOR_DROP || b->row->kind == FLOOR_SEND;

	for (unsigned n = 0; n < rounds; n++) {
		b->empty[n] = bare ? 0 : run_program(b, b->row->pass ? b->rig->progs.floor_pass : b->rig->progs.floor_tx, packets);
		b->move[n] = encapsulates(b->row) ? (run_program(b, b->rig->progs.floor_grow, packets) - b->empty[n]) / 2 : 0;
		b->ns[n] = run_program(b, program_of(b), packets);
	}
}

static void print(struct bench *b, unsigned rounds)
{
	double empty = median(b->empty, rounds), net = median(b->ns, rounds) - empty - median(b->move, rounds);

	printf("%-60s %8.1f %8.1f\n", b->row->name, net, empty);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
	uint32_t packets = argc > 2 ? (uint32_t)atoi(argv[2]) : 1 << 20;

	if (rounds < 1 || rounds > ROUNDS_MAX || !packets) {
		fprintf(stderr, "usage: lb [ROUNDS [PACKETS [WORDS]]]\n");
		return 2;
	}
	printf("%-60s %8s %8s\n", "ns a packet, medians", "net", "rig");
	for (size_t i = 0; i < ROWS; i++) {
		static struct bench b;

		if (argc > 3 && !strstr(rows[i].name, argv[3]))
			continue;
		b = (struct bench){0};
		set_up(&b, &rows[i]);
		measure(&b, rounds, packets);
		print(&b, rounds);
		tear_down(&b);
	}
	return 0;
}
