/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "store/run.h"

static void reply_value(struct call *call, const struct object *o)
{
	if (o)
		reply_bulk(call->out, object_value(o), o->value_size);
	else
		reply_null(call->out, call->resp);
}

void run_get(struct call *call)
{
	struct object *o;

	if (call_find_string(call, &call->argv[1], &o) && (!o || call_may_reply(call, o->value_size)))
		reply_value(call, o);
}

/* ---- SET and its options ---- */

struct set_options {
	bool only_new, only_old, get, keep_expiry, persist;
	const struct arg *unit, *value; /* of the expiry; NULL: none */
};

static bool same_unit(const struct arg *a, const struct arg *b)
{
	return a->size == b->size && !strncasecmp((const char *)a->data, (const char *)b->data, a->size);
}

/*
 * Options that may not stand together are a syntax error; whether the time is valid is asked later, as in Redis. An
 * option may stand twice: of two times in the same unit the last counts.
 */
static bool string_options(struct call *call, uint32_t first, bool set, struct set_options *ret)
{
	*ret = (struct set_options){0};
	for (uint32_t i = first; i < call->argc; i++) {
		const struct arg *a = &call->argv[i];
		bool may_expire = !ret->keep_expiry && !ret->persist && (!ret->unit || same_unit(a, ret->unit));

		if (set && arg_is(a, "NX") && !ret->only_old) {
			ret->only_new = true;
		} else if (set && arg_is(a, "XX") && !ret->only_new) {
			ret->only_old = true;
		} else if (set && arg_is(a, "GET")) {
			ret->get = true;
		} else if (set && arg_is(a, "KEEPTTL") && !ret->unit) {
			ret->keep_expiry = true;
		} else if (!set && arg_is(a, "PERSIST") && !ret->unit) {
			ret->persist = true;
		} else if (expiry_unit(a) && may_expire && i + 1 < call->argc) {
			ret->unit = a;
			ret->value = &call->argv[++i];
		} else {
			reply_error(call->out, ERROR_SYNTAX);
			return false;
		}
	}
	return true;
}

static void set_value(struct call *call, const struct arg *key, const struct arg *value)
{
	(void)keyspace_set_string(call_keyspace(call), key->data, key->size, value->data, value->size, false);
}

void run_set(struct call *call)
{
	const struct arg *key = &call->argv[1], *value = &call->argv[2];
	struct set_options o;
	struct object *old;
	int64_t expire_ms = 0;

	if (!string_options(call, 3, true, &o))
		return;
	if (o.unit && !expiry_time(call, o.unit, o.value, &expire_ms))
		return;
	if (o.get) {
		if (!call_find_string(call, key, &old) || (old && !call_may_reply(call, old->value_size)))
			return;
		reply_value(call, old);
	} else {
		old = o.only_new || o.only_old || o.keep_expiry ? call_find(call, key) : NULL;
	}
	if ((o.only_new && old) || (o.only_old && !old)) {
		if (!o.get)
			reply_null(call->out, call->resp);
		return;
	}
	old = keyspace_set_string(call_keyspace(call), key->data, key->size, value->data, value->size, o.keep_expiry);
	if (o.unit && expire_ms <= call_now_ms(call))
		keyspace_remove(call_keyspace(call), old); /* it was never to be seen: it mustn't go later, under a WATCH */
	else if (o.unit)
		keyspace_set_expiry(call_keyspace(call), old, expire_ms);
	if (!o.get)
		reply_status(call->out, "OK");
}

void run_setnx(struct call *call)
{
	bool there = call_find(call, &call->argv[1]);

	if (!there)
		set_value(call, &call->argv[1], &call->argv[2]);
	reply_int(call->out, !there);
}

static void set_with_expiry(struct call *call, const char *unit)
{
	const struct arg *key = &call->argv[1], *value = &call->argv[3];
	const struct arg u = {.data = (const uint8_t *)unit, .size = 2};
	struct object *o;
	int64_t expire_ms;

	if (!expiry_time(call, &u, &call->argv[2], &expire_ms))
		return;
	o = keyspace_set_string(call_keyspace(call), key->data, key->size, value->data, value->size, false);
	keyspace_set_expiry(call_keyspace(call), o, expire_ms);
	reply_status(call->out, "OK");
}

void run_setex(struct call *call)
{
	set_with_expiry(call, "EX");
}

void run_psetex(struct call *call)
{
	set_with_expiry(call, "PX");
}

/* ---- GET that changes something ---- */

