/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roll call ([damaged]): what a group does when so many of its replicas may have lost record headers that no
 * majority is left that could elect a leader by its own knowledge.
 *
 * A quarantined replica that has been without a leader for a while reports what is left of its log to everybody; who
 * hears that and has no leader either reports, too. Only once *all* voters have reported, lately, and fewer than a
 * quorum of them are intact, is there an answer: the most up-to-date history. A missing voter might hold a later one,
 * so without it the group waits, and status says for whom. Everybody works the choice out from the same reports:
 * only the chosen one campaigns, in a term above every reported one, and only for it do quarantined voters vote.
 * Its log is the group's from then on, so whoever takes its entries is out of quarantine.
 *
 * While no leader can be elected logs don't grow, so a report that is a little old can only show too much; and a
 * chosen log that still lacks a payload is repaired first, from any copy of the same index and term.
 */
#include "raft/private.h"

#include <assert.h>

#define ROLL_CALL_NS 300000000ull    /* without a leader for so long: an election by the intact would be over */
#define REPORT_EVERY_NS 100000000ull
#define REPORT_FRESH_NS 1000000000ull

static struct raft_report own_report(const struct raft *r, uint64_t now_ns)
{
	return (struct raft_report){
		.heard_ns = now_ns,
		.term = r->term,
		.log_term = raft_log_last_term(&r->log),
		.last = r->log.last,
		.intact = !r->quarantined,
		.baseless = r->baseless,
		.missing = r->missing != 0,
	};
}

static struct raft_report report_of(const struct raft *r, uint8_t node, uint64_t now_ns)
{
	return node == r->self ? own_report(r, now_ns) : r->reports[node];
}

static bool fresh(const struct raft_report *report, uint64_t now_ns)
{
	return report->heard_ns && now_ns < report->heard_ns + REPORT_FRESH_NS;
}

static bool leaderless(const struct raft *r, uint64_t now_ns)
{
	return r->role != RAFT_LEADER && !promised_until(r, now_ns) && now_ns >= r->liveness->quiet_until_ns;
}

/* a's history is the better one to go on with. */
static bool better(const struct raft_report *a, const struct raft_report *b)
{
	if (a->baseless != b->baseless)
		return b->baseless;
	if (a->log_term != b->log_term)
		return a->log_term > b->log_term;
	if (a->last != b->last)
		return a->last > b->last;
	/* What it lacks may stand in nobody's log any more, only in snapshots, and another one has the same history whole. */
	if (a->missing != b->missing)
		return b->missing;
	return a->intact && !b->intact;
}

/* Who leads by the reports, and the highest term among them; RAFT_NO_NODE while there is no answer. */
static uint8_t chosen(const struct raft *r, uint64_t now_ns, raft_term *ret_term)
{
	struct raft_report best = {0};
	uint8_t node = RAFT_NO_NODE;
	unsigned intact = 0;

	*ret_term = 0;
	for (unsigned i = 0; i < r->voter_count; i++) {
		struct raft_report report = report_of(r, r->voters[i], now_ns);

		if (!fresh(&report, now_ns))
			return RAFT_NO_NODE;
		intact += report.intact;
		if (report.term > *ret_term)
			*ret_term = report.term;
		if (!node || better(&report, &best)) { /* of equals, the first */
			best = report;
			node = r->voters[i];
		}
	}
	/* Nobody left who knows where the group stood: an empty log would be loss without a word. */
	if (best.baseless || (!best.last && *ret_term))
		return RAFT_NO_NODE;
	return intact < quorum(r) ? node : RAFT_NO_NODE;
}

bool raft_chosen_by_roll_call(const struct raft *r, uint8_t node, raft_term term, uint64_t now_ns)
{
	raft_term highest;

	return leaderless(r, now_ns) && chosen(r, now_ns, &highest) == node && term > highest;
}

static bool quarantine_heard(const struct raft *r, uint64_t now_ns)
{
	bool any = r->quarantined;

	for (unsigned i = 0; i < r->voter_count; i++)
		any |= fresh(&r->reports[r->voters[i]], now_ns) && !r->reports[r->voters[i]].intact;
	return any;
}

unsigned raft_waits_for(const struct raft *r, uint64_t now_ns)
{
	unsigned waits = 0;

	if (!leaderless(r, now_ns) || !r->report_ns || !quarantine_heard(r, now_ns))
		return 0;
	for (unsigned i = 0; i < r->voter_count; i++) {
		struct raft_report report = report_of(r, r->voters[i], now_ns);

		if (!fresh(&report, now_ns))
			waits |= 1u << r->voters[i];
	}
	return waits;
}

static void report_to(struct raft *r, struct raft_update *u, uint8_t node)
{
	struct raft_message *m = raft_message_to(r, u, node, RAFT_REPORT);

	m->term = r->term + 1;
	m->index = r->log.last;
	m->log_term = raft_log_last_term(&r->log);
	m->flags = (uint8_t)((r->quarantined ? RAFT_QUARANTINED : 0) | (r->baseless ? RAFT_BASELESS : 0) | (r->missing ? RAFT_MISSING : 0));
}

void raft_receive_report(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns)
{
	if (!leaderless(r, now_ns))
		return; /* its leader will bring it up to date */
	r->reports[m->from] = (struct raft_report){
		.heard_ns = now_ns,
		.term = m->term - 1,
		.log_term = m->log_term,
		.last = m->index,
		.intact = !(m->flags & RAFT_QUARANTINED),
		.baseless = (m->flags & RAFT_BASELESS) != 0,
		.missing = (m->flags & RAFT_MISSING) != 0,
	};
	(void)u;
}

void raft_tick_roll_call(struct raft *r, struct raft_update *u, uint64_t now_ns)
{
	raft_term highest;

	if (!leaderless(r, now_ns)) {
		r->report_ns = 0;
		return;
	}
	if (!r->report_ns)
		r->report_ns = now_ns + ROLL_CALL_NS;
	if (now_ns < r->report_ns || !quarantine_heard(r, now_ns))
		return;
	r->report_ns = now_ns + REPORT_EVERY_NS;
	for (unsigned i = 0; i < r->voter_count; i++)
		if (r->voters[i] != r->self)
			report_to(r, u, r->voters[i]);
	if (chosen(r, now_ns, &highest) != r->self || r->missing || (r->role == RAFT_CANDIDATE && r->by_roll_call))
		return;
	if (r->term < highest)
		raft_become_follower(r, u, highest, RAFT_NO_NODE);
	raft_become_candidate(r, u, now_ns, RAFT_BY_ROLL_CALL);
}
