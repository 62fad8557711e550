/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "base/mem.h"
#include "world_private.h"

#define FLAP_NS_MAX (200 * NS_PER_MS)

static bool parted(const struct world *w, uint8_t a, uint8_t b)
{
	uint8_t one = w->cut.one, other = w->cut.other;

	if ((w->cut.direction == 1 && a != one) || (w->cut.direction == 2 && b != one))
		return false;
	if (other)
		return (a == one && b == other) || (a == other && b == one);
	return w->cut.direction == 3 ? (a % 2) != (b % 2) : (a == one) != (b == one);
}

static void set_links(struct world *w, bool cut)
{
	for (uint8_t a = 1; a <= w->node_count; a++)
		for (uint8_t b = 1; b <= w->node_count; b++)
			sim_cut(w->sim, a, b, cut && parted(w, a, b));
}

void links_cut(struct world *w)
{
	w->cut.one = world_any_node(w);
	w->cut.direction = (uint8_t)world_draw(w, 4);
	w->cut.other = 0;
	if (rand_below(&w->shape_random, 3) == 0)
		w->cut.other = (uint8_t)(1 + (w->cut.one + rand_below(&w->shape_random, w->node_count - 1u)) % w->node_count);
	w->cut.mended = false;
	w->cut.flap_ns = rand_below(&w->shape_random, 4) ? UINT64_MAX : sim_now(w->sim);
	sim_counts(w->sim)->partitions++;
	set_links(w, true);
	w->heal_links_ns = sim_now(w->sim) + world_draw_between(w, 50 * NS_PER_MS, 1500 * NS_PER_MS);
}

void links_flap(struct world *w)
{
	w->cut.mended = !w->cut.mended;
	set_links(w, !w->cut.mended);
	w->cut.flap_ns = sim_now(w->sim) + rand_below(&w->shape_random, FLAP_NS_MAX);
}

void links_mend(struct world *w)
{
	set_links(w, false);
	w->heal_links_ns = 0;
}

void links_cut_for_good(struct world *w, uint8_t other, uint8_t direction)
{
	w->cut.one = w->rot_node;
	w->cut.other = other;
	w->cut.direction = direction;
	w->cut.mended = false;
	w->cut.flap_ns = rand_below(&w->shape_random, 3) ? UINT64_MAX : sim_now(w->sim);
	set_links(w, true);
	w->heal_links_ns = UINT64_MAX;
}
