/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every row of the decision table in recover.c, over real files and io_uring (DECISIONS [torn], [headers]).
 *
 * The journal makes two segments once. Each case lays batches into them with the builder below, which is written
 * from the essay in format.h and not from append.c, does some harm, opens the journal and compares what recovery
 * tells: the records as text, and struct journal_recovery. The base picture is three batches in segment 0:
 *
 *   1  hard state, two small entries       2  an entry over several blocks       3  the same, the last one
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/mem.h"
#include "journal/private.h"

#define SEGMENT (32u << 20)
#define WORK (256u << 10) /* of each segment, what cases change */

#define GAP "~ " /* in a trace: heads were lost here */

struct world {
	struct io *io;
	char dir[256];
	uint64_t seed;
	uint8_t *disk[2];       /* the first WORK bytes of each segment as the case wants them */
	struct bytes trace;
	struct journal *j;
	struct journal_recovery found;
	uint64_t wait_for;
	uint64_t at[8], sectors[8]; /* of the batches of the base picture, by sequence */
	uint32_t crc[8];
	uint64_t end;
};

static struct world w;

/* ---- the journal's callbacks ---- */

static void on_record(void *arg, const struct journal_record *r)
{
	static const char kinds[] = "?EHSRX";

	(void)arg;
	bytes_printf(&w.trace, "%c%u.%llu.%llu", kinds[r->kind], r->group, (unsigned long long)r->term, (unsigned long long)r->index);
	if (r->entry)
		bytes_printf(&w.trace, r->entry->missing ? "!" : "=%u", r->entry->size);
	bytes_puts(&w.trace, " ");
}

