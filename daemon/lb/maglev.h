/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weighted Maglev tables (Eisenbud et al., "Maglev", NSDI 2016, section 3.4): which backend owns which slot. A pure function of
 * its arguments: every balancer computes the same table from the catalog, in whatever order it lists the backends.
 *
 * Sizes are powers of two, where the paper takes primes: with an odd step each preference list is a permutation just the same, and
 * a table of half the size maps onto a larger one slot by slot, so that generations of different size can be compared.
 */
#ifndef HF_LB_MAGLEV_H
#define HF_LB_MAGLEV_H

#include <stdint.h>

#define MAGLEV_SIZE_MIN 256u
#define MAGLEV_SIZE_MAX 65536u
#define MAGLEV_BACKENDS_MAX 4096u
#define MAGLEV_WEIGHT_MAX 65535u

struct maglev_backend {
	uint64_t id;     /* of the backend, the same on every balancer and in every generation; no two are equal */
	uint16_t number; /* what its slots say */
	uint16_t weight; /* 0 owns nothing */
};

/* How many slots a service with so many backends takes: 64 for each, rounded up to a power of two. A table in use keeps its size
 * (0: there is none yet) while it has at least 16 for each, because another size moves most slots. Never less than current. */
uint32_t maglev_size(uint32_t count, uint32_t current);

/*
 * Fills every one of size slots; size is what maglev_size() said. 0; -EINVAL if count is 0 or above MAGLEV_BACKENDS_MAX, or no backend has
 * weight. ret_table is written only on success.
 */
int maglev_fill(const struct maglev_backend *backends, uint32_t count, uint16_t *ret_table, uint32_t size);

#endif
