/* SPDX-License-Identifier: Apache-2.0 */
#include "liar.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "cluster/group.h"
#include "world.h"

#define LANES_MAX 2u
#define STEPS 64u /* back in the journal's growth that a lie may reach */
#define DEEPER 4u

/* The journal was durable up to sequence at that time, and what came later wasn't begun. */
struct step {
	uint64_t sequence, at_ns;
	unsigned may_tell; /* a bit for each peer: whatever is acknowledged to it from now on names a sequence at least as high */
	struct { raft_term term; raft_index stored; } groups[WORLD_GROUPS_MAX + 1];
};

/* What a peer remembers of the liar's journal, on its own disk, and what it will once its batch `sequence` is durable. */
struct memory {
	uint64_t durable, coming, sequence;
};

struct liar_lane {
	struct step steps[STEPS];
	uint64_t step_count; /* since the node started */
	bool lied;           /* and the node hasn't made it good */
	struct memory memories[NODE_SLOTS];
};

struct liar {
	struct sim *sim;
	uint64_t random;
	uint8_t node, node_count;
	struct liar_lane lanes[LANES_MAX];
};

struct liar *liar_new(struct sim *s, uint64_t seed, uint8_t node, uint8_t node_count)
{
	struct liar *l = mem_zalloc(sizeof *l);

	*l = (struct liar){.sim = s, .random = mix64(seed ^ 0x6c696172u), .node = node, .node_count = node_count};
	sim_let_lie(s, node);
	return l;
}

void liar_free(struct liar *l)
{
	free(l);
}

static void watch_itself(struct liar *l, struct liar_lane *lane, const struct lane *now)
{
	struct step s = {.sequence = journal_durable(now->journal), .at_ns = sim_now(l->sim)};

	if (lane->step_count && lane->steps[(lane->step_count - 1) % STEPS].sequence == s.sequence)
		return;
	for (uint8_t id = 1; id <= l->node_count; id++)
		if (!now->found.heads_lost && !now->settled && recollection_tell(&now->recollections[id], s.sequence) == s.sequence)
			s.may_tell |= 1u << id;
	for (uint32_t i = 0; i < now->group_count; i++) {
		const struct raft *r = &now->groups[i]->raft;

		s.groups[r->group].term = r->term;
		s.groups[r->group].stored = r->stored;
	}
	lane->steps[lane->step_count++ % STEPS] = s;
}

/*
 * What the peer was told with the liar's acknowledgements to it as a leader: the entry that became durable last among those that it counts as
 * stored there was acknowledged after the step before it.
 */
static uint64_t acknowledged(const struct liar *l, const struct liar_lane *lane, uint8_t id, const struct lane *peer)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < peer->group_count; i++) {
		const struct raft *r = &peer->groups[i]->raft;
		raft_index match = r->role == RAFT_LEADER ? r->progress[l->node].match : 0;

		for (uint64_t n = 1; match && n < STEPS && n < lane->step_count; n++) {
			const struct step *s = &lane->steps[(lane->step_count - n) % STEPS];
			const struct step *before = &lane->steps[(lane->step_count - n - 1) % STEPS];
			raft_index stored = s->groups[r->group].stored;

			if (s->groups[r->group].term != r->term)
				break;
			if (stored > match || stored <= before->groups[r->group].stored)
				continue;
			if (before->may_tell & 1u << id)
				most = max_u64(most, before->sequence + 1);
			break;
		}
	}
	return most;
}

static void watch_peer(const struct liar *l, struct liar_lane *lane, uint8_t id, const struct lane *peer)
{
	struct memory *m = &lane->memories[id];
	const struct journal *j = peer->journal;

	if (m->sequence && journal_durable(j) >= m->sequence) {
		m->durable = m->coming;
		m->sequence = 0;
	}
	if (m->sequence)
		return;
	m->coming = max_u64(journal_peer_sequence(j, l->node), acknowledged(l, lane, id, peer));
	m->sequence = journal_open_sequence(j);
}

static bool takes_part(const struct lane *lane)
{
	for (uint32_t i = 0; i < lane->group_count; i++) {
		const struct raft *r = &lane->groups[i]->raft;

		if (r->leader || r->role == RAFT_CANDIDATE || r->role == RAFT_LEADER)
			return true;
	}
	return false;
}

static bool found_out(struct liar_lane *l, const struct lane *lane)
{
	l->lied &= !lane->settled;
	return !l->lied || lane->found.heads_lost || !takes_part(lane);
}

bool liar_watch(struct liar *l, uint8_t id, const struct node *n)
{
	bool ok = true;

	for (uint32_t i = 0; l && i < n->lane_count && i < LANES_MAX; i++) {
		if (id == l->node) {
			watch_itself(l, &l->lanes[i], n->lanes[i]);
			ok &= found_out(&l->lanes[i], n->lanes[i]);
		} else {
			watch_peer(l, &l->lanes[i], id, n->lanes[i]);
		}
	}
	return ok;
}

/* Up to here everybody's disk remembers the liar's journal. */
static uint64_t known_to_all(const struct liar *l, const struct liar_lane *lane)
{
	uint64_t known = UINT64_MAX;

	for (uint8_t id = 1; id <= l->node_count; id++)
		if (id != l->node && lane->memories[id].durable < known)
			known = lane->memories[id].durable;
	return known;
}

/* Some step below what all know, so that what follows it is missed. NULL: there is none, or none is remembered. */
static const struct step *lie_from(struct liar *l, const struct liar_lane *lane)
{
	uint64_t known = known_to_all(l, lane), back = rand_below(&l->random, DEEPER);
	const struct step *found = NULL;

	for (uint64_t n = 1; n <= STEPS && n <= lane->step_count; n++) {
		const struct step *s = &lane->steps[(lane->step_count - n) % STEPS];

		if (n == 1 || s->sequence >= known) /* the last one is all there is: nothing follows it */
			continue;
		found = s;
		if (back-- == 0)
			break;
	}
	return found;
}

bool liar_crash(struct liar *l, uint8_t id)
{
	bool lied = false;

	for (uint32_t i = 0; l && i < LANES_MAX; i++)
		l->lanes[i].memories[id].sequence = 0;
	for (uint32_t i = 0; l && id == l->node && i < LANES_MAX; i++) {
		struct liar_lane *lane = &l->lanes[i];
		const struct step *from = rand_below(&l->random, 2) ? lie_from(l, lane) : NULL;
		char path[20];

		(void)snprintf(path, sizeof path, "/lane-%u/", i);
		if (from && sim_lie(l->sim, l->node, path, from->at_ns))
			lane->lied = lied = true;
		lane->step_count = 0;
	}
	return lied;
}
