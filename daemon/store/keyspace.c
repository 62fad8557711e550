/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keyspace.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define TABLE_BITS_FIRST 2u
#define MOVE_PER_CHANGE 4u   /* buckets that go to the new table with each insert or removal */
#define WATCH_PLACES 4096u   /* a power of two; a collision aborts an EXEC for nothing, which is safe */
#define FREED_AT_ONCE 1000u  /* keys */
#define OBJECT_COST 64u      /* what a key is taken to cost beside its bytes: the same on every replica */

struct table {
	struct object **buckets;
	unsigned bits;
};

struct slot {
	struct table now, old; /* old.buckets is NULL unless growing */
	uint64_t moved;        /* buckets of old below this have gone */
	uint64_t count;
};

/* What a keyspace held before it was cleared: freeing it all at once would hold the reactor (law 4). */
struct grave {
	struct grave *next;
	uint32_t at; /* slots before this are free */
	struct slot *slots[SLOT_COUNT];
};

struct keyspace {
	uint64_t seed;
	struct grave *graves;
	uint64_t count, bytes, sum;
	struct slot *slots[SLOT_COUNT];
	struct object **expiry; /* binary heap by (expire_ms, hash); from 1 */
	uint32_t expiry_count, expiry_cap;
	uint64_t index;        /* of the entry being applied */
	uint64_t modified[WATCH_PLACES];
	struct {
		bool active;
		uint32_t number;       /* counts snapshots: an object whose `saved` equals it has been handed out */
		uint32_t slot;
		uint64_t hash;         /* the walk's place */
		uint64_t sum, handed;  /* of all objects when it began, and of those handed out */
		struct slot **cleared; /* the slots as they were when the keyspace was cleared; NULL: walk the living ones */
		void (*each)(void *arg, const struct object *o);
		void *arg;
	} snapshot;
};

/* ---- hashes ---- */

static uint16_t crc16_table[256];

/* CRC16-CCITT (XModem), the one that the Redis Cluster specification names. */
__attribute__((constructor)) static void crc16_fill(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint16_t crc = (uint16_t)(i << 8);

		for (int bit = 0; bit < 8; bit++)
			crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
		crc16_table[i] = crc;
	}
}

uint16_t key_slot(const void *key, size_t size)
{
	const uint8_t *p = key, *open = memchr(p, '{', size);
	uint16_t crc = 0;

	if (open) {
		const uint8_t *close = memchr(open + 1, '}', size - (size_t)(open + 1 - p));

		if (close && close > open + 1) {
			p = open + 1;
			size = (size_t)(close - p);
		}
	}
	for (size_t i = 0; i < size; i++)
		crc = (uint16_t)(crc << 8 ^ crc16_table[(crc >> 8 ^ p[i]) & 0xff]);
	return crc % SLOT_COUNT;
}

uint64_t keyspace_hash(const struct keyspace *ks, const void *key, size_t size)
{
	return hash64(key, size, ks->seed);
}

static uint64_t object_sum(const struct object *o)
{
	uint64_t value = hash64(object_value(o), o->value_size, o->type);

	return hash64(o->data, o->key_size, value + (uint64_t)o->expire_ms * 0x9e3779b97f4a7c15u);
}

uint64_t keyspace_object_bytes(const struct object *o)
{
	return OBJECT_COST + o->key_size + o->value_size;
}

/* ---- tables ---- */

static uint64_t bucket_of(const struct table *t, uint64_t hash)
{
	return t->bits ? hash >> (64 - t->bits) : 0;
}

static struct object **bucket_head(const struct slot *s, uint64_t hash)
{
	if (s->old.buckets) {
		uint64_t b = bucket_of(&s->old, hash);

		if (b >= s->moved)
			return &s->old.buckets[b];
	}
	return &s->now.buckets[bucket_of(&s->now, hash)];
}

