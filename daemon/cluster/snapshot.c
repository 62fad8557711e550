/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a snapshot of a group while it serves, and when to. */
#include "cluster/snapshot_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/catalog.h"
#include "config.h"
#include "log.h"

#define PINNED_SEGMENTS 8u   /* a group with entries in the oldest of more than this many is snapshotted, if the state is small */
#define LOG_SHARE 4u         /* at least this part of the state in log before it is snapshotted again */
#define BEHIND_BYTES (32u << 20)
#define RETRY_NS NS_PER_S
#define AGREE_NS (2 * NS_PER_S) /* so long a snapshot waits for a majority that has the same state: some may be down, or have nothing to tell */

/* ---- taking one ---- */

struct snapshot_writer {
	struct group *group;
	struct io_op op;
	struct publish publish;
	struct bytes gathered;  /* of the next chunk; what changes early goes here too */
	uint8_t *chunk;         /* being written */
	size_t chunk_size;
	uint64_t offset;
	struct stamp of;
	bool all;               /* everything was handed out */
	bool ended;
	uint64_t waits_until_ns; /* 0: it doesn't wait to be agreed with */
};

static void writer_end(struct snapshot_writer *w, int result)
{
	struct group *g = w->group;

	if (!w->ended && g->store)
		store_snapshot_end(g->store);
	io_file_close(g->lane->io, w->publish.file);
	g->writer = NULL;
	if (result == 0) {
		g->snapshot_index = w->of.index;
		g->snapshot_term = w->of.term;
		g->snapshots_taken++;
	} else if (result != -ECANCELED) {
		log_warning("snapshot: can't be written group=%u error=\"%s\": trying again", g->id, strerror(-result));
		g->snapshot_retry_ns = io_boottime_ns(g->lane->io) + RETRY_NS;
	}
	bytes_free(&w->gathered);
	free(w->chunk);
	free(w);
	if (result == 0)
		group_compact(g);
	group_resume(g);
}

static void writer_written(struct io_op *op, int result);

/* Whole and on disk, it comes into force, and the log before it may go: not before a majority agrees with it, as far as one can be had. */
static void writer_agree(struct snapshot_writer *w, uint64_t now_ns)
{
	const struct group *g = w->group;

	if (!w->waits_until_ns)
		w->waits_until_ns = now_ns + AGREE_NS;
	if (snapshot_agreed(g, w->of.index) || (!g->doubt.index && now_ns >= w->waits_until_ns)) {
		w->waits_until_ns = 0;
		publish_start(&w->publish);
	}
}

static size_t chunk_wanted(const struct group *g)
{
	uint32_t told = g->lane->config->snapshot_chunk;

	return told ? told : SNAPSHOT_CHUNK;
}

static void writer_pump(struct snapshot_writer *w)
{
	struct group *g = w->group;

	if (w->ended) {
		writer_agree(w, io_boottime_ns(g->lane->io));
		return;
	}
	if (g->store && !w->all)
		w->all = !store_snapshot_next(g->store, chunk_wanted(g));
	if (w->all && !(g->store ? store_snapshot_intact(g->store) : catalog_intact(g->catalog))) {
		compare_stop(g, w->of.index);
		return;
	}
	if (w->all) {
		if (g->store)
			store_snapshot_end(g->store);
		w->ended = true;
	}
	w->chunk = chunk_make(&w->gathered, &w->of, w->all, &w->chunk_size);
	bytes_reset(&w->gathered, 4 * SNAPSHOT_CHUNK);
	w->op.done = writer_written;
	io_write(g->lane->io, &w->op, w->publish.file, w->chunk, w->chunk_size, w->offset, false);
	group_resume(g);
}

static void writer_written(struct io_op *op, int result)
{
	struct snapshot_writer *w = container_of(op, struct snapshot_writer, op);

	free(w->chunk);
	w->chunk = NULL;
	if (result < 0) {
		writer_end(w, result);
		return;
	}
	w->offset += w->chunk_size;
	writer_pump(w);
}

