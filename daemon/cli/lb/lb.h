/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-lb: `holdfast lb ...`, a program of its own so that the command line needs no libbpf. It opens the pinned maps read-only, by
 * path, never by id ([caps]), and writes none.
 */
#ifndef HF_CLI_LB_LB_H
#define HF_CLI_LB_LB_H

#include <netinet/in.h>
#include <stdbool.h>

#include "lb/maps.h"

#define LB_TEXT_MAX (INET6_ADDRSTRLEN + 8)

struct lb_options {
	const char *interface;
	const char *flow;                                      /* explain's, with the next */
	const char *connection_id;                             /* NULL: not told */
	const char *verdict, *reason, *service, *count, *out;  /* capture's; NULL: not told */
	bool once;             /* top: what was counted in all, also on a terminal */
	bool json;
};

/* Into text, of LB_TEXT_MAX bytes. */
const char *lb_address_text(char *text, const struct lb_address *addr, unsigned family);

/* Each returns an exit status. */
int lb_explain(const struct maps *m, const struct lb_options *o);
int lb_top(const struct maps *m, const struct lb_options *o);
int lb_capture(const struct maps *m, const struct lb_options *o);

/* The number of the service that a frame is for, by the decision's own code; false: it is for none. */
bool lb_service_of(const struct maps *m, const void *frame, size_t size, uint32_t *ret_service);

#endif
