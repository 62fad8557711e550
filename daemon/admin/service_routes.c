/* SPDX-License-Identifier: Apache-2.0 */
/* The load balancer's services over HTTP: told, waited for, changed (admin.h has the routes). */
#include "admin/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/service_json.h"
#include "admin/service_request.h"

#define WATCH_NS (25 * NS_PER_S)
/* Of either way in, so that strangers at the port leave the host's own balancers their places; both leave some of ADMIN_MAX to probes and the command line. */
#define WATCHERS_MAX 16u
#define ROOT "/v1/services"
#define BACKENDS "/backends"

static const struct services *services_of(const struct admin *a)
{
	return catalog_services(&a->owner->catalog);
}

static void reply_json(struct admin *a, int status, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT);
	struct bytes out = {0};

	bytes_printf(&out, "%s\n", text);
	admin_reply(a, status, "application/json", out.data, out.size);
	bytes_free(&out);
	free(text);
	json_decref(body);
}

void admin_error(struct admin *a, int status, const char *text)
{
	reply_json(a, status, json_pack("{s:s}", "error", text));
}

static void reply_services(struct admin *a, enum services_form form)
{
	const uint64_t *seed = a->local && form == FOR_BALANCERS ? &a->owner->catalog.hash_seed : NULL;
	struct bytes out = {0};

	services_json(services_of(a), form, seed, a->owner->config, &out);
	admin_reply(a, 200, "application/json", out.data, out.size);
	bytes_free(&out);
}

/* ---- waiting for a change ---- */

void services_unwatch(struct admin *a)
{
	a->watching = false;
	io_timer_stop(admin_io(a), &a->watch_timer);
}

static void watch_end(struct admin *a)
{
	services_unwatch(a);
	reply_services(a, FOR_BALANCERS);
}

static void watch_late(struct io_timer *t)
{
	watch_end(container_of(t, struct admin, watch_timer));
}

void admin_catalog_changed(struct node *n)
{
	uint64_t version = catalog_services(&n->catalog)->version;

	if (!n->catalog.ready)
		return;
	list_for_each_safe(pos, tmp, &n->admins) {
		struct admin *a = list_entry(pos, struct admin, node);

		if (a->watching && version > a->after)
			watch_end(a);
	}
}

/* Those that came the same way. */
static uint32_t watchers_beside(const struct admin *a)
{
	uint32_t count = 0;

	list_for_each(pos, &a->owner->admins) {
		const struct admin *other = list_entry(pos, struct admin, node);

		count += other->watching && other->local == a->local;
	}
	return count;
}

static void watch(struct admin *a, const char *query)
{
	const char *number = query + strlen("after=");
	uint64_t after;

	if (strncmp(query, "after=", strlen("after=")) || !*number || strlen(number) > 19 || strspn(number, "0123456789") != strlen(number)) {
		admin_error(a, 400, "ask for /v1/lb?after=VERSION, with the version that is known, or 0");
		return;
	}
	after = strtoull(number, NULL, 10);
	if (a->owner->catalog.ready && services_of(a)->version > after) {
		reply_services(a, FOR_BALANCERS);
	} else if (watchers_beside(a) >= WATCHERS_MAX) {
		admin_error(a, 503, "too many balancers wait for changes at this node: ask another one");
	} else {
		a->watching = true;
		a->after = after;
		a->watch_timer.fire = watch_late;
		io_timer_start(admin_io(a), &a->watch_timer, io_boottime_ns(admin_io(a)) + WATCH_NS);
	}
}

/* ---- changing ---- */

