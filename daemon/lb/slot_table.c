/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/slot_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lb/numbers.h"
#include "lb/region.h"
#include "lb/skip.h"
#include "lb/slots.h"

/* The table of a generation, without those that are dead unless alive is NULL; -EINVAL if nobody has weight. */
static int fill_generation(struct maglev_cache *maglevs, const struct numbers *n, const struct catalog_service *c,
			   const struct catalog_generation *g, const bool *alive, struct generation *ret)
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
			.weight = alive && !alive[number] ? 0
				  : c->even && weight     ? 1
							  : weight,
		};
	}
	r = maglev_cache_get(maglevs, backends, g->share_count, filled.size, &filled.table);
	free(backends);
	if (r == 0)
		*ret = filled;
	return r;
}

/* Where the next table can lie: anywhere but in one that is in use or may be. */
static bool find_slot_room(const struct tables *t, const struct lb_table *next, uint32_t size, uint32_t *ret_base)
{
	struct region used[LB_SERVICE_TABLES * TABLES_SERVICES];
	uint32_t count = 0;

	for (uint32_t i = 0; i < t->service_count; i++)
		for (uint32_t n = 0; n < LB_SERVICE_TABLES; n++) {
			const struct lb_table *other = &t->services[i].table[n];

			if (other->count && other != next)
				used[count++] = (struct region){other->base, other->count};
		}
	return region_find(used, count, size, t->slot_count, ret_base);
}

/* Whether some slots don't count as moved any more; where their number changed that can't be told. */
static bool settles(const struct tables *t, const struct lb_table *now, const struct lb_slot *slots, uint32_t count)
{
	if (now->count != count)
		return now->count != 0;
	for (uint32_t i = 0; i < count; i++) {
		struct lb_slot was;

		memcpy(&was, &t->slots[now->base + i], sizeof was);
		if (was.flags & ~slots[i].flags & LB_SLOT_MOVED)
			return true;
	}
	return false;
}

/* Whether new flows go where they went. */
static bool owners_stay(const struct tables *t, const struct lb_table *now, const struct lb_slot *slots, uint32_t count)
{
	bool same = now->count == count;

	for (uint32_t i = 0; same && i < count; i++) {
		struct lb_slot was;

		memcpy(&was, &t->slots[now->base + i], sizeof was);
		same = was.current == slots[i].current;
	}
	return same;
}

/* Into the table that has been out of use for longest; one store goes over to it. */
static int write_slots(struct tables *t, struct lb_service *s, const struct lb_slot *slots, uint32_t count, uint32_t now_ticks)
{
	uint8_t after = (uint8_t)((s->current + 1) % LB_SERVICE_TABLES);
	const struct lb_table *now = &s->table[s->current];
	struct lb_table *next = &s->table[after];
	bool settled;
	uint32_t base;

	if (now->count == count && !memcmp(&t->slots[now->base], slots, count * sizeof *slots))
		return SLOT_TABLE_STAYS;
	if (!find_slot_room(t, next, count, &base))
		return -ENOSPC;
	settled = settles(t, now, slots, count);
	memcpy(&t->slots[base], slots, count * sizeof *slots);
	*next = (struct lb_table){
		.base = base,
		.count = count,
		.moved_ticks = owners_stay(t, now, slots, count) ? now->moved_ticks : now_ticks,
	};
	__atomic_store_n(&s->current, after, __ATOMIC_RELEASE);
	return settled ? SLOT_TABLE_SETTLED : SLOT_TABLE_CHANGED;
}

/* The generations that have weight: the last is active, the others are earlier ones, the latest first. */
static void fill_generations(struct maglev_cache *maglevs, const struct numbers *n, const struct catalog_service *c,
			     struct generations *ret)
{
	struct generation g;

	for (uint32_t i = c->generation_count; i-- > 0;) {
		if (fill_generation(maglevs, n, c, &c->generations[i], ret->active.table ? NULL : ret->alive, &g) < 0)
			continue;
		if (!ret->active.table)
			ret->active = g;
		else
			ret->earlier[ret->earlier_count++] = g;
	}
	if (c->has_prepared && fill_generation(maglevs, n, c, &c->prepared, ret->alive, &g) == 0)
		ret->prepared = g;
}

int slot_table_place(struct tables *t, struct maglev_cache *maglevs, struct lb_service *s, const struct catalog_service *c,
		     uint32_t now_ticks)
{
	uint8_t skipped[NUMBERS_MAX + 1] = {SLOT_NOT_SKIPPED};
	bool alive[NUMBERS_MAX + 1] = {false};
	struct generations g = {.alive = alive, .datagrams = c->vip.proto == IPPROTO_UDP};
	struct numbers n;
	struct lb_slot *slots;
	int r = SLOT_TABLE_STAYS;

	for (uint32_t i = 0; i < s->backend_count; i++)
		alive[i] = t->ids[s->backend_base + i] && !(t->backends[s->backend_base + i].flags & LB_BACKEND_DEAD);
	if (skip_read(&t->backends[s->backend_base], &t->ids[s->backend_base], s->backend_count, skipped))
		g.skipped = skipped;
	numbers_init(&n, t, s);
	fill_generations(maglevs, &n, c, &g);
	numbers_fini(&n);
	if (g.active.table) {
		slots = mem_alloc(slots_count(&g) * sizeof *slots);
		(void)slots_compute(&g, slots);
		r = write_slots(t, s, slots, slots_count(&g), now_ticks);
		free(slots);
	}
	return r;
}

void slot_table_release(struct lb_service *s)
{
	for (unsigned i = 0; i < LB_SERVICE_TABLES; i++)
		if (i != s->current)
			s->table[i] = (struct lb_table){0};
}
