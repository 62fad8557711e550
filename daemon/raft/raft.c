/* SPDX-License-Identifier: Apache-2.0 */
/*
 *            promise ended,                    majority granted and
 *            own rank's turn                   their promises ended            majority voted
 *  FOLLOWER ----------------> PRECANDIDATE -------------------------> CANDIDATE -------------> LEADER
 *     ^                            |                                     |                        |
 *     `----- leader is heard ------+------- a higher term is seen -------+---- quorum is lost ----'
 *
 * Who writes what: term and vote change only in become_follower() and become_candidate(), role only in become_*(),
 * the log only in propose(), receive_append(), fill(), compact and restore, commit only in advance_commit()
 * (leader) and receive_append() (follower).
 */
#include "raft/raft.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"

#define RANK_DELAY_NS 12000000ull      /* between two successors: about a round trip with a journal write */
#define PREVOTE_RETRY_NS 25000000ull
#define ELECTION_NS 60000000ull        /* a campaign that won nothing is given up after this and up to twice it */
#define PROBE_RETRY_NS 50000000ull
#define REPROMISE_NS 150000000ull      /* a leader has this long to ask for a promise anew */
#define QUORUM_LOST_NS 300000000ull    /* CheckQuorum (6.2): a leader without a quorum's support steps down */
#define TRANSFER_NS 50000000ull        /* a successor that hasn't won after this isn't waited for */
#define APPEND_BYTES_MAX (1u << 20)
#define WINDOW_BYTES_MAX (16u << 20)   /* sent and not acknowledged, per follower */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- small facts ---- */

static unsigned quorum(const struct raft *r)
{
	return r->voter_count / 2u + 1;
}

static bool is_voter(const struct raft *r, uint8_t node)
{
	for (unsigned i = 0; i < r->voter_count; i++)
		if (r->voters[i] == node)
			return true;
	return false;
}

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

/* Up to here the own log is durable and whole: what an acknowledgement may claim. */
static raft_index solid(const struct raft *r)
{
	return r->missing && r->missing <= r->stored ? r->missing - 1 : r->stored;
}

static raft_index find_missing(const struct raft *r, raft_index from)
{
	for (raft_index i = from > r->log.start ? from : r->log.start + 1; i <= r->log.last; i++)
		if (raft_log_entry(&r->log, i)->missing)
			return i;
	return 0;
}

/* 3.6.1: at least as up to date as ours. */
static bool up_to_date(const struct raft *r, raft_index last, raft_term last_term)
{
	raft_term own = raft_log_last_term(&r->log);

	return last_term > own || (last_term == own && last >= r->log.last);
}

