/* SPDX-License-Identifier: Apache-2.0 */
/* Balancers' reports and leases over HTTP (report_json.h). */
#include "admin/private.h"

#include <errno.h>
#include <string.h>

#include "admin/report_json.h"

static struct group *catalog_group(const struct admin *a)
{
	return a->owner->catalog.ready ? lane_group(a->owner->lanes[0], 0) : NULL;
}

static void report_finished(struct report_call *c)
{
	struct admin *a = container_of(c, struct admin, call);
	struct bytes out = {0};

	a->reporting = false;
	if (a->closing) {
		admin_gone(a);
	} else if (c->result == -ENOSPC) {
		admin_error(a, 503, "as many balancers as there may be have a lease: this one is not waited for");
	} else if (c->result < 0) {
		admin_error(a, 503, "no leader of the catalog has heard it: nobody judges by what this balancer says");
	} else {
		bytes_printf(&out, "{\"lease_ms\":%u,\"lease_id\":%u,\"accepted\":%s", (unsigned)(LEASE_NS / NS_PER_MS), c->lease_id,
			     c->accepted ? "true" : "false");
		if (a->balances)
			sockets_json(group_leases(catalog_group(a)), io_boottime_ns(admin_io(a)), &out);
		bytes_puts(&out, "}\n");
		admin_reply(a, 200, "application/json", out.data, out.size);
		bytes_free(&out);
	}
}

static void take_report(struct admin *a, const uint8_t *body, size_t size)
{
	struct group *g = catalog_group(a);
	json_t *json = json_loadb((const char *)body, size, JSON_REJECT_DUPLICATES, NULL);
	struct bytes error = {0};
	struct report r;

	if (!report_json_read(&r, a->owner->config->node, json, &error)) {
		bytes_put_u8(&error, 0);
		admin_error(a, 400, (const char *)error.data);
	} else if (!g) {
		admin_error(a, 503, "this node is starting and doesn't know the catalog yet: try again");
	} else {
		a->reporting = true;
		a->balances = r.by.side == SIDE_BALANCER;
		a->call.finished = report_finished;
		group_report(g, &r, &a->call);
	}
	report_fini(&r);
	bytes_free(&error);
	json_decref(json);
}

static void reply_leases(struct admin *a)
{
	const struct group *g = catalog_group(a);
	struct bytes out = {0};

	if (!g) {
		admin_error(a, 503, "this node is starting and doesn't know the catalog yet: try again");
		return;
	}
	leases_json(group_leases(g), catalog_services(&a->owner->catalog), &out);
	admin_reply(a, 200, "application/json", out.data, out.size);
	bytes_free(&out);
}

bool reports_serve(struct admin *a, const struct http_request *q, const uint8_t *body)
{
	if (!strcmp(q->path, "/v1/lb/report") && !strcmp(q->method, "POST"))
		take_report(a, body, q->body_size);
	else if (!strcmp(q->path, "/v1/lb/report"))
		admin_error(a, 405, "POST /v1/lb/report takes a balancer's report; GET /v1/lb/leases tells of all");
	else if (!strcmp(q->path, "/v1/lb/leases") && !strcmp(q->method, "GET"))
		reply_leases(a);
	else
		return false;
	return true;
}
