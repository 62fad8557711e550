/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/snapshot.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "cluster/catalog.h"
#include "cluster/group_private.h"
#include "config.h"
#include "log.h"

#define SNAPSHOT_MAGIC 0x4e534648u /* "HFSN" */
#define SNAPSHOT_LAST 1u
#define CHUNK_HEAD 32u
#define PINNED_SEGMENTS 8u         /* a group with entries in the oldest of more than this many is snapshotted, if the state is small */
#define LOG_SHARE 4u               /* at least this part of the state in log before it is snapshotted again */
#define BEHIND_BYTES (32u << 20)
#define RESEND_NS (500 * NS_PER_MS)
#define RETRY_NS NS_PER_S
#define ABANDONED_NS (5 * NS_PER_S)
#define IN_FORCE UINT64_MAX

static void snapshot_path(const struct lane *lane, uint32_t group, const char *tail, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/lane-%u/snap-%u%s", lane->config->data, lane->id, group, tail);
}

/* ---- chunks ---- */

struct chunk {
	uint32_t payload, flags;
	raft_index index;
	raft_term term;
};

static size_t chunk_size(uint32_t payload)
{
	return round_up((size_t)CHUNK_HEAD + payload, IO_ALIGN);
}

/* Returns an aligned chunk, to be freed. */
static uint8_t *chunk_make(const struct bytes *payload, raft_index index, raft_term term, bool last, size_t *ret_size)
{
	size_t size = chunk_size((uint32_t)payload->size);
	uint8_t *c = mem_aligned(IO_ALIGN, size);

	put_le32(c, SNAPSHOT_MAGIC);
	put_le32(c + 4, (uint32_t)payload->size);
	put_le32(c + 8, crc32c(0, payload->data, payload->size));
	put_le32(c + 12, last ? SNAPSHOT_LAST : 0);
	put_le64(c + 16, index);
	put_le64(c + 24, term);
	memcpy(c + CHUNK_HEAD, payload->data, payload->size);
	memset(c + CHUNK_HEAD + payload->size, 0, size - CHUNK_HEAD - payload->size);
	*ret_size = size;
	return c;
}

/* Reads the head; false if this is none. */
static bool chunk_head(const uint8_t *c, struct chunk *ret)
{
	*ret = (struct chunk){.payload = get_le32(c + 4), .flags = get_le32(c + 12), .index = get_le64(c + 16), .term = get_le64(c + 24)};
	return get_le32(c) == SNAPSHOT_MAGIC && ret->payload <= 2 * SNAPSHOT_CHUNK_MAX && ret->index && ret->term;
}

static bool chunk_whole(const uint8_t *c, const struct chunk *h)
{
	return get_le32(c + 8) == crc32c(0, c + CHUNK_HEAD, h->payload);
}

static bool chunk_restore(const uint8_t *c, const struct chunk *h, struct store *store, struct catalog *catalog)
{
	return catalog ? catalog_restore(catalog, c + CHUNK_HEAD, h->payload) : store_restore(store, c + CHUNK_HEAD, h->payload);
}

int snapshot_load_now(struct lane *lane, uint32_t group, struct store *store, struct catalog *catalog, raft_index *ret_index, raft_term *ret_term)
{
	uint8_t *head = mem_aligned(IO_ALIGN, IO_ALIGN), *whole = NULL;
	struct chunk first = {0}, h = {0};
	char path[512];
	uint64_t at = 0;
	int file, r = 0;

	*ret_index = *ret_term = 0;
	snapshot_path(lane, group, "", path, sizeof path);
	file = io_open_now(lane->io, path, IO_DIRECT);
	if (file < 0) {
		free(head);
		return file == -ENOENT ? 0 : file;
	}
	while (r == 0 && !(h.flags & SNAPSHOT_LAST)) {
		r = io_read_now(lane->io, file, head, IO_ALIGN, at);
		if (r == 0 && (!chunk_head(head, &h) || (at && (h.index != first.index || h.term != first.term))))
			r = -EBADMSG;
		if (r < 0)
			break;
		free(whole);
		whole = mem_aligned(IO_ALIGN, chunk_size(h.payload));
		r = io_read_now(lane->io, file, whole, chunk_size(h.payload), at);
		if (r == 0 && (!chunk_whole(whole, &h) || !chunk_restore(whole, &h, store, catalog)))
			r = -EBADMSG;
		if (at == 0)
			first = h;
		at += chunk_size(h.payload);
	}
	if (r == 0 && (catalog ? catalog->applied : store_applied(store)) != h.index)
		r = -EBADMSG;
	if (r == 0) {
		*ret_index = h.index;
		*ret_term = h.term;
	}
	io_file_close(lane->io, file);
	free(head);
	free(whole);
	return r;
}

