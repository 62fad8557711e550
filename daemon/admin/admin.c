/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin.h"

#include <stdlib.h>
#include <string.h>

#include "admin/private.h"
#include "admin/status.h"
#include "base/mem.h"

#define ADMIN_MAX 64u /* of more, the one that has been longest at what it does makes room */
#define ADMIN_ENDING_MAX 1024u /* and is there until its operations have ended: a turn may bring many */
#define ADMIN_IN_MAX (2 * HTTP_HEAD_MAX + HTTP_BODY_MAX) /* a request and the next one's beginning */
#define ADMIN_IDLE_NS (30 * NS_PER_S) /* for the client to ask all of it, for us to answer, and for it to have read that */

static void admin_free(struct admin *a)
{
	io_timer_stop(admin_io(a), &a->idle);
	services_unwatch(a);
	list_del(&a->proposal.node);
	list_del(&a->call.node);
	list_del(&a->node);
	json_decref(a->status);
	bytes_free(&a->in);
	bytes_free(&a->out);
	free(a);
}

void admin_free_all(struct node *n)
{
	while (n->admins.next && !list_empty(&n->admins))
		admin_free(list_entry(n->admins.next, struct admin, node));
}

void admin_gone(struct admin *a)
{
	if (!a->closing || a->recv.active || a->sending || a->gathering || a->proposing || a->reporting)
		return;
	io_close(admin_io(a), a->socket);
	admin_free(a);
}

static void admin_close(struct admin *a)
{
	if (!a->closing) {
		a->closing = true;
		services_unwatch(a);
		io_shutdown(admin_io(a), a->socket);
		io_recv_stop(admin_io(a), &a->recv);
	}
	admin_gone(a);
}

/* Its time begins anew: it came, it has asked all of a request, or it has its answer. Trickling bytes wins it none. The list is kept in that order. */
static void admin_renew(struct admin *a)
{
	list_del(&a->node);
	list_add_tail(&a->owner->admins, &a->node);
	io_timer_start(admin_io(a), &a->idle, io_boottime_ns(admin_io(a)) + ADMIN_IDLE_NS);
}

static void admin_process(struct admin *a);

static void admin_sent(struct io_op *op, int result)
{
	struct admin *a = container_of(op, struct admin, send_op);

	a->sending = false;
	bytes_reset(&a->out, HTTP_BODY_MAX);
	if (result < 0 || !a->keep_alive || a->closing) {
		admin_close(a);
		return;
	}
	admin_renew(a);
	admin_process(a);
}

void admin_reply(struct admin *a, int status, const char *type, const void *body, size_t size)
{
	bytes_printf(&a->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", status, http_reason(status), type, size,
		     a->keep_alive ? "" : "Connection: close\r\n");
	bytes_put(&a->out, body, size);
	a->sending = true;
	a->send_op.done = admin_sent;
	io_send(admin_io(a), &a->send_op, a->socket, a->out.data, a->out.size);
}

