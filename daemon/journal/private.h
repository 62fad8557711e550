/* SPDX-License-Identifier: Apache-2.0 */
/* Private to journal/: the journal's segments (segment.c), its open batches (append.c), its recovery (recover.c). */
#ifndef HF_JOURNAL_PRIVATE_H
#define HF_JOURNAL_PRIVATE_H

#include "base/list.h"
#include "journal/journal.h"

#define BATCH_PAYLOAD_MAX (4u << 20)   /* a batch takes no further record above this; one record may be larger */
#define IMAGE_SIZE (1u << 20)          /* the registered buffer; larger batches borrow memory */
#define ZERO_CHUNK (256u << 10)
#define RESERVE_PART 16u               /* of a segment is kept for what has no payload while it is the last one */
#define SEGMENTS_READY 1u              /* prepared ahead */
#define CLOSING_BATCH_NS (10 * NS_PER_MS)

/* The highest entry of one group in one segment. */
struct segment_group {
	uint32_t group;
	raft_index index;
};

enum segment_state { SEGMENT_ACTIVE, SEGMENT_FREE, SEGMENT_PREPARING, SEGMENT_READY };

struct segment {
	struct list node; /* in journal.active (oldest first), .free or .ready */
	enum segment_state state;
	int file;
	bool grown;      /* the file has its whole length: no write to it needs room */
	uint32_t slot;   /* the file's name: seg-<slot> */
	uint64_t number;
	uint64_t end;    /* active: offset of the first byte after the last batch */
	struct segment_group *groups;
	uint32_t group_count;
};

/* A record waiting in an open batch. */
struct batch_record {
	struct journal_record_head head;
	struct entry *entry;
};

struct batch {
	struct list node;
	uint64_t sequence;
	struct batch_record *records;
	uint32_t count, cap;
	uint64_t payload;
	bool hard;
};

struct journal {
	uint64_t *lost;          /* what recovery found lost, until it is settled (format.h) */
	uint32_t lost_count;
	struct io *io;
	struct journal_options options;
	char *dir;
	uint64_t seed;
	int dir_file;
	bool stopped;

	/* Segments. */
	struct list active, free, ready;
	uint32_t slot_count; /* files there are */
	uint64_t next_number;
	struct segment *preparing;
	uint64_t prepared; /* bytes zeroed so far */
	uint8_t *zeros;
	struct io_op prepare_op;
	struct io_timer prepare_retry;
	char *prepare_path;
	bool out_of_space;

	/* Batches. */
	struct list open; /* oldest first; the last one takes records */
	uint64_t next_sequence;
	uint64_t durable;
	uint32_t prev_crc;
	uint64_t checkpoint_sequence; /* the batch that last told every group's state; no segment is freed before it is durable */
	bool checkpointing;
	bool writing;
	bool last_empty; /* the last batch written is a closing one */
	uint64_t backlog; /* payload bytes of records not durable */
	struct batch *in_flight;
	uint64_t write_start_ns;
	uint32_t write_size;
	struct io_op write_op;
	struct io_timer closing;
	uint8_t *image, *large_image;
	uint64_t peer_sequence[JOURNAL_PEERS];
	struct journal_stats stats;
};

/* ---- segment.c ---- */
struct segment *segment_new(struct journal *j, uint32_t slot);
void segment_free(struct journal *j, struct segment *s);
char *segment_path(const struct journal *j, uint32_t slot);
void segment_note(struct segment *s, uint32_t group, raft_index index);
/* Blocking: makes the file, zero-filled, headed with the next number; ready. For the very first segments. */
int segment_create_now(struct journal *j);
/* Starts preparing when fewer than SEGMENTS_READY are ready and nothing is being prepared. */
void segment_prepare(struct journal *j);
/* The next ready segment becomes the active one; NULL if none is ready. */
struct segment *segment_activate(struct journal *j);
struct segment *segment_current(struct journal *j);
void segment_head_fill(const struct journal *j, uint64_t number, uint8_t *block);

/* ---- append.c ---- */
void journal_fail(struct journal *j, int error);
void journal_closing_arm(struct journal *j);
void journal_write_done(struct io_op *op, int result);
void journal_closing_fire(struct io_timer *t);

/* ---- recover.c ---- */
int journal_recover(struct journal *j, struct journal_recovery *ret_found);

#endif