static void on_lost(void *arg)
{
	(void)arg;
	bytes_puts(&w.trace, GAP);
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

static void on_failed(void *arg, int error)
{
	(void)arg;
	fail_msg("the journal stopped: %s", strerror(-error));
}

static int open_journal(void)
{
	struct journal_options o = {
		.dir = w.dir, .segment_size = SEGMENT, .self = 1, .record = on_record, .lost = on_lost, .checkpoint = on_checkpoint,
		.batch_done = on_batch, .failed = on_failed,
	};

	int r = io_new(&w.io, NULL); /* a loop runs once */

	assert_int_equal(r, 0);
	w.trace.size = 0;
	r = journal_open(&w.j, w.io, &o, &w.found);
	if (r < 0)
		w.j = NULL;
	return r;
}

static void close_journal(void)
{
	journal_close(w.j);
	io_free(w.io);
	w.j = NULL;
}

/* ---- laying out ---- */

struct item {
	uint8_t kind;
	uint32_t group;
	raft_term term;
	raft_index index;
	uint32_t size;
};

/* A batch at base; returns its sectors. Payload byte k of index i is i + k. */
static uint32_t put_batch(uint8_t *base, uint64_t seed, uint64_t sequence, uint32_t prev_crc, const struct item *items, uint32_t count, uint32_t *ret_crc)
{
	struct journal_batch_head head = {.sequence = sequence, .record_count = count, .prev_crc = prev_crc};
	uint64_t payload = 0, at = sizeof head + count * sizeof(struct journal_record_head), tail;
	bool hard = false;
	uint8_t *image;

	for (uint32_t i = 0; i < count; i++) {
		payload += items[i].size;
		hard |= items[i].kind == JOURNAL_HARD;
	}
	head.sector_count = journal_batch_sectors(count, payload, hard);
	tail = journal_tail_offset(head.sector_count, count);
	image = mem_zalloc((size_t)head.sector_count * JOURNAL_ROOM);
	for (uint32_t i = 0; i < count; i++) {
		struct journal_record_head h = {
			.kind = items[i].kind, .group = items[i].group, .size = items[i].size, .offset = (uint32_t)at,
			.term = items[i].term, .index = items[i].index,
		};

		if (h.kind == JOURNAL_ENTRY || h.kind == JOURNAL_REPAIR)
			h.entry_kind = ENTRY_BUNDLE;
		for (uint32_t k = 0; k < h.size; k++)
			image[at + k] = (uint8_t)(h.index + k);
		h.payload_crc = crc32c(0, image + at, h.size);
		at += h.size;
		journal_record_head_seal(&h, seed, sequence);
		memcpy(image + sizeof head + i * sizeof h, &h, sizeof h);
		memcpy(image + tail + i * sizeof h, &h, sizeof h);
	}
	head.body_crc = crc32c(journal_crc_seed(seed), image + sizeof head, (size_t)head.sector_count * JOURNAL_ROOM - 2 * sizeof head);
	journal_batch_head_seal(&head, seed);
	memcpy(image, &head, sizeof head);
	memcpy(image + (size_t)head.sector_count * JOURNAL_ROOM - sizeof head, &head, sizeof head);
	for (uint32_t i = 0; i < head.sector_count; i++) {
		put_le32(base + i * JOURNAL_SECTOR, journal_mark(seed, sequence));
		memcpy(base + i * JOURNAL_SECTOR + JOURNAL_MARK, image + i * JOURNAL_ROOM, JOURNAL_ROOM);
	}
	free(image);
	*ret_crc = head.body_crc;
	return head.sector_count;
}

static void add_batch(unsigned segment, uint64_t sequence, const struct item *items, uint32_t count)
{
	w.at[sequence] = w.end;
	w.sectors[sequence] = put_batch(w.disk[segment] + w.end, w.seed, sequence, w.crc[sequence - 1], items, count, &w.crc[sequence]);
	w.end += w.sectors[sequence] * JOURNAL_SECTOR;
}

#define ONE "H1.3.2 E1.3.1=10 E1.3.2=20 "
#define TWO "E1.3.3=6000 E2.1.1=5 "
#define THREE "E1.3.4=5000 E2.1.2=7 "

static void add_base_batch(unsigned segment, uint64_t sequence)
{
	static const struct item one[] = {{JOURNAL_HARD, 1, 3, 2, 0}, {JOURNAL_ENTRY, 1, 3, 1, 10}, {JOURNAL_ENTRY, 1, 3, 2, 20}};
	static const struct item two[] = {{JOURNAL_ENTRY, 1, 3, 3, 6000}, {JOURNAL_ENTRY, 2, 1, 1, 5}};
	static const struct item three[] = {{JOURNAL_ENTRY, 1, 3, 4, 5000}, {JOURNAL_ENTRY, 2, 1, 2, 7}};

	if (sequence == 1)
		add_batch(segment, 1, one, 3);
	else if (sequence == 2)
		add_batch(segment, 2, two, 2);
	else
		add_batch(segment, sequence, three, 2);
}

static void blank(void)
{
	for (unsigned s = 0; s < 2; s++)
		memset(w.disk[s] + JOURNAL_BLOCK, 0, WORK - JOURNAL_BLOCK);
	w.end = JOURNAL_BLOCK;
}

static void base_picture(uint64_t batches)
{
	blank();
	for (uint64_t s = 1; s <= batches; s++)
		add_base_batch(0, s);
}

static uint8_t *sector(uint64_t sequence, uint64_t i)
{
	return w.disk[0] + w.at[sequence] + i * JOURNAL_SECTOR;
}

static void segment_file(char *ret, size_t size, unsigned slot)
{
	(void)snprintf(ret, size, "%s/seg-%06u", w.dir, slot);
}

static void sync_file(unsigned slot, uint8_t *bytes, bool write)
{
	char path[300];
	int fd;

	segment_file(path, sizeof path, slot);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0); /* the last life's writes are done: [reopen] */
	if (write)
		assert_int_equal(pwrite(fd, bytes, WORK, 0), WORK);
	else
		assert_int_equal(pread(fd, bytes, WORK, 0), WORK);
	(void)close(fd);
}

static int recover(void)
{
	int r;

	for (unsigned s = 0; s < 2; s++)
		sync_file(s, w.disk[s], true);
	r = open_journal();
	close_journal();
	bytes_put_u8(&w.trace, 0);
	return r;
}

static void expect(const char *trace, uint64_t last, bool torn, uint32_t damaged, bool heads_lost)
{
	assert_int_equal(recover(), 0);
	assert_string_equal((char *)w.trace.data, trace);
	assert_int_equal(w.found.last_sequence, last);
	assert_int_equal(w.found.torn, torn);
	assert_int_equal(w.found.damaged, damaged);
	assert_int_equal(w.found.heads_lost, heads_lost);
}

/* ---- the rows ---- */

static void test_whole(void **state)
{
	(void)state;
	base_picture(3);
	expect(ONE TWO THREE, 3, false, 0, false);
}

static void test_end_of_an_empty_journal(void **state)
{
	(void)state;
	blank();
	expect("", 0, false, 0, false);
}