/* ---- making a file durable under its name: sync, rename, sync the directory ---- */

struct publish {
	struct group *group;
	struct io_op op;
	int file, dir;
	bool busy;
	char from[512], to[512], dir_path[512];
	void (*done)(struct publish *p, int result);
};

static void publish_finish(struct publish *p, int result)
{
	io_file_close(p->group->lane->io, p->dir);
	p->dir = -1;
	p->busy = false;
	p->done(p, result);
}

static void publish_named(struct io_op *op, int result)
{
	publish_finish(container_of(op, struct publish, op), result);
}

static void publish_dir(struct io_op *op, int result)
{
	struct publish *p = container_of(op, struct publish, op);

	if (result < 0) {
		publish_finish(p, result);
		return;
	}
	p->dir = result;
	op->done = publish_named;
	io_sync(p->group->lane->io, op, p->dir);
}

static void publish_renamed(struct io_op *op, int result)
{
	struct publish *p = container_of(op, struct publish, op);

	if (result < 0) {
		publish_finish(p, result);
		return;
	}
	op->done = publish_dir;
	io_open(p->group->lane->io, op, p->dir_path, IO_DIRECTORY);
}

static void publish_synced(struct io_op *op, int result)
{
	struct publish *p = container_of(op, struct publish, op);

	if (result < 0) {
		publish_finish(p, result);
		return;
	}
	op->done = publish_renamed;
	io_rename(p->group->lane->io, op, p->from, p->to);
}

static void publish_init(struct publish *p, struct group *g, const char *tail)
{
	p->group = g;
	p->file = p->dir = -1;
	snapshot_path(g->lane, g->id, tail, p->from, sizeof p->from);
	snapshot_path(g->lane, g->id, "", p->to, sizeof p->to);
	(void)snprintf(p->dir_path, sizeof p->dir_path, "%s/lane-%u", g->lane->config->data, g->lane->id);
}

static void publish_start(struct publish *p)
{
	p->busy = true;
	p->op.done = publish_synced;
	io_sync(p->group->lane->io, &p->op, p->file);
}

/* ---- taking one ---- */

struct snapshot_writer {
	struct group *group;
	struct io_op op;
	struct publish publish;
	struct bytes gathered;  /* of the next chunk; what changes early goes here too */
	uint8_t *chunk;         /* being written */
	size_t chunk_size;
	uint64_t offset;
	raft_index index;
	raft_term term;
	bool all;               /* everything was handed out */
	bool ended;
};

