/* SPDX-License-Identifier: Apache-2.0 */
/* How a value is kept, as tools for Redis ask it: told from the value alone, so that replicas agree. */
#include "store/run.h"

#define INT_TEXT_MAX 20u     /* a longer text is no 64-bit integer */
#define EMBEDDED_MAX 44u     /* what Redis keeps beside its object header */
#define SHARED_INTS 10000    /* Redis has the small integers once */
#define SHARED_REFCOUNT INT32_MAX

static bool value_int(const struct object *o, int64_t *ret)
{
	return o->value_size <= INT_TEXT_MAX && bytes_int(object_value(o), o->value_size, ret);
}

void run_object_encoding(struct call *call)
{
	const struct object *o = call_find(call, &call->argv[2]);
	int64_t unused;

	if (!o)
		reply_null(call->out, call->resp);
	else if (value_int(o, &unused))
		reply_bulks(call->out, "int");
	else
		reply_bulks(call->out, o->value_size <= EMBEDDED_MAX ? "embstr" : "raw");
}

void run_object_refcount(struct call *call)
{
	const struct object *o = call_find(call, &call->argv[2]);
	int64_t value;

	if (!o)
		reply_null(call->out, call->resp);
	else
		reply_int(call->out, value_int(o, &value) && value >= 0 && value < SHARED_INTS ? SHARED_REFCOUNT : 1);
}

/* SAMPLES is for values of many parts; a string is always counted whole. NULL, or the error. */
static const char *samples_error(const struct call *call)
{
	for (uint32_t i = 3; i < call->argc; i += 2) {
		int64_t samples;

		if (!arg_is(&call->argv[i], "SAMPLES") || i + 1 == call->argc)
			return ERROR_SYNTAX;
		if (!arg_int(&call->argv[i + 1], &samples))
			return ERROR_NOT_INT;
		if (samples < 0)
			return ERROR_SYNTAX;
	}
	return NULL;
}

void run_memory_usage(struct call *call)
{
	const char *error = samples_error(call);
	const struct object *o;

	if (error) {
		reply_error(call->out, error);
		return;
	}
	o = call_find(call, &call->argv[2]);
	if (o)
		reply_int(call->out, (int64_t)keyspace_object_bytes(o));
	else
		reply_null(call->out, call->resp);
}
