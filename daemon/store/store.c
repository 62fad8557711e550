/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/private.h"
#include "store/run.h"

#define EXPIRE_PER_ENTRY 64u /* keys that one entry removes because their time has come */
#define ARGV_INLINE 64u

struct store *store_new(uint64_t hash_seed)
{
	struct store *s = mem_zalloc(sizeof *s);

	s->keys = keyspace_new(hash_seed);
	s->argv_cap = ARGV_INLINE;
	s->argv = mem_alloc(s->argv_cap * sizeof *s->argv);
	return s;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	keyspace_free(s->keys);
	bytes_free(&s->snapshot_state);
	free(s->argv);
	free(s);
}

void store_plant_retry_twice(struct store *s)
{
	s->plant_retry_twice = true;
}

/* ---- what commands share ---- */

struct object *call_find(struct call *call, const struct arg *key)
{
	struct object *o = keyspace_find(call->store->keys, key->data, key->size);

	if (!o || !o->expire_ms || o->expire_ms > call->store->now_ms)
		return o;
	if (call->write)
		keyspace_remove(call->store->keys, o);
	return NULL;
}

bool call_find_string(struct call *call, const struct arg *key, struct object **ret_object)
{
	struct object *o = call_find(call, key);

	if (o && o->type != OBJECT_STRING) {
		reply_error(call->out, ERROR_WRONGTYPE);
		return false;
	}
	*ret_object = o;
	return true;
}

struct keyspace *call_keyspace(const struct call *call)
{
	return call->store->keys;
}

int64_t call_now_ms(const struct call *call)
{
	return call->store->now_ms;
}

bool call_may_reply(struct call *call, uint64_t size)
{
	if (size > call->store->reply_left) {
		reply_error(call->out, "ERR the reply would exceed the maximum allowed size");
		return false;
	}
	call->store->reply_left -= size;
	return true;
}

bool arg_is(const struct arg *a, const char *word)
{
	return strlen(word) == a->size && !strncasecmp((const char *)a->data, word, a->size);
}