/* valid head, all NEW, checksum wrong: the payload that rotted is missing, everything else is there. */
static void test_rotten_payload_is_missing_and_nothing_else(void **state)
{
	(void)state;
	base_picture(3);
	*(sector(3, 3) + 100) ^= 4;
	expect(ONE TWO "E1.3.4! E2.1.2=7 ", 3, false, 1, false);
	base_picture(3);
	*(sector(2, 3) + 100) ^= 4;
	expect(ONE "E1.3.3! E2.1.1=5 " THREE, 3, false, 1, false);
}

/* [torn]: power cut: every set of sectors that a cut can leave unwritten is torn, whoever's head survived; never damage. */
static void test_every_torn_tail_is_dropped(void **state)
{
	uint64_t seed = 5;

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		uint64_t left = 0, all;

		base_picture(3);
		all = (1ull << w.sectors[3]) - 1;
		if (round < w.sectors[3])
			left = 1ull << round; /* one sector missing, each in turn */
		else if (round < 2 * w.sectors[3])
			left = all & ~(1ull << (round - w.sectors[3])); /* only one there */
		else
			left = rand_next(&seed) & all;
		if (!left || left == all)
			continue;
		for (unsigned i = 0; i < w.sectors[3]; i++)
			if (left >> i & 1)
				memset(sector(3, i), 0, JOURNAL_SECTOR);
		expect(ONE TWO, 2, true, 0, false);
		/* What was torn is wiped: the next recovery finds a clean end. */
		for (unsigned s = 0; s < 2; s++)
			sync_file(s, w.disk[s], false);
		expect(ONE TWO, 2, false, 0, false);
	}
}

/* A batch that has a successor was durable: zeros in it are rot. */
static void test_old_sectors_before_a_later_batch_are_rot(void **state)
{
	(void)state;
	base_picture(3);
	memset(sector(2, 4), 0, JOURNAL_SECTOR);
	expect(ONE "E1.3.3! E2.1.1=5 " THREE, 3, false, 1, false);
	/* The later batch may stand in a later segment. */
	base_picture(2);
	w.end = JOURNAL_BLOCK;
	add_base_batch(1, 3);
	memset(sector(2, 4), 0, JOURNAL_SECTOR);
	expect(ONE "E1.3.3! E2.1.1=5 " THREE, 3, false, 1, false);
}

static void test_a_foreign_mark_is_rot_never_torn(void **state)
{
	(void)state;
	base_picture(3);
	memset(sector(3, 5), 0, JOURNAL_SECTOR);
	*sector(3, 4) ^= 1; /* one sector old, another's mark rotten */
	expect(ONE TWO "E1.3.4! E2.1.2=7 ", 3, false, 1, false);
}

static void test_segment_ends_where_the_next_one_goes_on(void **state)
{
	(void)state;
	base_picture(2);
	w.end = JOURNAL_BLOCK;
	add_base_batch(1, 3);
	expect(ONE TWO THREE, 3, false, 0, false);
}

/* The device lied: a batch in the middle is all zeros again. */
static void test_vanished_batch_before_a_later_one_loses_heads(void **state)
{
	(void)state;
	base_picture(3);
	memset(sector(2, 0), 0, w.sectors[2] * JOURNAL_SECTOR);
	expect(ONE GAP THREE, 3, false, 1, true);
	assert_int_equal(w.found.heads_lost_at, 2);
	/* At the end of a segment: sequence 2 is missing between two segments. */
	base_picture(2);
	memset(sector(2, 0), 0, w.sectors[2] * JOURNAL_SECTOR);
	w.end = JOURNAL_BLOCK;
	add_base_batch(1, 3);
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
	assert_false(w.found.torn);
}

static void spoil_heads(uint64_t sequence)
{
	*(sector(sequence, 0) + JOURNAL_MARK + 9) ^= 1;
	*(sector(sequence, w.sectors[sequence] - 1) + JOURNAL_SECTOR - 60) ^= 1;
}

