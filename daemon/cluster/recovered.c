/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/recovered.h"

void recovered_init(struct recovered *r, uint32_t group)
{
	*r = (struct recovered){.group = group};
	raft_log_init(&r->log);
}

void recovered_fini(struct recovered *r)
{
	raft_log_fini(&r->log);
}

static void take_start(struct recovered *r, raft_index index, raft_term term)
{
	struct raft_log *log = &r->log;

	if (!index && r->start) { /* the snapshot was lost, and with it what the log rested upon: it began anew */
		r->start = r->start_term = 0;
		raft_log_reset_all(log);
	}
	if (index >= r->start) {
		r->start = index;
		r->start_term = term;
	}
	if (index == log->start)
		log->start_term = term;
	/* Of a log whose beginning was lost the term may be 0, as of what no log has. */
	if (index > log->start && index <= log->last && raft_log_term(log, index) == term)
		raft_log_compact(log, index);
	else if (index > log->start)
		raft_log_reset(log, index, term);
	if (index == log->last)
		r->broken = false;
}

/* Two logs that hold the same entry are the same up to there. */
static void take_held(struct recovered *r, raft_index index, raft_term term)
{
	struct raft_log *log = &r->log;

	if (index < r->start)
		return;
	if (index == log->start && !log->start_term)
		log->start_term = term;
	if (r->broken) {
		if (index < log->start)
			raft_log_reset(log, index, term);
		else if (raft_log_term(log, index) == term && index <= log->last)
			raft_log_truncate(log, index + 1);
		else
			return;
		r->broken = false;
	} else if (index > log->last && log->last == log->start) {
		raft_log_reset(log, index, term); /* as where an entry is the first that is left */
	} else if (index >= log->start && raft_log_term(log, index) != term) {
		r->broken = true;
	}
}

static void take_entry(struct recovered *r, struct entry *e)
{
	struct raft_log *log = &r->log;

	if (e->index <= r->start || r->broken)
		return;
	/*
	 * The oldest segment may begin behind its own JOURNAL_START, since what lay between went with freed segments: a
	 * later JOURNAL_START tells that it was dead. Until then the log starts here, without knowing a term. It starts
	 * earlier if earlier entries come after all: the leader sent them again when heads had been lost.
	 */
	if (e->index <= log->start || (e->index > log->last + 1 && log->last == log->start))
		raft_log_reset(log, e->index - 1, e->index - 1 == r->start ? r->start_term : 0);
	if (e->index <= log->last)
		raft_log_truncate(log, e->index);
	if (e->index == log->last + 1 && e->term >= raft_log_last_term(log))
		raft_log_append(log, e);
	else
		r->broken = true;
}

static void take_repair(struct recovered *r, struct entry *e)
{
	struct raft_log *log = &r->log;

	if (raft_log_term(log, e->index) == e->term && e->index > log->start && raft_log_entry(log, e->index)->missing && !e->missing)
		raft_log_fill(log, e);
}

void recovered_take(struct recovered *r, const struct journal_record *record)
{
	switch ((enum journal_kind)record->kind) {
	case JOURNAL_HARD:
		r->term = record->term;
		r->vote = (uint8_t)record->index;
		break;
	case JOURNAL_START:
		take_start(r, record->index, record->term);
		break;
	case JOURNAL_HELD:
		take_held(r, record->index, record->term);
		break;
	case JOURNAL_ENTRY:
		take_entry(r, record->entry);
		break;
	case JOURNAL_REPAIR:
		take_repair(r, record->entry);
		break;
	case JOURNAL_SETTLED:
	case JOURNAL_UNASKED:
	case JOURNAL_ASKED:
	case JOURNAL_LOST:
		break;
	}
}

void recovered_lost(struct recovered *r)
{
	r->broken = true;
}

bool recovered_end(struct recovered *r)
{
	if (r->log.start <= r->start)
		return !r->broken;
	/* It begins behind every JOURNAL_START: the heads that lay between are lost, with whole segments perhaps, which nothing else tells. */
	raft_log_reset(&r->log, r->start, r->start_term);
	return false;
}
