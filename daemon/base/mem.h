/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory. What a client or peer can make us allocate is bounded at its own gate (config limits), so running
 * out here means that the limits were set too high for the machine: the process says so and ends, and
 * everything acknowledged is on disk. These never return NULL.
 */
#ifndef HF_BASE_MEM_H
#define HF_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *old, size_t size);
char *mem_strdup(const char *s);
/* Aligned, uninitialised; freed with free(). */
void *mem_aligned(size_t align, size_t size);

static inline size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
