/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a journal says of one group: recovery hands over each record of the group, in the order in which they were
 * written, and what comes out is the hard state and the log that the group had when the journal ended.
 *
 * The oldest segments are gone, with dead entries in them, so a log may begin behind what the first records name. And
 * rot may have taken any record: whatever the rest allows to know is kept, and what it doesn't is told as a loss.
 *
 * An entry's record doesn't say which one it follows. Behind a loss it may fit by its index and yet belong to another log:
 * of "1: term 1; lost: 1: term 2; 2: term 2" an entry 2 of term 2 would be left behind an entry 1 of term 1, and a leader that
 * compares entry 2 would find nothing wrong (Raft's log matching, dissertation 3.5, holds only for logs that once were one).
 * So behind a loss nothing is taken until a record names an entry that the log holds: JOURNAL_HELD, which each start and each
 * segment begins with, or the JOURNAL_START of a snapshot that holds all of it.
 */
#ifndef HF_CLUSTER_RECOVERED_H
#define HF_CLUSTER_RECOVERED_H

#include "journal/journal.h"
#include "raft/log.h"

struct recovered {
	uint32_t group;
	raft_term term;
	uint8_t vote;
	struct raft_log log;
	raft_index start;      /* of the newest JOURNAL_START: what a snapshot holds */
	raft_term start_term;
	bool broken;           /* what comes next may not follow what the log holds */
};

void recovered_init(struct recovered *r, uint32_t group);
void recovered_fini(struct recovered *r);
/* One record of the group; a kind that isn't a group's is none of its. */
void recovered_take(struct recovered *r, const struct journal_record *record);
/* Record heads were lost here, perhaps of this group. */
void recovered_lost(struct recovered *r);
/* The journal is at its end. False: heads of the group's records are lost, and the log ends where it is still known. */
bool recovered_end(struct recovered *r);

#endif
