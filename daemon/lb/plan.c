/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/plan.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lb/numbers.h"

struct plan *plan_new(const struct check_list *own)
{
	struct plan *p = mem_zalloc(sizeof *p);

	p->own = own;
	p->flow_idle_s = CATALOG_FLOW_IDLE_S;
	wanted_init(&p->vips, sizeof(struct lb_vip), sizeof(uint32_t));
	wanted_init(&p->prefixes, sizeof(struct lb_prefix), sizeof(uint32_t));
	wanted_init(&p->replies, sizeof(struct lb_vip), sizeof(struct lb_reply));
	wanted_init(&p->quic, sizeof(struct lb_quic_key), sizeof(uint32_t));
	return p;
}

void plan_free(struct plan *p)
{
	wanted_free(&p->vips);
	wanted_free(&p->prefixes);
	wanted_free(&p->replies);
	wanted_free(&p->quic);
	free(p);
}

void plan_want_prefixes(struct plan *p, uint32_t number, const struct catalog_service *c)
{
	for (uint32_t i = 0; i < c->prefix_count; i++) {
		struct lb_prefix prefix = {.bits = 32u + c->prefixes[i].bits, .service = number, .addr = c->prefixes[i].at.addr};
		uint32_t rule = c->prefixes[i].deny ? LB_PREFIX_DENY : LB_PREFIX_ALLOW;

		wanted_put(&p->prefixes, &prefix, &rule);
	}
	for (uint32_t i = 0; i < c->limit_count; i++) {
		struct lb_prefix prefix = {
			.bits = 32u + c->limits[i].bits, .service = number | LB_PREFIX_LIMITED, .addr = c->limits[i].at.addr};
		uint32_t limit = number * LB_LIMITED_MAX + i;

		wanted_put(&p->prefixes, &prefix, &limit);
	}
}

/* Replies of one backend, and that its address is a backend at all. */
static void want_reply(struct plan *p, const struct catalog_service *c, const struct catalog_backend *b)
{
	struct lb_vip from = {
		.addr = b->at.addr, .port = b->port ? htons(b->port) : c->vip.port, .proto = c->vip.proto, .family = b->at.family};
	struct lb_vip address = {.addr = b->at.addr, .family = b->at.family};
	struct lb_reply reply = {.vip = c->vip.addr, .port = c->vip.port};

	wanted_put(&p->replies, &from, &reply);
	wanted_put(&p->replies, &address, &reply);
}

/* Whoever has an address and port now goes before those who had it once: of two under one key, the last counts. */
void plan_want_replies(struct plan *p, const struct lb_catalog *c)
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
void plan_want_quic_ids(struct plan *p, const struct tables *t, uint32_t number, const struct catalog_service *c)
{
	struct numbers n;

	if (!c->quic.id_size)
		return;
	numbers_init(&n, t, &t->services[number]);
	for (int removed = 1; removed >= 0; removed--)
		for (uint32_t i = 0; i < c->backend_count; i++) {
			const struct catalog_backend *b = &c->backends[i];
			struct lb_quic_key key = {.service = number, .config = c->quic.number, .size = c->quic.id_size};
			uint32_t backend = numbers_find(&n, b->id);

			if (b->removed != removed || b->quic_id.size != c->quic.id_size || backend == NUMBERS_NOBODY)
				continue;
			memcpy(&key.id, b->quic_id.bytes, sizeof key.id);
			wanted_put(&p->quic, &key, &backend);
		}
	numbers_fini(&n);
}

void plan_want_vip(struct plan *p, uint32_t number, const struct catalog_service *c)
{
	struct lb_vip address = {.addr = c->vip.addr, .family = c->vip.family};
	const uint32_t any = 0;

	p->wildcards += !c->vip.port;
	wanted_put(&p->vips, &c->vip, &number);
	wanted_put(&p->vips, &address, &any);
}

void plan_count_nat(struct plan *p, const struct catalog_service *c)
{
	bool nat = c->delivery == LB_DNAT || c->delivery == LB_SNAT;

	p->dnat += c->delivery == LB_DNAT;
	p->snat += c->delivery == LB_SNAT;
	p->nat4 += nat && c->vip.family == LB_IP4;
	p->nat6 += nat && c->vip.family == LB_IP6;
}
