/* SPDX-License-Identifier: Apache-2.0 */
/* Which node a command talks to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define DEFAULT_SOCKET "/run/holdfast/holdfast.sock"

bool cli_node_option(struct cli_node *n, int argc, char **argv, int *i)
{
	if (*i + 1 >= argc)
		return false;
	if (!strcmp(argv[*i], "--socket"))
		n->socket = argv[++*i];
	else if (!strcmp(argv[*i], "--admin"))
		n->admin = argv[++*i];
	else
		return false;
	return true;
}

const char *cli_node_address(struct cli_node *n)
{
	const char *socket = n->socket ? n->socket : getenv("HOLDFAST_SOCKET");

	if (n->admin)
		(void)snprintf(n->address, sizeof n->address, "%s", n->admin);
	else
		(void)snprintf(n->address, sizeof n->address, "unix:%s", socket && *socket ? socket : DEFAULT_SOCKET);
	return n->address;
}
