/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/report_json.h"

#include <stdio.h>

#include "base/mem.h"
#include "cluster/service.h"

static bool is_id(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= UINT32_MAX;
}

static bool comes_before(struct report_place a, struct report_place b)
{
	return a.service < b.service || (a.service == b.service && a.number < b.number);
}

/* The caller's, also if it is false: those are no pairs in order. */
static bool read_places(const json_t *pairs, size_t max, struct report_place **ret, uint32_t *ret_count)
{
	const struct report_place *before = NULL;
	size_t count = json_array_size(pairs);

	if (!json_is_array(pairs) || count > max)
		return false;
	*ret = mem_zalloc(count * sizeof **ret + 1);
	for (size_t i = 0; i < count; i++) {
		const json_t *pair = json_array_get(pairs, i), *service = json_array_get(pair, 0), *number = json_array_get(pair, 1);
		struct report_place *place = &(*ret)[(*ret_count)++];

		if (json_array_size(pair) != 2 || !is_id(service) || !is_id(number))
			return false;
		*place = (struct report_place){(uint32_t)json_integer_value(service), (uint32_t)json_integer_value(number)};
		if (before && !comes_before(*before, *place))
			return false;
		before = place;
	}
	return true;
}

/* As read_places(), of triples with a value of so much at least; none unless told. */
static bool read_figures(struct report_figures *ret, const json_t *triples, json_int_t least)
{
	size_t count = json_array_size(triples);

	if ((triples && !json_is_array(triples)) || count > REPORT_FIGURES_MAX)
		return false;
	ret->list = mem_zalloc(count * sizeof *ret->list + 1);
	for (size_t i = 0; i < count; i++) {
		const json_t *triple = json_array_get(triples, i), *service = json_array_get(triple, 0), *backend = json_array_get(triple, 1),
			     *value = json_array_get(triple, 2);
		struct report_figure *one = &ret->list[ret->count++];

		if (json_array_size(triple) != 3 || !is_id(service) || !is_id(backend) || !json_is_integer(value) ||
		    json_integer_value(value) < least || json_integer_value(value) > UINT32_MAX)
			return false;
		*one = (struct report_figure){{(uint32_t)json_integer_value(service), (uint32_t)json_integer_value(backend)},
					      (uint32_t)json_integer_value(value)};
		if (i && !comes_before(one[-1].backend, one->backend))
			return false;
	}
	return true;
}

/* The addresses that it tunnels from; none unless told. */
static bool read_tunnels(struct report *ret, const json_t *list)
{
	size_t count = json_array_size(list);

	if (list && (!json_is_array(list) || count > TUNNELS_EACH_MAX))
		return false;
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		struct ip *from = &ret->tunnels[ret->tunnel_count++];

		if (!text || !ip_parse(from, text) || !ip_is_host(from))
			return false;
	}
	return true;
}

static bool read_who(struct reporter *ret, const json_t *body)
{
	const char *id = json_string_value(json_object_get(body, "id")), *side = json_string_value(json_object_get(body, "side"));
	int word = side ? service_word(reporter_sides, REPORTER_SIDES, side) : -1;

	if (!id || !reporter_id_ok(id) || word < 0)
		return false;
	(void)snprintf(ret->id, sizeof ret->id, "%s", id);
	ret->side = (uint8_t)word;
	return true;
}

/* What it can do; not unless told. */
static bool read_can(bool *ret, const json_t *body, const char *key)
{
	const json_t *said = json_object_get(body, key);

	*ret = json_is_true(said);
	return !said || json_is_boolean(said);
}

