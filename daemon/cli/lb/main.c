/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lb/lb.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "lb/plane.h"

static const char usage[] =
	"usage: holdfast lb COMMAND [--interface IF] [--json]     on the balancer, as root; IF: the only one unless told\n"
	"  explain 'tcp 10.0.0.9:4242 > 10.1.1.1:80' [--connection-id HEX]\n"
	"                                              what becomes of such packets, and why; HEX: of a QUIC connection with this ID\n"
	"  top [--once]                                what is forwarded and dropped a second, by service, backend and reason; with --once, or\n"
	"                                              off a terminal, what was in all\n"
	"  capture --verdict drop|forward|pass|local [--reason NAME] [--service NAME] [--count N] --out FILE\n"
	"                                              packets of that verdict, as they came in, for tcpdump -r; - is the standard output\n";

/* The only interface that has pins; 0, or the exit status. */
static int find_interface(char *name, size_t size)
{
	DIR *dir = opendir(PLANE_ROOT);
	struct dirent *d;
	unsigned count = 0;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.') {
			(void)snprintf(name, size, "%s", d->d_name);
			count++;
		}
	if (dir)
		(void)closedir(dir);
	if (count == 1)
		return 0;
	if (count)
		return cli_fail(1, "there are %u interfaces under " PLANE_ROOT ": name one with --interface", count);
	return cli_fail(1, "nothing is pinned under " PLANE_ROOT ": start holdfast-lbd on this host, and run this as root");
}

/* Opens the maps of the balancer on an interface. 0, or the exit status: it was said why. */
static int open_balancer(struct maps *m, const char *interface)
{
	char path[PLANE_PATH_MAX];
	int r;

	plane_maps_path(path, interface, "lb");
	r = maps_open(m, path, false);
	if (r < 0)
		return cli_fail(1, "can't open the maps in %s: %s: holdfast-lbd balances on %s, and this is run as root?", path,
				strerror(-r), interface);
	return 0;
}

/* An option with a value. */
static const struct {
	const char *name;
	size_t field; /* of struct lb_options */
} values[] = {
	{"--interface", offsetof(struct lb_options, interface)}, {"--connection-id", offsetof(struct lb_options, connection_id)},
	{"--verdict", offsetof(struct lb_options, verdict)},
	{"--reason", offsetof(struct lb_options, reason)},       {"--service", offsetof(struct lb_options, service)},
	{"--count", offsetof(struct lb_options, count)},         {"--out", offsetof(struct lb_options, out)},
};

static bool take_value(struct lb_options *o, const char *name, const char *value)
{
	for (size_t i = 0; value && i < sizeof values / sizeof *values; i++)
		if (!strcmp(values[i].name, name)) {
			*(const char **)((char *)o + values[i].field) = value;
			return true;
		}
	return false;
}

static bool take_options(struct lb_options *o, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			o->json = true;
		else if (!strcmp(argv[i], "--once"))
			o->once = true;
		else if (argv[i][0] != '-' && !o->flow)
			o->flow = argv[i];
		else if (take_value(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			i++;
		else
			return false;
	}
	return true;
}

static bool of_capture(const struct lb_options *o)
{
	return o->verdict || o->reason || o->service || o->count || o->out;
}

static bool fits_explain(const struct lb_options *o)
{
	return o->flow && !o->once && !of_capture(o);
}

static bool fits_top(const struct lb_options *o)
{
	return !o->flow && !o->connection_id && !of_capture(o);
}

static bool fits_capture(const struct lb_options *o)
{
	return o->verdict && o->out && !o->flow && !o->connection_id && !o->once && !o->json;
}

static const struct command {
	const char *name;
	bool (*fits)(const struct lb_options *o); /* whether it has what it needs, and nothing else */
	int (*run)(const struct maps *m, const struct lb_options *o);
} commands[] = {
	{"explain", fits_explain, lb_explain},
	{"top", fits_top, lb_top},
	{"capture", fits_capture, lb_capture},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *command = find_command(name);
	struct lb_options o = {0};
	char interface[256];
	struct maps m;
	int r;

	if (!strcmp(name, "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (!command || !take_options(&o, argc - 2, argv + 2) || !command->fits(&o)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (!o.interface) {
		r = find_interface(interface, sizeof interface);
		if (r)
			return r;
		o.interface = interface;
	}
	r = open_balancer(&m, o.interface);
	if (r)
		return r;
	r = command->run(&m, &o);
	maps_close(&m);
	return r;
}
