/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balancer's maps, opened from their pins: by the daemon to fill them, by `holdfast lb` to read them.
 *
 * lb_names and lb_ids are the daemon's own, arrays, memory-mapped: a restarted daemon gives every service and backend its number back.
 *
 * When a build of another ABI takes over ([maps]), maps that packets write, flows above all, become its own, so that both programs go by
 * the same ones until the link is swapped; what the daemon writes is copied. Both only as far as a map has the same form: a map whose
 * elements change gets another name, so that one of the same name and sizes has.
 */
#ifndef HF_LB_MAPS_H
#define HF_LB_MAPS_H

#include <stdbool.h>

#include "lb/tables.h"

struct bpf_object;

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
/* A copy of the configuration; zeros until there is a catalog. 0, or negative errno. */
int maps_config(const struct maps *m, struct lb_config *ret);
/*
 * Pins the maps that packets write, of those in the directory left, in dir as well, where object is to be loaded from. 0; -EPROTO if services
 * and backends have other numbers or another form there, in which case flows would mean nothing, or another negative errno.
 */
int maps_share(const char *left, const char *dir, struct bpf_object *object);
/* Copies what the daemon wrote into the others. */
void maps_copy(struct maps *to, const char *left);

#endif
