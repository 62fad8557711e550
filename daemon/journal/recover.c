/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery: read what a crash, a power cut or rot has left, and tell the three apart (DECISIONS [torn]).
 *
 * At each place where a batch of sequence s may stand, every sector is one of
 *   NEW    it starts with exactly the mark of s;
 *   OLD    it is all zeros, which is what lay there before;
 *   OTHER  anything else: neither a finished nor an unfinished write leaves that, so it is rot.
 * "Later" says that a batch with a higher sequence is there, which was begun only once s was durable.
 *
 *   a head copy | sectors            | checksum | later | verdict
 *   ------------+--------------------+----------+-------+----------------------------------------------
 *   valid       | all NEW            | right    | any   | WHOLE
 *   valid       | all NEW            | wrong    | any   | ROT: record heads stand twice, payloads may be missing
 *   valid       | some OLD, no OTHER | -        | no    | TORN: never finished, never acknowledged; dropped
 *   valid       | some OLD, no OTHER | -        | yes   | ROT
 *   valid       | some OTHER         | -        | any   | ROT
 *   none        | all OLD            | -        | no    | END of the journal (but see "astray")
 *   none        | all OLD            | -        | yes   | END of the segment if s opens the next one, else ROT, heads lost
 *   none        | some OLD, no OTHER | -        | no    | TORN (but see "astray")
 *   none        | all NEW            | -        | any   | ROT, heads lost
 *   none        | some OTHER         | -        | any   | ROT, heads lost
 *   none        | some OLD, no OTHER | -        | yes   | ROT, heads lost
 *
 * "Astray": the segment holds a valid head of s somewhere else. No unfinished write of s leaves that: the disk has put s there and
 * said that it was done. Then s is ROT, heads lost; the next batch goes behind its place, so that what is lost shows again until
 * it is settled. Where such a write hit other batches, their rows say so.
 *
 * What stays doubtful because the device lied (a durable batch that is all zeros again) looks like END or TORN;
 * the peers remember the highest sequence we told them was durable, and tell ([damaged]).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/mem.h"
#include "journal/private.h"

#define LOST_SEGMENTS_MAX 1024u /* a gap that is longer is one loss as well */

enum verdict { WHOLE, ROT, ROT_HEADS_LOST, TORN, END };

struct place {
	enum verdict verdict;
	uint32_t sectors;                 /* how far it reaches */
	bool has_head;
	struct journal_batch_head head;
};

struct found_segment {
	struct segment *segment;
	struct journal_segment_head head;
	bool has_batch; /* something stands behind its head */
};

struct recovery {
	struct journal *j;
	struct journal_recovery *found;
	struct found_segment *segments;
	uint32_t segment_count;
	int error;
	uint8_t *buf; /* one whole segment */
	uint64_t expect; /* the sequence of the next batch; 0: unknown yet */
	bool chain;      /* prev_crc of the next batch can be checked */
	uint32_t unreadable; /* segments with content whose both head copies are lost */
	uint64_t hidden; /* a loss that the next recovery can't see; 0: none */
	uint64_t *lost;  /* losses that are not settled, as JOURNAL_SETTLED calls them */
	uint32_t lost_count;
};

static bool is_zero(const uint8_t *p, size_t size)
{
	return p[0] == 0 && !memcmp(p, p + 1, size - 1);
}

/* ---- finding the segments ---- */

static void list_segment(void *arg, const char *name)
{
	struct recovery *rec = arg;
	unsigned slot;
	char tail;

	if (rec->error || sscanf(name, "seg-%6u%c", &slot, &tail) != 1)
		return;
	rec->segments = mem_realloc(rec->segments, (rec->segment_count + 1) * sizeof *rec->segments);
	rec->segments[rec->segment_count++] = (struct found_segment){.segment = segment_new(rec->j, slot)};
}

/* From a segment's start. A block that can't be read is rot, not an end: it is all ones then, and the others are what they are. */
static int read_blocks(const struct journal *j, int file, uint8_t *to, uint64_t size)
{
	int r = io_read_now(j->io, file, to, size, 0);

	for (uint64_t at = 0; r < 0 && at < size; at += JOURNAL_BLOCK)
		if (io_read_now(j->io, file, to + at, JOURNAL_BLOCK, at) < 0)
			memset(to + at, 0xff, JOURNAL_BLOCK);
	return r;
}

