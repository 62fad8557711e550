/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing (XXH3) and a small seeded generator for what must repeat from a seed: jitter, never secrets. */
#ifndef HF_BASE_HASH_H
#define HF_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *data, size_t size, uint64_t seed);

/* SplitMix64 (Steele, Lea, Flood 2014): also the finaliser that turns a counter into a well mixed word. */
static inline uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static inline uint64_t rand_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	return mix64(*state);
}

/* 0 .. bound-1; the bias at these small bounds doesn't matter. */
static inline uint64_t rand_below(uint64_t *state, uint64_t bound)
{
	return bound ? rand_next(state) % bound : 0;
}

#endif
