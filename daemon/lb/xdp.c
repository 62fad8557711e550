/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/xdp.h"

#include <assert.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "lb/maglev.h"
#include "lb/region.h"
#include "lb/wanted.h"
#include "log.h"

#define VIPS_MAX (4 * CATALOG_SERVICES_MAX) /* each and its address, before and after a change */
#define BACKENDS_MAX (1u << 16)
#define SLOTS_MAX (1u << 21)
#define FLOW_BUCKETS (1u << 17)   /* of four flows */
#define SOURCE_BUCKETS (1u << 14) /* in each of two rows */
#define REGION_MIN 16u            /* backends that a service has room for at least */
#define NUMBERS_MAX 4096u         /* backends of a service that are known at once, those of its earlier generations included */
#define NOBODY NUMBERS_MAX        /* stands for an earlier backend that has no address any more */
#define SECOND_NS 1000000000u

#define TICKS(seconds) ((__u32)((seconds) * (__u64)SECOND_NS >> LB_TICK_SHIFT))
#define FLOW_IDLE_S 7800 /* [generations]: 2 h 10 min, longer than TCP's default keepalive */
#define UDP_IDLE_S 30    /* [udp] */
#define EMBRYONIC_IDLE_S 60

static_assert(LB_BUCKET_SERVICES + CATALOG_SERVICES_MAX + 2 * SOURCE_BUCKETS <= 1u << 16, "lb_buckets has room");

int xdp_set_sizes(struct bpf_object *object)
{
	static const struct {
		const char *map;
		uint32_t size;
	} sizes[] = {
		{"lb_vips", VIPS_MAX},      {"lb_backends", BACKENDS_MAX}, {"lb_backend_counts", BACKENDS_MAX},
		{"lb_loads", BACKENDS_MAX}, {"lb_slots", SLOTS_MAX},       {"lb_flows", FLOW_BUCKETS},
		{"lb_buckets", 1u << 16},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, sizes[i].map);
		int r = map ? bpf_map__set_max_entries(map, sizes[i].size) : -ENOENT;

		if (r < 0)
			return r;
	}
	return 0;
}

int xdp_open(struct xdp *x, const char *maps, struct routes *routes)
{
	int r;

	*x = (struct xdp){.routes = routes, .ways_stale = true};
	r = maps_open(&x->maps, maps, true);
	if (r < 0)
		return r;
	assert(x->maps.service_count == CATALOG_SERVICES_MAX);
	for (uint32_t i = 0; i < x->maps.service_count; i++)
		x->maps.names[i].digest = 0; /* another build filled them, perhaps, and would have done it otherwise */
	return 0;
}

void xdp_close(struct xdp *x)
{
	maps_close(&x->maps);
}

/* Until no packet is under way that began before: programs run in RCU read sections, and this waits for those. */
static void await_packets(void)
{
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static void store_word(void *to, const void *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof word);
	__atomic_store_n((uint64_t *)to, word, __ATOMIC_RELEASE);
}

static __u32 now_ticks(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (__u32)(((__u64)t.tv_sec * SECOND_NS + (__u64)t.tv_nsec) >> LB_TICK_SHIFT);
}

/* ---- numbers ---- */

/* The number of a service: its own, or a free one; maps.service_count if there is none. */
static uint32_t service_number(const struct xdp *x, uint64_t id)
{
	uint32_t number = x->maps.service_count;

	for (uint32_t i = x->maps.service_count; i-- > 0;) {
		if (x->maps.names[i].id == id)
			return i;
		if (!x->maps.names[i].id)
			number = i;
	}
	return number;
}

/* The number of a backend in its service; NOBODY if it has none. */
static uint16_t backend_number(const struct xdp *x, const struct lb_service *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (x->maps.ids[s->backend_base + i] == id)
			return (uint16_t)i;
	return NOBODY;
}

/* Whether the catalog still speaks of a backend: it is listed, or a kept generation had it. A removed one's address is known here only, so
 * that its flows end in peace. */
static bool is_known(const struct catalog_service *c, uint64_t id)
{
	for (uint32_t i = 0; i < c->backend_count; i++)
		if (c->backends[i].id == id)
			return true;
	for (uint32_t g = 0; g < c->generation_count; g++)
		for (uint32_t i = 0; i < c->generations[g].share_count; i++)
			if (c->generations[g].shares[i].backend == id)
				return true;
	return false;
}