/* Reads head and first batch's block. Returns 1 if the head is valid, 0 if the segment is blank. */
static int probe_segment(struct recovery *rec, struct found_segment *f, uint8_t *blocks)
{
	struct journal *j = rec->j;
	char *path = segment_path(j, f->segment->slot);
	struct journal_segment_head copy;
	int r;

	f->segment->file = io_open_now(j->io, path, IO_DIRECT | IO_LOCK);
	free(path);
	if (f->segment->file < 0)
		return f->segment->file;
	f->segment->grown = io_size_now(j->io, f->segment->file) >= (int64_t)j->options.segment_size;
	r = read_blocks(j, f->segment->file, blocks, 2 * JOURNAL_BLOCK);
	if (r == -ENODATA)
		return 0; /* made, not yet filled */
	f->has_batch = !is_zero(blocks + JOURNAL_BLOCK, JOURNAL_BLOCK);
	memcpy(&f->head, blocks, sizeof f->head);
	memcpy(&copy, blocks + JOURNAL_SEGMENT_COPY, sizeof copy);
	if (!journal_segment_head_valid(&f->head))
		f->head = copy;
	if (journal_segment_head_valid(&f->head))
		return f->head.version == JOURNAL_VERSION ? 1 : -EPROTONOSUPPORT;
	if (is_zero(blocks, JOURNAL_BLOCK))
		return 0;
	return -EBADMSG;
}

static int by_number(const void *a, const void *b)
{
	const struct found_segment *x = a, *y = b;

	return x->head.number < y->head.number ? -1 : x->head.number > y->head.number;
}

/* Opens all, drops the blank ones into j->free, sorts the rest. */
static int find_segments(struct recovery *rec)
{
	struct journal *j = rec->j;
	uint8_t *blocks;
	uint32_t kept = 0;
	int r = io_list_now(j->io, j->dir, list_segment, rec);

	if (r < 0)
		return r;
	blocks = mem_aligned(IO_ALIGN, 2 * JOURNAL_BLOCK);
	for (uint32_t i = 0; i < rec->segment_count; i++) {
		struct found_segment *f = &rec->segments[i];

		r = probe_segment(rec, f, blocks);
		if (r < 0 && r != -EBADMSG) {
			for (; i < rec->segment_count; i++)
				rec->segments[kept++] = rec->segments[i];
			break;
		}
		if (r == 1 && kept > 0 && f->head.seed != rec->segments[0].head.seed)
			r = -EBADMSG;
		if (r == 1) {
			rec->segments[kept++] = *f;
			continue;
		}
		rec->unreadable += r == -EBADMSG && f->has_batch;
		list_add_tail(&j->free, &f->segment->node);
		r = 0;
	}
	free(blocks);
	rec->segment_count = kept;
	if (r < 0)
		return r;
	if (kept == 0 && rec->unreadable > 0)
		return -EBADMSG; /* without a batch nothing was ever stored: that is a first start which was cut off */
	if (kept > 0)
		qsort(rec->segments, kept, sizeof *rec->segments, by_number);
	return 0;
}

/* ---- looking at one place ---- */

static bool head_at(const struct recovery *rec, uint64_t at, uint64_t sequence, struct journal_batch_head *ret)
{
	journal_image_read(rec->buf + at, 0, ret, sizeof *ret);
	return journal_batch_head_valid(ret, rec->j->seed) && (!sequence || ret->sequence == sequence);
}

/* The next block-aligned place after `at` where a batch with a sequence above `sequence` starts; 0: none. */
static uint64_t later_batch(const struct recovery *rec, uint64_t at, uint64_t sequence)
{
	struct journal_batch_head h;

	for (at += JOURNAL_BLOCK; at < rec->j->options.segment_size; at += JOURNAL_BLOCK)
		if (head_at(rec, at, 0, &h) && h.sequence > sequence)
			return at;
	return 0;
}

/* A batch that has reached s or a later one starts at another place of the segment than where s would stand. */
static bool astray(const struct recovery *rec, uint64_t at, uint64_t sequence)
{
	struct journal_batch_head h;

	for (uint64_t place = JOURNAL_BLOCK; place < rec->j->options.segment_size; place += JOURNAL_BLOCK)
		if (place != at && head_at(rec, place, 0, &h) && h.sequence >= sequence)
			return true;
	return false;
}

