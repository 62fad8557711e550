/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that comes in from a leader: chunk by chunk into a file and a fresh store, which then take the place of the old ones. */
#include "cluster/snapshot_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cluster/catalog.h"
#include "log.h"

#define ABANDONED_NS (5 * NS_PER_S)

struct snapshot_receiver {
	struct group *group;
	struct io_op op;
	struct publish publish;
	uint8_t from;
	bool busy, dead, opened;
	uint64_t heard_ns;     /* when its sender last said something */
	struct stamp of;       /* without the sum, which the chunks tell */
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

static void receiver_reply(struct group *g, uint8_t to, const struct stamp *of, uint64_t offset)
{
	struct bytes *out = g->lane->peers[to] ? peer_out(g->lane->peers[to]) : NULL;
	size_t mark;

	if (!out)
		return;
	mark = wire_begin(out, WIRE_SNAPSHOT_REPLY);
	bytes_put_u32(out, g->id);
	bytes_put_u64(out, of->index);
	bytes_put_u64(out, of->file);
	bytes_put_u64(out, offset);
	wire_end(out, mark);
}

static void receiver_published(struct publish *p, int result)
{
	struct snapshot_receiver *r = container_of(p, struct snapshot_receiver, publish);
	struct group *g = r->group;
	struct store *store = r->store;
	struct stamp of = r->of;
	uint8_t from = r->from;

	if (result < 0 || r->dead) {
		receiver_free(r);
		return;
	}
	if (g->catalog && g->catalog->applied < r->catalog.applied)
		catalog_replace(g->catalog, &r->catalog);
	r->store = NULL;
	receiver_free(r);
	if (of.index <= g->applied) { /* the log has overtaken it */
		store_free(store);
		g->snapshot_index = of.index;
		g->snapshot_term = of.term;
	} else {
		group_restore(g, store, of.index, of.term);
	}
	receiver_reply(g, from, &of, IN_FORCE);
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
		receiver_reply(g, r->from, &r->of, r->offset);
		return;
	}
	if (!stamp_holds(&r->head.of, r->store, g->catalog ? &r->catalog : NULL)) {
		log_error("snapshot: what came is not the state that its file names group=%u index=%llu from=%u: dropped", g->id,
			  (unsigned long long)r->of.index, r->from);
		receiver_free(r);
		return;
	}
	if (g->writer) {
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
	receiver_reply(r->group, r->from, &r->of, 0);
}

static struct snapshot_receiver *receiver_new(struct group *g, uint8_t from, const struct stamp *of)
{
	struct snapshot_receiver *r = mem_zalloc(sizeof *r);

	r->group = g;
	r->from = from;
	r->heard_ns = io_boottime_ns(g->lane->io);
	r->of = *of;
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
	    r->head.of.index != r->of.index || r->head.of.term != r->of.term || r->head.of.file != r->of.file || !chunk_whole(body->at, &r->head))
		return false;
	free(r->chunk);
	r->chunk = mem_aligned(IO_ALIGN, size);
	memcpy(r->chunk, body->at, size);
	r->busy = true;
	r->op.done = receiver_written;
	io_write(r->group->lane->io, &r->op, r->publish.file, r->chunk, size, offset, false);
	return true;
}

bool receiver_message(struct group *g, struct peer *p, struct cursor *body)
{
	struct snapshot_receiver *r = g->receiver;
	struct stamp of = {0};
	uint64_t offset;

	of.index = cursor_u64(body);
	of.term = cursor_u64(body);
	of.file = cursor_u64(body);
	offset = cursor_u64(body);
	if (body->bad || !of.index || !of.term)
		return false;
	if (of.index <= g->applied) {
		receiver_reply(g, p->node, &of, IN_FORCE);
		return true;
	}
	/* Only a leader streams. One that streams to us says nothing else meanwhile, so we may have lost sight of it. */
	if (g->raft.leader && g->raft.leader != p->node)
		return true;
	if (r && !stamp_equal(&r->of, &of)) {
		if (r->busy || r->publish.busy)
			return true; /* two must not write the same file: it asks again */
		receiver_free(r);
		r = NULL;
	}
	if (!r) {
		writer_give_way(g);
		if (!g->writer)
			(void)receiver_new(g, p->node, &of);
		return true;
	}
	r->from = p->node;
	r->heard_ns = io_boottime_ns(g->lane->io);
	if (cursor_left(body))
		return receiver_chunk(r, offset, body);
	if (r->opened && !r->busy && !r->publish.busy)
		receiver_reply(g, p->node, &of, r->offset);
	return true;
}

/* A stream whose sender is gone, or that the log has overtaken, must not keep us from snapshots of our own. */
void receiver_tick(struct group *g, uint64_t now_ns)
{
	struct snapshot_receiver *r = g->receiver;

	if (r && !r->busy && !r->publish.busy && (r->of.index <= g->applied || now_ns >= r->heard_ns + ABANDONED_NS))
		receiver_free(r);
}

void receiver_end(struct group *g)
{
	struct snapshot_receiver *r = g->receiver;

	if (!r)
		return;
	store_free(r->store);
	catalog_fini(&r->catalog);
	free(r->chunk);
	free(r);
}
