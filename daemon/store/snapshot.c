/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of a store's snapshot: items, each a kind (1) and what follows it.
 *
 *   STRING  expiry (8), key size (4), value size (4), key, value
 *   STATE   applied index (8), time (8), for each node: incarnation (8), sequence (8); the table of WATCH.
 *           The last item: putting keys back changes the table.
 */
#include <assert.h>

#include "base/mem.h"
#include "store/private.h"

enum item_kind { ITEM_STATE = 1, ITEM_STRING = 2 };

#define OBJECTS_A_STEP 64u
#define SMALL_OBJECT 64u /* bytes: a step doesn't go far beyond what is wanted */

static void save_object(void *arg, const struct object *o)
{
	struct bytes *out = arg;

	assert(o->type == OBJECT_STRING);
	bytes_put_u8(out, ITEM_STRING);
	bytes_put_u64(out, (uint64_t)o->expire_ms);
	bytes_put_u32(out, o->key_size);
	bytes_put_u32(out, o->value_size);
	bytes_put(out, o->data, (size_t)o->key_size + o->value_size);
}

void store_snapshot_begin(struct store *s, struct bytes *out)
{
	struct bytes *state = &s->snapshot_state;

	s->snapshot_out = out;
	state->size = 0;
	bytes_put_u8(state, ITEM_STATE);
	bytes_put_u64(state, s->applied);
	bytes_put_u64(state, (uint64_t)s->now_ms);
	for (unsigned i = 0; i < SESSION_NODES; i++) {
		bytes_put_u64(state, s->sessions[i].incarnation);
		bytes_put_u64(state, s->sessions[i].sequence);
	}
	keyspace_watch_save(s->keys, state);
	keyspace_snapshot_begin(s->keys, save_object, out);
}

bool store_snapshot_next(struct store *s, size_t want)
{
	uint32_t step = (uint32_t)min_u64(want / SMALL_OBJECT + 1, OBJECTS_A_STEP);

	while (s->snapshot_out->size < want)
		if (!keyspace_snapshot_next(s->keys, step)) {
			bytes_put(s->snapshot_out, s->snapshot_state.data, s->snapshot_state.size);
			return false;
		}
	return true;
}

bool store_snapshot_intact(const struct store *s)
{
	return keyspace_snapshot_intact(s->keys);
}

void store_snapshot_end(struct store *s)
{
	keyspace_snapshot_end(s->keys);
	bytes_free(&s->snapshot_state);
	s->snapshot_out = NULL;
}

static bool restore_state(struct store *s, struct cursor *in)
{
	s->applied = cursor_u64(in);
	s->now_ms = (int64_t)cursor_u64(in);
	for (unsigned i = 0; i < SESSION_NODES; i++) {
		s->sessions[i].incarnation = cursor_u64(in);
		s->sessions[i].sequence = cursor_u64(in);
	}
	return keyspace_watch_load(s->keys, in);
}

static bool restore_string(struct store *s, struct cursor *in)
{
	int64_t expire_ms = (int64_t)cursor_u64(in);
	uint32_t key_size = cursor_u32(in), value_size = cursor_u32(in);
	const uint8_t *key = cursor_take(in, key_size), *value = cursor_take(in, value_size);
	struct object *o;

	if (!key || !value)
		return false;
	o = keyspace_set_string(s->keys, key, key_size, value, value_size, false);
	if (expire_ms)
		keyspace_set_expiry(s->keys, o, expire_ms);
	return true;
}

bool store_restore(struct store *s, const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);

	while (cursor_left(&in)) {
		uint8_t kind = cursor_u8(&in);

		if (!(kind == ITEM_STRING && restore_string(s, &in)) && !(kind == ITEM_STATE && restore_state(s, &in)))
			return false;
	}
	return true;
}
