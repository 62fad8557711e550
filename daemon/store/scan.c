/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking the keys of a group: SCAN, KEYS, RANDOMKEY, and the keys of one slot.
 *
 * A SCAN cursor is a place, not a state: slot << 50 | the top 50 bits of a hash. Keys that share those bits are
 * returned together, so a cursor never stands between them. It means the same on every replica and after every
 * restart ([layout]). Going on from a cursor, a walk leaves out no key that was there all the time. The group says
 * cursor 0 at its own end; the node turns that into the next group's first slot (client/groups.c).
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/run.h"

#define HASH_SHIFT (64 - SCAN_HASH_BITS)
#define COUNT_MAX 10000u       /* COUNT is a hint; a turn's work is bounded */
#define KEYS_MAX 1000000u      /* what KEYS looks through */
#define PATTERN_MAX 4096u
#define MATCH_STEPS_MAX (4u << 20)

static_assert(SLOT_COUNT == 1u << HASH_SHIFT, "slot and hash fill the cursor");

/* ---- patterns ---- */

/* One element of the pattern against one byte; *ret_next is behind the element. */
static bool element_matches(const uint8_t *p, const uint8_t *end, uint8_t c, const uint8_t **ret_next)
{
	bool not, match = false;

	if (*p == '\\' && end - p >= 2)
		p++;
	else if (*p == '?') {
		*ret_next = p + 1;
		return true;
	} else if (*p == '[') {
		p++;
		not = p < end && *p == '^';
		p += not;
		for (; p < end && *p != ']'; p++) {
			if (*p == '\\' && end - p >= 2) {
				match |= *++p == c;
			} else if (end - p >= 3 && p[1] == '-') {
				uint8_t low = p[0] < p[2] ? p[0] : p[2], high = p[0] < p[2] ? p[2] : p[0];

				match |= c >= low && c <= high;
				p += 2;
			} else {
				match |= *p == c;
			}
		}
		*ret_next = p < end ? p + 1 : end; /* an unclosed class ends with the pattern */
		return match != not;
	}
	*ret_next = p + 1;
	return *p == c;
}

bool glob_match(const uint8_t *pattern, size_t pattern_size, const uint8_t *text, size_t text_size)
{
	const uint8_t *p = pattern, *pattern_end = pattern + pattern_size;
	const uint8_t *t = text, *text_end = text + text_size;
	const uint8_t *star = NULL, *star_text = NULL; /* only the last * is ever taken back: earlier ones can't do better */

	for (uint32_t steps = 0; steps < MATCH_STEPS_MAX; steps++) {
		const uint8_t *next;

		if (p < pattern_end && *p == '*') {
			star = ++p;
			star_text = t;
			if (p == pattern_end)
				return true;
		} else if (t == text_end) {
			return p == pattern_end;
		} else if (p < pattern_end && element_matches(p, pattern_end, *t, &next)) {
			p = next;
			t++;
		} else if (star) {
			p = star;
			t = ++star_text;
		} else {
			return false;
		}
	}
	return false; /* a pattern made to cost: it isn't worth more */
}

/* ---- SCAN and KEYS ---- */

struct scan {
	struct call *call;
	struct scan_arguments wanted;
	struct bytes found;
	uint64_t found_count, seen, last;
};

static bool alive(const struct call *call, const struct object *o)
{
	return !o->expire_ms || o->expire_ms > call_now_ms(call);
}

static void scan_one(void *arg, const struct object *o)
{
	struct scan *s = arg;

	s->seen++;
	s->last = o->hash;
	if (s->wanted.none || !alive(s->call, o))
		return;
	if (s->wanted.pattern && !glob_match(s->wanted.pattern->data, s->wanted.pattern->size, object_key(o), o->key_size))
		return;
	reply_bulk(&s->found, object_key(o), o->key_size);
	s->found_count++;
}

static void reply_found(const struct scan *s)
{
	reply_array(s->call->out, s->found_count);
	if (s->call->out)
		bytes_put(s->call->out, s->found.data, s->found.size);
}

/* From a cursor on until count keys were seen; returns the next cursor, 0 at the end. */
static uint64_t scan_from(struct scan *s, uint64_t cursor, uint64_t count)
{
	const struct keyspace *ks = call_keyspace(s->call);
	uint64_t from = cursor << HASH_SHIFT, next;

	for (uint32_t slot = (uint32_t)(cursor >> SCAN_HASH_BITS); slot < SLOT_COUNT; slot++, from = 0) {
		bool more;

		if (!keyspace_slot_count(ks, (uint16_t)slot))
			continue;
		if (s->seen >= count || s->found.size > REPLY_VALUES_MAX / 2)
			return (uint64_t)slot << SCAN_HASH_BITS;
		more = keyspace_walk(ks, (uint16_t)slot, from, count - s->seen, scan_one, s, &next);
		while (more && next >> HASH_SHIFT == s->last >> HASH_SHIFT)
			more = keyspace_walk(ks, (uint16_t)slot, next, 1, scan_one, s, &next);
		if (more)
			return (uint64_t)slot << SCAN_HASH_BITS | next >> HASH_SHIFT;
	}
	return 0;
}

/* As C reads an unsigned long, which is what Redis does: behind a sign, up to a zero byte, and 0 out of nothing. */
static bool read_cursor(const struct arg *a, uint64_t *ret)
{
	uint32_t size = (uint32_t)strnlen((const char *)a->data, a->size);
	uint32_t sign = size && (a->data[0] == '-' || a->data[0] == '+');
	uint64_t v = 0;

	if (sign && size == 1)
		return false;
	for (uint32_t i = sign; i < size; i++)
		if (a->data[i] < '0' || a->data[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, a->data[i] - '0', &v))
			return false;
	*ret = sign && a->data[0] == '-' ? 0 - v : v;
	return true;
}

