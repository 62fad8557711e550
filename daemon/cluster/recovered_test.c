/* SPDX-License-Identifier: Apache-2.0 */
/* What a group's log is taken to be, record by record ([torn], [damaged]). */
#include "cluster/recovered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RECORDS_MAX 12

/* A record in a story: what, index, term. */
struct told {
	enum { STORY_ENDS, START, ENTRY, HELD, LOST } what;
	raft_index index;
	raft_term term;
};

struct row {
	const char *what;
	struct told story[RECORDS_MAX];
	raft_index start;
	raft_term start_term;
	const char *terms; /* of the entries behind the start */
	bool damaged;
};

static void tell(struct recovered *r, const struct told *t)
{
	static const enum journal_kind kinds[] = {[START] = JOURNAL_START, [ENTRY] = JOURNAL_ENTRY, [HELD] = JOURNAL_HELD};
	struct journal_record record = {.group = 1, .index = t->index, .term = t->term};

	if (t->what == LOST) {
		recovered_lost(r);
		return;
	}
	record.kind = (uint8_t)kinds[t->what];
	if (t->what == ENTRY) {
		record.entry = entry_new(ENTRY_BUNDLE, 0);
		record.entry->index = t->index;
		record.entry->term = t->term;
		entry_seal(record.entry);
	}
	recovered_take(r, &record);
	entry_unref(record.entry);
}

static void check(const struct row *row)
{
	struct recovered r;
	char terms[32] = "";

	recovered_init(&r, 1);
	for (unsigned i = 0; i < RECORDS_MAX && row->story[i].what; i++)
		tell(&r, &row->story[i]);
	if (recovered_end(&r) == row->damaged)
		fail_msg("%s: want damaged %d", row->what, row->damaged);
	for (raft_index i = r.log.start + 1; i <= r.log.last; i++)
		terms[i - r.log.start - 1] = (char)('0' + raft_log_term(&r.log, i));
	if (r.log.start != row->start || r.log.start_term != row->start_term || strcmp(terms, row->terms))
		fail_msg("%s: starts after %llu of term %llu with \"%s\", want %llu, %llu, \"%s\"", row->what, (unsigned long long)r.log.start,
			 (unsigned long long)r.log.start_term, terms, (unsigned long long)row->start, (unsigned long long)row->start_term, row->terms);
	recovered_fini(&r);
}

static void test_what_is_recovered(void **state)
{
	static const struct row table[] = {
		{"a log from its beginning", {{START, 0, 0}, {ENTRY, 1, 1}, {ENTRY, 2, 1}, {ENTRY, 3, 2}}, 0, 0, "112", false},
		{"overwritten", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {ENTRY, 3, 1}, {ENTRY, 2, 2}}, 0, 0, "12", false},
		{"compacted", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {ENTRY, 3, 2}, {START, 2, 1}}, 2, 1, "2", false},
		{"a snapshot instead of the log", {{ENTRY, 1, 1}, {START, 7, 3}, {ENTRY, 8, 3}}, 7, 3, "3", false},
		{"the segments before held what is dead by now", {{ENTRY, 8, 2}, {START, 3, 1}, {ENTRY, 9, 2}, {START, 8, 2}}, 8, 2, "2", false},
		{"the segments before are lost", {{ENTRY, 8, 2}, {START, 3, 1}, {ENTRY, 9, 2}}, 3, 1, "", true},
		{"a later start lies behind the end of a log without a beginning", {{ENTRY, 8, 2}, {ENTRY, 9, 2}, {START, 12, 2}}, 12, 2, "", false},
		{"the term of no entry is that of no start", {{ENTRY, 8, 2}, {START, 12, 0}}, 12, 0, "", false},
		{"a log that lost its beginning begins where its snapshot does", {{ENTRY, 8, 2}, {START, 5, 1}, {ENTRY, 6, 2}}, 5, 1, "2", false},
		{"heads were lost between: what follows may belong to another log",
		 {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {LOST, 0, 0}, {ENTRY, 3, 2}}, 0, 0, "11", true},
		{"what overwrites may do so, too", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {ENTRY, 3, 1}, {LOST, 0, 0}, {ENTRY, 3, 2}}, 0, 0, "111", true},
		{"the next start tells what there was, and the leader has sent the rest",
		 {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {LOST, 0, 0}, {ENTRY, 3, 2}, {HELD, 2, 1}, {ENTRY, 2, 2}, {ENTRY, 3, 2}}, 0, 0, "122", false},
		{"it tells of more than what is left", {{ENTRY, 1, 1}, {LOST, 0, 0}, {HELD, 2, 2}, {ENTRY, 3, 2}}, 0, 0, "1", true},
		{"it tells of another log", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {LOST, 0, 0}, {HELD, 2, 2}, {ENTRY, 3, 2}}, 0, 0, "11", true},
		{"what was lost wasn't of this group", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {LOST, 0, 0}, {HELD, 2, 1}}, 0, 0, "11", false},
		{"a snapshot holds what was lost", {{ENTRY, 1, 1}, {LOST, 0, 0}, {ENTRY, 4, 2}, {START, 5, 2}, {ENTRY, 6, 2}}, 5, 2, "2", false},
		{"a snapshot holds all that is left", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {LOST, 0, 0}, {START, 2, 1}, {ENTRY, 3, 2}}, 2, 1, "2", false},
		{"an idle group, whose entries stood in a segment that is gone", {{START, 0, 0}, {HELD, 5, 1}}, 0, 0, "", true},
		{"its segment is gone, because a later start tells that it was dead",
		 {{START, 0, 0}, {HELD, 5, 1}, {ENTRY, 6, 1}, {ENTRY, 7, 2}, {START, 6, 1}, {HELD, 7, 2}}, 6, 1, "2", false},
		{"a start tells of more than what is left", {{ENTRY, 1, 1}, {ENTRY, 2, 1}, {HELD, 3, 1}}, 0, 0, "11", true},
		{"its snapshot was lost, and the leader sent all of the log",
		 {{START, 5, 2}, {ENTRY, 6, 2}, {START, 0, 0}, {HELD, 0, 0}, {ENTRY, 1, 1}, {ENTRY, 2, 1}}, 0, 0, "11", false},
		{"a hole is a loss", {{ENTRY, 1, 1}, {ENTRY, 3, 2}, {ENTRY, 2, 3}}, 0, 0, "1", true},
		{"the beginning was a guess, until somebody told it", {{ENTRY, 8, 2}, {START, 3, 1}, {HELD, 3, 1}, {ENTRY, 4, 1}}, 3, 1, "1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		check(&table[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_recovered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
