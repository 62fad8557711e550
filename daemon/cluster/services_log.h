/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: a catalog and the log that made it, so that every change goes the way of a record. What a test asks of it has happened when the
 * call returns, or the test fails.
 */
#ifndef HF_CLUSTER_SERVICES_LOG_H
#define HF_CLUSTER_SERVICES_LOG_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster/catalog.h"
#include "cluster/services.h"

struct world {
	struct catalog c;
	uint64_t number;
};

static inline int apply_bytes(struct catalog *c, const uint8_t *data, size_t size)
{
	struct entry *e = entry_new(ENTRY_CATALOG, (uint32_t)size);
	int r;

	if (size)
		memcpy(e->data, data, size);
	e->index = c->applied + 1;
	e->term = 1;
	r = catalog_apply(c, e);
	entry_unref(e);
	return r;
}

static inline enum service_refusal change_as(struct world *w, const struct service_change *c, struct change_origin by)
{
	struct bytes record = {0};
	enum service_refusal refusal = SERVICE_REFUSALS;
	uint64_t version;

	service_change_put(&record, c, &by);
	assert_int_equal(apply_bytes(&w->c, record.data, record.size), 0);
	bytes_free(&record);
	(void)services_outcome(catalog_services(&w->c), &by, &refusal, &version);
	return refusal;
}

static inline enum service_refusal change(struct world *w, const struct service_change *c)
{
	return change_as(w, c, (struct change_origin){.node = 1, .incarnation = 7, .number = ++w->number});
}

static inline struct ip ip(const char *text)
{
	struct ip address;

	assert_true(ip_parse(&address, text));
	return address;
}

static inline struct service_change named(enum service_change_kind kind, const char *name)
{
	struct service_change c = {.kind = kind, .settings = {.flow_idle_s = SERVICE_FLOW_IDLE_S, .check_terms = check_terms_default}};

	(void)snprintf(c.name, sizeof c.name, "%s", name);
	return c;
}

static inline struct service_change adding(const char *name, const char *vip, enum service_proto proto, uint16_t port, enum service_delivery deliver)
{
	struct service_change c = named(SERVICE_ADD, name);

	c.key = (struct service_key){.vip = ip(vip), .proto = proto, .port = port};
	c.settings = (struct service_settings){.deliver = deliver,
					       .chain = true,
					       .affinity = true,
					       .flow_idle_s = SERVICE_FLOW_IDLE_S,
					       .check_terms = check_terms_default};
	return c;
}

static inline enum service_refusal add(struct world *w, const char *name, const char *vip, enum service_proto proto, uint16_t port, enum service_delivery deliver)
{
	struct service_change c = adding(name, vip, proto, port, deliver);

	return change(w, &c);
}

/* port and weight below 0: not given. */
static inline enum service_refusal backend(struct world *w, enum service_change_kind kind, const char *name, const char *address, int port, int weight)
{
	struct service_change c = named(kind, name);

	c.address = ip(address);
	c.has_port = port >= 0;
	c.port = c.has_port ? (uint16_t)port : 0;
	c.has_weight = weight >= 0;
	c.weight = c.has_weight ? (uint16_t)weight : 0;
	return change(w, &c);
}

static inline const struct service *find(const struct world *w, const char *name)
{
	return services_find(catalog_services(&w->c), name);
}

/* "1:2 3:0" for backend 1 with weight 2 and backend 3 with none. */
static inline const char *shares_text(const struct generation *g, char said[256])
{
	said[0] = 0;
	for (uint32_t i = 0; i < g->count; i++)
		(void)snprintf(said + strlen(said), 256 - strlen(said), "%s%u:%u", i ? " " : "", g->shares[i].backend, g->shares[i].weight);
	return said;
}

static inline void generation_is(const struct service *s, uint32_t back, uint32_t number, const char *want)
{
	const struct generation *g = &s->generations[s->generation_count - 1 - back];
	char said[256];

	assert_string_equal(shares_text(g, said), want);
	assert_int_equal(g->number, number);
}

static inline void find_out(struct world *w, const struct fact *facts, uint32_t count)
{
	struct bytes record = {0};

	facts_put(&record, facts, count);
	assert_int_equal(apply_bytes(&w->c, record.data, record.size), 0);
	bytes_free(&record);
}

static inline void fact(struct world *w, enum fact_kind kind, uint32_t service, uint32_t number)
{
	find_out(w, &(struct fact){.kind = kind, .service = service, .number = number}, 1);
}

static inline void reporter(struct world *w, enum fact_kind kind, uint8_t node, enum reporter_side side, const char *id)
{
	struct fact f = {.kind = kind, .who = {.node = node, .side = side}};

	(void)snprintf(f.who.id, sizeof f.who.id, "%s", id);
	find_out(w, &f, 1);
}

static inline struct service_limits limits(const char *first, uint32_t first_rate, const char *second, uint32_t second_rate)
{
	struct service_limits l = {.count = 2, .list = {{.rate = first_rate}, {.rate = second_rate}}};

	assert_int_equal(ip_prefix_parse(&l.list[0].prefix, first), 0);
	assert_int_equal(ip_prefix_parse(&l.list[1].prefix, second), 0);
	return l;
}

static inline void tunnel(struct world *w, enum fact_kind kind, const char *from)
{
	find_out(w, &(struct fact){.kind = kind, .from = ip(from)}, 1);
}

/* Where balancers tunnel from is told, each change by a version of its own; it stays when they leave. */

static inline enum service_refusal quic_id(struct world *w, enum service_change_kind kind, const char *address, const char *id)
{
	struct service_change c = named(kind, "h3");

	c.address = ip(address);
	c.has_quic_id = true;
	assert_true(quic_id_parse(&c.quic_id, id));
	return change(w, &c);
}

static inline enum service_refusal quic_config(struct world *w, const char *name, const char *config)
{
	struct service_change c = named(SERVICE_SET, name);

	c.given = SETTING_QUIC_CONFIG;
	assert_true(quic_config_parse(&c.settings.quic, config));
	return change(w, &c);
}

#endif
