/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam: everything the daemon hears from or does to the outside world. Time, randomness, files and sockets
 * come only through here. Implemented twice, chosen when linking: io/uring*.c (io_uring, makes holdfastd) and
 * io/sim*.c (virtual time, disks and network from a seed, makes holdfast-sim).
 *
 * A struct io is one reactor's. Only the thread that runs it may call it, but for io_post().
 *
 * Operations are asynchronous: the caller embeds a struct io_op in its object, sets done, and hands it over;
 * from then until done() is called the op (and any buffer named) belongs to io/, so its owner must live.
 * done() never runs inside the call that submits. Results are a count or handle >= 0, or a negative errno.
 *
 * A turn of the loop: wait, run what completed, run due timers and posted messages, then the turn hook. What
 * was submitted in a turn reaches the kernel together, at its end.
 *
 * The functions that end in _now block. They are for start-up, before the reactor serves anybody.
 */
#ifndef HF_IO_H
#define HF_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io;
struct io_env; /* what all reactors of one node share: nothing for io_uring, the simulated machine for the simulator */

struct io_op {
	void (*done)(struct io_op *op, int result);
	/* Private to io/ while the operation is under way. */
	union {
		struct {
			struct io *io;
			void *buf;
			uint64_t size, offset;
			int handle, kind;
		} at;
		uint64_t room[10];
	};
};

/* Why the machine can't give all that was asked for; one warning line each at start. */
enum io_lack {
	IO_LACK_NONE = 0,
	IO_LACK_DEFER_TASKRUN = 1 << 0,    /* kernel before 6.1: completions interrupt, more CPU */
	IO_LACK_FIXED_BUFFERS = 1 << 1,    /* RLIMIT_MEMLOCK: pages are pinned anew for each write, more CPU */
};

/* Returns 0 and a loop that isn't running yet. -EPERM, -ENOSYS: this kernel forbids io_uring; -ENOMEM: limits. */
int io_new(struct io **ret_io, struct io_env *env);
/* Drops whatever is under way without calling anybody back; closes nothing that others hold. */
void io_free(struct io *io);
/* Runs the loop in the calling thread until io_stop(). */
void io_run(struct io *io);
void io_stop(struct io *io);
void io_set_turn(struct io *io, void (*turn)(void *arg), void *arg);
unsigned io_lacks(const struct io *io); /* enum io_lack, or-ed */

/* ---- time and chance ---- */

/* CLOCK_BOOTTIME, read now, never cached: it goes on while the machine sleeps or we are stopped ([lease-clock]). */
uint64_t io_boottime_ns(struct io *io);
/* CLOCK_REALTIME in milliseconds: only for stamping records and for people. */
uint64_t io_realtime_ms(struct io *io);
void io_random(struct io *io, void *ret, size_t size);

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

struct io_timer {
	void (*fire)(struct io_timer *timer);
	uint64_t deadline_ns; /* boottime */
	uint64_t order;       /* ties fire in the order of arming */
	uint32_t heap_slot;   /* 0: not armed */
};

/* Arms, or arms anew. */
void io_timer_start(struct io *io, struct io_timer *timer, uint64_t deadline_ns);
void io_timer_stop(struct io *io, struct io_timer *timer);

/* ---- between reactors ---- */

struct io_message {
	struct io_message *next;
	void (*deliver)(struct io_message *message); /* runs in the receiving reactor, which then owns the message */
};

/* From a reactor's thread (from) or any other thread (from NULL). Delivered in order per sender. */
void io_post(struct io *from, struct io *to, struct io_message *message);

/* ---- files: a handle is >= 0 ---- */

enum io_open_flags {
	IO_CREATE = 1 << 0,
	IO_DIRECT = 1 << 1, /* bypass the page cache; buffered where the filesystem refuses (see io_file_direct) */
	IO_LOCK = 1 << 2,   /* flock on this very open file: -EWOULDBLOCK while another process, alive or dying, holds it */
	IO_TRUNCATE = 1 << 3,
	IO_DIRECTORY = 1 << 4, /* a directory, only to sync it: that makes names created or renamed in it durable */
};

/* Buffers, sizes and offsets of direct files are multiples of this. */
#define IO_ALIGN 4096u

