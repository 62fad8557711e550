/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry of a group's log: what Raft agrees on, the journal stores, peers exchange and a state machine applies.
 * It is written once and then only referred to. An entry belongs to one core, so its count needs no atomics.
 */
#ifndef HF_BASE_ENTRY_H
#define HF_BASE_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t raft_term;
typedef uint64_t raft_index;

enum entry_kind {
	ENTRY_NOOP = 1, /* a new leader's first entry: carries only a time stamp */
	ENTRY_BUNDLE,   /* commands for the group's state machine (store/store.h) */
	ENTRY_CATALOG,  /* a change of the catalog (cluster/catalog.h) */
};

/* The largest payload: one client request at its limit and what is bundled with it. */
#define ENTRY_SIZE_MAX (20u << 20)

struct entry {
	uint32_t refs;
	uint32_t size;    /* of the payload, in bytes */
	raft_index index; /* 0 until Raft has placed it */
	raft_term term;
	uint32_t crc;     /* CRC32C of the payload, seed 0: goes with it from leader to every disk */
	uint8_t kind;
	bool missing;     /* only the header is known: the payload rotted and waits for repair ([damaged]) */
	uint8_t data[];
};

/* Returns a reference; the payload is uninitialised, its crc not yet set. */
struct entry *entry_new(uint8_t kind, uint32_t size);
struct entry *entry_ref(struct entry *e);
void entry_unref(struct entry *e);
void entry_seal(struct entry *e);
bool entry_intact(const struct entry *e);

#endif
