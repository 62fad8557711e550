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
	const struct lb_config *config;
	uint32_t now_ticks;
	uint8_t seen_by[TABLES_SERVICES]; /* enum seen_by, by the services' numbers */
	bool any[SEEN_BY_PACKETS + 1];    /* whether there is such a service */
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

static void choose_services(struct census *n, const struct lb_catalog *c)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		uint32_t number = numbers_find_service(n->t, c->services[i].id);

		if (number == n->t->service_count)
			continue;
		n->seen_by[number] = (uint8_t)seen_by(&c->services[i]);
		n->any[n->seen_by[number]] = true;
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

			if (w.s.stage != LB_FLOW_ENDED && lb_flow_live(n->config, w.s, n->now_ticks))
				count(n, (uint32_t)(e->key.word[2] >> 32), w.s.backend, SEEN_BY_FLOWS);
		}
}

static void count_connections(struct census *n)
{
	for (uint32_t i = 0; i < n->t->snat_count; i++)
		if (connection_is_open(&n->t->snats[i], n->config, n->now_ticks))
			count(n, connection_service(&n->t->snats[i]), n->t->snats[i].backend, SEEN_BY_CONNECTIONS);
}

/* Packets count on meanwhile: never below what they have added. */
static void fall(struct lb_load *load)
{
	uint32_t flows = __atomic_load_n(&load->flows, __ATOMIC_RELAXED);

	(void)__atomic_fetch_sub(&load->flows, (flows + FALL - 1) / FALL, __ATOMIC_RELAXED);
}

static void put(const struct census *n, struct tables *t, uint32_t service)
{
	const struct lb_service *s = &t->services[service];

	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct lb_load *load = &t->loads[s->backend_base + i];

		if (n->seen_by[service] == SEEN_BY_PACKETS)
			fall(load);
		else
			__atomic_store_n(&load->flows, n->flows[s->backend_base + i], __ATOMIC_RELAXED);
	}
}

void loads_look(struct tables *t, const struct lb_catalog *c, const struct lb_config *config, uint32_t now_ticks)
{
	struct census n = {.t = t, .config = config, .now_ticks = now_ticks, .flows = mem_zalloc(t->backend_count * sizeof *n.flows)};

	choose_services(&n, c);
	if (n.any[SEEN_BY_FLOWS])
		count_flows(&n);
	if (n.any[SEEN_BY_CONNECTIONS])
		count_connections(&n);
	for (uint32_t i = 0; i < t->service_count; i++)
		if (n.seen_by[i] != SEEN_BY_NOBODY)
			put(&n, t, i);
	free(n.flows);
}
