/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated world behind io.h: virtual time, machines with disks and clocks, and a network, all from one seed.
 * Used by tests/sim only. One thread; the order of everything comes from the seed.
 *
 * Time moves from event to event. A machine's io takes what has happened since its last turn, runs its callbacks
 * and its turn hook, and is then busy for a little while, so that things gather as they do under load. Now and then
 * a machine stands still in the middle of a turn (SIGSTOP, a slow hypervisor): whatever it does afterwards happens
 * that much later.
 *
 * Disks: a write takes effect when it completes; unless it was durable or synced, a crash undoes it sector by
 * sector, at random. A write under way at a crash leaves all, none, a prefix or any subset of its sectors. A file
 * whose directory wasn't synced may be gone. A disk that lies has reported writes as durable that a crash undoes; one that is
 * told to puts a write elsewhere.
 *
 * Network: byte streams, in order within a connection. Where windows are small, a send waits until its receiver has taken enough. A cut direction holds bytes back until it heals; loss is a
 * long delay; connections break at random, and bytes of an old connection may arrive after those of its successor.
 * A crashed machine either resets its connections at once (its kernel lives) or falls silent.
 */
#ifndef HF_IO_SIM_H
#define HF_IO_SIM_H

#include "io/io.h"

#define SIM_MACHINES 9u /* 0 is the clients' */

struct sim;

struct sim_faults {
	uint32_t delay_us_min, delay_us_max;  /* of a message */
	uint32_t slow_per_10000;              /* messages that are "lost": delayed by a retransmission time */
	uint32_t pieces_per_20;               /* receives that bring a few bytes only */
	uint32_t window;                      /* bytes on the way and not received above which a send waits; 0: none does */
	uint32_t break_per_100000;            /* sends after which the connection breaks */
	uint32_t write_us_min, write_us_max;  /* of a disk write */
	uint32_t stall_per_100000;            /* clock readings at which the machine stands still */
	uint32_t drift_ppm;                   /* clocks run fast or slow by up to this */
};

struct sim_counts {
	uint64_t crashes, torn, partitions, pauses, flips, breaks, stalls, slow, restored, jumps, leaves, full, lies, misdirected, shortened;
	uint64_t roll_calls;           /* leaders that one chose */
	uint64_t time_behind_ms;       /* by so much a record's stamp was at most behind the true time */
	uint64_t io_failures, waited, retries; /* waited: sends, for their receivers; retries: writes and syncs of a file after one of them had failed for good */
};

struct sim *sim_new(uint64_t seed, const struct sim_faults *faults);
void sim_free(struct sim *s);
struct io_env *sim_env(struct sim *s, uint8_t machine);
/* Runs the next event; false if there is none before until_ns (the time is then until_ns). */
bool sim_step(struct sim *s, uint64_t until_ns);
uint64_t sim_now(const struct sim *s);
uint64_t sim_random(struct sim *s, uint64_t bound);
struct sim_counts *sim_counts(struct sim *s);
/* The machine whose io ran last. */
uint8_t sim_last_machine(const struct sim *s);
/* No faults any more: everything is connected, fast and reliable. */
void sim_heal(struct sim *s);

/* Ends all ios of a machine; what was not durable is lost or torn. The caller has freed or will free the node's memory. */
void sim_crash(struct sim *s, uint8_t machine, bool silent);
/* True while a durable write of the machine is under way: the most interesting moment to crash. */
bool sim_writing(const struct sim *s, uint8_t machine);
void sim_pause(struct sim *s, uint8_t machine, uint64_t ns);
void sim_cut(struct sim *s, uint8_t from, uint8_t to, bool cut);
/* Sets the machine's realtime clock so far off the true time. */
void sim_set_clock(struct sim *s, uint8_t machine, int64_t off_ms);
/* The true time, in milliseconds since 1970. */
uint64_t sim_true_ms(const struct sim *s);
/*
 * The nth file operation of the machine from now on fails with error: -EIO, -ENOSPC, or -ENODATA, a write of which only
 * half took effect. A disk is full only for what makes a file longer; else that is -EIO. nth 0: none fails.
 */
void sim_fail_io(struct sim *s, uint8_t machine, uint64_t nth, int error);
/* True from that failure until the machine crashes or its node starts anew. */
bool sim_io_failed(const struct sim *s, uint8_t machine);
/* While it is full, nothing makes a file of the machine longer: that fails with -ENOSPC, and may be tried again. */
void sim_fill_disk(struct sim *s, uint8_t machine, bool full);
bool sim_disk_full(const struct sim *s, uint8_t machine);
/* From now on the machine's disk remembers what its latest durable writes replaced, until it crashes. */
void sim_let_lie(struct sim *s, uint8_t machine);
/*
 * Just before a crash: of what the machine's disk has reported as durable after since_ns in files under path_part each
 * write is lost, the newest one perhaps but in part. False, and nothing is, if there is none or that is longer ago than it remembers.
 */
bool sim_lie(struct sim *s, uint8_t machine, const char *path_part, uint64_t since_ns);
/*
 * The next durable write of the machine to a file under path_part, but for one to its first page, goes to another page of
 * the file than it should, `where` says to which, and is reported as done. path_part is borrowed; NULL: none does.
 */
void sim_misdirect(struct sim *s, uint8_t machine, const char *path_part, uint64_t where);
/*
 * While a machine is down: one of its files under path_part ends after `least` bytes or later, or is gone. Gone is none that was
 * written last, at its first page or behind it: nothing that is left could tell of it. False if there is none to choose from.
 */
bool sim_cut_short(struct sim *s, uint8_t machine, const char *path_part, uint64_t least, uint64_t chance);
bool sim_remove(struct sim *s, uint8_t machine, const char *path_part, uint64_t chance);
/*
 * No fault takes the last first page that is left to the files under path_part of a directory: a row of files without a head is
 * for an operator, who replaces the node. path_part is borrowed.
 */
void sim_keep_head(struct sim *s, const char *path_part);
enum sim_rot {
	SIM_ROT_BIT,
	SIM_ROT_PAGE,       /* garbage all over it */
	SIM_ROT_UNREADABLE, /* a page that reads with -EIO until it is written */
};

/* Rot somewhere in what the machine's files under path_part hold beside zeros. False if there is nothing, or sim_keep_head() forbids it. */
bool sim_rot(struct sim *s, uint8_t machine, const char *path_part, enum sim_rot rot);

#endif
