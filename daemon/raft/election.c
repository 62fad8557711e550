/* SPDX-License-Identifier: Apache-2.0 */
/* How a leader comes about: PreVote with what is left of promises ([suspicion]), votes, and when to ask for them. */
#include "raft/private.h"

#include <assert.h>

#include "base/hash.h"

#define RANK_DELAY_NS 12000000ull      /* between two successors: about a round trip with a journal write */
#define BARRED_DELAY_NS 1000000000ull  /* so long a node that had better not lead leaves it to the others */
#define PREVOTE_RETRY_NS 25000000ull
#define ELECTION_NS 60000000ull        /* a campaign that won nothing is given up after this and up to twice it */
#define REPROMISE_NS 150000000ull      /* a leader has this long to ask for a promise anew */

/* ---- campaigning ---- */

void raft_become_candidate(struct raft *r, struct raft_update *u, uint64_t now_ns, uint8_t by)
{
	assert(!r->missing && (!r->quarantined || by == RAFT_BY_ROLL_CALL));
	r->role = RAFT_CANDIDATE;
	r->term++;
	r->vote = r->self;
	r->leader = RAFT_NO_NODE;
	r->promise_to = RAFT_NO_NODE; /* it has ended, or its receiver has renounced it */
	r->votes = 1u << r->self;
	r->by_transfer = by == RAFT_BY_TRANSFER;
	r->by_roll_call = by == RAFT_BY_ROLL_CALL;
	r->retry_ns = now_ns + ELECTION_NS + rand_below(&r->random, ELECTION_NS);
	u->hard = true;
	u->role = true;
	raft_send_to_all(r, u, RAFT_VOTE, r->term, by);
}

void raft_count_votes(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	/* Its own vote counts once it is durable: else it could vote again in this term after a crash. */
	if (r->role == RAFT_CANDIDATE && r->hard_stored == r->term &&
	    (unsigned)__builtin_popcount(r->votes) >= quorum(r))
		raft_become_leader(r, u, now_ns);
}

/*
 * Promises to one leader end everywhere in the same instant: the successors that waited for that keep their order,
 * else they would split the vote.
 */
static uint64_t after_promises(const struct raft *r, uint64_t end_ns)
{
	return end_ns + raft_rank(r, r->lost_leader) * RANK_DELAY_NS;
}

static void start_prevote(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	uint64_t own = promised_until(r, now_ns);

	r->role = RAFT_PRECANDIDATE;
	r->votes = 1u << r->self;
	if (own)
		own = after_promises(r, own);
	r->grant_ns[r->self] = own > r->liveness->quiet_until_ns ? own : r->liveness->quiet_until_ns;
	r->retry_ns = now_ns + PREVOTE_RETRY_NS + rand_below(&r->random, PREVOTE_RETRY_NS / 4);
	u->role = true;
	raft_send_to_all(r, u, RAFT_PREVOTE, r->term + 1, 0);
}

/* A candidate raises its term only when the promises of a majority, its own included, have ended ([suspicion]). */
static void try_campaign(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	unsigned ready = 0;

	if (r->grant_ns[r->self] > now_ns)
		return;
	for (unsigned i = 0; i < r->voter_count; i++) {
		uint8_t node = r->voters[i];

		ready += (r->votes & 1u << node) && r->grant_ns[node] <= now_ns;
	}
	if (ready >= quorum(r))
		raft_become_candidate(r, u, now_ns, 0);
}

/* ---- voting ---- */

void raft_receive_prevote(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	struct raft_message *reply;
	uint64_t until = promised_until(r, now_ns);
	/* A leader that lost its quorum steps down by itself (CheckQuorum). */
	bool leader_gone = r->role != RAFT_LEADER &&
			   (!until || r->liveness->suspected[r->promise_to] || r->promise_to == m->from);

	if (r->promise_to == m->from)
		until = 0;
	if (r->quarantined || !leader_gone || m->term <= r->term || !up_to_date(r, m->index, m->log_term)) {
		if (r->term) /* a candidate that is behind in it learns it */
			raft_message_to(r, u, m->from, RAFT_PREVOTE_REPLY)->term = r->term;
		return;
	}
	reply = raft_message_to(r, u, m->from, RAFT_PREVOTE_REPLY);
	reply->term = m->term;
	if (until < r->liveness->quiet_until_ns)
		until = r->liveness->quiet_until_ns;
	reply->flags = RAFT_GRANTED;
	reply->left_ns = until > now_ns ? until - now_ns : 0;
}

