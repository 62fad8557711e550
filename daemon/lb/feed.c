/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/feed.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lb/clock.h"
#include "lb/connection.h"
#include "lb/earlier.h"
#include "lb/flow_table.h"
#include "lb/numbers.h"
#include "lb/plan.h"
#include "lb/rate.h"
#include "lb/skip.h"
#include "lb/slot_table.h"
#include "log.h"

#define SECOND_NS 1000000000u

#define TICKS(seconds) ((__u32)((seconds) * (__u64)SECOND_NS >> LB_TICK_SHIFT))
#define EMBRYONIC_IDLE_S 60
#define SOURCE_BITS6 64  /* of an IPv6 address: a host has as many as it likes in its network */
#define CLOSED_IDLE_S 60 /* Linux's TIME_WAIT: so long a backend may know the connection */

void feed_init(struct feed *f, struct tables *tables, struct routes *routes, const struct sources *sources)
{
	*f = (struct feed){.tables = tables, .routes = routes, .sources = sources, .flows_stale = true, .ways_stale = true};
	for (uint32_t i = 0; i < tables->service_count; i++)
		tables->names[i].digest = 0; /* another build filled them, perhaps, and would have done it otherwise */
}

/* ---- next hops ---- */

static const struct lb_address nowhere;

static bool is_known(const struct lb_address *a)
{
	return memcmp(a, &nowhere, sizeof *a) != 0;
}

/* Tunnels of a family begin at one address, whatever the routes to single backends prefer: of the first one that there is a route to, until
 * routes change. It is known before any next hop is, so that it can be told before anything is sent ([two steps]). */
static void find_source(struct feed *f, const struct host_address *to, struct lb_config *config)
{
	const struct host_address *held = to->family == LB_IP4 ? &f->tunnels.ip4 : &f->tunnels.ip6;
	struct host_address found;

	if ((held->family && !f->ways_stale) || (to->family == LB_IP4 ? config->source4 != 0 : is_known(&config->source6)))
		return;
	if (routes_find_source(f->routes, to, &found) < 0)
		return;
	if (found.family == LB_IP4)
		config->source4 = found.addr.word[0];
	else
		config->source6 = found.addr;
}

/* The way to a backend. One that was found stays in use while no other is: whether the backend lives is not for the neighbour table to say.
 */
static void find_way(struct feed *f, struct lb_backend *b, const struct host_address *to)
{
	struct lb_backend found = *b;
	struct way w;

	if (b->flags & LB_BACKEND_DEAD || (b->flags & LB_BACKEND_ALIVE && !f->ways_stale))
		return;
	if (routes_find(f->routes, to, &w) < 0) {
		f->unresolved += !(b->flags & LB_BACKEND_ALIVE);
		return;
	}
	found.mac = w.mac;
	found.flags = LB_BACKEND_ALIVE | (w.local ? LB_BACKEND_LOCAL : 0);
	__atomic_store_n(&b->mtu, w.mtu, __ATOMIC_RELAXED);
	if (memcmp(&b->family, &found.family, sizeof(uint64_t)) != 0)
		tables_store_state(b, &found);
}

static void find_ways(struct feed *f, struct lb_config *config)
{
	f->unresolved = 0;
	for (uint32_t i = 0; i < f->tables->service_count; i++) {
		const struct lb_service *s = &f->tables->services[i];

		for (uint32_t n = 0; n < s->backend_count; n++) {
			struct lb_backend *b = &f->tables->backends[s->backend_base + n];
			const struct host_address to = {.addr = b->addr, .family = b->family};

			if (!f->tables->ids[s->backend_base + n])
				continue;
			find_source(f, &to, config);
			find_way(f, b, &to);
		}
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
	       (c->limit || c->limit_source || c->limit_count ? LB_SERVICE_LIMITS : 0) | (challenges(c) ? LB_SERVICE_CHALLENGE : 0) |
	       (c->quic.id_size ? LB_SERVICE_QUIC : 0) | (c->prefix_count ? LB_SERVICE_PREFIXES : 0) | (allows ? LB_SERVICE_DENY : 0);
}

/* Whether other backends are skipped than before. */
static bool skip_backends(struct feed *f, const struct lb_service *s, const struct catalog_service *c, const struct check_list *own,
			  bool *ret_turned)
{
	return skip_update(&f->tables->backends[s->backend_base], &f->tables->ids[s->backend_base], s->backend_count, c, own,
			   monotonic_ticks(), earlier_idle_ticks(c), ret_turned);
}

/* Which backends get new flows, by number. */
static void find_weighing(const struct feed *f, const struct lb_service *s, const struct catalog_service *c, bool *ret)
{
	const struct catalog_generation *active = c->generation_count ? &c->generations[c->generation_count - 1] : NULL;
	struct numbers n;

	numbers_init(&n, f->tables, s);
	for (uint32_t i = 0; active && i < active->share_count; i++)
		ret[numbers_find(&n, active->shares[i].backend)] |= active->shares[i].weight > 0;
	numbers_fini(&n);
}

/* Slow start: of backends that get new flows and didn't before, from now on. What a service begins with has no earlier owners. */
static void ramp_backends(struct feed *f, const struct lb_service *s, const struct catalog_service *c)
{
	bool weighing[NUMBERS_MAX + 1] = {false}, begins = !s->table[s->current].count;

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
		.source = rate_limit(c->limit_source),
		.source_bits = c->vip.family == LB_IP4 ? 32 : SOURCE_BITS6,
		.limited = (__u8)c->limit_count,
		.syns = rate_limit(c->syn_cookies == SYN_COOKIES_AUTO ? c->syn_rate : 0),
	};

	rules.quic_id_size[c->quic.number] = c->quic.id_size;
	return rules;
}

