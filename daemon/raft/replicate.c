/* SPDX-License-Identifier: Apache-2.0 */
/* A leader's log on its way to the other voters (dissertation, 3.5 and 10.2), what that commits, and ReadIndex (6.4). */
#include "raft/private.h"

#include <assert.h>

#define PROBE_RETRY_NS 50000000ull
#define QUORUM_LOST_NS 300000000ull    /* CheckQuorum (6.2): a leader without a quorum's support steps down */
#define APPEND_BYTES_MAX (1u << 20)
#define WINDOW_BYTES_MAX (16u << 20)   /* sent and not acknowledged, per follower */

/* ---- commit and reads ---- */

void raft_lose_reads(struct raft *r, struct raft_update *u)
{
	for (uint32_t i = 0; i < r->read_count; i++)
		u->reads_lost[u->read_lost_count++] = r->reads[i].context;
	r->read_count = 0;
}

void raft_release_reads(struct raft *r, struct raft_update *u, uint64_t now_ns)
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
void raft_advance_commit(struct raft *r)
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

void raft_want_commit(struct raft *r, uint8_t node, raft_index index)
{
	if (!is_voter(r, node) || node == r->self || r->progress[node].commit_wanted >= index)
		return;
	r->progress[node].commit_wanted = index;
	r->dirty = true;
}

void raft_read_begin(struct raft *r, struct raft_update *u, uint8_t node, uint64_t context, uint64_t now_ns)
{
	if (r->role != RAFT_LEADER || r->read_count == RAFT_READS_MAX) {
		u->reads_lost[u->read_lost_count++] = context;
		return;
	}
	raft_want_commit(r, node, r->commit > r->term_start ? r->commit : r->term_start);
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
	raft_release_reads(r, u, now_ns); /* a group of one */
}

/* ---- leader: sending ---- */

/* After a roll call: who has followed so far holds the chosen history, and all that it has acknowledged to this leader since. */
static bool makes_whole(const struct raft *r, const struct raft_progress *p, raft_index last)
{
	return r->by_roll_call && last + 1 >= r->term_start && last >= p->match;
}

static void send_append(struct raft *r, struct raft_update *u, uint8_t node, raft_index last, uint8_t flags, uint64_t now_ns)
{
	struct raft_progress *p = &r->progress[node];
	struct raft_message *m = raft_message_to(r, u, node, RAFT_APPEND);

	m->flags = flags | (makes_whole(r, p, last) ? RAFT_BY_ROLL_CALL : 0);
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
		u->snapshot_to |= 1u << node;
	}
	if (p->state == PROGRESS_SNAPSHOT)
		return;
	if (p->state == PROGRESS_PROBE) {
		if (p->want_probe)
			send_append(r, u, node, p->next - 1, RAFT_WANT_REPLY, now_ns);
		return;
	}
	if (p->next <= r->log.last) {
		raft_index from = p->arrived > r->log.start ? p->arrived : r->log.start;

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

void raft_flush_leader(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	r->dirty = false;
	for (unsigned i = 0; i < r->voter_count; i++)
		if (r->voters[i] != r->self)
			flush_peer(r, u, r->voters[i], now_ns);
	if (r->transfer_to && r->progress[r->transfer_to].match == r->log.last && !r->transfer_said) {
		(void)raft_message_to(r, u, r->transfer_to, RAFT_TIMEOUT_NOW);
		r->transfer_said = true;
		r->reads_by_round = true; /* from here on the successor's lease may begin */
	}
}

void raft_receive_append_reply(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
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
		p->arrived = m->flags & RAFT_GRANTED ? m->index : 0;
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
		raft_release_reads(r, u, now_ns);
		return;
	}
	p->epoch = m->epoch;
	if (m->index > p->match)
		p->match = m->index;
	p->arrived = p->match;
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
	raft_advance_commit(r);
	raft_release_reads(r, u, now_ns);
	if (p->next <= r->log.last || r->transfer_to == m->from)
		r->dirty = true;
}

void raft_peer_lost(struct raft *r, uint8_t node)
{
	struct raft_progress *p = &r->progress[node];

	if (r->role != RAFT_LEADER || !is_voter(r, node) || node == r->self)
		return;
	p->state = PROGRESS_PROBE;
	p->next = p->match + 1 > r->log.start ? p->match + 1 : r->log.last + 1;
	if (p->next <= r->log.start)
		p->next = r->log.last + 1;
	p->want_probe = true;
	p->confirm_round = 0; /* it may come back with less than it had at that round */
	r->dirty = true;
}

