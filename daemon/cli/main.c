/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const char usage[] =
	"usage: holdfast COMMAND ...\n"
	"  status [--json] [--socket PATH | --admin HOST:PORT]   what a node sees of the cluster\n"
	"  service add|set|rm|list|show                          what the load balancer serves (holdfast service --help)\n"
	"  backend add|set|drain|rm                              where it sends packets (holdfast backend --help)\n"
	"  dev up|down|status|kill|pause|resume|start|run        a cluster on this machine (holdfast dev --help)\n"
	"  lb explain|top|capture                                the load balancer on this host (holdfast lb --help)\n"
	"A node is found by --socket, --admin, $HOLDFAST_SOCKET, or it is the installed one.\n";

/* Each takes the arguments behind its own name. */
static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {{"status", cli_status}, {"service", cli_service}, {"backend", cli_backend}, {"dev", cli_dev}, {"lb", cli_lb}};

static int run(int argc, char **argv)
{
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		fputs(usage, stdout);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof *commands; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	fputs(usage, stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	cli_open_output();
	return cli_close_output(run(argc, argv));
}