static void test_both_heads_lost(void **state)
{
	(void)state;
	base_picture(3);
	spoil_heads(3); /* the last one, all NEW */
	expect(ONE TWO GAP, 3, false, 1, true);
	base_picture(3);
	spoil_heads(2); /* in the middle */
	expect(ONE GAP THREE, 3, false, 1, true);
	assert_int_equal(w.found.heads_lost_at, 2);
	base_picture(3);
	spoil_heads(3); /* and a foreign mark */
	*sector(3, 2) ^= 0x80;
	expect(ONE TWO GAP, 3, false, 1, true);
	base_picture(3);
	spoil_heads(2); /* and zeros, before a later one */
	memset(sector(2, 5), 0, JOURNAL_SECTOR);
	expect(ONE GAP THREE, 3, false, 1, true);
	base_picture(3);
	spoil_heads(3); /* and zeros with nothing behind: rot in a torn batch can't be told, and it was never acknowledged */
	memset(sector(3, 5), 0, JOURNAL_SECTOR);
	expect(ONE TWO, 2, true, 0, false);
}

/* As if the disk had put a batch there, and not where it belongs. */
static void misdirect(uint64_t sequence, uint64_t to)
{
	size_t size = w.sectors[sequence] * JOURNAL_SECTOR;
	uint8_t *copy = mem_alloc(size);

	memcpy(copy, sector(sequence, 0), size);
	memset(sector(sequence, 0), 0, size);
	memcpy(w.disk[0] + to, copy, size);
	free(copy);
}

/* The last batch was reported as durable and stands elsewhere: neither torn nor the end. */
static void test_a_batch_gone_astray_loses_heads(void **state)
{
	(void)state;
	base_picture(3);
	misdirect(3, WORK / 2); /* far behind */
	expect(ONE TWO GAP, 3, false, 1, true);
	assert_int_equal(w.found.heads_lost_at, 3);
	base_picture(3);
	misdirect(3, w.at[3] + JOURNAL_BLOCK); /* over a part of its own place */
	expect(ONE TWO GAP, 3, false, 1, true);
	base_picture(3);
	misdirect(3, w.at[2] + JOURNAL_BLOCK); /* into the one before, whose payload is missing then, and over a part of its own place */
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
	assert_int_equal(w.found.last_sequence, 3);
	base_picture(4);
	misdirect(3, w.at[4] + w.sectors[4] * JOURNAL_SECTOR); /* another one follows */
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
	assert_int_equal(w.found.last_sequence, 5); /* what stands behind the end can't be told from a batch that rotted */
}

/* The first batch of a segment: what is in it isn't taken for a segment that waits for its first one. */
static void test_a_first_batch_gone_astray(void **state)
{
	(void)state;
	for (uint64_t batches = 3; batches <= 4; batches++) {
		uint64_t to = WORK / 2;

		base_picture(2);
		w.end = JOURNAL_BLOCK;
		for (uint64_t s = 3; s <= batches; s++)
			add_base_batch(1, s);
		memcpy(w.disk[1] + to, w.disk[1] + JOURNAL_BLOCK, w.sectors[3] * JOURNAL_SECTOR);
		memset(w.disk[1] + JOURNAL_BLOCK, 0, w.sectors[3] * JOURNAL_SECTOR);
		assert_int_equal(recover(), 0);
		assert_true(w.found.heads_lost);
		assert_int_equal(w.found.heads_lost_at, 3);
		assert_int_equal(w.found.last_sequence, batches == 3 ? 3 : 5);
	}
}

/* A place before the end: what stood there is lost, and so is what should have stood at the end; the next batch leaves that empty. */
static void test_a_batch_gone_astray_among_earlier_ones(void **state)
{
	static const struct item small[] = {{JOURNAL_ENTRY, 1, 3, 5, 5}};

	(void)state;
	base_picture(3);
	add_batch(0, 4, small, 1);
	misdirect(4, w.at[3] + JOURNAL_BLOCK);
	expect(ONE TWO "E1.3.4! E2.1.2! " GAP, 4, false, 2, true);
	assert_int_equal(w.found.heads_lost_at, 4);
	w.end = w.at[4] + JOURNAL_BLOCK;
	add_base_batch(0, 5);
	expect(ONE TWO "E1.3.4! E2.1.2! " GAP THREE, 5, false, 2, true);
}

/* One head copy is enough. */
static void test_one_head_copy_is_enough(void **state)
{
	(void)state;
	for (uint64_t sequence = 2; sequence <= 3; sequence++) {
		base_picture(3);
		*(sector(sequence, 0) + JOURNAL_MARK + 9) ^= 1;
		expect(ONE TWO THREE, 3, false, 0, false);
		base_picture(3);
		*(sector(sequence, w.sectors[sequence] - 1) + JOURNAL_SECTOR - 60) ^= 1;
		expect(ONE TWO THREE, 3, false, 0, false);
	}
}