static int object_order(const struct object *o, uint64_t hash, const void *key, size_t size)
{
	size_t common = o->key_size < size ? o->key_size : size;
	int c;

	if (o->hash != hash)
		return o->hash < hash ? -1 : 1;
	c = memcmp(o->data, key, common);
	if (c)
		return c;
	return o->key_size < size ? -1 : o->key_size > size;
}

/* The link that points at the object, or at the place where it belongs. */
static struct object **find_link(const struct slot *s, uint64_t hash, const void *key, size_t size)
{
	struct object **link = bucket_head(s, hash);

	while (*link && object_order(*link, hash, key, size) < 0)
		link = &(*link)->next;
	return link;
}

void keyspace_look_ahead(const struct keyspace *ks, const struct key_ref *keys, unsigned count)
{
	struct {
		const struct slot *slot;
		struct object **head;
		uint64_t hash;
	} at[KEYS_AHEAD_MAX];

	assert(count <= KEYS_AHEAD_MAX);
	/* A pass for each step of the way, so that no key waits for another one's memory. */
	for (unsigned i = 0; i < count; i++) {
		at[i].slot = ks->slots[key_slot(keys[i].key, keys[i].size)];
		at[i].hash = keyspace_hash(ks, keys[i].key, keys[i].size);
		if (at[i].slot)
			__builtin_prefetch(at[i].slot);
	}
	for (unsigned i = 0; i < count; i++) {
		if (!at[i].slot)
			continue;
		at[i].head = bucket_head(at[i].slot, at[i].hash);
		__builtin_prefetch(at[i].head);
		if (at[i].slot->old.buckets) /* move_some() goes on there */
			__builtin_prefetch(&at[i].slot->old.buckets[at[i].slot->moved]);
	}
	for (unsigned i = 0; i < count; i++)
		if (at[i].slot)
			__builtin_prefetch(*at[i].head);
	for (unsigned i = 0; i < count; i++)
		if (at[i].slot && *at[i].head && (*at[i].head)->hash < at[i].hash)
			__builtin_prefetch((*at[i].head)->next);
}

static void insert_object(const struct slot *s, struct object *o)
{
	struct object **link = find_link(s, o->hash, o->data, o->key_size);

	o->next = *link;
	*link = o;
}

static void move_some(struct slot *s)
{
	for (unsigned n = 0; s->old.buckets && n < MOVE_PER_CHANGE && s->moved + n < (uint64_t)1 << s->old.bits; n++)
		__builtin_prefetch(s->old.buckets[s->moved + n]);
	for (unsigned n = 0; s->old.buckets && n < MOVE_PER_CHANGE; n++) {
		struct object *o = s->old.buckets[s->moved];

		s->old.buckets[s->moved++] = NULL;
		while (o) {
			struct object *next = o->next;

			insert_object(s, o);
			o = next;
		}
		if (s->moved == (uint64_t)1 << s->old.bits) {
			free(s->old.buckets);
			s->old = (struct table){0};
		}
	}
}

static struct table table_new(unsigned bits)
{
	return (struct table){.buckets = mem_zalloc(sizeof(struct object *) << bits), .bits = bits};
}

static struct slot *slot_get(struct keyspace *ks, uint16_t slot)
{
	if (!ks->slots[slot]) {
		ks->slots[slot] = mem_zalloc(sizeof(struct slot));
		ks->slots[slot]->now = table_new(TABLE_BITS_FIRST);
	}
	return ks->slots[slot];
}

static void slot_free(struct slot *s)
{
	if (!s)
		return;
	free(s->now.buckets);
	free(s->old.buckets);
	free(s);
}

static void slot_grow(struct slot *s)
{
	if (s->old.buckets || s->count <= (uint64_t)1 << s->now.bits)
		return;
	s->old = s->now;
	s->now = table_new(s->old.bits + 1);
	s->moved = 0;
}

/* ---- the expiry heap ---- */

static bool expires_before(const struct object *a, const struct object *b)
{
	return a->expire_ms != b->expire_ms ? a->expire_ms < b->expire_ms : a->hash < b->hash;
}