static void admin_text(struct admin *a, int status, const char *text)
{
	admin_reply(a, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* ---- pages that need all reactors ---- */

static void page_done(struct admin *a)
{
	struct bytes body = {0};
	char *text;

	a->gathering = false;
	if (a->closing) {
		admin_gone(a);
		return;
	}
	switch (a->page) {
	case PAGE_READY:
		if (status_ready(a->status) && !a->owner->leaving)
			admin_text(a, 200, "ready\n");
		else
			admin_text(a, 503, "not ready: a group has no leader, is being repaired, or the node is leaving\n");
		break;
	case PAGE_METRICS:
		status_metrics(a->status, &body);
		admin_reply(a, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8", body.data, body.size);
		break;
	case PAGE_STATUS:
		text = json_dumps(a->status, JSON_COMPACT);
		bytes_puts(&body, text);
		bytes_put_u8(&body, '\n');
		free(text);
		admin_reply(a, 200, "application/json", body.data, body.size);
		break;
	}
	json_decref(a->status);
	a->status = NULL;
	bytes_free(&body);
}

/* Runs on each reactor in turn, then on reactor 0 again: only one of them has the object at a time. */
static void page_tour(struct io_message *m)
{
	struct admin *a = container_of(m, struct admin, tour);
	struct node *n = a->owner;
	uint32_t here = a->next_reactor++;

	if (here == n->config->reactors) {
		page_done(a);
		return;
	}
	status_add_reactor(a->status, n->reactors[here]);
	io_post(n->ios[here], n->ios[here + 1 < n->config->reactors ? here + 1 : 0], m);
}

static void page_begin(struct admin *a, enum admin_page page)
{
	a->page = page;
	a->status = status_new(a->owner);
	a->next_reactor = 0;
	a->gathering = true;
	a->tour.deliver = page_tour;
	io_post(admin_io(a), admin_io(a), &a->tour);
}

static void admin_serve(struct admin *a, const struct http_request *q, const uint8_t *body)
{
	/* Whoever sits at this machine may look at any page; none may change the cluster through the browser. */
	if (q->from_page && strcmp(q->method, "GET")) {
		admin_text(a, 403, "nothing was changed: changes are not taken from web pages\n");
		return;
	}
	if (services_serve(a, q, body) || reports_serve(a, q, body))
		return;
	if (strcmp(q->method, "GET"))
		admin_text(a, 405, "only GET is served there\n");
	else if (!strcmp(q->path, "/healthz"))
		admin_text(a, 200, "ok\n");
	else if (!strcmp(q->path, "/readyz"))
		page_begin(a, PAGE_READY);
	else if (!strcmp(q->path, "/metrics"))
		page_begin(a, PAGE_METRICS);
	else if (!strcmp(q->path, "/v1/status"))
		page_begin(a, PAGE_STATUS);
	else
		admin_text(a, 404, "not found: there are /healthz, /readyz, /metrics, /v1/status, /v1/services, /v1/lb and /v1/lb/leases\n");
}

/* ---- the connection ---- */

static void admin_process(struct admin *a)
{
	struct http_request q;
	int used;

	if (a->sending || a->gathering || a->proposing || a->reporting || a->watching || a->closing || !a->in.size)
		return;
	used = http_parse(a->in.data, a->in.size, &q);
	if (used == 0)
		return;
	a->keep_alive = used > 0 && q.keep_alive;
	if (used < 0) {
		a->in.size = 0;
		admin_text(a, -used, "the request can't be understood\n");
		return;
	}
	if (a->in.size - (size_t)used < q.body_size)
		return;
	admin_renew(a);
	admin_serve(a, &q, a->in.data + used);
	bytes_drop(&a->in, (size_t)used + q.body_size);
}

static void admin_received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct admin *a = container_of(recv, struct admin, recv);

	if (size <= 0) {
		if (a->closing)
			admin_gone(a);
		else if (a->sending || a->gathering || a->proposing || a->reporting)
			a->keep_alive = false; /* what it asked is still answered */
		else
			admin_close(a);
		return;
	}
	if (a->in.size + (size_t)size > ADMIN_IN_MAX) {
		admin_close(a);
		return;
	}
	bytes_put(&a->in, data, (size_t)size);
	admin_process(a);
}

static void admin_idle(struct io_timer *t)
{
	admin_close(container_of(t, struct admin, idle));
}

/* Nobody changes or waits for anything by it: its client asks again, if there is one. */
static bool may_go(const struct admin *a)
{
	return !a->closing && !a->proposing && !a->reporting && !a->watching;
}

/* False: none may go, or too many are ending. */
static bool make_room(struct node *n)
{
	struct admin *longest = NULL;
	uint32_t open = 0, ending = 0;

	list_for_each(pos, &n->admins) {
		struct admin *a = list_entry(pos, struct admin, node);

		ending += a->closing;
		open += !a->closing;
		if (!longest && may_go(a))
			longest = a;
	}
	if (open < ADMIN_MAX)
		return true;
	if (!longest || ending >= ADMIN_ENDING_MAX)
		return false;
	admin_close(longest);
	return true;
}

void admin_new(struct node *n, int socket, bool local)
{
	struct admin *a;

	if (!make_room(n)) {
		io_close(n->ios[0], socket);
		return;
	}
	a = mem_zalloc(sizeof *a);
	a->owner = n;
	a->socket = socket;
	a->local = local;
	a->recv.received = admin_received;
	a->idle.fire = admin_idle;
	list_init(&a->proposal.node);
	list_init(&a->call.node);
	list_init(&a->node);
	admin_renew(a);
	io_recv_start(n->ios[0], &a->recv, socket);
}
