/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/feed.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lb/clock.h"
#include "lb/earlier.h"
#include "lb/rate.h"
#include "lb/region.h"
#include "lb/skip.h"
#include "lb/wanted.h"
#include "log.h"

#define REGION_MIN 16u     /* backends that a service has room for at least */
#define NUMBERS_MAX 4096u  /* backends of a service that are known at once, those of its earlier generations included */
#define NOBODY NUMBERS_MAX /* stands for an earlier backend that has no address any more */
#define SECOND_NS 1000000000u

#define TICKS(seconds) ((__u32)((seconds) * (__u64)SECOND_NS >> LB_TICK_SHIFT))
#define EMBRYONIC_IDLE_S 60
#define CLOSED_IDLE_S 60 /* Linux's TIME_WAIT: so long a backend may know the connection */

void feed_init(struct feed *f, struct tables *tables, struct routes *routes, const struct sources *sources)
{
	*f = (struct feed){.tables = tables, .routes = routes, .sources = sources, .ways_stale = true};
	for (uint32_t i = 0; i < tables->service_count; i++)
		tables->names[i].digest = 0; /* another build filled them, perhaps, and would have done it otherwise */
}

static void store_word(void *to, const void *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof word);
	__atomic_store_n((uint64_t *)to, word, __ATOMIC_RELEASE);
}

/* ---- numbers ---- */

/* The number of a service: its own, or a free one; tables->service_count if there is none. */
static uint32_t service_number(const struct feed *f, uint64_t id)
{
	uint32_t number = f->tables->service_count;

	for (uint32_t i = f->tables->service_count; i-- > 0;) {
		if (f->tables->names[i].id == id)
			return i;
		if (!f->tables->names[i].id)
			number = i;
	}
	return number;
}

/* The number of a backend in its service; NOBODY if it has none. */
static uint16_t backend_number(const struct feed *f, const struct lb_service *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (f->tables->ids[s->backend_base + i] == id)
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

static bool find_backend_room(const struct feed *f, uint32_t size, uint32_t *ret_base)
{
	struct region used[TABLES_SERVICES];
	uint32_t count = 0;

	for (uint32_t i = 0; i < f->tables->service_count; i++)
		if (f->tables->services[i].backend_count)
			used[count++] = (struct region){f->tables->services[i].backend_base, f->tables->services[i].backend_count};
	return region_find(used, count, size, f->tables->backend_count, ret_base);
}

/* More room, elsewhere: every backend there under its number, then one store, then the old room is given up. A service's count is that of
 * its room: where no backend is, none is alive. */
static int grow(struct feed *f, struct lb_service *s, uint32_t size)
{
	uint32_t old = s->backend_base, count = s->backend_count, base;

	if (size > NUMBERS_MAX || !find_backend_room(f, size, &base))
		return -ENOSPC;
	for (uint32_t i = 0; i < size; i++) {
		f->tables->backends[base + i] = i < count ? f->tables->backends[old + i] : (struct lb_backend){0};
		f->tables->ids[base + i] = i < count ? f->tables->ids[old + i] : 0;
	}
	__atomic_store_n(&s->backend_base, base, __ATOMIC_RELEASE);
	__atomic_store_n(&s->backend_count, size, __ATOMIC_RELEASE);
	if (count)
		f->tables->plane->await_packets(f->tables);
	for (uint32_t i = 0; i < count; i++)
		f->tables->ids[old + i] = 0;
	return 0;
}

/* For so many backends more. */
static int make_room(struct feed *f, struct lb_service *s, uint32_t more)
{
	uint32_t used = 0, size = s->backend_count ? s->backend_count : REGION_MIN;

	for (uint32_t i = 0; i < s->backend_count; i++)
		used += f->tables->ids[s->backend_base + i] != 0;
	while (size < used + more)
		size *= 2;
	return size > s->backend_count ? grow(f, s, size) : 0;
}

static uint32_t free_number(const struct feed *f, const struct lb_service *s)
{
	uint32_t i = 0;

	while (i < s->backend_count && f->tables->ids[s->backend_base + i])
		i++;
	return i;
}

/* Into room that there is. */
static void add_backend(struct feed *f, struct lb_service *s, const struct catalog_backend *c)
{
	uint32_t number = free_number(f, s);

	assert(number < s->backend_count);
	f->tables->backends[s->backend_base + number] = (struct lb_backend){.addr = c->at.addr, .family = c->at.family, .port = htons(c->port)};
	f->tables->ids[s->backend_base + number] = c->id;
}

/* One store: packets see it alive or dead. Who is back is alive once its way is found. */
static void mark_dead(struct lb_backend *b, bool dead)
{
	struct lb_backend marked = *b;

	if (!(b->flags & LB_BACKEND_DEAD) == !dead)
		return;
	marked.flags = dead ? LB_BACKEND_DEAD : 0;
	store_word(&b->family, &marked.family);
}

/* Gives the service's backends their numbers. */
static int number_backends(struct feed *f, struct lb_service *s, const struct catalog_service *c)
{
	uint32_t more = 0;
	int r;

	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct lb_backend *b = &f->tables->backends[s->backend_base + i];
		struct lb_backend dead = *b;

		if (!f->tables->ids[s->backend_base + i] || is_known(c, f->tables->ids[s->backend_base + i]))
			continue;
		dead.flags = 0;
		store_word(&b->family, &dead.family);
		f->tables->ids[s->backend_base + i] = 0;
	}
	for (uint32_t i = 0; i < c->backend_count; i++)
		more += backend_number(f, s, c->backends[i].id) == NOBODY;
	r = make_room(f, s, more);
	for (uint32_t i = 0; r == 0 && i < c->backend_count; i++)
		if (backend_number(f, s, c->backends[i].id) == NOBODY)
			add_backend(f, s, &c->backends[i]);
	for (uint32_t i = 0; r == 0 && i < c->backend_count; i++)
		mark_dead(&f->tables->backends[s->backend_base + backend_number(f, s, c->backends[i].id)], c->backends[i].dead);
	return r;
}

