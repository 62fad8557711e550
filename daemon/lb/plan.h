/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a catalog asks of the tables beyond what lies in arrays: the keys that lead to its services, and what all of them together take.
 * What is wanted is gathered here and written by difference (wanted.h).
 */
#ifndef HF_LB_PLAN_H
#define HF_LB_PLAN_H

#include "lb/check.h"
#include "lb/tables.h"
#include "lb/wanted.h"

struct plan {
	uint32_t number[TABLES_SERVICES]; /* by place in the catalog; tables->service_count: none */
	bool used[TABLES_SERVICES];       /* by number */
	struct wanted vips, prefixes, replies, quic;
	uint32_t wildcards;
	uint32_t flow_idle_s; /* the longest: the flow table is for all */
	const struct check_list *own;
	uint32_t dnat, snat; /* services that deliver so */
	uint32_t nat4, nat6; /* the same by family */
	bool changed;        /* something that packets may still read was replaced */
	bool second;         /* what the plan before it replaced is still to be swept away, too */
	int error;           /* the first */
	bool failed;         /* not all of it was written: nothing may be swept away */
};

/* Nothing is wanted yet. own is the caller's. */
struct plan *plan_new(const struct check_list *own);
void plan_free(struct plan *p);

/* Each is about a service under its number, which is one. */
void plan_want_prefixes(struct plan *p, uint32_t number, const struct catalog_service *c); /* those with a limit, too */
void plan_want_vip(struct plan *p, uint32_t number, const struct catalog_service *c); /* and that its address is a VIP at all */
void plan_count_nat(struct plan *p, const struct catalog_service *c);
/* Server IDs of those of its backends that have a number. */
void plan_want_quic_ids(struct plan *p, const struct tables *t, uint32_t number, const struct catalog_service *c);
/* Of all services. */
void plan_want_replies(struct plan *p, const struct lb_catalog *c);

#endif
