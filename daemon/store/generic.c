/* SPDX-License-Identifier: Apache-2.0 */
#include "store/run.h"

void run_del(struct call *call)
{
	int64_t n = 0;

	for (uint32_t i = 1; i < call->argc; i++) {
		struct object *o = call_find(call, &call->argv[i]);

		if (o) {
			keyspace_remove(call_keyspace(call), o);
			n++;
		}
	}
	reply_int(call->out, n);
}

void run_exists(struct call *call)
{
	int64_t n = 0;

	for (uint32_t i = 1; i < call->argc; i++)
		n += call_find(call, &call->argv[i]) != NULL;
	reply_int(call->out, n);
}

void run_type(struct call *call)
{
	static const char *const names[] = {"none", "string"};
	const struct object *o = call_find(call, &call->argv[1]);

	reply_status(call->out, names[o ? o->type : 0]);
}

void run_dbsize(struct call *call)
{
	reply_int(call->out, (int64_t)keyspace_count(call_keyspace(call)));
}

bool flush_arguments(struct call *call)
{
	if (call->argc == 1 || (call->argc == 2 && (arg_is(&call->argv[1], "SYNC") || arg_is(&call->argv[1], "ASYNC"))))
		return true;
	reply_error(call->out, ERROR_SYNTAX);
	return false;
}

void run_flush(struct call *call)
{
	if (!flush_arguments(call))
		return;
	keyspace_clear(call_keyspace(call));
	reply_status(call->out, "OK");
}
