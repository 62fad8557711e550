/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "config.h"

void config_store_cluster(const struct config *c, char *ret, unsigned size)
{
	const char *own = c->store_cluster, *port = strrchr(own, ':');

	memset(ret, 0, size);
	if (!port)
		return;
	if (c->announce[0])
		(void)snprintf(ret, size, "%s%s", c->announce, port);
	else if (!strncmp(own, "0.0.0.0:", 8) || !strncmp(own, "[::]:", 5))
		(void)snprintf(ret, size, "%s", port);
	else
		(void)snprintf(ret, size, "%s", own);
}
