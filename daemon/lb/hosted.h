/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host has to bear as a backend, by the sockets of the services that it serves at their VIPs: TCP by ipip, gue or dsr, of which
 * one of its addresses is a backend. Of services that go by loads, how many carry flows ([schedulers]); of those with earlier generations,
 * whether the active one by itself leads every flow here, so that as far as this host is concerned those may retire ([generations];
 * lead.h).
 *
 * A service may be served where this host doesn't see its sockets: in a container's network namespace, behind a proxy that listens here.
 * It would look idle. So nothing is said of one for which nobody listens here, nor before there was a socket of it.
 *
 * Every flow is led here when HOSTED_LED_LOOKS looks in a row have said so: the kernel tells of many sockets in parts, and leaves one out
 * if another of its bucket goes between two of these.
 *
 * A host that is several backends of a service bears all of its flows by each.
 */
#ifndef HF_LB_HOSTED_H
#define HF_LB_HOSTED_H

#include "lb/report.h"
#include "lb/sockets.h"

#define HOSTED_LED_LOOKS 3u

struct hosted_service {
	uint64_t id;
	struct lb_vip vip;
	bool by_loads;
	bool has_earlier;
	struct lead lead;   /* if it has earlier generations */
	uint32_t led_looks; /* in a row that found no flow here that it would lead elsewhere */
	uint64_t *backends; /* that are this host; ascending */
	uint32_t backend_count;
};

struct hosted {
	int netlink;                     /* -1: sockets can't be counted here */
	struct hosted_service *services; /* in the catalog's order */
	uint32_t count;
	struct vip_sockets *vips;    /* theirs, in order */
	struct hosted_service *next; /* what was added since hosted_follow() */
	uint32_t next_count;
	struct maglev_cache maglevs;
	bool failed; /* that was said */
};

/* It lasts as long as the process. Where sockets can't be asked for that is logged, and nothing is ever said. */
void hosted_init(struct hosted *h);
/* A service of the catalog of which some backends are this host: by place in s->backends. Copied, if it matters. */
void hosted_add(struct hosted *h, const struct lb_catalog *c, const struct catalog_service *s, const bool *here);
/* Those that were added since the last call are all there are now. */
void hosted_follow(struct hosted *h);
/* Looks, and says what there is to say; the lists are the caller's. */
void hosted_count(struct hosted *h, struct lb_borne *ret);

#endif
