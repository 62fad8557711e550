/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/slots.h"

#include <assert.h>

/* The owner of a slot in a table that may have fewer of them: all sizes are powers of two, so each of its slots became several. */
static uint16_t owner(const struct generation *g, uint32_t slot, uint32_t count)
{
	return g->table[slot / (count / g->size)];
}

uint32_t slots_count(const struct generations *g)
{
	uint32_t count = g->active.size;

	if (g->prepared.table && g->prepared.size > count)
		count = g->prepared.size;
	for (uint32_t i = 0; i < g->earlier_count; i++)
		if (g->earlier[i].size > count)
			count = g->earlier[i].size;
	return count;
}

static struct lb_slot compute(const struct generations *g, uint32_t slot, uint32_t count)
{
	uint16_t current = owner(&g->active, slot, count);
	struct lb_slot s = {.current = current, .previous = current, .between = current};

	for (uint32_t i = 0; i < g->earlier_count; i++) {
		uint16_t was = owner(&g->earlier[i], slot, count);

		if (!g->alive[was])
			continue;
		if (was != current) {
			s.flags |= LB_SLOT_MOVED;
			if (s.between == current)
				s.between = was;
		}
		s.previous = was; /* the last one found is the oldest */
	}
	if (g->prepared.table && owner(&g->prepared, slot, count) != current) {
		s.flags |= LB_SLOT_MOVED;
		s.between = owner(&g->prepared, slot, count);
	}
	return s;
}

uint32_t slots_compute(const struct generations *g, struct lb_slot *ret)
{
	uint32_t count = slots_count(g), moved = 0;

	assert(g->earlier_count <= GENERATIONS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		ret[i] = compute(g, i, count);
		moved += ret[i].flags & LB_SLOT_MOVED;
	}
	return moved;
}
