/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of armed timers, shared by both implementations of the seam. Slot 0 is unused: slot 0 means "not armed". */
#ifndef HF_IO_TIMER_H
#define HF_IO_TIMER_H

#include "io/io.h"

struct timer_heap {
	struct io_timer **slots;
	uint32_t count, cap;
	uint64_t next_order;
};

void timer_heap_free(struct timer_heap *h);
void timer_heap_start(struct timer_heap *h, struct io_timer *t, uint64_t deadline_ns);
void timer_heap_stop(struct timer_heap *h, struct io_timer *t);
/* The earliest, or NULL. */
struct io_timer *timer_heap_first(const struct timer_heap *h);

#endif
