/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-lb: `holdfast lb ...`, a program of its own so that the command line needs no libbpf. It opens the pinned maps read-only, by
 * path, never by id ([caps]), and writes none. holdfast-lbd-dpdk has no maps, and is asked by its socket (lb/twin.h).
 */
#ifndef HF_CLI_LB_LB_H
#define HF_CLI_LB_LB_H

#include <limits.h>
#include <net/if.h>
#include <stdbool.h>

#include "lb/maps.h"

struct lb_options {
	const char *interface;
	const char *flow;                                      /* explain's, with the next */
	const char *connection_id;                             /* NULL: not told */
	const char *verdict, *reason, *service, *count, *out;  /* capture's; NULL: not told */
	bool once;             /* top: what was counted in all, also on a terminal */
	bool json;
};

/* The balancer that is asked. */
struct lb_side {
	char interface[IF_NAMESIZE];
	char twin[PATH_MAX]; /* the address of holdfast-lbd-dpdk, for http_get(); empty: it is holdfast-lbd */
	struct maps maps;    /* that one's */
};

/* Each returns an exit status. */
int lb_explain(const struct lb_side *side, const struct lb_options *o);
int lb_top(const struct lb_side *side, const struct lb_options *o);
int lb_capture(const struct lb_side *side, const struct lb_options *o);

#endif
