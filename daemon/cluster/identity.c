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

int identity_load(struct io *io, const char *data_dir, struct identity *ret)
{
	uint8_t blocks[2 * IO_ALIGN] = {0};
	struct identity_block b = {0};
	char path[512];
	int file, r;

	*ret = (struct identity){0};
	(void)snprintf(path, sizeof path, "%s/identity", data_dir);
	file = io_open_now(io, path, 0);
	if (file == -ENOENT)
		return 0;
	if (file < 0)
		return file;
	r = io_read_now(io, file, blocks, sizeof blocks, 0);
	io_file_close(io, file);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r;
	memcpy(&b, blocks, sizeof b);
	if (!block_valid(&b))
		memcpy(&b, blocks + IO_ALIGN, sizeof b);
	if (!block_valid(&b))
		return -EBADMSG;
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

int identity_store(struct io *io, const char *data_dir, const struct identity *id)
{
	uint8_t blocks[2 * IO_ALIGN] = {0};
	struct identity_block b = {
		.version = IDENTITY_VERSION,
		.cluster_id = {id->cluster_id[0], id->cluster_id[1]},
		.incarnation = id->incarnation,
		.node = id->node,
		.lanes = id->lanes,
		.groups = id->groups,
		.hash_seed = id->hash_seed,
	};
	char path[512], fresh[512];
	int file, r;

	memcpy(b.magic, identity_magic, sizeof b.magic);
	b.crc = crc32c(0, &b, sizeof b);
	memcpy(blocks, &b, sizeof b);
	memcpy(blocks + IO_ALIGN, &b, sizeof b);
	(void)snprintf(path, sizeof path, "%s/identity", data_dir);
	(void)snprintf(fresh, sizeof fresh, "%s/identity.new", data_dir);
	file = io_open_now(io, fresh, IO_CREATE | IO_TRUNCATE);
	if (file < 0)
		return file;
	r = io_write_now(io, file, blocks, sizeof blocks, 0);
	if (r == 0)
		r = io_sync_now(io, file);
	io_file_close(io, file);
	return r < 0 ? r : io_rename_now(io, fresh, path);
}
