/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of leases ([lease-clock]): it goes on while the machine sleeps. */
#ifndef HF_LB_CLOCK_H
#define HF_LB_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t boottime_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
