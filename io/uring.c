/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a reactor on io_uring: completions, timers, messages between cores, then one submission for all. */
#include "io/uring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

struct io_uring_sqe *uring_sqe(struct io *io)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);

	while (!sqe) {
		(void)io_uring_submit(&io->ring);
		sqe = io_uring_get_sqe(&io->ring);
	}
	return sqe;
}

static int ring_init(struct io *io)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
			 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
		.cq_entries = URING_ENTRIES * 16,
	};
	int r = io_uring_queue_init_params(URING_ENTRIES, &io->ring, &params);

	if (r == -EINVAL) {
		io->lacks |= IO_LACK_DEFER_TASKRUN;
		params = (struct io_uring_params){
			.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = URING_ENTRIES * 16,
		};
		r = io_uring_queue_init_params(URING_ENTRIES, &io->ring, &params);
	}
	return r;
}

static void recv_buffer_add(struct io *io, unsigned id, unsigned at)
{
	io_uring_buf_ring_add(io->recv_ring, io->recv_buffers + (size_t)id * RECV_BUFFER_SIZE, RECV_BUFFER_SIZE,
			      (unsigned short)id, io_uring_buf_ring_mask(RECV_BUFFER_COUNT), (int)at);
}

static int recv_buffers_init(struct io *io)
{
	size_t ring_size = RECV_BUFFER_COUNT * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = {.ring_entries = RECV_BUFFER_COUNT, .bgid = RECV_GROUP};
	int r;

	io->recv_ring = mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
	if (io->recv_ring == MAP_FAILED) {
		io->recv_ring = NULL;
		return -errno;
	}
	reg.ring_addr = (uint64_t)(uintptr_t)io->recv_ring;
	r = io_uring_register_buf_ring(&io->ring, &reg, 0);
	if (r < 0)
		return r;
	io->recv_buffers = mem_aligned(IO_ALIGN, (size_t)RECV_BUFFER_COUNT * RECV_BUFFER_SIZE);
	io_uring_buf_ring_init(io->recv_ring);
	for (unsigned id = 0; id < RECV_BUFFER_COUNT; id++)
		recv_buffer_add(io, id, id);
	io_uring_buf_ring_advance(io->recv_ring, RECV_BUFFER_COUNT);
	return 0;
}

int io_new(struct io **ret_io, struct io_env *env)
{
	struct io *io = mem_zalloc(sizeof *io);
	int r;

	(void)env;
	io->wake_fd = -1;
	r = ring_init(io);
	if (r < 0) {
		free(io);
		return r;
	}
	r = recv_buffers_init(io);
	if (r < 0)
		goto fail;
	io->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (io->wake_fd < 0) {
		r = -errno;
		goto fail;
	}
	if (io_uring_register_buffers_sparse(&io->ring, FIXED_BUFFERS_MAX) < 0)
		io->lacks |= IO_LACK_FIXED_BUFFERS;
	*ret_io = io;
	return 0;
fail:
	io_free(io);
	return r;
}

void io_free(struct io *io)
{
	if (!io)
		return;
	io_uring_queue_exit(&io->ring);
	if (io->recv_ring)
		(void)munmap(io->recv_ring, RECV_BUFFER_COUNT * sizeof(struct io_uring_buf));
	if (io->wake_fd >= 0)
		(void)close(io->wake_fd);
	free(io->recv_buffers);
	timer_heap_free(&io->timers);
	free(io);
}

unsigned io_lacks(const struct io *io)
{
	return io->lacks;
}

void io_set_turn(struct io *io, void (*turn)(void *arg), void *arg)
{
	io->turn = turn;
	io->turn_arg = arg;
}

void io_stop(struct io *io)
{
	io->stopping = true;
}

/* ---- time and chance ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t io_boottime_ns(struct io *io)
{
	(void)io;
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t io_realtime_ms(struct io *io)
{
	(void)io;
	return clock_ns(CLOCK_REALTIME) / NS_PER_MS;
}

void io_random(struct io *io, void *ret, size_t size)
{
	uint8_t *p = ret;

	(void)io;
	while (size) {
		ssize_t n = getrandom(p, size, 0);

		if (n < 0)
			continue; /* EINTR */
		p += n;
		size -= (size_t)n;
	}
}

void io_timer_start(struct io *io, struct io_timer *timer, uint64_t deadline_ns)
{
	timer_heap_start(&io->timers, timer, deadline_ns);
}

void io_timer_stop(struct io *io, struct io_timer *timer)
{
	timer_heap_stop(&io->timers, timer);
}

static void timers_run(struct io *io)
{
	struct io_timer *t = timer_heap_first(&io->timers);
	uint64_t now;

	if (!t)
		return;
	now = io_boottime_ns(io);
	/* A timer that arms itself for the past must not hold the loop: each fires at most once a turn. */
	for (uint64_t order = io->timers.next_order; t && t->deadline_ns <= now && t->order < order;
	     t = timer_heap_first(&io->timers)) {
		timer_heap_stop(&io->timers, t);
		t->fire(t);
	}
}