bool bytes_int(const uint8_t *data, size_t size, int64_t *ret_value)
{
	const uint8_t *p = data, *end = data + size;
	bool negative = size && *p == '-';
	uint64_t v = 0, limit = negative ? (uint64_t)LLONG_MAX + 1 : LLONG_MAX;

	p += negative;
	if (p == end || (*p == '0' && (negative || end - p > 1)))
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' || v > (limit - (uint64_t)(*p - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	*ret_value = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool arg_int(const struct arg *a, int64_t *ret_value)
{
	return bytes_int(a->data, a->size, ret_value);
}

/* ---- sessions ---- */

/* True if this sequence is the next of its session; it is then taken. */
static bool session_take(struct store *s, uint8_t node, uint64_t incarnation, uint64_t sequence)
{
	struct session *session;

	if (node >= SESSION_NODES)
		return false;
	session = &s->sessions[node];
	if (s->plant_retry_twice) {
		if (incarnation > session->incarnation || sequence > session->sequence)
			*session = (struct session){.incarnation = incarnation, .sequence = sequence};
		return true;
	}
	if (incarnation < session->incarnation)
		return false; /* ended: never reopened */
	if (incarnation > session->incarnation)
		*session = (struct session){.incarnation = incarnation};
	if (sequence != session->sequence + 1)
		return false; /* applied before, or a gap: the ingress sends it again in order */
	session->sequence = sequence;
	return true;
}

uint64_t store_session(const struct store *s, uint8_t node, uint64_t incarnation)
{
	const struct session *session = &s->sessions[node];

	return session->incarnation == incarnation ? session->sequence : 0;
}

/* ---- executing ---- */

static int decode_command(struct store *s, struct cursor *in, struct call *call)
{
	struct cursor start = *in;
	int r = command_decode(in, &call->command, s->argv, s->argv_cap, &call->argc);

	if (r == -E2BIG) {
		uint32_t argc;

		*in = start;
		(void)cursor_u16(in);
		argc = cursor_u32(in);
		if (argc > cursor_left(in) / 4)
			return -EBADMSG; /* the count lies: no room for so many lengths */
		s->argv_cap = argc + 1;
		s->argv = mem_realloc(s->argv, s->argv_cap * sizeof *s->argv);
		*in = start;
		r = command_decode(in, &call->command, s->argv, s->argv_cap, &call->argc);
	}
	call->argv = s->argv;
	return r;
}

static int apply_command(struct store *s, struct cursor *body, struct bytes *out, int resp)
{
	struct call call = {.store = s, .out = out, .resp = resp, .write = true};
	int r = decode_command(s, body, &call);

	if (r < 0)
		return r;
	if (!call.command->run)
		return -EBADMSG;
	call.command->run(&call);
	return 0;
}

static int apply_exec(struct store *s, struct cursor *body, struct bytes *out, int resp)
{
	uint32_t watched = cursor_u32(body), count;
	bool changed = false;

	for (uint32_t i = 0; i < watched && !body->bad; i++) {
		uint64_t hash = cursor_u64(body);

		changed |= store_modified(s, hash) > cursor_u64(body);
	}
	count = cursor_u32(body);
	if (body->bad)
		return -EBADMSG;
	if (changed) {
		reply_null_array(out, resp);
		return 0;
	}
	reply_array(out, count);
	for (uint32_t i = 0; i < count; i++) {
		int r = apply_command(s, body, out, resp);

		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_one(struct store *s, struct cursor *in, const struct store_sink *sink)
{
	uint8_t kind = cursor_u8(in), node = cursor_u8(in);
	uint64_t incarnation, sequence;
	struct bytes *out = NULL;
	uint16_t refusal = cursor_u16(in);
	bool ours;
	int resp = 2, r = 0;

	incarnation = cursor_u64(in);
	sequence = cursor_u64(in);
	if (in->bad)
		return -EBADMSG;
	if (!session_take(s, node, incarnation, sequence))
		return 0;
	s->reply_left = REPLY_VALUES_MAX;
	ours = sink && sink->node == node && sink->incarnation == incarnation;
	if (kind == BUNDLE_EMPTY) {
		if (ours)
			sink->refused(sink->arg, sequence, refusal);
		return 0;
	}
	if (ours)
		out = sink->begin(sink->arg, sequence, &resp);
	if (kind == BUNDLE_COMMAND)
		r = apply_command(s, in, out, resp);
	else if (kind == BUNDLE_EXEC)
		r = apply_exec(s, in, out, resp);
	else
		r = -EBADMSG;
	if (ours)
		sink->done(sink->arg, sequence);
	return r;
}

static void expire_due(struct store *s)
{
	for (unsigned n = 0; n < EXPIRE_PER_ENTRY; n++) {
		struct object *o = keyspace_first_expiry(s->keys);

		if (!o || o->expire_ms > s->now_ms)
			return;
		keyspace_remove(s->keys, o);
	}
}

/* Looks at the keys of the next commands of a bundle; returns where the last of them ends. */
static const uint8_t *look_ahead(const struct store *s, struct cursor in)
{
	struct key_ref keys[KEYS_AHEAD_MAX];
	unsigned count = 0;

	while (count < KEYS_AHEAD_MAX && cursor_left(&in)) {
		uint32_t size = cursor_u32(&in);
		const uint8_t *item = cursor_take(&in, size);
		struct arg key;

		if (!item || size < BUNDLE_HEAD - 4)
			break;
		if (item[0] == BUNDLE_COMMAND && command_first_key(cursor_of(item + BUNDLE_HEAD - 4, size - (BUNDLE_HEAD - 4)), &key))
			keys[count++] = (struct key_ref){.key = key.data, .size = key.size};
	}
	keyspace_look_ahead(s->keys, keys, count);
	return in.at;
}

int store_apply(struct store *s, const struct entry *e, const struct store_sink *sink)
{
	struct cursor in = cursor_of(e->data, e->size);
	int64_t stamp = (int64_t)cursor_u64(&in);
	const uint8_t *seen = in.at; /* the keys of commands before this have been looked at */

	assert(e->index == s->applied + 1);
	s->applied = e->index;
	if (in.bad)
		return -EBADMSG;
	if (stamp > s->now_ms)
		s->now_ms = stamp;
	keyspace_set_index(s->keys, e->index);
	expire_due(s);
	while (e->kind == ENTRY_BUNDLE && cursor_left(&in)) {
		const uint8_t *body;
		struct cursor one;
		uint32_t size;
		int r;

		if (in.at >= seen)
			seen = look_ahead(s, in);
		size = cursor_u32(&in);
		body = cursor_take(&in, size);
		if (!body)
			return -EBADMSG;
		one = cursor_of(body, size);
		r = apply_one(s, &one, sink);
		if (r < 0)
			return r;
	}
	return 0;
}

void store_read(struct store *s, const struct command *command, uint32_t argc, const struct arg *argv, int resp, struct bytes *out)
{
	struct call call = {.store = s, .command = command, .argc = argc, .argv = argv, .out = out, .resp = resp};

	assert(command->run && !(command->flags & COMMAND_WRITE));
	s->reply_left = REPLY_VALUES_MAX;
	command->run(&call);
}

/* ---- facts ---- */

int64_t store_now_ms(const struct store *s)
{
	return s->now_ms;
}

int64_t store_first_expiry_ms(const struct store *s)
{
	const struct object *o = keyspace_first_expiry(s->keys);

	return o ? o->expire_ms : 0;
}

raft_index store_applied(const struct store *s)
{
	return s->applied;
}

raft_index store_modified(const struct store *s, uint64_t hash)
{
	return keyspace_modified(s->keys, hash);
}

uint64_t store_checksum(const struct store *s)
{
	uint64_t sum = keyspace_sum(s->keys) + mix64((uint64_t)s->now_ms);

	for (unsigned node = 0; node < SESSION_NODES; node++)
		sum += mix64(mix64(s->sessions[node].incarnation + node) ^ s->sessions[node].sequence);
	return sum;
}

struct keyspace *store_keyspace(struct store *s)
{
	return s->keys;
}

/* ---- bundles ---- */

void bundle_begin(struct bytes *out, uint64_t stamp_ms)
{
	bytes_put_u64(out, stamp_ms);
}

static void put_head(struct bytes *out, enum bundle_kind kind, enum bundle_refusal why, uint8_t node, uint64_t incarnation, uint64_t sequence,
		     uint32_t body_size)
{
	bytes_put_u32(out, BUNDLE_HEAD - 4 + body_size);
	bytes_put_u8(out, (uint8_t)kind);
	bytes_put_u8(out, node);
	bytes_put_u16(out, (uint16_t)why);
	bytes_put_u64(out, incarnation);
	bytes_put_u64(out, sequence);
}

void bundle_head(struct bytes *out, enum bundle_kind kind, uint8_t node, uint64_t incarnation, uint64_t sequence, uint32_t body_size)
{
	put_head(out, kind, REFUSAL_NONE, node, incarnation, sequence, body_size);
}

void bundle_refuse(struct bytes *out, enum bundle_refusal why, uint8_t node, uint64_t incarnation, uint64_t sequence)
{
	put_head(out, BUNDLE_EMPTY, why, node, incarnation, sequence, 0);
}

uint64_t entry_stamp(const struct entry *e)
{
	return e->size >= STAMP_SIZE && !e->missing ? get_le64(e->data) : 0;
}
