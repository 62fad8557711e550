/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a host by the kernel's routes and neighbour table, through rtnetlink(7): what an XDP program needs to know to send a frame
 * itself. Neighbours asked for are handed to the kernel to keep resolved (NTF_EXT_MANAGED, Linux 5.16), so that their addresses are still
 * right when this process is gone.
 */
#ifndef HF_LB_ROUTE_H
#define HF_LB_ROUTE_H

#include <stdbool.h>

#include "lb/catalog.h"

struct routes {
	unsigned ifindex;
	int ask;    /* one request and its answer at a time */
	int listen; /* readable when neighbours, routes, addresses or links change; non-blocking */
	uint32_t sequence;
	uint32_t mtu;      /* of the interface */
	struct lb_mac mac; /* of the interface */
	bool gone;         /* the interface was removed, and one of its name that comes later is another one */
};

struct way {
	bool local;                 /* to this host itself; nothing below is set */
	struct lb_mac mac;          /* of the next hop */
	uint32_t mtu;               /* of the route, else of the interface */
};

/* What tunnels begin at; family 0: not known. */
struct tunnel_ends {
	struct host_address ip4, ip6;
};

/* Ways out of one interface. 0 or negative errno. */
int routes_open(struct routes *r, unsigned ifindex);
void routes_close(struct routes *r);
/* 0; -EAGAIN while the kernel looks for the next hop's address (listen tells); -ENETUNREACH if no route leads out of the interface. */
int routes_find(struct routes *r, const struct host_address *to, struct way *ret);
/* What the kernel would send from, whether or not the next hop's address is known. 0; -ENETUNREACH as above, and if it is this host. */
int routes_find_source(struct routes *r, const struct host_address *to, struct host_address *ret);
/* The link address of the gateway that the default route of a family leads to, for clients of whom nothing else is known. As
 * routes_find(); -ENETUNREACH also if that route has no gateway. */
int routes_find_gateway(struct routes *r, uint8_t family, struct lb_mac *ret);
/* Takes what listen has. Whether something changed on the interface. */
bool routes_changed(struct routes *r);

#endif
