/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LAN of an interface, to be told where addresses are that the kernel doesn't know as its own there: packet(7) sockets
 * that see ARP, neighbour solicitations and advertisements, which the data plane passes on, and nothing else. Opening takes CAP_NET_RAW, using
 * doesn't ([caps]).
 */
#ifndef HF_LB_LAN_H
#define HF_LB_LAN_H

#include "lb/neighbour.h"

#define LAN_SOCKETS 2

struct lan {
	unsigned ifindex;
	int sockets[LAN_SOCKETS]; /* ARP, neighbour discovery; non-blocking */
	int groups;               /* that keeps us in the groups where IPv6 addresses are asked for; -1: none */
};

/* 0, or negative errno: -EPERM without CAP_NET_RAW. */
int lan_open(struct lan *l, const char *interface);
void lan_close(struct lan *l);
/* Takes what came to one of the sockets, and the link address of who said it; what is neither question nor announcement is skipped. Nothing:
 * there is no more. */
enum neighbour_news lan_take(struct lan *l, int which, struct neighbour_question *ret, struct lb_mac *ret_from);
/* 0 or negative errno. */
int lan_answer(struct lan *l, const struct neighbour_question *q, const struct lb_mac *from);
int lan_announce(struct lan *l, const struct host_address *a);
/*
 * From now on questions for these addresses come, and for no others: NICs and switches pass on only what somebody joined. 0, or
 * negative errno of the first that failed; the others are joined.
 */
int lan_join(struct lan *l, const struct host_address *list, uint32_t count);

#endif
