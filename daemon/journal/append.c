/* SPDX-License-Identifier: Apache-2.0 */
/* Open batches, and the one write under way. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "journal/private.h"

static void batch_free(struct batch *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->count; i++)
		entry_unref(b->records[i].entry);
	free(b->records);
	free(b);
}

static struct batch *batch_new(struct journal *j)
{
	struct batch *b = mem_zalloc(sizeof *b);

	b->sequence = j->next_sequence++;
	list_add_tail(&j->open, &b->node);
	return b;
}

/* The batch that takes the next record; made on first use. */
static struct batch *batch_open(struct journal *j)
{
	struct batch *b = list_empty(&j->open) ? NULL : list_entry(j->open.prev, struct batch, node);

	/* A checkpoint belongs into the batch that opens the segment, however full it is. */
	return b && (b->payload < BATCH_PAYLOAD_MAX || j->checkpointing) ? b : batch_new(j);
}

uint64_t journal_append(struct journal *j, const struct journal_record *record)
{
	struct batch *b = batch_open(j);
	struct batch_record *r;
	struct entry *e = record->entry;

	assert(record->kind == JOURNAL_ENTRY || record->kind == JOURNAL_REPAIR ? e && !e->missing : !e);
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->records = mem_realloc(b->records, b->cap * sizeof *b->records);
	}
	r = &b->records[b->count++];
	*r = (struct batch_record){
		.head = {.kind = record->kind, .group = record->group, .term = record->term, .index = record->index},
	};
	if (e) {
		assert(e->index == record->index && e->term == record->term);
		r->head.entry_kind = e->kind;
		r->head.size = e->size;
		r->head.payload_crc = e->crc;
		r->entry = entry_ref(e);
		b->payload += e->size;
		j->backlog += e->size;
	}
	b->hard |= record->kind == JOURNAL_HARD;
	return b->sequence;
}

void journal_note_lost(struct journal *j)
{
	uint64_t loss = JOURNAL_LOST_RECORD | journal_open_sequence(j);

	j->lost = mem_realloc(j->lost, (j->lost_count + 1) * sizeof *j->lost);
	j->lost[j->lost_count++] = loss;
	(void)journal_append(j, &(struct journal_record){.kind = JOURNAL_LOST, .index = loss});
}

void journal_settle(struct journal *j)
{
	for (uint32_t i = 0; i < j->lost_count; i++)
		(void)journal_append(j, &(struct journal_record){.kind = JOURNAL_SETTLED, .index = j->lost[i]});
	j->lost_count = 0;
}

uint64_t journal_open_sequence(const struct journal *j)
{
	const struct batch *b = list_empty(&j->open) ? NULL : list_entry(j->open.prev, struct batch, node);

	return b && b->payload < BATCH_PAYLOAD_MAX ? b->sequence : j->next_sequence;
}

uint64_t journal_durable(const struct journal *j)
{
	return j->durable;
}

uint64_t journal_writing_since(const struct journal *j)
{
	return j->writing ? j->write_start_ns : 0;
}

uint64_t journal_backlog(const struct journal *j)
{
	return j->backlog;
}

bool journal_out_of_space(const struct journal *j)
{
	return j->out_of_space;
}

void journal_note_peer(struct journal *j, uint8_t peer, uint64_t sequence)
{
	assert(peer < JOURNAL_PEERS);
	if (sequence > j->peer_sequence[peer])
		j->peer_sequence[peer] = sequence;
}

void journal_reset_peer(struct journal *j, uint8_t peer, uint64_t sequence)
{
	assert(peer < JOURNAL_PEERS);
	j->peer_sequence[peer] = sequence;
}

uint64_t journal_peer_sequence(const struct journal *j, uint8_t peer)
{
	assert(peer < JOURNAL_PEERS);
	return j->peer_sequence[peer];
}

