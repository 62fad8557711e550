/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/totals.h"

#include <arpa/inet.h>

#include "lb/reasons.h"

/* Adds {"packets":, "bytes":, "flows":} to an object. */
static json_t *with_counts(json_t *o, struct lb_count c)
{
	(void)json_object_set_new(o, "packets", json_integer((json_int_t)c.packets));
	(void)json_object_set_new(o, "bytes", json_integer((json_int_t)c.bytes));
	(void)json_object_set_new(o, "flows", json_integer((json_int_t)c.flows));
	return o;
}

static json_t *backend(const struct tables *t, const struct lb_service *s, uint32_t i)
{
	const struct lb_backend *b = &t->backends[i];
	char text[INET6_ADDRSTRLEN];
	json_t *o = json_pack("{s:I, s:s, s:b, s:b}", "id", (json_int_t)t->ids[i], "address",
			      inet_ntop(b->family == LB_IP6 ? AF_INET6 : AF_INET, &b->addr, text, sizeof text), "alive",
			      b->flags & LB_BACKEND_ALIVE, "skipped", b->skipped);

	if (s->scheduler == LB_TWO_CHOICES) {
		(void)json_object_set_new(o, "load", json_integer(t->loads[i].flows));
		(void)json_object_set_new(o, "load_by", json_string(t->loads[i].by == LB_LOAD_SOCKETS ? "sockets" : "own"));
	}
	return o;
}

static json_t *backends(const struct tables *t, const struct lb_service *s)
{
	json_t *list = json_array();

	for (uint32_t i = s->backend_base; i < s->backend_base + s->backend_count; i++)
		if (t->ids[i])
			(void)json_array_append_new(list, with_counts(backend(t, s, i), t->reads->count_backend(t, i)));
	return list;
}

static json_t *services(const struct tables *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->service_count; i++) {
		json_t *s;

		if (!t->names[i].id)
			continue;
		s = json_pack("{s:I, s:s, s:o}", "id", (json_int_t)t->names[i].id, "name", t->names[i].name, "backends",
			      backends(t, &t->services[i]));
		(void)json_array_append_new(list, with_counts(s, t->reads->count_service(t, i)));
	}
	return list;
}

static json_t *drops(const struct tables *t)
{
	json_t *all = json_object();
	struct lb_drops d = t->reads->count_drops(t);

	for (uint32_t i = LB_REASON_NONE + 1; i < LB_REASON_COUNT; i++)
		(void)json_object_set_new(all, count_reasons[i], json_integer((json_int_t)d.count[i]));
	return all;
}

json_t *totals_read(const struct tables *t)
{
	return json_pack("{s:o, s:o}", "services", services(t), "drops", drops(t));
}