bool report_json_read(struct report *ret, uint8_t node, const json_t *body, struct bytes *error)
{
	const json_t *version = json_object_get(body, "version"), *failed = json_object_get(body, "failed"),
		     *idle = json_object_get(body, "idle"), *quiet = json_object_get(body, "quiet");

	*ret = (struct report){.by.node = node, .failed = json_is_true(failed)};
	if (!read_who(&ret->by, body))
		bytes_printf(error, "a report needs an id of 1 to %u characters and a side, balancer or backend", REPORTER_ID_MAX);
	else if (!json_is_integer(version) || json_integer_value(version) < 0 || !json_is_boolean(failed))
		bytes_puts(error, "a report needs the version that is in force, and whether it failed");
	else if (!read_can(&ret->announces, body, "announces") || !read_can(&ret->routes, body, "routes") ||
		 !read_can(&ret->snat4, body, "snat4") || !read_can(&ret->snat6, body, "snat6"))
		bytes_puts(error, "announces, routes, snat4 and snat6 are true or false");
	else if (!read_tunnels(ret, json_object_get(body, "tunnels")))
		bytes_printf(error, "tunnels must be addresses of a host, at most %u", TUNNELS_EACH_MAX);
	else if (!read_places(json_object_get(body, "down"), REPORT_DOWN_MAX, &ret->down, &ret->down_count))
		bytes_printf(error, "down must be pairs of service and backend id, ascending, at most %u", REPORT_DOWN_MAX);
	else if (idle && !read_places(idle, REPORT_IDLE_MAX, &ret->idle, &ret->idle_count))
		bytes_printf(error, "idle must be pairs of service id and generation, ascending, at most %u", REPORT_IDLE_MAX);
	else if (!read_figures(&ret->latencies, json_object_get(body, "latencies"), 1))
		bytes_printf(error, "latencies must be service id, backend id and microseconds, ascending, at most %u", REPORT_FIGURES_MAX);
	else if (!read_figures(&ret->sockets, json_object_get(body, "sockets"), 0))
		bytes_printf(error, "sockets must be service id, backend id and how many, ascending, at most %u", REPORT_FIGURES_MAX);
	else if (!read_figures(&ret->led, json_object_get(body, "led"), 1))
		bytes_printf(error, "led must be service id, backend id and generation, ascending, at most %u", REPORT_FIGURES_MAX);
	else if (quiet && !read_places(quiet, REPORT_IDLE_MAX, &ret->quiet, &ret->quiet_count))
		bytes_printf(error, "quiet must be pairs of service id and generation, ascending, at most %u", REPORT_IDLE_MAX);
	else {
		ret->version = (uint64_t)json_integer_value(version);
		return true;
	}
	return false;
}

static void put_places(struct bytes *out, const char *key, const struct report_place *list, uint32_t count)
{
	bytes_printf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < count; i++)
		bytes_printf(out, "%s[%u,%u]", i ? "," : "", list[i].service, list[i].number);
	bytes_put_u8(out, ']');
}

static void put_tunnels(struct bytes *out, const struct report *r)
{
	char text[IP_TEXT];

	bytes_puts(out, ",\"tunnels\":[");
	for (uint8_t i = 0; i < r->tunnel_count; i++) {
		ip_format(&r->tunnels[i], text);
		bytes_printf(out, "%s\"%s\"", i ? "," : "", text);
	}
	bytes_put_u8(out, ']');
}

static void put_figures(struct bytes *out, const char *key, const struct report_figures *f)
{
	bytes_printf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < f->count; i++)
		bytes_printf(out, "%s[%u,%u,%u]", i ? "," : "", f->list[i].backend.service, f->list[i].backend.number, f->list[i].value);
	bytes_put_u8(out, ']');
}

void leases_json(const struct leases *l, const struct services *s, struct bytes *out)
{
	bytes_puts(out, "{\"leases\":[");
	for (uint32_t i = 0; i < l->count; i++) {
		const struct lease *one = &l->list[i];
		const struct report *r = &one->report;

		bytes_printf(out, "%s{\"node\":%u,\"id\":\"%s\",\"side\":\"%s\",\"heard\":%s", i ? "," : "", r->by.node, r->by.id,
			     reporter_sides[r->by.side], one->heard ? "true" : "false");
		if (one->heard) {
			bytes_printf(out, ",\"version\":%llu,\"failed\":%s,\"announces\":%s,\"routes\":%s,\"snat4\":%s,\"snat6\":%s",
				     (unsigned long long)r->version, r->failed ? "true" : "false", r->announces ? "true" : "false",
				     r->routes ? "true" : "false", r->snat4 ? "true" : "false", r->snat6 ? "true" : "false");
			put_tunnels(out, r);
			put_places(out, "down", r->down, r->down_count);
			put_places(out, "idle", r->idle, r->idle_count);
			put_figures(out, "latencies", &r->latencies);
			put_figures(out, "sockets", &r->sockets);
			put_figures(out, "led", &r->led);
			put_places(out, "quiet", r->quiet, r->quiet_count);
			bytes_puts(out, lease_is_accepted(l, s, one) ? ",\"accepted\":true" : ",\"accepted\":false");
		}
		bytes_put_u8(out, '}');
	}
	bytes_puts(out, "]}\n");
}

void sockets_json(const struct leases *l, uint64_t now_ns, struct bytes *out)
{
	uint32_t told = 0;

	bytes_puts(out, ",\"sockets\":[");
	for (uint32_t i = 0; i < l->count; i++) {
		const struct lease *one = &l->list[i];
		const struct report_figures *f = &one->report.sockets;
		uint64_t age_ms = (now_ns - one->heard_ns) / NS_PER_MS;

		for (uint32_t k = 0; k < f->count && age_ms < LEASE_NS / NS_PER_MS && told < SOCKETS_TOLD_MAX; k++, told++)
			bytes_printf(out, "%s[%u,%u,%u,%u]", told ? "," : "", f->list[k].backend.service, f->list[k].backend.number,
				     f->list[k].value, (unsigned)age_ms);
	}
	bytes_put_u8(out, ']');
}
