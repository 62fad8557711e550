/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/earlier.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/mem.h"

/* Since when a generation is an earlier one, as far as is known here. */
struct earlier_mark {
	uint32_t generation, since;
};

struct earlier_service {
	uint64_t id, seen; /* at first */
	bool is_new;       /* known from its beginning */
	struct earlier_mark marks[CATALOG_GENERATIONS_MAX];
	uint32_t mark_count;
};

void earlier_init(struct earlier *e, const struct earlier_plane *plane)
{
	*e = (struct earlier){.plane = *plane};
}

/* Up: never shorter than was said. */
static uint32_t ticks(uint64_t seconds)
{
	return (uint32_t)((seconds * 1000000000 >> LB_TICK_SHIFT) + 1);
}

uint32_t earlier_idle_ticks(const struct catalog_service *s)
{
	return ticks(s->vip.proto == IPPROTO_UDP && s->flow_idle_s > CATALOG_UDP_IDLE_S ? CATALOG_UDP_IDLE_S : s->flow_idle_s);
}

/* ---- following ---- */

static const struct earlier_service *find(const struct earlier_service *list, uint32_t count, uint64_t id)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

static uint32_t marked_since(const struct earlier_service *s, uint32_t generation, uint32_t otherwise)
{
	for (uint32_t i = 0; i < s->mark_count; i++)
		if (s->marks[i].generation == generation)
			return s->marks[i].since;
	return otherwise;
}

static void mark(struct earlier_service *to, const struct earlier_service *before, const struct catalog_service *s, uint32_t now)
{
	for (uint32_t i = 0; i + 1 < s->generation_count; i++) {
		uint32_t number = s->generations[i].number;

		to->marks[to->mark_count++] = (struct earlier_mark){number, before ? marked_since(before, number, now) : now};
	}
}

void earlier_follow(struct earlier *e, const struct lb_catalog *c, uint32_t now)
{
	struct earlier_service *next = mem_zalloc(c->service_count * sizeof *next + 1);

	for (uint32_t i = 0; i < c->service_count; i++) {
		const struct catalog_service *s = &c->services[i];
		const struct earlier_service *before = find(e->services, e->count, s->id);

		next[i].id = s->id;
		next[i].is_new = before ? before->is_new : e->follows || !s->generation_count;
		next[i].seen = before ? before->seen : e->plane.seen(e->plane.arg, s);
		mark(&next[i], before, s, now);
	}
	free(e->services);
	e->services = next;
	e->count = c->service_count;
	e->follows = true;
}

/* ---- judging ---- */

/* A backend of a service, to be looked up by the shares of its generations. */
struct owner {
	uint64_t id;
	uint32_t last; /* as an older owner; 0: never */
	bool weighs;   /* it gets new flows */
};

struct owners {
	struct owner *list; /* by id */
	uint32_t count;
};

static int by_id(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static struct owner *owners_find(const struct owners *o, uint64_t id)
{
	const struct owner wanted = {.id = id};

	return o->count ? bsearch(&wanted, o->list, o->count, sizeof *o->list, by_id) : NULL;
}

static void owners_init(struct owners *o, const struct earlier_plane *plane, const struct catalog_service *s)
{
	const struct catalog_generation *active = &s->generations[s->generation_count - 1];
	uint32_t *last = mem_zalloc(s->backend_count * sizeof *last + 1);

	*o = (struct owners){.list = mem_zalloc(s->backend_count * sizeof *o->list + 1), .count = s->backend_count};
	plane->last(plane->arg, s, last);
	for (uint32_t i = 0; i < s->backend_count; i++)
		o->list[i] = (struct owner){.id = s->backends[i].id, .last = last[i]};
	free(last);
	qsort(o->list, o->count, sizeof *o->list, by_id);
	for (uint32_t i = 0; i < active->share_count; i++) {
		struct owner *owner = owners_find(o, active->shares[i].backend);

		if (owner)
			owner->weighs = active->shares[i].weight > 0;
	}
}

static bool stays_recorded(const struct catalog_service *s)
{
	return s->scheduler == LB_ROUND_ROBIN || s->delivery == LB_SNAT;
}

/* When a flow of this generation may have shown itself last: since, or the last packet to one of its backends. */
static uint32_t last_of(const struct owners *o, const struct catalog_service *s, const struct catalog_generation *g, uint32_t since)
{
	for (uint32_t i = 0; i < g->share_count; i++) {
		const struct owner *owner = g->shares[i].weight ? owners_find(o, g->shares[i].backend) : NULL;

		if (owner && owner->last && !(owner->weighs && stays_recorded(s)) && (int32_t)(owner->last - since) > 0)
			since = owner->last;
	}
	return since;
}

/* What is found, and its room. */
struct found {
	struct catalog_past *list;
	uint32_t count, max;
	uint32_t most; /* ticks without a packet, that suffice */
	uint32_t ticks; /* until there may be more; 0: never */
};

static void wait_at_most(struct found *f, uint32_t ticks)
{
	if (!f->ticks || ticks < f->ticks)
		f->ticks = ticks;
}

/* Without affinity nothing is remembered, so each datagram goes to the owner now. */
static bool has_no_flows(const struct earlier_plane *plane, const struct earlier_service *known, const struct catalog_service *s)
{
	return !s->affinity || (known->is_new && plane->seen(plane->arg, s) == known->seen);
}

static void find_idle(struct found *f, const struct earlier_plane *plane, const struct earlier_service *known,
		      const struct catalog_service *s, uint32_t now)
{
	bool unused = has_no_flows(plane, known, s);
	uint32_t idle = (uint32_t)min_u64(earlier_idle_ticks(s), f->most), ramp = s->slow_start_s ? ticks(s->slow_start_s) : 0;
	struct owners o;

	owners_init(&o, plane, s);
	for (uint32_t i = 0; i + 1 < s->generation_count && f->count < f->max; i++) {
		const struct catalog_generation *g = &s->generations[i];
		uint32_t since = marked_since(known, g->number, now), age = now - since, quiet = now - last_of(&o, s, g, since);
		bool is_over = unused || (quiet > idle && age >= ramp);

		if (is_over)
			f->list[f->count++] = (struct catalog_past){s->id, g->number};
		/* Until it has retired, a packet may come that says otherwise. */
		wait_at_most(f, is_over ? 1 : quiet <= idle ? idle + 1 - quiet : ramp - age);
	}
	free(o.list);
}

uint32_t earlier_idle(const struct earlier *e, const struct lb_catalog *c, uint32_t now, uint32_t most_s, uint32_t max,
		      struct catalog_past **ret, uint32_t *ret_ticks)
{
	struct found f = {.list = mem_zalloc(max * sizeof *f.list), .max = max, .most = ticks(most_s)};

	for (uint32_t i = 0; i < c->service_count && i < e->count; i++)
		if (c->services[i].generation_count > 1 && f.count < max)
			find_idle(&f, &e->plane, &e->services[i], &c->services[i], now);
	*ret = f.list;
	*ret_ticks = f.ticks;
	return f.count;
}
