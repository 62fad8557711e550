/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program in the kernel, through BPF_PROG_TEST_RUN: the real verifier, compiler and maps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bpf/lb_clock.skel.h"
#include "tests/bpf/load.h"
#include "tests/bpf/plane.h"

static struct lb_clock *skel;
static struct lb_config config;
static struct lb_service *services;
static struct lb_backend *backends;
static __u64 *slots;
static struct lb_flow_bucket *flows;
static struct lb_rules *rules;
static __u64 *buckets, *turns;
static struct lb_limited *limits;
static struct lb_load *loads;
static struct lb_snat_address *snat_addresses;
static struct lb_snat *snats;
static struct lb_snat_bucket *snat_buckets;
static struct lb_flood *floods;
static struct lb_verified_bucket *verified;
static struct lb_drops drops, *drops_of_core; /* sum so far; room for one value a core */
static int cores;

__attribute__((format(printf, 2, 0))) static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

static void *mapped(struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *p = mmap(NULL, (size + page - 1) / page * page, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

static void set_sizes(void)
{
	bpf_map__set_max_entries(skel->maps.lb_services, WORLD_SERVICES);
	bpf_map__set_max_entries(skel->maps.lb_backends, LOAD_BACKENDS);
	bpf_map__set_max_entries(skel->maps.lb_slots, LOAD_SLOTS);
	bpf_map__set_max_entries(skel->maps.lb_flows, WORLD_BUCKETS);
	bpf_map__set_max_entries(skel->maps.lb_rules, WORLD_SERVICES);
	bpf_map__set_max_entries(skel->maps.lb_buckets, LOAD_BUCKETS);
	bpf_map__set_max_entries(skel->maps.lb_limits, LOAD_LIMITS);
	bpf_map__set_max_entries(skel->maps.lb_turns, WORLD_SERVICES);
	bpf_map__set_max_entries(skel->maps.lb_loads, LOAD_BACKENDS);
	bpf_map__set_max_entries(skel->maps.lb_snats, LOAD_SNATS);
	bpf_map__set_max_entries(skel->maps.lb_floods, WORLD_SERVICES);
	bpf_map__set_max_entries(skel->maps.lb_snat_buckets, WORLD_BUCKETS);
}

static int xdp_open(struct plane *p)
{
	int r;

	libbpf_set_print(quiet);
	if (geteuid() != 0) {
		snprintf(p->error, sizeof p->error, "loading BPF programs takes root");
		return -EPERM;
	}
	skel = lb_clock__open();
	if (!skel)
		return -errno;
	set_sizes();
	r = lb_clock__load(skel);
	if (r < 0) {
		snprintf(p->error, sizeof p->error, "the kernel doesn't load the program: %s", strerror(-r));
		return r;
	}
	services = mapped(skel->maps.lb_services);
	backends = mapped(skel->maps.lb_backends);
	slots = mapped(skel->maps.lb_slots);
	flows = mapped(skel->maps.lb_flows);
	rules = mapped(skel->maps.lb_rules);
	buckets = mapped(skel->maps.lb_buckets);
	limits = mapped(skel->maps.lb_limits);
	turns = mapped(skel->maps.lb_turns);
	loads = mapped(skel->maps.lb_loads);
	snat_addresses = mapped(skel->maps.lb_snat_addresses);
	snats = mapped(skel->maps.lb_snats);
	snat_buckets = mapped(skel->maps.lb_snat_buckets);
	floods = mapped(skel->maps.lb_floods);
	verified = mapped(skel->maps.lb_verified);
	cores = libbpf_num_possible_cpus();
	drops_of_core = calloc((size_t)cores, sizeof *drops_of_core);
	return services && backends && slots && flows && rules && buckets && limits && turns && loads && snat_addresses && snats &&
			       snat_buckets && floods && verified && drops_of_core
		       ? 0
		       : -ENOMEM;
}

static void xdp_close(struct plane *p)
{
	(void)p;
	free(drops_of_core);
	drops_of_core = NULL;
	lb_clock__destroy(skel);
	skel = NULL;
}

static void put_vip(const struct lb_vip *vip, __u32 service)
{
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.lb_vips), vip, &service, BPF_ANY) < 0)
		abort();
}

static void put_prefix(const struct lb_prefix *prefix, __u32 value)
{
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.lb_prefixes), prefix, &value, BPF_ANY) < 0)
		abort();
}