/* The end of what isn't zero, block-aligned, at least `at`. */
static uint64_t content_end(const struct recovery *rec, uint64_t at)
{
	uint64_t end = rec->j->options.segment_size;

	while (end > at && is_zero(rec->buf + end - JOURNAL_BLOCK, JOURNAL_BLOCK))
		end -= JOURNAL_BLOCK;
	return end;
}

/* The copy of the batch's head that ends its last sector, when the first one is unreadable. */
static bool tail_head(const struct recovery *rec, uint64_t at, uint64_t limit, uint64_t sequence, struct journal_batch_head *ret)
{
	for (uint64_t end = at + JOURNAL_BLOCK; end <= limit; end += JOURNAL_BLOCK) {
		memcpy(ret, rec->buf + end - sizeof *ret, sizeof *ret);
		if (journal_batch_head_valid(ret, rec->j->seed) && ret->sequence == sequence &&
		    (uint64_t)ret->sector_count * JOURNAL_SECTOR == end - at)
			return true;
	}
	return false;
}

struct census {
	uint32_t fresh, old, other; /* NEW, OLD, OTHER */
};

static struct census count_sectors(const struct recovery *rec, uint64_t at, uint32_t sectors, uint64_t sequence)
{
	uint32_t mark = journal_mark(rec->j->seed, sequence);
	struct census c = {0};

	for (uint32_t i = 0; i < sectors; i++) {
		const uint8_t *sector = rec->buf + at + (uint64_t)i * JOURNAL_SECTOR;

		if (get_le32(sector) == mark)
			c.fresh++;
		else if (is_zero(sector, JOURNAL_SECTOR))
			c.old++;
		else
			c.other++;
	}
	return c;
}

static uint32_t body_crc(const struct recovery *rec, uint64_t at, uint32_t sectors)
{
	uint64_t head = sizeof(struct journal_batch_head);

	return journal_image_crc(rec->buf + at, head, (uint64_t)sectors * JOURNAL_ROOM - 2 * head,
				 journal_crc_seed(rec->j->seed));
}

/* The decision table. `more`: a later segment holds batches. */
static struct place look(const struct recovery *rec, uint64_t at, uint64_t sequence, bool more)
{
	struct place p = {0};
	uint64_t later, limit;
	struct census c;

	p.has_head = head_at(rec, at, sequence, &p.head) &&
		     at + (uint64_t)p.head.sector_count * JOURNAL_SECTOR <= rec->j->options.segment_size;
	if (p.has_head) {
		p.sectors = p.head.sector_count;
		c = count_sectors(rec, at, p.sectors, sequence);
		if (c.fresh == p.sectors && body_crc(rec, at, p.sectors) == p.head.body_crc) {
			p.verdict = WHOLE;
			return p;
		}
		later = later_batch(rec, at + (uint64_t)p.sectors * JOURNAL_SECTOR - JOURNAL_BLOCK, sequence);
		p.verdict = c.fresh < p.sectors && !c.other && !later && !more ? TORN : ROT;
		return p;
	}
	later = later_batch(rec, at, sequence);
	limit = later ? later : content_end(rec, at);
	p.sectors = (uint32_t)((limit - at) / JOURNAL_SECTOR);
	c = count_sectors(rec, at, p.sectors, sequence);
	if (c.fresh + c.other == 0 && !later) {
		bool lost = astray(rec, at, sequence);

		p.verdict = lost ? ROT_HEADS_LOST : END;
		p.sectors = lost ? JOURNAL_BLOCK / JOURNAL_SECTOR : 0;
		return p;
	}
	p.has_head = tail_head(rec, at, limit, sequence, &p.head);
	if (p.has_head) {
		p.sectors = p.head.sector_count;
		c = count_sectors(rec, at, p.sectors, sequence);
		if (c.fresh == p.sectors && body_crc(rec, at, p.sectors) == p.head.body_crc) {
			p.verdict = WHOLE; /* only the first head copy has rotted */
			return p;
		}
	}
	if (c.old && !c.other && !later && !more && !astray(rec, at, sequence))
		p.verdict = TORN;
	else
		p.verdict = p.has_head ? ROT : ROT_HEADS_LOST;
	return p;
}

