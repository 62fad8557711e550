/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of TCP at VIPs on this host, as its kernel tells of them: sock_diag(7), which takes no capability, of the network namespace
 * that this process is in. The kernel picks them by address and port itself, so what isn't at a VIP costs it a look and us nothing.
 *
 * A socket carries a flow from its SYN on and as long as a packet of the client's may still matter to it: SYN_RECV, ESTABLISHED, FIN_WAIT,
 * CLOSE_WAIT, CLOSING, LAST_ACK. TIME_WAIT carries none: both sides have ended and this one has all that the other sent, so that
 * a client whose last FIN is answered by RST has lost nothing. A connection begun by a SYN cookie has no socket until the cookie comes
 * back.
 */
#ifndef HF_LB_SOCKETS_H
#define HF_LB_SOCKETS_H

#include <stdbool.h>

#include "lb/lead.h"

/* A place that sockets are counted at. */
struct vip_sockets {
	struct lb_vip vip;       /* port 0: all that have no place of their own */
	uint32_t open;           /* that carry a flow */
	bool listens;            /* somebody does, at the VIP or at any address, and at its port; where that is 0, nobody can tell */
	bool seen;               /* since somebody has listened, there was an open one */
	const struct lead *lead; /* NULL: nobody asks */
	uint32_t astray;         /* of the open ones, those that it wouldn't lead here */
};

/* A descriptor to ask by, or negative errno. */
int sockets_open(void);
/* The order that the others take. */
void sockets_sort(struct vip_sockets *list, uint32_t count);
/* Sets what there is now of each place. 0, or negative errno and some may be set. */
int sockets_count(int netlink, struct vip_sockets *list, uint32_t count);
/* Of a list; NULL: it has none for this. */
struct vip_sockets *sockets_find(struct vip_sockets *list, uint32_t count, const struct lb_vip *vip);

#endif