static bool find_backend_room(const struct xdp *x, uint32_t size, uint32_t *ret_base)
{
	struct region used[CATALOG_SERVICES_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < x->maps.service_count; i++)
		if (x->maps.services[i].backend_count)
			used[count++] = (struct region){x->maps.services[i].backend_base, x->maps.services[i].backend_count};
	return region_find(used, count, size, x->maps.backend_count, ret_base);
}

/* More room, elsewhere: every backend there under its number, then one store, then the old room is given up. A service's count is that of
 * its room: where no backend is, none is alive. */
static int grow(struct xdp *x, struct lb_service *s, uint32_t size)
{
	uint32_t old = s->backend_base, count = s->backend_count, base;

	if (size > NUMBERS_MAX || !find_backend_room(x, size, &base))
		return -ENOSPC;
	for (uint32_t i = 0; i < size; i++) {
		x->maps.backends[base + i] = i < count ? x->maps.backends[old + i] : (struct lb_backend){0};
		x->maps.ids[base + i] = i < count ? x->maps.ids[old + i] : 0;
	}
	__atomic_store_n(&s->backend_base, base, __ATOMIC_RELEASE);
	__atomic_store_n(&s->backend_count, size, __ATOMIC_RELEASE);
	if (count)
		await_packets();
	for (uint32_t i = 0; i < count; i++)
		x->maps.ids[old + i] = 0;
	return 0;
}

/* For so many backends more. */
static int make_room(struct xdp *x, struct lb_service *s, uint32_t more)
{
	uint32_t used = 0, size = s->backend_count ? s->backend_count : REGION_MIN;

	for (uint32_t i = 0; i < s->backend_count; i++)
		used += x->maps.ids[s->backend_base + i] != 0;
	while (size < used + more)
		size *= 2;
	return size > s->backend_count ? grow(x, s, size) : 0;
}

static uint32_t free_number(const struct xdp *x, const struct lb_service *s)
{
	uint32_t i = 0;

	while (i < s->backend_count && x->maps.ids[s->backend_base + i])
		i++;
	return i;
}

/* Into room that there is. */
static void add_backend(struct xdp *x, struct lb_service *s, const struct catalog_backend *c)
{
	uint32_t number = free_number(x, s);

	assert(number < s->backend_count);
	x->maps.backends[s->backend_base + number] = (struct lb_backend){.addr = c->at.addr, .family = c->at.family};
	x->maps.ids[s->backend_base + number] = c->id;
}

/* Gives the service's backends their numbers. */
static int number_backends(struct xdp *x, struct lb_service *s, const struct catalog_service *c)
{
	uint32_t more = 0;
	int r;

	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct lb_backend *b = &x->maps.backends[s->backend_base + i];
		struct lb_backend dead = *b;

		if (!x->maps.ids[s->backend_base + i] || is_known(c, x->maps.ids[s->backend_base + i]))
			continue;
		dead.flags = 0;
		store_word(&b->family, &dead.family);
		x->maps.ids[s->backend_base + i] = 0;
	}
	for (uint32_t i = 0; i < c->backend_count; i++)
		more += backend_number(x, s, c->backends[i].id) == NOBODY;
	r = make_room(x, s, more);
	for (uint32_t i = 0; r == 0 && i < c->backend_count; i++)
		if (backend_number(x, s, c->backends[i].id) == NOBODY)
			add_backend(x, s, &c->backends[i]);
	return r;
}

/* ---- next hops ---- */

static_assert(offsetof(struct lb_backend, family) == 16 && offsetof(struct lb_backend, mac) == 18,
	      "family, flags and next hop are one word");

/* The way to a backend. One that was found stays in use while no other is: whether the backend lives is not for the neighbour table to say.
 */
static void find_way(struct xdp *x, struct lb_backend *b, struct lb_config *config)
{
	struct host_address to = {.addr = b->addr, .family = b->family};
	struct lb_backend found = *b;
	struct way w;

	if (b->flags & LB_BACKEND_ALIVE && !x->ways_stale)
		return;
	if (routes_find(x->routes, &to, &w) < 0) {
		x->unresolved += !(b->flags & LB_BACKEND_ALIVE);
		return;
	}
	found.mac = w.mac;
	found.flags = LB_BACKEND_ALIVE | (w.local ? LB_BACKEND_LOCAL : 0);
	__atomic_store_n(&b->mtu, w.mtu, __ATOMIC_RELAXED);
	if (memcmp(&b->family, &found.family, sizeof(uint64_t)) != 0)
		store_word(&b->family, &found.family);
	if (w.source.family == LB_IP4 && !config->source4)
		config->source4 = w.source.addr.word[0];
	if (w.source.family == LB_IP6 && !config->source6.word[0])
		config->source6 = w.source.addr;
}

