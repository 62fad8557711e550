/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VIPs announced by BGP or OSPF, which is BIRD 2's to speak: a file for its configuration to include, with the VIPs as host
 * routes of two static protocols, and a word on its control socket when the file has changed.
 *
 *   protocol static holdfast4 { ipv4; route 10.1.1.1/32 blackhole; }
 *   protocol static holdfast6 { ipv6; route 2001:db8::1/128 blackhole; }
 *
 * Where they lead doesn't matter: the data plane takes the packets before the kernel would look for a route.
 */
#ifndef HF_LB_BIRD_H
#define HF_LB_BIRD_H

#include "base/bytes.h"
#include "lb/catalog.h"

struct bird {
	const char *file, *control; /* the include file; BIRD's socket. The caller's */
	struct bytes told;          /* what the file holds */
	bool known;                 /* that BIRD has read it */
	bool complained;            /* that it doesn't, so that it is said once */
};

/*
 * Brings the file and BIRD to these routes; nothing to do if they have them. 0, or negative errno, which was logged: to be called
 * again. Takes 2 s at most.
 */
int bird_tell(struct bird *b, const struct host_address *list, uint32_t count);

#endif