int io_open_now(struct io *io, const char *path, unsigned flags);
int io_mkdir_now(struct io *io, const char *path); /* 0 also if it is there */
int64_t io_size_now(struct io *io, int file);
/* Fill the whole size, or fail; -ENODATA at the end of the file. */
int io_read_now(struct io *io, int file, void *buf, size_t size, uint64_t offset);
int io_write_now(struct io *io, int file, const void *buf, size_t size, uint64_t offset);
int io_sync_now(struct io *io, int file);
int io_rename_now(struct io *io, const char *from, const char *to); /* durable when it returns */
int io_unlink_now(struct io *io, const char *path);
/* Calls each(arg, name) for each entry but . and .., sorted by name. */
int io_list_now(struct io *io, const char *dir, void (*each)(void *arg, const char *name), void *arg);
/* Sleeps: start-up only, for what another process still holds. */
void io_pause_now(struct io *io, uint64_t ns);
/* Bytes an unprivileged writer may still allocate on dir's filesystem. */
int64_t io_space_now(struct io *io, const char *dir);
bool io_file_direct(struct io *io, int file);

/* How durable writes get to the disk: as RWF_DSYNC, or followed by an fdatasync ([write path]). */
struct io_durable {
	bool flush;
	uint64_t dsync_ns, flush_ns; /* what a small and a large write took together, either way */
};
/* Measures both ways on a file of its own in dir, and uses the faster one from now on. */
int io_choose_durable_now(struct io *io, const char *dir, struct io_durable *ret);
void io_set_durable(struct io *io, bool flush);

void io_open(struct io *io, struct io_op *op, const char *path, unsigned flags); /* path must live until done */
void io_read(struct io *io, struct io_op *op, int file, void *buf, size_t size, uint64_t offset);
/* durable: on stable storage when done (FUA or flush). Partial writes are errors. */
void io_write(struct io *io, struct io_op *op, int file, const void *buf, size_t size, uint64_t offset, bool durable);
void io_sync(struct io *io, struct io_op *op, int file);
void io_rename(struct io *io, struct io_op *op, const char *from, const char *to); /* durable once the directory is synced */
void io_unlink(struct io *io, struct io_op *op, const char *path);
void io_file_close(struct io *io, int file);

/* Tells that writes will often come from here, so that its pages stay pinned. Never fails: see IO_LACK_FIXED_BUFFERS. */
void io_register_buffer(struct io *io, void *buf, size_t size);

/* ---- stream sockets: a handle is >= 0; addresses are "1.2.3.4:5", "[::1]:5" or "unix:/path" ---- */

int io_listen(struct io *io, const char *addr);

struct io_accept {
	void (*accepted)(struct io_accept *accept, int socket_or_error); /* again and again; the socket is the callee's */
	struct io_op op;
	int listener;
};
void io_accept_start(struct io *io, struct io_accept *accept, int listener);

/* TCP_NODELAY is set on every TCP socket. Gives up with -ETIMEDOUT after timeout_ns. */
void io_connect(struct io *io, struct io_op *op, const char *addr, uint64_t timeout_ns);

struct io_recv {
	/*
	 * size > 0: data, valid during the call only. size == 0: the peer closed. size < 0: negative errno.
	 * After a size <= 0 or io_recv_stop() nothing more comes. stopped() tells that io/ is done with the object.
	 */
	void (*received)(struct io_recv *recv, const uint8_t *data, int size);
	struct io_op op;
	int socket;
	bool active;  /* io/ holds the object */
	bool ending;
};
void io_recv_start(struct io *io, struct io_recv *recv, int socket);
/* For backpressure: no more calls of received() once this has taken effect, which received(-ECANCELED) tells. */
void io_recv_stop(struct io *io, struct io_recv *recv);

/* Sends all of it, or fails. */
void io_send(struct io *io, struct io_op *op, int socket, const void *data, size_t size);
/* Ends both directions: what is under way on the socket completes soon. */
void io_shutdown(struct io *io, int socket);
/* Only with nothing under way on it. */
void io_close(struct io *io, int socket);
/* Writes "ip:port" of the other end, or "unix". */
void io_peer_name(struct io *io, int socket, char *ret, size_t size);

#endif
