/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where balancers tunnel from: the outer source addresses that backends accept ([chain]), as those who joined have told them (report.h), in
 * the order in which they were found. Part of the services' state.
 *
 * An address stays when its balancer has left: what that one put on its interface forwards on without it (law 7), and nobody can tell when
 * its host is gone. Only where there is no room for another do addresses go that nobody tunnels from, the oldest first (leases.h).
 */
#ifndef HF_CLUSTER_TUNNELS_H
#define HF_CLUSTER_TUNNELS_H

#include "base/ip.h"
#include "cluster/fact.h"

#define TUNNELS_EACH_MAX 2u                                  /* of one balancer: one of each family */
#define TUNNELS_MAX ((TUNNELS_EACH_MAX + 1) * REPORTERS_MAX) /* of all that may be there, and some of those that have left */

struct tunnel {
	struct ip from;
	uint64_t since; /* the first version of the services that told of it */
};

struct tunnels {
	uint32_t count;
	struct tunnel list[TUNNELS_MAX];
};

/* NULL: it isn't there. */
const struct tunnel *tunnels_find(const struct tunnels *t, const struct ip *from);
/* False: it is there, or there is no room. */
bool tunnels_add(struct tunnels *t, const struct ip *from, uint64_t version);
/* False: it isn't there. */
bool tunnels_remove(struct tunnels *t, const struct ip *from);

/* In snapshots: count (4), then for each: address (ip.h), version (8). */
void tunnels_put(struct bytes *out, const struct tunnels *t);
/* What can't be any makes the cursor bad. */
void tunnels_get(struct cursor *in, struct tunnels *ret);
/* Over the content ([checksum]). */
uint64_t tunnels_sum(const struct tunnels *t);

#endif
