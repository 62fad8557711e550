/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one holdfast-lbd says of itself each second, and at once when it changed. No record: the node that it talks to
 * hands it to all nodes (reports.h), and the leader of the catalog draws its conclusions (leases.h).
 *
 * Between nodes: who (fact.h), version (8), failed (1), announces (1), routes (1), snat4 (1), snat6 (1), how many addresses it tunnels
 * from (1), then each (ip.h); how many are down (4), then for each: service (4), backend (4); how many are idle (4), then for each: service (4),
 * generation (4); how many were measured (4), then for each: service (4), backend (4), latency in us (4); of how many sockets were counted
 * (4), then for each: service (4), backend (4), sockets (4); how many are led (4), then for each: service (4), backend (4), generation (4);
 * how many are quiet (4), then as idle.
 */
#ifndef HF_CLUSTER_REPORT_H
#define HF_CLUSTER_REPORT_H

#include "cluster/tunnels.h"

#define REPORT_DOWN_MAX 4096u /* who sees more fail names the first ones */

#define REPORT_IDLE_MAX 1024u /* the same: what is idle retires soon, and makes room for the next ones */

#define REPORT_FIGURES_MAX 1024u /* of one kind, as many as a service has backends; who has more tells of the first ones */

/* A backend of a service, by their ids, or one of its generations. */
struct report_place {
	uint32_t service, number;
};

/* A figure that was found out about a backend. */
struct report_figure {
	struct report_place backend;
	uint32_t value;
};

/* One of each backend at most, ascending. */
struct report_figures {
	uint32_t count;
	struct report_figure *list;
};

struct report {
	struct reporter by;
	uint64_t version;  /* of the services, that its data plane has in force */
	bool failed;       /* not all of that fitted, or none of it was understood: the rest is as it was */
	bool announces;    /* it would answer for the VIPs that it is made the owner of */
	bool routes;       /* it has BIRD announce all VIPs, owned or not, once it is accepted; for people to see */
	bool snat4, snat6; /* it has addresses of its own to deliver by snat from */
	uint8_t tunnel_count;
	struct ip tunnels[TUNNELS_EACH_MAX]; /* what the packets come from that it tunnels to backends, as far as it knows */
	uint32_t down_count;
	struct report_place *down; /* backends that fail its own checks; ascending, each once */
	uint32_t idle_count;
	struct report_place *idle; /* earlier generations that have had no flow here for the service's flow_idle_s; ascending, each once */
	struct report_figures latencies; /* of services that go by them, in us: the median of a backend's last good checks; 1 at least */
	struct report_figures sockets; /* of a backend's side: the TCP sockets that carry flows of services that go by loads, by its own backends */
	struct report_figures led;     /* the same: the active generation, if that by itself leads every flow there; of services with earlier ones */
	uint32_t quiet_count;
	struct report_place *quiet; /* as idle, but for as long as what has no socket may last (daemon/lb/earlier.h) */
};

void report_fini(struct report *r);
/* But for latencies and sockets, which are never twice the same. */
bool report_equal(const struct report *a, const struct report *b);
bool report_says_down(const struct report *r, uint32_t service, uint32_t backend);
bool report_says_idle(const struct report *r, uint32_t service, uint32_t generation);
/* Or idle. */
bool report_says_quiet(const struct report *r, uint32_t service, uint32_t generation);
/* NULL: nothing is said of it. */
const struct report_figure *report_figure(const struct report_figures *f, uint32_t service, uint32_t backend);
void report_put(struct bytes *out, const struct report *r);
/* The cursor is bad if it is none; report_fini() all the same. */
void report_get(struct cursor *in, struct report *ret);

#endif
