/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reactor: one thread, one io, its connections and its lanes. Nothing is shared with other reactors: they talk
 * by io_post().
 */
#ifndef HF_REACTOR_H
#define HF_REACTOR_H

#include "cluster/catalog.h"
#include "cluster/group.h"
#include "base/histogram.h"
#include "cluster/lane.h"
#include "io/io.h"

struct node;
struct client;

enum request_class { REQUESTS_READ, REQUESTS_WRITE, REQUESTS_OTHER, REQUEST_CLASSES };

struct reactor_stats {
	struct histogram latency[REQUEST_CLASSES]; /* from having the request until its reply may leave */
	uint64_t connections_accepted, connections_refused, connections_evicted;
	uint64_t requests_read, requests_write, requests_other, request_errors;
};

struct reactor {
	struct node *node;
	struct io *io;
	uint32_t id;
	struct lane **lanes; /* those with lane id % reactor count == id */
	uint32_t lane_count;
	struct catalog catalog; /* a copy; ready once group 0 has applied it */
	char store_cluster[NODE_SLOTS][WIRE_ADDRESS]; /* by node: where clients find it; empty: not known */
	struct list clients;
	uint32_t client_count;
	size_t client_held; /* bytes of unfinished requests and queued transactions of all clients */
	size_t client_out;  /* bytes of replies of all clients that haven't left */
	size_t turn_bytes;  /* of replies to reads that were answered at once, in this turn */
	struct list dirty_clients; /* those with output to send */
	struct reactor_stats stats;
};

struct reactor *reactor_new(struct node *node, struct io *io, uint32_t id);
/* First the lanes of all reactors, whose groups give clients' requests back; then the reactors. */
void reactor_free_lanes(struct reactor *r);
void reactor_free(struct reactor *r);
/* The group if its lane is this reactor's, else NULL. */
struct group *reactor_group(const struct reactor *r, uint32_t group);
/* The reactor that a group's lane lives on. */
struct reactor *reactor_of_group(const struct reactor *r, uint32_t group);

#endif
