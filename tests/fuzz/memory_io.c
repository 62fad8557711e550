/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/memory_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

#define FILES 16
#define ROOM (64u << 20) /* of address space for each file */

static struct file {
	char path[256];
	uint8_t *data; /* mapped, so that what was never written costs nothing */
	size_t size, written;
} files[FILES];

static struct file *file_find(const char *path)
{
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].path[0] && !strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}

static struct file *file_new(const char *path)
{
	for (unsigned i = 0; i < FILES; i++) {
		struct file *f = &files[i];

		if (f->path[0])
			continue;
		if (!f->data) {
			f->data = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			if (f->data == MAP_FAILED)
				abort();
		}
		strcpy(f->path, path);
		f->size = f->written = 0;
		return f;
	}
	abort();
}

void memory_io_clear(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		files[i].path[0] = 0;
		if (files[i].written)
			(void)madvise(files[i].data, files[i].written, MADV_DONTNEED);
		files[i].size = files[i].written = 0;
	}
}

void memory_io_put(const char *path, const void *data, size_t size, size_t file_size)
{
	struct file *f = file_find(path);

	if (!f)
		f = file_new(path);
	if (size > f->written)
		f->written = size;
	memcpy(f->data, data, size);
	f->size = file_size;
}

const uint8_t *memory_io_get(const char *path)
{
	struct file *f = file_find(path);

	return f ? f->data : NULL;
}

/* ---- what start-up code calls ---- */

int io_open_now(struct io *io, const char *path, unsigned flags)
{
	struct file *f = file_find(path);

	(void)io;
	if (flags & IO_DIRECTORY)
		return FILES;
	if (!f && !(flags & IO_CREATE))
		return -ENOENT;
	if (!f)
		f = file_new(path);
	if (flags & IO_TRUNCATE)
		f->size = 0;
	return (int)(f - files);
}

int io_mkdir_now(struct io *io, const char *path)
{
	(void)io;
	(void)path;
	return 0;
}

int64_t io_size_now(struct io *io, int file)
{
	(void)io;
	return (int64_t)files[file].size;
}

int io_read_now(struct io *io, int file, void *buf, size_t size, uint64_t offset)
{
	struct file *f = &files[file];
	size_t there = offset < f->written ? f->written - offset : 0;

	(void)io;
	if (offset + size > f->size)
		return -ENODATA;
	if (there > size)
		there = size;
	memcpy(buf, f->data + offset, there);
	memset((uint8_t *)buf + there, 0, size - there);
	return 0;
}

int io_write_now(struct io *io, int file, const void *buf, size_t size, uint64_t offset)
{
	struct file *f = &files[file];
	const uint8_t *p = buf;

	(void)io;
	if (offset + size > ROOM)
		return -ENOSPC;
	if (offset + size > f->size)
		f->size = offset + size;
	if (offset >= f->written && p[0] == 0 && !memcmp(p, p + 1, size - 1))
		return 0; /* zeros where zeros are */
	if (offset + size > f->written)
		f->written = offset + size;
	memcpy(f->data + offset, buf, size);
	return 0;
}

int io_sync_now(struct io *io, int file)
{
	(void)io;
	(void)file;
	return 0;
}

int io_list_now(struct io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg)
{
	size_t skip = strlen(dir) + 1;

	(void)io;
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].path[0])
			each(arg, files[i].path + skip);
	return 0;
}

void io_file_close(struct io *io, int file)
{
	(void)io;
	(void)file;
}

void io_random(struct io *io, void *ret, size_t size)
{
	(void)io;
	memset(ret, 0x5a, size);
}

/* ---- what only a running loop does: nothing runs here ---- */

uint64_t io_boottime_ns(struct io *io)
{
	(void)io;
	return NS_PER_S;
}

void io_timer_start(struct io *io, struct io_timer *timer, uint64_t deadline_ns)
{
	(void)io;
	timer->deadline_ns = deadline_ns;
	timer->heap_slot = 1;
}

void io_timer_stop(struct io *io, struct io_timer *timer)
{
	(void)io;
	timer->heap_slot = 0;
}

void io_register_buffer(struct io *io, void *buf, size_t size)
{
	(void)io;
	(void)buf;
	(void)size;
}

void io_open(struct io *io, struct io_op *op, const char *path, unsigned flags)
{
	(void)io;
	(void)op;
	(void)path;
	(void)flags;
}

void io_write(struct io *io, struct io_op *op, int file, const void *buf, size_t size, uint64_t offset, bool durable)
{
	(void)op;
	(void)durable;
	(void)io_write_now(io, file, buf, size, offset); /* durable at once, but never told */
}

void io_sync(struct io *io, struct io_op *op, int file)
{
	(void)io;
	(void)op;
	(void)file;
}
