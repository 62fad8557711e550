/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend's side: tells the decapsulator what it may take off and hand on. This host's part in the catalog is told by its addresses:
 * it serves the VIPs of every service that has one of them as a backend.
 */
#ifndef HF_LB_DECAP_H
#define HF_LB_DECAP_H

#include "lb/hosted.h"
#include "lb/local.h"
#include "lb/mss.h"
#include "lb/route.h"
#include "lb/syncookie.h"

struct decapsulator {
	int peers, vips, hops, cookies, counts; /* descriptors of the maps */
	struct routes *routes;
	uint32_t unresolved; /* other backends whose next hop isn't known yet */
	struct syncookie kernel; /* what was last said of it */
	enum local_fault fault;  /* likewise, of VIPs on this host */
	struct mss mss;          /* of what clients send through the tunnels */
	struct hosted hosted;    /* which services' sockets are here */
};

/* On the maps pinned in a directory; routes must outlive it. Limits no MSS: that is opened apart. 0, or negative errno. */
int decap_open(struct decapsulator *d, const char *maps, struct routes *routes);
void decap_close(struct decapsulator *d);
/* By place in s->backends: when a packet was last handed on to it; 0: never. */
void decap_last_handed(const struct decapsulator *d, const struct catalog_service *s, uint32_t *ret);
/* Brings the maps to what the catalog says. 0, or negative errno, which was logged. */
int decap_apply(struct decapsulator *d, const struct lb_catalog *c);

#endif
