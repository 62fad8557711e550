/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a segment file:
 *
 *   (no file) -> PREPARING -> READY -> ACTIVE -> FREE -> PREPARING ...
 *
 * Preparing means: blank its head durably (it must not be taken for its former self), fill it with zeros, sync,
 * write the head with the next number durably. All of it goes through the ring, away from the data path, one
 * chunk at a time. A segment holds a flock on its open file for as long as a write may be under way.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "journal/private.h"

#define PREPARE_RETRY_NS (NS_PER_S / 2)

char *segment_path(const struct journal *j, uint32_t slot)
{
	size_t size = strlen(j->dir) + 32;
	char *path = mem_alloc(size);

	(void)snprintf(path, size, "%s/seg-%06u", j->dir, slot);
	return path;
}

struct segment *segment_new(struct journal *j, uint32_t slot)
{
	struct segment *s = mem_zalloc(sizeof *s);

	s->slot = slot;
	s->file = -1;
	s->state = SEGMENT_FREE;
	list_init(&s->node);
	if (slot >= j->slot_count)
		j->slot_count = slot + 1;
	return s;
}

void segment_free(struct journal *j, struct segment *s)
{
	if (!s)
		return;
	list_del(&s->node);
	io_file_close(j->io, s->file);
	free(s->groups);
	free(s);
}

void segment_note(struct segment *s, uint32_t group, raft_index index)
{
	for (uint32_t i = 0; i < s->group_count; i++)
		if (s->groups[i].group == group) {
			if (index > s->groups[i].index)
				s->groups[i].index = index;
			return;
		}
	s->groups = mem_realloc(s->groups, (s->group_count + 1) * sizeof *s->groups);
	s->groups[s->group_count++] = (struct segment_group){.group = group, .index = index};
}

struct segment *segment_current(struct journal *j)
{
	return list_empty(&j->active) ? NULL : list_entry(j->active.prev, struct segment, node);
}

void segment_head_fill(const struct journal *j, uint64_t number, uint8_t *block)
{
	struct journal_segment_head h = {
		.seed = j->seed,
		.number = number,
		.size = j->options.segment_size,
		.lane = j->options.lane,
	};

	journal_segment_head_seal(&h);
	memset(block, 0, JOURNAL_BLOCK);
	memcpy(block, &h, sizeof h);
	memcpy(block + JOURNAL_SEGMENT_COPY, &h, sizeof h);
}

int segment_create_now(struct journal *j)
{
	struct segment *s = segment_new(j, j->slot_count);
	char *path = segment_path(j, s->slot);
	uint8_t *block = NULL;
	int r;

	s->file = io_open_now(j->io, path, IO_CREATE | IO_DIRECT | IO_LOCK);
	if (s->file < 0) {
		r = s->file;
		goto out;
	}
	for (uint64_t at = 0; at < j->options.segment_size; at += ZERO_CHUNK) {
		r = io_write_now(j->io, s->file, j->zeros, ZERO_CHUNK, at);
		if (r < 0)
			goto out;
	}
	r = io_sync_now(j->io, s->file);
	if (r < 0)
		goto out;
	block = mem_aligned(IO_ALIGN, JOURNAL_BLOCK);
	s->number = j->next_number;
	segment_head_fill(j, s->number, block);
	r = io_write_now(j->io, s->file, block, JOURNAL_BLOCK, 0);
	if (r == 0)
		r = io_sync_now(j->io, s->file);
	if (r == 0)
		r = io_sync_now(j->io, j->dir_file);
	if (r < 0)
		goto out;
	j->next_number++;
	s->state = SEGMENT_READY;
	s->grown = true;
	s->end = JOURNAL_BLOCK;
	list_add_tail(&j->ready, &s->node);
	s = NULL;
out:
	free(block);
	free(path);
	segment_free(j, s);
	return r;
}

/* ---- preparing ahead: open, blank the head, zeros, sync, head, directory ---- */

static void prepare_opened(struct io_op *op, int result);
static void prepare_step(struct io_op *op, int result);
static void prepare_synced(struct io_op *op, int result);
static void prepare_headed(struct io_op *op, int result);
static void prepare_named(struct io_op *op, int result);

static struct journal *journal_of_prepare(struct io_op *op)
{
	return container_of(op, struct journal, prepare_op);
}

static void prepare_fire(struct io_timer *t)
{
	segment_prepare(container_of(t, struct journal, prepare_retry));
}

static void prepare_failed(struct journal *j, int error)
{
	struct segment *s = j->preparing;

	if (error == -EIO || (error == -ENODATA && s->grown)) {
		/* The disk, not its space, also where a write in place was cut short: as for a batch ([read errors]). */
		journal_fail(j, error);
		return;
	}
	/*
	 * The segment isn't in use: no data is at stake. Try again when there may be space, and with this very segment: its
	 * head may stand there already, and no other one may get its number before it is blank.
	 */
	j->preparing = NULL;
	s->state = SEGMENT_FREE;
	list_del(&s->node);
	list_add_tail(j->free.next, &s->node);
	j->stats.failed_preparations++;
	j->out_of_space = true;
	j->prepare_retry.fire = prepare_fire;
	io_timer_start(j->io, &j->prepare_retry, io_boottime_ns(j->io) + PREPARE_RETRY_NS);
}