void raft_receive_prevote_reply(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	if (!(m->flags & RAFT_GRANTED)) {
		if (m->term > r->term)
			raft_become_follower(r, u, m->term, RAFT_NO_NODE);
		return;
	}
	if (r->role != RAFT_PRECANDIDATE || m->term != r->term + 1)
		return;
	r->votes |= 1u << m->from;
	r->grant_ns[m->from] = m->left_ns ? after_promises(r, now_ns + m->left_ns) : now_ns;
	r->wake_ns = earlier(r->wake_ns, r->grant_ns[m->from]);
	try_campaign(r, u, now_ns);
}

void raft_receive_vote(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	struct raft_message *reply;
	uint64_t until = promised_until(r, now_ns);
	bool bound = now_ns < r->liveness->quiet_until_ns || (until && r->promise_to != m->from);

	if (r->role == RAFT_LEADER && raft_lease(r, now_ns))
		bound = true;
	if (m->flags & RAFT_BY_TRANSFER && now_ns >= r->liveness->quiet_until_ns)
		bound = false;
	if (m->term < r->term) {
		raft_message_to(r, u, m->from, RAFT_VOTE_REPLY)->needs_hard = true;
		return;
	}
	if (bound || (r->quarantined && !(m->flags & RAFT_BY_ROLL_CALL && raft_chosen_by_roll_call(r, m->from, m->term, now_ns))))
		return; /* 4.2.3: not even the term counts while a promise binds us */
	if (m->term > r->term || r->role == RAFT_PRECANDIDATE)
		raft_become_follower(r, u, m->term, RAFT_NO_NODE);
	reply = raft_message_to(r, u, m->from, RAFT_VOTE_REPLY);
	reply->needs_hard = true;
	if ((r->vote && r->vote != m->from) || r->leader || !up_to_date(r, m->index, m->log_term))
		return;
	if (!r->vote) {
		r->vote = m->from;
		u->hard = true;
	}
	reply->flags = RAFT_GRANTED;
	/* Whoever has our vote gets the time to win with it. */
	r->leaderless_ns = now_ns;
	r->campaign_ns = now_ns + ELECTION_NS + rand_below(&r->random, ELECTION_NS);
}

/* ---- time ---- */

void raft_tick_follower(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	bool bound = r->promise_to == r->leader && promised_until(r, now_ns) != 0;
	bool gone = !r->leader || r->liveness->suspected[r->leader];

	if (bound && !gone) {
		r->leaderless_ns = 0;
		r->campaign_ns = 0;
		return;
	}
	if (!r->leaderless_ns)
		r->leaderless_ns = now_ns;
	/* A leader whose node is still heard may only have to ask for our promise again. */
	if (!gone && liveness_given(r->liveness, r->leader, now_ns) && now_ns < r->leaderless_ns + REPROMISE_NS) {
		r->wake_ns = earlier(r->wake_ns, r->leaderless_ns + REPROMISE_NS);
		return;
	}
	if (!r->campaign_ns) {
		r->lost_leader = r->leader;
		r->campaign_ns = now_ns + raft_rank(r, r->leader) * RANK_DELAY_NS;
		if (r->liveness->quiet_until_ns > now_ns) /* just started: let an elected leader speak first */
			r->campaign_ns = r->liveness->quiet_until_ns + raft_rank(r, RAFT_NO_NODE) * RANK_DELAY_NS;
		if (r->barred)
			r->campaign_ns += BARRED_DELAY_NS;
	}
	if (now_ns < r->campaign_ns) {
		r->wake_ns = earlier(r->wake_ns, r->campaign_ns);
		return;
	}
	if (r->missing || r->quarantined) {
		r->campaign_ns = now_ns + ELECTION_NS;
		return;
	}
	start_prevote(r, u, now_ns);
	try_campaign(r, u, now_ns);
}

void raft_tick_candidate(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	if (r->role == RAFT_PRECANDIDATE) {
		if (r->leader && r->promise_to == r->leader && promised_until(r, now_ns) && !r->liveness->suspected[r->leader]) {
			raft_become_follower(r, u, r->term, r->leader); /* it is heard again */
			return;
		}
		try_campaign(r, u, now_ns);
	}
	if (now_ns >= r->retry_ns && r->by_roll_call && r->role == RAFT_CANDIDATE) {
		raft_become_follower(r, u, r->term, RAFT_NO_NODE); /* the next report tries again */
		return;
	}
	if (now_ns >= r->retry_ns && (r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE)) {
		start_prevote(r, u, now_ns);
		try_campaign(r, u, now_ns);
	}
	r->wake_ns = earlier(r->wake_ns, r->retry_ns);
	if (r->role != RAFT_PRECANDIDATE)
		return;
	for (unsigned i = 0; i < r->voter_count; i++)
		if (r->votes & 1u << r->voters[i] && r->grant_ns[r->voters[i]] > now_ns)
			r->wake_ns = earlier(r->wake_ns, r->grant_ns[r->voters[i]]);
}