/* ---- taking records out of a batch ---- */

static void lost_heads(struct recovery *rec, uint64_t loss)
{
	rec->lost = mem_realloc(rec->lost, (rec->lost_count + 1) * sizeof *rec->lost);
	rec->lost[rec->lost_count++] = loss;
}

/* That very one: an older batch that was whole then may rot later, and that is a loss of its own. */
static void settle(struct recovery *rec, uint64_t loss)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < rec->lost_count; i++)
		if (rec->lost[i] != loss)
			rec->lost[kept++] = rec->lost[i];
	rec->lost_count = kept;
}

static struct entry *payload_of(const struct recovery *rec, uint64_t at, const struct place *p, const struct journal_record_head *h)
{
	uint64_t room = (uint64_t)p->sectors * JOURNAL_ROOM;
	struct entry *e;

	if (h->offset <= room && h->size <= room - h->offset && h->size <= ENTRY_SIZE_MAX) {
		e = entry_new(h->entry_kind, h->size);
		e->crc = h->payload_crc;
		journal_image_read(rec->buf + at, h->offset, e->data, h->size);
		if (rec->j->options.plant_torn_accepted)
			entry_seal(e);
		if (entry_intact(e))
			goto out;
		entry_unref(e);
	}
	e = entry_new(h->entry_kind, 0);
	e->crc = h->payload_crc;
	e->missing = true;
out:
	e->index = h->index;
	e->term = h->term;
	return e;
}

/* What follows may not follow what went before. */
static void gap(struct recovery *rec)
{
	rec->j->options.lost(rec->j->options.arg);
}

static void take_record(struct recovery *rec, struct segment *s, uint64_t at, const struct place *p, const struct journal_record_head *h)
{
	struct journal_record record = {.kind = h->kind, .group = h->group, .term = h->term, .index = h->index};

	if (h->kind == JOURNAL_SETTLED) {
		settle(rec, h->index);
		return;
	}
	if (h->kind == JOURNAL_LOST) {
		lost_heads(rec, h->index);
		return;
	}
	if (h->kind == JOURNAL_ENTRY || h->kind == JOURNAL_REPAIR) {
		record.entry = payload_of(rec, at, p, h);
		if (h->kind == JOURNAL_ENTRY)
			segment_note(s, h->group, h->index);
	}
	rec->j->options.record(rec->j->options.arg, &record);
	entry_unref(record.entry);
}

static void take_records(struct recovery *rec, struct segment *s, uint64_t at, const struct place *p)
{
	const uint8_t *base = rec->buf + at;
	uint64_t front = sizeof p->head, room = (uint64_t)p->sectors * JOURNAL_ROOM;
	uint64_t tail = journal_tail_offset(p->sectors, p->head.record_count);
	bool lost = false;

	if (p->head.record_count > room / sizeof(struct journal_record_head)) {
		lost_heads(rec, p->head.sequence);
		gap(rec);
		return;
	}
	for (uint32_t i = 0; i < p->head.record_count; i++) {
		struct journal_record_head h;

		journal_image_read(base, front + i * sizeof h, &h, sizeof h);
		if (!journal_record_head_valid(&h, rec->j->seed, p->head.sequence))
			journal_image_read(base, tail + i * sizeof h, &h, sizeof h);
		if (journal_record_head_valid(&h, rec->j->seed, p->head.sequence)) {
			take_record(rec, s, at, p, &h);
		} else {
			lost = true;
			gap(rec);
		}
	}
	if (lost)
		lost_heads(rec, p->head.sequence);
}

/* ---- walking ---- */

static void zero_rest(struct recovery *rec, struct segment *s, uint64_t at)
{
	struct journal *j = rec->j;
	uint64_t end = content_end(rec, at);

	for (; at < end && !rec->error; at += JOURNAL_BLOCK)
		rec->error = io_write_now(j->io, s->file, j->zeros, JOURNAL_BLOCK, at);
	if (!rec->error)
		rec->error = io_sync_now(j->io, s->file);
}

