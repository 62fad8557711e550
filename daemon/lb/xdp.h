/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The XDP data plane: puts the catalog into the balancer's maps while packets are forwarded by them.
 *
 *   a service or a backend keeps its number as long as it is known: the flow table holds numbers
 *   slots         written into the table that is not in use; one store of the generation word flips ([maps])
 *   backends      flags and next hop are one word, one store; more room is a copy elsewhere, then one store of its base
 *   VIPs          added when all they lead to is there, and removed before it goes
 *
 * What was in use is written again only when no packet can still be reading it: after a grace period of the kernel's.
 */
#ifndef HF_LB_XDP_H
#define HF_LB_XDP_H

#include "lb/catalog.h"
#include "lb/maps.h"
#include "lb/route.h"

struct bpf_object;

struct xdp {
	struct maps maps;
	struct routes *routes;
	bool ways_stale;     /* routes changed: all ways are looked for, not just those that aren't known */
	uint32_t unresolved; /* backends whose next hop isn't known yet */
};

/* Sizes of the maps, before the object is loaded. 0, or negative errno. */
int xdp_set_sizes(struct bpf_object *object);
/* On the maps pinned in a directory; routes must outlive it. 0, or negative errno. */
int xdp_open(struct xdp *x, const char *maps, struct routes *routes);
void xdp_close(struct xdp *x);
/*
 * Brings the maps to what the catalog says and the routes allow. Only what changed is written. 0, or negative errno of the first thing
 * that failed, which was logged; the rest is in force.
 */
int xdp_apply(struct xdp *x, const struct lb_catalog *c);

#endif
