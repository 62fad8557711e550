/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragmented datagrams whose first fragment came by ([fragments, icmp]): a bounded table that all workers read and write without a lock.
 * Buckets of four; in a full one the oldest gives way. An entry is words behind a turn:
 *
 *   even: at rest --compare-and-swap--> odd: being written --words written, then one store--> even
 *
 * A reader takes the words between two looks at the turn. Whoever loses an exchange does without.
 */
#ifndef HF_LB_DPDK_FRAGMENTS_H
#define HF_LB_DPDK_FRAGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/lb_abi.h"

struct fragments;

struct fragments *fragments_new(void);
void fragments_free(struct fragments *f);
/* The hash has the configuration's secret, so that outsiders can't choose what meets in a bucket. */
bool fragments_find(const struct fragments *f, const struct lb_config *c, const struct lb_fragment_key *key, struct lb_fragment *ret);
void fragments_put(struct fragments *f, const struct lb_config *c, const struct lb_fragment_key *key, const struct lb_fragment *value);

#endif
