/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of one group: a hash table for each of the 16,384 hash slots (Redis Cluster specification), so that a
 * slot can be counted, walked and moved alone.
 *
 * A bucket is chosen by the *top* bits of a key's hash. So a walk over the buckets goes by ascending hash whatever
 * the table's size, and a cursor is just a hash: what a walk meets doesn't depend on the history of the memory
 * (DECISIONS [layout]). The hash is seeded per cluster.
 *
 * Growing is incremental: buckets of the old table below `moved` have gone to the new one.
 */
#ifndef HF_STORE_KEYSPACE_H
#define HF_STORE_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define SLOT_COUNT 16384u

enum object_type { OBJECT_STRING = 1 };

struct object {
	struct object *next;    /* in its bucket, by ascending hash, then key */
	uint64_t hash;
	int64_t expire_ms;      /* group time; 0: never. Set by keyspace_set_expiry() only */
	uint32_t expiry_slot;   /* in the expiry heap, 0: not there */
	uint32_t key_size;
	uint32_t value_size, value_cap;
	uint32_t saved;         /* the snapshot that has it already, see keyspace_snapshot_begin() */
	uint16_t slot;
	uint8_t type;
	uint8_t data[];         /* key, then value */
};

struct keyspace;

struct keyspace *keyspace_new(uint64_t hash_seed);
void keyspace_free(struct keyspace *ks);

/* The hash slot of a key: CRC16 of it, or of what stands between its first { and the next }. */
uint16_t key_slot(const void *key, size_t size);
uint64_t keyspace_hash(const struct keyspace *ks, const void *key, size_t size);

/*
 * Tells the processor that these keys will be looked up soon. A table larger than the caches costs several misses a
 * key, each found through the one before; asked for side by side they overlap. Changes nothing.
 */
struct key_ref {
	const void *key;
	size_t size;
};
#define KEYS_AHEAD_MAX 16u
void keyspace_look_ahead(const struct keyspace *ks, const struct key_ref *keys, unsigned count);

/* Expired or not; NULL if it isn't there. Valid until the next change of the keyspace. */
struct object *keyspace_find(const struct keyspace *ks, const void *key, size_t size);
/* Makes the key a string of this value. keep_expiry: else the expiry is cleared. Returns the object. */
struct object *keyspace_set_string(struct keyspace *ks, const void *key, size_t key_size, const void *value, size_t size, bool keep_expiry);
/* Makes the string size bytes long, zeros where it grew, and returns the object, whose value the caller may then change between keyspace_touch() calls. */
struct object *keyspace_resize_string(struct keyspace *ks, struct object *o, size_t size);
void keyspace_remove(struct keyspace *ks, struct object *o);
void keyspace_set_expiry(struct keyspace *ks, struct object *o, int64_t expire_ms);
/* At once, however many keys there are: their memory is given back by keyspace_reclaim(). */
void keyspace_clear(struct keyspace *ks);
/* Frees about max keys of what was cleared; false once there is nothing left. */
bool keyspace_reclaim(struct keyspace *ks, uint64_t max);
/* Bracket a change of an object's value in place, so that the checksum follows it. */
void keyspace_change_begin(struct keyspace *ks, struct object *o);
void keyspace_change_end(struct keyspace *ks, const struct object *o);

/* The log index that changes from now on belong to; when the key of this hash (or one that shares its place) last changed ([watch]). */
void keyspace_set_index(struct keyspace *ks, uint64_t index);
uint64_t keyspace_modified(const struct keyspace *ks, uint64_t hash);

/* What an object is taken to cost: key, value and a fixed share for each key. */
uint64_t keyspace_object_bytes(const struct object *o);
uint64_t keyspace_count(const struct keyspace *ks);
uint64_t keyspace_slot_count(const struct keyspace *ks, uint16_t slot);
uint64_t keyspace_bytes(const struct keyspace *ks); /* of all objects */
uint64_t keyspace_expiring_count(const struct keyspace *ks);
/* Additive hash over (key, type, value, expiry) of all objects ([checksum]). */
uint64_t keyspace_sum(const struct keyspace *ks);
/* The same from scratch, slot by slot while nothing changes; false once the count is whole. */
struct keyspace_recount {
	uint32_t slot; /* the next to count; 0 begins */
	uint64_t sum;
};
bool keyspace_recount_some(const struct keyspace *ks, struct keyspace_recount *count, uint64_t max);
/* The object that expires first, or NULL. */
struct object *keyspace_first_expiry(const struct keyspace *ks);

/*
 * Calls each() for objects of the slot with hash >= from, by ascending hash, until it has seen max objects and
 * the hash changes. Returns true with the hash to go on from, or false at the slot's end. each() changes nothing.
 */
bool keyspace_walk(const struct keyspace *ks, uint16_t slot, uint64_t from, size_t max,
		   void (*each)(void *arg, const struct object *o), void *arg, uint64_t *ret_next);

/*
 * A snapshot without stopping the world: keyspace_snapshot_next() hands objects out, a few a time, in the order of
 * slot and hash; what is about to change before its turn is handed to early() first, so that together they show the
 * keyspace as it was at the beginning. A keyspace that is cleared meanwhile lives on until the snapshot has ended.
 */
void keyspace_snapshot_begin(struct keyspace *ks, void (*each)(void *arg, const struct object *o), void *arg);
/* Hands out up to max objects; false when that was all. */
bool keyspace_snapshot_next(struct keyspace *ks, size_t max);
/* Once that was all: what was handed out, counted anew, is what the running sum said when it began. Else memory has rotted ([checksum]). */
bool keyspace_snapshot_intact(const struct keyspace *ks);
void keyspace_snapshot_end(struct keyspace *ks);
/* For a snapshot of the keyspace's own state, and for putting it back. */
void keyspace_watch_save(const struct keyspace *ks, struct bytes *out);
bool keyspace_watch_load(struct keyspace *ks, struct cursor *in);

static inline const uint8_t *object_key(const struct object *o)
{
	return o->data;
}

static inline const uint8_t *object_value(const struct object *o)
{
	return o->data + o->key_size;
}

#endif
