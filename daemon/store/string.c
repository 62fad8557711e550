/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>

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

	if (call_find_string(call, &call->argv[1], &o))
		reply_value(call, o);
}

/* ---- SET and its options ---- */

enum set_expiry { EXPIRY_NONE, EXPIRY_KEEP, EXPIRY_AT };

struct set_options {
	bool only_new, only_old, get;
	enum set_expiry expiry;
	int64_t expire_ms;
};

static bool expiry_time(struct call *call, const struct arg *unit, const struct arg *value, int64_t *ret_ms)
{
	bool seconds = arg_is(unit, "EX") || arg_is(unit, "EXAT");
	bool absolute = arg_is(unit, "EXAT") || arg_is(unit, "PXAT");
	int64_t n;

	if (!arg_int(value, &n)) {
		reply_error(call->out, ERROR_NOT_INT);
		return false;
	}
	if (n <= 0 || (seconds && n > LLONG_MAX / 1000))
		goto invalid;
	if (seconds)
		n *= 1000;
	if (!absolute && n > LLONG_MAX - call_now_ms(call))
		goto invalid;
	*ret_ms = absolute ? n : n + call_now_ms(call);
	return true;
invalid:
	reply_errorf(call->out, "ERR invalid expire time in '%s' command", call->command->name);
	return false;
}

static bool set_options(struct call *call, struct set_options *ret)
{
	*ret = (struct set_options){0};
	for (uint32_t i = 3; i < call->argc; i++) {
		const struct arg *a = &call->argv[i];

		if (arg_is(a, "NX") && !ret->only_old) {
			ret->only_new = true;
		} else if (arg_is(a, "XX") && !ret->only_new) {
			ret->only_old = true;
		} else if (arg_is(a, "GET")) {
			ret->get = true;
		} else if (arg_is(a, "KEEPTTL") && ret->expiry == EXPIRY_NONE) {
			ret->expiry = EXPIRY_KEEP;
		} else if ((arg_is(a, "EX") || arg_is(a, "PX") || arg_is(a, "EXAT") || arg_is(a, "PXAT")) &&
			   ret->expiry == EXPIRY_NONE && i + 1 < call->argc) {
			ret->expiry = EXPIRY_AT;
			if (!expiry_time(call, a, &call->argv[++i], &ret->expire_ms))
				return false;
		} else {
			reply_error(call->out, ERROR_SYNTAX);
			return false;
		}
	}
	return true;
}

void run_set(struct call *call)
{
	const struct arg *key = &call->argv[1], *value = &call->argv[2];
	struct set_options o;
	struct object *old;

	if (!set_options(call, &o))
		return;
	if (o.get) {
		if (!call_find_string(call, key, &old))
			return;
		reply_value(call, old);
	} else {
		old = o.only_new || o.only_old || o.expiry == EXPIRY_KEEP ? call_find(call, key) : NULL;
	}
	if ((o.only_new && old) || (o.only_old && !old)) {
		if (!o.get)
			reply_null(call->out, call->resp);
		return;
	}
	old = keyspace_set_string(call_keyspace(call), key->data, key->size, value->data, value->size, o.expiry == EXPIRY_KEEP);
	if (o.expiry == EXPIRY_AT)
		keyspace_set_expiry(call_keyspace(call), old, o.expire_ms);
	if (!o.get)
		reply_status(call->out, "OK");
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

/* ---- many at once ---- */

void run_mget(struct call *call)
{
	reply_array(call->out, call->argc - 1);
	for (uint32_t i = 1; i < call->argc; i++) {
		const struct object *o = call_find(call, &call->argv[i]);

		reply_value(call, o && o->type == OBJECT_STRING ? o : NULL);
	}
}

void run_mset(struct call *call)
{
	if (call->argc % 2 == 0) {
		reply_error(call->out, "ERR wrong number of arguments for 'mset' command");
		return;
	}
	for (uint32_t i = 1; i < call->argc; i += 2)
		(void)keyspace_set_string(call_keyspace(call), call->argv[i].data, call->argv[i].size,
					  call->argv[i + 1].data, call->argv[i + 1].size, false);
	reply_status(call->out, "OK");
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
	} else if (more->size) {
		o = keyspace_resize_string(ks, o, (size_t)size + more->size);
		keyspace_change_begin(ks, o);
		memcpy(o->data + o->key_size + size, more->data, more->size);
		keyspace_change_end(ks, o);
	}
	reply_int(call->out, (int64_t)size + more->size);
}
