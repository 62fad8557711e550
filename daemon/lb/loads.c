/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/loads.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bpf/lb_flow.h"
#include "lb/connection.h"
#include "lb/numbers.h"

#define FALL 16u /* a part of the count goes each second */

enum seen_by { SEEN_BY_NOBODY, SEEN_BY_FLOWS, SEEN_BY_CONNECTIONS, SEEN_BY_PACKETS };

/* What is being counted. */
struct census {
	const struct tables *t;
	const struct loads_view *v;
	uint8_t seen_by[TABLES_SERVICES]; /* enum seen_by, by the services' numbers */
	bool told[TABLES_SERVICES];       /* the same: all hosts that matter have told of it */
	bool any[SEEN_BY_PACKETS + 1];    /* whether there is such a service that isn't told of */
	uint32_t *flows;                  /* by backend */
};

void loads_weigh(struct tables *t, const struct lb_service *s, const struct catalog_service *c)
{
	const struct catalog_generation *active = c->generation_count ? &c->generations[c->generation_count - 1] : NULL;
	struct numbers n;

	numbers_init(&n, t, s);
	for (uint32_t i = 0; active && i < active->share_count; i++) {
		uint16_t number = numbers_find(&n, active->shares[i].backend);

		if (number != NUMBERS_NOBODY)
			__atomic_store_n(&t->loads[s->backend_base + number].weight, active->shares[i].weight, __ATOMIC_RELAXED);
	}
	numbers_fini(&n);
}

bool loads_wanted(const struct lb_catalog *c)
{
	for (uint32_t i = 0; i < c->service_count; i++)
		if (c->services[i].scheduler == LB_TWO_CHOICES)
			return true;
	return false;
}

static enum seen_by seen_by(const struct catalog_service *c)
{
	if (c->scheduler != LB_TWO_CHOICES)
		return SEEN_BY_NOBODY;
	if (c->delivery == LB_SNAT)
		return SEEN_BY_CONNECTIONS;
	return c->chain && c->delivery == LB_GUE && c->vip.proto == IPPROTO_TCP ? SEEN_BY_PACKETS : SEEN_BY_FLOWS;
}

static int by_backend(const void *a, const void *b)
{
	const struct catalog_place *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

static_assert(offsetof(struct lb_told, backend) == 0, "what was told is looked up by its place");

/* NULL: nothing was, lately. */
static const struct lb_told *find_told(const struct loads_view *v, uint64_t service, uint64_t backend)
{
	const struct catalog_place place = {service, backend};
	const struct lb_told *found = v->told_count ? bsearch(&place, v->told, v->told_count, sizeof *v->told, by_backend) : NULL;

	return found && v->now_ms < found->counted_ms + LEASE_MS ? found : NULL;
}

static bool is_down(const struct catalog_service *c, uint64_t backend)
{
	for (uint32_t i = 0; i < c->backend_count; i++)
		if (c->backends[i].id == backend)
			return c->backends[i].down;
	return true;
}

/* Who is down gets no flows, whatever weight it has. */
static bool all_told(const struct loads_view *v, const struct catalog_service *c)
{
	const struct catalog_generation *active = c->generation_count ? &c->generations[c->generation_count - 1] : NULL;
	uint32_t told = 0;

	for (uint32_t i = 0; active && i < active->share_count; i++) {
		uint64_t backend = active->shares[i].backend;

		if (!active->shares[i].weight)
			continue;
		if (find_told(v, c->id, backend))
			told++;
		else if (!is_down(c, backend))
			return false;
	}
	return told > 0;
}

static void choose_services(struct census *n)
{
	for (uint32_t i = 0; i < n->v->catalog->service_count; i++) {
		const struct catalog_service *c = &n->v->catalog->services[i];
		uint32_t number = numbers_find_service(n->t, c->id);

		if (number == n->t->service_count)
			continue;
		n->seen_by[number] = (uint8_t)seen_by(c);
		n->told[number] = n->seen_by[number] != SEEN_BY_NOBODY && all_told(n->v, c);
		n->any[n->seen_by[number]] |= !n->told[number];
	}
}

static void count(struct census *n, uint32_t service, uint16_t backend, enum seen_by by)
{
	const struct lb_service *s = &n->t->services[service];

	if (service < n->t->service_count && n->seen_by[service] == by && backend < s->backend_count)
		n->flows[s->backend_base + backend]++;
}

/* An entry that changes meanwhile may be counted for what it was. */
static void count_flows(struct census *n)
{
	for (uint32_t i = 0; i < n->t->flow_count; i++)
		for (uint32_t way = 0; way < LB_FLOW_WAYS; way++) {
			const struct lb_flow_entry *e = &n->t->flows[i].entry[way];
			union lb_flow_word w = {.whole = lb_flow_load(e)};

			if (w.s.stage != LB_FLOW_ENDED && lb_flow_live(n->v->config, w.s, n->v->now_ticks))
				count(n, (uint32_t)(e->key.word[2] >> 32), w.s.backend, SEEN_BY_FLOWS);
		}
}

static void count_connections(struct census *n)
{
	for (uint32_t i = 0; i < n->t->snat_count; i++)
		if (connection_is_open(&n->t->snats[i], n->v->config, n->v->now_ticks))
			count(n, connection_service(&n->t->snats[i]), n->t->snats[i].backend, SEEN_BY_CONNECTIONS);
}

/* By what can be seen from here. */
static uint32_t own_flows(const struct census *n, uint32_t service, uint32_t backend, uint32_t now)
{
	return n->seen_by[service] == SEEN_BY_PACKETS ? now - (now + FALL - 1) / FALL : n->flows[backend];
}

static void put(const struct census *n, struct begun *b, struct tables *t, uint32_t service)
{
	const struct lb_service *s = &t->services[service];

	for (uint32_t i = s->backend_base; i < s->backend_base + s->backend_count; i++) {
		const struct lb_told *told = n->told[service] ? find_told(n->v, t->names[service].id, t->ids[i]) : NULL;
		uint32_t flows = begun_take(b, t, i);

		flows = told ? told->sockets + begun_since(b, i, told->counted_ms) : own_flows(n, service, i, flows);
		begun_put(b, t, i, flows);
		__atomic_store_n(&t->loads[i].by, told ? LB_LOAD_SOCKETS : LB_LOAD_OWN, __ATOMIC_RELAXED);
	}
}

void loads_look(struct loads *l, struct tables *t, const struct loads_view *v)
{
	struct census n = {.t = t, .v = v, .flows = mem_zalloc(t->backend_count * sizeof *n.flows)};

	choose_services(&n);
	if (n.any[SEEN_BY_FLOWS])
		count_flows(&n);
	if (n.any[SEEN_BY_CONNECTIONS])
		count_connections(&n);
	begun_look(&l->begun, t, v->now_ms);
	for (uint32_t i = 0; i < t->service_count; i++)
		if (n.seen_by[i] != SEEN_BY_NOBODY)
			put(&n, &l->begun, t, i);
	free(n.flows);
}
