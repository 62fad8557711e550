/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/region.h"

#include <stdlib.h>

static int by_base(const void *a, const void *b)
{
	const struct region *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

bool region_find(struct region *used, uint32_t count, uint32_t size, uint32_t limit, uint32_t *ret_base)
{
	uint32_t base = 0;

	if (count)
		qsort(used, count, sizeof *used, by_base);
	for (uint32_t i = 0; i < count; i++) {
		if (used[i].base >= base && used[i].base - base >= size)
			break;
		if (used[i].base + used[i].size > base)
			base = used[i].base + used[i].size;
	}
	if (base > limit || limit - base < size)
		return false;
	*ret_base = base;
	return true;
}
