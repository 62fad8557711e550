/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VIPs that are this host's own addresses, because it is a backend, be it a balancer as well ([local]) or not. They belong on lo, and the
 * kernel must leave ARP for them alone, or this host answers whoever owns the VIP. That is decided by sysctls of the whole host, so it
 * isn't ours to change: it is said what to set.
 */
#ifndef HF_LB_LOCAL_H
#define HF_LB_LOCAL_H

#include "lb/catalog.h"

enum local_fault {
	LOCAL_FINE,
	LOCAL_ELSEWHERE, /* a VIP is on an interface that isn't lo */
	LOCAL_IGNORE,    /* arp_ignore lets the kernel answer */
	LOCAL_ANNOUNCE,  /* arp_announce lets it ask in a VIP's name, which tells everybody that the VIP is here */
};

/* The first fault among VIPs, as far as hosts behind this interface see them. */
enum local_fault local_check(const char *interface, const struct host_address *vips, uint32_t count);
/* What is wrong, and the way out. */
const char *local_fault_text(enum local_fault f);

#endif
