/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of leases ([lease-clock]), which goes on while the machine sleeps, and that of the data planes. */
#ifndef HF_LB_CLOCK_H
#define HF_LB_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "bpf/lb_abi.h"

static inline uint64_t boottime_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The data planes' clock, as bpf/lb_abi.h has it. */
static inline uint32_t monotonic_ticks(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint32_t)(((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec) >> LB_TICK_SHIFT);
}

#endif
