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
	enum request_class class;
	uint64_t began_ns;
	bool counted_read, counted_write; /* counted as open in its group */
	struct client_request *parent; /* this is one group's part of it */
	uint32_t children;             /* parts still open */
	uint32_t children_done;        /* parts that were executed */
	int64_t sum;                   /* the parts' integers or elements, or what combine() counts */
	void (*combine)(struct client_request *whole, struct client_request *part); /* NULL: the reply stands already */
	void (*completed)(struct client_request *cr); /* may change the reply before it counts as there */
	bool redirect;                 /* a group that isn't led here answers MOVED */
	bool led_only;                 /* a group that another node leads is left out, and sets elsewhere */
	bool elsewhere;
	uint16_t slot;                 /* of its keys */
	size_t counted_bytes;          /* in client->row_bytes: of its body, and of its reply or what that is taken to be */
	struct client_tour *tour;      /* owned */
};

/* What a connection has in one group. */
struct open_count {
	uint16_t reads, writes;  /* open */
	uint16_t reads_waiting;  /* of the reads, those that wait for writes */
	raft_index last_write;   /* applied up to here when its last write was answered (WAIT) */
};

struct watched_key {
	uint64_t hash;
	raft_index index;        /* 0: not known yet */
	uint64_t ticket;         /* of the WATCH that asked */
};

/*
 * A request's way over all reactors, one after the other, and home again: only one of them has the object at a
 * time. What a tour gathers stands behind this in a struct that begins with it.
 */
struct client_tour {
	struct io_message message;
	struct io_timer again;
	struct client_request *cr;
	uint32_t next_reactor;
	void (*visit)(struct client_tour *tour, struct reactor *here);
	/* At home: writes the reply and returns 0, or returns when to set out again (boottime). */
	uint64_t (*done)(struct client_tour *tour, struct bytes *out);
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
	size_t row_bytes;       /* of their bodies and replies */
	size_t reply_expected;  /* what an open read's reply is taken to be: the size of the last, or more */
	size_t held_counted;    /* what of the input and multi is counted in reactor->client_held */
	size_t out_counted;     /* what of the replies is counted in reactor->client_out */
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
	uint16_t watched_slot;
	uint64_t watch_ticket;
	bool no_evict, no_touch; /* said by CLIENT; nothing is evicted, and no access is counted */
	bool readonly;           /* reads are never answered with MOVED */
	const struct command *last_command;
	enum request_class class; /* of the request being dispatched */
	uint64_t began_ns;        /* when the bytes were there that are being worked off */
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
/* The same with an error reply that is written already, which is freed. */
void client_refuse(struct client *c, struct bytes *error);
/* Opens a place in the row for a request to a group. */
struct client_request *client_open(struct client *c, enum request_kind kind);
/* Sends it to its group. */
void client_submit(struct client *c, struct client_request *cr, uint32_t group);
void client_close(struct client *c);
struct open_count *client_open_count(struct client *c, uint32_t group);

/* The connection's buffers grew or shrank: keeps reactor->client_held right. */
void client_count_held(struct client *c);
/* The node that clients of the store_cluster ports are sent to; 0: the group has no leader. */
uint8_t client_serving_node(const struct reactor *here, uint8_t leader);
/* Sends the tour out; its memory is the request's from now on. */
void client_tour_start(struct client *c, struct client_tour *tour);

/* commands.c: what the node itself answers; false: the connection must wait before this request */
bool client_connection_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
/* A pattern, in any case, against a name in lower case. */
bool client_name_matches(const struct arg *pattern, const char *name);
/* dispatch.c: finds the command and where it goes; false: the connection must wait before this request (stalled) */
bool client_dispatch(struct client *c, uint32_t argc, const struct arg *argv);
/* The group of all keys, and their slot; 0: they lie in several slots (and there are several groups). */
uint32_t client_group_of_keys(const struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, uint16_t *ret_slot);
/* groups.c: commands that concern all groups */
bool client_groups_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
/* Where RANDOMKEY looks. */
#define RANDOM_PLACE_SIZE 10u
void client_draw_place(struct client *c, uint8_t ret[RANDOM_PLACE_SIZE]);

/* commands.c: SELECT's arguments with the port that it came by (store/connection.c); how many there are. */
uint32_t client_select_arguments(const struct client *c, const struct arg argv[2], struct arg ret[3]);

/* multi.c */
void multi_begin(struct client *c);
void multi_queue(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
bool multi_exec(struct client *c);
void multi_discard(struct client *c);
void multi_watch(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
void multi_unwatch(struct client *c);
void multi_reset(struct client *c);

/* handshake.c: HELLO, AUTH, RESET, READONLY and the like */
void client_handshake(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, struct bytes *out);
/* refused.c: why there is no such command or subcommand ("cluster|reset") here, NULL if it is just unknown */
const char *client_refused(const char *container, const struct arg *name);
/* client_list.c: CLIENT; info.c: INFO; cluster.c: CLUSTER; command_docs.c: COMMAND; wait.c: WAIT */
void client_client_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
bool client_set_name(struct client *c, const struct arg *name, struct bytes *out);
void client_info(struct client *c, uint32_t argc, const struct arg *argv);
void client_cluster_command(struct client *c, const struct command *command);
void client_command_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv);
void client_wait(struct client *c, const struct arg *argv);

#define ERROR_LOADING "LOADING Holdfast is starting: the catalog is not known yet; nothing was executed"
#define ERROR_CROSSSLOT "CROSSSLOT Keys in request don't hash to the same slot"

#endif