/*
 * [torn], the second of its two tests: one flipped bit anywhere in an acknowledged batch, the last one included,
 * loses nothing: no header is lost, nothing is called torn, and a payload that isn't told as missing is right.
 */
static void test_one_flipped_bit_in_every_sector(void **state)
{
	static const unsigned places[] = {0, 3, 4, 60, 200, 511};

	(void)state;
	for (uint64_t sequence = 2; sequence <= 3; sequence++) {
		base_picture(3);
		for (unsigned i = 0; i < w.sectors[sequence]; i++)
			for (unsigned k = 0; k < sizeof places / sizeof places[0]; k++) {
				const char *intact = "H1.3.2 E1.3.1=10 E1.3.2=20 E1.3.3=6000 E2.1.1=5 E1.3.4=5000 E2.1.2=7 ", *got;

				base_picture(3);
				sector(sequence, i)[places[k]] ^= (uint8_t)(1u << (i + k) % 8);
				assert_int_equal(recover(), 0);
				assert_int_equal(w.found.last_sequence, 3);
				assert_false(w.found.torn);
				assert_false(w.found.heads_lost);
				/* Every header in order; a payload may be told as missing ("!"), then the batch counts as damaged. */
				got = (char *)w.trace.data;
				while (*intact) {
					if (*got == '!') {
						assert_int_equal(*intact, '=');
						assert_int_equal(w.found.damaged, 1);
						got++;
						intact += strcspn(intact, " ");
					}
					assert_int_equal(*got, *intact);
					got++;
					intact++;
				}
				assert_int_equal(*got, 0);
			}
	}
}

/* Record heads stand twice, apart: one copy's rot costs nothing, both copies' rot is told. */
static void test_record_heads_stand_twice(void **state)
{
	uint64_t tail;

	(void)state;
	base_picture(3);
	tail = journal_tail_offset((uint32_t)w.sectors[2], 2);
	assert_int_equal(tail % JOURNAL_ROOM, 0);
	*(sector(2, 0) + JOURNAL_MARK + sizeof(struct journal_batch_head) + 20) ^= 1;
	expect(ONE TWO THREE, 3, false, 1, false);
	*(sector(2, tail / JOURNAL_ROOM) + JOURNAL_MARK + 20) ^= 1;
	expect(ONE GAP "E2.1.1=5 " THREE, 3, false, 1, true);
	assert_int_equal(w.found.heads_lost_at, 2);
}

/* A batch with a hard state keeps the two copies of its heads in separate 4 KiB blocks. */
static void test_term_and_vote_stand_in_two_blocks(void **state)
{
	(void)state;
	base_picture(3);
	assert_true(w.sectors[1] >= 16);
	memset(sector(1, 0), 0xff, JOURNAL_BLOCK);
	assert_int_equal(recover(), 0);
	assert_memory_equal(w.trace.data, "H1.3.2 ", 7);
	assert_false(w.found.heads_lost);
}

/* JOURNAL_SETTLED makes good what was lost before it. */
static void test_settled_losses_stay_settled(void **state)
{
	static const struct item settled[] = {{JOURNAL_SETTLED, 0, 0, 2, 0}};

	(void)state;
	base_picture(3);
	add_batch(0, 4, settled, 1);
	spoil_heads(2);
	assert_int_equal(recover(), 0);
	assert_false(w.found.heads_lost);
	base_picture(3); /* it settles nothing that comes later */
	add_batch(0, 4, settled, 1);
	spoil_heads(3);
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
	assert_int_equal(w.found.heads_lost_at, 3);
	base_picture(3); /* nor what rots later, though it stands before */
	add_batch(0, 4, settled, 1);
	spoil_heads(1);
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
	assert_int_equal(w.found.heads_lost_at, 1);
}

/* A batch of the right place and sequence that doesn't follow its predecessor: the chain of checksums shows it. */
static void test_broken_chain_is_told(void **state)
{
	static const struct item settled[] = {{JOURNAL_SETTLED, 0, 0, JOURNAL_LOST_LINK | 3, 0}};

	(void)state;
	base_picture(2);
	w.crc[2] ^= 1;
	add_base_batch(0, 3);
	expect(ONE TWO GAP THREE, 3, false, 0, true);
	assert_int_equal(w.found.heads_lost_at, JOURNAL_LOST_LINK | 3);
	add_batch(0, 4, settled, 1);
	assert_int_equal(recover(), 0);
	assert_false(w.found.heads_lost);
	spoil_heads(2); /* settled was the link, not the batch before it */
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
}

