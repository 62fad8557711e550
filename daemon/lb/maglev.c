/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/maglev.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define SLOTS_A_BACKEND 64u
#define SLOTS_A_BACKEND_MIN 16u
#define NOBODY 0xffffffffu

/* A backend in the race for slots. */
struct runner {
	uint64_t id;
	uint32_t next; /* the slot it asks for next: its preference list, walked */
	uint32_t step; /* odd, so that the walk meets every slot */
	uint32_t credit;
	uint16_t weight;
	uint16_t number;
};

uint32_t maglev_size(uint32_t count, uint32_t current)
{
	uint32_t size = current > MAGLEV_SIZE_MIN ? current : MAGLEV_SIZE_MIN;

	if (current && current / SLOTS_A_BACKEND_MIN >= count)
		return current;
	while (size < MAGLEV_SIZE_MAX && size / SLOTS_A_BACKEND < count)
		size *= 2;
	return size;
}

static int by_id(const void *a, const void *b)
{
	const struct runner *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* The order of the turns must not be that of the list. Returns how many have weight. */
static uint32_t line_up(const struct maglev_backend *backends, uint32_t count, struct runner *runners, uint32_t size)
{
	uint32_t running = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t hash = mix64(backends[i].id);

		if (!backends[i].weight)
			continue;
		runners[running++] = (struct runner){
			.id = backends[i].id,
			.next = (uint32_t)hash & (size - 1),
			.step = ((uint32_t)(hash >> 32) & (size - 1)) | 1,
			.weight = backends[i].weight,
			.number = backends[i].number,
		};
	}
	qsort(runners, running, sizeof *runners, by_id);
	return running;
}

static uint16_t heaviest(const struct runner *runners, uint32_t count)
{
	uint16_t most = 0;

	for (uint32_t i = 0; i < count; i++)
		if (runners[i].weight > most)
			most = runners[i].weight;
	return most;
}

/* The next free slot of its list; there is one, because the table isn't full. */
static uint32_t take_slot(struct runner *r, const uint32_t *owner, uint32_t size)
{
	while (owner[r->next] != NOBODY)
		r->next = (r->next + r->step) & (size - 1);
	return r->next;
}

/* Turn by turn, each backend takes the first slot of its list that is free; a lighter one sits out turns in proportion. */
static void race(struct runner *runners, uint32_t count, uint32_t *owner, uint32_t size)
{
	uint16_t most = heaviest(runners, count);
	uint32_t filled = 0;

	for (uint32_t i = 0; filled < size; i = i + 1 < count ? i + 1 : 0) {
		struct runner *r = &runners[i];

		r->credit += r->weight;
		if (r->credit < most)
			continue;
		r->credit -= most;
		owner[take_slot(r, owner, size)] = r->number;
		filled++;
	}
}

static void fill(struct runner *runners, uint32_t count, uint16_t *table, uint32_t size)
{
	uint32_t *owner = mem_alloc(size * sizeof *owner);

	memset(owner, 0xff, size * sizeof *owner);
	race(runners, count, owner, size);
	for (uint32_t i = 0; i < size; i++) {
		assert(owner[i] != NOBODY);
		table[i] = (uint16_t)owner[i];
	}
	free(owner);
}

int maglev_fill(const struct maglev_backend *backends, uint32_t count, uint16_t *ret_table, uint32_t size)
{
	struct runner *runners;
	uint32_t running;

	assert(size >= MAGLEV_SIZE_MIN && size <= MAGLEV_SIZE_MAX && !(size & (size - 1)));
	if (!count || count > MAGLEV_BACKENDS_MAX)
		return -EINVAL;
	runners = mem_alloc(count * sizeof *runners);
	running = line_up(backends, count, runners, size);
	if (running)
		fill(runners, running, ret_table, size);
	free(runners);
	return running ? 0 : -EINVAL;
}
