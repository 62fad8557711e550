/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast lb explain`: what becomes of a flow's packets, by lb/explain.h here or in the process that has the tables. */
#include "lb/explain.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/quic_id.h"
#include "cli/cli.h"
#include "cli/http.h"
#include "cli/lb/lb.h"
#include "lb/twin.h"

static void print(const json_t *list)
{
	const char *key;
	json_t *o, *v;
	size_t i;

	json_array_foreach(list, i, o) {
		json_object_foreach(o, key, v) {
			if (json_is_integer(v))
				printf("%-13s %lld\n", key, (long long)json_integer_value(v));
			else
				printf("%-13s %s\n", key, json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "yes" : "no");
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

/* As part of a URL (RFC 3986, 2.1). */
static void put_escaped(struct bytes *url, const char *text)
{
	for (; *text; text++)
		bytes_printf(url, isalnum((unsigned char)*text) ? "%c" : "%%%02X", (unsigned char)*text);
}

static json_t *ask_twin(const char *twin, const struct lb_options *o)
{
	struct bytes url = {0};
	json_t *list;

	bytes_puts(&url, TWIN_EXPLAIN "?flow=");
	put_escaped(&url, o->flow);
	if (o->connection_id) {
		bytes_puts(&url, "&connection_id=");
		put_escaped(&url, o->connection_id);
	}
	bytes_put_u8(&url, 0);
	list = http_get_json(twin, (const char *)url.data);
	bytes_free(&url);
	return list;
}

static json_t *ask(const struct lb_side *side, const struct lb_options *o, const struct explain_flow *flow)
{
	struct lb_config config;

	if (*side->twin)
		return ask_twin(side->twin, o);
	return maps_config(&side->maps, &config) < 0 ? NULL : explain(&side->maps.tables, &config, flow, now_ns());
}

int lb_explain(const struct lb_side *side, const struct lb_options *o)
{
	struct explain_flow flow;
	json_t *list;

	if (explain_take_flow(&flow, o->flow) < 0)
		return cli_fail(EXIT_USAGE, "\"%s\" is no flow: 'tcp 10.0.0.9:4242 > 10.1.1.1:80', or udp, or [addresses] in brackets",
				o->flow);
	if (o->connection_id && explain_take_connection_id(&flow, o->connection_id) < 0)
		return cli_fail(EXIT_USAGE, "\"%s\" is no connection ID of a udp flow: give 1 to %u bytes as pairs of hexadecimal digits",
				o->connection_id, QUIC_CONNECTION_MAX);
	list = ask(side, o, &flow);
	if (!list && *side->twin)
		return cli_fail(1,
				"holdfast-lbd-dpdk doesn't answer on %s, or has no catalog yet: is it running, and does its node answer?",
				side->twin);
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