/* The end of the promise that binds this follower: 0 if none does. */
static uint64_t promised_until(const struct raft *r, uint64_t now_ns)
{
	const struct support *s;

	if (!r->promise_to)
		return 0;
	s = &r->liveness->given[r->promise_to];
	return s->epoch == r->promise_epoch && s->until_ns > now_ns ? s->until_ns : 0;
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

static struct raft_message *message_to(struct raft *r, struct raft_update *u, uint8_t node, uint8_t type)
{
	struct raft_message *m;

	assert(u->message_count < RAFT_MESSAGES_MAX);
	m = &u->messages[u->message_count++];
	*m = (struct raft_message){.type = type, .from = r->self, .to = node, .group = r->group, .term = r->term};
	return m;
}

static void send_to_all(struct raft *r, struct raft_update *u, uint8_t type, raft_term term, uint8_t flags)
{
	for (unsigned i = 0; i < r->voter_count; i++) {
		struct raft_message *m;

		if (r->voters[i] == r->self)
			continue;
		m = message_to(r, u, r->voters[i], type);
		m->term = term;
		m->flags = flags;
		m->index = r->log.last;
		m->log_term = raft_log_last_term(&r->log);
	}
}

/* ---- roles ---- */

static void lose_reads(struct raft *r, struct raft_update *u)
{
	for (uint32_t i = 0; i < r->read_count; i++)
		u->reads_lost[u->read_lost_count++] = r->reads[i].context;
	r->read_count = 0;
}

static void become_follower(struct raft *r, struct raft_update *u, raft_term term, uint8_t leader)
{
	assert(term >= r->term);
	if (r->role == RAFT_LEADER) {
		u->release = true;
		lose_reads(r, u);
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
	r->by_transfer = false;
}

static void become_leader(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	assert(r->role == RAFT_CANDIDATE && r->hard_stored == r->term && !r->missing && !r->quarantined);
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
	(void)now_ns;
}

static void count_votes(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	/* Its own vote counts once it is durable: else it could vote again in this term after a crash. */
	if (r->role == RAFT_CANDIDATE && r->hard_stored == r->term &&
	    (unsigned)__builtin_popcount(r->votes) >= quorum(r))
		become_leader(r, u, now_ns);
}

static void become_candidate(struct raft *r, struct raft_update *u, uint64_t now_ns, bool by_transfer)
{
	assert(!r->missing && !r->quarantined);
	r->role = RAFT_CANDIDATE;
	r->term++;
	r->vote = r->self;
	r->leader = RAFT_NO_NODE;
	r->promise_to = RAFT_NO_NODE; /* it has ended, or its receiver has renounced it */
	r->votes = 1u << r->self;
	r->by_transfer = by_transfer;
	r->retry_ns = now_ns + ELECTION_NS + rand_below(&r->random, ELECTION_NS);
	u->hard = true;
	u->role = true;
	send_to_all(r, u, RAFT_VOTE, r->term, by_transfer ? RAFT_BY_TRANSFER : 0);
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
	send_to_all(r, u, RAFT_PREVOTE, r->term + 1, 0);
}

/* A candidate raises its term only when the promises of a majority, its own included, have ended ([suspicion]). */
static void try_campaign(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	unsigned ready = 0;

	if (r->grant_ns[r->self] > now_ns || r->barred)
		return;
	for (unsigned i = 0; i < r->voter_count; i++) {
		uint8_t node = r->voters[i];

		ready += (r->votes & 1u << node) && r->grant_ns[node] <= now_ns;
	}
	if (ready >= quorum(r))
		become_candidate(r, u, now_ns, false);
}

/* ---- commit and reads ---- */

static void release_reads(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	uint32_t kept = 0;

	if (!r->read_count || r->commit < r->term_start)
		return;
	for (uint32_t i = 0; i < r->read_count; i++) {
		unsigned answered = 1;

		for (unsigned k = 0; k < r->voter_count; k++)
			answered += r->voters[k] != r->self && r->progress[r->voters[k]].round >= r->reads[i].round;
		if (answered >= quorum(r) || raft_lease(r, now_ns)) {
			u->reads[u->read_count++] = (struct raft_read){
				.context = r->reads[i].context,
				.index = r->reads[i].index > r->term_start ? r->reads[i].index : r->term_start,
			};
		} else {
			r->reads[kept++] = r->reads[i];
		}
	}
	r->read_count = kept;
}

/* 3.6.2: only an entry of the own term is committed by counting. */
static void advance_commit(struct raft *r)
{
	raft_index match[NODE_SLOTS], candidate;
	unsigned n = 0;

	for (unsigned i = 0; i < r->voter_count; i++) {
		raft_index m = r->voters[i] == r->self ? solid(r) : r->progress[r->voters[i]].match;
		unsigned at = n++;

		for (; at > 0 && match[at - 1] < m; at--)
			match[at] = match[at - 1];
		match[at] = m;
	}
	candidate = match[quorum(r) - 1];
	if (candidate <= r->commit || raft_log_term(&r->log, candidate) != r->term)
		return;
	assert(candidate <= r->log.last);
	r->commit = candidate;
	r->dirty = true;
}

static void want_commit(struct raft *r, uint8_t node, raft_index index)
{
	if (!is_voter(r, node) || node == r->self || r->progress[node].commit_wanted >= index)
		return;
	r->progress[node].commit_wanted = index;
	r->dirty = true;
}

static void read_begin(struct raft *r, struct raft_update *u, uint8_t node, uint64_t context, uint64_t now_ns)
{
	if (r->role != RAFT_LEADER || r->read_count == RAFT_READS_MAX) {
		u->reads_lost[u->read_lost_count++] = context;
		return;
	}
	want_commit(r, node, r->commit > r->term_start ? r->commit : r->term_start);
	if (r->commit >= r->term_start && raft_lease(r, now_ns)) {
		u->reads[u->read_count++] = (struct raft_read){.context = context, .index = r->commit};
		return;
	}
	/* 6.4: a round of messages sent after the read came, answered by a majority, shows that we led then. */
	r->reads[r->read_count].context = context;
	r->reads[r->read_count].round = ++r->round;
	r->reads[r->read_count].index = r->commit;
	r->read_count++;
	r->dirty = true;
	for (unsigned i = 0; i < r->voter_count; i++)
		r->progress[r->voters[i]].want_probe = true;
	release_reads(r, u, now_ns); /* a group of one */
}

/* ---- leader: sending ---- */

static void send_append(struct raft *r, struct raft_update *u, uint8_t node, raft_index last, uint8_t flags, uint64_t now_ns)
{
	struct raft_progress *p = &r->progress[node];
	struct raft_message *m = message_to(r, u, node, RAFT_APPEND);

	m->flags = flags;
	m->index = p->next - 1;
	m->log_term = raft_log_term(&r->log, p->next - 1);
	m->last = last;
	m->commit = r->commit;
	m->round = r->round;
	p->commit_sent = r->commit;
	p->want_commit = false;
	p->want_probe = false;
	if (p->confirm_round) { /* a round of the others that began after its report has been answered */
		unsigned answered = 1;

		for (unsigned k = 0; k < r->voter_count; k++)
			answered += r->voters[k] != r->self && r->voters[k] != node &&
				    r->progress[r->voters[k]].round >= p->confirm_round;
		if (answered >= quorum(r) && r->commit >= r->term_start)
			m->flags |= RAFT_CONFIRMED;
	}
	if (flags & RAFT_WANT_REPLY) {
		p->probe_ns = now_ns;
		p->asked_epoch = liveness_ours(r->liveness, node, now_ns);
	}
	if (p->state == PROGRESS_REPLICATE)
		p->next = last + 1;
}

/* How far one message may go: limited in bytes, but always at least one entry. */
static raft_index append_last(const struct raft *r, raft_index from)
{
	raft_index last = from;

	while (last < r->log.last && (last == from || raft_log_bytes(&r->log, from, last + 1) <= APPEND_BYTES_MAX))
		last++;
	return last;
}

static void flush_peer(struct raft *r, struct raft_update *u, uint8_t node, uint64_t now_ns)
{
	struct raft_progress *p = &r->progress[node];
	uint8_t flags = p->want_probe ? RAFT_WANT_REPLY : 0;

	if (p->state != PROGRESS_SNAPSHOT && p->next <= r->log.start) {
		p->state = PROGRESS_SNAPSHOT;
		p->probe_ns = now_ns;
		u->snapshot_to = node;
	}
	if (p->state == PROGRESS_SNAPSHOT)
		return;
	if (p->state == PROGRESS_PROBE) {
		if (p->want_probe)
			send_append(r, u, node, p->next - 1, RAFT_WANT_REPLY, now_ns);
		return;
	}
	if (p->next <= r->log.last) {
		raft_index from = p->match > r->log.start ? p->match : r->log.start;

		/* A few messages a turn; with the window full, the next acknowledgement brings us here again. */
		for (int burst = 0; burst < 2 && p->next <= r->log.last; burst++) {
			if (p->next - 1 > from && raft_log_bytes(&r->log, from, p->next - 1) > WINDOW_BYTES_MAX) {
				/* A new leader knows no match yet, so a long log looks like a full window: the question
				 * alone must leave, or no acknowledgement would ever open it. */
				if (flags)
					send_append(r, u, node, p->next - 1, flags, now_ns);
				return;
			}
			send_append(r, u, node, append_last(r, p->next - 1), flags, now_ns);
			flags = 0;
		}
		if (p->next <= r->log.last)
			r->dirty = true;
	} else if (flags || (p->commit_sent < r->commit && (p->commit_sent < p->commit_wanted || p->want_commit))) {
		/* A frame for the commit alone wakes its receiver: worth it only where somebody waits for it. */
		send_append(r, u, node, p->next - 1, flags, now_ns);
	}
}

static void flush_leader(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	r->dirty = false;
	for (unsigned i = 0; i < r->voter_count; i++)
		if (r->voters[i] != r->self)
			flush_peer(r, u, r->voters[i], now_ns);
	if (r->transfer_to && r->progress[r->transfer_to].match == r->log.last && !r->transfer_said) {
		(void)message_to(r, u, r->transfer_to, RAFT_TIMEOUT_NOW);
		r->transfer_said = true;
		r->reads_by_round = true; /* from here on the successor's lease may begin */
	}
}

/* ---- follower: acknowledging ---- */

static void send_append_reply(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	struct raft_message *m = message_to(r, u, r->leader, RAFT_APPEND_REPLY);
	raft_index claim = solid(r) < r->verified ? solid(r) : r->verified;

	m->needs_hard = true;
	m->flags = RAFT_GRANTED;
	m->round = r->round_seen;
	m->index = claim;
	if (r->quarantined) {
		m->flags |= RAFT_QUARANTINED;
	} else {
		/*
		 * This replaces a promise to an earlier leader, if one stands: a majority had none when it elected
		 * this one and is in a later term now, so ours alone can give that leader no lease.
		 */
		m->epoch = liveness_given(r->liveness, r->leader, now_ns);
		r->promise_epoch = m->epoch;
		r->promise_to = m->epoch ? r->leader : RAFT_NO_NODE;
	}
	r->acked = claim;
	r->reply_due = false;
}

static void flush_follower(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	raft_index claim = solid(r) < r->verified ? solid(r) : r->verified;

	r->dirty = false;
	if (r->leader && (r->reply_due || claim > r->acked))
		send_append_reply(r, u, now_ns);
}

static void receive_append(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	raft_index prev = m->index, last = m->index + m->entry_count, known;

	if (prev < r->log.start) {
		/* What a snapshot covers is committed and equal; look only at what lies behind it. */
		if (last < r->log.start) {
			r->reply_due |= (m->flags & RAFT_WANT_REPLY) != 0;
			r->verified = r->verified > r->log.start ? r->verified : r->log.start;
			r->dirty = true;
			return;
		}
	} else if (raft_log_term(&r->log, prev) != m->log_term) {
		/* 3.5 with a hint: the leader goes back behind our whole term of disagreement. */
		struct raft_message *reply = message_to(r, u, m->from, RAFT_APPEND_REPLY);
		raft_index hint = prev > r->log.last ? r->log.last + 1 : prev;
		raft_term bad = prev > r->log.last ? 0 : raft_log_term(&r->log, prev);

		while (bad && hint - 1 > r->log.start && hint - 1 > r->commit && raft_log_term(&r->log, hint - 1) == bad)
			hint--;
		reply->needs_hard = true;
		reply->index = hint ? hint - 1 : 0;
		reply->round = m->round;
		reply->flags = r->quarantined ? RAFT_QUARANTINED : 0;
		return;
	}
	for (uint32_t i = 0; i < m->entry_count; i++) {
		struct entry *e = m->entries[i];

		if (e->index <= r->log.start)
			continue;
		if (e->index <= r->log.last) {
			struct entry *own = raft_log_entry(&r->log, e->index);

			if (own->term == e->term) {
				if (own->missing && !u->filled && own->crc == e->crc) {
					raft_log_fill(&r->log, e);
					u->filled = e->index;
					r->missing = find_missing(r, r->missing);
				}
				continue;
			}
			assert(e->index > r->commit);
			raft_log_truncate(&r->log, e->index);
			if (r->stored >= e->index)
				r->stored = e->index - 1;
			if (r->missing >= e->index)
				r->missing = 0;
			if (r->verified >= e->index)
				r->verified = e->index - 1;
		}
		raft_log_append(&r->log, e);
		if (!u->store_from)
			u->store_from = e->index;
	}
	if (last > r->verified)
		r->verified = last;
	if (m->round > r->round_seen)
		r->round_seen = m->round;
	known = m->commit < r->verified ? m->commit : r->verified;
	if (known > r->commit)
		r->commit = known;
	if (m->flags & RAFT_CONFIRMED && r->quarantined && solid(r) >= m->commit && r->verified >= m->commit) {
		r->quarantined = false;
		u->released_quarantine = true;
		r->reply_due = true;
	}
	if (m->flags & RAFT_WANT_REPLY)
		r->reply_due = true;
	r->dirty = true;
	(void)now_ns;
}

/* ---- receiving ---- */

static void receive_prevote(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	struct raft_message *reply;
	uint64_t until = promised_until(r, now_ns);
	/* A leader that lost its quorum steps down by itself (CheckQuorum). */
	bool leader_gone = r->role != RAFT_LEADER &&
			   (!until || r->liveness->suspected[r->promise_to] || r->promise_to == m->from);

	if (r->promise_to == m->from)
		until = 0;
	reply = message_to(r, u, m->from, RAFT_PREVOTE_REPLY);
	reply->term = m->term;
	if (r->quarantined || !leader_gone || m->term <= r->term || !up_to_date(r, m->index, m->log_term)) {
		reply->term = r->term; /* a candidate that is behind in term learns it */
		return;
	}
	if (until < r->liveness->quiet_until_ns)
		until = r->liveness->quiet_until_ns;
	reply->flags = RAFT_GRANTED;
	reply->left_ns = until > now_ns ? until - now_ns : 0;
}

static void receive_prevote_reply(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	if (!(m->flags & RAFT_GRANTED)) {
		if (m->term > r->term)
			become_follower(r, u, m->term, RAFT_NO_NODE);
		return;
	}
	if (r->role != RAFT_PRECANDIDATE || m->term != r->term + 1)
		return;
	r->votes |= 1u << m->from;
	r->grant_ns[m->from] = m->left_ns ? after_promises(r, now_ns + m->left_ns) : now_ns;
	r->wake_ns = earlier(r->wake_ns, r->grant_ns[m->from]);
	try_campaign(r, u, now_ns);
}

static void receive_vote(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	struct raft_message *reply;
	uint64_t until = promised_until(r, now_ns);
	bool bound = now_ns < r->liveness->quiet_until_ns || (until && r->promise_to != m->from);

	if (r->role == RAFT_LEADER && raft_lease(r, now_ns))
		bound = true;
	if (m->flags & RAFT_BY_TRANSFER && now_ns >= r->liveness->quiet_until_ns)
		bound = false;
	if (m->term < r->term) {
		message_to(r, u, m->from, RAFT_VOTE_REPLY)->needs_hard = true;
		return;
	}
	if (bound || r->quarantined)
		return; /* 4.2.3: not even the term counts while a promise binds us */
	if (m->term > r->term || r->role == RAFT_PRECANDIDATE)
		become_follower(r, u, m->term, RAFT_NO_NODE);
	reply = message_to(r, u, m->from, RAFT_VOTE_REPLY);
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

static void receive_append_reply(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	struct raft_progress *p = &r->progress[m->from];

	if (r->role != RAFT_LEADER || m->term != r->term)
		return;
	if (m->flags & RAFT_QUARANTINED) {
		/* It counts for nothing, but it must catch up: treat its match as a place to send from. */
		if (!p->confirm_round) {
			p->confirm_round = ++r->round;
			for (unsigned i = 0; i < r->voter_count; i++)
				r->progress[r->voters[i]].want_probe = true;
		}
		if (m->flags & RAFT_GRANTED && p->state != PROGRESS_REPLICATE) {
			/* It may have taken over a snapshot, perhaps one that is too old again. */
			p->state = m->index >= r->log.start ? PROGRESS_REPLICATE : PROGRESS_PROBE;
			p->next = m->index + 1;
		} else if (!(m->flags & RAFT_GRANTED) && p->state != PROGRESS_SNAPSHOT) {
			p->state = PROGRESS_PROBE;
			p->next = m->index + 1 < p->next ? m->index + 1 : p->next;
			p->want_probe = true;
		}
		r->dirty = true;
		return;
	}
	p->confirm_round = 0;
	if (m->round > p->round)
		p->round = m->round;
	if (!(m->flags & RAFT_GRANTED)) {
		if (p->state == PROGRESS_SNAPSHOT || m->index >= p->next)
			return; /* late */
		p->state = PROGRESS_PROBE;
		p->next = (m->index > p->match ? m->index : p->match) + 1;
		p->want_probe = true;
		r->dirty = true;
		release_reads(r, u, now_ns);
		return;
	}
	p->epoch = m->epoch;
	if (m->index > p->match)
		p->match = m->index;
	assert(p->match <= r->log.last);
	if (p->state == PROGRESS_SNAPSHOT && p->match < r->log.start && m->index == p->match)
		p->state = PROGRESS_PROBE; /* the snapshot it took is too old already: the next flush finds that out */
	if (p->state != PROGRESS_REPLICATE && p->match >= r->log.start) {
		if (p->state == PROGRESS_PROBE || p->match >= p->next) {
			p->state = PROGRESS_REPLICATE;
			p->next = p->match + 1;
		}
	}
	if (p->next <= p->match)
		p->next = p->match + 1;
	advance_commit(r);
	release_reads(r, u, now_ns);
	if (p->next <= r->log.last || r->transfer_to == m->from)
		r->dirty = true;
}

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
		receive_prevote(r, u, m, now_ns);
		return;
	case RAFT_PREVOTE_REPLY:
		receive_prevote_reply(r, u, m, now_ns);
		return;
	case RAFT_VOTE:
		receive_vote(r, u, m, now_ns);
		return;
	case RAFT_VOTE_REPLY:
		if (m->term > r->term)
			become_follower(r, u, m->term, RAFT_NO_NODE);
		if (m->term == r->term && r->role == RAFT_CANDIDATE && m->flags & RAFT_GRANTED) {
			r->votes |= 1u << m->from;
			count_votes(r, u, now_ns);
		}
		return;
	case RAFT_APPEND:
		if (m->term < r->term) {
			struct raft_message *reply = message_to(r, u, m->from, RAFT_APPEND_REPLY);

			reply->needs_hard = true; /* the stale leader learns the term */
			return;
		}
		assert(m->term > r->term || r->role != RAFT_LEADER);
		if (m->term > r->term || r->role != RAFT_FOLLOWER || r->leader != m->from)
			become_follower(r, u, m->term, m->from);
		receive_append(r, u, m, now_ns);
		return;
	case RAFT_APPEND_REPLY:
		if (m->term > r->term)
			become_follower(r, u, m->term, RAFT_NO_NODE);
		receive_append_reply(r, u, m, now_ns);
		return;
	case RAFT_TIMEOUT_NOW:
		if (m->term == r->term && r->role == RAFT_FOLLOWER && r->leader == m->from && !r->missing &&
		    !r->quarantined && !r->barred && now_ns >= r->liveness->quiet_until_ns)
			become_candidate(r, u, now_ns, true);
		return;
	}
}

/* ---- time ---- */

static void tick_follower(struct raft *r, struct raft_update *u, uint64_t now_ns)
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
	}
	if (now_ns < r->campaign_ns) {
		r->wake_ns = earlier(r->wake_ns, r->campaign_ns);
		return;
	}
	if (r->missing || r->quarantined || r->barred) {
		r->campaign_ns = now_ns + ELECTION_NS;
		return;
	}
	start_prevote(r, u, now_ns);
	try_campaign(r, u, now_ns);
}

