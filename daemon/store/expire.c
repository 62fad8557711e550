/* SPDX-License-Identifier: Apache-2.0 */
/* When keys expire: all by the group's time, which only the leaders' stamps move ([time]). */
#include <limits.h>

#include "store/run.h"

bool expiry_unit(const struct arg *a)
{
	return arg_is(a, "EX") || arg_is(a, "PX") || arg_is(a, "EXAT") || arg_is(a, "PXAT");
}

static bool invalid_time(struct call *call)
{
	reply_errorf(call->out, "ERR invalid expire time in '%s' command", call->command->name);
	return false;
}

bool expiry_time(struct call *call, const struct arg *unit, const struct arg *value, int64_t *ret_ms)
{
	bool seconds = arg_is(unit, "EX") || arg_is(unit, "EXAT");
	bool absolute = arg_is(unit, "EXAT") || arg_is(unit, "PXAT");
	int64_t n;

	if (!arg_int(value, &n)) {
		reply_error(call->out, ERROR_NOT_INT);
		return false;
	}
	if (n <= 0 || (seconds && n > LLONG_MAX / 1000))
		return invalid_time(call);
	if (seconds)
		n *= 1000;
	if (!absolute && n > LLONG_MAX - call_now_ms(call))
		return invalid_time(call);
	*ret_ms = absolute ? n : n + call_now_ms(call);
	return true;
}

/* ---- EXPIRE and its kin ---- */

struct conditions {
	bool nx, xx, gt, lt;
};

static bool read_conditions(struct call *call, struct conditions *ret)
{
	*ret = (struct conditions){0};
	for (uint32_t i = 3; i < call->argc; i++) {
		const struct arg *a = &call->argv[i];

		if (arg_is(a, "NX")) {
			ret->nx = true;
		} else if (arg_is(a, "XX")) {
			ret->xx = true;
		} else if (arg_is(a, "GT")) {
			ret->gt = true;
		} else if (arg_is(a, "LT")) {
			ret->lt = true;
		} else {
			reply_errorf(call->out, "ERR Unsupported option %.*s", a->size < 256 ? (int)a->size : 256, (const char *)a->data);
			return false;
		}
	}
	if (ret->nx && (ret->xx || ret->gt || ret->lt)) {
		reply_error(call->out, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if (ret->gt && ret->lt) {
		reply_error(call->out, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	return true;
}

/* A key that never expires counts as one that expires infinitely late. */
static bool conditions_hold(const struct conditions *c, int64_t now_set, int64_t when)
{
	if (c->nx && now_set)
		return false;
	if (c->xx && !now_set)
		return false;
	if (c->gt && (!now_set || when <= now_set))
		return false;
	if (c->lt && now_set && when >= now_set)
		return false;
	return true;
}

static void expire(struct call *call, int64_t base_ms, bool seconds)
{
	struct conditions conditions;
	struct object *o;
	int64_t when;

	if (!read_conditions(call, &conditions))
		return;
	if (!arg_int(&call->argv[2], &when)) {
		reply_error(call->out, ERROR_NOT_INT);
		return;
	}
	if (seconds && (when > LLONG_MAX / 1000 || when < LLONG_MIN / 1000)) {
		(void)invalid_time(call);
		return;
	}
	if (seconds)
		when *= 1000;
	if (when > LLONG_MAX - base_ms) {
		(void)invalid_time(call);
		return;
	}
	when += base_ms;
	o = call_find(call, &call->argv[1]);
	if (!o || !conditions_hold(&conditions, o->expire_ms, when)) {
		reply_int(call->out, 0);
		return;
	}
	if (when <= call_now_ms(call) || when <= 0)
		keyspace_remove(call_keyspace(call), o);
	else
		keyspace_set_expiry(call_keyspace(call), o, when);
	reply_int(call->out, 1);
}

void run_expire(struct call *call)
{
	expire(call, call_now_ms(call), true);
}

void run_pexpire(struct call *call)
{
	expire(call, call_now_ms(call), false);
}

void run_expireat(struct call *call)
{
	expire(call, 0, true);
}

void run_pexpireat(struct call *call)
{
	expire(call, 0, false);
}

void run_persist(struct call *call)
{
	struct object *o = call_find(call, &call->argv[1]);
	bool had = o && o->expire_ms;

	if (had)
		keyspace_set_expiry(call_keyspace(call), o, 0);
	reply_int(call->out, had);
}

/* ---- TTL and its kin: -2 without the key, -1 if it never expires ---- */

static void reply_left(struct call *call, int64_t base_ms, bool seconds)
{
	const struct object *o = call_find(call, &call->argv[1]);
	int64_t left;

	if (!o || !o->expire_ms) {
		reply_int(call->out, o ? -1 : -2);
		return;
	}
	left = o->expire_ms - base_ms;
	if (left < 0)
		left = 0;
	reply_int(call->out, seconds ? left / 1000 + (left % 1000 >= 500) : left);
}

void run_ttl(struct call *call)
{
	reply_left(call, call_now_ms(call), true);
}

void run_pttl(struct call *call)
{
	reply_left(call, call_now_ms(call), false);
}

void run_expiretime(struct call *call)
{
	reply_left(call, 0, true);
}

void run_pexpiretime(struct call *call)
{
	reply_left(call, 0, false);
}
