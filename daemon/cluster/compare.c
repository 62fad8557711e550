/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas tell each other the checksums of their states (divergence.h says how that is judged). */
#include "cluster/group_private.h"

#include <errno.h>

#include "cluster/catalog.h"
#include "log.h"

#define RECOUNT_AFTER_NS NS_PER_S
#define RECOUNT_STEP 20000u /* keys a tick: some milliseconds */

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

void compare_applied(struct group *g)
{
	uint64_t sum = g->store ? store_checksum(g->store) : catalog_checksum(g->catalog);

	divergence_note(&g->divergence, group_self(g), g->applied, sum);
	if (g->applied != g->divergence.wanted)
		return;
	g->divergence.wanted = 0;
	tell_checksum(g, g->applied, sum, false);
}

static void ask_for_checksums(struct group *g, raft_index index, uint64_t now_ns)
{
	uint64_t sum;

	g->divergence.next_ns = now_ns + DIVERGENCE_NS;
	if (divergence_sum(&g->divergence, group_self(g), index, &sum))
		tell_checksum(g, index, sum, true);
}

void compare_stop(struct group *g, raft_index index)
{
	log_error("group: this node's state has diverged group=%u index=%llu: stopping; its disk is intact unless told otherwise: start it "
		  "again, and if it happens again, check its memory", g->id, (unsigned long long)index);
	g->lane->stopped = true;
	g->lane->failed(g->lane->arg, "divergence", -EUCLEAN);
}

/* A third replica most often tells within a round trip; only then is counting everything worth its time. */
static void recount(struct group *g, uint64_t now_ns)
{
	struct doubt *d = &g->doubt;
	bool intact;

	if (d->told || now_ns < d->recount_ns || (g->store && keyspace_recount_some(store_keyspace(g->store), &d->count, RECOUNT_STEP)))
		return;
	intact = g->store ? d->count.sum == keyspace_sum(store_keyspace(g->store)) : catalog_intact(g->catalog);
	if (!intact) {
		compare_stop(g, d->index);
		return;
	}
	d->told = true;
	log_error("group: states differ and none contradicts itself group=%u index=%llu: nothing is acknowledged until a third replica "
		  "decides; start it", g->id, (unsigned long long)d->index);
}

void compare_tick(struct group *g, uint64_t now_ns)
{
	if (g->doubt.index) {
		recount(g, now_ns);
		if (now_ns >= g->divergence.next_ns)
			ask_for_checksums(g, g->doubt.index, now_ns);
		return;
	}
	if (!group_leads(g) || now_ns < g->divergence.next_ns || g->divergence.latest == g->divergence.asked)
		return;
	g->divergence.asked = g->divergence.latest;
	ask_for_checksums(g, g->divergence.latest, now_ns);
}

void group_checksum_told(struct group *g, uint8_t from, raft_index index, uint64_t sum, bool ask)
{
	enum divergence_verdict verdict;
	uint64_t ours;

	if (ask && index > g->applied)
		g->divergence.wanted = index;
	if (!divergence_sum(&g->divergence, group_self(g), index, &ours))
		return;
	if (ask)
		tell_checksum(g, index, ours, false);
	verdict = divergence_told(&g->divergence, group_self(g), g->raft.voter_count, from, index, sum);
	if (verdict == DIVERGENCE_OURS) {
		compare_stop(g, index);
	} else if (verdict == DIVERGENCE_OPEN && !g->doubt.index) {
		g->doubt = (struct doubt){.index = index, .recount_ns = io_boottime_ns(g->lane->io) + RECOUNT_AFTER_NS};
	} else if (verdict == DIVERGENCE_NONE && g->doubt.index == index) {
		g->doubt = (struct doubt){0}; /* a majority is with us */
		group_mark(g);
	}
}
