/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast service` and `holdfast backend`: what the load balancer serves. The node judges; here it is only put into words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/http.h"
#include "cluster/service.h"

static const char service_usage[] =
	"usage: holdfast service add NAME --vip ADDR --proto tcp|udp|quic --port N [SETTING ...]\n"
	"       holdfast service set NAME SETTING ...   changes those given; --vip, --proto and --port stay\n"
	"       holdfast service rm NAME                with its backends\n"
	"       holdfast service list [--json]\n"
	"       holdfast service show NAME [--json]\n"
	"Each also takes --socket PATH or --admin HOST:PORT. Any node takes a change.\n"
	"  --vip ADDR           IPv4 or IPv6 address that clients come to\n"
	"  --port N             0: all ports\n"
	"settings:\n"
	"  --scheduler maglev|source|rr|wrr|p2c|latency   maglev\n"
	"  --deliver ipip|gue|dsr|dnat|snat   ipip; only dnat and snat can send to another port\n"
	"  --no-chain           packets carry no second chance for flows of earlier backends; --chain: they do (the default)\n"
	"  --affinity none      each packet for itself (udp only); --affinity flow: a flow stays where it is (the default)\n"
	"  --limit RATE         new flows a second, as 5000, 20k or 1m; 0: no limit (the default)\n"
	"  --limit-source RATE  the same of each source, which is an IPv4 address, or a /64 of IPv6\n"
	"  --limit-prefix PREFIX=RATE   the same of all sources in it together, the longest prefix counts; again for more; none: no prefix\n"
	"  --syn-cookies off|auto|always   answer SYNs without keeping them: never, while a host gets too many, always; off\n"
	"  --syn-rate RATE      more SYNs a second, to one host, are too many; 10k\n"
	"  --flow-idle SECONDS  a flow without packets for so long is over, 1 to 604800; 7800 unless told\n"
	"  --slow-start SECONDS  so long a backend that comes takes to get its share of new flows, up to 86400; 0: none (the default)\n"
	"  --break-flows        with set: change the scheduler, or from or to nat, though flows of a service that is served lose their backends\n"
	"  --quic-config N:SIZE   connections stay on the backend whose server id their connection ids have (quic only, QUIC-LB in plaintext):\n"
	"                       configuration 0 to 6, ids of 1 to 8 bytes; none: by hash alone (the default)\n"
	"  --allow PREFIX       only sources in it; again for more; --allow none: everybody (the default)\n"
	"  --deny PREFIX        no source in it; again for more; --deny none: nobody (the default)\n"
	"  --check tcp|http:PATH|https:PATH|redis|kafka|none   tcp for tcp, else none; with https certificates are not verified\n"
	"  --check-interval TIME   from one check of a backend to the next, as 500ms or 2s, 100ms to 1h as 3600s; 2s\n"
	"  --check-timeout TIME    for the whole answer, below nine tenths of the interval; 1s\n"
	"  --check-fall N       so many failures in a row are down, 1 to 100; 3\n"
	"  --check-rise N       so many successes in a row are up again; 2\n";

static const char backend_usage[] =
	"usage: holdfast backend add SERVICE ADDR[:PORT] [--weight W] [--quic-id HEX]   weight 1, no server id\n"
	"       holdfast backend set SERVICE ADDR[:PORT] [--weight W] [--quic-id HEX]   also ends a drain\n"
	"       holdfast backend drain SERVICE ADDR[:PORT]   no new flows; those that are there go on\n"
	"       holdfast backend rm SERVICE ADDR[:PORT]\n"
	"Each also takes --socket PATH or --admin HOST:PORT. Without PORT, the service's is meant. IPv6 with a port: [ADDR]:PORT.\n"
	"W is 0 to 65535; with 0 it gets no new flows. HEX is the server id in the connection ids that it issues, as c0ffee01, of the size that the\n"
	"service's --quic-config says; none: it has none.\n";

/* ---- arguments ---- */

struct command {
	const char *what;      /* "service add", for messages */
	struct cli_node node;
	const char *names[2];  /* arguments that are no options */
	int name_count;
	bool as_json;
	json_t *body;
};

#define NUMBER_MAX 1000000000000u /* what is too much, the node says: this may be multiplied, and fits into JSON */

/* A whole number, with k or m behind it if it is a rate; false: it is none. */
static bool read_number(const char *text, bool rate, json_t **ret)
{
	const char *end;
	uint64_t n;

	if (!number_read(text, NUMBER_MAX, &n, &end))
		return false;
	if (rate && *end && strchr("kKmM", *end) && !end[1])
		n *= *end == 'k' || *end == 'K' ? 1000 : 1000000, end++;
	*ret = json_integer((json_int_t)n);
	return !*end;
}

/* In ms; seconds unless it says so. False: it is no time. */
static bool read_time(const char *text, json_t **ret)
{
	const char *end;
	uint64_t n;

	if (!number_read(text, NUMBER_MAX, &n, &end))
		return false;
	if (strcmp(end, "ms"))
		n *= 1000;
	*ret = json_integer((json_int_t)n);
	return !*end || !strcmp(end, "s") || !strcmp(end, "ms");
}

/* False: it is no text. */
static bool add_prefix(json_t *body, const char *key, const char *prefix)
{
	json_t *list = json_object_get(body, key);

	if (!list) {
		list = json_array();
		(void)json_object_set_new(body, key, list);
	}
	return !strcmp(prefix, "none") || json_array_append_new(list, json_string(prefix)) == 0;
}

/* "10.0.0.0/8=20k", or none; false: it is neither. */
static bool add_limit(json_t *body, const char *key, const char *text)
{
	json_t *limits = json_object_get(body, key), *rate = NULL;
	const char *sign = strchr(text, '=');

	if (!limits) {
		limits = json_array();
		(void)json_object_set_new(body, key, limits);
	}
	if (!strcmp(text, "none"))
		return true;
	if (sign && read_number(sign + 1, true, &rate))
		return json_array_append_new(limits, json_pack("{s:s%, s:o}", "prefix", text, (size_t)(sign - text), "rate", rate)) == 0;
	json_decref(rate);
	return false;
}

/* The last two have no value behind them. */
enum value { VALUE_TEXT, VALUE_NUMBER, VALUE_RATE, VALUE_TIME, VALUE_PREFIX, VALUE_LIMIT, VALUE_AFFINITY, VALUE_TRUE, VALUE_FALSE };

static const struct option {
	const char *name, *key;
	enum value value;
} service_options[] = {
	{"--vip", "vip", VALUE_TEXT},           {"--proto", "proto", VALUE_TEXT},     {"--port", "port", VALUE_NUMBER},
	{"--scheduler", "scheduler", VALUE_TEXT}, {"--deliver", "deliver", VALUE_TEXT}, {"--affinity", "affinity", VALUE_AFFINITY},
	{"--limit-source", "limit_source", VALUE_RATE}, {"--limit-prefix", "limit_prefix", VALUE_LIMIT},
	{"--limit", "limit", VALUE_RATE},       {"--allow", "allow", VALUE_PREFIX},   {"--deny", "deny", VALUE_PREFIX},
	{"--syn-cookies", "syn_cookies", VALUE_TEXT}, {"--syn-rate", "syn_rate", VALUE_RATE}, {"--flow-idle", "flow_idle", VALUE_NUMBER},
	{"--slow-start", "slow_start", VALUE_NUMBER}, {"--quic-config", "quic_config", VALUE_TEXT},
	{"--check-interval", "check_interval_ms", VALUE_TIME}, {"--check-timeout", "check_timeout_ms", VALUE_TIME},
	{"--check-rise", "check_rise", VALUE_NUMBER}, {"--check-fall", "check_fall", VALUE_NUMBER},
	{"--check", "check", VALUE_TEXT},       {"--chain", "chain", VALUE_TRUE},     {"--no-chain", "chain", VALUE_FALSE},
	{"--break-flows", "break_flows", VALUE_TRUE},
}, backend_options[] = {{"--weight", "weight", VALUE_NUMBER}, {"--quic-id", "quic_id", VALUE_TEXT}};

/* 0, or an exit status after a line on stderr. */
static int take_value(struct command *c, const struct option *o, const char *text)
{
	json_t *value = NULL;

	switch (o->value) {
	case VALUE_TEXT:
		value = json_string(text);
		break;
	case VALUE_NUMBER:
	case VALUE_RATE:
		if (!read_number(text, o->value == VALUE_RATE, &value)) {
			json_decref(value);
			return cli_fail(EXIT_USAGE, "%s: %s \"%s\" is no number", c->what, o->name, text);
		}
		break;
	case VALUE_TIME:
		if (!read_time(text, &value)) {
			json_decref(value);
			return cli_fail(EXIT_USAGE, "%s: %s \"%s\" is no time: write it as 500ms or 2s", c->what, o->name, text);
		}
		break;
	case VALUE_PREFIX:
		if (add_prefix(c->body, o->key, text))
			return 0;
		break;
	case VALUE_LIMIT:
		if (add_limit(c->body, o->key, text))
			return 0;
		return cli_fail(EXIT_USAGE, "%s: %s \"%s\" is no PREFIX=RATE", c->what, o->name, text);
	case VALUE_AFFINITY:
		if (strcmp(text, "none") && strcmp(text, "flow"))
			return cli_fail(EXIT_USAGE, "%s: --affinity is none or flow, not \"%s\"", c->what, text);
		value = json_boolean(!strcmp(text, "flow"));
		break;
	case VALUE_TRUE:
	case VALUE_FALSE:
		value = json_boolean(o->value == VALUE_TRUE);
		break;
	}
	if (!value)
		return cli_fail(EXIT_USAGE, "%s: %s is no text that can be sent", c->what, o->name);
	(void)json_object_set_new(c->body, o->key, value);
	return 0;
}

struct verb {
	const char *name;
	const char *what;    /* "service add", for messages */
	int names;           /* how many arguments that are no options */
	bool has_options, has_json;
	int (*run)(struct command *c);
};

/* `holdfast service` or `holdfast backend`. */
struct noun {
	const char *usage;
	const struct verb *verbs;
	size_t verb_count;
	const struct option *options; /* of those verbs that have any */
	size_t option_count;
};

static int read_arguments(struct command *c, const struct noun *noun, const struct verb *verb, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const struct option *found = NULL;
		bool valued;
		int r = 0;

		for (size_t k = 0; verb->has_options && k < noun->option_count; k++)
			if (!strcmp(noun->options[k].name, argv[i]))
				found = &noun->options[k];
		valued = found && found->value < VALUE_TRUE;
		if (found && (!valued || i + 1 < argc))
			r = take_value(c, found, valued ? argv[++i] : "");
		else if (verb->has_json && !strcmp(argv[i], "--json"))
			c->as_json = true;
		else if (argv[i][0] != '-' && c->name_count < verb->names)
			c->names[c->name_count++] = argv[i];
		else if (!cli_node_option(&c->node, argc, argv, &i))
			r = cli_fail(EXIT_USAGE, "%s: \"%s\" is unknown here, or its value is missing; see --help", verb->what, argv[i]);
		if (r)
			return r;
	}
	if (c->name_count < verb->names)
		return cli_fail(EXIT_USAGE, "%s: an argument is missing; see --help", verb->what);
	return 0;
}

/* Takes "ADDR", "ADDR:PORT" or "[ADDR]:PORT" apart; what an address is, the node knows. */
static int take_endpoint(struct command *c, const char *text)
{
	const char *colon = strrchr(text, ':'), *end = text + strlen(text);
	json_t *port = NULL;

	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return cli_fail(EXIT_USAGE, "%s: \"%s\" is no ADDR or [ADDR]:PORT", c->what, text);
		text++;
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(text, ':') == colon) {
		end = colon;
	} else {
		colon = NULL; /* none, or those of an IPv6 address */
	}
	if (colon && !read_number(colon + 1, false, &port)) {
		json_decref(port);
		return cli_fail(EXIT_USAGE, "%s: \"%s\" is no port", c->what, colon + 1);
	}
	(void)json_object_set_new(c->body, "address", json_stringn(text, (size_t)(end - text)));
	if (port)
		(void)json_object_set_new(c->body, "port", port);
	return 0;
}

/* ---- talking to the node ---- */

/* Prints what the node says against it. */
static int refused(struct command *c, int status, const char *body)
{
	json_t *json = status > 0 ? json_loads(body, 0, NULL) : NULL;
	const char *error = json_string_value(json_object_get(json, "error"));
	int r;

	if (status == -EIO || status == -EPROTO)
		r = cli_fail(1, "%s: the node at %s stopped answering, so it may have been done or not: look with `holdfast service list`", c->what, c->node.address);
	else if (status < 0)
		r = cli_fail(1, "no node answers at %s: is it running? Name another one with --socket or --admin", c->node.address);
	else
		r = cli_fail(1, "%s: %s", c->what, error ? error : "the node answered with something else: is it of the same version?");
	json_decref(json);
	return r;
}

/* name: the service that is changed; NULL: it is new. */
static int change(struct command *c, const char *method, const char *name, const char *tail)
{
	char *text = json_dumps(c->body, JSON_COMPACT), *answer = NULL;
	char path[256];
	int status, r = 0;

	if (name && !service_name_ok(name)) {
		free(text);
		return cli_fail(1, "%s: there is no service \"%s\": names are of letters, digits, '.', '_' and '-'", c->what, name);
	}
	(void)snprintf(path, sizeof path, "/v1/services%s%s%s", name ? "/" : "", name ? name : "", tail);
	status = http_call(cli_node_address(&c->node), method, path, text, &answer);
	if (status != 200)
		r = refused(c, status, answer);
	free(text);
	free(answer);
	return r;
}

/* Returns all services, or NULL after a line on stderr. */
static json_t *get_services(struct command *c)
{
	char *answer = NULL;
	int status = http_call(cli_node_address(&c->node), "GET", "/v1/services", NULL, &answer);
	json_t *all = status == 200 ? json_loads(answer, 0, NULL) : NULL;

	if (!all)
		(void)refused(c, status, answer);
	free(answer);
	return all;
}

/* ---- printing ---- */

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static long long number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void print_json(const json_t *o)
{
	(void)json_dumpf(o, stdout, JSON_INDENT(2));
	printf("\n");
}

static void print_list(const json_t *all)
{
	json_t *s;
	size_t i;

	printf("%-20s %-5s %-40s %6s %-9s %-7s %8s\n", "NAME", "PROTO", "VIP", "PORT", "SCHEDULER", "DELIVER", "BACKENDS");
	json_array_foreach(json_object_get(all, "services"), i, s)
		printf("%-20s %-5s %-40s %6lld %-9s %-7s %8zu\n", text(s, "name"), text(s, "proto"), text(s, "vip"), number(s, "port"), text(s, "scheduler"),
		       text(s, "deliver"), json_array_size(json_object_get(s, "backends")));
}

static void print_prefixes(const json_t *s, const char *key, const char *empty)
{
	json_t *prefix;
	size_t i;

	printf("%-10s", key);
	json_array_foreach(json_object_get(s, key), i, prefix)
		printf(" %s", json_string_value(prefix));
	printf("%s\n", i ? "" : empty);
}

static void print_limits(const json_t *s)
{
	json_t *one;
	size_t i;

	printf("%-10s %lld new flows a second, %lld of a source (0: none)\n%-10s", "limit", number(s, "limit"), number(s, "limit_source"), "of prefix");
	json_array_foreach(json_object_get(s, "limit_prefix"), i, one)
		printf(" %s=%lld", text(one, "prefix"), number(one, "rate"));
	printf("%s\n", i ? "" : " none");
}

static void print_check(const json_t *s)
{
	printf("%-10s %s", "check", text(s, "check"));
	if (strcmp(text(s, "check"), "none"))
		printf(", every %lld ms, %lld ms to answer; %lld failures are down, %lld successes up again", number(s, "check_interval_ms"),
		       number(s, "check_timeout_ms"), number(s, "check_fall"), number(s, "check_rise"));
	printf("\n");
}

static bool is_listed(const json_t *pairs, long long service, long long number_of)
{
	json_t *pair;
	size_t i;

	json_array_foreach(pairs, i, pair)
		if (json_integer_value(json_array_get(pair, 0)) == service && json_integer_value(json_array_get(pair, 1)) == number_of)
			return true;
	return false;
}

/* Who has flows of an earlier generation still: of backends' sides, only those that hand packets on can tell. */
static void print_users(const json_t *leases, const json_t *s, long long generation)
{
	bool chained = json_is_true(json_object_get(s, "chain")) && !strcmp(text(s, "deliver"), "gue");
	json_t *one;
	size_t i;

	printf("%-10s %lld may have flows by", "earlier", generation);
	json_array_foreach(leases, i, one)
		if ((chained || !strcmp(text(one, "side"), "balancer")) && !is_listed(json_object_get(one, "idle"), number(s, "id"), generation))
			printf(" n%lld:%s", number(one, "node"), text(one, "id"));
	printf("\n");
}

/* What the prepared generation waits for: those that haven't got it, or room for it. */
static void print_prepared(const json_t *leases, const json_t *s)
{
	const json_t *prepared = json_object_get(s, "prepared");
	bool full = json_array_size(json_object_get(s, "generations")) == SERVICE_GENERATIONS;
	json_t *one;
	size_t i;

	printf("%-10s %lld, waits for%s", "prepared", number(prepared, "number"),
	       full ? " an earlier one to retire (--flow-idle says when a flow is over)" : "");
	json_array_foreach(leases, i, one)
		if (number(one, "version") < number(prepared, "version"))
			printf(" n%lld:%s", number(one, "node"), text(one, "id"));
	printf("\n");
}

/* Those of whom both are true, in a line that is left open; false: there are none. */
static bool print_those(const json_t *leases, const char *label, const char *key, const char *other_key)
{
	bool any = false;
	json_t *one;
	size_t i;

	json_array_foreach(leases, i, one) {
		if (!json_is_true(json_object_get(one, key)) || !json_is_true(json_object_get(one, other_key)))
			continue;
		if (!any)
			printf("%-10s", label);
		printf(" n%lld:%s", number(one, "node"), text(one, "id"));
		any = true;
	}
	return any;
}

/* Those that can't go by the catalog, or not by all of it: they are waited for by nobody. */
static void print_failed(const json_t *leases)
{
	if (print_those(leases, "failed", "failed", "heard"))
		printf(" (not all of the catalog is in force there; its log says why)\n");
}

static void print_generations(const json_t *leases, const json_t *s)
{
	const json_t *generations = json_object_get(s, "generations");
	size_t count = json_array_size(generations);

	printf("%-10s %lld, and %zu earlier\n", "generation", count ? number(json_array_get(generations, count - 1), "number") : 0,
	       count ? count - 1 : 0);
	for (size_t i = 0; i + 1 < count; i++)
		print_users(leases, s, number(json_array_get(generations, i), "number"));
	if (json_object_get(s, "prepared"))
		print_prepared(leases, s);
	print_failed(leases);
}

/* Who takes the VIP's packets: one answers for it on its LAN; where BIRD tells routers of all VIPs, it needs no owner. */
static void print_announcers(const json_t *leases, const json_t *owner)
{
	if (print_those(leases, "by BGP", "routes", "accepted"))
		printf("\n");
	else if (!owner)
		printf("%-10s nobody\n", "owner");
	if (owner)
		printf("%-10s n%lld:%s\n", "owner", number(owner, "node"), text(owner, "id"));
}

static const char *note(const json_t *o, const char *key, const char *words)
{
	return json_is_true(json_object_get(o, key)) ? words : "";
}

static void print_backend(const json_t *b)
{
	printf("%6lld %-40s %6lld %6lld", number(b, "id"), text(b, "address"), number(b, "port"), number(b, "weight"));
	if (text(b, "quic_id"))
		printf("  quic id %s", text(b, "quic_id"));
	if (json_object_get(b, "latency_us"))
		printf("  %lld%% of it, for it answers in %.1f ms", number(b, "percent"), (double)number(b, "latency_us") / 1000);
	printf("%s%s\n", note(b, "draining", "  draining"), note(b, "down", "  down"));
}

static void print_service(struct command *c, const json_t *s)
{
	json_t *known = http_get_json(cli_node_address(&c->node), "/v1/lb/leases"), *leases = json_object_get(known, "leases"), *b;
	size_t i;

	printf("%-10s %s (id %lld)\n%-10s %s %s port %lld\n", "service", text(s, "name"), number(s, "id"), "vip", text(s, "vip"), text(s, "proto"),
	       number(s, "port"));
	print_announcers(leases, json_object_get(s, "owner"));
	printf("%-10s %s\n%-10s %s, %s\n", "scheduler", text(s, "scheduler"), "deliver", text(s, "deliver"),
	       json_is_true(json_object_get(s, "chain")) ? "chained" : "not chained");
	printf("%-10s %s\n", "affinity", json_is_true(json_object_get(s, "affinity")) ? "flow" : "none");
	print_limits(s);
	printf("%-10s %s, too many are more than %lld a second\n", "syncookies", text(s, "syn_cookies"), number(s, "syn_rate"));
	printf("%-10s %s\n", "quicconfig", text(s, "quic_config"));
	print_prefixes(s, "allow", " everybody");
	print_prefixes(s, "deny", " nobody");
	print_check(s);
	printf("%-10s %lld s\n%-10s %lld s\n", "flow idle", number(s, "flow_idle"), "slow start", number(s, "slow_start"));
	print_generations(leases, s);
	json_decref(known);
	printf("%6s %-40s %6s %6s\n", "ID", "BACKEND", "PORT", "WEIGHT");
	json_array_foreach(json_object_get(s, "backends"), i, b)
		print_backend(b);
}

static int list(struct command *c)
{
	json_t *all = get_services(c);

	if (!all)
		return 1;
	if (c->as_json)
		print_json(all);
	else
		print_list(all);
	json_decref(all);
	return 0;
}

static int show(struct command *c)
{
	json_t *all = get_services(c), *s;
	int r = 1;
	size_t i;

	if (!all)
		return 1;
	json_array_foreach(json_object_get(all, "services"), i, s) {
		if (strcmp(text(s, "name"), c->names[0]))
			continue;
		if (c->as_json)
			print_json(s);
		else
			print_service(c, s);
		r = 0;
	}
	json_decref(all);
	return r ? cli_fail(1, "%s: there is no service \"%s\": `holdfast service list` shows those there are", c->what, c->names[0]) : 0;
}

/* ---- commands ---- */

static int service_add(struct command *c)
{
	if (!json_object_get(c->body, "vip") || !json_object_get(c->body, "proto") || !json_object_get(c->body, "port"))
		return cli_fail(EXIT_USAGE, "%s: --vip, --proto and --port are needed; see --help", c->what);
	(void)json_object_set_new(c->body, "name", json_string(c->names[0]));
	return change(c, "POST", NULL, "");
}

static int service_set(struct command *c)
{
	if (!json_object_size(c->body))
		return cli_fail(EXIT_USAGE, "%s: give at least one setting; see --help", c->what);
	return change(c, "PATCH", c->names[0], "");
}

static int service_rm(struct command *c)
{
	return change(c, "DELETE", c->names[0], "");
}

static int backend_change(struct command *c, const char *method)
{
	int r = take_endpoint(c, c->names[1]);

	return r ? r : change(c, method, c->names[0], "/backends");
}

static int backend_add(struct command *c)
{
	return backend_change(c, "POST");
}

static int backend_set(struct command *c)
{
	return backend_change(c, "PATCH");
}

static int backend_drain(struct command *c)
{
	(void)json_object_set_new(c->body, "draining", json_true());
	return backend_change(c, "PATCH");
}

static int backend_rm(struct command *c)
{
	return backend_change(c, "DELETE");
}

static const struct verb service_verbs[] = {
	{"add", "service add", 1, true, false, service_add}, {"set", "service set", 1, true, false, service_set},
	{"rm", "service rm", 1, false, false, service_rm},   {"list", "service list", 0, false, true, list},
	{"show", "service show", 1, false, true, show},
};

static const struct verb backend_verbs[] = {
	{"add", "backend add", 2, true, false, backend_add},        {"set", "backend set", 2, true, false, backend_set},
	{"drain", "backend drain", 2, false, false, backend_drain}, {"rm", "backend rm", 2, false, false, backend_rm},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct noun services = {service_usage, service_verbs, COUNT(service_verbs), service_options, COUNT(service_options)};
static const struct noun backends = {backend_usage, backend_verbs, COUNT(backend_verbs), backend_options, COUNT(backend_options)};

static int run_verb(const struct noun *noun, const struct verb *verb, int argc, char **argv)
{
	struct command c = {.what = verb->what, .body = json_object()};
	int r = read_arguments(&c, noun, verb, argc, argv);

	if (!r)
		r = verb->run(&c);
	json_decref(c.body);
	return r;
}

static int run(const struct noun *noun, int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], "--help")) {
			fputs(noun->usage, stdout);
			return 0;
		}
	for (size_t i = 0; argc && i < noun->verb_count; i++)
		if (!strcmp(noun->verbs[i].name, argv[0]))
			return run_verb(noun, &noun->verbs[i], argc - 1, argv + 1);
	fputs(noun->usage, stderr);
	return EXIT_USAGE;
}

int cli_service(int argc, char **argv)
{
	return run(&services, argc, argv);
}

int cli_backend(int argc, char **argv)
{
	return run(&backends, argc, argv);
}