/* ---- messages ---- */

void io_post(struct io *from, struct io *to, struct io_message *message)
{
	struct io_message *head = atomic_load_explicit(&to->mailbox, memory_order_relaxed);

	do
		message->next = head;
	while (!atomic_compare_exchange_weak_explicit(&to->mailbox, &head, message, memory_order_acq_rel,
						      memory_order_relaxed));
	if (head || from == to)
		return; /* whoever found it empty has sent the wake-up; a reactor looks at its own at the end of the turn */
	if (from) {
		struct io_uring_sqe *sqe = uring_sqe(from);

		io_uring_prep_msg_ring(sqe, to->ring.ring_fd, 0, 0, 0);
		io_uring_sqe_set_data64(sqe, 0);
	} else {
		uint64_t one = 1;

		(void)!write(to->wake_fd, &one, sizeof one);
	}
}

static void mailbox_run(struct io *io)
{
	struct io_message *m = atomic_exchange_explicit(&io->mailbox, NULL, memory_order_acq_rel);
	struct io_message *oldest = NULL;

	while (m) {
		struct io_message *next = m->next;

		m->next = oldest;
		oldest = m;
		m = next;
	}
	while (oldest) {
		m = oldest;
		oldest = m->next;
		m->deliver(m);
	}
}

static void wake_arm(struct io *io)
{
	struct io_uring_sqe *sqe = uring_sqe(io);

	io->wake_op.at.kind = URING_WAKE;
	io_uring_prep_read(sqe, io->wake_fd, &io->wake_count, sizeof io->wake_count, 0);
	io_uring_sqe_set_data(sqe, &io->wake_op);
}

/* ---- the loop ---- */

#define container_of_op(ptr, type) ((type *)(void *)((char *)(ptr) - offsetof(type, op)))

static void complete(struct io *io, struct io_op *op, int res, unsigned flags)
{
	switch ((enum uring_kind)op->at.kind) {
	case URING_PLAIN:
		op->done(op, res);
		return;
	case URING_WHOLE:
		if (res >= 0 && (uint64_t)res != op->at.size)
			res = -ENODATA;
		op->done(op, res);
		return;
	case URING_SYNCED:
		op->done(op, res < 0 ? res : (int)op->at.size);
		return;
	case URING_SEND:
		if (res >= 0 && (uint64_t)res != op->at.size)
			res = -EPIPE;
		op->done(op, res);
		return;
	case URING_CONNECT:
		op->done(op, uring_connect_result(op, res));
		return;
	case URING_ACCEPT:
		uring_accept_complete(io, container_of_op(op, struct io_accept), res, flags);
		return;
	case URING_RECV:
		uring_recv_complete(io, container_of_op(op, struct io_recv), res, flags);
		return;
	case URING_WAKE:
		wake_arm(io);
		return;
	}
	assert(!"a completion of no known kind");
}

/* A write that failed or was short, so that the fdatasync behind it never began. */
static void unsynced(struct io_op *op, int res)
{
	op->done(op, res < 0 ? res : -ENODATA);
}

static void wait_for_work(struct io *io)
{
	struct io_timer *t = timer_heap_first(&io->timers);
	struct __kernel_timespec ts, *timeout = NULL;
	struct io_uring_cqe *cqe;
	unsigned wait = 1;

	if (atomic_load_explicit(&io->mailbox, memory_order_acquire)) {
		wait = 0;
	} else if (t) {
		uint64_t now = io_boottime_ns(io);

		if (t->deadline_ns <= now) {
			wait = 0;
		} else {
			uint64_t left = t->deadline_ns - now;

			ts = (struct __kernel_timespec){.tv_sec = (long long)(left / NS_PER_S),
							.tv_nsec = (long long)(left % NS_PER_S)};
			timeout = &ts;
		}
	}
	if (wait)
		(void)io_uring_submit_and_wait_timeout(&io->ring, &cqe, wait, timeout, NULL);
	else
		(void)io_uring_submit_and_get_events(&io->ring);
}

void io_run(struct io *io)
{
	/* SINGLE_ISSUER binds the ring to the thread that enables it. */
	int r = (int)syscall(SYS_io_uring_register, io->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);

	assert(r == 0);
	wake_arm(io);
	while (!io->stopping) {
		struct io_uring_cqe *cqe;

		wait_for_work(io);
		while (io_uring_peek_cqe(&io->ring, &cqe) == 0) {
			struct io_op *op = io_uring_cqe_get_data(cqe);
			int res = cqe->res;
			unsigned flags = cqe->flags;

			/* Give the slot back first: the callback may submit. */
			io_uring_cqe_seen(&io->ring, cqe);
			if ((uintptr_t)op & URING_UNSYNCED)
				unsynced((struct io_op *)((uintptr_t)op & ~(uintptr_t)URING_UNSYNCED), res);
			else if (op)
				complete(io, op, res, flags);
		}
		timers_run(io);
		mailbox_run(io);
		if (io->turn)
			io->turn(io->turn_arg);
	}
}
