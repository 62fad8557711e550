/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/counts.h"

#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"

/* An element that is words. */
static void read_sum(int map, uint32_t index, void *ret, size_t size)
{
	size_t cores = (size_t)libbpf_num_possible_cpus(), words = size / sizeof(__u64);
	__u64 *all = mem_zalloc(cores * size), *sum = ret;

	memset(ret, 0, size);
	if (bpf_map_lookup_elem(map, &index, all) == 0)
		for (size_t i = 0; i < cores * words; i++)
			sum[i % words] += all[i];
	free(all);
}

struct lb_count counts_read(int map, uint32_t index)
{
	struct lb_count c;

	read_sum(map, index, &c, sizeof c);
	return c;
}

struct lb_drops counts_drops(int map)
{
	struct lb_drops d;

	read_sum(map, 0, &d, sizeof d);
	return d;
}

struct lb_decap_counts counts_decap(int map)
{
	struct lb_decap_counts d;

	read_sum(map, 0, &d, sizeof d);
	return d;
}
