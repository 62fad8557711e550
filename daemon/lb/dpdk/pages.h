/* SPDX-License-Identifier: Apache-2.0 */
/* What the DPDK data plane tells to whoever asks: its metrics, and what `holdfast lb` shows (twin.h). */
#ifndef HF_LB_DPDK_PAGES_H
#define HF_LB_DPDK_PAGES_H

#include "lb/control.h"
#include "lb/dpdk/memory.h"
#include "lb/dpdk/port.h"
#include "lb/dpdk/worker.h"
#include "lb/feed.h"
#include "lb/scrape.h"

#define PAGES_ASKER_MAX 64

/* Who captures, if anybody does: one at a time. */
struct pages_capture {
	char by[PAGES_ASKER_MAX];
	uint64_t until_ns; /* of the monotonic clock */
	uint64_t lost;     /* before it began */
};

/* What is told of; what is pointed to is the caller's. Questions are answered by the thread that feeds the memory. */
struct pages_source {
	const struct memory *memory;
	const struct port *port;
	const struct control *control;
	const struct feed *feed;
	struct worker *workers; /* their captures are begun and ended */
	unsigned worker_count;
	struct pages_capture capture;
};

/* The two sites: metrics at an address, if it isn't NULL, and `holdfast lb` at the path of a socket. source must outlive them. */
void pages_sites(struct scrape_site *ret, struct pages_source *source, const char *metrics, bool insecure, const char *path);

#endif
