/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This balancer's own addresses for snat ([nat]): what backends see as the client. They are the host's, which answers for them on the
 * link; packets to them that belong to no connection are the host's as well. Not in the catalog, because each balancer has its own.
 */
#ifndef HF_LB_SOURCES_H
#define HF_LB_SOURCES_H

#include <stdbool.h>

#include "lb/route.h"
#include "lb/tables.h"

struct sources {
	struct host_address list[LB_SNAT_ADDRESSES];
	const char *text[LB_SNAT_ADDRESSES]; /* as they were given */
	uint32_t count;
};

/* One more, as an option has it; text must outlive it. 0, or -EINVAL with the reason on standard error. */
int sources_take_option(struct sources *s, const char *text);
bool sources_have(const struct sources *s, uint8_t family);
/* The first one that isn't this host's by its routes, as it was given, or NULL. */
const char *sources_find_foreign(const struct sources *s, struct routes *r);
/* Puts them into the tables: those that are there stay where they are, because connections lie by their place. How many places of each
 * family are to be looked at is in *config then. */
void sources_place(const struct sources *s, struct tables *t, struct lb_config *config);

#endif
