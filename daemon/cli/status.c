/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/http.h"

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void print_status(const json_t *s)
{
	json_t *o, *node;
	size_t i, k;

	printf("node %lld of cluster %s, up %lld s, %lld clients\n", number(s, "node"), json_string_value(json_object_get(s, "cluster")),
	       number(s, "uptime_ms") / 1000, number(s, "clients"));
	json_array_foreach(json_object_get(s, "peers"), i, o)
		printf("peer %lld lane %lld: %s\n", number(o, "node"), number(o, "lane"),
		       json_is_true(json_object_get(o, "up")) ? "connected" : "NOT CONNECTED");
	printf("%6s %5s %-12s %7s %6s %10s %10s %10s\n", "group", "lane", "role", "leader", "term", "commit", "applied", "keys");
	json_array_foreach(json_object_get(s, "groups"), i, o)
		printf("%6lld %5lld %-12s %7lld %6lld %10lld %10lld %10lld%s%s\n", number(o, "group"), number(o, "lane"),
		       json_string_value(json_object_get(o, "role")), number(o, "leader"), number(o, "term"), number(o, "commit"),
		       number(o, "applied"), number(o, "keys"), number(o, "missing") ? "  repairing" : "",
		       json_is_true(json_object_get(o, "quarantined")) ? "  quarantined" : "");
	json_array_foreach(json_object_get(s, "groups"), i, o)
		json_array_foreach(json_object_get(o, "waits_for"), k, node)
			printf("group %lld has too many damaged replicas and WAITS FOR node %lld: start it\n", number(o, "group"),
			       (long long)json_integer_value(node));
	json_array_foreach(json_object_get(s, "lanes"), i, o)
		if (json_is_true(json_object_get(o, "clock_off")))
			printf("lane %lld: this node's clock is OFF by %lld ms: check its time service\n", number(o, "lane"),
			       number(o, "clock_off_ms"));
	json_array_foreach(json_object_get(s, "lanes"), i, o)
		printf("lane %lld: journal at batch %lld, %lld segments%s\n", number(o, "lane"), number(o, "durable"), number(o, "segments"),
		       json_is_true(json_object_get(o, "out_of_space")) ? ", OUT OF SPACE: writes are refused until there is room" : "");
}

int cli_status(int argc, char **argv)
{
	struct cli_node node = {0};
	bool as_json = false;
	json_t *status;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			as_json = true;
		else if (!cli_node_option(&node, argc, argv, &i))
			return cli_fail(EXIT_USAGE, "status: unknown argument \"%s\"; there are --json, --socket PATH, --admin HOST:PORT", argv[i]);
	}
	status = http_get_json(cli_node_address(&node), "/v1/status");
	if (!status)
		return cli_fail(1, "no node answers at %s: is it running? Name another one with --socket or --admin", node.address);
	if (as_json) {
		(void)json_dumpf(status, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_status(status);
	}
	json_decref(status);
	return 0;
}
