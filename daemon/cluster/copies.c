/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On how many voters an applied index is durable (WAIT). A majority has it, or it would not be applied; more is known
 * to the leader only, from what the others acknowledged in its term. A follower asks it, and again after a while if
 * that isn't enough: the answer for an index holds for every earlier one.
 */
#include "cluster/group_private.h"

#define ASK_EVERY_NS (10 * NS_PER_MS)

static uint32_t majority(const struct group *g)
{
	return g->raft.voter_count / 2u + 1;
}

static raft_index stored_at(const struct group *g, uint8_t node)
{
	const struct raft_progress *p = &g->raft.progress[node];

	return group_planted(g, PLANT_WAIT_OVERCOUNTS) ? p->next - 1 : p->match;
}

/* By the leader's own knowledge. */
static uint32_t counted_here(const struct group *g, raft_index index)
{
	const struct raft *r = &g->raft;
	uint32_t copies = r->stored >= index;

	for (unsigned i = 0; i < r->voter_count; i++)
		copies += r->voters[i] != r->self && stored_at(g, r->voters[i]) >= index;
	return copies;
}

static void ask(struct group *g, raft_index index)
{
	struct peer *p = g->lane->peers[g->raft.leader];
	uint64_t now_ns = io_boottime_ns(g->lane->io);
	struct bytes *out;
	size_t mark;

	if (now_ns < g->copies.ask_ns || !p || !(out = peer_out(p)))
		return;
	g->copies.ask_ns = now_ns + ASK_EVERY_NS;
	mark = wire_begin(out, WIRE_COPIES);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, index);
	wire_end(out, mark);
}

uint32_t group_copies(struct group *g, raft_index index)
{
	uint32_t known = group_leads(g) ? counted_here(g, index) : g->copies.index >= index ? g->copies.count : 0;

	if (!group_leads(g) && known < g->raft.voter_count)
		ask(g, index);
	return known > majority(g) ? known : majority(g);
}

void group_copies_asked(struct group *g, struct peer *p, raft_index index)
{
	struct bytes *out = group_leads(g) && index <= g->raft.commit ? peer_out(p) : NULL;
	size_t mark;

	if (!out)
		return; /* it asks again, perhaps somebody else */
	mark = wire_begin(out, WIRE_COPIES_REPLY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, index);
	bytes_put_u32(out, counted_here(g, index));
	wire_end(out, mark);
}

void group_copies_told(struct group *g, raft_index index, uint32_t count)
{
	if (index < g->copies.index || count > g->raft.voter_count)
		return;
	g->copies.index = index;
	g->copies.count = count;
}