static void after_batch(struct recovery *rec, const struct place *p, uint64_t sequence)
{
	struct journal *j = rec->j;

	rec->expect = sequence + 1;
	rec->chain = p->has_head;
	j->prev_crc = p->has_head ? p->head.body_crc : 0;
	rec->found->last_sequence = sequence;
	rec->found->batch_count++;
	if (p->has_head)
		for (unsigned i = 0; i < JOURNAL_PEERS; i++)
			rec->found->peer_sequence[i] = max_u64(rec->found->peer_sequence[i], p->head.peer_sequence[i]);
}

/* Several batches may have stood there: each is a loss to be settled by itself. Returns the last one, which is still to be noted. */
static uint64_t lost_row(struct recovery *rec, uint64_t first, uint64_t last, uint32_t sectors)
{
	for (uint64_t sequence = first; sequence < last && last - first <= sectors; sequence++)
		lost_heads(rec, sequence);
	return last;
}

/*
 * What stands first in a segment, if it isn't what should come: batches that stood in segments which are gone. The batch
 * itself may be whole, and tells the state of every group ([pinning]).
 */
static uint64_t first_of_segment(struct recovery *rec, uint64_t sequence)
{
	struct journal_batch_head h;

	if (!head_at(rec, JOURNAL_BLOCK, 0, &h) || h.sequence <= sequence)
		return sequence;
	rec->found->damaged++;
	lost_heads(rec, JOURNAL_LOST_LINK | h.sequence);
	gap(rec);
	rec->chain = false;
	return h.sequence;
}

/* Returns false when the journal ends in this segment. */
static bool walk_segment(struct recovery *rec, struct segment *s, bool more)
{
	struct journal *j = rec->j;
	uint64_t at = JOURNAL_BLOCK;

	while (at < j->options.segment_size) {
		struct journal_batch_head h;
		uint64_t sequence = rec->expect;
		struct place p;

		if (!sequence) { /* the oldest segment: whatever stands there first */
			uint64_t next = head_at(rec, at, 0, &h) ? at : later_batch(rec, at, 0);

			if (next && next != at)
				(void)head_at(rec, next, 0, &h);
			sequence = !next ? 1 : next == at ? h.sequence : h.sequence - 1;
		} else if (at == JOURNAL_BLOCK) {
			sequence = first_of_segment(rec, sequence);
		}
		p = look(rec, at, sequence, more);
		switch (p.verdict) {
		case END:
			s->end = at;
			return more;
		case TORN:
			rec->found->torn = true;
			if (j->options.plant_torn_accepted && p.has_head) {
				take_records(rec, s, at, &p);
				break;
			}
			zero_rest(rec, s, at);
			s->end = at;
			return false;
		case WHOLE:
			if (rec->chain && p.head.prev_crc != j->prev_crc) {
				lost_heads(rec, JOURNAL_LOST_LINK | sequence);
				gap(rec);
			}
			take_records(rec, s, at, &p);
			break;
		case ROT:
			rec->found->damaged++;
			take_records(rec, s, at, &p);
			break;
		case ROT_HEADS_LOST:
			rec->found->damaged++;
			/* The next batch that can be read tells where the sequence goes on. */
			if (at + (uint64_t)p.sectors * JOURNAL_SECTOR < j->options.segment_size &&
			    head_at(rec, at + (uint64_t)p.sectors * JOURNAL_SECTOR, 0, &h))
				sequence = lost_row(rec, sequence, h.sequence - 1, p.sectors);
			lost_heads(rec, sequence);
			gap(rec);
			break;
		}
		after_batch(rec, &p, sequence);
		at += (uint64_t)p.sectors * JOURNAL_SECTOR;
	}
	s->end = at;
	return more;
}

/* Segments are numbered without gaps, and the oldest go first. */
static void lost_segments(struct recovery *rec, uint64_t from, uint64_t to)
{
	for (uint64_t number = from; number < to && number - from < LOST_SEGMENTS_MAX; number++)
		lost_heads(rec, JOURNAL_LOST_SEGMENT | number);
}

/* A segment whose first batch isn't there isn't empty yet: that one may have gone astray. */
static void find_batches(struct recovery *rec)
{
	uint64_t size = rec->j->options.segment_size;

	for (uint32_t i = 0; i < rec->segment_count; i++) {
		struct found_segment *f = &rec->segments[i];

		if (f->has_batch)
			continue;
		(void)read_blocks(rec->j, f->segment->file, rec->buf, size);
		f->has_batch = !is_zero(rec->buf + JOURNAL_BLOCK, size - JOURNAL_BLOCK);
	}
}

