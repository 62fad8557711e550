/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this holdfast-lbd tells its node, each second and at once when it changed, on a thread of its own: POST /v1/lb/report. By it the
 * catalog's leader knows that it balances, what it has in force and which backends it sees fail ([two steps], [generations]).
 *
 * Its name in the cluster is the node's number and "host/interface", the same after a restart.
 */
#ifndef HF_LB_REPORT_H
#define HF_LB_REPORT_H

#include "lb/route.h"

#define REPORT_DOWN_MAX 4096u /* who sees more fail names the first ones */
#define REPORT_IDLE_MAX 1024u /* the same, of what is idle: that retires soon, and makes room for the next ones */
#define REPORT_FIGURES_MAX 1024u /* as REPORT_DOWN_MAX, of one kind */
#define REPORT_COUNTED_MS 2000 /* what has not been counted anew for so long isn't said again */
#define LEASE_MS 3000         /* at most; the cluster's (cluster/leases.h) */

struct lb_report {
	uint64_t version; /* of the catalog, that the data plane has in force, or that was refused */
	bool failed;      /* not all of that fitted, or none of it was understood: the rest is as it was */
	bool announces;   /* it answers for the VIPs that it is made the owner of */
	bool routes;      /* it has BIRD announce all of them */
	bool snat4, snat6; /* it has addresses of its own for snat */
	struct tunnel_ends tunnels; /* which backends are to accept */
	/*
	 * Backends that fail this balancer's own checks, by service and backend id, ascending. One that hasn't been checked often enough to
	 * tell, as after a restart, is what the catalog says of it: who leaves out a dead one says that it lives.
	 */
	const struct catalog_place *down;
	uint32_t down_count;
	const struct catalog_past *idle; /* earlier generations without flows here (earlier.h), ascending */
	uint32_t idle_count;
	const struct catalog_past *quiet; /* as idle, for EARLIER_QUIET_S; the same ones may be in both */
	uint32_t quiet_count;
};

/* What the catalog's leader granted last. */
struct lb_lease {
	uint32_t id;       /* by which the catalog names this balancer as an owner; 0: none was granted yet */
	uint64_t until_ms; /* boottime_ms(): from then on somebody else may be the owner */
	bool accepted;     /* backends take its tunnels: packets may be called here */
};

/* A figure that was found out about a backend. */
struct lb_figure {
	struct catalog_place backend;
	uint32_t value;
};

/* What the host of a backend's side has found out about the sockets of its services (hosted.h); both by service and backend id, ascending. */
struct lb_borne {
	struct lb_figure *sockets; /* how many carry flows */
	uint32_t socket_count;
	struct lb_figure *led; /* the generation that leads the flow of every one there by itself */
	uint32_t led_count;
};

/* Of a backend, as its own host has counted. */
struct lb_told {
	struct catalog_place backend;
	uint32_t sockets;    /* that carry flows */
	uint64_t counted_ms; /* boottime_ms() then */
};

struct reporter;

/* To a node at "unix:/path" or "host:port"; first is copied, too. Returns 0 or negative errno. */
int report_start(struct reporter **ret, const char *address, const char *interface, bool backend, const struct lb_report *first);
/* From now on this; it is copied. */
void report_tell(struct reporter *r, const struct lb_report *report);
/* In us, by the latest health checks; by service and backend id, ascending; copied. They go with the next report: what is measured anew each
 * second is no news. */
void report_latencies(struct reporter *r, const struct lb_figure *list, uint32_t count);
/* Of a backend's side, found out now: as those, but told at once, so that what balancers hear is as old as they are told. What isn't found out
 * anew for a while isn't told any more. */
void report_borne(struct reporter *r, const struct lb_borne *b);
/*
 * To a balancer: what the answers to its reports tell of backends' sockets, ascending; of a backend that several sides count, the latest. How
 * many there are; *ret is to be freed. It is the caller's to judge what is too old.
 */
uint32_t report_told_sockets(struct reporter *r, struct lb_told **ret);
/*
 * Whether a leader hears the reports, and so judges by them: for a lease already, and within the last one. If not, the caller skips what
 * fails its own checks. Not so at first: who is started anew while it is cut off skips on what it skipped before.
 */
bool report_heard(struct reporter *r);
/* Readable when report_heard() says something else than before; report_heard() makes it unreadable. */
int report_fd(const struct reporter *r);
/*
 * The lease counts from when the report was *sent* that was answered, less 1 % for drift between clocks: it ends here before it can
 * have ended elsewhere ([promise]).
 */
struct lb_lease report_lease(struct reporter *r);
/* Readable when the lease has been extended; report_lease() makes it unreadable. */
int report_lease_fd(const struct reporter *r);

#endif
