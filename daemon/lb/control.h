/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancing daemon does while its data plane forwards, whichever that is: it checks the backends' health, waits for the results, the
 * catalog, the routes and signals, has the data plane brought to what they say, has its VIPs announced, reports to its node what is in force,
 * and answers who asks it.
 */
#ifndef HF_LB_CONTROL_H
#define HF_LB_CONTROL_H

#include "lb/announce.h"
#include "lb/catalog.h"
#include "lb/earlier.h"
#include "lb/follow.h"
#include "lb/prober.h"
#include "lb/report.h"
#include "lb/route.h"
#include "lb/scrape.h"

/*
 * Brings the data plane to a catalog and to what the own checks say, as feed_apply() has it; both are the caller's. routes_changed: every
 * way to a backend is out of date. 0, or negative errno if not all of it is in force.
 */
typedef int control_apply(void *arg, const struct lb_catalog *c, const struct check_list *own, bool routes_changed);
/* Finishes what that left, which may take a while: called when no other catalog has come for a moment ([two steps]). */
typedef void control_settle(void *arg);
/* Counts what the services of the catalog in force have to bear: once a second while any of them goes by that (lb/loads.h). told: what their
 * hosts have counted, as report_told_sockets() has it. */
typedef void control_count(void *arg, const struct lb_catalog *c, const struct lb_told *told, uint32_t told_count);
/* The same of what this host bears, on the backend's side: while any of them goes by that, or has earlier generations. As hosted_count(). */
typedef void control_bear(void *arg, struct lb_borne *ret);

#define CONTROL_SITES 2

/* Whose control it is. What is pointed to must outlive it. */
struct control_side {
	const char *socket;    /* the Unix socket of the node to follow and to report to */
	const char *interface; /* tells the balancers of a host apart */
	bool backend;          /* the backend's side instead of the balancer's */
	struct announcer *announcer;   /* opened; NULL: it announces nothing */
	const struct sources *sources; /* its addresses for snat */
	const struct tunnel_ends *tunnels; /* the data plane's, as of the last apply; NULL on the backend's side */
	struct routes *routes;
	control_apply *apply;
	control_settle *settle;
	control_count *count; /* NULL on the backend's side */
	control_bear *bear;   /* NULL but on the backend's side */
	struct earlier_plane earlier;
	void *arg;                         /* of apply and settle */
	struct scrape_site sites[CONTROL_SITES]; /* what is told to whoever asks; metrics, for one */
};

struct control {
	struct control_side side;
	struct follower *follower;
	struct reporter *reporter;
	bool heard;                /* as report_heard() said last */
	struct prober *prober;     /* of a balancer; else NULL */
	struct check_list checked; /* what it found last */
	struct scrape *scrapes[CONTROL_SITES]; /* NULL: nobody asks there */
	struct lb_report report;   /* as it was told last; at first, that nothing is in force */
	struct lb_catalog catalog; /* in force */
	bool has_catalog;
	bool failed; /* not all of it is in force */
	struct earlier earlier;
	bool loads, latencies; /* some service goes by those */
	bool borne;            /* what this host bears is to be reported */
	uint64_t count_ms; /* when loads are to be counted, and latencies reported, next; UINT64_MAX: no service goes by any */
	uint64_t settled_version; /* of the catalog that was in force when that was done last */
	uint64_t settle_ms; /* when what was replaced is to be swept away; UINT64_MAX: that is done */
	uint64_t look_ms; /* when it is to be looked for generations without flows; UINT64_MAX: not at all */
	int signals; /* SIGTERM and SIGINT */
	int tick;    /* a timer, for what expires by time */
};

/* The node's socket for who isn't told another: $HOLDFAST_SOCKET, else where the installed node has it. */
const char *control_socket_default(void);
/* Takes over the signals that end a daemon: before any thread is started, which would get them. 0 or negative errno. */
int control_init(struct control *c);
/* Follows the node and reports to it; begins to announce. 0 or negative errno. */
int control_start(struct control *c, const struct control_side *side);
/* 0 when a signal asks the daemon to end, or at that time by boottime_ms(); UINT64_MAX is never. -ENODEV, which was logged, when the interface
 * of side.routes was removed. */
int control_run(struct control *c, uint64_t end_ms);
/* After that: nobody is to send here any more; what still comes is forwarded, and the catalog is followed, until these seconds, which are the
 * operator's, are over or another signal comes. */
void control_drain(struct control *c, unsigned long seconds);

#endif
