/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to raft/: raft.c has the roles and the step itself, election.c how a leader comes about, replicate.c how its
 * log reaches the others, what that commits, and reads. All change one struct raft and fill one update.
 */
#ifndef HF_RAFT_PRIVATE_H
#define HF_RAFT_PRIVATE_H

#include "raft/raft.h"

/* ---- small facts ---- */

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline unsigned quorum(const struct raft *r)
{
	return r->voter_count / 2u + 1;
}

static inline bool is_voter(const struct raft *r, uint8_t node)
{
	for (unsigned i = 0; i < r->voter_count; i++)
		if (r->voters[i] == node)
			return true;
	return false;
}

/* Up to here the own log is durable and whole: what an acknowledgement may claim. */
static inline raft_index solid(const struct raft *r)
{
	return r->missing && r->missing <= r->stored ? r->missing - 1 : r->stored;
}

/* 3.6.1: at least as up to date as ours. */
static inline bool up_to_date(const struct raft *r, raft_index last, raft_term last_term)
{
	raft_term own = raft_log_last_term(&r->log);

	return last_term > own || (last_term == own && last >= r->log.last);
}

/* The end of the promise that binds this follower: 0 if none does. */
static inline uint64_t promised_until(const struct raft *r, uint64_t now_ns)
{
	const struct support *s;

	if (!r->promise_to)
		return 0;
	s = &r->liveness->given[r->promise_to];
	return s->epoch == r->promise_epoch && s->until_ns > now_ns ? s->until_ns : 0;
}

/* The lowest entry at or behind `from` whose payload rotted; 0 none. */
raft_index raft_find_missing(const struct raft *r, raft_index from);

/* ---- raft.c ---- */

/* A message in the update, filled in but for its content. */
struct raft_message *raft_message_to(struct raft *r, struct raft_update *u, uint8_t node, uint8_t type);
/* To every other voter, with our last index and its term. */
void raft_send_to_all(struct raft *r, struct raft_update *u, uint8_t type, raft_term term, uint8_t flags);
void raft_become_follower(struct raft *r, struct raft_update *u, raft_term term, uint8_t leader);
void raft_become_leader(struct raft *r, struct raft_update *u, uint64_t now_ns);

/* ---- election.c ---- */

/* by: 0, RAFT_BY_TRANSFER or RAFT_BY_ROLL_CALL. */
void raft_become_candidate(struct raft *r, struct raft_update *u, uint64_t now_ns, uint8_t by);
/* Votes may have come, or our own become durable. */
void raft_count_votes(struct raft *r, struct raft_update *u, uint64_t now_ns);
void raft_receive_prevote(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns);
void raft_receive_prevote_reply(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns);
void raft_receive_vote(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns);
void raft_tick_follower(struct raft *r, struct raft_update *u, uint64_t now_ns);
void raft_tick_candidate(struct raft *r, struct raft_update *u, uint64_t now_ns);

/* ---- roll_call.c ---- */

void raft_tick_roll_call(struct raft *r, struct raft_update *u, uint64_t now_ns);
void raft_receive_report(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns);
/* All voters have reported, no majority of them could elect anybody, and this is the candidate that their reports choose. */
bool raft_chosen_by_roll_call(const struct raft *r, uint8_t node, raft_term term, uint64_t now_ns);

/* ---- replicate.c ---- */

void raft_lose_reads(struct raft *r, struct raft_update *u);
void raft_release_reads(struct raft *r, struct raft_update *u, uint64_t now_ns);
void raft_advance_commit(struct raft *r);
void raft_want_commit(struct raft *r, uint8_t node, raft_index index);
void raft_read_begin(struct raft *r, struct raft_update *u, uint8_t node, uint64_t context, uint64_t now_ns);
void raft_flush_leader(struct raft *r, struct raft_update *u, uint64_t now_ns);
void raft_flush_follower(struct raft *r, struct raft_update *u, uint64_t now_ns);
void raft_receive_append(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns);
void raft_receive_append_reply(struct raft *r, struct raft_update *u, const struct raft_message *m, uint64_t now_ns);
void raft_peer_lost(struct raft *r, uint8_t node);
void raft_lacks(struct raft *r, uint8_t node, raft_index index);
void raft_fill(struct raft *r, struct raft_update *u, struct entry *e);
void raft_restore(struct raft *r, raft_index index, raft_term term);
void raft_tick_leader(struct raft *r, struct raft_update *u, uint64_t now_ns);

#endif
