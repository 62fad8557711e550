/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whether SYNs come faster than they should ([syn flood]). A bucket says when there are too many, and from then on all are, not only those
 * above the rate: a rate's worth of a flood would fill a listener's queue as well. That ends when none was too many for a while.
 */
#ifndef HF_BPF_LB_FLOOD_H
#define HF_BPF_LB_FLOOD_H

#include "bpf/lb_bucket.h"

/* The tail of a flood and the pauses in one are shorter. */
#define LB_FLOOD_HOLD_NS 4000000000ULL

/* Whether there is a flood, for what is no SYN. */
LB_INLINE _Bool lb_flood_lasts(const struct lb_flood *flood, const struct lb_limit *l, __u64 now)
{
	return !l->interval_ns || *(const volatile __u64 *)&flood->ends > now;
}

/* Counts a SYN. Whether it comes in a flood; without a limit every one does. Two cores that store the end at once store nearly the same. */
LB_INLINE _Bool lb_flood_rises(struct lb_flood *flood, const struct lb_limit *l, __u64 now)
{
	__u64 spent = *(volatile __u64 *)&flood->spent;

	if (!l->interval_ns)
		return 1;
	if (lb_bucket_spent(spent, l, now)) {
		*(volatile __u64 *)&flood->ends = now + LB_FLOOD_HOLD_NS;
		return 1;
	}
	lb_bucket_spend(&flood->spent, spent, l, now);
	return lb_flood_lasts(flood, l, now);
}

#endif