void run_getset(struct call *call)
{
	struct object *o;

	if (!call_find_string(call, &call->argv[1], &o) || (o && !call_may_reply(call, o->value_size)))
		return;
	reply_value(call, o);
	set_value(call, &call->argv[1], &call->argv[2]);
}

void run_getdel(struct call *call)
{
	struct object *o;

	if (!call_find_string(call, &call->argv[1], &o) || (o && !call_may_reply(call, o->value_size)))
		return;
	reply_value(call, o);
	if (o)
		keyspace_remove(call_keyspace(call), o);
}

void run_getex(struct call *call)
{
	struct set_options options;
	struct object *o;
	int64_t expire_ms = 0;

	if (!string_options(call, 2, false, &options) || !call_find_string(call, &call->argv[1], &o))
		return;
	if (!o) {
		reply_null(call->out, call->resp);
		return;
	}
	if (options.unit && !expiry_time(call, options.unit, options.value, &expire_ms))
		return;
	if (!call_may_reply(call, o->value_size))
		return;
	reply_value(call, o);
	if (options.unit && expire_ms <= call_now_ms(call))
		keyspace_remove(call_keyspace(call), o);
	else if (options.unit || (options.persist && o->expire_ms))
		keyspace_set_expiry(call_keyspace(call), o, expire_ms);
}

/* ---- counters ---- */

static void add_to(struct call *call, int64_t by)
{
	const struct arg *key = &call->argv[1];
	struct object *o;
	int64_t value = 0;
	char text[24];
	int n;

	if (!call_find_string(call, key, &o))
		return;
	if (o && !bytes_int(object_value(o), o->value_size, &value)) {
		reply_error(call->out, ERROR_NOT_INT);
		return;
	}
	if (__builtin_add_overflow(value, by, &value)) {
		reply_error(call->out, "ERR increment or decrement would overflow");
		return;
	}
	n = snprintf(text, sizeof text, "%lld", (long long)value);
	(void)keyspace_set_string(call_keyspace(call), key->data, key->size, text, (size_t)n, true);
	reply_int(call->out, value);
}

void run_incr(struct call *call)
{
	add_to(call, 1);
}

void run_decr(struct call *call)
{
	add_to(call, -1);
}

void run_incrby(struct call *call)
{
	int64_t by;

	if (arg_int(&call->argv[2], &by))
		add_to(call, by);
	else
		reply_error(call->out, ERROR_NOT_INT);
}

void run_decrby(struct call *call)
{
	int64_t by;

	if (!arg_int(&call->argv[2], &by))
		reply_error(call->out, ERROR_NOT_INT);
	else if (by == LLONG_MIN)
		reply_error(call->out, "ERR decrement would overflow");
	else
		add_to(call, -by);
}

/*
 * A number as Redis reads it into a long double. x86's 80-bit format is part of what the command means, and the
 * C library rounds correctly, so replicas agree to the last digit.
 */
static bool bytes_float(const uint8_t *data, size_t size, long double *ret)
{
	char text[5120], *end;
	long double v;

	if (!size || size >= sizeof text || isspace(data[0]))
		return false;
	memcpy(text, data, size);
	text[size] = 0;
	errno = 0;
	v = strtold(text, &end);
	if (end != text + size || isnan(v) || errno == EINVAL ||
	    (errno == ERANGE && (v == HUGE_VALL || v == -HUGE_VALL || fpclassify(v) == FP_ZERO)))
		return false;
	*ret = v;
	return true;
}

