/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lb/lb.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lb/plane.h"
#include "lb/twin.h"

#define UNIX "unix:" /* what http_get() has before a socket's path */

static const char usage[] =
	"usage: holdfast lb COMMAND [--interface IF] [--json]     on the balancer, as root; IF: the only one unless told\n"
	"  explain 'tcp 10.0.0.9:4242 > 10.1.1.1:80' [--connection-id HEX]\n"
	"                                              what becomes of such packets, and why; HEX: of a QUIC connection with this ID\n"
	"  top [--once]                                what is forwarded and dropped a second, by service, backend and reason; with --once, or\n"
	"                                              off a terminal, what was in all\n"
	"  capture --verdict drop|forward|pass|local [--reason NAME] [--service NAME] [--count N] --out FILE\n"
	"                                              packets of that verdict, as they came in, for tcpdump -r; - is the standard output\n";

/* The interfaces named in a directory, each with this suffix: how many, and the first one's name if there was none before. */
static unsigned find_interfaces(const char *path, const char *suffix, char *name)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	unsigned count = 0;

	while (dir && (d = readdir(dir))) {
		size_t size = strlen(d->d_name), rest = size > strlen(suffix) ? size - strlen(suffix) : 0;

		if (d->d_name[0] == '.' || !rest || strcmp(d->d_name + rest, suffix) != 0)
			continue;
		if (!*name)
			(void)snprintf(name, IF_NAMESIZE, "%.*s", (int)rest, d->d_name);
		count++;
	}
	if (dir)
		(void)closedir(dir);
	return count;
}

/* As the kernel has it: what is longer would be cut to the name of another one, and a path leads elsewhere. */
static bool is_interface_name(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size < IF_NAMESIZE && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcspn(name, "/: \t\n\v\f\r") == size;
}

/* The interface that is named. 0, or the exit status. */
static int take_interface(char *ret, const char *name)
{
	if (!is_interface_name(name))
		return cli_fail(EXIT_USAGE, "\"%s\" is no interface's name: those are of 1 to %u characters, as `ip link` shows them", name, IF_NAMESIZE - 1);
	(void)snprintf(ret, IF_NAMESIZE, "%s", name);
	return 0;
}

/* The only interface that has pins, or is a twin's; 0, or the exit status. */
static int find_interface(char *name)
{
	unsigned count = find_interfaces(PLANE_ROOT, "", name) + find_interfaces(TWIN_ROOT, TWIN_SUFFIX, name);

	if (count == 1)
		return 0;
	if (count)
		return cli_fail(1, "there are %u interfaces under " PLANE_ROOT " and " TWIN_ROOT ": name one with --interface", count);
	return cli_fail(1, "nothing is pinned under " PLANE_ROOT ": start holdfast-lbd on this host, and run this as root");
}

/* Finds the balancer on an interface, and opens the maps it has. 0, or the exit status: it was said why. */
static int open_side(struct lb_side *side)
{
	char path[PLANE_PATH_MAX];
	int r;

	(void)snprintf(side->twin, sizeof side->twin, UNIX TWIN_ROOT "/%s" TWIN_SUFFIX, side->interface);
	if (access(side->twin + strlen(UNIX), F_OK) == 0)
		return 0;
	side->twin[0] = 0;
	plane_maps_path(path, side->interface, "lb");
	r = maps_open(&side->maps, path, false);
	if (r < 0)
		return cli_fail(1, "can't open the maps in %s: %s: holdfast-lbd balances on %s, and this is run as root?", path,
				strerror(-r), side->interface);
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
	int (*run)(const struct lb_side *side, const struct lb_options *o);
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

static int run(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const struct command *command = find_command(name);
	struct lb_options o = {0};
	struct lb_side side = {0};
	int r;

	if (!strcmp(name, "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (!command || !take_options(&o, argc - 2, argv + 2) || !command->fits(&o)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	r = o.interface ? take_interface(side.interface, o.interface) : find_interface(side.interface);
	if (r == 0)
		r = open_side(&side);
	if (r)
		return r;
	r = command->run(&side, &o);
	if (!*side.twin)
		maps_close(&side.maps);
	return r;
}

int main(int argc, char **argv)
{
	cli_open_output();
	return cli_close_output(run(argc, argv));
}