static void find_ways(struct xdp *x, struct lb_config *config)
{
	x->unresolved = 0;
	for (uint32_t i = 0; i < x->maps.service_count; i++) {
		const struct lb_service *s = &x->maps.services[i];

		for (uint32_t n = 0; n < s->backend_count; n++)
			if (x->maps.ids[s->backend_base + n])
				find_way(x, &x->maps.backends[s->backend_base + n], config);
	}
	x->ways_stale = false;
}

/* ---- slots ---- */

/* A service's backends by id, to look up the shares of many generations. */
struct numbers {
	struct number {
		uint64_t id;
		uint16_t number;
	} * list;
	uint32_t count;
};

static int by_id(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void numbers_init(struct numbers *n, const struct xdp *x, const struct lb_service *s)
{
	*n = (struct numbers){.list = mem_alloc(s->backend_count * sizeof *n->list)};
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (x->maps.ids[s->backend_base + i])
			n->list[n->count++] = (struct number){x->maps.ids[s->backend_base + i], (uint16_t)i};
	qsort(n->list, n->count, sizeof *n->list, by_id);
}

static uint16_t numbers_find(const struct numbers *n, uint64_t id)
{
	const struct number wanted = {.id = id}, *found = bsearch(&wanted, n->list, n->count, sizeof *n->list, by_id);

	return found ? found->number : NOBODY;
}

/* The table of a generation; -EINVAL if nobody has weight. */
static int fill_generation(const struct numbers *n, const struct catalog_service *c, const struct catalog_generation *g,
			   struct generation *ret)
{
	struct maglev_backend *backends = mem_alloc(g->share_count * sizeof *backends);
	/* A pure function of the generation: what this balancer had before must not matter ([generations]). */
	uint32_t size = maglev_size(g->share_count, 0);
	uint16_t *table = mem_alloc(size * sizeof *table);
	int r;

	for (uint32_t i = 0; i < g->share_count; i++)
		backends[i] = (struct maglev_backend){
			.id = g->shares[i].backend,
			.number = numbers_find(n, g->shares[i].backend),
			.weight = c->even && g->shares[i].weight ? 1 : g->shares[i].weight,
		};
	r = maglev_fill(backends, g->share_count, table, size);
	free(backends);
	if (r < 0)
		free(table);
	else
		*ret = (struct generation){table, size};
	return r;
}

/* Where the next table can lie: anywhere but in a table that is in use. */
static bool find_slot_room(const struct xdp *x, const struct lb_service *s, uint32_t size, uint32_t *ret_base)
{
	struct region used[2 * CATALOG_SERVICES_MAX];
	const struct lb_table *next = &s->table[(s->generation + 1) & 1];
	uint32_t count = 0;

	for (uint32_t i = 0; i < x->maps.service_count; i++)
		for (uint32_t n = 0; n < 2; n++) {
			const struct lb_table *t = &x->maps.services[i].table[n];

			if (t->count && t != next)
				used[count++] = (struct region){t->base, t->count};
		}
	return region_find(used, count, size, x->maps.slot_count, ret_base);
}

/* Into the table that isn't in use; one store flips. */
static int write_slots(struct xdp *x, struct lb_service *s, const struct lb_slot *slots, uint32_t count)
{
	const struct lb_table *now = &s->table[s->generation & 1];
	struct lb_table *next = &s->table[(s->generation + 1) & 1];
	uint32_t base;

	if (now->count == count && !memcmp(&x->maps.slots[now->base], slots, count * sizeof *slots))
		return 0;
	if (!find_slot_room(x, s, count, &base))
		return -ENOSPC;
	memcpy(&x->maps.slots[base], slots, count * sizeof *slots);
	*next = (struct lb_table){.base = base, .count = count, .moved_ticks = now_ticks()};
	__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
	return 1;
}

/* The generations that have weight: the last is active, the others are earlier ones, the latest first. */
static void fill_generations(const struct numbers *n, const struct catalog_service *c, struct generations *ret)
{
	struct generation g;

	for (uint32_t i = c->generation_count; i-- > 0;) {
		if (fill_generation(n, c, &c->generations[i], &g) < 0)
			continue;
		if (!ret->active.table)
			ret->active = g;
		else
			ret->earlier[ret->earlier_count++] = g;
	}
}

static void free_generation(struct generation *g)
{
	free((void *)(uintptr_t)g->table);
}

/* 1 if slots changed, 0 if they were right, or negative errno. */
static int place_slots(struct xdp *x, struct lb_service *s, const struct catalog_service *c)
{
	bool alive[NUMBERS_MAX + 1] = {false};
	struct generations g = {.alive = alive};
	struct numbers n;
	struct lb_slot *slots;
	int r = 0;

	for (uint32_t i = 0; i < s->backend_count; i++)
		alive[i] = x->maps.ids[s->backend_base + i] != 0;
	numbers_init(&n, x, s);
	fill_generations(&n, c, &g);
	free(n.list);
	if (g.active.table) {
		slots = mem_alloc(slots_count(&g) * sizeof *slots);
		(void)slots_compute(&g, slots);
		r = write_slots(x, s, slots, slots_count(&g));
		free(slots);
	}
	free_generation(&g.active);
	for (uint32_t i = 0; i < g.earlier_count; i++)
		free_generation(&g.earlier[i]);
	return r;
}

/* ---- services ---- */

static __u16 service_flags(const struct catalog_service *c)
{
	bool allows = false;

	for (uint32_t i = 0; i < c->prefix_count; i++)
		allows |= !c->prefixes[i].deny;
	/* Only GUE has room for the earlier owners; without them chain mode would record nothing and break what moves. */
	return (c->affinity ? 0 : LB_SERVICE_NO_AFFINITY) | (c->chain && c->delivery == LB_GUE ? LB_SERVICE_CHAIN : 0) | (c->limit ? LB_SERVICE_LIMITS : 0) |
	       (c->prefix_count ? LB_SERVICE_PREFIXES : 0) | (allows ? LB_SERVICE_DENY : 0);
}

/* As many at once as in a second. */
static struct lb_limit limit(uint32_t rate)
{
	struct lb_limit l = {0};

	if (rate) {
		l.interval_ns = SECOND_NS / rate;
		l.burst_ns = l.interval_ns * (rate - 1);
	}
	return l;
}

static int place_service(struct xdp *x, uint32_t number, const struct catalog_service *c)
{
	struct lb_service *s = &x->maps.services[number];
	struct lb_name *name = &x->maps.names[number];
	int r;

	if (name->digest == c->digest)
		return 0;
	name->digest = 0;
	(void)snprintf(name->name, sizeof name->name, "%s", c->name);
	r = number_backends(x, s, c);
	if (r < 0)
		return r;
	x->maps.rules[number] = (struct lb_rules){.service = limit(c->limit)};
	s->scheduler = c->scheduler;
	s->delivery = c->delivery;
	s->flags = service_flags(c);
	r = place_slots(x, s, c);
	if (r < 0)
		return r;
	name->digest = c->digest;
	return r;
}

/* Numbers that no catalog has any more, once no VIP leads there. */
static void free_service(struct xdp *x, uint32_t number)
{
	struct lb_service *s = &x->maps.services[number];

	for (uint32_t i = 0; i < s->backend_count; i++)
		x->maps.ids[s->backend_base + i] = 0;
	*s = (struct lb_service){0};
	x->maps.names[number] = (struct lb_name){0};
}

/* ---- all of it ---- */

/* What a catalog asks for: the numbers of its services, and what is written by difference. */
struct plan {
	uint32_t number[CATALOG_SERVICES_MAX]; /* by place in the catalog; maps.service_count: none */
	bool used[CATALOG_SERVICES_MAX];       /* by number */
	struct wanted vips, prefixes;
	uint32_t wildcards;
	bool changed; /* something that packets may still read was replaced */
	int error;    /* the first */
};

static void want_prefixes(struct plan *p, uint32_t number, const struct catalog_service *c)
{
	for (uint32_t i = 0; i < c->prefix_count; i++) {
		struct lb_prefix prefix = {.bits = 32u + c->prefixes[i].bits, .service = number, .addr = c->prefixes[i].at.addr};
		uint32_t rule = c->prefixes[i].deny ? LB_PREFIX_DENY : LB_PREFIX_ALLOW;

		wanted_put(&p->prefixes, &prefix, &rule);
	}
}

/* The service, and that its address is a VIP at all. */
static void want_vip(struct plan *p, uint32_t number, const struct catalog_service *c)
{
	struct lb_vip address = {.addr = c->vip.addr, .family = c->vip.family};
	const uint32_t any = 0;

	p->wildcards += !c->vip.port;
	wanted_put(&p->vips, &c->vip, &number);
	wanted_put(&p->vips, &address, &any);
}

/* Gives every service its number. */
static void number_services(struct xdp *x, const struct lb_catalog *c, struct plan *p)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		const struct catalog_service *s = &c->services[i];

		p->number[i] = s->lacks ? x->maps.service_count : service_number(x, s->id);
		if (s->lacks)
			log_error("xdp: this data plane can't deliver by %s, ignoring service=%s", s->lacks, s->name);
		if (p->number[i] == x->maps.service_count)
			continue;
		x->maps.names[p->number[i]].id = s->id;
		p->used[p->number[i]] = true;
		want_prefixes(p, p->number[i], s);
	}
}

