/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a group's snapshot: its chunks, reading it at start, putting a new one in force. */
#include "cluster/snapshot_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "cluster/catalog.h"
#include "config.h"

#define SNAPSHOT_MAGIC 0x4f534648u /* "HFSO" */
#define CHUNK_HEAD 48u

void snapshot_path(const struct lane *lane, uint32_t group, const char *tail, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s/lane-%u/snap-%u%s", lane->config->data, lane->id, group, tail);
}

/* ---- chunks ---- */

size_t chunk_size(uint32_t payload)
{
	return round_up((size_t)CHUNK_HEAD + payload, IO_ALIGN);
}

uint8_t *chunk_make(const struct bytes *payload, const struct stamp *of, bool last, size_t *ret_size)
{
	size_t size = chunk_size((uint32_t)payload->size);
	uint8_t *c = mem_aligned(IO_ALIGN, size);

	put_le32(c, SNAPSHOT_MAGIC);
	put_le32(c + 4, (uint32_t)payload->size);
	put_le32(c + 8, crc32c(0, payload->data, payload->size));
	put_le32(c + 12, last ? SNAPSHOT_LAST : 0);
	put_le64(c + 16, of->index);
	put_le64(c + 24, of->term);
	put_le64(c + 32, of->file);
	put_le64(c + 40, of->sum);
	memcpy(c + CHUNK_HEAD, payload->data, payload->size);
	memset(c + CHUNK_HEAD + payload->size, 0, size - CHUNK_HEAD - payload->size);
	*ret_size = size;
	return c;
}

bool chunk_head(const uint8_t *c, struct chunk *ret)
{
	*ret = (struct chunk){
		.payload = get_le32(c + 4),
		.flags = get_le32(c + 12),
		.of = {.index = get_le64(c + 16), .term = get_le64(c + 24), .file = get_le64(c + 32), .sum = get_le64(c + 40)},
	};
	return get_le32(c) == SNAPSHOT_MAGIC && ret->payload <= 2 * SNAPSHOT_CHUNK_MAX && ret->of.index && ret->of.term;
}

bool chunk_whole(const uint8_t *c, const struct chunk *h)
{
	return get_le32(c + 8) == crc32c(0, c + CHUNK_HEAD, h->payload);
}

bool chunk_restore(const uint8_t *c, const struct chunk *h, struct store *store, struct catalog *catalog)
{
	return catalog ? catalog_restore(catalog, c + CHUNK_HEAD, h->payload) : store_restore(store, c + CHUNK_HEAD, h->payload);
}

uint64_t state_sum(const struct store *store, const struct catalog *catalog)
{
	return catalog ? catalog_checksum(catalog) : store_checksum(store);
}

bool stamp_holds(const struct stamp *of, const struct store *store, const struct catalog *catalog)
{
	return (catalog ? catalog->applied : store_applied(store)) == of->index && state_sum(store, catalog) == of->sum;
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
		if (r == 0 && (!chunk_head(head, &h) || (at && !stamp_equal(&h.of, &first.of))))
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
	if (r == 0 && !stamp_holds(&h.of, store, catalog))
		r = -EBADMSG;
	if (r == 0) {
		*ret_index = h.of.index;
		*ret_term = h.of.term;
	}
	io_file_close(lane->io, file);
	free(head);
	free(whole);
	return r;
}

/* ---- in force ---- */

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

void publish_init(struct publish *p, struct group *g, const char *tail)
{
	p->group = g;
	p->file = p->dir = -1;
	snapshot_path(g->lane, g->id, tail, p->from, sizeof p->from);
	snapshot_path(g->lane, g->id, "", p->to, sizeof p->to);
	(void)snprintf(p->dir_path, sizeof p->dir_path, "%s/lane-%u", g->lane->config->data, g->lane->id);
}

void publish_start(struct publish *p)
{
	p->busy = true;
	p->op.done = publish_synced;
	io_sync(p->group->lane->io, &p->op, p->file);
}