/* Each in its place in the catalog's list. Where that changed, a prefix has another's limit until all is written, and what was spent of it.
 */
static void place_limits(const struct feed *f, uint32_t number, const struct catalog_service *c)
{
	struct lb_limited *to = &f->tables->limits[number * LB_LIMITED_MAX];

	for (uint32_t i = 0; i < c->limit_count; i++) {
		to[i].limit = rate_limit(c->limits[i].rate);
		to[i].bits = c->limits[i].bits;
	}
}

static int place_service(struct feed *f, uint32_t number, const struct catalog_service *c, const struct check_list *own)
{
	struct lb_service *s = &f->tables->services[number];
	struct lb_name *name = &f->tables->names[number];
	bool turned[NUMBERS_MAX + 1];
	int r;

	if (name->digest != c->digest) {
		name->digest = 0;
		(void)snprintf(name->name, sizeof name->name, "%s", c->name);
		r = numbers_give(f->tables, s, c);
		if (r < 0)
			return r;
		ramp_backends(f, s, c);
		loads_weigh(f->tables, s, c);
	}
	if (skip_backends(f, s, c, own, turned))
		name->digest = 0;
	if (name->digest == c->digest)
		return 0;
	place_limits(f, number, c);
	f->tables->rules[number] = service_rules(c);
	s->scheduler = c->scheduler;
	s->delivery = c->delivery;
	s->flags = service_flags(c);
	s->vip = c->vip.addr;
	s->family = c->vip.family;
	r = slot_table_place(f->tables, &f->maglevs, s, c, monotonic_ticks());
	if (r < 0)
		return r;
	skip_log(&f->tables->backends[s->backend_base], s->backend_count, turned, c, own);
	name->digest = c->digest;
	return r;
}

/* ---- what flows say ---- */

/* Which backends of a service, by number, have open connections of snat: those keep their backend whatever the slots say. */
static void find_connected(const struct feed *f, uint32_t service, uint32_t now, bool *ret)
{
	struct lb_config config;

	if (f->tables->plane->get_config(f->tables, &config) < 0)
		return;
	for (uint32_t i = 0; i < f->tables->snat_count; i++) {
		const struct lb_snat *e = &f->tables->snats[i];

		if (connection_is_open(e, &config, now) && connection_service(e) == service && e->backend < NUMBERS_MAX)
			ret[e->backend] = true;
	}
}

void feed_last_older(const struct feed *f, const struct catalog_service *s, uint32_t *ret)
{
	uint32_t number = numbers_find_service(f->tables, s->id), now = monotonic_ticks();
	bool connected[NUMBERS_MAX + 1] = {false};
	const struct lb_service *service;
	struct numbers n;

	if (number == f->tables->service_count)
		return;
	service = &f->tables->services[number];
	if (s->delivery == LB_SNAT)
		find_connected(f, number, now, connected);
	numbers_init(&n, f->tables, service);
	for (uint32_t i = 0; i < s->backend_count; i++) {
		uint16_t backend = numbers_find(&n, s->backends[i].id);

		if (backend == NUMBERS_NOBODY)
			continue;
		ret[i] = __atomic_load_n(&f->tables->backends[service->backend_base + backend].older_ticks, __ATOMIC_RELAXED);
		if (connected[backend])
			ret[i] = now;
	}
	numbers_fini(&n);
}

void feed_count_loads(struct feed *f, const struct lb_catalog *c, const struct lb_told *told, uint32_t told_count)
{
	struct lb_config config;
	struct loads_view v = {.catalog = c,
			       .config = &config,
			       .now_ticks = monotonic_ticks(),
			       .now_ms = boottime_ms(),
			       .told = told,
			       .told_count = told_count};

	if (f->tables->plane->get_config(f->tables, &config) == 0)
		loads_look(&f->loads, f->tables, &v);
}