/* ---- next hops ---- */

static_assert(offsetof(struct lb_backend, family) == 16 && offsetof(struct lb_backend, mac) == 18,
	      "family, flags and next hop are one word");

/* The way to a backend. One that was found stays in use while no other is: whether the backend lives is not for the neighbour table to say.
 */
static void find_way(struct feed *f, struct lb_backend *b, struct lb_config *config)
{
	struct host_address to = {.addr = b->addr, .family = b->family};
	struct lb_backend found = *b;
	struct way w;

	if (b->flags & LB_BACKEND_DEAD || (b->flags & LB_BACKEND_ALIVE && !f->ways_stale))
		return;
	if (routes_find(f->routes, &to, &w) < 0) {
		f->unresolved += !(b->flags & LB_BACKEND_ALIVE);
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

static void find_ways(struct feed *f, struct lb_config *config)
{
	f->unresolved = 0;
	for (uint32_t i = 0; i < f->tables->service_count; i++) {
		const struct lb_service *s = &f->tables->services[i];

		for (uint32_t n = 0; n < s->backend_count; n++)
			if (f->tables->ids[s->backend_base + n])
				find_way(f, &f->tables->backends[s->backend_base + n], config);
	}
	f->ways_stale = false;
}

/* Where replies go that come back through here. */
static void find_gateways(struct feed *f, uint32_t nat4, uint32_t nat6, struct lb_config *config)
{
	int r4 = nat4 ? routes_find_gateway(f->routes, LB_IP4, &config->gateway4) : 0;
	int r6 = nat6 ? routes_find_gateway(f->routes, LB_IP6, &config->gateway6) : 0;
	bool none = r4 == -ENETUNREACH || r6 == -ENETUNREACH;

	if (none && !f->no_gateway)
		log_error("feed: NAT finds no way back: no default route with a gateway leads out of the interface family=%s",
			  r4 == -ENETUNREACH ? "ipv4" : "ipv6");
	f->no_gateway = none;
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

static void numbers_init(struct numbers *n, const struct feed *f, const struct lb_service *s)
{
	*n = (struct numbers){.list = mem_alloc(s->backend_count * sizeof *n->list)};
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (f->tables->ids[s->backend_base + i])
			n->list[n->count++] = (struct number){f->tables->ids[s->backend_base + i], (uint16_t)i};
	qsort(n->list, n->count, sizeof *n->list, by_id);
}

static uint16_t numbers_find(const struct numbers *n, uint64_t id)
{
	const struct number wanted = {.id = id}, *found = bsearch(&wanted, n->list, n->count, sizeof *n->list, by_id);

	return found ? found->number : NOBODY;
}

/* The table of a generation, without those that are dead unless alive is NULL; -EINVAL if nobody has weight. */
static int fill_generation(struct feed *f, const struct numbers *n, const struct catalog_service *c, const struct catalog_generation *g,
			   const bool *alive, struct generation *ret)
{
	struct maglev_backend *backends = mem_alloc(g->share_count * sizeof *backends);
	/* A pure function of the generation: what this balancer had before must not matter ([generations]). */
	struct generation filled = {.size = maglev_size(g->share_count, 0)};
	int r;

	for (uint32_t i = 0; i < g->share_count; i++) {
		uint16_t number = numbers_find(n, g->shares[i].backend), weight = g->shares[i].weight;

		backends[i] = (struct maglev_backend){
			.id = g->shares[i].backend,
			.number = number,
			.weight = alive && !alive[number] ? 0 : c->even && weight ? 1 : weight,
		};
	}
	r = maglev_cache_get(&f->maglevs, backends, g->share_count, filled.size, &filled.table);
	free(backends);
	if (r == 0)
		*ret = filled;
	return r;
}

/* Where the next table can lie: anywhere but in a table that is in use. */
static bool find_slot_room(const struct feed *f, const struct lb_service *s, uint32_t size, uint32_t *ret_base)
{
	struct region used[2 * TABLES_SERVICES];
	const struct lb_table *next = &s->table[(s->generation + 1) & 1];
	uint32_t count = 0;

	for (uint32_t i = 0; i < f->tables->service_count; i++)
		for (uint32_t n = 0; n < 2; n++) {
			const struct lb_table *t = &f->tables->services[i].table[n];

			if (t->count && t != next)
				used[count++] = (struct region){t->base, t->count};
		}
	return region_find(used, count, size, f->tables->slot_count, ret_base);
}

/* Whether new flows go where they went. */
static bool owners_stay(const struct feed *f, const struct lb_table *now, const struct lb_slot *slots, uint32_t count)
{
	bool same = now->count == count;

	for (uint32_t i = 0; same && i < count; i++) {
		struct lb_slot was;

		memcpy(&was, &f->tables->slots[now->base + i], sizeof was);
		same = was.current == slots[i].current;
	}
	return same;
}

/* Into the table that isn't in use; one store flips. */
static int write_slots(struct feed *f, struct lb_service *s, const struct lb_slot *slots, uint32_t count)
{
	const struct lb_table *now = &s->table[s->generation & 1];
	struct lb_table *next = &s->table[(s->generation + 1) & 1];
	uint32_t base;

	if (now->count == count && !memcmp(&f->tables->slots[now->base], slots, count * sizeof *slots))
		return 0;
	if (!find_slot_room(f, s, count, &base))
		return -ENOSPC;
	memcpy(&f->tables->slots[base], slots, count * sizeof *slots);
	*next = (struct lb_table){
		.base = base,
		.count = count,
		.moved_ticks = owners_stay(f, now, slots, count) ? now->moved_ticks : monotonic_ticks(),
	};
	__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
	return 1;
}

/* The generations that have weight: the last is active, the others are earlier ones, the latest first. */
static void fill_generations(struct feed *f, const struct numbers *n, const struct catalog_service *c, struct generations *ret)
{
	struct generation g;

	for (uint32_t i = c->generation_count; i-- > 0;) {
		if (fill_generation(f, n, c, &c->generations[i], ret->active.table ? NULL : ret->alive, &g) < 0)
			continue;
		if (!ret->active.table)
			ret->active = g;
		else
			ret->earlier[ret->earlier_count++] = g;
	}
	if (c->has_prepared && fill_generation(f, n, c, &c->prepared, ret->alive, &g) == 0)
		ret->prepared = g;
}

/* 1 if slots changed, 0 if they were right, or negative errno. */
static int place_slots(struct feed *f, struct lb_service *s, const struct catalog_service *c)
{
	uint8_t skipped[NUMBERS_MAX + 1] = {SLOT_NOT_SKIPPED};
	bool alive[NUMBERS_MAX + 1] = {false};
	struct generations g = {.alive = alive, .datagrams = c->vip.proto == IPPROTO_UDP};
	struct numbers n;
	struct lb_slot *slots;
	int r = 0;

	for (uint32_t i = 0; i < s->backend_count; i++)
		alive[i] = f->tables->ids[s->backend_base + i] && !(f->tables->backends[s->backend_base + i].flags & LB_BACKEND_DEAD);
	if (skip_read(&f->tables->backends[s->backend_base], &f->tables->ids[s->backend_base], s->backend_count, skipped))
		g.skipped = skipped;
	numbers_init(&n, f, s);
	fill_generations(f, &n, c, &g);
	free(n.list);
	if (g.active.table) {
		slots = mem_alloc(slots_count(&g) * sizeof *slots);
		(void)slots_compute(&g, slots);
		r = write_slots(f, s, slots, slots_count(&g));
		free(slots);
	}
	return r;
}

/* ---- services ---- */

/* [syn flood]: behind a tunnel the backend's own side answers. */
static bool challenges(const struct catalog_service *c)
{
	return c->syn_cookies != SYN_COOKIES_OFF && c->vip.proto == IPPROTO_TCP && c->delivery != LB_IPIP && c->delivery != LB_GUE;
}

static __u16 service_flags(const struct catalog_service *c)
{
	bool allows = false;

	for (uint32_t i = 0; i < c->prefix_count; i++)
		allows |= !c->prefixes[i].deny;
	/* Only GUE has room for the earlier owners; without them chain mode would record nothing and break what moves. */
	return (c->affinity ? 0 : LB_SERVICE_NO_AFFINITY) | (c->chain && c->delivery == LB_GUE ? LB_SERVICE_CHAIN : 0) |
	       (c->limit ? LB_SERVICE_LIMITS : 0) | (challenges(c) ? LB_SERVICE_CHALLENGE : 0) | (c->quic.id_size ? LB_SERVICE_QUIC : 0) |
	       (c->prefix_count ? LB_SERVICE_PREFIXES : 0) | (allows ? LB_SERVICE_DENY : 0);
}

/* Whether other backends are skipped than before. */
static bool skip_backends(struct feed *f, const struct lb_service *s, const struct catalog_service *c, const struct check_list *own)
{
	return skip_update(&f->tables->backends[s->backend_base], &f->tables->ids[s->backend_base], s->backend_count, c, own, monotonic_ticks(),
			   earlier_idle_ticks(c));
}

/* Which backends get new flows, by number. */
static void find_weighing(const struct feed *f, const struct lb_service *s, const struct catalog_service *c, bool *ret)
{
	const struct catalog_generation *active = c->generation_count ? &c->generations[c->generation_count - 1] : NULL;
	struct numbers n;

	numbers_init(&n, f, s);
	for (uint32_t i = 0; active && i < active->share_count; i++)
		ret[numbers_find(&n, active->shares[i].backend)] |= active->shares[i].weight > 0;
	free(n.list);
}

/* Slow start: of backends that get new flows and didn't before, from now on. What a service begins with has no earlier owners. */
static void ramp_backends(struct feed *f, const struct lb_service *s, const struct catalog_service *c)
{
	bool weighing[NUMBERS_MAX + 1] = {false}, begins = !s->table[s->generation & 1].count;

	find_weighing(f, s, c, weighing);
	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct lb_backend *b = &f->tables->backends[s->backend_base + i];

		if (weighing[i] && !b->weighs && !begins)
			b->ramp_from = monotonic_ticks();
		__atomic_store_n(&b->ramp_ticks, b->ramp_from ? TICKS(c->slow_start_s) : 0, __ATOMIC_RELEASE);
		b->weighs = weighing[i];
	}
}

static struct lb_rules service_rules(const struct catalog_service *c)
{
	struct lb_rules rules = {
		.service = rate_limit(c->limit),
		.syns = rate_limit(c->syn_cookies == SYN_COOKIES_AUTO ? c->syn_rate : 0),
	};

	rules.quic_id_size[c->quic.number] = c->quic.id_size;
	return rules;
}

static int place_service(struct feed *f, uint32_t number, const struct catalog_service *c, const struct check_list *own)
{
	struct lb_service *s = &f->tables->services[number];
	struct lb_name *name = &f->tables->names[number];
	int r;

	if (name->digest != c->digest) {
		name->digest = 0;
		(void)snprintf(name->name, sizeof name->name, "%s", c->name);
		r = number_backends(f, s, c);
		if (r < 0)
			return r;
		ramp_backends(f, s, c);
	}
	if (skip_backends(f, s, c, own))
		name->digest = 0;
	if (name->digest == c->digest)
		return 0;
	f->tables->rules[number] = service_rules(c);
	s->scheduler = c->scheduler;
	s->delivery = c->delivery;
	s->flags = service_flags(c);
	s->vip = c->vip.addr;
	s->family = c->vip.family;
	r = place_slots(f, s, c);
	if (r < 0)
		return r;
	name->digest = c->digest;
	return r;
}

/* Numbers that no catalog has any more, once no VIP leads there. */
static void free_service(struct feed *f, uint32_t number)
{
	struct lb_service *s = &f->tables->services[number];

	for (uint32_t i = 0; i < s->backend_count; i++)
		f->tables->ids[s->backend_base + i] = 0;
	*s = (struct lb_service){0};
	f->tables->names[number] = (struct lb_name){0};
}

/* ---- what flows say ---- */

uint32_t feed_number(const struct feed *f, uint64_t service)
{
	uint32_t i = 0;

	while (i < f->tables->service_count && f->tables->names[i].id != service)
		i++;
	return i;
}

/* Which backends of a service, by number, have open connections of snat: those keep their backend whatever the slots say. */
static void find_connected(const struct feed *f, uint32_t service, uint32_t now, bool *ret)
{
	struct lb_config config;

	if (f->tables->plane->get_config(f->tables, &config) < 0)
		return;
	for (uint32_t i = 0; i < f->tables->snat_count; i++) {
		const struct lb_snat *e = &f->tables->snats[i];
		__u64 word = __atomic_load_n(&e->state, __ATOMIC_RELAXED);
		struct lb_snat_state state;

		memcpy(&state, &word, sizeof state);
		if (state.stage >= LB_FLOW_EMBRYONIC && state.stage < LB_FLOW_CLOSED && e->client.word[2] >> 32 == service &&
		    now - state.seen_ticks <= config.idle_ticks[state.stage] && e->backend < NUMBERS_MAX)
			ret[e->backend] = true;
	}
}

void feed_last_older(const struct feed *f, const struct catalog_service *s, uint32_t *ret)
{
	uint32_t number = feed_number(f, s->id), now = monotonic_ticks();
	bool connected[NUMBERS_MAX + 1] = {false};
	const struct lb_service *service;
	struct numbers n;

	if (number == f->tables->service_count)
		return;
	service = &f->tables->services[number];
	if (s->delivery == LB_SNAT)
		find_connected(f, number, now, connected);
	numbers_init(&n, f, service);
	for (uint32_t i = 0; i < s->backend_count; i++) {
		uint16_t backend = numbers_find(&n, s->backends[i].id);

		if (backend == NOBODY)
			continue;
		ret[i] = __atomic_load_n(&f->tables->backends[service->backend_base + backend].older_ticks, __ATOMIC_RELAXED);
		if (connected[backend])
			ret[i] = now;
	}
	free(n.list);
}

/* ---- all of it ---- */

/* What a catalog asks for: the numbers of its services, and what is written by difference. */
struct plan {
	uint32_t number[TABLES_SERVICES]; /* by place in the catalog; tables->service_count: none */
	bool used[TABLES_SERVICES];       /* by number */
	struct wanted vips, prefixes, replies, quic;
	uint32_t wildcards;
	uint32_t flow_idle_s; /* the longest: the flow table is for all */
	const struct check_list *own;
	uint32_t dnat, snat; /* services that deliver so */
	uint32_t nat4, nat6; /* the same by family */
	bool changed; /* something that packets may still read was replaced */
	int error;    /* the first */
	bool failed;  /* not all of it was written: nothing may be swept away */
};

static void want_prefixes(struct plan *p, uint32_t number, const struct catalog_service *c)
{
	for (uint32_t i = 0; i < c->prefix_count; i++) {
		struct lb_prefix prefix = {.bits = 32u + c->prefixes[i].bits, .service = number, .addr = c->prefixes[i].at.addr};
		uint32_t rule = c->prefixes[i].deny ? LB_PREFIX_DENY : LB_PREFIX_ALLOW;

		wanted_put(&p->prefixes, &prefix, &rule);
	}
}

/* Replies of one backend, and that its address is a backend at all. */
static void want_reply(struct plan *p, const struct catalog_service *c, const struct catalog_backend *b)
{
	struct lb_vip from = {.addr = b->at.addr, .port = b->port ? htons(b->port) : c->vip.port, .proto = c->vip.proto, .family = b->at.family};
	struct lb_vip address = {.addr = b->at.addr, .family = b->at.family};
	struct lb_reply reply = {.vip = c->vip.addr, .port = c->vip.port};

	wanted_put(&p->replies, &from, &reply);
	wanted_put(&p->replies, &address, &reply);
}

/* Whoever has an address and port now goes before those who had it once: of two under one key, the last counts. */
static void want_replies(struct plan *p, const struct lb_catalog *c)
{
	for (int removed = 1; removed >= 0; removed--)
		for (uint32_t i = 0; i < c->service_count; i++) {
			const struct catalog_service *s = &c->services[i];

			for (uint32_t n = 0; s->delivery == LB_DNAT && n < s->backend_count; n++)
				if (s->backends[n].removed == removed)
					want_reply(p, s, &s->backends[n]);
		}
}

/* As with replies: whoever has a server ID now goes before those who had it once. */
static void want_quic_ids(struct plan *p, const struct feed *f, uint32_t number, const struct catalog_service *c)
{
	struct numbers n;

	if (!c->quic.id_size)
		return;
	numbers_init(&n, f, &f->tables->services[number]);
	for (int removed = 1; removed >= 0; removed--)
		for (uint32_t i = 0; i < c->backend_count; i++) {
			const struct catalog_backend *b = &c->backends[i];
			struct lb_quic_key key = {.service = number, .config = c->quic.number, .size = c->quic.id_size};
			uint32_t backend = numbers_find(&n, b->id);

			if (b->removed != removed || b->quic_id.size != c->quic.id_size || backend == NOBODY)
				continue;
			memcpy(&key.id, b->quic_id.bytes, sizeof key.id);
			wanted_put(&p->quic, &key, &backend);
		}
	free(n.list);
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

static void count_nat(struct plan *p, const struct catalog_service *c)
{
	bool nat = c->delivery == LB_DNAT || c->delivery == LB_SNAT;

	p->dnat += c->delivery == LB_DNAT;
	p->snat += c->delivery == LB_SNAT;
	p->nat4 += nat && c->vip.family == LB_IP4;
	p->nat6 += nat && c->vip.family == LB_IP6;
}

/* Gives every service its number. */
static void number_services(struct feed *f, const struct lb_catalog *c, struct plan *p)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		const struct catalog_service *s = &c->services[i];
		bool lacks = s->delivery == LB_SNAT && !sources_have(f->sources, s->vip.family);

		p->number[i] = lacks ? f->tables->service_count : service_number(f, s->id);
		if (lacks)
			log_error(
				"feed: snat takes an address of this balancer's own: give --snat-address one of the VIP's family, ignoring service=%s",
				s->name);
		if (p->number[i] == f->tables->service_count)
			continue;
		f->tables->names[p->number[i]].id = s->id;
		p->used[p->number[i]] = true;
		if (s->flow_idle_s > p->flow_idle_s)
			p->flow_idle_s = s->flow_idle_s;
		count_nat(p, s);
		want_prefixes(p, p->number[i], s);
	}
}

/* A service that doesn't fit stays as it was, if it was there. */
static void place_services(struct feed *f, const struct lb_catalog *c, struct plan *p)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		const struct lb_service *s = &f->tables->services[p->number[i]];
		int r;

		if (p->number[i] == f->tables->service_count)
			continue;
		r = place_service(f, p->number[i], &c->services[i], p->own);
		p->changed |= r > 0;
		if (r < 0) {
			log_error("feed: a service doesn't fit into the tables service=%s error=\"%s\"", c->services[i].name, strerror(-r));
			p->error = p->error ? p->error : r;
		}
		if (r >= 0 || s->table[s->generation & 1].count)
			want_vip(p, p->number[i], &c->services[i]);
		want_quic_ids(p, f, p->number[i], &c->services[i]);
	}
}

