/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-lb: `holdfast lb ...`, a program of its own so that the command line needs no libbpf. It opens the pinned maps read-only, by
 * path, never by id ([caps]), and writes none.
 */
#ifndef HF_CLI_LB_LB_H
#define HF_CLI_LB_LB_H

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

/* Each returns an exit status. */
int lb_explain(const struct maps *m, const struct lb_options *o);
int lb_top(const struct maps *m, const struct lb_options *o);
int lb_capture(const struct maps *m, const struct lb_options *o);

#endif
