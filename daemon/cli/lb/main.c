/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lb/lb.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "lb/plane.h"

static const char usage[] =
	"usage: holdfast lb COMMAND [--interface IF] [--json]     on the balancer, as root; IF: the only one unless told\n"
	"  explain 'tcp 10.0.0.9:4242 > 10.1.1.1:80'   what becomes of such packets, and why\n"
	"  top [--once]                                what is forwarded and dropped a second, by service, backend and reason; with --once, or\n"
	"                                              off a terminal, what was in all\n";

const char *lb_address_text(char *text, const struct lb_address *addr, unsigned family)
{
	return inet_ntop(family == LB_IP6 ? AF_INET6 : AF_INET, addr, text, LB_TEXT_MAX);
}

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
static int open_balancer(struct maps *m, const struct lb_options *o)
{
	char interface[256], path[PLANE_PATH_MAX];
	int r;

	if (o->interface) {
		(void)snprintf(interface, sizeof interface, "%s", o->interface);
	} else {
		r = find_interface(interface, sizeof interface);
		if (r)
			return r;
	}
	plane_maps_path(path, interface, "lb");
	r = maps_open(m, path, false);
	if (r < 0)
		return cli_fail(1, "can't open the maps in %s: %s: holdfast-lbd balances on %s, and this is run as root?", path,
				strerror(-r), interface);
	return 0;
}

static bool take_options(struct lb_options *o, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			o->json = true;
		else if (!strcmp(argv[i], "--once"))
			o->once = true;
		else if (!strcmp(argv[i], "--interface") && i + 1 < argc)
			o->interface = argv[++i];
		else if (argv[i][0] != '-' && !o->flow)
			o->flow = argv[i];
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct lb_options o = {0};
	bool explain = argc > 1 && !strcmp(argv[1], "explain"), top = argc > 1 && !strcmp(argv[1], "top");
	struct maps m;
	int r;

	if (argc > 1 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if ((!explain && !top) || !take_options(&o, argc - 2, argv + 2) || explain != (o.flow != NULL)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	r = open_balancer(&m, &o);
	if (r)
		return r;
	r = explain ? lb_explain(&m, &o) : lb_top(&m, &o);
	maps_close(&m);
	return r;
}
