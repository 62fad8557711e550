/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balancer's maps, opened from their pins: by the daemon to fill them, by `holdfast lb` to read them.
 *
 * lb_names and lb_ids are the daemon's own, arrays, memory-mapped: a restarted daemon gives every service and backend its number back.
 */
#ifndef HF_LB_MAPS_H
#define HF_LB_MAPS_H

#include <stdbool.h>

#include "lb/tables.h"

struct maps {
	struct tables tables; /* memory-mapped */
	/* descriptors */
	int keyed[TABLES_KEYED];
	int config, fragments, service_counts, backend_counts, drop_counts;
};

/* Opens what is pinned in a directory. For a writer, the daemon's own maps are made if they aren't there; to a reader nothing is writable.
 * 0, or negative errno. */
int maps_open(struct maps *m, const char *dir, bool writer);
void maps_close(struct maps *m);

#endif