static void change_finished(struct proposal *p)
{
	struct admin *a = container_of(p, struct admin, proposal);
	struct bytes text = {0};
	int status;

	a->proposing = false;
	if (a->closing) {
		admin_gone(a);
		return;
	}
	switch (p->result) {
	case PROPOSAL_UNDONE:
		admin_error(a, 503, "nothing was changed: the catalog has no leader that could take it now; try again");
		return;
	case PROPOSAL_UNKNOWN:
		admin_error(a, 504, "nobody knows whether it was changed: the leader of the catalog was lost meanwhile; look with `holdfast service list` before trying again");
		return;
	case PROPOSAL_DECIDED:
		break;
	}
	if (!p->refusal) {
		reply_json(a, 200, json_pack("{s:I}", "version", (json_int_t)p->version));
		return;
	}
	status = service_refusal_text(services_of(a), &p->change, p->refusal, &text);
	bytes_put_u8(&text, 0);
	admin_error(a, status, (const char *)text.data);
	bytes_free(&text);
}

static void propose(struct admin *a)
{
	struct group *g = lane_group(a->owner->lanes[0], 0);

	if (!g) {
		admin_error(a, 503, "nothing was changed: this node is starting and doesn't know the catalog yet; try again");
		return;
	}
	a->proposal.finished = change_finished;
	a->proposing = true;
	group_propose_change(g, &a->proposal);
}

/* An empty body says nothing, which is enough to remove a service. */
static bool read_body(struct admin *a, const uint8_t *body, size_t size)
{
	struct service_change *c = &a->proposal.change;
	struct bytes why = {0};
	json_error_t where;
	json_t *json;
	bool ok;

	if (c->kind == SERVICE_RM && !size)
		return true;
	json = json_loadb((const char *)body, size, JSON_REJECT_DUPLICATES, &where);
	if (!json)
		bytes_printf(&why, "the body is no JSON: %s", where.text);
	ok = json && service_request_read(c, json, &why);
	json_decref(json);
	if (!ok) {
		bytes_put_u8(&why, 0);
		admin_error(a, 400, (const char *)why.data);
	}
	bytes_free(&why);
	return ok;
}

/* Which change the method asks for; 0: none. */
static enum service_change_kind kind_of(const char *method, bool backends, bool named)
{
	if (!strcmp(method, "POST"))
		return backends ? BACKEND_ADD : named ? 0 : SERVICE_ADD;
	if (!strcmp(method, "PATCH"))
		return backends ? BACKEND_SET : named ? SERVICE_SET : 0;
	if (!strcmp(method, "DELETE"))
		return backends ? BACKEND_RM : named ? SERVICE_RM : 0;
	return 0;
}

static void change(struct admin *a, const struct http_request *q, const uint8_t *body)
{
	struct service_change *c = &a->proposal.change;
	const char *name = q->path + strlen(ROOT) + (q->path[strlen(ROOT)] == '/'), *slash = strchr(name, '/');
	size_t size = slash ? (size_t)(slash - name) : strlen(name);

	*c = (struct service_change){0};
	(void)snprintf(c->name, sizeof c->name, "%.*s", (int)size, name);
	if ((slash && strcmp(slash, BACKENDS)) || (*name && (size > SERVICE_NAME_MAX || !service_name_ok(c->name)))) {
		admin_error(a, 404, "there is nothing of that name: there are " ROOT ", " ROOT "/NAME and " ROOT "/NAME" BACKENDS);
		return;
	}
	c->kind = kind_of(q->method, slash != NULL, *name != 0);
	if (!c->kind)
		admin_error(a, 405, "POST " ROOT " adds a service, PATCH and DELETE " ROOT "/NAME change and remove it; all three are for .../NAME" BACKENDS);
	else if (read_body(a, body, q->body_size))
		propose(a);
}

bool services_serve(struct admin *a, const struct http_request *q, const uint8_t *body)
{
	bool get = !strcmp(q->method, "GET");

	if (get && !strcmp(q->path, "/v1/lb")) {
		watch(a, q->query);
		return true;
	}
	if (strncmp(q->path, ROOT, strlen(ROOT)) || (q->path[strlen(ROOT)] && q->path[strlen(ROOT)] != '/'))
		return false;
	if (!get || q->path[strlen(ROOT)])
		change(a, q, body);
	else if (a->owner->catalog.ready)
		reply_services(a, FOR_PEOPLE);
	else
		admin_error(a, 503, "this node is starting and doesn't know the catalog yet: try again, or ask another node");
	return true;
}
