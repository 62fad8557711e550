/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A token bucket: one word, the time up to which its tokens are spent (the "virtual scheduling" form of the generic cell rate
 * algorithm, ITU-T I.371), exchanged without a lock: whoever loses an exchange is let through, so that cores in each other's way let a few
 * more pass rather than fewer.
 */
#ifndef HF_BPF_LB_BUCKET_H
#define HF_BPF_LB_BUCKET_H

#include "bpf/lb_abi.h"

LB_INLINE _Bool lb_bucket_spent(__u64 spent, const struct lb_limit *l, __u64 now)
{
	return spent > now && spent - now > l->burst_ns;
}

LB_INLINE void lb_bucket_spend(__u64 *bucket, __u64 spent, const struct lb_limit *l, __u64 now)
{
	__sync_val_compare_and_swap(bucket, spent, (spent > now ? spent : now) + l->interval_ns);
}

#endif
