/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/uring.h"

#define PIN_SHARE 32u /* a buffer is pinned if it takes at most this part of RLIMIT_MEMLOCK */

static int open_mode(unsigned flags)
{
	if (flags & IO_DIRECTORY)
		return O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	return O_RDWR | O_CLOEXEC | (flags & IO_CREATE ? O_CREAT : 0) | (flags & IO_TRUNCATE ? O_TRUNC : 0) |
	       (flags & IO_DIRECT ? O_DIRECT : 0);
}

int io_open_now(struct io *io, const char *path, unsigned flags)
{
	int fd = open(path, open_mode(flags), 0600);

	(void)io;
	if (fd < 0 && errno == EINVAL && flags & IO_DIRECT)
		fd = open(path, open_mode(flags & ~(unsigned)IO_DIRECT), 0600);
	if (fd < 0)
		return -errno;
	if (flags & IO_LOCK && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	return fd;
}

int io_mkdir_now(struct io *io, const char *path)
{
	(void)io;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int64_t io_size_now(struct io *io, int file)
{
	struct stat st;

	(void)io;
	return fstat(file, &st) < 0 ? -errno : st.st_size;
}

int io_read_now(struct io *io, int file, void *buf, size_t size, uint64_t offset)
{
	uint8_t *p = buf;

	(void)io;
	while (size) {
		ssize_t n = pread(file, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int io_write_now(struct io *io, int file, const void *buf, size_t size, uint64_t offset)
{
	const uint8_t *p = buf;

	(void)io;
	while (size) {
		ssize_t n = pwrite(file, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

int io_sync_now(struct io *io, int file)
{
	(void)io;
	return fsync(file) < 0 ? -errno : 0;
}

int io_rename_now(struct io *io, const char *from, const char *to)
{
	char *dir = mem_strdup(to), *slash = strrchr(dir, '/');
	int fd, r = rename(from, to) < 0 ? -errno : 0;

	(void)io;
	if (slash)
		*slash = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0)
		r = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return r;
}

int io_unlink_now(struct io *io, const char *path)
{
	(void)io;
	return unlink(path) < 0 ? -errno : 0;
}

int io_list_now(struct io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);

	(void)io;
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, ".."))
			each(arg, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return 0;
}

void io_pause_now(struct io *io, uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

	(void)io;
	(void)nanosleep(&t, NULL);
}

int64_t io_space_now(struct io *io, const char *dir)
{
	struct statvfs fs;

	(void)io;
	return statvfs(dir, &fs) < 0 ? -errno : (int64_t)(fs.f_bavail * fs.f_frsize);
}

bool io_file_direct(struct io *io, int file)
{
	int flags = fcntl(file, F_GETFL);

	(void)io;
	return flags >= 0 && flags & O_DIRECT;
}

void io_open(struct io *io, struct io_op *op, const char *path, unsigned flags)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	op->at.kind = URING_PLAIN;
	io_uring_prep_openat(sqe, AT_FDCWD, path, open_mode(flags), 0600);
	io_uring_sqe_set_data(sqe, op);
}

void io_read(struct io *io, struct io_op *op, int file, void *buf, size_t size, uint64_t offset)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	op->at.kind = URING_WHOLE;
	op->at.size = size;
	io_uring_prep_read(sqe, file, buf, (unsigned)size, offset);
	io_uring_sqe_set_data(sqe, op);
}

static int fixed_slot(const struct io *io, const void *buf, size_t size)
{
	for (unsigned i = 0; i < io->fixed_count; i++) {
		const uint8_t *base = io->fixed[i].iov_base;

		if ((const uint8_t *)buf >= base && (const uint8_t *)buf + size <= base + io->fixed[i].iov_len)
			return (int)i;
	}
	return -1;
}

void io_write(struct io *io, struct io_op *op, int file, const void *buf, size_t size, uint64_t offset, bool durable)
{
	int slot = fixed_slot(io, buf, size);
	struct io_uring_sqe *sqe;

	if (durable && io->flush && io_uring_sq_space_left(&io->ring) < 2)
		(void)io_uring_submit(&io->ring); /* a link must not be torn over two submissions */
	sqe = uring_sqe(io);
	op->at.kind = URING_WHOLE;
	op->at.size = size;
	if (slot >= 0)
		io_uring_prep_write_fixed(sqe, file, buf, (unsigned)size, offset, slot);
	else
		io_uring_prep_write(sqe, file, buf, (unsigned)size, offset);
	if (durable)
		uring_write_durable(io, op, sqe, file);
	else
		io_uring_sqe_set_data(sqe, op);
}

void io_sync(struct io *io, struct io_op *op, int file)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	op->at.kind = URING_PLAIN;
	io_uring_prep_fsync(sqe, file, 0);
	io_uring_sqe_set_data(sqe, op);
}

void io_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	op->at.kind = URING_PLAIN;
	io_uring_prep_renameat(sqe, AT_FDCWD, from, AT_FDCWD, to, 0);
	io_uring_sqe_set_data(sqe, op);
}

void io_unlink(struct io *io, struct io_op *op, const char *path)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	op->at.kind = URING_PLAIN;
	io_uring_prep_unlinkat(sqe, AT_FDCWD, path, 0);
	io_uring_sqe_set_data(sqe, op);
}

void io_file_close(struct io *io, int file)
{
	(void)io;
	if (file >= 0)
		(void)close(file);
}

static bool may_lock_any_memory(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &head, data) == 0 && data[0].effective & 1u << CAP_IPC_LOCK;
}

/* Rings count against the limit as well, and it is shared by all processes of a user: a node that fills it keeps others from starting. */
static bool leaves_room_for_rings(size_t size)
{
	struct rlimit limit;

	return may_lock_any_memory() || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && size <= limit.rlim_cur / PIN_SHARE);
}

void io_register_buffer(struct io *io, void *buf, size_t size)
{
	struct iovec vec = {.iov_base = buf, .iov_len = size};
	__u64 tag = 0;

	if (io->lacks & IO_LACK_FIXED_BUFFERS || io->fixed_count == FIXED_BUFFERS_MAX)
		return;
	if (!leaves_room_for_rings(size) ||
	    io_uring_register_buffers_update_tag(&io->ring, io->fixed_count, &vec, &tag, 1) < 0) {
		io->lacks |= IO_LACK_FIXED_BUFFERS;
		return;
	}
	io->fixed[io->fixed_count++] = vec;
}