/* ---- all of it ---- */

/* Gives every service its number. */
static void number_services(struct feed *f, const struct lb_catalog *c, struct plan *p)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		const struct catalog_service *s = &c->services[i];
		bool lacks = s->delivery == LB_SNAT && !sources_have(f->sources, s->vip.family);

		p->number[i] = lacks ? f->tables->service_count : numbers_take_service(f->tables, s->id);
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
		plan_count_nat(p, s);
		plan_want_prefixes(p, p->number[i], s);
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
		f->flows_stale |= r == SLOT_TABLE_SETTLED;
		if (r < 0) {
			log_error("feed: a service doesn't fit into the tables service=%s error=\"%s\"", c->services[i].name, strerror(-r));
			p->error = p->error ? p->error : r;
		}
		if (r >= 0 || s->table[s->current].count)
			plan_want_vip(p, p->number[i], &c->services[i]);
		plan_want_quic_ids(p, f->tables, p->number[i], &c->services[i]);
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
			       [LB_FLOW_CLOSED] = TICKS(CLOSED_IDLE_S),
			       [LB_FLOW_ENDED] = TICKS(flow_idle_s)},
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
	if (!is_known(&config->source6))
		config->source6 = held->source6;
	if (!memcmp(&config->gateway4, &unknown, sizeof unknown))
		config->gateway4 = held->gateway4;
	if (!memcmp(&config->gateway6, &unknown, sizeof unknown))
		config->gateway6 = held->gateway6;
}

static void note_tunnels(struct feed *f, const struct lb_config *config)
{
	f->tunnels = (struct tunnel_ends){
		.ip4 = {.addr.word[0] = config->source4, .family = config->source4 ? LB_IP4 : 0},
		.ip6 = {.addr = config->source6, .family = is_known(&config->source6) ? LB_IP6 : 0},
	};
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
	note_tunnels(f, config);
	if (!memcmp(&held, config, sizeof held))
		return 0;
	return f->tables->plane->set_config(f->tables, config);
}

/* No packet is under way that began before the slots in use were. */
static int forget_flows(struct feed *f)
{
	struct lb_config config;
	int r = f->tables->plane->get_config(f->tables, &config);

	if (r < 0)
		return r;
	flow_table_forget(f->tables, &config);
	f->flows_stale = false;
	return 0;
}

/* What nothing leads to any more, once no packet is on its way there. */
static int sweep(struct feed *f, struct plan *p)
{
	int r;

	for (uint32_t i = 0; i < f->tables->service_count; i++)
		p->changed |= f->tables->names[i].id && !p->used[i];
	if (p->changed)
		f->tables->plane->await_packets(f->tables);
	for (uint32_t i = 0; i < f->tables->service_count; i++) {
		slot_table_release(&f->tables->services[i]);
		if (f->tables->names[i].id && !p->used[i]) {
			numbers_free_service(f->tables, i);
			f->flows_stale = true;
		}
	}
	r = f->tables->plane->remove_others(f->tables, TABLES_BY_PREFIX, &p->prefixes);
	if (r == 0)
		r = f->tables->plane->remove_others(f->tables, TABLES_BY_QUIC, &p->quic);
	return r < 0 ? r : f->tables->plane->remove_others(f->tables, TABLES_BY_REPLY, &p->replies);
}

/* Prefixes and replies stand before a service asks for them, and a service stands before a VIP leads to it. Server IDs follow their
 * backends: whose isn't there goes by hash. */
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
	struct plan *p, *before;
	int r;

	/* A service has a table more than are in use, so one change may come before packets have left what the one before it replaced. But
	 * it may be that slots move of which there are flows to be forgotten. */
	if (f->flows_stale || (f->unsettled && f->unsettled->second))
		feed_settle(f);
	before = f->unsettled;
	p = plan_new(own);
	p->second = before != NULL;
	p->changed = before && before->changed;
	number_services(f, c, p);
	plan_want_replies(p, c);
	r = write_plan(f, c, p);
	if (r < 0)
		log_error("feed: the tables don't take the catalog error=\"%s\"", strerror(-r));
	p->failed = r < 0;
	if (before)
		plan_free(before);
	f->unsettled = p;
	return r < 0 ? r : p->error;
}

void feed_settle(struct feed *f)
{
	struct plan *p = f->unsettled;
	int r = 0;

	f->unsettled = NULL;
	if (p && p->failed)
		f->tables->plane->await_packets(f->tables);
	else if (p)
		r = sweep(f, p);
	if (r == 0 && f->flows_stale)
		r = forget_flows(f);
	if (r < 0)
		log_error("feed: what is too much stays in the tables error=\"%s\", ignoring", strerror(-r));
	if (p)
		plan_free(p);
}
