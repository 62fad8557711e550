/* SPDX-License-Identifier: Apache-2.0 */
/* What `holdfast lb capture` writes, and where it has packets from: each data plane in its own way. */
#ifndef HF_CLI_LB_CAPTURE_H
#define HF_CLI_LB_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/lb/lb.h"

/* A packet as it came in, and what became of it. */
struct captured {
	uint64_t seen_ns; /* of the monotonic clock */
	const uint8_t *bytes;
	uint32_t kept, size; /* of its bytes: so many are there, so many it had */
	uint32_t verdict, reason;
	const char *service; /* NULL: it is for none */
};

/* What is wanted, and the file that it goes to. */
struct recording {
	const struct lb_side *side;
	uint32_t verdict, reason; /* LB_REASON_NONE: any */
	const char *service;      /* NULL: any */
	uint64_t count, most;     /* most: 0 is no end */
	int64_t clock_ns;         /* from the monotonic clock to that of the day */
	FILE *out;
};

/* Writes a packet if it is wanted. */
void recording_take(struct recording *r, const struct captured *p);
/* It has as many as were wanted, and takes no more. */
bool recording_is_full(const struct recording *r);

/* Whatever fails has been said; a status is that of the program's exit. */
struct capture_source {
	bool (*has_service)(const struct lb_side *side, const char *name);
	/* Begins to capture: 0 and *ret_source, which the caller closes, or the status. */
	int (*open)(const struct recording *r, void **ret_source);
	/* Has recording_take() take what has come, and waits a moment for it. 0, or the status. */
	int (*poll)(void *source, struct recording *r);
	/* Ends it; how many packets came too fast to be captured. */
	uint64_t (*close)(void *source, struct recording *r);
};

extern const struct capture_source capture_hooks; /* on the XDP program of an interface */
extern const struct capture_source capture_twin;  /* from holdfast-lbd-dpdk */

#endif
