/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wanted, written over what a BPF hash map or LPM trie holds: first all that is wanted, then what is too much goes, so that an
 * entry that stays is never missing in between.
 */
#ifndef HF_LB_MAP_H
#define HF_LB_MAP_H

#include "lb/wanted.h"

/* The two steps, on a map's descriptor. 0, or negative errno: -E2BIG if the map is too small. */
int map_add(int map, const struct wanted *w);
int map_remove_others(int map, struct wanted *w);

#endif
