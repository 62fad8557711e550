/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a journal says of one group: recovery hands over each record of the group, in the order in which they were
 * written, and what comes out is the hard state and the log that the group had when the journal ended.
 *
 * The oldest segments are gone, with dead entries in them, so a log may begin behind what the first records name. And
 * rot may have taken any record: whatever the rest allows to know is kept, and what it doesn't is told as a loss.
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
};

void recovered_init(struct recovered *r, uint32_t group);
void recovered_fini(struct recovered *r);
/* One record of the group; a kind that isn't a group's is none of its. */
void recovered_take(struct recovered *r, const struct journal_record *record);
/* The journal is at its end. False: heads of the group's records are lost, and the log ends where it is still known. */
bool recovered_end(struct recovered *r);

#endif
