/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable writes, one of two ways ([write path]): RWF_DSYNC, which a device with FUA does in one command, or a write
 * with a linked fdatasync. Which is faster depends on filesystem and device, so it is measured where the journal lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/uring.h"

#define ROUNDS 9u
#define SMALL 4096u
#define LARGE 65536u
#define PROBE_SIZE (2 * ROUNDS * LARGE)

void uring_write_durable(struct io *io, struct io_op *op, struct io_uring_sqe *sqe, int file)
{
	if (!io->flush) {
		sqe->rw_flags = RWF_DSYNC;
		io_uring_sqe_set_data(sqe, op);
		return;
	}
	/* The write tells only if it fails or is short, and then the sync tells nothing: one completion either way. */
	sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, (uintptr_t)op | URING_UNSYNCED);
	sqe = uring_sqe(io);
	io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, op);
	op->at.kind = URING_SYNCED;
}

/* ---- measuring ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Returns how long it took, or negative errno. */
static int64_t write_once(int file, void *buf, size_t size, off_t offset, bool flush)
{
	struct iovec vec = {.iov_base = buf, .iov_len = size};
	uint64_t start = now_ns();

	if (pwritev2(file, &vec, 1, offset, flush ? 0 : RWF_DSYNC) != (ssize_t)size || (flush && fdatasync(file) < 0))
		return errno ? -errno : -EIO;
	return (int64_t)(now_ns() - start);
}

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Medians of both ways, alternating, each on a place of its own. */
static int measure(int file, void *buf, size_t size, uint64_t *dsync_ns, uint64_t *flush_ns)
{
	int64_t took[2][ROUNDS];

	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned way = 0; way < 2; way++) {
			took[way][i] = write_once(file, buf, size, (off_t)(2 * i + way) * LARGE, way);
			if (took[way][i] < 0)
				return (int)took[way][i];
		}
	for (unsigned way = 0; way < 2; way++)
		qsort(took[way], ROUNDS, sizeof took[way][0], by_time);
	*dsync_ns += (uint64_t)took[0][ROUNDS / 2];
	*flush_ns += (uint64_t)took[1][ROUNDS / 2];
	return 0;
}

/* The probe is laid out and zero-filled first, as segments are. */
static int probe(int file, struct io_durable *ret)
{
	void *buf = mem_aligned(IO_ALIGN, PROBE_SIZE);
	int r = 0;

	memset(buf, 0, PROBE_SIZE);
	if (pwrite(file, buf, PROBE_SIZE, 0) != PROBE_SIZE || fsync(file) < 0)
		r = errno ? -errno : -ENOSPC;
	if (r == 0)
		r = measure(file, buf, SMALL, &ret->dsync_ns, &ret->flush_ns);
	if (r == 0)
		r = measure(file, buf, LARGE, &ret->dsync_ns, &ret->flush_ns);
	free(buf);
	return r;
}

int io_choose_durable_now(struct io *io, const char *dir, struct io_durable *ret)
{
	struct io_durable found = {0};
	char path[512];
	int file, r;

	(void)snprintf(path, sizeof path, "%s/probe", dir);
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_DIRECT, 0600);
	if (file < 0 && errno == EINVAL)
		file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	r = probe(file, &found);
	(void)close(file);
	(void)unlink(path);
	if (r < 0)
		return r;
	/* Only a clear difference counts: DSYNC takes less CPU. */
	found.flush = found.flush_ns < found.dsync_ns - found.dsync_ns / 10;
	io->flush = found.flush;
	*ret = found;
	return 0;
}

void io_set_durable(struct io *io, bool flush)
{
	io->flush = flush;
}
