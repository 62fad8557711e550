/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancing daemon does while its data plane forwards, whichever that is: it waits for the catalog, the routes and signals, and has
 * the data plane brought to what they say.
 */
#ifndef HF_LB_CONTROL_H
#define HF_LB_CONTROL_H

#include "lb/catalog.h"
#include "lb/follow.h"
#include "lb/route.h"

/* Brings the data plane to a catalog, which is the caller's; routes_changed: every way to a backend is out of date. */
typedef void control_apply(void *arg, const struct lb_catalog *c, bool routes_changed);

struct control {
	struct follower *follower;
	struct routes *routes;     /* borrowed */
	struct lb_catalog catalog; /* in force */
	bool has_catalog;
	int signals; /* SIGTERM and SIGINT */
	control_apply *apply;
	void *arg; /* of apply */
};

/* The node's socket for who isn't told another: $HOLDFAST_SOCKET, else where the installed node has it. */
const char *control_socket_default(void);
/* Takes over the signals that end a daemon: before any thread is started, which would get them. 0 or negative errno. */
int control_init(struct control *c);
/* Follows the node at a Unix socket. Routes must outlive it. 0 or negative errno. */
int control_start(struct control *c, const char *socket, struct routes *routes, control_apply *apply, void *arg);
/* Returns when a signal asks the daemon to end. */
void control_run(struct control *c);

#endif
