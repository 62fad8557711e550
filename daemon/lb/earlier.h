/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which earlier generations of the services have no flows here any more, so that they may retire by a record ([generations]).
 *
 * A generation may have flows as long as one of its backends had a packet as an older owner within flow_idle. A flow that is only silent
 * shows by nothing, so the time counts from when the generation was no longer the active one, and who has just been started counts from
 * then, for it doesn't know what was before. A service that this balancer knows from its beginning, or from before it had backends, and
 * that hasn't had a packet has no flows, whatever its age: one whose backends are added one by one keeps none of what it had before the first client comes.
 *
 * While a slow start lasts, the newcomer's slots have an earlier owner to go to: its generation stays.
 *
 * Datagrams' flows are over sooner, by the idle time of their table entries; without affinity there are none. Where flows stay with their backend whatever the slots say -
 * round robin, snat - only backends that get no new flows any more are older owners.
 *
 * Times are ticks, as in bpf/lb_abi.h.
 *
 * That is flow_idle, unless the backends' hosts show by their sockets that there is no flow left, however silent (hosted.h). Then only such
 * flows are to be waited for as have no socket: those of which a packet comes, and so shows here, and those that wait to get one. Let the
 * hosts have counted at C, and a report of ours be made at R. A flow that needs an earlier generation at R
 *
 *   had a socket at C                it would have been counted
 *   its SYN came by after C          as a packet to an older owner: R would say so, as R is not more than a lease and a count's age after C
 *   its SYN came by before C, and    with a packet to an older owner, too, and a socket is there as soon as the SYN is. Except by a cookie, which
 *   had no socket at C               is good for EARLIER_COOKIE_S at most (Linux: MAX_SYNCOOKIE_AGE minutes); then RST answers the client's ACK
 *
 * So there is none if no packet came to an older owner in EARLIER_QUIET_S before R: a cookie's time, that from C to R, and some for the SYN's
 * way. Who doesn't have the active generation yet begins flows by one before it, and doesn't call that one quiet. What began
 * between R and the record, through a flow table that still had the addresses and ports of a flow before, is led anew, as behind flow_idle.
 */
#ifndef HF_LB_EARLIER_H
#define HF_LB_EARLIER_H

#include "lb/catalog.h"

/* Seconds. */
#define EARLIER_COOKIE_S 120u
#define EARLIER_QUIET_S (EARLIER_COOKIE_S + 10)

/* A data plane, as far as it can tell. Both may be asked of any service of the catalog in force. */
struct earlier_plane {
	/* By place in s->backends: when a packet last came there as to an older owner; 0: never. */
	void (*last)(void *arg, const struct catalog_service *s, uint32_t *ret);
	/* A number that is another one as soon as there was a packet of the service that matters here. */
	uint64_t (*seen)(void *arg, const struct catalog_service *s);
	void *arg;
};

struct earlier {
	struct earlier_plane plane;
	struct earlier_service *services; /* in the catalog's order */
	uint32_t count;
	bool follows; /* a catalog was in force before: what it didn't have is new */
};

void earlier_init(struct earlier *e, const struct earlier_plane *plane);
/* This catalog is in force, now. */
void earlier_follow(struct earlier *e, const struct lb_catalog *c, uint32_t now);
/*
 * Those without flows for flow_idle, or for most_s if that is less; by service and generation, ascending if the catalog's services are; *ret
 * is to be freed. How many: at most max.
 * *ret_ticks: how long from now there can be no more of them; it is to be asked again then. 0: there are no others.
 */
uint32_t earlier_idle(const struct earlier *e, const struct lb_catalog *c, uint32_t now, uint32_t most_s, uint32_t max,
		      struct catalog_past **ret, uint32_t *ret_ticks);
/* So long a flow of a service may be silent. */
uint32_t earlier_idle_ticks(const struct catalog_service *s);

#endif
