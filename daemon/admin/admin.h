/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin port and the Unix socket: HTTP/1.1 for probes, Prometheus, balancers and the command line. Reactor 0 serves
 * it; what it tells of other reactors it reads there by message.
 *
 *   GET    /healthz /readyz /metrics /v1/status
 *   GET    /v1/services                 all services (service_json.h), as far as this node has applied
 *   GET    /v1/lb?after=VERSION         the same for balancers, once the version is above VERSION, or after 25 s; by the socket with the secret
 *   POST   /v1/lb/report                what a balancer has in force and sees (report_json.h): 200 once the leader heard it, 503 nobody did
 *   GET    /v1/lb/leases                who balances, as far as this node has heard
 *   POST   /v1/services                 adds the service that the body describes (service_request.h)
 *   PATCH  /v1/services/NAME            changes the settings in the body
 *   DELETE /v1/services/NAME            removes it with its backends; no body
 *   POST   /v1/services/NAME/backends   adds the backend in the body
 *   PATCH  /v1/services/NAME/backends   changes its weight and takes it back into service; or with "draining":true: drains it
 *   DELETE /v1/services/NAME/backends   removes it
 *
 * A change is answered when this node has applied it: 200 {"version":N}. {"error":"..."} says why not: 400 it can't be
 * understood, 404 there is no such service or backend, 409 it doesn't fit what is there, 503 nothing was changed and it
 * may be tried again, 504 nobody knows. A node that is behind or has just started may tell an older version: a balancer
 * keeps the highest that it has seen.
 */
#ifndef HF_ADMIN_ADMIN_H
#define HF_ADMIN_ADMIN_H

#include <stdbool.h>

struct node;

/* local: it came by the Unix socket. */
void admin_new(struct node *n, int socket, bool local);
void admin_free_all(struct node *n);
/* Group 0's state has moved on: answers who waits for that. */
void admin_catalog_changed(struct node *n);

#endif
