/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lb/lb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/counts.h"

/* {"packets":, "bytes":, "flows":} and what is in more, which it takes over. */
static json_t *counts(int map, uint32_t index, json_t *more)
{
	struct lb_count c = counts_read(map, index);

	(void)json_object_set_new(more, "packets", json_integer((json_int_t)c.packets));
	(void)json_object_set_new(more, "bytes", json_integer((json_int_t)c.bytes));
	(void)json_object_set_new(more, "flows", json_integer((json_int_t)c.flows));
	return more;
}

static json_t *backends(const struct maps *m, const struct lb_service *s)
{
	json_t *list = json_array();
	char text[LB_TEXT_MAX];

	for (uint32_t i = s->backend_base; i < s->backend_base + s->backend_count; i++) {
		const struct lb_backend *b = &m->tables.backends[i];

		if (m->tables.ids[i])
			(void)json_array_append_new(
				list, counts(m->backend_counts, i,
					     json_pack("{s:I, s:s, s:b}", "id", (json_int_t)m->tables.ids[i], "address",
						       lb_address_text(text, &b->addr, b->family), "alive", b->flags & LB_BACKEND_ALIVE)));
	}
	return list;
}

static json_t *services(const struct maps *m)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < m->tables.service_count; i++)
		if (m->tables.names[i].id)
			(void)json_array_append_new(list, counts(m->service_counts, i,
								 json_pack("{s:I, s:s, s:o}", "id", (json_int_t)m->tables.names[i].id, "name",
									   m->tables.names[i].name, "backends", backends(m, &m->tables.services[i]))));
	return list;
}

static json_t *drops(const struct maps *m)
{
	json_t *all = json_object();
	struct lb_drops d = counts_drops(m->drop_counts);

	for (uint32_t i = LB_REASON_NONE + 1; i < LB_REASON_COUNT; i++)
		(void)json_object_set_new(all, count_reasons[i], json_integer((json_int_t)d.count[i]));
	return all;
}

static void print_row(const char *indent, const json_t *o, const char *name, const char *note)
{
	static const char *const columns[] = {"packets", "bytes", "flows"};

	printf("%s%-*s", indent, 40 - (int)strlen(indent), json_string_value(json_object_get(o, name)));
	for (size_t i = 0; i < 3; i++)
		printf(" %16lld", (long long)json_integer_value(json_object_get(o, columns[i])));
	printf("%s\n", note);
}

static void print_all(const json_t *all)
{
	const char *reason;
	json_t *s, *b, *count;
	size_t i, n;

	printf("%-40s %16s %16s %16s\n", "service", "packets", "bytes", "new flows");
	json_array_foreach(json_object_get(all, "services"), i, s)
	{
		print_row("", s, "name", "");
		json_array_foreach(json_object_get(s, "backends"), n, b)
			print_row("  ", b, "address", json_is_true(json_object_get(b, "alive")) ? "" : "  no next hop known");
	}
	json_object_foreach(json_object_get(all, "drops"), reason, count) if (json_integer_value(count))
		printf("dropped: %-31s %16lld\n", reason, (long long)json_integer_value(count));
}

int lb_top(const struct maps *m, const struct lb_options *o)
{
	json_t *all = json_pack("{s:o, s:o}", "services", services(m), "drops", drops(m));

	if (o->json) {
		(void)json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_all(all);
	}
	json_decref(all);
	return 0;
}
