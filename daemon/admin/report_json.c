/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/report_json.h"

#include <stdio.h>

#include "base/mem.h"
#include "cluster/service.h"

static bool is_id(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= UINT32_MAX;
}

static bool read_down(struct report *ret, const json_t *list)
{
	const struct report_place *before = NULL;
	size_t count = json_array_size(list);

	if (!json_is_array(list) || count > REPORT_DOWN_MAX)
		return false;
	ret->down = mem_zalloc(count * sizeof *ret->down + 1);
	for (size_t i = 0; i < count; i++) {
		const json_t *pair = json_array_get(list, i), *service = json_array_get(pair, 0), *backend = json_array_get(pair, 1);
		struct report_place *place = &ret->down[ret->down_count++];

		if (json_array_size(pair) != 2 || !is_id(service) || !is_id(backend))
			return false;
		*place = (struct report_place){(uint32_t)json_integer_value(service), (uint32_t)json_integer_value(backend)};
		if (before && (before->service > place->service || (before->service == place->service && before->backend >= place->backend)))
			return false;
		before = place;
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
	const json_t *version = json_object_get(body, "version"), *failed = json_object_get(body, "failed");

	*ret = (struct report){.by.node = node, .failed = json_is_true(failed)};
	if (!read_who(&ret->by, body))
		bytes_printf(error, "a report needs an id of 1 to %u characters and a side, balancer or backend", REPORTER_ID_MAX);
	else if (!json_is_integer(version) || json_integer_value(version) < 0 || !json_is_boolean(failed))
		bytes_puts(error, "a report needs the version that is in force, and whether it failed");
	else if (!read_can(&ret->announces, body, "announces") || !read_can(&ret->snat4, body, "snat4") || !read_can(&ret->snat6, body, "snat6"))
		bytes_puts(error, "announces, snat4 and snat6 are true or false");
	else if (!read_down(ret, json_object_get(body, "down")))
		bytes_printf(error, "down must be pairs of service and backend id, ascending, at most %u", REPORT_DOWN_MAX);
	else {
		ret->version = (uint64_t)json_integer_value(version);
		return true;
	}
	return false;
}

void leases_json(const struct leases *l, struct bytes *out)
{
	bytes_puts(out, "{\"leases\":[");
	for (uint32_t i = 0; i < l->count; i++) {
		const struct lease *one = &l->list[i];
		const struct report *r = &one->report;

		bytes_printf(out, "%s{\"node\":%u,\"id\":\"%s\",\"side\":\"%s\",\"heard\":%s", i ? "," : "", r->by.node, r->by.id,
			     reporter_sides[r->by.side], one->heard ? "true" : "false");
		if (one->heard) {
			bytes_printf(out, ",\"version\":%llu,\"failed\":%s,\"announces\":%s,\"snat4\":%s,\"snat6\":%s,\"down\":[", (unsigned long long)r->version,
				     r->failed ? "true" : "false", r->announces ? "true" : "false", r->snat4 ? "true" : "false",
				     r->snat6 ? "true" : "false");
			for (uint32_t k = 0; k < r->down_count; k++)
				bytes_printf(out, "%s[%u,%u]", k ? "," : "", r->down[k].service, r->down[k].backend);
			bytes_put_u8(out, ']');
		}
		bytes_put_u8(out, '}');
	}
	bytes_puts(out, "]}\n");
}
