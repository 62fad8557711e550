/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this holdfast-lbd tells its node, each second and at once when it changed, on a thread of its own: POST /v1/lb/report. By it the
 * catalog's leader knows that it balances, what it has in force and which backends it sees fail ([two steps], [generations]).
 *
 * Its name in the cluster is the node's number and "host/interface", the same after a restart.
 */
#ifndef HF_LB_REPORT_H
#define HF_LB_REPORT_H

#include "lb/catalog.h"

#define REPORT_DOWN_MAX 4096u /* who sees more fail names the first ones */

struct lb_report {
	uint64_t version; /* of the catalog, that the data plane has in force */
	bool failed;      /* not all of that fitted: the rest is as it was */
	/*
	 * Backends that fail this balancer's own checks, by service and backend id, ascending. One that hasn't been checked often enough to
	 * tell, as after a restart, is what the catalog says of it: who leaves out a dead one says that it lives.
	 */
	const struct catalog_place *down;
	uint32_t down_count;
};

struct reporter;

/* To a node at "unix:/path" or "host:port"; first is copied, too. Returns 0 or negative errno. */
int report_start(struct reporter **ret, const char *address, const char *interface, bool backend, const struct lb_report *first);
/* From now on this; it is copied. */
void report_tell(struct reporter *r, const struct lb_report *report);
/*
 * Whether a leader hears the reports, and so judges by them: for a lease already, and within the last one. If not, the caller skips what
 * fails its own checks. Not so at first: who is started anew while it is cut off skips on what it skipped before.
 */
bool report_heard(struct reporter *r);
/* Readable when report_heard() says something else than before; report_heard() makes it unreadable. */
int report_fd(const struct reporter *r);

#endif
