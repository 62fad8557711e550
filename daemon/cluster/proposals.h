/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of the catalog that come in on this node, on their way through group 0.
 *
 *   waiting --> under way --> decided: this node has applied the record, or a snapshot that holds it
 *      |            |
 *      |            +--> unknown: a leader had it, and nothing was heard in time
 *      +---------------> undone: no leader ever had it, so it is certainly not executed
 *
 * One is under way at a time, which keeps the numbers of service_change.h in order; it goes to the leader, which may be
 * here, and again to each next one, and to the same one when nothing has come of it for a while. It is applied once.
 * What was given up may still be applied until the next one of this node is.
 */
#ifndef HF_CLUSTER_PROPOSALS_H
#define HF_CLUSTER_PROPOSALS_H

#include "base/list.h"
#include "cluster/services.h"

#define PROPOSALS_MAX 64u /* in a row on one node */

struct group;

enum proposal_result {
	PROPOSAL_DECIDED, /* refusal and version are set */
	PROPOSAL_UNDONE,
	PROPOSAL_UNKNOWN,
};

struct proposal {
	struct list node;
	struct service_change change;
	void (*finished)(struct proposal *p); /* the proposal is the callee's again */
	uint64_t deadline_ns;
	enum proposal_result result;
	enum service_refusal refusal;
	uint64_t version;                     /* of the services, with the change in them */
};

/* Part of group 0. */
struct proposals {
	struct list row;         /* the first is under way if record isn't empty */
	uint32_t count;
	struct change_origin by; /* of the first */
	struct bytes record;
	bool sent;               /* some leader had it */
	uint8_t sent_to;         /* 0: the present one hasn't had it */
	uint64_t sent_ns;
};

void proposals_init(struct group *g);
/* Gives all back as of unknown outcome. */
void proposals_fini(struct group *g);
/* Takes the proposal; finished() comes later, perhaps within the call. Only group 0. */
void group_propose_change(struct group *g, struct proposal *p);

/* ---- for group.c and lane.c ---- */
void proposals_turn(struct group *g);
void proposals_tick(struct group *g, uint64_t now_ns);
/* Something was applied, or a snapshot took the place of the state. */
void proposals_settle(struct group *g);
/* The leader has changed, or the connection to it. */
void proposals_send_again(struct group *g);
/* Another node's record; false: a peer that keeps the protocol can't have sent it. */
bool group_change_forwarded(struct group *g, uint8_t from, struct cursor *body);

#endif
