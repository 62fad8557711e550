/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of one lane to the same lane of another node. The node with the higher id dials; the other
 * accepts. There is at most one: a new one replaces the old.
 */
#ifndef HF_CLUSTER_PEER_H
#define HF_CLUSTER_PEER_H

#include "cluster/wire.h"
#include "io/io.h"

struct lane;

struct peer {
	struct lane *lane;
	uint8_t node;
	bool dials;
	bool up;              /* hello was heard: messages may be sent */
	bool closing;
	bool greeted;         /* the first frame has gone: it has the hello, and is whole */
	int socket;           /* -1: none */
	struct io_recv recv;
	struct io_op connect_op, send_op;
	bool connecting, sending;
	struct io_timer redial;
	struct bytes in, parts;     /* parts: those of a payload that have come */
	struct bytes out, in_flight;
	struct bytes large;         /* a frame that goes in parts; sent up to large_at */
	size_t large_at;
	struct bytes ahead;         /* goes before what is left of it */
	/* The release number (liveness.h) of heartbeats: as it was put into out, as it is in large, and as it has gone. */
	uint64_t generation_out, generation_large, generation_gone;
	struct wire_hello hello; /* what it last said */
	int next_socket;      /* an accepted connection that waits until the old one is gone; -1 */
	struct wire_hello next_hello;
	uint64_t heard_ns;    /* when anything last came: TCP alone takes minutes to notice a silent end */
	bool refused;         /* it was logged */
	uint64_t bytes_in, bytes_out, frames_in, frames_out;
};

struct peer *peer_new(struct lane *lane, uint8_t node);
void peer_free(struct peer *p);
/* Starts dialling if it is ours to dial. */
void peer_start(struct peer *p);
/* Takes over a connection whose hello was read and accepted. */
void peer_accept(struct peer *p, int socket, const struct wire_hello *hello);
/* The buffer for the next frame: add messages; peer_flush() at the end of the turn sends it. NULL: not connected. */
struct bytes *peer_out(struct peer *p);
void peer_flush(struct peer *p);
/*
 * A heartbeat or the answer to one. It overtakes what is larger than a frame. A release number that is new doesn't: the promises that it
 * ends may stand in what was said before.
 */
void peer_heartbeat(struct peer *p, enum wire_type type, struct wire_heartbeat h);
/* Something large is on its way, or waits for it. */
bool peer_is_behind(const struct peer *p);
void peer_drop(struct peer *p, const char *why);
/* Drops a connection on which nothing, not even a heartbeat or a hello, has come for too long. */
void peer_tick(struct peer *p, uint64_t now_ns);

#endif