static void tick_candidate(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	if (r->role == RAFT_PRECANDIDATE) {
		if (r->leader && r->promise_to == r->leader && promised_until(r, now_ns) && !r->liveness->suspected[r->leader]) {
			become_follower(r, u, r->term, r->leader); /* it is heard again */
			return;
		}
		try_campaign(r, u, now_ns);
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

static void tick_leader(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	unsigned heard = 1;

	for (unsigned i = 0; i < r->voter_count; i++) {
		uint8_t node = r->voters[i];
		struct raft_progress *p = &r->progress[node];
		uint64_t epoch;

		if (node == r->self)
			continue;
		if (p->state == PROGRESS_REPLICATE && p->commit_sent < r->commit)
			p->want_commit = r->dirty = true;
		epoch = liveness_ours(r->liveness, node, now_ns);
		heard += epoch != 0;
		/* A new epoch ended the promise: ask for it anew. A lost probe is repeated. */
		if (epoch && p->state != PROGRESS_SNAPSHOT &&
		    ((p->epoch != epoch && (p->asked_epoch != epoch || now_ns >= p->probe_ns + PROBE_RETRY_NS)) ||
		     (p->state == PROGRESS_PROBE && now_ns >= p->probe_ns + PROBE_RETRY_NS) ||
		     (p->confirm_round && now_ns >= p->probe_ns + PROBE_RETRY_NS))) {
			p->want_probe = true;
			r->dirty = true;
		}
	}
	if (heard >= quorum(r)) {
		r->quorum_lost_ns = 0;
	} else if (!r->quorum_lost_ns) {
		r->quorum_lost_ns = now_ns;
	} else if (now_ns >= r->quorum_lost_ns + QUORUM_LOST_NS) {
		become_follower(r, u, r->term, RAFT_NO_NODE);
		return;
	}
	if (r->quorum_lost_ns)
		r->wake_ns = earlier(r->wake_ns, r->quorum_lost_ns + QUORUM_LOST_NS);
	if (r->transfer_to && now_ns >= r->transfer_ns)
		r->transfer_to = RAFT_NO_NODE;
	release_reads(r, u, now_ns);
}

static void tick(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	r->wake_ns = UINT64_MAX;
	if (r->role == RAFT_LEADER)
		tick_leader(r, u, now_ns);
	else if (r->role == RAFT_FOLLOWER)
		tick_follower(r, u, now_ns);
	if (r->role == RAFT_PRECANDIDATE || r->role == RAFT_CANDIDATE)
		tick_candidate(r, u, now_ns);
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

/* ---- the rest ---- */

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
	r->missing = find_missing(r, r->log.start + 1);
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
			want_commit(r, r->voters[i], e->index);
}

static void stored(struct raft *r, struct raft_update *u, const struct raft_event *ev)
{
	if (ev->index <= r->stored || raft_log_term(&r->log, ev->index) != ev->term)
		return; /* overwritten meanwhile: what replaced it will be stored later */
	r->stored = ev->index;
	if (r->role == RAFT_LEADER) {
		advance_commit(r);
		release_reads(r, u, ev->now_ns);
	} else {
		r->dirty = true;
	}
}

static void peer_lost(struct raft *r, uint8_t node)
{
	struct raft_progress *p = &r->progress[node];

	if (r->role != RAFT_LEADER || !is_voter(r, node) || node == r->self)
		return;
	p->state = PROGRESS_PROBE;
	p->next = p->match + 1 > r->log.start ? p->match + 1 : r->log.last + 1;
	if (p->next <= r->log.start)
		p->next = r->log.last + 1;
	p->want_probe = true;
	r->dirty = true;
}

static void fill(struct raft *r, struct raft_update *u, struct entry *e)
{
	struct entry *own;

	if (e->index <= r->log.start || e->index > r->log.last)
		return;
	own = raft_log_entry(&r->log, e->index);
	if (!own->missing || own->term != e->term || own->crc != e->crc)
		return;
	raft_log_fill(&r->log, e);
	u->filled = e->index;
	r->missing = find_missing(r, r->missing);
	r->reply_due |= r->role == RAFT_FOLLOWER;
	r->dirty = true;
}

static void restore(struct raft *r, raft_index index, raft_term term)
{
	if (index <= r->log.start)
		return;
	if (raft_log_term(&r->log, index) == term) { /* the log goes on behind the snapshot */
		raft_log_compact(&r->log, index);
	} else {
		raft_log_reset(&r->log, index, term);
	}
	if (r->commit < index)
		r->commit = index;
	if (r->stored < index || r->stored > r->log.last)
		r->stored = index;
	if (r->verified < index)
		r->verified = index;
	r->missing = find_missing(r, index + 1);
	r->reply_due |= r->role == RAFT_FOLLOWER;
	r->dirty = true;
}

void raft_step(struct raft *r, const struct raft_event *ev, struct raft_update *u)
{
	raft_term term = r->term;
	raft_index commit = r->commit;

	/* The arrays need no clearing. */
	u->hard = u->role = u->release = u->released_quarantine = false;
	u->store_from = u->filled = 0;
	u->snapshot_to = RAFT_NO_NODE;
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
			flush_leader(r, u, ev->now_ns);
		else
			flush_follower(r, u, ev->now_ns);
		break;
	case RAFT_STORED:
		stored(r, u, ev);
		break;
	case RAFT_HARD_STORED:
		if (ev->term > r->hard_stored)
			r->hard_stored = ev->term;
		count_votes(r, u, ev->now_ns);
		break;
	case RAFT_READ:
		read_begin(r, u, ev->node, ev->context, ev->now_ns);
		break;
	case RAFT_PEER_LOST:
		peer_lost(r, ev->node);
		break;
	case RAFT_TRANSFER:
		transfer(r, ev->node, ev->now_ns);
		break;
	case RAFT_COMPACT:
		assert(ev->index <= r->commit);
		if (ev->index > r->log.start)
			raft_log_compact(&r->log, ev->index);
		break;
	case RAFT_RESTORE:
		restore(r, ev->index, ev->term);
		break;
	case RAFT_FILL:
		fill(r, u, ev->entry);
		break;
	}
	assert(r->term >= term && r->commit >= commit);
	assert(r->commit <= r->log.last);
}
