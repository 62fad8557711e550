/* SPDX-License-Identifier: Apache-2.0 */
/* What a rate of so many a second is to a token bucket of the data planes. */
#ifndef HF_LB_RATE_H
#define HF_LB_RATE_H

#include <stdint.h>

#include "bpf/lb_abi.h"

/* As many at once as in a second. Of rate 0 there is no limit. */
static inline struct lb_limit rate_limit(uint32_t rate)
{
	struct lb_limit l = {0};

	if (rate) {
		l.interval_ns = 1000000000u / rate;
		l.burst_ns = l.interval_ns * (rate - 1);
	}
	return l;
}

#endif