/* [headers]: a client's value that is a batch to the letter, but for the seed that no client knows, is never taken for one. */
static void plant_batch_in_value(uint64_t seed)
{
	struct journal_batch_head h = {.sequence = 9, .sector_count = 8, .record_count = 0};

	base_picture(3);
	journal_batch_head_seal(&h, seed);
	memcpy(sector(2, 8) + JOURNAL_MARK, &h, sizeof h); /* where a block of batch 2's payload begins */
	*sector(2, 2) ^= 1;
	spoil_heads(2);
}

static void test_value_that_looks_like_a_batch(void **state)
{
	(void)state;
	plant_batch_in_value(w.seed ^ 1);
	expect(ONE GAP THREE, 3, false, 1, true);
	plant_batch_in_value(w.seed); /* the check bites: with the seed it would pass for one */
	assert_int_equal(recover(), 0);
	assert_true(w.found.last_sequence > 3);
}

static void test_segment_head_copies(void **state)
{
	uint8_t keep[2][JOURNAL_BLOCK];
	int r;

	(void)state;
	for (unsigned s = 0; s < 2; s++)
		memcpy(keep[s], w.disk[s], JOURNAL_BLOCK);
	for (unsigned copy = 0; copy < 2; copy++) {
		base_picture(3);
		w.disk[0][copy * JOURNAL_SEGMENT_COPY + 20] ^= 1;
		expect(ONE TWO THREE, 3, false, 0, false);
		memcpy(w.disk[0], keep[0], JOURNAL_BLOCK);
	}
	/* Both copies of every segment: nothing of the journal is readable. */
	base_picture(3);
	for (unsigned s = 0; s < 2; s++) {
		w.disk[s][20] ^= 1;
		w.disk[s][JOURNAL_SEGMENT_COPY + 20] ^= 1;
	}
	r = recover();
	assert_int_equal(r, -EBADMSG);
	/* Those of the newest segment alone: what stood there is lost, and recovery says so. */
	memcpy(w.disk[0], keep[0], JOURNAL_BLOCK);
	base_picture(2);
	w.end = JOURNAL_BLOCK;
	add_base_batch(1, 3);
	assert_int_equal(recover(), 0);
	assert_true(w.found.heads_lost);
	assert_int_equal(w.found.heads_lost_at, JOURNAL_LOST_SEGMENT | 2);
	for (unsigned s = 0; s < 2; s++)
		memcpy(w.disk[s], keep[s], JOURNAL_BLOCK);
}

/* A segment between two others is gone: the first batch behind it is whole, and is taken. */
static void test_a_gap_before_a_whole_batch(void **state)
{
	struct journal_segment_head keep, h;

	(void)state;
	base_picture(2);
	memcpy(&keep, w.disk[1], sizeof keep);
	h = keep;
	h.number++;
	journal_segment_head_seal(&h);
	memcpy(w.disk[1], &h, sizeof h);
	memcpy(w.disk[1] + JOURNAL_SEGMENT_COPY, &h, sizeof h);
	w.end = JOURNAL_BLOCK;
	add_base_batch(1, 6);
	expect(ONE TWO GAP THREE, 6, false, 1, true);
	memcpy(w.disk[1], &keep, sizeof keep);
	memcpy(w.disk[1] + JOURNAL_SEGMENT_COPY, &keep, sizeof keep);
}

/* A segment that waits for its first batch has a number, too: the one before it, which is gone, held the last batches. */
static void test_a_gap_before_a_ready_segment(void **state)
{
	struct journal_segment_head keep, h;

	(void)state;
	base_picture(3);
	memcpy(&keep, w.disk[1], sizeof keep);
	h = keep;
	h.number++;
	journal_segment_head_seal(&h);
	memcpy(w.disk[1], &h, sizeof h);
	memcpy(w.disk[1] + JOURNAL_SEGMENT_COPY, &h, sizeof h);
	expect(ONE TWO THREE, 3, false, 0, true);
	assert_int_equal(w.found.heads_lost_at, JOURNAL_LOST_SEGMENT | 2);
	memcpy(w.disk[1], &keep, sizeof keep);
	memcpy(w.disk[1] + JOURNAL_SEGMENT_COPY, &keep, sizeof keep);
}

/* ---- through append.c ---- */

