/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How loaded the backends of services by two choices are ([schedulers]): their flows, for their weight.
 *
 * Packets count the flows that begin. Once a second the counts give way to what is known better. That is, where the hosts of all backends
 * that get new flows have told of it within a lease: the sockets that each has, whoever sent it the flows, and what this balancer has sent
 * there since they were counted (hosted.h, begun.h). One backend's sockets don't compare with another one's flows through here, so else, of
 * the whole service, what can be seen from here:
 *
 *   snat             connections that neither side has ended
 *   by flow table    flows in it that haven't expired and that the client hasn't ended; datagrams count until they expire
 *   chained          nothing is recorded, so the end of a flow shows by nothing: the counts fall by a sixteenth, and say who got more flows
 *                    of the last quarter of a minute, say
 *
 * Those are this balancer's flows alone. Routers spread flows over balancers evenly, so what each sees is a sample of what a backend has.
 */
#ifndef HF_LB_LOADS_H
#define HF_LB_LOADS_H

#include "lb/begun.h"
#include "lb/report.h"

struct loads {
	struct begun begun;
};

/* What there is to go by. */
struct loads_view {
	const struct lb_catalog *catalog;
	const struct lb_config *config; /* the one in force */
	uint32_t now_ticks;
	uint64_t now_ms;            /* boottime_ms() */
	const struct lb_told *told; /* as report_told_sockets() has it */
	uint32_t told_count;
};

/* What a service's backends have weight for: that of the active generation. They have their numbers. */
void loads_weigh(struct tables *t, const struct lb_service *s, const struct catalog_service *c);
/* Whether any service goes by loads: else there is nothing to look at. */
bool loads_wanted(const struct lb_catalog *c);
/* What is there now, of the services in this catalog; it may read all of the flow table. l is zeroed before the first look. */
void loads_look(struct loads *l, struct tables *t, const struct loads_view *v);

#endif
