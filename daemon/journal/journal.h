/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of one lane: an append-only row of batches on preallocated segments, shared by the lane's groups.
 *
 * journal_append() adds a record to the open batch; journal_flush(), once a turn, writes the open batch if no
 * write is under way. While one batch is being written the next one fills: group commit without a timer. A
 * record is durable when batch_done() has named a sequence >= the one journal_append() returned.
 *
 * A failed write stops the journal for good (failed()): nothing of what was being written may be taken for
 * durable, and the same pages are never tried again.
 */
#ifndef HF_JOURNAL_JOURNAL_H
#define HF_JOURNAL_JOURNAL_H

#include "base/entry.h"
#include "base/histogram.h"
#include "io/io.h"
#include "journal/format.h"

struct journal;

struct journal_record {
	uint8_t kind; /* enum journal_kind */
	uint32_t group;
	raft_term term;
	raft_index index;
	struct entry *entry; /* JOURNAL_ENTRY and JOURNAL_REPAIR: borrowed; its payload is missing if it rotted */
};

struct journal_options {
	const char *dir; /* made if it isn't there */
	uint32_t lane;
	uint32_t segment_size; /* bytes, a multiple of 1 MiB that takes the largest batch; of an existing journal, what its segments have */
	uint8_t self;          /* this node's slot in peer_sequence */
	bool plant_torn_accepted; /* for the simulator: an unfinished batch is taken for a whole one */
	void *arg;
	/* Recovery, within journal_open(): each record in order. */
	void (*record)(void *arg, const struct journal_record *record);
	/* Record heads are lost between the last record and the next one, of whatever group. */
	void (*lost)(void *arg);
	/* A new segment opens: append every group's JOURNAL_HARD, JOURNAL_START and JOURNAL_HELD now ([pinning]). */
	void (*checkpoint)(void *arg);
	/* Everything up to sequence is on stable storage. */
	void (*batch_done)(void *arg, uint64_t sequence);
	/* The journal has stopped: error is a negative errno. */
	void (*failed)(void *arg, int error);
};

/* What recovery found. */
struct journal_recovery {
	uint64_t batch_count;
	uint64_t last_sequence;
	uint32_t segment_count;
	bool torn;             /* a batch that was never finished was dropped */
	uint32_t damaged;      /* batches with rot that no later record has settled */
	bool heads_lost;       /* rot took both copies of a head: what stood there is unknown */
	uint64_t heads_lost_at; /* the first such loss, as JOURNAL_SETTLED calls it (format.h) */
	uint64_t peer_sequence[JOURNAL_PEERS];
};

struct journal_stats {
	uint64_t batches, records, bytes;    /* written since start */
	struct histogram write;              /* from submission to completion */
	uint32_t segments, segments_ready;
	uint64_t failed_preparations;        /* no space for the next segment */
};

/*
 * Blocks while it recovers. Errors: -EWOULDBLOCK another process, or the last write of a dying one, holds a
 * segment ([reopen]); -EBADMSG no segment of this journal is readable; -EPROTONOSUPPORT unknown format version;
 * -ENOSPC; other I/O errors.
 */
int journal_open(struct journal **ret_j, struct io *io, const struct journal_options *options, struct journal_recovery *ret_found);
/* Forgets everything in memory; what was not durable may or may not be there next time. */
void journal_close(struct journal *j);

/* Takes a reference of record->entry. Returns the sequence of the batch that will hold the record. */
uint64_t journal_append(struct journal *j, const struct journal_record *record);
void journal_flush(struct journal *j);
/* The records that recovery gave tell of a loss that no batch tells of. To be said before anything is appended that hides it. */
void journal_note_lost(struct journal *j);
/* What recovery found lost is made good: the next one need not mind it again. */
void journal_settle(struct journal *j);
uint64_t journal_durable(const struct journal *j);
/* The sequence that the open batch will have. */
uint64_t journal_open_sequence(const struct journal *j);
/* Since when (io_boottime_ns) the write under way has been so; 0: none is. */
uint64_t journal_writing_since(const struct journal *j);
/* Bytes waiting in memory: the lane's backpressure. */
uint64_t journal_backlog(const struct journal *j);
/* No ready segment and none can be made: only what keeps the cluster alive should be appended. */
bool journal_out_of_space(const struct journal *j);
/* Node `peer` says that its own journal is durable up to sequence. Kept in memory, stored with the next batch. */
void journal_note_peer(struct journal *j, uint8_t peer, uint64_t sequence);
/* The same, though it be lower than before: that node's journal was damaged and is whole again. */
void journal_reset_peer(struct journal *j, uint8_t peer, uint64_t sequence);
uint64_t journal_peer_sequence(const struct journal *j, uint8_t peer);

/* Frees the oldest segments for which dead(arg, group, index) holds for each group's highest entry in them. */
void journal_free_segments(struct journal *j, bool (*dead)(void *arg, uint32_t group, raft_index index), void *arg);
/* How many segments are in use, and the highest entry of group in the oldest of them (0: none). */
uint32_t journal_segments(const struct journal *j);
raft_index journal_oldest_index(const struct journal *j, uint32_t group);
void journal_stats(const struct journal *j, struct journal_stats *ret);

#endif
