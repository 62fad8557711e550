/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a group's state: taken while it serves, kept in one file, streamed to followers that are too far
 * behind for the log ([snapshot], [pinning]).
 *
 * A snapshot file is a row of chunks, each a multiple of 4 KiB:
 *
 *   magic "HFSO" (4), payload size (4), CRC32C of the payload (4), flags (4: 1 the last chunk), index (8), term (8),
 *   file (8), sum (8), payload (store_restore() takes it, or the catalog's record), zeros
 *
 * `file` is a number drawn for each file: two of one index hold the same state in different chunks, so that halves of
 * two of them make none. `sum` is the state's checksum, which what was restored must have.
 *
 * It is written beside the old one and renamed when it is durable; only then does the journal hear that the log
 * starts later. A chunk travels to a follower as it is, is checked there, stored, and put into a fresh store, which
 * takes the place of the old one after the last chunk. A stream that broke goes on where it was, in the same file only.
 */
#ifndef HF_CLUSTER_SNAPSHOT_H
#define HF_CLUSTER_SNAPSHOT_H

#include "cluster/group.h"

#define SNAPSHOT_CHUNK (256u << 10) /* payload of a chunk, about: an item is never split */
#define SNAPSHOT_CHUNK_MAX (ENTRY_SIZE_MAX + SNAPSHOT_CHUNK)

struct snapshot_writer;
struct snapshot_sender;
struct snapshot_receiver;

/*
 * Blocking, at start: puts the group's file into store or catalog. 0 with *ret_index 0 if there is none; -EBADMSG: it
 * is damaged.
 */
int snapshot_load_now(struct lane *lane, uint32_t group, struct store *store, struct catalog *catalog, raft_index *ret_index, raft_term *ret_term);
/* Every tick: begins a snapshot when the group pins old segments or holds much log; resends what went unanswered. */
void snapshot_tick(struct group *g, uint64_t now_ns);
/* The snapshot being taken holds too much that isn't written yet: applying waits. */
bool snapshot_behind(const struct group *g);
/* Raft says that the node needs one. */
void snapshot_send(struct group *g, uint8_t node);
void snapshot_peer_lost(struct group *g, uint8_t node);
void snapshot_free(struct group *g);

/* false: the message can't be understood. */
bool snapshot_receive(struct group *g, struct peer *p, enum wire_type type, struct cursor *body);

#endif