/* Lays the batch out in image bytes: one pass copies, checksums and leaves room for the marks. */
static void image_build(struct journal *j, const struct batch *b, uint32_t sectors, uint8_t *base)
{
	struct journal_batch_head head = {
		.sequence = b->sequence,
		.sector_count = sectors,
		.record_count = b->count,
		.prev_crc = j->prev_crc,
	};
	uint64_t at = sizeof head, payload_at = at + (uint64_t)b->count * sizeof(struct journal_record_head);
	uint64_t tail = journal_tail_offset(sectors, b->count);
	uint64_t last = (uint64_t)sectors * JOURNAL_ROOM - sizeof head;
	uint32_t crc = journal_crc_seed(j->seed);

	for (uint32_t i = 0; i < b->count; i++) {
		struct journal_record_head *h = &b->records[i].head;

		h->offset = (uint32_t)payload_at;
		payload_at += h->size;
		journal_record_head_seal(h, j->seed, b->sequence);
		crc = journal_image_write(base, at, h, sizeof *h, crc);
		at += sizeof *h;
	}
	for (uint32_t i = 0; i < b->count; i++) {
		if (!b->records[i].entry)
			continue;
		crc = journal_image_write(base, at, b->records[i].entry->data, b->records[i].entry->size, crc);
		at += b->records[i].entry->size;
	}
	assert(at == payload_at && at <= tail);
	crc = journal_image_zero(base, at, tail - at, crc);
	at = tail;
	for (uint32_t i = 0; i < b->count; i++) {
		crc = journal_image_write(base, at, &b->records[i].head, sizeof b->records[i].head, crc);
		at += sizeof b->records[i].head;
	}
	assert(at <= last);
	head.body_crc = journal_image_zero(base, at, last - at, crc);
	memcpy(head.peer_sequence, j->peer_sequence, sizeof head.peer_sequence);
	journal_batch_head_seal(&head, j->seed);
	(void)journal_image_write(base, 0, &head, sizeof head, 0);
	(void)journal_image_write(base, last, &head, sizeof head, 0);
	journal_image_mark(base, sectors, journal_mark(j->seed, b->sequence));
	j->prev_crc = head.body_crc;
}

/* Every group's state joins this very batch: records go to the last open one, so make it the last. */
static void batch_checkpoint(struct journal *j, struct batch *b)
{
	struct list later;

	list_init(&later);
	while (b->node.next != &j->open) {
		struct list *node = b->node.next;

		list_del(node);
		list_add_tail(&later, node);
	}
	j->checkpointing = true;
	j->options.checkpoint(j->options.arg);
	j->checkpointing = false;
	j->checkpoint_sequence = b->sequence;
	list_splice_tail(&j->open, &later);
}

/*
 * What the batch may take of the segment. While no other one is ready, payloads leave something: on a full disk that is
 * all there is for the terms, votes and starts of this life and the next ones.
 */
static uint64_t room_in(const struct journal *j, const struct segment *s, const struct batch *b)
{
	uint64_t room = j->options.segment_size - s->end, kept = b->payload && list_empty(&j->ready) ? j->options.segment_size / RESERVE_PART : 0;

	return room > kept ? room - kept : 0;
}

/* Room for the batch in the current segment, or in the next one; NULL: none is ready yet. */
static struct segment *batch_segment(struct journal *j, struct batch *b, uint32_t *ret_sectors)
{
	struct segment *s = segment_current(j);
	uint32_t sectors = journal_batch_sectors(b->count, b->payload, b->hard);

	if (s && (uint64_t)sectors * JOURNAL_SECTOR <= room_in(j, s, b)) {
		*ret_sectors = sectors;
		return s;
	}
	s = segment_activate(j);
	if (!s)
		return NULL;
	batch_checkpoint(j, b);
	*ret_sectors = journal_batch_sectors(b->count, b->payload, b->hard);
	assert(s->end + (uint64_t)*ret_sectors * JOURNAL_SECTOR <= j->options.segment_size);
	return s;
}

static void batch_write(struct journal *j, struct batch *b)
{
	uint32_t sectors;
	struct segment *s = batch_segment(j, b, &sectors);
	uint32_t size;
	uint8_t *image = j->image;

	if (!s) {
		segment_prepare(j);
		return;
	}
	size = sectors * JOURNAL_SECTOR;
	if (size > IMAGE_SIZE)
		image = j->large_image = mem_aligned(IO_ALIGN, size);
	image_build(j, b, sectors, image);
	for (uint32_t i = 0; i < b->count; i++)
		if (b->records[i].entry)
			segment_note(s, b->records[i].head.group, b->records[i].head.index);
	list_del(&b->node);
	j->in_flight = b;
	j->writing = true;
	j->write_size = size;
	j->write_start_ns = io_boottime_ns(j->io);
	j->write_op.done = journal_write_done;
	io_write(j->io, &j->write_op, s->file, image, size, s->end, true);
	s->end += size;
}

