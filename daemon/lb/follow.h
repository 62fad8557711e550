/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the catalog through a node by long poll, GET /v1/lb?after=VERSION, on a thread of its own. When the node is away it is asked
 * again, and whoever follows goes on with what it has.
 */
#ifndef HF_LB_FOLLOW_H
#define HF_LB_FOLLOW_H

#include "lb/catalog.h"

struct follower;

/* From a node at "unix:/path" or "host:port". Returns 0 or negative errno. */
int follow_start(struct follower **ret, const char *address);
/* Readable while there is something to take. */
int follow_fd(const struct follower *f);
/* The latest catalog if there is a new one: true, and *ret is the caller's to free. */
bool follow_take(struct follower *f, struct lb_catalog *ret);

/* The version of a catalog that was refused after the last good one; 0: none was, or it didn't say. follow_fd() tells of it, too. */
uint64_t follow_refused(struct follower *f);

#endif
