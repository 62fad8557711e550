/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal on disk. This essay is the specification; the asserts below pin it.
 *
 * A lane's journal is a row of segment files of one size. A segment is filled with zeros before it is used, so
 * that writing a batch changes no file size and no extent, and so that "what lay there before" is known: zeros.
 *
 *   segment:  | header block, 4 KiB | batch | batch | ... | zeros |
 *
 * A batch is the records of all groups of one group commit. Its size is a multiple of 4 KiB, its place is
 * 4 KiB-aligned, and only one batch is being written at a time: a batch that has a successor was durable.
 * It is written in sectors of 512 bytes, the smallest unit that a disk writes whole. Each sector starts with a
 * 4-byte mark, a hash of (journal seed, batch sequence); the other 508 bytes carry the image:
 *
 *   | batch head | record heads | payloads | zeros | record heads again | batch head again |
 *   `-- first sector                                `-- starts a sector  `-- ends the last sector
 *
 * Everything small stands twice, in separate sectors, so that a sector that rots takes a payload with it at most
 * (DECISIONS [headers]). A batch that holds a hard state (term and vote) is padded so that the two copies of
 * the heads lie in separate 4 KiB blocks. All head checksums start from the journal's seed, which is drawn
 * when the journal is created, so that no client can write a value that looks like a batch.
 *
 * What recovery makes of what it finds is in recover.c.
 */
#ifndef HF_JOURNAL_FORMAT_H
#define HF_JOURNAL_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_BLOCK 4096u
#define JOURNAL_SECTOR 512u
#define JOURNAL_MARK 4u
#define JOURNAL_ROOM (JOURNAL_SECTOR - JOURNAL_MARK) /* image bytes a sector carries */
#define JOURNAL_PEERS 8u
#define JOURNAL_VERSION 2u

enum journal_kind {
	JOURNAL_ENTRY = 1,    /* an entry of a group's log; drops what the log holds at and above its index */
	JOURNAL_HARD = 2,     /* term: the group's current term; index: the node voted for, 0 none */
	JOURNAL_START = 3,    /* the group's log starts after (index, term): a snapshot holds the rest */
	JOURNAL_REPAIR = 4,   /* an entry whose payload had rotted, fetched from a peer: fills, drops nothing */
	JOURNAL_SETTLED = 5,  /* index: a loss that is made good; recovery need not mind it again */
	JOURNAL_UNASKED = 6,  /* group: a node; index: the last batch of ours that it can know of, unless a later one was lost */
	JOURNAL_ASKED = 7,    /* group: a node that was asked since, and knew of no later one */
	JOURNAL_HELD = 8,     /* the group's log holds the entry (index, term), and so, what went before it */
	JOURNAL_LOST = 9,     /* index: a loss that only the records told of; it is one until it is settled */
};

/* A loss is the sequence of a damaged batch or, with one of these bits, */
#define JOURNAL_LOST_SEGMENT (1ull << 63) /* the number of a segment whose head is lost */
#define JOURNAL_LOST_LINK (1ull << 62)    /* the sequence of a batch that doesn't follow the one before it */
#define JOURNAL_LOST_RECORD (1ull << 61)  /* the sequence of the batch that says so: records don't follow those before them */

/* The head of a segment, twice in its first block. */
struct journal_segment_head {
	uint8_t magic[8];
	uint32_t crc; /* of this struct with crc 0 */
	uint32_t version;
	uint64_t seed;
	uint64_t number; /* segments are read in the order of their numbers */
	uint64_t size;   /* of the file */
	uint32_t lane;
	uint32_t zero;
};
static_assert(sizeof(struct journal_segment_head) == 48, "disk format");
#define JOURNAL_SEGMENT_COPY 2048u /* offset of the second copy */

struct journal_batch_head {
	uint32_t magic;
	uint32_t crc; /* of this struct with crc 0, from the journal's seed */
	uint64_t sequence;
	uint32_t sector_count;
	uint32_t record_count;
	uint32_t body_crc;  /* of the image between the two batch heads, from the journal's seed */
	uint32_t prev_crc;  /* body_crc of the batch before */
	uint64_t peer_sequence[JOURNAL_PEERS]; /* the highest sequence that each other node said it holds durably */
	uint8_t zero[24];
};
static_assert(sizeof(struct journal_batch_head) == 120, "disk format");
#define JOURNAL_BATCH_MAGIC 0x31424648u /* "HFB1" */

struct journal_record_head {
	uint32_t crc; /* of this struct with crc 0, from the journal's seed xor the batch sequence */
	uint8_t kind; /* enum journal_kind */
	uint8_t entry_kind;
	uint16_t zero;
	uint32_t group;
	uint32_t size;        /* of the payload */
	uint32_t payload_crc; /* CRC32C, seed 0 */
	uint32_t offset;      /* of the payload in the image */
	uint64_t term;
	uint64_t index;
};
static_assert(sizeof(struct journal_record_head) == 40, "disk format");

/* Never 0: zero is what lies in a block that was never written. */
uint32_t journal_mark(uint64_t seed, uint64_t sequence);
uint32_t journal_crc_seed(uint64_t seed);

void journal_segment_head_seal(struct journal_segment_head *h);
bool journal_segment_head_valid(const struct journal_segment_head *h);
void journal_batch_head_seal(struct journal_batch_head *h, uint64_t seed);
bool journal_batch_head_valid(const struct journal_batch_head *h, uint64_t seed);
void journal_record_head_seal(struct journal_record_head *h, uint64_t seed, uint64_t sequence);
bool journal_record_head_valid(const struct journal_record_head *h, uint64_t seed, uint64_t sequence);

/* Sectors for a batch of this many records and payload bytes. */
uint32_t journal_batch_sectors(uint32_t record_count, uint64_t payload_size, bool hard);
/* Where the second copy of the record heads starts in the image. */
static inline uint64_t journal_tail_offset(uint32_t sector_count, uint32_t record_count)
{
	uint64_t tail = (uint64_t)record_count * sizeof(struct journal_record_head) + sizeof(struct journal_batch_head);

	return (sector_count - (tail + JOURNAL_ROOM - 1) / JOURNAL_ROOM) * JOURNAL_ROOM;
}

/* Reads size image bytes at offset out of sectors that lie at base. */
void journal_image_read(const uint8_t *base, uint64_t offset, void *ret, size_t size);
/* Writes image bytes; returns crc continued over them. Marks are written by journal_image_mark(). */
uint32_t journal_image_write(uint8_t *base, uint64_t offset, const void *data, size_t size, uint32_t crc);
uint32_t journal_image_zero(uint8_t *base, uint64_t offset, size_t size, uint32_t crc);
uint32_t journal_image_crc(const uint8_t *base, uint64_t offset, size_t size, uint32_t crc);
void journal_image_mark(uint8_t *base, uint32_t sector_count, uint32_t mark);

#endif