/*
 * A segment in use is freed only when the next one is: so if none is left that was used, and they aren't the first two, all that
 * was are gone. The next batch hides that, so it is the one that says it.
 */
static void find_front(struct recovery *rec)
{
	uint64_t number = rec->segments[0].head.number;
	bool used = false;

	for (uint32_t i = 0; i < rec->segment_count; i++)
		used |= rec->segments[i].has_batch;
	if (used || number == 1)
		return;
	rec->hidden = JOURNAL_LOST_SEGMENT | (number - 1);
	lost_heads(rec, rec->hidden);
}

/* Before any record is read: what settles a gap may stand before it, where only ready segments lie behind. */
static void find_gaps(struct recovery *rec)
{
	for (uint32_t i = 1; i < rec->segment_count; i++)
		lost_segments(rec, rec->segments[i - 1].head.number + 1, rec->segments[i].head.number);
}

static int walk(struct recovery *rec)
{
	struct journal *j = rec->j;
	bool going = true;

	find_batches(rec);
	find_front(rec);
	find_gaps(rec);
	for (uint32_t i = 0; i < rec->segment_count; i++) {
		struct found_segment *f = &rec->segments[i];
		struct segment *s = f->segment;
		bool more = false;

		s->number = f->head.number;
		s->end = JOURNAL_BLOCK;
		for (uint32_t k = i + 1; k < rec->segment_count; k++)
			more |= rec->segments[k].has_batch;
		if (!going || (!f->has_batch && !more && i > 0)) {
			s->state = SEGMENT_READY;
			list_add_tail(&j->ready, &s->node);
			continue;
		}
		s->state = SEGMENT_ACTIVE;
		list_add_tail(&j->active, &s->node);
		(void)read_blocks(j, s->file, rec->buf, j->options.segment_size);
		going = walk_segment(rec, s, more);
		if (rec->error)
			return rec->error;
	}
	return 0;
}

static int first_start(struct journal *j)
{
	int r = 0;

	io_random(j->io, &j->seed, sizeof j->seed);
	j->next_number = 1;
	for (unsigned i = 0; r == 0 && i < 1 + SEGMENTS_READY; i++)
		r = segment_create_now(j);
	return r;
}

int journal_recover(struct journal *j, struct journal_recovery *ret_found)
{
	struct recovery rec = {.j = j, .found = ret_found};
	int r;

	*ret_found = (struct journal_recovery){0};
	r = find_segments(&rec);
	if (r < 0)
		goto out;
	if (rec.segment_count == 0) {
		r = first_start(j);
		j->next_sequence = 1;
		goto out;
	}
	j->seed = rec.segments[0].head.seed;
	j->options.segment_size = (uint32_t)rec.segments[0].head.size;
	/*
	 * An unreadable segment between others shows as a gap in the numbers. The newest one doesn't: leave the gap
	 * that tells it again at the next recovery, until a record settles it.
	 */
	j->next_number = rec.segments[rec.segment_count - 1].head.number + 1 + rec.unreadable;
	rec.buf = mem_aligned(IO_ALIGN, j->options.segment_size);
	r = walk(&rec);
	if (r < 0)
		goto out;
	lost_segments(&rec, j->next_number - rec.unreadable, j->next_number);
	ret_found->segment_count = rec.segment_count;
	ret_found->heads_lost = rec.lost_count > 0;
	ret_found->heads_lost_at = rec.lost_count ? rec.lost[0] : 0;
	j->next_sequence = ret_found->last_sequence + 1;
	j->durable = ret_found->last_sequence;
	j->checkpoint_sequence = j->next_sequence; /* the first batch tells every group's state anew */
	memcpy(j->peer_sequence, ret_found->peer_sequence, sizeof j->peer_sequence);
	if (rec.hidden)
		(void)journal_append(j, &(struct journal_record){.kind = JOURNAL_LOST, .index = rec.hidden});
out:
	for (uint32_t i = 0; r < 0 && i < rec.segment_count; i++)
		if (list_empty(&rec.segments[i].segment->node))
			segment_free(j, rec.segments[i].segment);
	free(rec.segments);
	j->lost = rec.lost;
	j->lost_count = rec.lost_count;
	free(rec.buf);
	return r;
}
