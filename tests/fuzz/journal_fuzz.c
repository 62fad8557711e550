/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery over arbitrary bytes. An input is what a segment holds from its first batch on, written over a valid
 * segment head of the seed that the seeds below have, so that inputs made from valid batches mean something. Whole
 * journals are not 32 MiB here: the files are sparse in memory and the head says how large a segment is.
 *
 * Whatever the bytes: recovery ends, an entry that isn't told as missing is intact, and a second recovery of what the
 * first one left finds no less.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "journal/private.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/memory_io.h"

#define SEGMENT (1u << 20) /* as the head says; a new journal's would be larger */
#define PATH "/j/seg-000000"

static uint64_t records;
static struct journal *held;

static void on_record(void *arg, const struct journal_record *r)
{
	(void)arg;
	records++;
	if (r->entry && !r->entry->missing)
		assert(entry_intact(r->entry));
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
	(void)sequence;
}

static void on_failed(void *arg, int error)
{
	(void)arg;
	(void)error;
}

static int open_journal(uint32_t segment_size, struct journal_recovery *ret)
{
	struct journal_options o = {
		.dir = "/j", .segment_size = segment_size, .self = 1, .record = on_record, .lost = on_lost, .checkpoint = on_checkpoint,
		.batch_done = on_batch, .failed = on_failed,
	};

	records = 0;
	return journal_open(&held, NULL, &o, ret);
}

static void put_segment(const uint8_t *data, size_t size)
{
	struct journal_segment_head h = {.seed = 0x5a5a5a5a5a5a5a5a, .number = 1, .size = SEGMENT};
	uint8_t *blocks = calloc(1, JOURNAL_BLOCK + size);

	journal_segment_head_seal(&h);
	memcpy(blocks, &h, sizeof h);
	memcpy(blocks + JOURNAL_SEGMENT_COPY, &h, sizeof h);
	memcpy(blocks + JOURNAL_BLOCK, data, size);
	memory_io_clear();
	memory_io_put(PATH, blocks, JOURNAL_BLOCK + size, SEGMENT);
	free(blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_recovery first, second;
	uint64_t found;

	if (size > SEGMENT - JOURNAL_BLOCK)
		return 0;
	put_segment(data, size);
	if (open_journal(32u << 20, &first) == 0) {
		journal_close(held);
		found = records;
		assert(open_journal(32u << 20, &second) == 0);
		journal_close(held);
		assert(records >= found);
		/*
		 * Where heads are lost, a torn batch behind them, wiped now, was taken for what tells the sequence; without
		 * it recovery may see more. Nothing else may change.
		 */
		if (!first.heads_lost) {
			assert(records == found && second.last_sequence == first.last_sequence && !second.torn);
			assert(!second.heads_lost && second.damaged == first.damaged);
		}
	}
	return 0;
}

/* Three batches as append.c writes them, and some harm. */
void fuzz_seeds(void)
{
	struct journal_recovery found;
	const uint8_t *content;
	uint8_t *copy;
	size_t size;

	memory_io_clear();
	if (open_journal(32u << 20, &found) < 0)
		abort();
	for (raft_index i = 1; i <= 3; i++) {
		struct entry *e = entry_new(ENTRY_BUNDLE, (uint32_t)(1500 * i));
		struct journal_record hard = {.kind = JOURNAL_HARD, .group = 1, .term = 1, .index = 2};
		struct journal_record record = {.kind = JOURNAL_ENTRY, .group = 1, .term = 1, .index = i, .entry = e};

		memset(e->data, (int)i, e->size);
		e->index = i;
		e->term = 1;
		entry_seal(e);
		if (i == 1)
			(void)journal_append(held, &hard);
		(void)journal_append(held, &record);
		journal_flush(held);
		journal_write_done(&held->write_op, 0);
		entry_unref(e);
	}
	size = segment_current(held)->end - JOURNAL_BLOCK;
	content = memory_io_get(PATH) + JOURNAL_BLOCK;
	fuzz_seed("whole", content, size);
	fuzz_seed("cut", content, size - 5 * JOURNAL_SECTOR);
	copy = malloc(size);
	memcpy(copy, content, size);
	copy[size / 2] ^= 1;
	fuzz_seed("rot", copy, size);
	memset(copy + size - 7 * JOURNAL_SECTOR, 0, 3 * JOURNAL_SECTOR);
	fuzz_seed("torn", copy, size);
	fuzz_seed("empty", "", 0);
	free(copy);
	journal_close(held);
}
