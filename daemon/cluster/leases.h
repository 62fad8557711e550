/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leases of those who balance: whoever reports keeps one for LEASE_NS more. They are no records (as etcd keeps its
 * leases alive without the log): every node hears every report, and only the leader of the catalog judges them. What it
 * concludes is a fact (fact.h) and becomes a record, so an idle catalog costs none:
 *
 *   joined   it reports, and the catalog doesn't know it
 *   left     the catalog knows it, and its lease has ended
 *   active   a prepared generation that everybody with a lease has in force; or there is no balancer ([two steps])
 *   tunnel   a balancer says that it tunnels from there, and the catalog doesn't know it
 *   tunnel gone   the oldest address that nobody with a lease tunnels from, where there is no room for another
 *   down     more than half of the balancers with a lease say so ([generations])
 *   up       more than half of them have reported and don't say so; between the two nothing changes
 *   retired  an earlier generation that everybody with a lease has had no flow of for the service's flow_idle_s
 *            ([generations]): balancers, and with chains the backends' sides, for who else knows. Nothing retires while no
 *            balancer is there, nor for flow_idle_s after this node saw one of these go: its flows may go on elsewhere, and
 *            idle ones haven't been seen there
 *            Or all earlier ones of a service, sooner: every backend of a kept generation has its host say that the active one by itself
 *            leads each flow there, and the same who else must know have had no flow of any for as long as what has no socket may last
 *   owner    a VIP whose owner has no lease, or doesn't announce: of those that do, the one with the fewest services; the
 *            others keep theirs, so one that comes back takes nothing away. Who lacks addresses for a VIP's snat
 *            gets it only if nobody has them, and some other service of the VIP needs none
 *   latency  the part of its weight that a backend gets where that goes by latency (latency.h)
 *
 * A node that begins to lead may have missed reports, and so may one that was stopped for a while: each lease gets a
 * full term then, and who has not reported since counts as one that has nothing in force and no opinion.
 *
 * A balancer that backends would take no tunnel from, because one with a lease hasn't got the catalog with its address in force yet, isn't
 * active: no VIP is made its own, nothing that is prepared is activated, and its own routes wait for that (lease_is_accepted()).
 *
 * A generation that is prepared for a service that keeps as many as it may is active only when one of those has retired.
 */
#ifndef HF_CLUSTER_LEASES_H
#define HF_CLUSTER_LEASES_H

#include "cluster/latency.h"
#include "cluster/report.h"
#include "cluster/services.h"
#include "io/io.h"

#define LEASE_NS (3 * NS_PER_S)

struct lease {
	struct report report;
	uint64_t end_ns;
	uint64_t heard_ns; /* when its report came */
	bool heard; /* else nothing but by is known */
};

struct leases {
	struct lease list[REPORTERS_MAX]; /* by reporter_compare() */
	uint32_t count;
	uint64_t looked_ns; /* when leases_expire() ran last */
	uint64_t left_ns;   /* when a lease ended last; 0: none has */
	struct latency_turns turns;
	uint64_t again_ns;  /* when there is something to conclude though nothing new was heard; 0: never */
};

void leases_fini(struct leases *l);
/*
 * A report came; what r holds is the lease's then, and r is empty. 1 if it says something new, 0 if not; -ENOSPC: as
 * many as there may be have one.
 */
int leases_take(struct leases *l, struct report *r, uint64_t now_ns);
/* Everybody that the catalog knows, and everybody heard, has a full term from now on. */
void leases_grace(struct leases *l, const struct services *s, uint64_t now_ns);
/*
 * Ends those whose time is over; true if there were any, or if there may be something to conclude now. To be called often: a long pause
 * counts as our own, and ends none.
 */
bool leases_expire(struct leases *l, const struct services *s, uint64_t now_ns);
/* What the leader concludes that the catalog doesn't know yet: at most FACTS_MAX, the rest when these are applied. */
uint32_t leases_conclude(struct leases *l, const struct services *s, struct fact *ret);
/* Whether it has a catalog in force, and the backends' sides have what it tunnels from; not those that have nothing in force. */
bool lease_is_accepted(const struct leases *l, const struct services *s, const struct lease *one);
/* NULL: it has none. */
const struct lease *leases_find(const struct leases *l, const struct reporter *who);
/* Whether a prepared generation of this service waits for it. */
bool lease_behind(const struct lease *one, const struct service *s);

#endif
