/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "world_private.h"

#define CLOCK_SLACK_MS 500u /* honest clocks differ, drift, and a node may stand still between stamp and check */

static void canon_grow(struct canon *c, raft_index index)
{
	size_t cap = c->cap ? c->cap : 1024;

	while (cap <= index)
		cap *= 2;
	if (cap == c->cap)
		return;
	c->sums = mem_realloc(c->sums, cap * sizeof *c->sums);
	c->entries = mem_realloc(c->entries, cap * sizeof *c->entries);
	memset(c->sums + c->cap, 0, (cap - c->cap) * sizeof *c->sums);
	memset(c->entries + c->cap, 0, (cap - c->cap) * sizeof *c->entries);
	c->cap = cap;
}

static void check_leader(struct world *w, struct sim_node *n, const struct group *g)
{
	struct canon *c = &w->canon[g->id];

	if (g->raft.role != RAFT_LEADER)
		return;
	if (g->raft.term >= c->term_cap) {
		size_t cap = g->raft.term * 2 + 64;

		c->leaders = mem_realloc(c->leaders, cap);
		memset(c->leaders + c->term_cap, 0, cap - c->term_cap);
		c->term_cap = cap;
	}
	if (!c->leaders[g->raft.term]) {
		c->leaders[g->raft.term] = n->id;
		sim_counts(w->sim)->roll_calls += g->raft.by_roll_call;
		if (w->cut_at_election) { /* the power goes just as somebody has won */
			w->cut_at_election = false;
			for (uint8_t id = 1; id <= w->node_count; id++)
				w->nodes[id].crash_now = w->nodes[id].up;
		}
	}
	if (c->leaders[g->raft.term] != n->id)
		world_fail(w, "two leaders in term %llu of group %u: nodes %u and %u", (unsigned long long)g->raft.term, g->id,
		     c->leaders[g->raft.term], n->id);
}

static void check_committed(struct world *w, struct sim_node *n, const struct group *g)
{
	struct canon *c = &w->canon[g->id];
	raft_index from = max_u64(n->checked[g->id], g->raft.log.start) + 1;

	for (raft_index i = from; i <= g->raft.commit; i++) {
		const struct entry *e = raft_log_entry(&g->raft.log, i);
		uint64_t hash = copies_hash(e);

		canon_grow(c, i);
		if (!c->entries[i]) {
			c->entries[i] = hash;
			c->last = i;
			copies_note_committed(w->copies, g->id, e);
		}
		if (c->entries[i] != hash)
			world_fail(w, "committed entry changed: group %u index %llu node %u", g->id, (unsigned long long)i, n->id);
	}
	n->checked[g->id] = g->raft.commit;
}

static void check_state(struct world *w, struct sim_node *n, const struct group *g)
{
	struct canon *c = &w->canon[g->id];
	uint64_t sum;

	if (g->applied == n->summed[g->id] || !g->applied)
		return;
	n->summed[g->id] = g->applied;
	canon_grow(c, g->applied);
	sum = (g->store ? store_checksum(g->store) : catalog_checksum(g->catalog)) | 1;
	if (!c->sums[g->applied])
		c->sums[g->applied] = sum;
	if (c->sums[g->applied] != sum && !w->flipped) /* then the node itself has to find it */
		world_fail(w, "states differ: group %u index %llu node %u", g->id, (unsigned long long)g->applied, n->id);
}

/*
 * No group's time is ahead of the true one by more than the bound and what honest clocks are off by. It may be behind, where two
 * nodes are all there is and the wrong clock is the earlier one: then a time to live is shorter by so much.
 */
static void check_time(struct world *w, struct sim_node *n, const struct group *g)
{
	uint64_t true_ms = sim_true_ms(w->sim);
	uint64_t *behind_ms = &sim_counts(w->sim)->time_behind_ms;

	if (g->stats.bundles != n->bundles[g->id] && g->last_stamp + *behind_ms < true_ms)
		*behind_ms = true_ms - g->last_stamp;
	n->bundles[g->id] = g->stats.bundles;
	if (g->store && (uint64_t)store_now_ms(g->store) > true_ms + CLOCK_BOUND_MS + CLOCK_SLACK_MS)
		world_fail(w, "group %u's time is %llu ms ahead on node %u", g->id, (unsigned long long)((uint64_t)store_now_ms(g->store) - true_ms), n->id);
}

void inspect_node(struct world *w, struct sim_node *n)
{
	for (uint32_t i = 0; i < n->node->lane_count; i++)
		for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++) {
			const struct group *g = n->node->lanes[i]->groups[k];

			if (g->snapshots_received > n->restored[g->id])
				sim_counts(w->sim)->restored++;
			n->restored[g->id] = g->snapshots_received;
			check_leader(w, n, g);
			check_committed(w, n, g);
			copies_note_stored(w->copies, n->id, &g->raft);
			check_state(w, n, g);
			check_time(w, n, g);
		}
}

void inspect_down(struct sim_node *n, bool lied)
{
	for (uint32_t i = 0; i < n->node->lane_count; i++) {
		const struct lane *lane = n->node->lanes[i];
		uint64_t durable = lane->journal ? journal_durable(lane->journal) : 0;

		if (!lane->journal)
			continue;
		/* Recovery counts batches that it only takes to have been there. */
		if (durable == lane->found.last_sequence && n->durable[i] < durable)
			durable = n->durable[i];
		n->durable[i] = lied ? 0 : durable;
	}
}