static uint32_t ready_count(const struct journal *j)
{
	uint32_t n = 0;

	list_for_each(pos, &j->ready)
		n++;
	return n;
}

void segment_prepare(struct journal *j)
{
	struct segment *s;
	struct list *first;

	if (j->stopped || j->preparing || ready_count(j) >= SEGMENTS_READY || j->prepare_retry.heap_slot)
		return;
	first = list_first(&j->free);
	s = first ? list_entry(first, struct segment, node) : segment_new(j, j->slot_count);
	list_del(&s->node);
	s->state = SEGMENT_PREPARING;
	j->preparing = s;
	j->prepared = 0;
	if (s->file >= 0) {
		prepare_opened(&j->prepare_op, s->file);
		return;
	}
	free(j->prepare_path);
	j->prepare_path = segment_path(j, s->slot);
	j->prepare_op.done = prepare_opened;
	io_open(j->io, &j->prepare_op, j->prepare_path, IO_CREATE | IO_DIRECT | IO_LOCK);
}

static void prepare_opened(struct io_op *op, int result)
{
	struct journal *j = journal_of_prepare(op);

	if (result < 0) {
		prepare_failed(j, result);
		return;
	}
	j->preparing->file = result;
	/*
	 * The head alone first, blank and durable before anything else changes: of a larger write a power cut may leave
	 * the old head over batches that are half gone, and recovery would take that for rot.
	 */
	op->done = prepare_step;
	j->prepared = 0;
	io_write(j->io, op, result, j->zeros, JOURNAL_BLOCK, 0, true);
}

static void prepare_step(struct io_op *op, int result)
{
	struct journal *j = journal_of_prepare(op);
	uint64_t at = j->prepared;

	if (result < 0) {
		prepare_failed(j, result);
		return;
	}
	if (at == j->options.segment_size) {
		j->preparing->grown = true;
		op->done = prepare_synced;
		io_sync(j->io, op, j->preparing->file);
		return;
	}
	j->prepared += ZERO_CHUNK;
	io_write(j->io, op, j->preparing->file, j->zeros, ZERO_CHUNK, at, false);
}

static void prepare_synced(struct io_op *op, int result)
{
	struct journal *j = journal_of_prepare(op);
	uint8_t *block = j->zeros + ZERO_CHUNK; /* the block behind the zeros is for the head */

	if (result < 0) {
		prepare_failed(j, result);
		return;
	}
	j->preparing->number = j->next_number;
	segment_head_fill(j, j->preparing->number, block);
	op->done = prepare_headed;
	io_write(j->io, op, j->preparing->file, block, JOURNAL_BLOCK, 0, true);
}

static void prepare_headed(struct io_op *op, int result)
{
	struct journal *j = journal_of_prepare(op);

	if (result < 0) {
		prepare_failed(j, result);
		return;
	}
	op->done = prepare_named;
	io_sync(j->io, op, j->dir_file);
}

static void prepare_named(struct io_op *op, int result)
{
	struct journal *j = journal_of_prepare(op);
	struct segment *s = j->preparing;

	if (result < 0) {
		prepare_failed(j, result);
		return;
	}
	j->next_number++; /* only now: a gap between the numbers is a lost segment to recovery */
	j->preparing = NULL;
	s->state = SEGMENT_READY;
	s->end = JOURNAL_BLOCK;
	s->group_count = 0;
	list_add_tail(&j->ready, &s->node);
	j->out_of_space = false;
	segment_prepare(j);
	journal_flush(j); /* a batch may have waited for this */
}

struct segment *segment_activate(struct journal *j)
{
	struct list *first = list_first(&j->ready);
	struct segment *s;

	if (!first)
		return NULL;
	s = list_entry(first, struct segment, node);
	assert(s->state == SEGMENT_READY && s->end == JOURNAL_BLOCK);
	list_del(&s->node);
	s->state = SEGMENT_ACTIVE;
	list_add_tail(&j->active, &s->node);
	segment_prepare(j);
	return s;
}

void journal_free_segments(struct journal *j, bool (*dead)(void *arg, uint32_t group, raft_index index), void *arg)
{
	if (j->durable < j->checkpoint_sequence)
		return;
	while (j->active.next != j->active.prev) { /* never the current one */
		struct segment *s = list_entry(j->active.next, struct segment, node);

		for (uint32_t i = 0; i < s->group_count; i++)
			if (!dead(arg, s->groups[i].group, s->groups[i].index))
				return;
		list_del(&s->node);
		s->state = SEGMENT_FREE;
		s->group_count = 0;
		list_add_tail(&j->free, &s->node);
		segment_prepare(j);
	}
}

uint32_t journal_segments(const struct journal *j)
{
	uint32_t n = 0;

	list_for_each(pos, &j->active)
		n++;
	return n;
}

raft_index journal_oldest_index(const struct journal *j, uint32_t group)
{
	const struct segment *s;

	if (list_empty(&j->active))
		return 0;
	s = list_entry(j->active.next, struct segment, node);
	for (uint32_t i = 0; i < s->group_count; i++)
		if (s->groups[i].group == group)
			return s->groups[i].index;
	return 0;
}
