/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the connection that may also stand in a MULTI: they touch no state, so they may run anywhere. */
#include <limits.h>

#include "store/run.h"

void run_ping(struct call *call)
{
	if (call->argc > 2)
		reply_error(call->out, "ERR wrong number of arguments for 'ping' command");
	else if (call->argc == 2)
		reply_bulk(call->out, call->argv[1].data, call->argv[1].size);
	else
		reply_status(call->out, "PONG");
}

void run_echo(struct call *call)
{
	reply_bulk(call->out, call->argv[1].data, call->argv[1].size);
}

/* A third argument, which no client can send, says that it came by the store_cluster port: a group that executes a MULTI doesn't see ports. */
void run_select(struct call *call)
{
	int64_t n;

	if (!arg_int(&call->argv[1], &n))
		reply_error(call->out, ERROR_NOT_INT);
	else if (n < INT_MIN || n > INT_MAX)
		reply_errorf(call->out, "ERR value is out of range, value must between %d and %d", INT_MIN, INT_MAX);
	else if (n != 0 && call->argc > 2)
		reply_error(call->out, "ERR SELECT is not allowed in cluster mode");
	else if (n != 0)
		reply_error(call->out, "ERR DB index is out of range");
	else
		reply_status(call->out, "OK");
}

/* EXEC has forgotten what was watched before this runs; outside MULTI the connection does (client/multi.c). */
void run_unwatch(struct call *call)
{
	reply_status(call->out, "OK");
}
