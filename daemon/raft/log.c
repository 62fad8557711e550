/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/log.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define LOG_CAP_FIRST 64u
/* What keeps a small entry in memory beside its payload, so that byte limits bound the number of entries too. */
#define ENTRY_OVERHEAD 64u

static struct raft_log_slot *slot(const struct raft_log *log, raft_index index)
{
	return &log->slots[index & (log->cap - 1)];
}

static uint64_t end_at(const struct raft_log *log, raft_index index)
{
	return index == log->start ? log->start_end : slot(log, index)->end;
}

void raft_log_init(struct raft_log *log)
{
	*log = (struct raft_log){.cap = LOG_CAP_FIRST};
	log->slots = mem_zalloc(log->cap * sizeof *log->slots);
}

void raft_log_fini(struct raft_log *log)
{
	if (!log->slots)
		return;
	raft_log_truncate(log, log->start + 1);
	free(log->slots);
	log->slots = NULL;
}

void raft_log_reset(struct raft_log *log, raft_index index, raft_term term)
{
	uint64_t end = end_at(log, log->last);

	raft_log_truncate(log, log->start + 1);
	log->start = log->last = index;
	log->start_term = term;
	log->start_end = end;
}

void raft_log_reset_all(struct raft_log *log)
{
	raft_log_reset(log, 0, 0);
}

static void log_grow(struct raft_log *log)
{
	struct raft_log bigger = *log;

	bigger.cap = log->cap * 2;
	bigger.slots = mem_zalloc(bigger.cap * sizeof *bigger.slots);
	for (raft_index i = log->start + 1; i <= log->last; i++)
		*slot(&bigger, i) = *slot(log, i);
	free(log->slots);
	*log = bigger;
}

void raft_log_append(struct raft_log *log, struct entry *e)
{
	uint64_t end = end_at(log, log->last);

	assert(e->index == log->last + 1);
	assert(e->term >= raft_log_last_term(log));
	if (log->last - log->start == log->cap)
		log_grow(log);
	log->last++;
	*slot(log, log->last) = (struct raft_log_slot){.entry = entry_ref(e), .end = end + e->size + ENTRY_OVERHEAD};
}

void raft_log_truncate(struct raft_log *log, raft_index index)
{
	assert(index > log->start);
	for (; log->last >= index; log->last--) {
		entry_unref(slot(log, log->last)->entry);
		slot(log, log->last)->entry = NULL;
	}
}

void raft_log_compact(struct raft_log *log, raft_index index)
{
	assert(index <= log->last);
	while (log->start < index) {
		struct raft_log_slot *s = slot(log, log->start + 1);

		log->start++;
		log->start_term = s->entry->term;
		log->start_end = s->end;
		entry_unref(s->entry);
		s->entry = NULL;
	}
}

void raft_log_fill(struct raft_log *log, struct entry *e)
{
	struct raft_log_slot *s = slot(log, e->index);

	assert(e->index > log->start && e->index <= log->last);
	assert(s->entry->missing && s->entry->term == e->term && !e->missing);
	entry_unref(s->entry);
	s->entry = entry_ref(e);
}

raft_term raft_log_term(const struct raft_log *log, raft_index index)
{
	if (index == log->start)
		return log->start_term;
	if (index < log->start || index > log->last)
		return 0;
	return slot(log, index)->entry->term;
}

struct entry *raft_log_entry(const struct raft_log *log, raft_index index)
{
	assert(index > log->start && index <= log->last);
	return slot(log, index)->entry;
}

uint64_t raft_log_bytes(const struct raft_log *log, raft_index from, raft_index to)
{
	assert(from >= log->start && from <= to && to <= log->last);
	return end_at(log, to) - end_at(log, from);
}
