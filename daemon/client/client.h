/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's connection on the store port: bytes in, requests parsed in place, replies in order.
 *
 * The life of a request: resp_parse -> client_dispatch -> either answered at once (into c->out if nothing older is
 * open, else into its own place in the row) or handed to its group, perhaps on another core -> client_finished ->
 * when everything older is answered, its reply moves to c->out -> clients_turn sends.
 *
 * Order on one connection and one group ([order]): writes go to the group in order; a read behind an open write of
 * the same group waits until that is applied; a write behind an open read stalls the connection.
 */
#ifndef HF_CLIENT_CLIENT_H
#define HF_CLIENT_CLIENT_H

#include "cluster/group.h"
#include "proto/resp.h"
#include "reactor.h"

struct client;

/* A place in the row of a connection's replies. */
struct client_request {
	struct request rq;
	struct client *client;
	struct list row;
	bool done;
	bool counted_read, counted_write; /* counted as open in its group */
	struct client_request *parent; /* this is one group's part of it */
	uint32_t children;             /* parts still open */
	int64_t sum;                   /* of the parts' integers */
	void (*combine)(struct client_request *whole, struct client_request *part);
	const struct command *command;
};

struct open_count {
	uint16_t reads, writes;
};

struct watched_key {
	uint32_t group;
	uint16_t slot;
	uint64_t hash;
	raft_index index;
};

struct client {
	struct reactor *reactor;
	struct list node;       /* in reactor->clients */
	struct list dirty;      /* in reactor->dirty_clients */
	uint64_t id;
	int socket;
	struct io_recv recv;
	struct io_op send_op;
	bool receiving, sending, closing, closing_after_reply, stalled, cluster_port;
	bool input_ended;
	int resp;
	char name[64], lib_name[64], lib_version[64], address[64];
	uint64_t connected_ns, active_ns;
	struct bytes in, out, in_flight;
	struct resp_parser parser;
	struct list row;        /* client_request, oldest first */
	uint32_t row_count;
	struct open_count *open; /* by group */
	uint32_t open_groups;
	struct arg *argv;
	uint32_t argv_cap;
	/* MULTI */
	bool in_multi, multi_broken;
	struct bytes multi;      /* encoded commands */
	uint32_t multi_count;
	uint32_t multi_group;    /* 0: no key yet */
	uint16_t multi_slot;
	bool multi_writes;
	struct watched_key *watched;
	uint32_t watched_count;
	bool no_evict;
	const struct command *last_command;
};

/* Takes over an accepted socket (on the reactor's own thread). */
void client_new(struct reactor *r, int socket, uint64_t id, bool cluster_port);
void clients_turn(struct reactor *r);
void clients_free(struct reactor *r);

/* ---- between client*.c ---- */

/* Where a reply that is known now goes: in order behind what is open. Call client_reply_end() when it is written. */
struct bytes *client_reply_begin(struct client *c, struct client_request **ret_place);
void client_reply_end(struct client *c, struct client_request *place);
void client_error(struct client *c, const char *text);
/* Opens a place in the row for a request to a group. */
struct client_request *client_open(struct client *c, enum request_kind kind);
/* Sends it to its group. */
void client_submit(struct client *c, struct client_request *cr, uint32_t group);
void client_close(struct client *c);
struct open_count *client_open_count(struct client *c, uint32_t group);

/* commands.c: what the node itself answers */
void client_connection_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
/* dispatch.c: finds the command and where it goes; false: the connection must wait before this request (stalled) */
bool client_dispatch(struct client *c, uint32_t argc, const struct arg *argv);

#endif