void run_incrbyfloat(struct call *call)
{
	const struct arg *key = &call->argv[1], *by = &call->argv[2];
	long double value = 0, step;
	struct object *o;
	char text[5120];
	int n;

	if (!call_find_string(call, key, &o))
		return;
	if ((o && !bytes_float(object_value(o), o->value_size, &value)) || !bytes_float(by->data, by->size, &step)) {
		reply_error(call->out, "ERR value is not a valid float");
		return;
	}
	value += step;
	if (isnan(value) || isinf(value)) {
		reply_error(call->out, "ERR increment would produce NaN or Infinity");
		return;
	}
	n = snprintf(text, sizeof text, "%.17Lf", value);
	while (text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	if (n == 2 && !memcmp(text, "-0", 2)) {
		text[0] = '0';
		n = 1;
	}
	(void)keyspace_set_string(call_keyspace(call), key->data, key->size, text, (size_t)n, true);
	reply_bulk(call->out, text, (size_t)n);
}

/* ---- many at once ---- */

void run_mget(struct call *call)
{
	uint64_t size = 0;

	for (uint32_t i = 1; i < call->argc; i++) {
		const struct object *o = call_find(call, &call->argv[i]);

		size += o && o->type == OBJECT_STRING ? o->value_size : 0;
	}
	if (!call_may_reply(call, size))
		return;
	reply_array(call->out, call->argc - 1);
	for (uint32_t i = 1; i < call->argc; i++) {
		const struct object *o = call_find(call, &call->argv[i]);

		reply_value(call, o && o->type == OBJECT_STRING ? o : NULL);
	}
}

static bool pairs(struct call *call)
{
	if (call->argc % 2)
		return true;
	reply_errorf(call->out, "ERR wrong number of arguments for '%s' command", call->command->name);
	return false;
}

void run_mset(struct call *call)
{
	if (!pairs(call))
		return;
	for (uint32_t i = 1; i < call->argc; i += 2)
		set_value(call, &call->argv[i], &call->argv[i + 1]);
	reply_status(call->out, "OK");
}

void run_msetnx(struct call *call)
{
	if (!pairs(call))
		return;
	for (uint32_t i = 1; i < call->argc; i += 2)
		if (call_find(call, &call->argv[i])) {
			reply_int(call->out, 0);
			return;
		}
	for (uint32_t i = 1; i < call->argc; i += 2)
		set_value(call, &call->argv[i], &call->argv[i + 1]);
	reply_int(call->out, 1);
}

/* ---- parts ---- */

void run_strlen(struct call *call)
{
	struct object *o;

	if (call_find_string(call, &call->argv[1], &o))
		reply_int(call->out, o ? o->value_size : 0);
}

void run_append(struct call *call)
{
	const struct arg *key = &call->argv[1], *more = &call->argv[2];
	struct keyspace *ks = call_keyspace(call);
	struct object *o;
	uint32_t size;

	if (!call_find_string(call, key, &o))
		return;
	size = o ? o->value_size : 0;
	if ((uint64_t)size + more->size > VALUE_SIZE_MAX) {
		reply_error(call->out, ERROR_TOO_LONG);
		return;
	}
	if (!o) {
		(void)keyspace_set_string(ks, key->data, key->size, more->data, more->size, false);
	} else {
		o = keyspace_resize_string(ks, o, (size_t)size + more->size); /* by nothing, too: who watches the key hears of it */
		keyspace_change_begin(ks, o);
		memcpy(o->data + o->key_size + size, more->data, more->size);
		keyspace_change_end(ks, o);
	}
	reply_int(call->out, (int64_t)size + more->size);
}

void run_setrange(struct call *call)
{
	const struct arg *key = &call->argv[1], *part = &call->argv[3];
	struct keyspace *ks = call_keyspace(call);
	struct object *o;
	int64_t offset;
	uint64_t end;

	if (!arg_int(&call->argv[2], &offset)) {
		reply_error(call->out, ERROR_NOT_INT);
		return;
	}
	if (offset < 0) {
		reply_error(call->out, "ERR offset is out of range");
		return;
	}
	if (!call_find_string(call, key, &o))
		return;
	if (!part->size) {
		reply_int(call->out, o ? o->value_size : 0);
		return;
	}
	if (offset > VALUE_SIZE_MAX || (uint64_t)offset + part->size > VALUE_SIZE_MAX) {
		reply_error(call->out, ERROR_TOO_LONG);
		return;
	}
	end = (uint64_t)offset + part->size;
	if (!o)
		o = keyspace_set_string(ks, key->data, key->size, NULL, 0, false);
	if (end > o->value_size)
		o = keyspace_resize_string(ks, o, end);
	keyspace_change_begin(ks, o);
	memcpy(o->data + o->key_size + offset, part->data, part->size);
	keyspace_change_end(ks, o);
	reply_int(call->out, o->value_size);
}

void run_getrange(struct call *call)
{
	int64_t start, end, size;
	struct object *o;

	if (!arg_int(&call->argv[2], &start) || !arg_int(&call->argv[3], &end)) {
		reply_error(call->out, ERROR_NOT_INT);
		return;
	}
	if (!call_find_string(call, &call->argv[1], &o))
		return;
	size = o ? o->value_size : 0;
	if (start < 0 && end < 0 && start > end)
		size = 0;
	start = start < 0 ? (start + size < 0 ? 0 : start + size) : start;
	end = end < 0 ? (end + size < 0 ? 0 : end + size) : end;
	if (end >= size)
		end = size - 1;
	if (start > end || !size)
		reply_bulk(call->out, NULL, 0);
	else if (call_may_reply(call, (uint64_t)(end - start + 1)))
		reply_bulk(call->out, object_value(o) + start, (size_t)(end - start + 1));
}
