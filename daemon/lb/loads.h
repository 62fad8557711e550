/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How loaded the backends of services by two choices are ([schedulers]): their flows through this balancer, for their weight.
 *
 * Packets count the flows that begin. Once a second the counts give way to what can be seen:
 *
 *   snat             connections that neither side has ended
 *   by flow table    flows in it that haven't expired and that the client hasn't ended; datagrams count until they expire
 *   chained          nothing is recorded, so the end of a flow shows by nothing: the counts fall by a sixteenth, and say who got more flows
 *                    of the last quarter of a minute, say
 *
 * These are this balancer's flows alone. Routers spread flows over balancers evenly, so what each sees is a sample of what a backend has.
 */
#ifndef HF_LB_LOADS_H
#define HF_LB_LOADS_H

#include "lb/catalog.h"
#include "lb/tables.h"

/* What a service's backends have weight for: that of the active generation. They have their numbers. */
void loads_weigh(struct tables *t, const struct lb_service *s, const struct catalog_service *c);
/* Whether any service goes by loads: else there is nothing to look at. */
bool loads_wanted(const struct lb_catalog *c);
/* What is there now, of the services in this catalog; it reads all of the flow table. config: the one in force. */
void loads_look(struct tables *t, const struct lb_catalog *c, const struct lb_config *config, uint32_t now_ticks);

#endif
