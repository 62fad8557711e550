/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/run.h"
#include "world_private.h"

#define STRAY_ENTRIES 16u /* what was under way, and fillers of what is given up */
#define STRAY_NS (3 * NS_PER_S) /* so long two replicas differ and there is no third one */

/* The planted heap-flip: one bit of a value in the memory of the node that also has the rotting disk. */
static void flip_heap(struct world *w)
{
	struct sim_node *n = &w->nodes[w->rot_node];
	char key[16];

	if (w->flipped || !n->up || !n->node->groups_started || sim_now(w->sim) < 4 * NS_PER_S)
		return;
	(void)snprintf(key, sizeof key, "key%u", (unsigned)world_draw(w, 6));
	for (uint32_t i = 0; i < n->node->lane_count; i++)
		for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++) {
			const struct group *g = n->node->lanes[i]->groups[k];
			struct object *o = g->store ? keyspace_find(store_keyspace(g->store), key, strlen(key)) : NULL;

			if (!o || !o->value_size)
				continue;
			o->data[o->key_size] ^= 1;
			w->flipped = true;
			return;
		}
}

/*
 * The planted stray, in a cluster of three while all of them serve: from now on one is down, and nothing else happens. The key is none that
 * clients write: what they write anew is equal again.
 */
static void stray(struct world *w)
{
	struct sim_node *n = &w->nodes[w->rot_node], *third = &w->nodes[w->rot_node % 3 + 1];
	const struct group *g;

	for (uint8_t id = 1; id <= w->node_count; id++)
		if (w->node_count != 3 || !w->nodes[id].up || !w->nodes[id].node->groups_started || sim_now(w->sim) < 2 * NS_PER_S)
			return;
	g = world_group(n, 1 + (uint32_t)world_draw(w, w->groups));
	if (!g || !g->store)
		return; /* it begins with a message to its reactor */
	w->stray.group = g->id;
	(void)keyspace_set_string(store_keyspace(g->store), "stray", 5, "1", 1, false);
	w->flipped = true;
	w->stray.third = third->id;
	faults_end(w);
	world_node_down(w, third, false);
	third->start_ns = sim_now(w->sim) + STRAY_NS;
}

/* Two that differ, of whom none contradicts itself: neither may go on before the third one is there. */
static void watch_stray(struct world *w)
{
	const struct group *a = world_group(&w->nodes[w->rot_node], w->stray.group);
	const struct group *b = world_group(&w->nodes[w->stray.third % 3 + 1], w->stray.group);

	if (!a || !b || w->nodes[w->stray.third].up)
		return;
	if (!w->stray.in_doubt && a->doubt.index && b->doubt.index)
		w->stray.in_doubt = max_u64(a->applied, b->applied);
	if (w->stray.in_doubt && max_u64(a->applied, b->applied) > w->stray.in_doubt)
		world_fail(w, "two replicas in doubt of each other go on at index %llu", (unsigned long long)w->stray.in_doubt);
	if (!w->stray.log_end && a->doubt.told && b->doubt.told)
		w->stray.log_end = max_u64(a->raft.log.last, b->raft.log.last);
	if (w->stray.log_end && max_u64(a->raft.log.last, b->raft.log.last) > w->stray.log_end + STRAY_ENTRIES)
		world_fail(w, "two replicas in doubt of each other take writes behind index %llu", (unsigned long long)w->stray.log_end);
}

void planted_watch(struct world *w)
{
	if (w->plant == PLANT_HEAP_FLIP)
		flip_heap(w);
	if (w->plant == PLANT_STRAY && w->stray.group)
		watch_stray(w);
	else if (w->plant == PLANT_STRAY)
		stray(w);
}

void planted_failed(struct world *w, const struct sim_node *n)
{
	if (!w->stray.group)
		return;
	if (n->id != w->rot_node)
		world_fail(w, "another node stops than the one that strayed");
	if (w->stray.in_doubt && !w->nodes[w->stray.third].up)
		world_fail(w, "the node that strayed stops by the word of one other");
	world_fail(w, "the node that strayed stops, as %s", w->stray.in_doubt ? "a third one decides" : "a third one was there before");
}