void journal_flush(struct journal *j)
{
	if (j->writing || j->stopped || list_empty(&j->open))
		return;
	batch_write(j, list_entry(j->open.next, struct batch, node));
}

static void count_write(struct journal *j)
{
	histogram_add(&j->stats.write, io_boottime_ns(j->io) - j->write_start_ns, 1);
	j->stats.batches++;
	j->stats.records += j->in_flight->count;
	j->stats.bytes += j->write_size;
}

void journal_fail(struct journal *j, int error)
{
	j->stopped = true;
	j->options.failed(j->options.arg, error);
}

void journal_write_done(struct io_op *op, int result)
{
	struct journal *j = container_of(op, struct journal, write_op);
	struct batch *b = j->in_flight;

	j->writing = false;
	free(j->large_image);
	j->large_image = NULL;
	if (result < 0) {
		/* The pages' state is unknown and must not be asked for again: [read errors]. */
		journal_fail(j, result);
		return;
	}
	count_write(j);
	j->in_flight = NULL;
	j->durable = b->sequence;
	j->last_empty = b->count == 0;
	j->backlog -= b->payload;
	batch_free(b);
	j->options.batch_done(j->options.arg, j->durable);
	if (list_empty(&j->open) && !j->last_empty)
		journal_closing_arm(j);
}

/* ---- the closing batch: makes the last batch provably whole once nothing follows it ---- */

void journal_closing_arm(struct journal *j)
{
	j->closing.fire = journal_closing_fire;
	io_timer_start(j->io, &j->closing, io_boottime_ns(j->io) + CLOSING_BATCH_NS);
}

void journal_closing_fire(struct io_timer *t)
{
	struct journal *j = container_of(t, struct journal, closing);

	if (j->writing || j->stopped || !list_empty(&j->open))
		return; /* something follows anyway */
	(void)batch_new(j);
	journal_flush(j);
}

/* ---- life ---- */

int journal_open(struct journal **ret_j, struct io *io, const struct journal_options *options, struct journal_recovery *ret_found)
{
	struct journal *j = mem_zalloc(sizeof *j);
	int r;

	assert(options->segment_size && options->segment_size % (1u << 20) == 0);
	j->io = io;
	j->options = *options;
	j->dir = mem_strdup(options->dir);
	j->dir_file = -1;
	list_init(&j->active);
	list_init(&j->free);
	list_init(&j->ready);
	list_init(&j->open);
	j->image = mem_aligned(IO_ALIGN, IMAGE_SIZE);
	j->zeros = mem_aligned(IO_ALIGN, ZERO_CHUNK + JOURNAL_BLOCK);
	memset(j->zeros, 0, ZERO_CHUNK + JOURNAL_BLOCK);
	r = io_mkdir_now(io, options->dir);
	if (r < 0)
		goto fail;
	j->dir_file = io_open_now(io, options->dir, IO_DIRECTORY);
	if (j->dir_file < 0) {
		r = j->dir_file;
		goto fail;
	}
	r = journal_recover(j, ret_found);
	if (r < 0)
		goto fail;
	io_register_buffer(io, j->image, IMAGE_SIZE);
	segment_prepare(j);
	*ret_j = j;
	return 0;
fail:
	journal_close(j);
	return r;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	io_timer_stop(j->io, &j->closing);
	io_timer_stop(j->io, &j->prepare_retry);
	while (!list_empty(&j->open)) {
		struct batch *b = list_entry(j->open.next, struct batch, node);

		list_del(&b->node);
		batch_free(b);
	}
	batch_free(j->in_flight);
	segment_free(j, j->preparing);
	while (!list_empty(&j->active))
		segment_free(j, list_entry(j->active.next, struct segment, node));
	while (!list_empty(&j->free))
		segment_free(j, list_entry(j->free.next, struct segment, node));
	while (!list_empty(&j->ready))
		segment_free(j, list_entry(j->ready.next, struct segment, node));
	io_file_close(j->io, j->dir_file);
	free(j->prepare_path);
	free(j->lost);
	free(j->image);
	free(j->large_image);
	free(j->zeros);
	free(j->dir);
	free(j);
}

void journal_stats(const struct journal *j, struct journal_stats *ret)
{
	*ret = j->stats;
	ret->segments = journal_segments(j);
	ret->segments_ready = list_empty(&j->ready) ? 0 : 1;
}