static void run_until(uint64_t sequence)
{
	w.wait_for = sequence;
	journal_flush(w.j);
	io_run(w.io);
	assert_int_equal(journal_durable(w.j), sequence);
}

static void append(uint8_t kind, uint32_t group, raft_term term, raft_index index, uint32_t size)
{
	struct journal_record r = {.kind = kind, .group = group, .term = term, .index = index};

	if (kind == JOURNAL_ENTRY) {
		r.entry = entry_new(ENTRY_BUNDLE, size);
		r.entry->term = term;
		r.entry->index = index;
		for (uint32_t k = 0; k < size; k++)
			r.entry->data[k] = (uint8_t)(index + k);
		entry_seal(r.entry);
	}
	(void)journal_append(w.j, &r);
	entry_unref(r.entry);
}

/* What append.c writes is, byte for byte, what the builder above made of format.h's essay. */
/* A first start that was cut off, and then its segments' heads rotted: nothing was ever stored, so it begins anew. */
static void test_rotten_segments_without_a_batch_hold_nothing(void **state)
{
	uint8_t keep[2][JOURNAL_BLOCK];
	char path[300];

	(void)state;
	blank();
	for (unsigned s = 0; s < 2; s++) {
		memcpy(keep[s], w.disk[s], JOURNAL_BLOCK);
		memset(w.disk[s], 0x5a, JOURNAL_BLOCK);
	}
	expect("", 0, false, 0, false);
	for (unsigned s = 0; s < 2; s++) {
		memcpy(w.disk[s], keep[s], JOURNAL_BLOCK);
		segment_file(path, sizeof path, 2 + s); /* the new ones */
		assert_int_equal(unlink(path), 0);
	}
}

static void test_append_writes_the_documented_format(void **state)
{
	uint8_t *want = mem_alloc(WORK);

	(void)state;
	base_picture(2);
	memcpy(want, w.disk[0], WORK);
	blank();
	for (unsigned s = 0; s < 2; s++)
		sync_file(s, w.disk[s], true);
	assert_int_equal(open_journal(), 0);
	append(JOURNAL_HARD, 1, 3, 2, 0);
	append(JOURNAL_ENTRY, 1, 3, 1, 10);
	append(JOURNAL_ENTRY, 1, 3, 2, 20);
	journal_flush(w.j); /* under way: what comes now is the next batch's */
	append(JOURNAL_ENTRY, 1, 3, 3, 6000);
	append(JOURNAL_ENTRY, 2, 1, 1, 5);
	run_until(2);
	assert_int_equal(journal_backlog(w.j), 0);
	close_journal();
	sync_file(0, w.disk[0], false);
	assert_memory_equal(w.disk[0] + JOURNAL_BLOCK, want + JOURNAL_BLOCK, WORK - JOURNAL_BLOCK);
	free(want);
	assert_int_equal(recover(), 0);
	assert_string_equal((char *)w.trace.data, ONE TWO);
}

/* Only the segment that waited for its first batch is left: there was one before it. The next life knows it, too. */
static void test_all_used_segments_are_gone(void **state)
{
	uint8_t keep[JOURNAL_BLOCK];

	(void)state;
	blank();
	memcpy(keep, w.disk[0], JOURNAL_BLOCK);
	memset(w.disk[0], 0, JOURNAL_BLOCK);
	for (unsigned s = 0; s < 2; s++)
		sync_file(s, w.disk[s], true);
	assert_int_equal(open_journal(), 0);
	assert_true(w.found.heads_lost);
	assert_int_equal(w.found.heads_lost_at, JOURNAL_LOST_SEGMENT | 1);
	append(JOURNAL_ENTRY, 1, 1, 1, 10);
	run_until(1);
	close_journal();
	for (unsigned s = 0; s < 2; s++)
		sync_file(s, w.disk[s], false);
	expect("E1.1.1=10 ", 1, false, 0, true);
	blank();
	memcpy(w.disk[0], keep, JOURNAL_BLOCK);
}

/* An empty batch closes the journal once nothing was written for 10 ms, so that the last batch has a successor. */
static void test_closing_batch(void **state)
{
	(void)state;
	base_picture(0);
	for (unsigned s = 0; s < 2; s++)
		sync_file(s, w.disk[s], true);
	assert_int_equal(open_journal(), 0);
	append(JOURNAL_ENTRY, 1, 1, 1, 10);
	run_until(2); /* 1 is the entry's, 2 comes by itself */
	close_journal();
	sync_file(0, w.disk[0], false);
	assert_int_equal(recover(), 0);
	assert_int_equal(w.found.last_sequence, 2);
	assert_string_equal((char *)w.trace.data, "E1.1.1=10 ");
}

