/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's state machine, one a group. Everything that changes it comes in log entries, in order; everything
 * else only reads. Time is what the leaders stamped into the entries ([time]).
 *
 * The payload of ENTRY_BUNDLE is: stamp (8 bytes, ms), then commands, each
 *   size (4, of what follows), kind (1), node (1), refusal (2), incarnation (8), sequence (8), body.
 * node and incarnation name the ingress session ([session]): a group applies each session's sequences once and
 * without gaps. A session's end is the beginning of the same node's next incarnation.
 * The payload of ENTRY_NOOP is only the stamp.
 */
#ifndef HF_STORE_STORE_H
#define HF_STORE_STORE_H

#include "base/entry.h"
#include "store/command.h"
#include "store/keyspace.h"

enum bundle_kind {
	BUNDLE_COMMAND = 1, /* body: command_encode() */
	BUNDLE_EMPTY = 2,   /* a sequence that is abandoned or refused, filled so that the next ones can follow */
	BUNDLE_EXEC = 3,    /* body: watch count (4), {hash (8), index (8)}..., command count (4), commands */
};

/* Why a leader put BUNDLE_EMPTY in a command's place: certainly not executed, and never will be ([session]). */
enum bundle_refusal {
	REFUSAL_NONE = 0, /* its ingress gave it up: nobody waits */
	REFUSAL_BUSY = 1,
	REFUSAL_NO_SPACE = 2,
};

#define BUNDLE_HEAD 24u /* size .. sequence */
#define STAMP_SIZE 8u

struct store;

struct store *store_new(uint64_t hash_seed);
void store_free(struct store *s);
/* For the simulator: sequences are not checked, so what an ingress sends again is executed again. */
void store_plant_retry_twice(struct store *s);

/* Where the replies of one ingress go. */
struct store_sink {
	void *arg;
	uint8_t node;
	uint64_t incarnation;
	/* The reply's place and protocol, or NULL; then done once it is there; or refused alone, with nothing executed. */
	struct bytes *(*begin)(void *arg, uint64_t sequence, int *ret_resp);
	void (*done)(void *arg, uint64_t sequence);
	void (*refused)(void *arg, uint64_t sequence, enum bundle_refusal why);
};

/* Applies an ENTRY_BUNDLE or ENTRY_NOOP. -EBADMSG: it can't be understood (a later version's): nothing was changed by the part in question. */
int store_apply(struct store *s, const struct entry *e, const struct store_sink *sink);
/* Executes a command that only reads, against the state as it is. */
void store_read(struct store *s, const struct command *command, uint32_t argc, const struct arg *argv, int resp, struct bytes *out);

int64_t store_now_ms(const struct store *s);
/* When the first key expires, 0: none. The leader stamps an entry then. */
int64_t store_first_expiry_ms(const struct store *s);
raft_index store_applied(const struct store *s);
/* The last sequence applied for a session; 0 if none. */
uint64_t store_session(const struct store *s, uint8_t node, uint64_t incarnation);
/* When the key with this hash was last changed (or another that shares its place): for WATCH. */
raft_index store_modified(const struct store *s, uint64_t hash);
uint64_t store_checksum(const struct store *s);
struct keyspace *store_keyspace(struct store *s);

/*
 * A snapshot of the state as it is at store_snapshot_begin(), handed out in pieces while the store goes on. Each
 * piece is a row of whole items, so that pieces can be put back one after the other in a fresh store. out gathers
 * what was about to change in between, too: take from it often.
 */
void store_snapshot_begin(struct store *s, struct bytes *out);
/* Appends to out until it holds want bytes; false when that was all. */
bool store_snapshot_next(struct store *s, size_t want);
/* Once that was all: false if the state contradicts its own checksum ([checksum]), so that the snapshot must not be used. */
bool store_snapshot_intact(const struct store *s);
void store_snapshot_end(struct store *s);
/* Puts one piece back; false if it can't be understood. */
bool store_restore(struct store *s, const uint8_t *data, size_t size);

void bundle_begin(struct bytes *out, uint64_t stamp_ms);
/* Appends one command's head; the body of body_size bytes must follow. */
void bundle_head(struct bytes *out, enum bundle_kind kind, uint8_t node, uint64_t incarnation, uint64_t sequence, uint32_t body_size);
/* Appends what takes the place of a command that isn't to be executed. */
void bundle_refuse(struct bytes *out, enum bundle_refusal why, uint8_t node, uint64_t incarnation, uint64_t sequence);
uint64_t entry_stamp(const struct entry *e);

#endif
