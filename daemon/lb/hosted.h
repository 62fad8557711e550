/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host has to bear as a backend: the sockets of the services that it serves at their VIPs - TCP by ipip, gue or dsr, of which one of
 * its addresses is a backend ([schedulers]).
 *
 * A service may be served where this host doesn't see its sockets: in a container's network namespace, behind a proxy that listens here.
 * It would look idle. So nothing is said of one for which nobody listens here, nor before there was a socket of it.
 *
 * A host that is several backends of a service bears all of its flows by each.
 */
#ifndef HF_LB_HOSTED_H
#define HF_LB_HOSTED_H

#include "lb/report.h"
#include "lb/sockets.h"

struct hosted_backend {
	struct catalog_place place;
	struct lb_vip vip;
};

struct hosted {
	int netlink;                     /* -1: sockets can't be counted here */
	struct hosted_backend *backends; /* of services that go by loads; in order */
	uint32_t count;
	struct vip_sockets *vips; /* in order */
	uint32_t vip_count;
	struct hosted_backend *next; /* what was added since hosted_follow() */
	uint32_t next_count;
	bool failed; /* that was said */
};

/* It needs no hosted_close(): it lasts as long as the process. Where sockets can't be asked for that is logged, and nothing is ever said. */
void hosted_init(struct hosted *h);
/* A backend of this service is this host. Copied, if it matters. */
void hosted_add(struct hosted *h, const struct catalog_service *s, uint64_t backend);
/* Those that were added since the last call are all there are now. */
void hosted_follow(struct hosted *h);
/* Counts: how many there are for which there is something to say, *ret is to be freed; ascending. */
uint32_t hosted_loads(struct hosted *h, struct lb_figure **ret);

#endif
