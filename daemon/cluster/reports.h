/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of the balancers that talk to this node, on their way, and what the leader of the catalog makes of them.
 *
 *   a balancer --POST--> its node --to all nodes--> each keeps the lease; the leader, while a quorum promises to follow
 *   it, answers, and proposes what it concludes
 *
 * Who isn't answered in REPORT_TIMEOUT_NS is told so: a balancer must know whether anybody judges by what it says.
 */
#ifndef HF_CLUSTER_REPORTS_H
#define HF_CLUSTER_REPORTS_H

#include "base/list.h"
#include "cluster/leases.h"
#include "raft/raft.h"

struct group;

/* One report's way; the caller's, until finished() or list_del(). */
struct report_call {
	struct list node;
	uint64_t context, deadline_ns;
	int result; /* 0; -ENOSPC: too many have a lease; -ETIMEDOUT: no leader heard it */
	/*
	 * By which the catalog names it as an owner, if result is 0. Who was told it since the report was sent may answer for what
	 * that lease id owns, until LEASE_NS after it was sent, less its clock's drift. 0: it can't be told yet, what was told stays true.
	 */
	uint32_t lease_id;
	bool accepted; /* lease_is_accepted(), if result is 0 */
	void (*finished)(struct report_call *c);
};

/* Part of group 0. */
struct reports {
	struct leases leases;
	struct list calls;
	uint64_t context;
	raft_term graced;     /* the term of ours in which all leases got their grace */
	raft_index concluded; /* the entry with the last conclusions; none are drawn until it is applied */
	bool stale;           /* something has changed since conclusions were drawn */
};

struct reports *reports_new(void);
/* Ends all calls. NULL is accepted. */
void reports_free(struct reports *rs);
/* Takes what the report holds. finished() comes later, perhaps within the call. Only group 0. */
void group_report(struct group *g, struct report *r, struct report_call *c);
const struct leases *group_leases(const struct group *g);

/* ---- for group.c and lane.c ---- */
void reports_tick(struct group *g, uint64_t now_ns);
/* Draws conclusions if there are new ones. */
void reports_turn(struct group *g);
/* Group 0's state has moved on. */
void reports_settle(struct group *g);
/* Another node's; false: a peer that keeps the protocol can't have sent it. */
bool group_report_told(struct group *g, uint8_t from, struct cursor *body);
bool group_report_answered(struct group *g, uint8_t from, struct cursor *body);

#endif
