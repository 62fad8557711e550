/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the catalog into a data plane's tables while packets are forwarded by them.
 *
 *   numbers       of services and backends stay as long as these are known (numbers.h)
 *   slots         by a table that is not in use, and one store (slot_table.h)
 *   backends      flags and next hop are one word, one store; more room is a copy elsewhere, then one store of its base
 *   replies       of dnat backends, removed ones included while the catalog lists them; added before a VIP leads to these, removed after
 *   server IDs    of QUIC, as replies, but behind their backends; one that isn't there goes by hash
 *   flows         of slots that no longer count as moved are forgotten before those can move again (flow_table.h)
 *   VIPs          added when all they lead to is there, and removed before it goes
 *
 * What was in use is written again only when no packet can still be reading it: the data plane says when.
 */
#ifndef HF_LB_FEED_H
#define HF_LB_FEED_H

#include "lb/check.h"
#include "lb/loads.h"
#include "lb/maglev_cache.h"
#include "lb/route.h"
#include "lb/sources.h"
#include "lb/tables.h"

struct feed {
	struct tables *tables;
	struct routes *routes;
	const struct sources *sources;
	struct maglev_cache maglevs;
	struct loads loads;
	struct plan *unsettled;     /* in force, what it replaced still to be swept away */
	struct tunnel_ends tunnels; /* the data plane's, as of the last feed_apply() */
	bool flows_stale;           /* the flow table has some to be forgotten, perhaps */
	bool ways_stale;            /* routes changed: all ways are looked for, not just those that aren't known */
	uint32_t unresolved;        /* backends whose next hop isn't known yet */
	bool no_gateway;            /* was said: NAT has no way back to the clients */
};

/* All must outlive it; sources is what snat takes. What the tables hold stays in force, and is looked through at the first catalog. */
void feed_init(struct feed *f, struct tables *tables, struct routes *routes, const struct sources *sources);
/*
 * Brings the tables to what the catalog says and the routes allow. Only what changed is written. own: what this balancer's checks say, to
 * go by where no record of a backend's death can be had; NULL: records can be had, and only they count (lb/skip.h). Some things expire by
 * time: it is to be called now and then, a minute apart say. 0, or negative errno of the first thing that failed, which was logged; the
 * rest is in force.
 */
int feed_apply(struct feed *f, const struct lb_catalog *c, const struct check_list *own);
/* By place in s->backends: when a packet last came there as to an older owner of its slot, or by a connection of snat; 0: never. */
void feed_last_older(const struct feed *f, const struct catalog_service *s, uint32_t *ret);
/* What the services of the catalog in force have to bear is found anew (lb/loads.h); to be called once a second if loads_wanted(). told:
 * what their hosts have counted, as report_told_sockets() has it. */
void feed_count_loads(struct feed *f, const struct lb_catalog *c, const struct lb_told *told, uint32_t told_count);
/*
 * Waits until no packet can be reading what feed_apply() replaced, and sweeps it away; nothing if that is done. Apart, because the kernel
 * takes some 8 ms for it, in which the next change can already be in force ([two steps]). The third feed_apply() in a row calls it.
 */
void feed_settle(struct feed *f);

#endif