static bool pattern_ok(struct call *call, const struct arg *pattern)
{
	if (pattern->size <= PATTERN_MAX)
		return true;
	reply_error(call->out, "ERR the pattern is too long");
	return false;
}

bool scan_arguments(struct call *call, struct scan_arguments *ret)
{
	*ret = (struct scan_arguments){.count = 10};
	if (!read_cursor(&call->argv[1], &ret->cursor)) {
		reply_error(call->out, "ERR invalid cursor");
		return false;
	}
	for (uint32_t i = 2; i < call->argc; i += 2) {
		const struct arg *name = &call->argv[i], *value = name + 1;

		if (i + 1 == call->argc)
			goto syntax;
		if (arg_is(name, "COUNT")) {
			if (!arg_int(value, &ret->count)) {
				reply_error(call->out, ERROR_NOT_INT);
				return false;
			}
			if (ret->count < 1)
				goto syntax;
		} else if (arg_is(name, "MATCH")) {
			if (!pattern_ok(call, value))
				return false;
			ret->pattern = value->size == 1 && value->data[0] == '*' ? NULL : value;
		} else if (arg_is(name, "TYPE")) {
			ret->none = !arg_is(value, "string");
		} else {
			goto syntax;
		}
	}
	return true;
syntax:
	reply_error(call->out, ERROR_SYNTAX);
	return false;
}

void run_scan(struct call *call)
{
	struct scan s = {.call = call};
	uint64_t cursor;
	char text[24];

	if (!scan_arguments(call, &s.wanted))
		return;
	cursor = scan_from(&s, s.wanted.cursor, min_u64((uint64_t)s.wanted.count, COUNT_MAX));
	if (call_may_reply(call, s.found.size)) {
		(void)snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
		reply_array(call->out, 2);
		reply_bulks(call->out, text);
		reply_found(&s);
	}
	bytes_free(&s.found);
}

void run_keys(struct call *call)
{
	struct scan s = {.call = call, .wanted.pattern = &call->argv[1]};
	uint64_t cursor = 0;

	if (!pattern_ok(call, s.wanted.pattern))
		return;
	if (keyspace_count(call_keyspace(call)) > KEYS_MAX) {
		reply_error(call->out, "ERR too many keys for KEYS; use SCAN");
		return;
	}
	do {
		s.seen = 0;
		cursor = scan_from(&s, cursor, COUNT_MAX);
	} while (cursor && s.found.size <= REPLY_VALUES_MAX / 2);
	if (call_may_reply(call, s.found.size + (cursor ? REPLY_VALUES_MAX : 0)))
		reply_found(&s);
	bytes_free(&s.found);
}

/* ---- one slot ---- */

bool slot_arguments(struct call *call, uint16_t *ret_slot, int64_t *ret_max)
{
	int64_t slot, max = 0;

	if (!arg_int(&call->argv[2], &slot) || (call->argc > 3 && !arg_int(&call->argv[3], &max))) {
		reply_error(call->out, ERROR_NOT_INT);
		return false;
	}
	if (slot < 0 || slot >= SLOT_COUNT || max < 0) {
		reply_error(call->out, call->argc > 3 ? "ERR Invalid slot or number of keys" : "ERR Invalid slot");
		return false;
	}
	*ret_slot = (uint16_t)slot;
	*ret_max = max;
	return true;
}

void run_countkeysinslot(struct call *call)
{
	uint16_t slot;
	int64_t unused;

	if (slot_arguments(call, &slot, &unused))
		reply_int(call->out, (int64_t)keyspace_slot_count(call_keyspace(call), slot));
}

void run_getkeysinslot(struct call *call)
{
	struct scan s = {.call = call};
	uint64_t from = 0;
	uint16_t slot;
	int64_t max;

	if (!slot_arguments(call, &slot, &max))
		return;
	while (s.found_count < (uint64_t)max && s.found.size <= REPLY_VALUES_MAX / 2 &&
	       keyspace_walk(call_keyspace(call), slot, from, 1, scan_one, &s, &from))
		;
	reply_found(&s);
	bytes_free(&s.found);
}

/* ---- RANDOMKEY: the next living key at or after a drawn place, then from the beginning ---- */

struct pick {
	const struct call *call;
	const struct object *found;
};

static void pick_one(void *arg, const struct object *o)
{
	struct pick *p = arg;

	if (!p->found && alive(p->call, o))
		p->found = o;
}

static void pick_in_slot(struct pick *p, uint16_t slot, uint64_t from)
{
	while (!p->found && keyspace_walk(call_keyspace(p->call), slot, from, 1, pick_one, p, &from))
		;
}

void run_randomkey(struct call *call)
{
	struct pick p = {.call = call};
	uint16_t slot = 0;
	uint64_t hash = 0;

	if (call->argc > 1 && call->argv[1].size == 10) {
		slot = get_le16(call->argv[1].data) % SLOT_COUNT;
		hash = get_le64(call->argv[1].data + 2);
	}
	pick_in_slot(&p, slot, hash);
	for (uint32_t i = 1; i <= SLOT_COUNT && !p.found; i++)
		pick_in_slot(&p, (uint16_t)((slot + i) % SLOT_COUNT), 0);
	if (p.found)
		reply_bulk(call->out, object_key(p.found), p.found->key_size);
	else
		reply_null(call->out, call->resp);
}
