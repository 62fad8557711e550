/* SPDX-License-Identifier: Apache-2.0 */
/* A leader's snapshot on its way to a follower that is too far behind for the log. */
#include "cluster/snapshot_private.h"

#include <stdlib.h>

#include "base/mem.h"
#include "log.h"

#define RESEND_NS (500 * NS_PER_MS)

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
	struct stamp of;
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
	bytes_put_u64(out, s->of.index);
	bytes_put_u64(out, s->of.term);
	bytes_put_u64(out, s->of.file);
	bytes_put_u64(out, s->offset);
	bytes_put(out, chunk, size);
	wire_end(out, mark);
	s->sent_ns = io_boottime_ns(g->lane->io);
}

/* The file in force is of no use to anybody. Without a new one the follower would wait until the log has grown by a snapshot's worth. */
static void sender_spoiled(struct snapshot_sender *s)
{
	log_error("snapshot: rotted or unreadable on disk group=%u index=%llu: taking a new one", s->group->id,
		  (unsigned long long)s->group->snapshot_index);
	s->group->snapshot_stale = true;
	sender_free(s);
}

static void sender_read(struct io_op *op, int result)
{
	struct snapshot_sender *s = container_of(op, struct snapshot_sender, op);
	struct chunk h;
	size_t size;

	s->busy = false;
	if (s->dead) {
		sender_free(s);
		return;
	}
	if (result < 0 || !chunk_head(s->buf, &h) || !stamp_equal(&h.of, &s->of)) {
		sender_spoiled(s);
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
		sender_spoiled(s);
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
	if (s->dead) {
		sender_free(s);
		return;
	}
	if (result < 0 || !chunk_head(s->buf, &h)) {
		sender_spoiled(s);
		return;
	}
	s->of = h.of;
	sender_say(s, NULL, 0);
}

static void sender_opened(struct io_op *op, int result)
{
	struct snapshot_sender *s = container_of(op, struct snapshot_sender, op);

	s->busy = false;
	if (result >= 0)
		s->file = result;
	if (s->dead) {
		sender_free(s);
		return;
	}
	if (result < 0) {
		sender_spoiled(s);
		return;
	}
	s->buf_size = IO_ALIGN;
	s->buf = mem_aligned(IO_ALIGN, IO_ALIGN);
	s->busy = true;
	op->done = sender_head;
	io_read(s->group->lane->io, op, s->file, s->buf, IO_ALIGN, 0);
}

/* Whoever took it over would decide as we do. */
static bool sender_in_doubt(const struct group *g)
{
	return g->doubt.index && !snapshot_agreed(g, g->snapshot_index);
}

void snapshot_send(struct group *g, uint8_t node)
{
	struct snapshot_sender *s;

	if (g->senders[node] || !g->snapshot_index || sender_in_doubt(g))
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

bool sender_answered(struct group *g, struct peer *p, struct cursor *body)
{
	struct snapshot_sender *s = g->senders[p->node];
	raft_index index = cursor_u64(body);
	uint64_t file = cursor_u64(body), offset = cursor_u64(body);

	if (body->bad)
		return false;
	if (!s || s->of.index != index || s->of.file != file)
		return true;
	if (offset != IN_FORCE && group_leads(g) && !sender_in_doubt(g)) {
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

void senders_tick(struct group *g, uint64_t now_ns)
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
		if (group_leads(g) && !sender_in_doubt(g))
			sender_say(s, NULL, 0);
		else
			sender_free(s);
	}
}

void senders_free(struct group *g)
{
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		if (g->senders[i]) {
			free(g->senders[i]->buf);
			free(g->senders[i]);
		}
}
