/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/check.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"

#define MS_NS 1000000u

void checks_init(struct checks *c, uint64_t seed)
{
	*c = (struct checks){.random = seed};
}

static void forget(struct checks *c, struct check *k)
{
	if (k->probed) {
		k->gone = true;
		return;
	}
	timer_heap_stop(&c->due, &k->due);
	free(k);
}

void checks_fini(struct checks *c)
{
	for (uint32_t i = 0; i < c->count; i++) {
		assert(!c->list[i]->probed);
		forget(c, c->list[i]);
	}
	free(c->list);
	free(c->places);
	timer_heap_free(&c->due);
	*c = (struct checks){0};
}

/* ---- what is checked ---- */

static int compare_terms(const struct check_terms *a, const struct check_terms *b)
{
	if (a->interval_ms != b->interval_ms)
		return a->interval_ms < b->interval_ms ? -1 : 1;
	if (a->timeout_ms != b->timeout_ms)
		return a->timeout_ms < b->timeout_ms ? -1 : 1;
	return a->rise != b->rise ? a->rise - b->rise : a->fall - b->fall;
}

static int compare_targets(const struct check_target *a, const struct check_target *b)
{
	int r = memcmp(&a->at.addr, &b->at.addr, sizeof a->at.addr);

	if (!r)
		r = a->at.family - b->at.family;
	if (!r)
		r = a->port - b->port;
	if (!r)
		r = a->kind - b->kind;
	if (!r)
		r = strcmp(a->path, b->path);
	return r ? r : compare_terms(&a->terms, &b->terms);
}

/* A backend of a service, and what it takes to check it. */
struct wish {
	uint64_t service, backend;
	bool said_down;
	struct check_target target;
};

static int by_target(const void *a, const void *b)
{
	const struct wish *x = a, *y = b;

	return compare_targets(&x->target, &y->target);
}

static void wish_service(struct wish *wishes, uint32_t *count, const struct catalog_service *s)
{
	for (uint32_t i = 0; s->check != CHECK_NONE && i < s->backend_count; i++) {
		const struct catalog_backend *b = &s->backends[i];
		struct wish *w = &wishes[*count];

		if (b->removed)
			continue;
		*w = (struct wish){.service = s->id, .backend = b->id, .said_down = b->down};
		w->target.at = b->at;
		w->target.port = b->port ? b->port : ntohs(s->vip.port);
		w->target.kind = s->check;
		memcpy(w->target.path, s->check_path, sizeof w->target.path);
		w->target.terms = s->check_terms;
		++*count;
	}
}

/* By target, so that those that share one stand together. */
static struct wish *wish_all(const struct lb_catalog *catalog, uint32_t *ret_count)
{
	struct wish *wishes;
	uint32_t most = 1, count = 0;

	for (uint32_t i = 0; i < catalog->service_count; i++)
		most += catalog->services[i].backend_count;
	wishes = mem_alloc(most * sizeof *wishes);
	for (uint32_t i = 0; i < catalog->service_count; i++)
		wish_service(wishes, &count, &catalog->services[i]);
	qsort(wishes, count, sizeof *wishes, by_target);
	*ret_count = count;
	return wishes;
}

static struct check *new_check(struct checks *c, const struct check_target *target, uint64_t now_ns)
{
	uint64_t within_ms = min_u64(target->terms.interval_ms, CHECK_FIRST_MS);
	struct check *k = mem_zalloc(sizeof *k);

	k->target = *target;
	timer_heap_start(&c->due, &k->due, now_ns + rand_below(&c->random, within_ms * MS_NS));
	return k;
}

