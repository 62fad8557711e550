/* SPDX-License-Identifier: Apache-2.0 */
/* How long things take: counts by powers of two of a microsecond. Plain numbers: one reactor writes, any may read a copy. */
#ifndef HF_BASE_HISTOGRAM_H
#define HF_BASE_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS 24u /* up to 8 s; what takes longer is counted in the last */

struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS]; /* i: more than 2^(i-1) and at most 2^i microseconds */
	uint64_t sum_ns, count;
};

/* count things took ns each. */
static inline void histogram_add(struct histogram *h, uint64_t ns, uint64_t count)
{
	uint64_t us = (ns + 999) / 1000;
	unsigned bucket = us <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(us - 1);

	h->bucket[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1] += count;
	h->sum_ns += ns * count;
	h->count += count;
}

#endif