/* Cut, go on, cut, go on: what was durable stays, in order, over many restarts. */
static void test_many_power_cuts(void **state)
{
	struct bytes want = {0};
	uint64_t seed = 17;

	(void)state;
	base_picture(0);
	for (unsigned s = 0; s < 2; s++)
		sync_file(s, w.disk[s], true);
	for (raft_index i = 1; i <= 12; i++) {
		uint32_t size = (uint32_t)rand_below(&seed, 9000), left;
		uint64_t at;

		assert_int_equal(open_journal(), 0);
		bytes_put_u8(&w.trace, 0);
		bytes_put_u8(&want, 0);
		assert_string_equal((char *)w.trace.data, (char *)want.data);
		want.size--;
		assert_int_equal(w.found.damaged, 0);
		assert_false(w.found.heads_lost);
		append(JOURNAL_ENTRY, 1, 1, 2 * i - 1, size);
		journal_flush(w.j);
		bytes_printf(&want, "E1.1.%llu=%u ", (unsigned long long)(2 * i - 1), size);
		at = segment_current(w.j)->end;
		append(JOURNAL_ENTRY, 1, 1, 2 * i, 3000); /* never acknowledged: the cut takes some of its sectors */
		run_until(w.found.last_sequence + 2);
		left = (uint32_t)((segment_current(w.j)->end - at) / JOURNAL_SECTOR);
		close_journal();
		sync_file(0, w.disk[0], false);
		memset(w.disk[0] + at + rand_below(&seed, left) * JOURNAL_SECTOR, 0, JOURNAL_SECTOR);
		sync_file(0, w.disk[0], true);
	}
	bytes_free(&want);
}

/* ---- set-up ---- */

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	(void)snprintf(w.dir, sizeof w.dir, "%s/journal-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(w.dir) || open_journal() < 0)
		return -1;
	w.seed = w.j->seed;
	close_journal();
	for (unsigned s = 0; s < 2; s++) {
		w.disk[s] = mem_alloc(WORK);
		sync_file(s, w.disk[s], false);
	}
	return 0;
}

static int teardown(void **state)
{
	char path[300];

	(void)state;
	for (unsigned s = 0; s < 8; s++) {
		segment_file(path, sizeof path, s);
		(void)unlink(path);
	}
	(void)rmdir(w.dir);
	for (unsigned s = 0; s < 2; s++)
		free(w.disk[s]);
	bytes_free(&w.trace);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_of_an_empty_journal),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_rotten_payload_is_missing_and_nothing_else),
		cmocka_unit_test(test_every_torn_tail_is_dropped),
		cmocka_unit_test(test_old_sectors_before_a_later_batch_are_rot),
		cmocka_unit_test(test_a_foreign_mark_is_rot_never_torn),
		cmocka_unit_test(test_segment_ends_where_the_next_one_goes_on),
		cmocka_unit_test(test_vanished_batch_before_a_later_one_loses_heads),
		cmocka_unit_test(test_both_heads_lost),
		cmocka_unit_test(test_a_batch_gone_astray_loses_heads),
		cmocka_unit_test(test_a_first_batch_gone_astray),
		cmocka_unit_test(test_a_batch_gone_astray_among_earlier_ones),
		cmocka_unit_test(test_one_head_copy_is_enough),
		cmocka_unit_test(test_one_flipped_bit_in_every_sector),
		cmocka_unit_test(test_record_heads_stand_twice),
		cmocka_unit_test(test_term_and_vote_stand_in_two_blocks),
		cmocka_unit_test(test_settled_losses_stay_settled),
		cmocka_unit_test(test_broken_chain_is_told),
		cmocka_unit_test(test_value_that_looks_like_a_batch),
		cmocka_unit_test(test_segment_head_copies),
		cmocka_unit_test(test_a_gap_before_a_whole_batch),
		cmocka_unit_test(test_a_gap_before_a_ready_segment),
		cmocka_unit_test(test_all_used_segments_are_gone),
		cmocka_unit_test(test_rotten_segments_without_a_batch_hold_nothing),
		cmocka_unit_test(test_append_writes_the_documented_format),
		cmocka_unit_test(test_closing_batch),
		cmocka_unit_test(test_many_power_cuts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
