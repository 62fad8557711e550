/* SPDX-License-Identifier: Apache-2.0 */
/* Private to io/uring*.c: one ring, its buffers and its mailbox. */
#ifndef HF_IO_URING_H
#define HF_IO_URING_H

#include <liburing.h>
#include <stdatomic.h>

#include "io/io.h"
#include "io/timer.h"

#define URING_ENTRIES 1024u
#define RECV_BUFFER_SIZE 16384u
#define RECV_BUFFER_COUNT 256u /* a power of two */
#define RECV_GROUP 1
#define FIXED_BUFFERS_MAX 8u

enum uring_kind {
	URING_PLAIN = 1,  /* done(op, res) */
	URING_WHOLE,      /* done(op, res == size ? size : error): reads and writes are whole or fail */
	URING_SYNCED,     /* the fdatasync behind a write of at.size bytes: done(op, size or error) */
	URING_SEND,
	URING_CONNECT,    /* at.buf holds the address and the time-out, freed here */
	URING_ACCEPT,
	URING_RECV,
	URING_WAKE,       /* the eventfd that threads without a ring post through */
};

#define URING_UNSYNCED 1u /* set in the completion's pointer to the op: the write before an fdatasync has failed */

struct io {
	struct io_op wake_op;
	int wake_fd;
	uint64_t wake_count;
	struct io_uring ring;
	struct timer_heap timers;
	void (*turn)(void *arg);
	void *turn_arg;
	unsigned lacks;
	bool flush; /* durable writes are followed by an fdatasync instead of being RWF_DSYNC */
	bool stopping;
	struct io_uring_buf_ring *recv_ring;
	uint8_t *recv_buffers;
	unsigned fixed_count;
	struct iovec fixed[FIXED_BUFFERS_MAX];
	_Atomic(struct io_message *) mailbox; /* newest first; the reader turns it round */
};

/* Never NULL: a full queue is submitted first. */
struct io_uring_sqe *uring_sqe(struct io *io);
/* Finishes a prepared write to file so that it is durable when done. */
void uring_write_durable(struct io *io, struct io_op *op, struct io_uring_sqe *sqe, int file);
void uring_recv_arm(struct io *io, struct io_recv *recv);
void uring_recv_complete(struct io *io, struct io_recv *recv, int res, unsigned flags);
void uring_accept_complete(struct io *io, struct io_accept *accept, int res, unsigned flags);
int uring_connect_result(struct io_op *op, int res);

#endif