static void expiry_place(struct keyspace *ks, uint32_t at, struct object *o)
{
	ks->expiry[at] = o;
	o->expiry_slot = at;
}

static void expiry_up(struct keyspace *ks, uint32_t at)
{
	struct object *o = ks->expiry[at];

	for (; at > 1 && expires_before(o, ks->expiry[at / 2]); at /= 2)
		expiry_place(ks, at, ks->expiry[at / 2]);
	expiry_place(ks, at, o);
}

static void expiry_down(struct keyspace *ks, uint32_t at)
{
	struct object *o = ks->expiry[at];

	while (at * 2 <= ks->expiry_count) {
		uint32_t child = at * 2;

		if (child < ks->expiry_count && expires_before(ks->expiry[child + 1], ks->expiry[child]))
			child++;
		if (!expires_before(ks->expiry[child], o))
			break;
		expiry_place(ks, at, ks->expiry[child]);
		at = child;
	}
	expiry_place(ks, at, o);
}

static void expiry_remove(struct keyspace *ks, struct object *o)
{
	uint32_t at = o->expiry_slot;
	struct object *last;

	if (!at)
		return;
	last = ks->expiry[ks->expiry_count--];
	o->expiry_slot = 0;
	if (last == o)
		return;
	expiry_place(ks, at, last);
	expiry_up(ks, at);
	expiry_down(ks, last->expiry_slot);
}

static void expiry_add(struct keyspace *ks, struct object *o)
{
	if (ks->expiry_count + 2 > ks->expiry_cap) {
		ks->expiry_cap = ks->expiry_cap ? ks->expiry_cap * 2 : 16;
		ks->expiry = mem_realloc(ks->expiry, ks->expiry_cap * sizeof *ks->expiry);
	}
	expiry_place(ks, ++ks->expiry_count, o);
	expiry_up(ks, ks->expiry_count);
}

struct object *keyspace_first_expiry(const struct keyspace *ks)
{
	return ks->expiry_count ? ks->expiry[1] : NULL;
}

/* ---- objects ---- */

void keyspace_set_index(struct keyspace *ks, uint64_t index)
{
	ks->index = index;
}

uint64_t keyspace_modified(const struct keyspace *ks, uint64_t hash)
{
	return ks->modified[hash & (WATCH_PLACES - 1)];
}

/* Each object is handed out once, and not at all if it came after the beginning. */
static void snapshot_take(struct keyspace *ks, struct object *o)
{
	if (o->saved == ks->snapshot.number)
		return;
	o->saved = ks->snapshot.number;
	ks->snapshot.handed += object_sum(o);
	ks->snapshot.each(ks->snapshot.arg, o);
}

void keyspace_change_begin(struct keyspace *ks, struct object *o)
{
	if (ks->snapshot.active)
		snapshot_take(ks, o);
	ks->modified[o->hash & (WATCH_PLACES - 1)] = ks->index;
	ks->sum -= object_sum(o);
	ks->bytes -= keyspace_object_bytes(o);
}

void keyspace_change_end(struct keyspace *ks, const struct object *o)
{
	ks->sum += object_sum(o);
	ks->bytes += keyspace_object_bytes(o);
}

struct object *keyspace_find(const struct keyspace *ks, const void *key, size_t size)
{
	const struct slot *s = ks->slots[key_slot(key, size)];
	uint64_t hash;
	struct object *o;

	if (!s)
		return NULL;
	hash = keyspace_hash(ks, key, size);
	o = *find_link(s, hash, key, size);
	return o && object_order(o, hash, key, size) == 0 ? o : NULL;
}

static size_t value_cap_for(size_t size)
{
	return size < 64 ? size : size + size / 8; /* large values that grow do so in steps */
}

/* Sets the capacity; the object may move, and its link and heap place follow. */
static struct object *object_recap(struct keyspace *ks, struct object *o, size_t cap)
{
	struct slot *s = ks->slots[o->slot];
	struct object **link = find_link(s, o->hash, o->data, o->key_size);