static int by_number(const void *a, const void *b)
{
	const struct check_place *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

/* Both old and new ones stand by target: one walk through both. */
void checks_follow(struct checks *c, const struct lb_catalog *catalog, uint64_t now_ns)
{
	uint32_t wish_count, count = 0, old = 0;
	struct wish *wishes = wish_all(catalog, &wish_count);
	struct check **list = mem_alloc((wish_count + 1) * sizeof *list);

	c->places = mem_realloc(c->places, (wish_count + 1) * sizeof *c->places);
	for (uint32_t i = 0; i < wish_count; i++) {
		const struct wish *w = &wishes[i];

		if (!count || compare_targets(&list[count - 1]->target, &w->target) != 0) {
			while (old < c->count && compare_targets(&c->list[old]->target, &w->target) < 0)
				forget(c, c->list[old++]);
			if (old < c->count && compare_targets(&c->list[old]->target, &w->target) == 0)
				list[count++] = c->list[old++];
			else
				list[count++] = new_check(c, &w->target, now_ns);
		}
		c->places[i] = (struct check_place){w->service, w->backend, w->said_down, list[count - 1]};
	}
	while (old < c->count)
		forget(c, c->list[old++]);
	free(c->list);
	free(wishes);
	c->list = list;
	c->count = count;
	c->place_count = wish_count;
	qsort(c->places, c->place_count, sizeof *c->places, by_number);
}

/* ---- when ---- */

uint64_t checks_next_ns(const struct checks *c)
{
	const struct io_timer *first = timer_heap_first(&c->due);

	return first ? first->deadline_ns : UINT64_MAX;
}

struct check *checks_take(struct checks *c, uint64_t now_ns)
{
	struct io_timer *first = timer_heap_first(&c->due);
	struct check *k;

	if (!first || first->deadline_ns > now_ns)
		return NULL;
	k = container_of(first, struct check, due);
	timer_heap_stop(&c->due, &k->due);
	k->begun_ns = now_ns;
	k->probed = true;
	return k;
}

/* An interval after its last begin: one that timed out comes no later than one that answered at once. False: it is gone. */
static bool arm(struct checks *c, struct check *k, uint64_t now_ns)
{
	uint64_t interval_ns = (uint64_t)k->target.terms.interval_ms * MS_NS;
	uint64_t due_ns = k->begun_ns + interval_ns - interval_ns / 10 + rand_below(&c->random, interval_ns / 5);

	assert(k->probed);
	k->probed = false;
	if (k->gone) {
		free(k);
		return false;
	}
	timer_heap_start(&c->due, &k->due, max_u64(due_ns, now_ns));
	return true;
}

void check_undone(struct checks *c, struct check *k, uint64_t now_ns)
{
	(void)arm(c, k, now_ns);
}

/* ---- what the results say ---- */

/* How many results in a row, all like this one, it takes to leave the state for good's. */
static uint8_t needed(const struct check *k, bool good)
{
	if (!good)
		return k->target.terms.fall;
	return k->state == CHECK_UNKNOWN ? 1 : k->target.terms.rise;
}

static bool judge(struct check *k, bool good)
{
	uint8_t says = good ? CHECK_UP : CHECK_DOWN;

	if (k->state == says) {
		k->run = 0;
		return false;
	}
	if (++k->run < needed(k, good))
		return false;
	k->state = says;
	k->run = 0;
	return true;
}

static void take_time(struct check *k, uint64_t now_ns)
{
	uint64_t us = (now_ns - k->begun_ns) / 1000;

	k->took_us[k->taken++ % CHECK_TIMES] = (uint32_t)min_u64(max_u64(us, 1), UINT32_MAX);
}

static int ascending(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint32_t latency_us(const struct check *k)
{
	uint32_t us[CHECK_TIMES], count = k->taken < CHECK_TIMES ? k->taken : CHECK_TIMES;

	memcpy(us, k->took_us, sizeof us);
	qsort(us, count, sizeof *us, ascending);
	return count ? us[(count - 1) / 2] : 0;
}

bool check_done(struct checks *c, struct check *k, bool good, uint64_t now_ns)
{
	if (good)
		take_time(k, now_ns);
	return arm(c, k, now_ns) && judge(k, good);
}

void checks_list(const struct checks *c, struct check_list *ret)
{
	*ret = (struct check_list){.list = mem_alloc((c->place_count + 1) * sizeof *ret->list), .count = c->place_count};
	for (uint32_t i = 0; i < c->place_count; i++) {
		const struct check_place *p = &c->places[i];

		ret->list[i] = (struct check_member){p->service, p->backend, p->check->state, p->said_down, latency_us(p->check)};
	}
}

uint32_t check_down(const struct check_list *all, struct catalog_place **ret)
{
	struct catalog_place *down = mem_alloc((all->count + 1) * sizeof *down);
	uint32_t count = 0;

	for (uint32_t i = 0; i < all->count; i++) {
		const struct check_member *m = &all->list[i];

		if (m->state == CHECK_DOWN || (m->state == CHECK_UNKNOWN && m->said_down))
			down[count++] = (struct catalog_place){m->service, m->backend};
	}
	*ret = down;
	return count;
}

const struct check_member *check_list_find(const struct check_list *l, uint64_t service, uint64_t backend)
{
	uint32_t from = 0, to = l->count;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		const struct check_member *m = &l->list[middle];

		if (m->service == service && m->backend == backend)
			return m;
		if (m->service < service || (m->service == service && m->backend < backend))
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

void check_list_free(struct check_list *l)
{
	free(l->list);
	*l = (struct check_list){0};
}