static void base_config(struct lb_config *config, const struct tables *t, uint32_t flow_idle_s)
{
	*config = (struct lb_config){
		.abi = LB_ABI,
		.flow_mask = t->flow_count - 1,
		.idle_ticks = {[LB_FLOW_EMBRYONIC] = TICKS(EMBRYONIC_IDLE_S),
			       [LB_FLOW_CONFIRMED] = TICKS(flow_idle_s),
			       [LB_FLOW_DATAGRAM] = TICKS(CATALOG_UDP_IDLE_S),
			       [LB_FLOW_CLOSED] = TICKS(CLOSED_IDLE_S)},
		.bucket_sources = LB_BUCKET_SERVICES + TABLES_SERVICES,
		.bucket_mask = TABLES_SOURCES - 1,
		.snat_ports = LB_SNAT_PORTS,
		.cores = (__u16)t->cores,
		.snat_mask = t->snat_bucket_count - 1,
		/* Packet-too-big: a path needs one for each flow that a host opens before it has learned. */
		.answers = rate_limit(1000),
		.answers_source = rate_limit(50),
	};
}

/* What isn't known now stays as it was. */
static void keep_found(struct lb_config *config, const struct lb_config *held)
{
	static const struct lb_mac unknown;

	if (!config->source4)
		config->source4 = held->source4;
	if (!config->source6.word[0])
		config->source6 = held->source6;
	if (!memcmp(&config->gateway4, &unknown, sizeof unknown))
		config->gateway4 = held->gateway4;
	if (!memcmp(&config->gateway6, &unknown, sizeof unknown))
		config->gateway6 = held->gateway6;
}