	assert(*link == o);
	o = mem_realloc(o, sizeof *o + o->key_size + cap);
	o->value_cap = (uint32_t)cap;
	*link = o;
	if (o->expiry_slot)
		ks->expiry[o->expiry_slot] = o;
	return o;
}

static struct object *object_add(struct keyspace *ks, uint16_t slot, uint64_t hash, const void *key, size_t key_size, size_t value_size)
{
	struct slot *s = slot_get(ks, slot);
	struct object *o = mem_alloc(sizeof *o + key_size + value_size);

	*o = (struct object){
		.hash = hash,
		.key_size = (uint32_t)key_size,
		.value_size = (uint32_t)value_size,
		.value_cap = (uint32_t)value_size,
		.slot = slot,
		.saved = ks->snapshot.number,
		.type = OBJECT_STRING,
	};
	memcpy(o->data, key, key_size);
	insert_object(s, o);
	s->count++;
	ks->count++;
	ks->modified[hash & (WATCH_PLACES - 1)] = ks->index;
	move_some(s);
	slot_grow(s);
	return o;
}

struct object *keyspace_set_string(struct keyspace *ks, const void *key, size_t key_size, const void *value, size_t size, bool keep_expiry)
{
	uint16_t slot = key_slot(key, key_size);
	uint64_t hash = keyspace_hash(ks, key, key_size);
	struct slot *s = ks->slots[slot];
	struct object *o = s ? *find_link(s, hash, key, key_size) : NULL;

	if (o && object_order(o, hash, key, key_size) == 0) {
		keyspace_change_begin(ks, o);
		if (size > o->value_cap || size < o->value_cap / 4)
			o = object_recap(ks, o, size);
		if (!keep_expiry) {
			expiry_remove(ks, o);
			o->expire_ms = 0;
		}
		o->type = OBJECT_STRING;
		o->value_size = (uint32_t)size;
	} else {
		o = object_add(ks, slot, hash, key, key_size, size);
	}
	if (size)
		memmove(o->data + o->key_size, value, size);
	keyspace_change_end(ks, o);
	return o;
}

struct object *keyspace_resize_string(struct keyspace *ks, struct object *o, size_t size)
{
	keyspace_change_begin(ks, o);
	if (size > o->value_cap)
		o = object_recap(ks, o, value_cap_for(size));
	if (size > o->value_size)
		memset(o->data + o->key_size + o->value_size, 0, size - o->value_size);
	o->value_size = (uint32_t)size;
	keyspace_change_end(ks, o);
	return o;
}

void keyspace_remove(struct keyspace *ks, struct object *o)
{
	struct slot *s = ks->slots[o->slot];
	struct object **link = find_link(s, o->hash, o->data, o->key_size);

	assert(*link == o);
	*link = o->next;
	keyspace_change_begin(ks, o);
	expiry_remove(ks, o);
	ks->count--;
	s->count--;
	move_some(s);
	if (s->count == 0) { /* an empty slot gives its memory back */
		ks->slots[o->slot] = NULL;
		slot_free(s);
	}
	free(o);
}

void keyspace_set_expiry(struct keyspace *ks, struct object *o, int64_t expire_ms)
{
	keyspace_change_begin(ks, o);
	expiry_remove(ks, o);
	o->expire_ms = expire_ms;
	if (expire_ms)
		expiry_add(ks, o);
	keyspace_change_end(ks, o);
}

static void free_chain(struct object *o)
{
	while (o) {
		struct object *next = o->next;

		free(o);
		o = next;
	}
}

/* Returns how many objects that were, and the slot itself. */
static uint64_t slot_clear(struct slot **place)
{
	struct slot *s = *place;
	uint64_t count;

	if (!s)
		return 0;
	for (uint64_t b = 0; b < (uint64_t)1 << s->now.bits; b++)
		free_chain(s->now.buckets[b]);
	for (uint64_t b = s->moved; s->old.buckets && b < (uint64_t)1 << s->old.bits; b++)
		free_chain(s->old.buckets[b]);
	count = s->count;
	slot_free(s);
	*place = NULL;
	return count;
}

