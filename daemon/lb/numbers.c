/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/numbers.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/mem.h"
#include "lb/region.h"

#define REGION_MIN 16u /* backends that a service has room for at least */

/* ---- services ---- */

uint32_t numbers_take_service(const struct tables *t, uint64_t id)
{
	uint32_t number = t->service_count;

	for (uint32_t i = t->service_count; i-- > 0;) {
		if (t->names[i].id == id)
			return i;
		if (!t->names[i].id)
			number = i;
	}
	return number;
}

uint32_t numbers_find_service(const struct tables *t, uint64_t service)
{
	uint32_t i = 0;

	while (i < t->service_count && t->names[i].id != service)
		i++;
	return i;
}

void numbers_free_service(struct tables *t, uint32_t number)
{
	struct lb_service *s = &t->services[number];

	for (uint32_t i = 0; i < s->backend_count; i++)
		t->ids[s->backend_base + i] = 0;
	*s = (struct lb_service){0};
	t->names[number] = (struct lb_name){0};
}

/* ---- backends ---- */

/* The number of a backend in its service; NUMBERS_NOBODY if it has none. */
static uint16_t backend_number(const struct tables *t, const struct lb_service *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (t->ids[s->backend_base + i] == id)
			return (uint16_t)i;
	return NUMBERS_NOBODY;
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

static bool find_backend_room(const struct tables *t, uint32_t size, uint32_t *ret_base)
{
	struct region used[TABLES_SERVICES];
	uint32_t count = 0;

	for (uint32_t i = 0; i < t->service_count; i++)
		if (t->services[i].backend_count)
			used[count++] = (struct region){t->services[i].backend_base, t->services[i].backend_count};
	return region_find(used, count, size, t->backend_count, ret_base);
}

/* More room, elsewhere: every backend there under its number, then one store, then the old room is given up. A service's count is that of
 * its room: where no backend is, none is alive. */
static int grow(struct tables *t, struct lb_service *s, uint32_t size)
{
	uint32_t old = s->backend_base, count = s->backend_count, base;

	if (size > NUMBERS_MAX || !find_backend_room(t, size, &base))
		return -ENOSPC;
	for (uint32_t i = 0; i < size; i++) {
		t->backends[base + i] = i < count ? t->backends[old + i] : (struct lb_backend){0};
		t->loads[base + i] = i < count ? t->loads[old + i] : (struct lb_load){0};
		t->ids[base + i] = i < count ? t->ids[old + i] : 0;
	}
	__atomic_store_n(&s->backend_base, base, __ATOMIC_RELEASE);
	__atomic_store_n(&s->backend_count, size, __ATOMIC_RELEASE);
	if (count)
		t->plane->await_packets(t);
	for (uint32_t i = 0; i < count; i++)
		t->ids[old + i] = 0;
	return 0;
}

/* For so many backends more. */
static int make_room(struct tables *t, struct lb_service *s, uint32_t more)
{
	uint32_t used = 0, size = s->backend_count ? s->backend_count : REGION_MIN;

	for (uint32_t i = 0; i < s->backend_count; i++)
		used += t->ids[s->backend_base + i] != 0;
	while (size < used + more)
		size *= 2;
	return size > s->backend_count ? grow(t, s, size) : 0;
}

static uint32_t free_number(const struct tables *t, const struct lb_service *s)
{
	uint32_t i = 0;

	while (i < s->backend_count && t->ids[s->backend_base + i])
		i++;
	return i;
}

/* Into room that there is. */
static void add_backend(struct tables *t, struct lb_service *s, const struct catalog_backend *c)
{
	uint32_t number = free_number(t, s);

	assert(number < s->backend_count);
	t->backends[s->backend_base + number] = (struct lb_backend){.addr = c->at.addr, .family = c->at.family, .port = htons(c->port)};
	t->loads[s->backend_base + number] = (struct lb_load){0}; /* not that of whoever had the number before */
	t->ids[s->backend_base + number] = c->id;
}

/* One store: packets see it alive or dead. Who is back is alive once its way is found. */
static void mark_dead(struct lb_backend *b, bool dead)
{
	struct lb_backend marked = *b;

	if (!(b->flags & LB_BACKEND_DEAD) == !dead)
		return;
	marked.flags = dead ? LB_BACKEND_DEAD : 0;
	tables_store_state(b, &marked);
}

/* Those of backends that nobody speaks of any more: packets see them dead before their numbers are free. */
static void take_back(struct tables *t, struct lb_service *s, const struct catalog_service *c)
{
	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct lb_backend *b = &t->backends[s->backend_base + i];
		struct lb_backend dead = *b;

		if (!t->ids[s->backend_base + i] || is_known(c, t->ids[s->backend_base + i]))
			continue;
		dead.flags = 0;
		tables_store_state(b, &dead);
		t->ids[s->backend_base + i] = 0;
	}
}

int numbers_give(struct tables *t, struct lb_service *s, const struct catalog_service *c)
{
	uint32_t more = 0;
	int r;

	take_back(t, s, c);
	for (uint32_t i = 0; i < c->backend_count; i++)
		more += backend_number(t, s, c->backends[i].id) == NUMBERS_NOBODY;
	r = make_room(t, s, more);
	for (uint32_t i = 0; r == 0 && i < c->backend_count; i++)
		if (backend_number(t, s, c->backends[i].id) == NUMBERS_NOBODY)
			add_backend(t, s, &c->backends[i]);
	for (uint32_t i = 0; r == 0 && i < c->backend_count; i++)
		mark_dead(&t->backends[s->backend_base + backend_number(t, s, c->backends[i].id)], c->backends[i].dead);
	return r;
}

/* ---- by id ---- */

static int by_id(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

void numbers_init(struct numbers *n, const struct tables *t, const struct lb_service *s)
{
	*n = (struct numbers){.list = mem_alloc(s->backend_count * sizeof *n->list)};
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (t->ids[s->backend_base + i])
			n->list[n->count++] = (struct number){t->ids[s->backend_base + i], (uint16_t)i};
	qsort(n->list, n->count, sizeof *n->list, by_id);
}

uint16_t numbers_find(const struct numbers *n, uint64_t id)
{
	const struct number wanted = {.id = id}, *found = bsearch(&wanted, n->list, n->count, sizeof *n->list, by_id);

	return found ? found->number : NUMBERS_NOBODY;
}

void numbers_fini(struct numbers *n)
{
	free(n->list);
	*n = (struct numbers){0};
}
