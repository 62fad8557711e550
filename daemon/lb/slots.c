/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/slots.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define DRAWS 16u

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

		if (was != current)
			s.flags |= LB_SLOT_MOVED;
		if (!g->alive[was])
			continue;
		if (s.between == current)
			s.between = was;
		s.previous = was; /* the last one found is the oldest */
	}
	if (g->prepared.table && owner(&g->prepared, slot, count) != current) {
		s.flags |= LB_SLOT_MOVED;
		s.between = owner(&g->prepared, slot, count);
	}
	return s;
}

/* The active generation's slots whose owners aren't skipped: what is drawn from when luck fails. */
struct stand_ins {
	uint32_t *slots;
	uint32_t count;
};

static struct stand_ins find_stand_ins(const struct generations *g)
{
	struct stand_ins s = {0};

	if (!g->skipped)
		return s;
	s.slots = mem_alloc(g->active.size * sizeof *s.slots);
	for (uint32_t i = 0; i < g->active.size; i++)
		if (g->skipped[g->active.table[i]] != SLOT_SKIPPED)
			s.slots[s.count++] = i;
	return s;
}

/* Drawn by the slot's number in the active table, so that a table that grew draws the same. */
static uint16_t stand_in(const struct generations *g, const struct stand_ins *s, uint32_t slot, uint32_t count)
{
	uint32_t home = slot / (count / g->active.size);
	uint64_t random = home;

	for (uint32_t i = 0; i < DRAWS; i++) {
		uint16_t drawn = g->active.table[rand_below(&random, g->active.size)];

		if (drawn != g->active.table[home] && g->skipped[drawn] != SLOT_SKIPPED)
			return drawn;
	}
	return g->active.table[s->slots[rand_below(&random, s->count)]];
}

static void pass_by(const struct generations *g, const struct stand_ins *in, uint32_t slot, uint32_t count, struct lb_slot *s)
{
	uint16_t skipped = s->current, other = stand_in(g, in, slot, count);

	s->flags |= LB_SLOT_MOVED;
	if (g->skipped[skipped] == SLOT_SKIPPED_LATELY) {
		if (s->between == skipped)
			s->between = other;
		return;
	}
	s->current = other;
	s->between = skipped;
	if (g->datagrams && s->previous == skipped)
		s->previous = other;
}

uint32_t slots_compute(const struct generations *g, struct lb_slot *ret)
{
	uint32_t count = slots_count(g), moved = 0;
	struct stand_ins in = find_stand_ins(g);

	assert(g->earlier_count <= GENERATIONS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		ret[i] = compute(g, i, count);
		if (in.count && g->skipped[ret[i].current] != SLOT_NOT_SKIPPED)
			pass_by(g, &in, i, count, &ret[i]);
		moved += ret[i].flags & LB_SLOT_MOVED;
	}
	free(in.slots);
	return moved;
}
