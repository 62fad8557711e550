/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node: owns every part, makes them in order, wires them together. Nothing is global: the simulator runs many
 * nodes in one process.
 *
 * First start ([identity]): the members find each other on lane 0, agree on the cluster id that the lowest node
 * drew once everybody was heard, write it durably, and only then start group 0. Its first leader writes the
 * catalog; applying that makes the data groups.
 */
#ifndef HF_NODE_H
#define HF_NODE_H

#include "cluster/catalog.h"
#include "cluster/identity.h"
#include "config.h"
#include "io/io.h"
#include "reactor.h"

struct node {
	const struct config *config;
	struct io **ios;         /* one a reactor; borrowed */
	struct reactor **reactors;
	struct lane *lanes[NODE_SLOTS * 16];
	uint32_t lane_count;
	struct identity identity;
	int lock_file;
	struct catalog catalog;  /* lane 0's reactor only */
	bool group0_started, groups_started, leaving;
	uint64_t started_ns;
	struct io_accept peer_accept, store_accept, cluster_accept, admin_accept, socket_accept;
	struct list greetings;   /* accepted peer connections whose hello hasn't come yet */
	struct list admins;      /* connections of the admin port and the socket; admin.c keeps the order */
	uint32_t next_reactor;   /* for the next client */
	uint64_t next_client_id; /* stepped on reactor 0 only */
	struct io_timer leave_timer;
	uint32_t leave_open;     /* reactors that haven't said yet whether they still lead something */
	bool leave_leads;
	/* The owner. Both may be called from any reactor. */
	void *arg;
	void (*failed)(void *arg, const char *what, int error); /* the node can't go on */
	void (*left)(void *arg);                                /* node_leave() is done */
	void (*serving)(void *arg);                             /* it listens */
};

/*
 * Recovers and listens (blocking); what happens then happens in the reactors. Logs why it fails. Errors: -EBUSY:
 * another process has the data directory; -EADDRINUSE; -EMEDIUMTYPE: the disk is another node's; others.
 */
int node_start(struct node *n, const struct config *config, struct io **ios);
void node_free(struct node *n);
/* Hands leadership over and drains; left() is called when done. Reactor 0's thread. */
void node_leave(struct node *n);

uint8_t node_lane_of_group(const struct node *n, uint32_t group);
struct reactor *node_reactor_of_lane(const struct node *n, uint8_t lane);

#endif
