/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas tell each other the checksums of their states (divergence.h says how that is judged). */
#include "cluster/group_private.h"

#include <errno.h>

#include "log.h"

static void tell_checksum(struct group *g, raft_index index, uint64_t sum, bool ask)
{
	for (unsigned i = 0; i < g->raft.voter_count; i++) {
		struct peer *p = g->lane->peers[g->raft.voters[i]];
		struct bytes *out = p ? peer_out(p) : NULL;
		size_t mark;

		if (!out)
			continue;
		mark = wire_begin(out, WIRE_CHECKSUM);
		bytes_put_u32(out, g->id);
		bytes_put_u64(out, index);
		bytes_put_u64(out, sum);
		bytes_put_u8(out, ask);
		wire_end(out, mark);
	}
}

void compare_ask(struct group *g, uint64_t now_ns)
{
	uint64_t sum;

	if (!group_leads(g) || !g->store || now_ns < g->divergence.next_ns || g->divergence.latest == g->divergence.asked)
		return;
	g->divergence.next_ns = now_ns + DIVERGENCE_NS;
	g->divergence.asked = g->divergence.latest;
	if (divergence_sum(&g->divergence, group_self(g), g->divergence.latest, &sum))
		tell_checksum(g, g->divergence.latest, sum, true);
}

void group_checksum_told(struct group *g, uint8_t from, raft_index index, uint64_t sum, bool ask)
{
	enum divergence_verdict verdict;
	uint64_t ours;

	if (!g->store || !divergence_sum(&g->divergence, group_self(g), index, &ours))
		return;
	if (ask)
		tell_checksum(g, index, ours, false);
	verdict = divergence_told(&g->divergence, group_self(g), g->raft.voter_count, from, index, sum);
	if (verdict == DIVERGENCE_NONE)
		return;
	if (verdict == DIVERGENCE_OPEN && keyspace_recount(store_keyspace(g->store)) == keyspace_sum(store_keyspace(g->store))) {
		log_error("group: state differs from node %u group=%u index=%llu: a third node must decide", from, g->id,
			  (unsigned long long)index);
		return;
	}
	log_error("group: this node's state has diverged group=%u index=%llu: stopping; its disk is intact unless told otherwise: start it "
		  "again, and if it happens again, check its memory", g->id, (unsigned long long)index);
	g->lane->stopped = true;
	g->lane->failed(g->lane->arg, "divergence", -EUCLEAN);
}
