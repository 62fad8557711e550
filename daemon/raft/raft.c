/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            promise ended,                    majority granted and
 *            own rank's turn                   their promises ended            majority voted
 *  FOLLOWER ----------------> PRECANDIDATE -------------------------> CANDIDATE -------------> LEADER
 *     ^                            |                                     |                        |
 *     `----- leader is heard ------+------- a higher term is seen -------+---- quorum is lost ----'
 *
 * Who writes what: term and vote change only in raft_become_follower(), raft_become_candidate() and raft_receive_vote(),
 * role only there, in raft_become_leader() and start_prevote(), the log only in propose(), raft_receive_append(),
 * raft_fill(), compact and raft_restore(), commit only in raft_advance_commit() (leader), raft_receive_append()
 * (follower) and raft_restore().
 */
#include "raft/private.h"

#include <assert.h>
#include <string.h>

#define TRANSFER_NS 50000000ull        /* a successor that hasn't won after this isn't waited for */

/* ---- small facts ---- */

uint8_t raft_rank(const struct raft *r, uint8_t without)
{
	uint8_t rank = 0;

	for (unsigned i = 0; i < r->voter_count; i++) {
		uint8_t node = r->voters[(r->group + i) % r->voter_count];

		if (node == r->self)
			return rank;
		if (node != without)
			rank++;
	}
	return rank;
}

const char *raft_role_name(enum raft_role role)
{
	static const char *const names[] = {"follower", "precandidate", "candidate", "leader"};

	return names[role];
}

bool raft_lease(const struct raft *r, uint64_t now_ns)
{
	unsigned supporters = 1;

	if (r->role != RAFT_LEADER || r->reads_by_round)
		return false;
	for (unsigned i = 0; i < r->voter_count; i++) {
		uint8_t node = r->voters[i];
		uint64_t epoch = node == r->self ? 0 : liveness_ours(r->liveness, node, now_ns);

		supporters += epoch && r->progress[node].epoch == epoch;
	}
	return supporters >= quorum(r);
}

/* ---- messages ---- */

struct raft_message *raft_message_to(struct raft *r, struct raft_update *u, uint8_t node, uint8_t type)
{
	struct raft_message *m;

	assert(u->message_count < RAFT_MESSAGES_MAX);
	m = &u->messages[u->message_count++];
	*m = (struct raft_message){.type = type, .from = r->self, .to = node, .group = r->group, .term = r->term};
	return m;
}

void raft_send_to_all(struct raft *r, struct raft_update *u, uint8_t type, raft_term term, uint8_t flags)
{
	for (unsigned i = 0; i < r->voter_count; i++) {
		struct raft_message *m;

		if (r->voters[i] == r->self)
			continue;
		m = raft_message_to(r, u, r->voters[i], type);
		m->term = term;
		m->flags = flags;
		m->index = r->log.last;
		m->log_term = raft_log_last_term(&r->log);
	}
}

/* ---- roles ---- */

void raft_become_follower(struct raft *r, struct raft_update *u, raft_term term, uint8_t leader)
{
	assert(term >= r->term);
	if (r->role == RAFT_LEADER) {
		u->release = true;
		raft_lose_reads(r, u);
	}
	if (term > r->term || r->role != RAFT_FOLLOWER || r->leader != leader) {
		u->role = true;
		r->verified = r->acked = 0;
		r->round_seen = 0;
	}
	if (term > r->term) {
		r->term = term;
		r->vote = RAFT_NO_NODE;
		u->hard = true;
	}
	r->role = RAFT_FOLLOWER;
	r->leader = leader;
	r->votes = 0;
	r->transfer_to = RAFT_NO_NODE;
	r->dirty = false;
	r->reply_due = false;
	r->leaderless_ns = 0;
	r->campaign_ns = 0;
	r->by_transfer = r->by_roll_call = false;
}

void raft_become_leader(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	assert(r->role == RAFT_CANDIDATE && r->hard_stored == r->term && !r->missing && (!r->quarantined || r->by_roll_call));
	r->role = RAFT_LEADER;
	r->leader = r->self;
	r->lost_leader = RAFT_NO_NODE;
	r->term_start = r->log.last + 1;
	r->round = 0;
	r->reads_by_round = false;
	r->transfer_to = RAFT_NO_NODE;
	r->quorum_lost_ns = 0;
	r->read_count = 0;
	for (unsigned i = 0; i < r->voter_count; i++)
		r->progress[r->voters[i]] = (struct raft_progress){
			/* Most often the logs agree: say the first entry at once, step back if they don't. */
			.state = PROGRESS_REPLICATE,
			.next = r->log.last + 1,
			.want_probe = true,
		};
	r->dirty = true;
	u->role = true;
	u->released_quarantine = r->quarantined;
	r->quarantined = false;
	(void)now_ns;
}

static void transfer(struct raft *r, uint8_t node, uint64_t now_ns)
{
	if (r->role != RAFT_LEADER || r->transfer_to)
		return;
	if (!node) { /* whoever is alive and furthest */
		for (unsigned i = 0; i < r->voter_count; i++) {
			uint8_t v = r->voters[i];

			if (v != r->self && liveness_ours(r->liveness, v, now_ns) &&
			    r->progress[v].state == PROGRESS_REPLICATE &&
			    (!node || node == r->transfer_last || (v != r->transfer_last && r->progress[v].match > r->progress[node].match)))
				node = v; /* not again to one that has let a chance pass, if there is another */
		}
	}
	if (!node || !is_voter(r, node) || node == r->self)
		return;
	r->transfer_to = r->transfer_last = node;
	r->transfer_said = false;
	r->transfer_ns = now_ns + TRANSFER_NS;
	r->dirty = true;
}

/* ---- receiving ---- */

/* What is committed here is never overwritten. That the row itself has no gap and its terms don't fall, the decoder has seen. */
static bool entries_sound(const struct raft *r, const struct raft_message *m)
{
	for (uint32_t i = 0; i < m->entry_count; i++) {
		const struct entry *e = m->entries[i];

		if (e->index > r->log.start && e->index <= r->commit && raft_log_term(&r->log, e->index) != e->term)
			return false;
	}
	return true;
}

bool raft_message_sound(const struct raft *r, const struct raft_message *m)
{
	if (!is_voter(r, m->from) || m->from == r->self)
		return false;
	if (m->type == RAFT_APPEND) /* one leader a term */
		return !(r->role == RAFT_LEADER && m->term == r->term) && entries_sound(r, m);
	if (m->type == RAFT_APPEND_REPLY && r->role == RAFT_LEADER && m->term == r->term)
		return m->round <= r->round && (!(m->flags & RAFT_GRANTED) || m->index <= r->log.last);
	return true;
}

static void receive(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	if (!is_voter(r, m->from) || m->from == r->self)
		return;
	switch ((enum raft_message_type)m->type) {
	case RAFT_PREVOTE:
		raft_receive_prevote(r, u, m, now_ns);
		return;
	case RAFT_PREVOTE_REPLY:
		raft_receive_prevote_reply(r, u, m, now_ns);
		return;
	case RAFT_VOTE:
		raft_receive_vote(r, u, m, now_ns);
		return;
	case RAFT_VOTE_REPLY:
		if (m->term > r->term)
			raft_become_follower(r, u, m->term, RAFT_NO_NODE);
		if (m->term == r->term && r->role == RAFT_CANDIDATE && m->flags & RAFT_GRANTED) {
			r->votes |= 1u << m->from;
			raft_count_votes(r, u, now_ns);
		}
		return;
	case RAFT_APPEND:
		if (m->term < r->term) {
			struct raft_message *reply = raft_message_to(r, u, m->from, RAFT_APPEND_REPLY);

			reply->needs_hard = true; /* the stale leader learns the term */
			return;
		}
		assert(m->term > r->term || r->role != RAFT_LEADER);
		if (m->term > r->term || r->role != RAFT_FOLLOWER || r->leader != m->from)
			raft_become_follower(r, u, m->term, m->from);
		raft_receive_append(r, u, m, now_ns);
		return;
	case RAFT_APPEND_REPLY:
		if (m->term > r->term)
			raft_become_follower(r, u, m->term, RAFT_NO_NODE);
		raft_receive_append_reply(r, u, m, now_ns);
		return;
	case RAFT_REPORT:
		raft_receive_report(r, u, m, now_ns);
		return;
	case RAFT_TIMEOUT_NOW:
		if (m->term == r->term && r->role == RAFT_FOLLOWER && r->leader == m->from && !r->missing &&
		    !r->quarantined && !r->barred && now_ns >= r->liveness->quiet_until_ns)
			raft_become_candidate(r, u, now_ns, RAFT_BY_TRANSFER);
		return;
	}
}

/* ---- the step ---- */

void raft_init(struct raft *r, const struct raft_options *o)
{
	*r = (struct raft){
		.group = o->group,
		.self = o->self,
		.voter_count = o->voter_count,
		.liveness = o->liveness,
		.random = o->random,
		.term = o->term,
		.vote = o->vote,
		.hard_stored = o->term,
		.quarantined = o->quarantined,
		.wake_ns = 0,
	};
	memcpy(r->voters, o->voters, sizeof r->voters);
	raft_log_init(&r->log);
}

void raft_recovered(struct raft *r, uint64_t now_ns)
{
	(void)now_ns;
	r->commit = r->log.start;
	r->stored = r->log.last;
	r->missing = raft_find_missing(r, r->log.start + 1);
	if (r->term < raft_log_last_term(&r->log)) /* its record rotted away: quarantine keeps us from voting in it */
		r->term = r->hard_stored = raft_log_last_term(&r->log);
}

void raft_fini(struct raft *r)
{
	raft_log_fini(&r->log);
}

bool raft_dirty(const struct raft *r)
{
	return r->dirty;
}

static void tick(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	r->wake_ns = UINT64_MAX;
	if (r->role == RAFT_LEADER)
		raft_tick_leader(r, u, now_ns);
	else if (r->role == RAFT_FOLLOWER)
		raft_tick_follower(r, u, now_ns);
	if (r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE)
		raft_tick_candidate(r, u, now_ns);
	raft_tick_roll_call(r, u, now_ns);
}

static void propose(struct raft *r, struct raft_update *u, struct entry *e, unsigned waiters)
{
	assert(r->role == RAFT_LEADER);
	e->term = r->term;
	e->index = r->log.last + 1;
	raft_log_append(&r->log, e);
	u->store_from = e->index;
	r->dirty = true;
	for (unsigned i = 0; i < r->voter_count; i++)
		if (waiters & 1u << r->voters[i])
			raft_want_commit(r, r->voters[i], e->index);
}

static void stored(struct raft *r, struct raft_update *u, const struct raft_event *ev)
{
	if (ev->index <= r->stored || raft_log_term(&r->log, ev->index) != ev->term)
		return; /* overwritten meanwhile: what replaced it will be stored later */
	r->stored = ev->index;
	if (r->role == RAFT_LEADER) {
		raft_advance_commit(r);
		raft_release_reads(r, u, ev->now_ns);
	} else {
		r->dirty = true;
	}
}

/* A leader that is idle hears of it by an answer to nothing; one that is damaged itself is none any more. */
static void quarantine(struct raft *r, struct raft_update *u)
{
	if (r->role != RAFT_FOLLOWER)
		raft_become_follower(r, u, r->term, RAFT_NO_NODE);
	r->quarantined = true;
	r->reply_due = true;
	r->dirty = true;
}

void raft_step(struct raft *r, const struct raft_event *ev, struct raft_update *u)
{
	raft_term term = r->term;
	raft_index commit = r->commit;

	/* The arrays need no clearing. */
	u->hard = u->role = u->release = u->released_quarantine = false;
	u->store_from = u->filled = 0;
	u->snapshot_to = 0;
	u->message_count = u->read_count = u->read_lost_count = 0;
	switch (ev->type) {
	case RAFT_TICK:
		tick(r, u, ev->now_ns);
		break;
	case RAFT_RECEIVE:
		receive(r, u, ev->message, ev->now_ns);
		break;
	case RAFT_PROPOSE:
		propose(r, u, ev->entry, ev->waiters);
		break;
	case RAFT_FLUSH:
		if (r->role == RAFT_LEADER)
			raft_flush_leader(r, u, ev->now_ns);
		else
			raft_flush_follower(r, u, ev->now_ns);
		break;
	case RAFT_STORED:
		stored(r, u, ev);
		break;
	case RAFT_HARD_STORED:
		if (ev->term > r->hard_stored)
			r->hard_stored = ev->term;
		raft_count_votes(r, u, ev->now_ns);
		break;
	case RAFT_READ:
		raft_read_begin(r, u, ev->node, ev->context, ev->now_ns);
		break;
	case RAFT_PEER_LOST:
		raft_peer_lost(r, ev->node);
		break;
	case RAFT_LACKS:
		raft_lacks(r, ev->node, ev->index);
		break;
	case RAFT_TRANSFER:
		transfer(r, ev->node, ev->now_ns);
		break;
	case RAFT_COMPACT:
		assert(ev->index <= r->commit);
		if (ev->index > r->log.start)
			raft_log_compact(&r->log, ev->index);
		if (r->missing && r->missing <= ev->index) /* the snapshot has what it did */
			r->missing = raft_find_missing(r, ev->index + 1);
		break;
	case RAFT_RESTORE:
		raft_restore(r, ev->index, ev->term);
		r->baseless = false;
		break;
	case RAFT_QUARANTINE:
		quarantine(r, u);
		break;
	case RAFT_FILL:
		raft_fill(r, u, ev->entry);
		break;
	}
	assert(r->term >= term && r->commit >= commit);
	assert(r->commit <= r->log.last);
}
