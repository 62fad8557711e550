/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancer, or a backend's decapsulator, tells about itself, in the OpenMetrics format: `holdfast_lb_`, base units. A series for
 * each service and each backend of a service that the tables have, and so no more than these have room for.
 */
#ifndef HF_LB_METRICS_H
#define HF_LB_METRICS_H

#include "base/bytes.h"
#include "lb/prober.h"
#include "lb/tables.h"

/* Packets of a port that isn't the kernel's. */
struct metrics_port {
	uint64_t to_kernel, from_kernel; /* not for a VIP; sent by the host itself */
	uint64_t missed;                 /* which a queue to receive, or the memory, had no room for */
	uint64_t unsent, kernel_unsent;  /* which a queue to send had no room for */
};

/* What is told of; all of it stays the caller's. */
struct metrics_source {
	const struct tables *tables;         /* NULL: a backend's side, which has only its outcomes */
	const struct lb_decap_counts *decap; /* these; used if tables is NULL */
	const struct metrics_port *port;     /* NULL: the data plane has none of its own */
	bool has_catalog;
	uint64_t version;    /* of the catalog in force */
	uint32_t unresolved; /* backends without a next hop */
	const struct check_list *checked;
	struct prober_counts probes;
};

void metrics_write(const struct metrics_source *m, struct bytes *out);

#endif