static void writer_opened(struct io_op *op, int result)
{
	struct snapshot_writer *w = container_of(op, struct snapshot_writer, op);

	if (result < 0) {
		writer_end(w, result);
		return;
	}
	w->publish.file = result;
	writer_pump(w);
}

static void writer_published(struct publish *p, int result)
{
	writer_end(container_of(p, struct snapshot_writer, publish), result);
}

static void writer_begin(struct group *g)
{
	struct snapshot_writer *w = mem_zalloc(sizeof *w);

	w->group = g;
	w->of = (struct stamp){
		.index = g->applied,
		.term = raft_log_term(&g->raft.log, g->applied),
		.sum = state_sum(g->store, g->catalog),
	};
	assert(w->of.term);
	io_random(g->lane->io, &w->of.file, sizeof w->of.file);
	publish_init(&w->publish, g, ".new");
	w->publish.done = writer_published;
	if (g->store) {
		store_snapshot_begin(g->store, &w->gathered);
	} else {
		catalog_save(g->catalog, &w->gathered);
		w->all = true;
	}
	g->writer = w;
	w->op.done = writer_opened;
	io_open(g->lane->io, &w->op, w->publish.from, IO_CREATE | IO_TRUNCATE | IO_DIRECT);
}

bool snapshot_agreed(const struct group *g, raft_index index)
{
	return g->divergence.agreed >= index || g->raft.voter_count == 1;
}

void writer_give_way(struct group *g)
{
	if (g->writer && g->writer->waits_until_ns)
		writer_end(g->writer, -ECANCELED);
}

bool snapshot_behind(const struct group *g)
{
	return g->writer && g->writer->gathered.size > BEHIND_BYTES;
}

bool snapshot_receive(struct group *g, struct peer *p, enum wire_type type, struct cursor *body)
{
	return type == WIRE_SNAPSHOT ? receiver_message(g, p, body) : sender_answered(g, p, body);
}

/* ---- when ---- */

static uint64_t state_bytes(const struct group *g)
{
	return g->store ? keyspace_bytes(store_keyspace(g->store)) : 0;
}

/* A snapshot writes the whole state, so a large one waits for more log: what snapshots write stays in proportion to what clients do. */
static uint64_t log_allowed(const struct group *g)
{
	return max_u64((uint64_t)g->lane->config->log_kb << 10, state_bytes(g) / LOG_SHARE);
}

static unsigned segments_allowed(const struct lane *lane)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < lane->group_count; i++)
		bytes += state_bytes(lane->groups[i]);
	return PINNED_SEGMENTS + (unsigned)(bytes / LOG_SHARE / ((uint64_t)lane->config->segment_mb << 20));
}

/* Old segments can't go while the group has entries in them that no snapshot holds; and the log lies in memory. */
static bool pins_too_much(const struct group *g)
{
	raft_index from = max_u64(g->raft.log.start, g->snapshot_index);
	unsigned segments = journal_segments(g->lane->journal);

	if (g->applied > from && raft_log_bytes(&g->raft.log, from, g->applied) > log_allowed(g))
		return true;
	return segments > PINNED_SEGMENTS && journal_oldest_index(g->lane->journal, g->id) > g->raft.log.start &&
	       segments > segments_allowed(g->lane);
}

void snapshot_tick(struct group *g, uint64_t now_ns)
{
	senders_tick(g, now_ns);
	receiver_tick(g, now_ns);
	if (g->writer && g->writer->waits_until_ns)
		writer_agree(g->writer, now_ns);
	if (g->writer || g->receiver || now_ns < g->snapshot_retry_ns || g->raft.quarantined)
		return;
	if (pins_too_much(g) || g->snapshot_stale) {
		if (g->applied > g->snapshot_index || g->snapshot_stale) {
			g->snapshot_stale = false;
			writer_begin(g);
		} else {
			group_compact(g);
		}
	}
}

void snapshot_free(struct group *g)
{
	struct snapshot_writer *w = g->writer;

	if (w) {
		if (!w->ended && g->store)
			store_snapshot_end(g->store);
		bytes_free(&w->gathered);
		free(w->chunk);
		free(w);
	}
	senders_free(g);
	receiver_end(g);
}