void inspect_up(struct world *w, const struct sim_node *n)
{
	for (uint32_t i = 0; i < n->node->lane_count; i++) {
		const struct journal_recovery *found = &n->node->lanes[i]->found;

		if (found->last_sequence < n->durable[i] && !found->heads_lost)
			world_fail(w, "node %u takes its journal %u to end with batch %llu, and %llu was durable", n->id, i,
				   (unsigned long long)found->last_sequence, (unsigned long long)n->durable[i]);
		if (n->id != w->rot_node && !(w->ever_damaged & 1u << n->id) && (found->heads_lost || found->damaged))
			world_fail(w, "node %u takes its journal %u for damaged, and nothing has befallen its disk", n->id, i);
	}
}

bool inspect_whole(const struct sim_node *n)
{
	if (!n->node->groups_started)
		return false;
	for (uint32_t i = 0; i < n->node->lane_count; i++) {
		const struct lane *lane = n->node->lanes[i];

		/* Between turns nothing waits to be written but behind a write under way, or for room. */
		if (!lane->complete || lane->found.heads_lost || lane->unsettled || journal_writing_since(lane->journal) || journal_out_of_space(lane->journal))
			return false;
		for (uint32_t k = 0; k < lane->group_count; k++)
			if (lane->groups[k]->raft.quarantined || lane->groups[k]->raft.missing)
				return false;
	}
	return true;
}

/* Nor does anybody hold more: of an entry whose last copy rots nobody could say that it wasn't committed. */
static bool is_longest(const struct world *w, const struct group *g)
{
	raft_term term = raft_log_last_term(&g->raft.log);

	for (uint8_t id = 1; id <= w->node_count; id++) {
		const struct group *other = world_group(&w->nodes[id], g->id);

		if (!other || raft_log_last_term(&other->raft.log) > term || other->raft.log.last > g->raft.log.last)
			return false;
	}
	return g->raft.stored == g->raft.log.last;
}

static bool group_holds_all(const struct world *w, const struct group *g)
{
	const struct canon *c = &w->canon[g->id];
	const struct raft *r = &g->raft;

	if (c->last <= r->log.start)
		return c->last > 0; /* of a group without an entry nobody could say that it had none */
	/* Logs that hold the same entry are the same up to there. */
	return c->last <= r->stored && copies_hash(raft_log_entry(&r->log, c->last)) == c->entries[c->last];
}

bool inspect_holds_all(const struct world *w, const struct sim_node *n)
{
	uint32_t groups = 0;

	if (!n->up || !inspect_whole(n))
		return false;
	for (uint32_t i = 0; i < n->node->lane_count; i++)
		for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++, groups++)
			if (!group_holds_all(w, n->node->lanes[i]->groups[k]) || !is_longest(w, n->node->lanes[i]->groups[k]))
				return false;
	return groups == w->groups + 1; /* they begin one after the other */
}

void inspect_free(struct world *w)
{
	for (unsigned i = 0; i <= WORLD_GROUPS_MAX; i++) {
		free(w->canon[i].sums);
		free(w->canon[i].entries);
		free(w->canon[i].leaders);
	}
}

bool world_converged(struct world *w, struct bytes *why)
{
	const struct node *first = w->nodes[1].node;

	for (uint8_t id = 1; id <= w->node_count; id++) {
		const struct sim_node *n = &w->nodes[id];

		if (!n->up || !n->node->groups_started) {
			const struct group *g = n->up ? lane_group(n->node->lanes[0], 0) : NULL;

			bytes_printf(why, "node %u isn't serving: %s", id, !n->up ? "down" : !g ? "no group 0" : "");
			if (g)
				bytes_printf(why, "group 0 role %s leader %u term %llu applied %llu commit %llu last %llu missing %llu quarantined %d",
					     raft_role_name(g->raft.role), g->raft.leader, (unsigned long long)g->raft.term,
					     (unsigned long long)g->applied, (unsigned long long)g->raft.commit,
					     (unsigned long long)g->raft.log.last, (unsigned long long)g->raft.missing, g->raft.quarantined);
			return false;
		}
		for (uint32_t i = 0; i < n->node->lane_count; i++)
			for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++) {
				const struct group *g = n->node->lanes[i]->groups[k], *other = lane_group(first->lanes[i], g->id);

				if (!other || !g->raft.leader || g->raft.quarantined || g->raft.missing || g->applied != g->raft.log.last ||
				    g->applied != other->applied) {
					bytes_printf(why, "node %u group %u: role %s leader %u term %llu applied %llu commit %llu last %llu missing %llu%s",
						     id, g->id, raft_role_name(g->raft.role), g->raft.leader, (unsigned long long)g->raft.term,
						     (unsigned long long)g->applied, (unsigned long long)g->raft.commit,
						     (unsigned long long)g->raft.log.last, (unsigned long long)g->raft.missing,
						     g->raft.quarantined ? " quarantined" : "");
					return false;
				}
			}
	}
	return true;
}
