/* SPDX-License-Identifier: Apache-2.0 */
/* Who should lead a group, as far as that is for its leader to say; and saying whom a leaderless one waits for. */
#include "cluster/group_private.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "log.h"

#define LEAVE_RETRY_NS NS_PER_S
#define BEHIND_BYTES (256u << 10)            /* who lacks more is no place to lead from yet */

/*
 * Leaders go back to where the group's order of succession begins, so that after a failure the load is spread again:
 * only to a node that is alive and has everything.
 */
void lead_where_preferred(struct group *g, uint64_t now_ns)
{
	uint8_t preferred = g->raft.voters[g->id % g->raft.voter_count];
	const struct raft_progress *p = &g->raft.progress[preferred];

	if (!group_leads(g) || preferred == group_self(g) || now_ns < g->balance_ns)
		return;
	g->balance_ns = now_ns + BALANCE_NS;
	if (liveness_ours(&g->lane->liveness, preferred, now_ns) && !g->lane->peer_full[preferred] && p->epoch && p->state == PROGRESS_REPLICATE &&
	    raft_log_bytes(&g->raft.log, max_u64(p->match, g->raft.log.start), g->raft.log.last) < BEHIND_BYTES)
		group_transfer(g, preferred);
}

/* Who could take the leadership over at once; RAFT_NO_NODE: nobody that we know of. Not again who has just let it pass. */
static uint8_t successor(const struct group *g, uint64_t now_ns)
{
	uint8_t best = RAFT_NO_NODE;

	for (unsigned i = 0; i < g->raft.voter_count; i++) {
		uint8_t node = g->raft.voters[i];
		const struct raft_progress *p = &g->raft.progress[node];

		if (node == group_self(g) || !liveness_ours(&g->lane->liveness, node, now_ns) || g->lane->peer_full[node] ||
		    p->state != PROGRESS_REPLICATE || now_ns < g->lane->restarted_ns[node] + LIVENESS_NS + LIVENESS_NS / 4)
			continue;
		if (!best || best == g->raft.transfer_last || (node != g->raft.transfer_last && p->match > g->raft.progress[best].match))
			best = node;
	}
	return best;
}

/*
 * A leader whose disk is full can't take writes, and one whose clock is off must not stamp them: another node may. If that one lets the chance
 * pass, its clock is off as well, for all it knows; then writes must not wait for the next attempt all the time.
 */
void leave_if_unfit(struct group *g, uint64_t now_ns)
{
	bool unfit = journal_out_of_space(g->lane->journal) || g->raft.barred;
	uint8_t node = group_leads(g) && unfit && now_ns >= g->leave_ns ? successor(g, now_ns) : RAFT_NO_NODE;

	if (!node)
		return;
	g->leave_ns = now_ns + LEAVE_RETRY_NS;
	group_transfer(g, node);
}

/* [damaged]: a group without an electable majority says whom it waits for. */
void tell_waits(struct group *g, uint64_t now_ns)
{
	unsigned waits = raft_waits_for(&g->raft, now_ns);
	char nodes[4 * NODE_SLOTS] = "";

	if (waits == g->waits_for)
		return;
	g->waits_for = waits;
	for (unsigned i = 1; i < NODE_SLOTS; i++)
		if (waits & 1u << i)
			(void)snprintf(nodes + strlen(nodes), sizeof nodes - strlen(nodes), "%s%u", nodes[0] ? "," : "", i);
	if (waits)
		log_warning("group: too many replicas are damaged to elect a leader group=%u: waiting for what nodes=%s have; start them",
			    g->id, nodes);
}

void group_transfer(struct group *g, uint8_t node)
{
	if (!node && group_leads(g))
		node = successor(g, io_boottime_ns(g->lane->io));
	group_step(g, &(struct raft_event){.type = RAFT_TRANSFER, .node = node});
}
