/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replicas compare their states (law 5, DECISIONS [checksum]). Each keeps the checksum that its state had at the last
 * few round indexes. Now and then the leader asks for one of them; everybody tells everybody. Whoever finds that a
 * majority has another sum has diverged, and stops. While there is no majority on either side a group is in doubt: it
 * applies and answers nothing (compare.c), each counts its state from scratch, and the one that contradicts its own
 * running sum stops; if neither does, a third replica decides. It must not have its state from either: a snapshot comes into force, and is
 * sent while there is doubt, once a majority had the same sum at its index or later (snapshot.c).
 */
#ifndef HF_CLUSTER_DIVERGENCE_H
#define HF_CLUSTER_DIVERGENCE_H

#include <stdbool.h>

#include "raft/raft.h"

#define DIVERGENCE_EVERY 16u /* indexes between two kept sums, of a group with many */
#define DIVERGENCE_KEPT 64u
#define DIVERGENCE_NS 500000000ull

struct divergence_mark {
	raft_index index;                /* 0: unused */
	uint64_t sums[NODE_SLOTS];       /* by node, as told; ours too */
	unsigned told;                   /* a bit per node */
};

struct divergence {
	uint32_t every;                  /* indexes between two kept sums */
	struct divergence_mark marks[DIVERGENCE_KEPT];
	raft_index latest, asked;
	raft_index agreed;               /* up to here a majority of the voters, us among them, had the same */
	raft_index wanted;               /* somebody asked for the sum at this index before we had come there; 0: nobody */
	uint64_t next_ns;                /* leader: when to ask next */
};

enum divergence_verdict { DIVERGENCE_NONE, DIVERGENCE_OURS, DIVERGENCE_OPEN };

/* After an entry was applied: keeps the sum if the index is a multiple of `every`. */
void divergence_note(struct divergence *d, uint8_t self, raft_index index, uint64_t sum);
/* Our sum at the index; false if it isn't kept (any more, or yet). */
bool divergence_sum(const struct divergence *d, uint8_t self, raft_index index, uint64_t *ret_sum);
/* Node has that sum at the index. OURS: a majority of the voters contradicts us; OPEN: somebody does, no majority. */
enum divergence_verdict divergence_told(struct divergence *d, uint8_t self, uint8_t voter_count, uint8_t node, raft_index index, uint64_t sum);

#endif