/* A service that doesn't fit stays as it was, if it was there. */
static void place_services(struct xdp *x, const struct lb_catalog *c, struct plan *p)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		const struct lb_service *s = &x->maps.services[p->number[i]];
		int r;

		if (p->number[i] == x->maps.service_count)
			continue;
		r = place_service(x, p->number[i], &c->services[i]);
		p->changed |= r > 0;
		if (r < 0) {
			log_error("xdp: a service doesn't fit into the maps service=%s error=\"%s\"", c->services[i].name, strerror(-r));
			p->error = p->error ? p->error : r;
		}
		if (r >= 0 || s->table[s->generation & 1].count)
			want_vip(p, p->number[i], &c->services[i]);
	}
}

static void base_config(struct lb_config *config)
{
	*config = (struct lb_config){
		.abi = LB_ABI,
		.flow_mask = FLOW_BUCKETS - 1,
		.idle_ticks = {[LB_FLOW_EMBRYONIC] = TICKS(EMBRYONIC_IDLE_S),
			       [LB_FLOW_CONFIRMED] = TICKS(FLOW_IDLE_S),
			       [LB_FLOW_DATAGRAM] = TICKS(UDP_IDLE_S)},
		.bucket_sources = LB_BUCKET_SERVICES + CATALOG_SERVICES_MAX,
		.bucket_mask = SOURCE_BUCKETS - 1,
		/* Packet-too-big: a path needs one for each flow that a host opens before it has learned. */
		.answers = limit(1000),
		.answers_source = limit(50),
	};
}