static int write_config(struct feed *f, const struct lb_catalog *c, struct lb_config *config, const struct plan *p)
{
	struct lb_config held;
	int r = f->tables->plane->get_config(f->tables, &held);

	if (r < 0)
		return r;
	config->secret[0] = c->secret[0];
	config->secret[1] = c->secret[1];
	config->wildcards = p->wildcards;
	config->nat = (__u16)p->dnat;
	keep_found(config, &held);
	if (!memcmp(&held, config, sizeof held))
		return 0;
	return f->tables->plane->set_config(f->tables, config);
}

/* What nothing leads to any more, once no packet is on its way there. */
static int sweep(struct feed *f, struct plan *p)
{
	int r;

	for (uint32_t i = 0; i < f->tables->service_count; i++)
		p->changed |= f->tables->names[i].id && !p->used[i];
	if (p->changed)
		f->tables->plane->await_packets(f->tables);
	for (uint32_t i = 0; i < f->tables->service_count; i++)
		if (f->tables->names[i].id && !p->used[i])
			free_service(f, i);
	r = f->tables->plane->remove_others(f->tables, TABLES_BY_PREFIX, &p->prefixes);
	if (r == 0)
		r = f->tables->plane->remove_others(f->tables, TABLES_BY_QUIC, &p->quic);
	return r < 0 ? r : f->tables->plane->remove_others(f->tables, TABLES_BY_REPLY, &p->replies);
}

