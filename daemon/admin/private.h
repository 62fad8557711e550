/* SPDX-License-Identifier: Apache-2.0 */
/* Private to admin/: a connection, which admin.c owns; what it asks is answered by admin.c and service_routes.c. */
#ifndef HF_ADMIN_PRIVATE_H
#define HF_ADMIN_PRIVATE_H

#include <jansson.h>

#include "cluster/proposals.h"
#include "cluster/reports.h"
#include "node.h"
#include "proto/http.h"

enum admin_page { PAGE_READY, PAGE_METRICS, PAGE_STATUS };

struct admin {
	struct node *owner;
	struct list node;
	int socket;
	bool local; /* it came by the Unix socket, whose mode says who may */
	struct io_recv recv;
	struct io_op send_op;
	struct io_timer idle;
	struct bytes in, out;
	bool sending, gathering, closing, keep_alive;
	/* One request's tour of the reactors. */
	struct io_message tour;
	uint32_t next_reactor;
	enum admin_page page;
	json_t *status;
	/* A change of the services that waits for its outcome. */
	bool proposing;
	struct proposal proposal;
	/* A balancer's report that waits until the leader has heard it. */
	bool reporting;
	bool balances; /* else it is a backend's side */
	struct report_call call;
	/* A balancer that waits until the services' version is above this one. */
	bool watching;
	uint64_t after;
	struct io_timer watch_timer;
};

static inline struct io *admin_io(const struct admin *a)
{
	return a->owner->ios[0];
}

void admin_reply(struct admin *a, int status, const char *type, const void *body, size_t size);
/* The connection may go now, if it is to and nothing is under way on it any more. */
void admin_gone(struct admin *a);

/* An object with "error" for a body. */
void admin_error(struct admin *a, int status, const char *text);

/* ---- report_routes.c ---- */

/* True if the path is one of its own; it is answered then, or will be. */
bool reports_serve(struct admin *a, const struct http_request *q, const uint8_t *body);

/* ---- service_routes.c ---- */

/* True if the path is one of its own; it is answered then, or will be. */
bool services_serve(struct admin *a, const struct http_request *q, const uint8_t *body);
/* It isn't waited for any more. */
void services_unwatch(struct admin *a);

#endif
