/* SPDX-License-Identifier: Apache-2.0 */
/* Private to snapshot*.c: the file's chunks, and how it comes into force. */
#ifndef HF_CLUSTER_SNAPSHOT_PRIVATE_H
#define HF_CLUSTER_SNAPSHOT_PRIVATE_H

#include "cluster/group_private.h"
#include "cluster/snapshot.h"

#define SNAPSHOT_LAST 1u     /* a chunk's flag */
#define IN_FORCE UINT64_MAX  /* instead of the offset wanted next */

/* ---- snapshot_file.c ---- */

/* What every chunk of a file says. */
struct stamp {
	raft_index index;
	raft_term term;
	uint64_t file, sum;
};

static inline bool stamp_equal(const struct stamp *a, const struct stamp *b)
{
	return a->index == b->index && a->term == b->term && a->file == b->file && a->sum == b->sum;
}

/* A chunk's head. */
struct chunk {
	uint32_t payload, flags;
	struct stamp of;
};

/* With head and zeros. */
size_t chunk_size(uint32_t payload);
/* Returns an aligned chunk, to be freed. */
uint8_t *chunk_make(const struct bytes *payload, const struct stamp *of, bool last, size_t *ret_size);
/* Reads the head; false if this is none. */
bool chunk_head(const uint8_t *c, struct chunk *ret);
bool chunk_whole(const uint8_t *c, const struct chunk *h);
/* Puts the payload into catalog, or into store if that is NULL; false: it can't be understood. */
bool chunk_restore(const uint8_t *c, const struct chunk *h, struct store *store, struct catalog *catalog);
/* The index and the checksum of what was restored are the file's. */
bool stamp_holds(const struct stamp *of, const struct store *store, const struct catalog *catalog);
/* Of the catalog, or of store if that is NULL. */
uint64_t state_sum(const struct store *store, const struct catalog *catalog);

/* tail "" names the file in force. */
void snapshot_path(const struct lane *lane, uint32_t group, const char *tail, char *ret, size_t size);

/* Makes a file durable under the name in force: sync, rename, sync the directory. */
struct publish {
	struct group *group;
	struct io_op op;
	int file, dir;
	bool busy;
	char from[512], to[512], dir_path[512];
	void (*done)(struct publish *p, int result);
};

void publish_init(struct publish *p, struct group *g, const char *tail);
/* file has all that was written to it, and done is set. */
void publish_start(struct publish *p);

/* ---- snapshot.c ---- */

/* A majority had the state at this index, or a later one, as it is here ([checksum]). */
bool snapshot_agreed(const struct group *g, raft_index index);
/* One of our own that waits for that is given up: the leader sends one. */
void writer_give_way(struct group *g);

/* ---- snapshot_send.c ---- */

void senders_tick(struct group *g, uint64_t now_ns);
void senders_free(struct group *g);
/* False: the message can't be understood; so with receiver_message(). */
bool sender_answered(struct group *g, struct peer *p, struct cursor *body);

/* ---- snapshot_receive.c ---- */

bool receiver_message(struct group *g, struct peer *p, struct cursor *body);
/* Drops a stream that has ended. */
void receiver_tick(struct group *g, uint64_t now_ns);
void receiver_end(struct group *g);

#endif
