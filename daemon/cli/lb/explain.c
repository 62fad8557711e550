/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast lb explain`: what becomes of a flow's packets, by lb/explain.h over the balancer's maps. */
#include "lb/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/quic_id.h"
#include "cli/cli.h"
#include "cli/lb/lb.h"

static void print(const json_t *list)
{
	const char *key;
	json_t *o, *v;
	size_t i;

	json_array_foreach(list, i, o) {
		json_object_foreach(o, key, v) {
			if (json_is_integer(v))
				printf("%-11s %lld\n", key, (long long)json_integer_value(v));
			else
				printf("%-11s %s\n", key, json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "yes" : "no");
		}
		printf("\n");
	}
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static json_t *ask(const struct maps *m, const struct explain_flow *flow)
{
	struct lb_config config;

	return maps_config(m, &config) < 0 ? NULL : explain(&m->tables, &config, flow, now_ns());
}

int lb_explain(const struct maps *m, const struct lb_options *o)
{
	struct explain_flow flow;
	json_t *list;

	if (explain_take_flow(&flow, o->flow) < 0)
		return cli_fail(EXIT_USAGE, "\"%s\" is no flow: 'tcp 10.0.0.9:4242 > 10.1.1.1:80', or udp, or [addresses] in brackets",
				o->flow);
	if (o->connection_id && explain_take_connection_id(&flow, o->connection_id) < 0)
		return cli_fail(EXIT_USAGE, "\"%s\" is no connection ID of a udp flow: give 1 to %u bytes as pairs of hexadecimal digits",
				o->connection_id, QUIC_CONNECTION_MAX);
	list = ask(m, &flow);
	if (!list)
		return cli_fail(1, "the balancer has no catalog yet: does its node answer?");
	if (o->json) {
		(void)json_dumpf(list, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print(list);
	}
	json_decref(list);
	return 0;
}
