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
	"  lb explain|top                                        the load balancer on this host (holdfast lb --help)\n"
	"A node is found by --socket, --admin, $HOLDFAST_SOCKET, or it is the installed one.\n";

int main(int argc, char **argv)
{
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "status"))
		return cli_status(argc - 2, argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "service"))
		return cli_service(argc - 2, argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "backend"))
		return cli_backend(argc - 2, argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "dev"))
		return cli_dev(argc - 2, argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "lb"))
		return cli_lb(argc - 2, argv + 2);
	fputs(usage, stderr);
	return EXIT_USAGE;
}