static int write_config(struct xdp *x, const struct lb_catalog *c, struct lb_config *config, uint32_t wildcards)
{
	struct lb_config held;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(x->maps.config, &zero, &held) < 0)
		return -errno;
	config->secret[0] = c->secret[0];
	config->secret[1] = c->secret[1];
	config->wildcards = wildcards;
	if (!config->source4)
		config->source4 = held.source4;
	if (!config->source6.word[0])
		config->source6 = held.source6;
	if (!memcmp(&held, config, sizeof held))
		return 0;
	return bpf_map_update_elem(x->maps.config, &zero, config, BPF_ANY) < 0 ? -errno : 0;
}

/* What nothing leads to any more, once no packet is on its way there. */
static int sweep(struct xdp *x, struct plan *p)
{
	for (uint32_t i = 0; i < x->maps.service_count; i++)
		p->changed |= x->maps.names[i].id && !p->used[i];
	if (p->changed)
		await_packets();
	for (uint32_t i = 0; i < x->maps.service_count; i++)
		if (x->maps.names[i].id && !p->used[i])
			free_service(x, i);
	return wanted_remove_others(&p->prefixes, x->maps.prefixes);
}

/* Prefixes stand before a service asks for them, and a service stands before a VIP leads to it. */
static int write_plan(struct xdp *x, const struct lb_catalog *c, struct plan *p)
{
	struct lb_config config;
	int r = wanted_add(&p->prefixes, x->maps.prefixes);

	if (r < 0)
		return r;
	place_services(x, c, p);
	base_config(&config);
	find_ways(x, &config);
	r = write_config(x, c, &config, p->wildcards);
	if (r == 0)
		r = wanted_add(&p->vips, x->maps.vips);
	if (r == 0)
		r = wanted_remove_others(&p->vips, x->maps.vips);
	return r;
}

int xdp_apply(struct xdp *x, const struct lb_catalog *c)
{
	struct plan *p = mem_zalloc(sizeof *p);
	int r;

	wanted_init(&p->vips, sizeof(struct lb_vip), sizeof(uint32_t));
	wanted_init(&p->prefixes, sizeof(struct lb_prefix), sizeof(uint32_t));
	number_services(x, c, p);
	r = write_plan(x, c, p);
	if (r == 0)
		r = sweep(x, p);
	else
		await_packets();
	if (r < 0)
		log_error("xdp: the maps don't take the catalog error=\"%s\"", strerror(-r));
	else
		r = p->error;
	wanted_free(&p->vips);
	wanted_free(&p->prefixes);
	free(p);
	return r;
}