/*
 * A follower whose payload rotted has all heads, so what is sent to it fits, and it never says otherwise; but when we have
 * compacted our log it gets that payload from a snapshot only. Asked once, another node may still have it, which is less.
 */
void raft_lacks(struct raft *r, uint8_t node, raft_index index)
{
	struct raft_progress *p = &r->progress[node];

	if (r->role != RAFT_LEADER || !is_voter(r, node) || node == r->self || p->state == PROGRESS_SNAPSHOT || index > r->log.start)
		return;
	if (p->lacks == index) {
		p->state = PROGRESS_PROBE;
		p->next = index; /* the next flush finds that it is gone */
		r->dirty = true;
	}
	p->lacks = index;
}

void raft_tick_leader(struct raft *r, struct raft_update *u, uint64_t now_ns)
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
		heard += epoch && !p->confirm_round; /* with the damaged alone nothing can be committed: [damaged] */
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
		raft_become_follower(r, u, r->term, RAFT_NO_NODE);
		return;
	}
	if (r->quorum_lost_ns)
		r->wake_ns = earlier(r->wake_ns, r->quorum_lost_ns + QUORUM_LOST_NS);
	if (r->transfer_to && now_ns >= r->transfer_ns)
		r->transfer_to = RAFT_NO_NODE;
	raft_release_reads(r, u, now_ns);
}

/* ---- follower: taking and acknowledging ---- */

static void send_append_reply(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	struct raft_message *m = raft_message_to(r, u, r->leader, RAFT_APPEND_REPLY);
	raft_index claim = solid(r) < r->verified ? solid(r) : r->verified;

	m->needs_hard = true;
	m->flags = RAFT_GRANTED;
	m->round = r->round_seen;
	m->index = claim;
	if (r->quarantined) {
		m->flags |= RAFT_QUARANTINED;
	} else {
		uint64_t epoch = liveness_given(r->liveness, r->leader, now_ns);

		/*
		 * This replaces a promise to an earlier leader, if one stands: a majority had none when it elected
		 * this one and is in a later term now, so ours alone can give that leader no lease. Since the epoch in
		 * which it was last heard to lead it may have stopped: then nothing is promised until it asks.
		 */
		m->epoch = epoch == r->led_epoch ? epoch : 0;
		r->promise_epoch = m->epoch;
		r->promise_to = m->epoch ? r->leader : RAFT_NO_NODE;
	}
	r->acked = claim;
	r->reply_due = false;
}

void raft_flush_follower(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	raft_index claim = solid(r) < r->verified ? solid(r) : r->verified;

	r->dirty = false;
	if (r->leader && (r->reply_due || claim > r->acked))
		send_append_reply(r, u, now_ns);
}

raft_index raft_find_missing(const struct raft *r, raft_index from)
{
	for (raft_index i = from > r->log.start ? from : r->log.start + 1; i <= r->log.last; i++)
		if (raft_log_entry(&r->log, i)->missing)
			return i;
	return 0;
}

void raft_receive_append(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	raft_index prev = m->index, last = m->index + m->entry_count, known;

	r->led_epoch = liveness_given(r->liveness, m->from, now_ns);
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
		struct raft_message *reply = raft_message_to(r, u, m->from, RAFT_APPEND_REPLY);
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
					r->missing = raft_find_missing(r, r->missing);
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
	if (r->quarantined && (m->flags & RAFT_BY_ROLL_CALL ||
			       (m->flags & RAFT_CONFIRMED && solid(r) >= m->commit && r->verified >= m->commit))) {
		r->quarantined = r->baseless = false;
		u->released_quarantine = true;
		r->reply_due = true;
	}
	if (m->flags & RAFT_WANT_REPLY)
		r->reply_due = true;
	r->dirty = true;
}

void raft_fill(struct raft *r, struct raft_update *u, struct entry *e)
{
	struct entry *own;

	if (e->index <= r->log.start || e->index > r->log.last)
		return;
	own = raft_log_entry(&r->log, e->index);
	if (!own->missing || own->term != e->term || own->crc != e->crc)
		return;
	raft_log_fill(&r->log, e);
	u->filled = e->index;
	r->missing = raft_find_missing(r, r->missing);
	r->reply_due |= r->role == RAFT_FOLLOWER;
	r->dirty = true;
}

void raft_restore(struct raft *r, raft_index index, raft_term term)
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
	r->missing = raft_find_missing(r, index + 1);
	r->reply_due |= r->role == RAFT_FOLLOWER;
	r->dirty = true;
}