static void slots_free(struct slot **slots)
{
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		(void)slot_clear(&slots[i]);
}

/* Takes over the slots, which nobody looks into any more, to be freed bit by bit. */
static void bury(struct keyspace *ks, struct slot **slots)
{
	struct grave *g = mem_zalloc(sizeof *g);

	memcpy(g->slots, slots, sizeof g->slots);
	g->next = ks->graves;
	ks->graves = g;
}

bool keyspace_reclaim(struct keyspace *ks, uint64_t max)
{
	for (uint64_t done = 0; ks->graves && done < max;) {
		struct grave *g = ks->graves;

		done += slot_clear(&g->slots[g->at++]) + 1;
		if (g->at == SLOT_COUNT) {
			ks->graves = g->next;
			free(g);
		}
	}
	return ks->graves != NULL;
}

static void mark_modified(void *arg, const struct object *o)
{
	struct keyspace *ks = arg;

	ks->modified[o->hash & (WATCH_PLACES - 1)] = ks->index;
}

static bool all_modified(const struct keyspace *ks)
{
	for (unsigned i = 0; i < WATCH_PLACES; i++)
		if (ks->modified[i] != ks->index)
			return false;
	return true;
}

/* Every key changes. What is many fills the table soon, and then there is nothing left to say. */
static void mark_all_modified(struct keyspace *ks)
{
	uint64_t next;

	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		(void)keyspace_walk(ks, (uint16_t)slot, 0, SIZE_MAX, mark_modified, ks, &next);
		if (slot % 256 == 0 && all_modified(ks))
			return;
	}
}

void keyspace_clear(struct keyspace *ks)
{
	mark_all_modified(ks);
	if (ks->snapshot.active && !ks->snapshot.cleared) {
		ks->snapshot.cleared = mem_alloc(sizeof ks->slots);
		memcpy(ks->snapshot.cleared, ks->slots, sizeof ks->slots);
		memset(ks->slots, 0, sizeof ks->slots);
	} else if (ks->count > FREED_AT_ONCE) { /* what came after an earlier clearing isn't the snapshot's */
		bury(ks, ks->slots);
		memset(ks->slots, 0, sizeof ks->slots);
	} else {
		slots_free(ks->slots);
	}
	ks->count = ks->bytes = ks->sum = 0;
	ks->expiry_count = 0;
}

/* ---- the whole ---- */

struct keyspace *keyspace_new(uint64_t hash_seed)
{
	struct keyspace *ks = mem_zalloc(sizeof *ks);

	ks->seed = hash_seed;
	return ks;
}

void keyspace_free(struct keyspace *ks)
{
	if (!ks)
		return;
	keyspace_snapshot_end(ks);
	(void)keyspace_reclaim(ks, UINT64_MAX);
	slots_free(ks->slots);
	free(ks->expiry);
	free(ks);
}

uint64_t keyspace_count(const struct keyspace *ks)
{
	return ks->count;
}

uint64_t keyspace_slot_count(const struct keyspace *ks, uint16_t slot)
{
	return ks->slots[slot] ? ks->slots[slot]->count : 0;
}

uint64_t keyspace_bytes(const struct keyspace *ks)
{
	return ks->bytes;
}

uint64_t keyspace_expiring_count(const struct keyspace *ks)
{
	return ks->expiry_count;
}

uint64_t keyspace_sum(const struct keyspace *ks)
{
	return ks->sum;
}

static void recount_one(void *arg, const struct object *o)
{
	*(uint64_t *)arg += object_sum(o);
}

bool keyspace_recount_some(const struct keyspace *ks, struct keyspace_recount *count, uint64_t max)
{
	uint64_t seen = 0, next;

	for (; count->slot < SLOT_COUNT && seen < max; count->slot++) {
		(void)keyspace_walk(ks, (uint16_t)count->slot, 0, SIZE_MAX, recount_one, &count->sum, &next);
		seen += keyspace_slot_count(ks, (uint16_t)count->slot) + 1;
	}
	return count->slot < SLOT_COUNT;
}

