/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balancer's maps, opened from their pins: by the daemon to fill them, by `holdfast lb` to read them.
 *
 * Two belong to the daemon alone. lb_names and lb_ids say which of the catalog's services and backends a number stands for, so that a
 * restarted daemon gives every one its number back: the flow table holds numbers.
 */
#ifndef HF_LB_MAPS_H
#define HF_LB_MAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/lb_abi.h"

#define MAPS_NAME_SIZE 64

/* lb_names: array, memory-mapped, by service. */
struct lb_name {
	__u64 id;     /* in the catalog; 0: the number is free */
	__u64 digest; /* of what was last put into the maps; 0: not all of it */
	char name[MAPS_NAME_SIZE];
};
static_assert(sizeof(struct lb_name) == 80, "map value");

struct maps {
	/* descriptors */
	int config, vips, replies, prefixes, quic, fragments, service_counts, backend_counts, drop_counts;
	/* mapped, and how many there are */
	struct lb_service *services;
	struct lb_name *names;
	struct lb_rules *rules;
	__u64 *turns;
	struct lb_backend *backends;
	__u64 *ids; /* lb_ids: of backends, as names; 0: free */
	__u64 *loads;
	__u64 *slots;
	struct lb_flow_bucket *flows;
	__u64 *buckets;
	uint32_t service_count, backend_count, slot_count, flow_count, bucket_count;
};

/* Opens what is pinned in a directory. For a writer, the daemon's own maps are made if they aren't there; to a reader nothing is writable.
 * 0, or negative errno. */
int maps_open(struct maps *m, const char *dir, bool writer);
void maps_close(struct maps *m);

#endif
