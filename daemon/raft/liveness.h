/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness between pairs of nodes, for all groups of a lane at once (DECISIONS [promise], [suspicion]).
 * Pure: no clock, no I/O; time comes in as boottime nanoseconds.
 *
 * A node sends heartbeats; the one that hears them *supports* it for LIVENESS_NS from then on, under an epoch of
 * the supporter's choosing. A promise of a group's follower (raft.h) stands only under the epoch in which it was
 * given. Support that ran out is withdrawn by raising the epoch: every promise under the old one is over, in all
 * groups, and the supported node learns the new epoch with the next answer. The supported node counts from when
 * it *sent* the heartbeat that was answered, less 1 % for the drift of clocks, so its view always ends first.
 */
#ifndef HF_RAFT_LIVENESS_H
#define HF_RAFT_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#define NODE_SLOTS 8u /* node ids are 1..7; slot 0 is nobody */
#define LIVENESS_NS 150000000ull
#define HEARTBEAT_NS 30000000ull

struct support {
	uint64_t epoch;    /* 0: none yet */
	uint64_t until_ns;
};

struct liveness {
	struct support given[NODE_SLOTS]; /* by us to that node */
	struct support ours[NODE_SLOTS];  /* by that node to us, as it told */
	bool suspected[NODE_SLOTS];       /* the connection to it died; nothing heard since */
	uint64_t generation[NODE_SLOTS];  /* the highest release number heard from it */
	uint64_t next_epoch;
	uint64_t quiet_until_ns;          /* after a start: no vote, and no support under an old epoch can be alive */
};

/* incarnation is durable and grows at each start: no epoch is used twice. */
void liveness_init(struct liveness *l, uint64_t incarnation, uint64_t now_ns);
/*
 * A heartbeat of node came. generation: grows when the node gives up the leadership of a group, which ends what
 * was promised to it. Returns the epoch to answer with.
 */
uint64_t liveness_heard(struct liveness *l, uint8_t node, uint64_t generation, uint64_t now_ns);
/* Node answered the heartbeat that we sent at sent_ns. */
void liveness_answered(struct liveness *l, uint8_t node, uint64_t epoch, uint64_t sent_ns);
/* Node runs under a new incarnation: whatever was promised to the old one is over. */
void liveness_restarted(struct liveness *l, uint8_t node);
/* The connection died: suspicion, not the end of a promise. */
void liveness_suspect(struct liveness *l, uint8_t node);
/* Withdraws what has run out. Returns a bit per node. */
unsigned liveness_expire(struct liveness *l, uint64_t now_ns);

/* The epoch under which we support node right now, or 0. */
static inline uint64_t liveness_given(const struct liveness *l, uint8_t node, uint64_t now_ns)
{
	return now_ns < l->given[node].until_ns ? l->given[node].epoch : 0;
}

/* The epoch under which node supports us right now, or 0. */
static inline uint64_t liveness_ours(const struct liveness *l, uint8_t node, uint64_t now_ns)
{
	return now_ns < l->ours[node].until_ns ? l->ours[node].epoch : 0;
}

#endif
