/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the active generation of a service by itself leads a flow to this host ([generations]): if it does for every flow that the
 * service has anywhere, the earlier generations are of no use any more.
 *
 *   maglev, source   this host owns the flow's slot
 *   two choices      it owns one of the two
 *   round robin      it gets new flows: balancers remember where each one is
 *
 * A flow of a backend's stand-in (slots.h), of a slow start, or begun by a generation that was active for a moment is led elsewhere like
 * any other whose slot has moved since.
 */
#ifndef HF_LB_LEAD_H
#define HF_LB_LEAD_H

#include "bpf/lb_tuple.h"
#include "lb/catalog.h"
#include "lb/maglev_cache.h"

struct lead {
	uint32_t generation; /* the active one; 0: nobody has weight in it, and the table before it stays */
	uint8_t scheduler;   /* enum lb_scheduler */
	bool weighs;         /* this host gets new flows */
	uint64_t secret[2];
	uint32_t size;
	uint16_t *slots; /* 1: this host owns it, 0: it doesn't; NULL if there is no generation */
};

/* Of a service with an active generation. here: by place in s->backends, which are this host. */
void lead_init(struct lead *l, struct maglev_cache *maglevs, const struct lb_catalog *c, const struct catalog_service *s, const bool *here);
void lead_fini(struct lead *l);
/* From the client to the VIP. */
bool lead_is_here(const struct lead *l, const struct lb_flow *f);

#endif
