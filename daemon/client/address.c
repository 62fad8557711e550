/* SPDX-License-Identifier: Apache-2.0 */
#include "client/address.h"

#include <stdio.h>
#include <string.h>

#include "node.h"

/* Only our own: an empty host tells a client to take the one that it has already reached. */
bool node_store_cluster_address(const struct node *n, uint8_t node, char *ret, size_t size)
{
	const char *own = n->config->store_cluster, *port = strrchr(own, ':');

	if (node != n->config->node || !port)
		return false;
	if (n->config->announce[0])
		(void)snprintf(ret, size, "%s%s", n->config->announce, port);
	else if (!strncmp(own, "0.0.0.0:", 8) || !strncmp(own, "[::]:", 5))
		(void)snprintf(ret, size, "%s", port);
	else
		(void)snprintf(ret, size, "%s", own);
	return true;
}