static void put_quic(const struct lb_quic_key *key, __u32 backend)
{
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.lb_quic), key, &backend, BPF_ANY) < 0)
		abort();
}

static void put_reply(const struct lb_vip *backend, const struct lb_reply *reply)
{
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.lb_replies), backend, reply, BPF_ANY) < 0)
		abort();
}

static void clear(struct bpf_map *map)
{
	int fd = bpf_map__fd(map);
	__u8 key[64];

	while (bpf_map_get_next_key(fd, NULL, key) == 0)
		bpf_map_delete_elem(fd, key);
}

static void xdp_reload(struct plane *p, const struct world *w)
{
	struct load l = {.config = &config,
			 .service = services,
			 .backend = backends,
			 .slot = slots,
			 .rules = rules,
			 .limits = limits,
			 .loads = loads,
			 .snat_addresses = snat_addresses,
			 .put_vip = put_vip,
			 .put_quic = put_quic,
			 .put_reply = put_reply,
			 .put_prefix = put_prefix};
	__u32 zero = 0;

	(void)p;
	clear(skel->maps.lb_vips);
	clear(skel->maps.lb_prefixes);
	clear(skel->maps.lb_quic);
	clear(skel->maps.lb_replies);
	load_world(&l, w);
	if (bpf_map_update_elem(bpf_map__fd(skel->maps.lb_config), &zero, &config, BPF_ANY) < 0)
		abort();
}

static void xdp_load(struct plane *p, const struct world *w)
{
	memset(flows, 0, WORLD_BUCKETS * sizeof *flows);
	memset(buckets, 0, LOAD_BUCKETS * sizeof *buckets);
	memset(limits, 0, LOAD_LIMITS * sizeof *limits);
	memset(turns, 0, WORLD_SERVICES * sizeof *turns);
	memset(snats, 0, LOAD_SNATS * sizeof *snats);
	memset(snat_buckets, 0, WORLD_BUCKETS * sizeof *snat_buckets);
	memset(floods, 0, WORLD_SERVICES * sizeof *floods);
	memset(verified, 0, LB_VERIFIED_BUCKETS * sizeof *verified);
	memset(backends, 0, LOAD_BACKENDS * sizeof *backends);
	clear(skel->maps.lb_fragments);
	xdp_reload(p, w);
}

static void xdp_clock(struct plane *p, uint64_t ticks)
{
	(void)p;
	skel->bss->lb_clock_ns = ticks << LB_TICK_SHIFT;
}

/* The reason whose count went up. An answer in place of a packet counts too, but is no drop. */
static const char *reason_of_drop(void)
{
	const char *found = "?";
	__u32 zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(skel->maps.lb_drop_counts), &zero, drops_of_core) < 0)
		abort();
	for (unsigned reason = 0; reason < LB_REASON_COUNT; reason++) {
		__u64 total = 0;

		for (int core = 0; core < cores; core++)
			total += drops_of_core[core].count[reason];
		if (total != drops.count[reason] && !load_is_answer(reason))
			found = load_reason(reason);
		drops.count[reason] = total;
	}
	return found;
}

static void xdp_run(struct plane *p, const struct frame *f, struct result *ret)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->bytes, .data_size_in = (__u32)f->size, .data_out = ret->frame.bytes,
		    .data_size_out = FRAME_MAX, .repeat = 1);
	int r = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.lb_xdp), &opts);

	if (r < 0) {
		fprintf(stderr, "%s: test run of %zu bytes: %s\n", p->name, f->size, strerror(-r));
		abort();
	}
	ret->frame.size = opts.data_size_out;
	ret->outcome = opts.retval == XDP_TX ? OUT_SEND : opts.retval == XDP_DROP ? OUT_DROP : OUT_PASS;
	ret->reason = ret->outcome == OUT_DROP ? reason_of_drop() : NULL;
}

static unsigned xdp_older(struct plane *p, unsigned service, unsigned backend)
{
	(void)p;
	return backends[service * WORLD_BACKENDS + backend].older_ticks;
}

struct plane plane_xdp = {
	.name = "xdp",
	.coarse = true,
	.open = xdp_open,
	.close = xdp_close,
	.load = xdp_load,
	.reload = xdp_reload,
	.clock = xdp_clock,
	.run = xdp_run,
	.older = xdp_older,
};