/* Prefixes and replies stand before a service asks for them, and a service stands before a VIP leads to it. Server IDs follow their backends:
 * whose isn't there goes by hash. */
static int write_plan(struct feed *f, const struct lb_catalog *c, struct plan *p)
{
	struct lb_config config;
	int r = f->tables->plane->add(f->tables, TABLES_BY_PREFIX, &p->prefixes);

	if (r == 0)
		r = f->tables->plane->add(f->tables, TABLES_BY_REPLY, &p->replies);
	if (r < 0)
		return r;
	place_services(f, c, p);
	base_config(&config, f->tables, p->flow_idle_s);
	config.mac = f->routes->mac;
	find_ways(f, &config);
	if (p->snat)
		sources_place(f->sources, f->tables, &config);
	find_gateways(f, p->nat4, p->nat6, &config);
	r = write_config(f, c, &config, p);
	if (r == 0)
		r = f->tables->plane->add(f->tables, TABLES_BY_QUIC, &p->quic);
	if (r == 0)
		r = f->tables->plane->add(f->tables, TABLES_BY_VIP, &p->vips);
	if (r == 0)
		r = f->tables->plane->remove_others(f->tables, TABLES_BY_VIP, &p->vips);
	return r;
}

int feed_apply(struct feed *f, const struct lb_catalog *c, const struct check_list *own)
{
	struct plan *p = mem_zalloc(sizeof *p);
	int r;

	feed_settle(f);
	p->own = own;
	p->flow_idle_s = CATALOG_FLOW_IDLE_S;
	wanted_init(&p->vips, sizeof(struct lb_vip), sizeof(uint32_t));
	wanted_init(&p->prefixes, sizeof(struct lb_prefix), sizeof(uint32_t));
	wanted_init(&p->replies, sizeof(struct lb_vip), sizeof(struct lb_reply));
	wanted_init(&p->quic, sizeof(struct lb_quic_key), sizeof(uint32_t));
	number_services(f, c, p);
	want_replies(p, c);
	r = write_plan(f, c, p);
	if (r < 0)
		log_error("feed: the tables don't take the catalog error=\"%s\"", strerror(-r));
	p->failed = r < 0;
	f->unsettled = p;
	return r < 0 ? r : p->error;
}

void feed_settle(struct feed *f)
{
	struct plan *p = f->unsettled;
	int r = 0;

	if (!p)
		return;
	f->unsettled = NULL;
	if (p->failed)
		f->tables->plane->await_packets(f->tables);
	else
		r = sweep(f, p);
	if (r < 0)
		log_error("feed: what is too much stays in the tables error=\"%s\", ignoring", strerror(-r));
	wanted_free(&p->vips);
	wanted_free(&p->prefixes);
	wanted_free(&p->replies);
	wanted_free(&p->quic);
	free(p);
}