static void writer_end(struct snapshot_writer *w, int result)
{
	struct group *g = w->group;

	if (!w->ended && g->store)
		store_snapshot_end(g->store);
	io_file_close(g->lane->io, w->publish.file);
	g->writer = NULL;
	if (result == 0) {
		g->snapshot_index = w->index;
		g->snapshot_term = w->term;
		g->snapshots_taken++;
	} else {
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

static void writer_pump(struct snapshot_writer *w)
{
	struct group *g = w->group;

	if (w->ended) {
		publish_start(&w->publish);
		return;
	}
	if (g->store && !w->all)
		w->all = !store_snapshot_next(g->store, SNAPSHOT_CHUNK);
	if (w->all && !(g->store ? store_snapshot_intact(g->store) : catalog_intact(g->catalog))) {
		compare_stop(g, w->index);
		return;
	}
	if (w->all) {
		if (g->store)
			store_snapshot_end(g->store);
		w->ended = true;
	}
	w->chunk = chunk_make(&w->gathered, w->index, w->term, w->all, &w->chunk_size);
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
	w->index = g->applied;
	w->term = raft_log_term(&g->raft.log, g->applied);
	assert(w->term);
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

bool snapshot_behind(const struct group *g)
{
	return g->writer && g->writer->gathered.size > BEHIND_BYTES;
}

/* ---- sending one ---- */

struct snapshot_sender {
	struct group *group;
	struct io_op op;
	uint8_t node;
	int file;
	bool busy, dead;       /* dead: freed when the operation under way is done */
	char path[512];
	uint8_t *buf;
	size_t buf_size;
	uint64_t offset, sent_ns;
	raft_index index;
	raft_term term;
};

static void sender_free(struct snapshot_sender *s)
{
	if (s->group->senders[s->node] == s)
		s->group->senders[s->node] = NULL;
	if (s->busy) {
		s->dead = true;
		return;
	}
	io_file_close(s->group->lane->io, s->file);
	free(s->buf);
	free(s);
}

/* With no chunk: asks from where to go on. */
static void sender_say(struct snapshot_sender *s, const uint8_t *chunk, size_t size)
{
	struct group *g = s->group;
	struct bytes *out = g->lane->peers[s->node] ? peer_out(g->lane->peers[s->node]) : NULL;
	size_t mark;

	if (!out) {
		sender_free(s);
		return;
	}
	mark = wire_begin(out, WIRE_SNAPSHOT);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, s->index);
	bytes_put_u64(out, s->term);
	bytes_put_u64(out, s->offset);
	bytes_put(out, chunk, size);
	wire_end(out, mark);
	s->sent_ns = io_boottime_ns(g->lane->io);
}

static void sender_read(struct io_op *op, int result)
{
	struct snapshot_sender *s = container_of(op, struct snapshot_sender, op);
	struct chunk h;
	size_t size;

	s->busy = false;
	if (s->dead || result < 0 || !chunk_head(s->buf, &h) || h.index != s->index || h.term != s->term) {
		sender_free(s);
		return;
	}
	size = chunk_size(h.payload);
	if (size > s->buf_size) {
		free(s->buf);
		s->buf = mem_aligned(IO_ALIGN, size);
		s->buf_size = size;
		s->busy = true;
		io_read(s->group->lane->io, op, s->file, s->buf, size, s->offset);
		return;
	}
	if (!chunk_whole(s->buf, &h)) {
		log_error("snapshot: rotted on disk group=%u index=%llu: taking a new one", s->group->id, (unsigned long long)s->index);
		s->group->snapshot_stale = true;
		sender_free(s);
		return;
	}
	sender_say(s, s->buf, size);
}

static void sender_read_at(struct snapshot_sender *s, uint64_t offset)
{
	if (s->busy)
		return;
	s->offset = offset;
	free(s->buf);
	s->buf_size = IO_ALIGN; /* the head tells how much there is */
	s->buf = mem_aligned(IO_ALIGN, s->buf_size);
	s->busy = true;
	s->op.done = sender_read;
	io_read(s->group->lane->io, &s->op, s->file, s->buf, s->buf_size, offset);
}

static void sender_head(struct io_op *op, int result)
{
	struct snapshot_sender *s = container_of(op, struct snapshot_sender, op);
	struct chunk h;

	s->busy = false;
	if (s->dead || result < 0 || !chunk_head(s->buf, &h)) {
		sender_free(s);
		return;
	}
	s->index = h.index;
	s->term = h.term;
	sender_say(s, NULL, 0);
}

static void sender_opened(struct io_op *op, int result)
{
	struct snapshot_sender *s = container_of(op, struct snapshot_sender, op);

	s->busy = false;
	if (result >= 0)
		s->file = result;
	if (s->dead || result < 0) {
		sender_free(s);
		return;
	}
	s->buf_size = IO_ALIGN;
	s->buf = mem_aligned(IO_ALIGN, IO_ALIGN);
	s->busy = true;
	op->done = sender_head;
	io_read(s->group->lane->io, op, s->file, s->buf, IO_ALIGN, 0);
}

void snapshot_send(struct group *g, uint8_t node)
{
	struct snapshot_sender *s;

	if (g->senders[node] || !g->snapshot_index)
		return;
	s = mem_zalloc(sizeof *s);
	s->group = g;
	s->node = node;
	s->file = -1;
	snapshot_path(g->lane, g->id, "", s->path, sizeof s->path);
	g->senders[node] = s;
	s->busy = true;
	s->op.done = sender_opened;
	io_open(g->lane->io, &s->op, s->path, IO_DIRECT);
}

static bool sender_answered(struct group *g, struct peer *p, struct cursor *body)
{
	struct snapshot_sender *s = g->senders[p->node];
	raft_index index = cursor_u64(body);
	uint64_t offset = cursor_u64(body);

	if (body->bad)
		return false;
	if (!s || s->index != index)
		return true;
	if (offset != IN_FORCE && group_leads(g)) {
		sender_read_at(s, offset);
		return true;
	}
	sender_free(s);
	group_ask_anew(g, p->node); /* it may have lost sight of its leader meanwhile */
	return true;
}

void snapshot_peer_lost(struct group *g, uint8_t node)
{
	if (g->senders[node])
		sender_free(g->senders[node]);
}

/* ---- receiving one ---- */

struct snapshot_receiver {
	struct group *group;
	struct io_op op;
	struct publish publish;
	uint8_t from;
	bool busy, dead, opened;
	uint64_t heard_ns;     /* when its sender last said something */
	raft_index index;
	raft_term term;
	uint64_t offset;
	uint8_t *chunk;
	struct chunk head;
	struct store *store;
	struct catalog catalog;
};

static void receiver_free(struct snapshot_receiver *r)
{
	if (r->group->receiver == r)
		r->group->receiver = NULL;
	if (r->busy || r->publish.busy) {
		r->dead = true;
		return;
	}
	io_file_close(r->group->lane->io, r->publish.file);
	store_free(r->store);
	catalog_fini(&r->catalog);
	free(r->chunk);
	free(r);
}

static void receiver_reply(struct group *g, uint8_t to, raft_index index, uint64_t offset)
{
	struct bytes *out = g->lane->peers[to] ? peer_out(g->lane->peers[to]) : NULL;
	size_t mark;

	if (!out)
		return;
	mark = wire_begin(out, WIRE_SNAPSHOT_REPLY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, index);
	bytes_put_u64(out, offset);
	wire_end(out, mark);
}

static void receiver_published(struct publish *p, int result)
{
	struct snapshot_receiver *r = container_of(p, struct snapshot_receiver, publish);
	struct group *g = r->group;
	struct store *store = r->store;
	raft_index index = r->index;
	raft_term term = r->term;
	uint8_t from = r->from;

	if (result < 0 || r->dead) {
		receiver_free(r);
		return;
	}
	if (g->catalog && g->catalog->applied < r->catalog.applied)
		catalog_replace(g->catalog, &r->catalog);
	r->store = NULL;
	receiver_free(r);
	if (index <= g->applied) { /* the log has overtaken it */
		store_free(store);
		g->snapshot_index = index;
		g->snapshot_term = term;
	} else {
		group_restore(g, store, index, term);
	}
	receiver_reply(g, from, index, IN_FORCE);
}

static void receiver_written(struct io_op *op, int result)
{
	struct snapshot_receiver *r = container_of(op, struct snapshot_receiver, op);
	struct group *g = r->group;

	r->busy = false;
	if (r->dead || result < 0 || !chunk_restore(r->chunk, &r->head, r->store, g->catalog ? &r->catalog : NULL)) {
		receiver_free(r);
		return;
	}
	r->offset += chunk_size(r->head.payload);
	free(r->chunk);
	r->chunk = NULL;
	if (!(r->head.flags & SNAPSHOT_LAST)) {
		receiver_reply(g, r->from, r->index, r->offset);
		return;
	}
	if ((g->catalog ? r->catalog.applied : store_applied(r->store)) != r->index || g->writer) {
		receiver_free(r);
		return;
	}
	publish_start(&r->publish);
}

static void receiver_opened(struct io_op *op, int result)
{
	struct snapshot_receiver *r = container_of(op, struct snapshot_receiver, op);

	r->busy = false;
	if (result >= 0)
		r->publish.file = result;
	if (r->dead || result < 0) {
		receiver_free(r);
		return;
	}
	r->opened = true;
	receiver_reply(r->group, r->from, r->index, 0);
}

static struct snapshot_receiver *receiver_new(struct group *g, uint8_t from, raft_index index, raft_term term)
{
	struct snapshot_receiver *r = mem_zalloc(sizeof *r);

	r->group = g;
	r->from = from;
	r->heard_ns = io_boottime_ns(g->lane->io);
	r->index = index;
	r->term = term;
	r->store = g->catalog ? NULL : store_new(g->hash_seed);
	publish_init(&r->publish, g, ".in");
	r->publish.done = receiver_published;
	g->receiver = r;
	r->busy = true;
	r->op.done = receiver_opened;
	io_open(g->lane->io, &r->op, r->publish.from, IO_CREATE | IO_TRUNCATE | IO_DIRECT);
	return r;
}

static bool receiver_chunk(struct snapshot_receiver *r, uint64_t offset, struct cursor *body)
{
	size_t size = cursor_left(body);

	if (offset != r->offset || r->busy || r->publish.busy || !r->opened)
		return true; /* said twice */
	if (size < IO_ALIGN || size % IO_ALIGN || !chunk_head(body->at, &r->head) || chunk_size(r->head.payload) != size ||
	    r->head.index != r->index || r->head.term != r->term || !chunk_whole(body->at, &r->head))
		return false;
	free(r->chunk);
	r->chunk = mem_aligned(IO_ALIGN, size);
	memcpy(r->chunk, body->at, size);
	r->busy = true;
	r->op.done = receiver_written;
	io_write(r->group->lane->io, &r->op, r->publish.file, r->chunk, size, offset, false);
	return true;
}

static bool receiver_message(struct group *g, struct peer *p, struct cursor *body)
{
	raft_index index = cursor_u64(body);
	raft_term term = cursor_u64(body);
	uint64_t offset = cursor_u64(body);
	struct snapshot_receiver *r = g->receiver;

	if (body->bad || !index || !term)
		return false;
	if (index <= g->applied) {
		receiver_reply(g, p->node, index, IN_FORCE);
		return true;
	}
	/* Only a leader streams. One that streams to us says nothing else meanwhile, so we may have lost sight of it. */
	if (g->raft.leader && g->raft.leader != p->node)
		return true;
	if (r && (r->index != index || r->term != term)) {
		if (r->busy || r->publish.busy)
			return true; /* two must not write the same file: it asks again */
		receiver_free(r);
		r = NULL;
	}
	if (!r) {
		if (!g->writer)
			(void)receiver_new(g, p->node, index, term);
		return true;
	}
	r->from = p->node;
	r->heard_ns = io_boottime_ns(g->lane->io);
	if (cursor_left(body))
		return receiver_chunk(r, offset, body);
	if (r->opened && !r->busy && !r->publish.busy)
		receiver_reply(g, p->node, index, r->offset);
	return true;
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

static void senders_tick(struct group *g, uint64_t now_ns)
{
	bool again = now_ns >= g->snapshot_resend_ns;

	if (again)
		g->snapshot_resend_ns = now_ns + RESEND_NS;
	for (uint8_t node = 1; node < NODE_SLOTS; node++) {
		struct snapshot_sender *s = g->senders[node];

		/* A stream that could not go on has ended silently; the follower still needs it. */
		if (!s && again && group_leads(g) && g->raft.progress[node].state == PROGRESS_SNAPSHOT)
			snapshot_send(g, node);
		if (!s || s->busy || now_ns < s->sent_ns + RESEND_NS)
			continue;
		if (group_leads(g))
			sender_say(s, NULL, 0);
		else
			sender_free(s);
	}
}

void snapshot_tick(struct group *g, uint64_t now_ns)
{
	senders_tick(g, now_ns);
	/* A stream whose sender is gone, or that the log has overtaken, must not keep us from snapshots of our own. */
	if (g->receiver && !g->receiver->busy && !g->receiver->publish.busy &&
	    (g->receiver->index <= g->applied || now_ns >= g->receiver->heard_ns + ABANDONED_NS))
		receiver_free(g->receiver);
	if (g->writer || g->receiver || now_ns < g->snapshot_retry_ns || g->raft.quarantined)
		return;
	if (pins_too_much(g) || g->snapshot_stale) {
		if (g->applied > g->snapshot_index) {
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
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		if (g->senders[i]) {
			free(g->senders[i]->buf);
			free(g->senders[i]);
		}
	if (g->receiver) {
		store_free(g->receiver->store);
		catalog_fini(&g->receiver->catalog);
		free(g->receiver->chunk);
		free(g->receiver);
	}
}