static bool slot_walk(const struct slot *s, uint64_t from, size_t max, void (*each)(void *arg, struct object *o), void *arg,
		      uint64_t *ret_next)
{
	uint64_t at = from, seen = 0, last = 0;

	if (!s || !s->count)
		return false;
	for (;;) {
		/* The bucket that holds `at`, and the first hash behind it. */
		const struct table *t = s->old.buckets && bucket_of(&s->old, at) >= s->moved ? &s->old : &s->now;
		uint64_t b = bucket_of(t, at);

		for (struct object *o = t->buckets[b]; o; o = o->next) {
			if (o->hash < from)
				continue;
			if (seen >= max && o->hash != last) {
				*ret_next = o->hash;
				return true;
			}
			each(arg, o);
			last = o->hash;
			seen++;
		}
		if (b + 1 == (uint64_t)1 << t->bits)
			return false;
		at = (b + 1) << (64 - t->bits);
	}
}

struct const_each {
	void (*each)(void *arg, const struct object *o);
	void *arg;
};

static void walk_one(void *arg, struct object *o)
{
	const struct const_each *c = arg;

	c->each(c->arg, o);
}

bool keyspace_walk(const struct keyspace *ks, uint16_t slot, uint64_t from, size_t max,
		   void (*each)(void *arg, const struct object *o), void *arg, uint64_t *ret_next)
{
	struct const_each c = {.each = each, .arg = arg};

	return slot_walk(ks->slots[slot], from, max, walk_one, &c, ret_next);
}

/* ---- snapshots ---- */

void keyspace_snapshot_begin(struct keyspace *ks, void (*each)(void *arg, const struct object *o), void *arg)
{
	assert(!ks->snapshot.active);
	ks->snapshot.active = true;
	ks->snapshot.number++;
	ks->snapshot.slot = 0;
	ks->snapshot.hash = 0;
	ks->snapshot.sum = ks->sum;
	ks->snapshot.handed = 0;
	ks->snapshot.each = each;
	ks->snapshot.arg = arg;
}

static void snapshot_one(void *arg, struct object *o)
{
	snapshot_take(arg, o);
}

bool keyspace_snapshot_next(struct keyspace *ks, size_t max)
{
	struct slot **slots = ks->snapshot.cleared ? ks->snapshot.cleared : ks->slots;

	assert(ks->snapshot.active);
	for (size_t n = 0; ks->snapshot.slot < SLOT_COUNT; ks->snapshot.slot++, ks->snapshot.hash = 0) {
		const struct slot *s = slots[ks->snapshot.slot];

		if (n >= max)
			return true;
		n += s ? (size_t)min_u64(s->count, max) : 0;
		if (slot_walk(s, ks->snapshot.hash, max, snapshot_one, ks, &ks->snapshot.hash))
			return true;
	}
	return false;
}

bool keyspace_snapshot_intact(const struct keyspace *ks)
{
	assert(ks->snapshot.active && ks->snapshot.slot == SLOT_COUNT);
	return ks->snapshot.handed == ks->snapshot.sum;
}

void keyspace_snapshot_end(struct keyspace *ks)
{
	ks->snapshot.active = false;
	if (!ks->snapshot.cleared)
		return;
	bury(ks, ks->snapshot.cleared);
	free(ks->snapshot.cleared);
	ks->snapshot.cleared = NULL;
}

void keyspace_watch_save(const struct keyspace *ks, struct bytes *out)
{
	bytes_put_u64(out, ks->index);
	bytes_put(out, ks->modified, sizeof ks->modified);
}

bool keyspace_watch_load(struct keyspace *ks, struct cursor *in)
{
	const uint8_t *table;

	ks->index = cursor_u64(in);
	table = cursor_take(in, sizeof ks->modified);
	if (!table)
		return false;
	memcpy(ks->modified, table, sizeof ks->modified);
	return true;
}
