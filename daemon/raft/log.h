/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group's log in memory: the entries after the last snapshot, in a ring that grows to its bound.
 * Indices count from 1. start is the index that the snapshot covers: entries are start+1 .. last.
 */
#ifndef HF_RAFT_LOG_H
#define HF_RAFT_LOG_H

#include "base/entry.h"

struct raft_log_slot {
	struct entry *entry;
	uint64_t end; /* payload bytes of the log up to and including this entry, counted since start-up */
};

struct raft_log {
	raft_index start, last;
	raft_term start_term;
	struct raft_log_slot *slots;
	uint32_t cap; /* a power of two */
	uint64_t start_end; /* the running byte count at start */
};

void raft_log_init(struct raft_log *log);
void raft_log_fini(struct raft_log *log);
/* Forgets everything: the log starts after (index, term), which a snapshot covers. */
void raft_log_reset(struct raft_log *log, raft_index index, raft_term term);
/* Forgets everything: as if there had never been a log. */
void raft_log_reset_all(struct raft_log *log);
/* Takes a reference; e->index must be last + 1. */
void raft_log_append(struct raft_log *log, struct entry *e);
/* Drops index and all above it. */
void raft_log_truncate(struct raft_log *log, raft_index index);
/* Drops up to and including index. */
void raft_log_compact(struct raft_log *log, raft_index index);
/* Puts an entry with its payload in the place of the same one without. */
void raft_log_fill(struct raft_log *log, struct entry *e);
/* 0 if index is outside start..last. */
raft_term raft_log_term(const struct raft_log *log, raft_index index);
/* Borrowed; index must be in start+1..last. */
struct entry *raft_log_entry(const struct raft_log *log, raft_index index);
/* Payload bytes of the entries in (from, to]. */
uint64_t raft_log_bytes(const struct raft_log *log, raft_index from, raft_index to);

static inline raft_term raft_log_last_term(const struct raft_log *log)
{
	return raft_log_term(log, log->last);
}

#endif
