/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/identity.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"

#define IDENTITY_VERSION 3u

struct identity_block {
	uint8_t magic[8];
	uint32_t crc; /* of this struct with crc 0 */
	uint32_t version;
	uint64_t cluster_id[2];
	uint64_t incarnation;
	uint64_t hash_seed;
	uint32_t groups;
	uint8_t node, lanes, zero[2];
};
static_assert(sizeof(struct identity_block) == 56, "disk format");

static const uint8_t identity_magic[8] = {'H', 'F', 'I', 'D', 'E', 'N', 'T', '1'};

static bool block_valid(const struct identity_block *b)
{
	struct identity_block copy = *b;

	copy.crc = 0;
	return !memcmp(b->magic, identity_magic, sizeof b->magic) && b->crc == crc32c(0, &copy, sizeof copy);
}

/* The copy that says who we are: the later one of two. -EBADMSG: both are damaged. */
static int copy_in_force(const uint8_t *blocks)
{
	struct identity_block b[2];

	memcpy(&b[0], blocks, sizeof b[0]);
	memcpy(&b[1], blocks + IO_ALIGN, sizeof b[1]);
	if (!block_valid(&b[0]))
		return block_valid(&b[1]) ? 1 : -EBADMSG;
	return block_valid(&b[1]) && b[1].incarnation > b[0].incarnation;
}

static int read_copies(struct io *io, int file, uint8_t *ret_blocks)
{
	int r = io_read_now(io, file, ret_blocks, 2 * IO_ALIGN, 0);

	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	return copy_in_force(ret_blocks);
}

int identity_load(struct io *io, const char *data_dir, struct identity *ret)
{
	uint8_t blocks[2 * IO_ALIGN] = {0};
	struct identity_block b;
	char path[512];
	int file, r;

	*ret = (struct identity){0};
	(void)snprintf(path, sizeof path, "%s/identity", data_dir);
	file = io_open_now(io, path, 0);
	if (file == -ENOENT)
		return 0;
	if (file < 0)
		return file;
	r = read_copies(io, file, blocks);
	io_file_close(io, file);
	if (r < 0)
		return r;
	memcpy(&b, blocks + (size_t)r * IO_ALIGN, sizeof b);
	if (b.version != IDENTITY_VERSION)
		return -EPROTONOSUPPORT;
	*ret = (struct identity){
		.cluster_id = {b.cluster_id[0], b.cluster_id[1]},
		.incarnation = b.incarnation,
		.node = b.node,
		.lanes = b.lanes,
		.groups = b.groups,
		.hash_seed = b.hash_seed,
	};
	return 0;
}

static int write_synced(struct io *io, int file, const uint8_t *data, size_t size, uint64_t offset)
{
	int r = io_write_now(io, file, data, size, offset);

	return r < 0 ? r : io_sync_now(io, file);
}

/* The copy in force is the last to go: whenever this is cut off, one of them is whole. */
static int store_in_place(struct io *io, const char *path, const uint8_t *block)
{
	uint8_t blocks[2 * IO_ALIGN];
	int file = io_open_now(io, path, 0), r, first;

	if (file < 0)
		return file;
	r = read_copies(io, file, blocks);
	if (r >= 0) {
		first = !r;
		r = write_synced(io, file, block, IO_ALIGN, first ? IO_ALIGN : 0);
		if (r == 0)
			r = write_synced(io, file, block, IO_ALIGN, first ? 0 : IO_ALIGN);
	}
	io_file_close(io, file);
	return r;
}

static int store_anew(struct io *io, const char *path, const uint8_t *block)
{
	uint8_t blocks[2 * IO_ALIGN];
	char fresh[512];
	int file, r;

	memcpy(blocks, block, IO_ALIGN);
	memcpy(blocks + IO_ALIGN, block, IO_ALIGN);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	file = io_open_now(io, fresh, IO_CREATE | IO_TRUNCATE);
	if (file < 0)
		return file;
	r = write_synced(io, file, blocks, sizeof blocks, 0);
	io_file_close(io, file);
	return r < 0 ? r : io_rename_now(io, fresh, path);
}

int identity_store(struct io *io, const char *data_dir, const struct identity *id)
{
	uint8_t block[IO_ALIGN] = {0};
	struct identity_block b = {
		.version = IDENTITY_VERSION,
		.cluster_id = {id->cluster_id[0], id->cluster_id[1]},
		.incarnation = id->incarnation,
		.node = id->node,
		.lanes = id->lanes,
		.groups = id->groups,
		.hash_seed = id->hash_seed,
	};
	char path[500];
	int r;

	memcpy(b.magic, identity_magic, sizeof b.magic);
	b.crc = crc32c(0, &b, sizeof b);
	memcpy(block, &b, sizeof b);
	(void)snprintf(path, sizeof path, "%s/identity", data_dir);
	r = store_in_place(io, path, block);
	return r == -ENOENT ? store_anew(io, path, block) : r;
}
