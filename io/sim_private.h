/* SPDX-License-Identifier: Apache-2.0 */
/* Private to io/sim*.c. */
#ifndef HF_IO_SIM_PRIVATE_H
#define HF_IO_SIM_PRIVATE_H

#include "base/bytes.h"
#include "base/list.h"
#include "io/sim.h"
#include "io/timer.h"

#define SIM_PAGE 4096u
#define SIM_SECTOR 512u
#define REALTIME_BASE_MS 1750000000000ll

enum sim_event_kind {
	EVENT_WAKE = 1,   /* an io runs a turn */
	EVENT_COMPLETE,   /* op with result joins an io's ready list */
	EVENT_DELIVER,    /* bytes (or the end) arrive at an end of a connection */
	EVENT_DISK,       /* a disk write takes effect */
	EVENT_ACCEPT,     /* a connection reaches its listener */
};

struct sim_event {
	uint64_t at_ns, order;
	enum sim_event_kind kind;
	uint64_t io;         /* id of the io concerned; dropped if that is gone */
	struct io_op *op;
	int result;
	uint64_t handle;     /* EVENT_DELIVER, EVENT_ACCEPT: connection; EVENT_DISK: write */
	int side;            /* EVENT_DISK: the machine */
};

struct sim_ready {
	struct io_op *op;
	int result;
};

struct io {
	struct sim *sim;
	uint64_t id;
	uint8_t machine;
	struct timer_heap timers;
	void (*turn)(void *arg);
	void *turn_arg;
	struct sim_ready *ready;
	uint32_t ready_count, ready_cap;
	struct io_message *mail_first, **mail_last;
	uint64_t busy_until_ns, wake_at_ns; /* 0: no wake-up is planned */
	bool in_turn;
	uint64_t ahead_ns;                  /* stood still in this turn for so long */
};

struct sim_undo {
	struct sim_undo *next;   /* newest first */
	uint64_t offset;
	uint32_t size;
	uint8_t old[];
};

struct sim_file {
	struct list node;
	char *path;
	uint8_t **pages;
	bool *unreadable;        /* by page; NULL: none ever was */
	uint64_t page_count, size;
	struct sim_undo *undo;   /* completed, not yet durable */
	uint64_t first_page_write, later_write; /* durable ones: the id of the latest */
	bool directory, named;   /* named: the name is durable */
	bool first_page_lost;    /* rot or a stray write took what was written there last */
	bool spoiled;            /* a write or sync of it failed for good since the last crash */
	uint64_t locked_by;      /* io id, 0 none */
};

struct sim_write {
	struct list node;        /* in machine->writes */
	uint64_t id, io;
	struct sim_file *file;
	struct io_op *op;
	uint8_t *data;
	uint64_t offset, size;
	bool durable;
	int error;               /* 0, or how it will end */
	bool spoils;             /* and that the file is not to be written again */
};

/* What a durable write replaced: a disk that lies has it back after a crash. */
struct sim_lie {
	struct list node;        /* in machine->lies, oldest first */
	struct sim_file *file;
	uint64_t at_ns;          /* when the write was reported as durable */
	uint64_t offset, size;
	uint8_t old[];
};

struct io_env {
	struct sim *sim;
	uint8_t machine;
	uint64_t clock_offset_ns;
	int64_t drift_ppm;
	int64_t realtime_skew_ms;
	uint64_t paused_until_ns;
	uint64_t fail_in;        /* file operations until one fails; 0: none */
	int fail_error;
	bool io_failed, full, liar;
	const char *misdirect_part; /* NULL: no write goes astray */
	uint64_t misdirect_where;
	uint32_t lie_count;
	uint64_t lies_since_ns;  /* everything durable after this is in lies */
	struct list files, writes, lies;
};

/* What is on its way to one end of a connection. */
struct sim_segment {
	struct sim_segment *next;
	uint64_t at_ns;
	int error;               /* size 0: the end of the stream, with this (0: in order) */
	uint32_t size;
	uint8_t data[];
};

/* One end of a connection. */
struct sim_end {
	uint64_t io;             /* 0: closed or crashed */
	uint8_t machine;
	int handle;
	struct io_recv *recv;    /* receiving */
	struct bytes waiting;    /* arrived, nobody receives */
	size_t taken;            /* of these, from the front: dropped once they are the larger part */
	bool ended;              /* the end of the stream has arrived */
	int error;               /* with which it ended */
	bool scheduled;          /* recv's op is among its io's ready ones */
	struct sim_segment *first, **last; /* on the way here, in order */
	uint64_t untaken;        /* bytes on the way here, and arrived, but not received */
	struct io_op *sending;   /* from here: waits until the other end has taken more */
	int sending_size;
	uint64_t last_arrival_ns;
	bool silent;             /* its machine fell silent */
};

struct sim_connection {
	uint64_t id;
	struct sim_end end[2];
};

struct sim_listener {
	uint64_t io;
	char address[128];
	struct io_accept *accept;
	int handle;
};

struct sim {
	uint64_t now_ns, random, order, next_id;
	struct sim_faults faults;
	struct sim_counts counts;
	struct io_env machines[SIM_MACHINES];
	bool cut[SIM_MACHINES][SIM_MACHINES];
	struct sim_event *heap;
	uint32_t heap_count, heap_cap;
	struct io **ios;
	uint32_t io_count;
	struct sim_connection **connections;
	uint32_t connection_count;
	struct sim_listener *listeners;
	uint32_t listener_count;
	struct sim_file **handles; /* open files by handle; NULL: closed */
	uint32_t handle_count;
	uint8_t last_machine;
	const char *head_part;     /* NULL: any file may lose its first page */
};

#define SOCKET_BASE 1000000 /* socket handle: base + 2 * connection + side; listener: negative space below */
#define LISTENER_BASE 500000

void sim_schedule(struct sim *s, const struct sim_event *e);
struct io *sim_io(const struct sim *s, uint64_t id);
/* The time at which what an io does now happens. */
uint64_t sim_io_now(const struct io *io);
void sim_complete(struct io *io, struct io_op *op, int result, uint64_t delay_ns);
void sim_ready(struct sim *s, uint64_t io, struct io_op *op, int result);
void sim_wake(struct sim *s, struct io *io, uint64_t at_ns);
bool sim_chance(struct sim *s, uint32_t of, uint32_t in);
uint64_t sim_between(struct sim *s, uint64_t min, uint64_t max);

void sim_deliver(struct sim *s, const struct sim_event *e);
void sim_accept(struct sim *s, const struct sim_event *e);
void sim_run_recv(struct io *io, struct io_op *op, int result);
void sim_net_free(struct sim *s);
void sim_disk_write(struct sim *s, const struct sim_event *e);
void sim_disk_crash(struct sim *s, struct io_env *m);
void sim_net_crash(struct sim *s, uint8_t machine, bool silent);
void sim_net_forget(struct sim *s, struct io *io);
void sim_disk_free(struct io_env *m);
/* Of its row this file alone still has its first page as it was written, and must keep it. */
bool sim_has_last_head(const struct sim *s, const struct io_env *m, const struct sim_file *f);
void sim_file_free(struct io_env *m, struct sim_file *f);

enum sim_op_kind { SIM_PLAIN = 1, SIM_RECV, SIM_ACCEPT };

#endif
