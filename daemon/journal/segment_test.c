/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that can't be prepared, over real files and io_uring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "journal/private.h"

#define SEGMENT (1u << 20)
#define LARGE (960u << 10) /* one of these to a segment */
#define SMALL (40u << 10)

struct world {
	struct io *io;
	char dir[256];
	struct journal *j;
	struct journal_recovery found;
	raft_index entries, records; /* appended; found by recovery */
	uint64_t wait_for;
	rlim_t head_limit; /* how much of the head that fails gets through */
	int stopped;       /* why the journal did, where that is expected; 1: it is, and hasn't */
	void (*filling)(struct io_op *op, int result); /* what the preparation goes on with while it writes zeros */
};

static struct world w;

static void on_record(void *arg, const struct journal_record *r)
{
	(void)arg;
	w.records += r->kind == JOURNAL_ENTRY;
}

static void on_lost(void *arg)
{
	(void)arg;
}

static void on_checkpoint(void *arg)
{
	(void)arg;
}

static void on_batch(void *arg, uint64_t sequence)
{
	(void)arg;
	if (sequence >= w.wait_for)
		io_stop(w.io);
	else
		journal_flush(w.j); /* what filled meanwhile */
}

static void limit_files(rlim_t size)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void on_failed(void *arg, int error)
{
	(void)arg;
	if (!w.stopped)
		fail_msg("the journal stopped: %s", strerror(-error));
	w.stopped = error;
	limit_files(RLIM_INFINITY);
	io_stop(w.io);
}

static void open_journal(void)
{
	struct journal_options o = {
		.dir = w.dir, .segment_size = SEGMENT, .self = 1, .record = on_record, .lost = on_lost, .checkpoint = on_checkpoint,
		.batch_done = on_batch, .failed = on_failed,
	};

	assert_int_equal(io_new(&w.io, NULL), 0);
	w.records = 0;
	assert_int_equal(journal_open(&w.j, w.io, &o, &w.found), 0);
}

static void close_journal(void)
{
	journal_close(w.j);
	io_free(w.io);
}

static uint64_t append_entry(raft_index index, uint32_t size)
{
	struct journal_record r = {.kind = JOURNAL_ENTRY, .group = 1, .term = 1, .index = index, .entry = entry_new(ENTRY_BUNDLE, size)};
	uint64_t sequence;

	r.entry->term = r.term;
	r.entry->index = r.index;
	memset(r.entry->data, (int)index, size);
	entry_seal(r.entry);
	sequence = journal_append(w.j, &r);
	entry_unref(r.entry);
	return sequence;
}

static void segment_file(char *path, size_t size, unsigned slot)
{
	(void)snprintf(path, size, "%s/seg-%06u", w.dir, slot);
}

/*
 * Lets nothing be written from when the zeros are being synced until the preparation has failed. Where a batch is being
 * written just then, it is the next preparation's turn: each segment that is ready is used. The last one ends the run.
 */
static void fail_the_head(void *arg)
{
	struct journal *j = w.j;
	bool filled = j->preparing && j->prepared == SEGMENT && w.filling && j->prepare_op.done != w.filling;

	(void)arg;
	io_timer_stop(w.io, &j->closing);
	if (j->preparing && j->prepared && j->prepared < SEGMENT)
		w.filling = j->prepare_op.done;
	if (filled)
		w.filling = NULL; /* later it would be too late: the head may be written */
	if (j->stats.failed_preparations)
		limit_files(RLIM_INFINITY);
	else if (filled && !j->writing)
		limit_files(w.head_limit);
	if (!list_empty(&j->ready) && list_empty(&j->open) && !j->writing && w.wait_for == UINT64_MAX) {
		uint64_t sequence = append_entry(++w.entries, LARGE);

		if (j->stats.failed_preparations)
			w.wait_for = sequence;
		journal_flush(j);
	}
}

/* Recovery takes a gap between the numbers of segments for a lost one. */
static void test_number_of_a_segment_that_failed_is_given_again(void **state)
{
	(void)state;
	open_journal();
	w.wait_for = UINT64_MAX;
	(void)append_entry(++w.entries, LARGE);
	journal_flush(w.j);
	io_set_turn(w.io, fail_the_head, NULL);
	io_run(w.io);
	assert_int_equal(w.j->stats.failed_preparations, 1);
	close_journal();
	open_journal();
	assert_int_equal(w.records, w.entries);
	assert_false(w.found.heads_lost);
	close_journal();
}

/* Law 6: a file that needs no room is no fuller than before, so a write in it that was cut short is the disk's doing. */
static void test_head_that_is_cut_short_stops_the_journal(void **state)
{
	(void)state;
	open_journal();
	w.wait_for = UINT64_MAX;
	w.head_limit = JOURNAL_BLOCK / 2;
	w.stopped = 1;
	(void)append_entry(++w.entries, LARGE);
	journal_flush(w.j);
	io_set_turn(w.io, fail_the_head, NULL);
	io_run(w.io);
	assert_int_equal(w.stopped, -ENODATA);
	assert_int_equal(w.j->stats.failed_preparations, 0);
	close_journal();
}

static void store_hard(void)
{
	(void)journal_append(w.j, &(struct journal_record){.kind = JOURNAL_HARD, .group = 1, .term = 2, .index = 1});
	journal_flush(w.j);
}

/* Nothing can be prepared: entries leave something of the last segment to the next life's hard states. */
static void test_entries_leave_a_reserve_of_the_last_segment(void **state)
{
	char path[300];

	(void)state;
	open_journal();
	segment_file(path, sizeof path, 2);
	assert_int_equal(mkdir(path, 0700), 0); /* where the next segment would be */
	(void)append_entry(1, LARGE);
	journal_flush(w.j);
	(void)append_entry(2, LARGE); /* takes the last segment that is ready */
	w.wait_for = 2;
	io_run(w.io);
	assert_true(list_empty(&w.j->ready));
	(void)append_entry(3, SMALL); /* there is room for it */
	journal_flush(w.j);
	assert_int_equal(journal_writing_since(w.j), 0);
	close_journal();
	assert_int_equal(rmdir(path), 0);
	open_journal();
	assert_int_equal(w.records, 2);
	store_hard();
	assert_int_not_equal(journal_writing_since(w.j), 0);
	w.wait_for = 3;
	io_run(w.io);
	close_journal();
}

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	w = (struct world){0};
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)snprintf(w.dir, sizeof w.dir, "%s/segment-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(w.dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[300];

	(void)state;
	for (unsigned slot = 0; slot < 8; slot++) {
		segment_file(path, sizeof path, slot);
		(void)remove(path);
	}
	return rmdir(w.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_number_of_a_segment_that_failed_is_given_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_that_is_cut_short_stops_the_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_entries_leave_a_reserve_of_the_last_segment, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
