/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The XDP program with a clock that the tests set; nothing else differs. */
#include <linux/types.h>

volatile __u64 lb_clock_ns;

static inline __u64 lb_clock_read(void)
{
	return lb_clock_ns;
}

#define LB_CLOCK lb_clock_read
#include "bpf/lb_xdp.bpf.c"
