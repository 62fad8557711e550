/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 9 /* no generation */

/* One slot through its generations: owners by number, as the catalog keeps them. */
struct row {
	const char *what;
	uint16_t active, prepared, earlier[4]; /* the latest first; N ends the list */
	uint16_t dead;
	struct lb_slot slot;
};

static const struct row rows[] = {
	{"[slot] nothing earlier: unmoved", 1, N, {N}, N, {1, 1, 1, 0}},
	{"[slot] the same owner all along: unmoved", 1, N, {1, 1, N}, N, {1, 1, 1, 0}},
	{"[slot] another owner before: moved", 1, N, {0, N}, N, {1, 0, 0, LB_SLOT_MOVED}},
	{"[slot] previous is the oldest, the latest is for a hand-over", 2, N, {1, 0, N}, N, {2, 0, 1, LB_SLOT_MOVED}},
	{"[slot] back at its first owner: those of the time between are in the table", 0, N, {1, 0, N}, N, {0, 0, 1, LB_SLOT_MOVED}},
	{"[slot] the only earlier owner is dead: unmoved", 1, N, {0, N}, 0, {1, 1, 1, 0}},
	{"[slot] the oldest is dead: the next one", 2, N, {1, 0, N}, 0, {2, 1, 1, LB_SLOT_MOVED}},
	{"[slot] the latest is dead", 2, N, {1, 0, N}, 1, {2, 0, 0, LB_SLOT_MOVED}},
	{"[generations] when the oldest retires, the next is previous", 2, N, {1, N}, N, {2, 1, 1, LB_SLOT_MOVED}},
	{"[two steps] prepared: the owner to come is the second chance", 1, 2, {N}, N, {1, 1, 2, LB_SLOT_MOVED}},
	{"[two steps] prepared, and an earlier owner", 1, 2, {0, N}, N, {1, 0, 2, LB_SLOT_MOVED}},
	{"[two steps] prepared without a change here", 1, 1, {N}, N, {1, 1, 1, 0}},
};

static void test_each_history(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		bool alive[N] = {true, true, true, true};
		struct generations g = {.active = {&r->active, 1}, .alive = alive};
		struct lb_slot slot;
		uint32_t moved;

		if (r->dead != N)
			alive[r->dead] = false;
		if (r->prepared != N)
			g.prepared = (struct generation){&r->prepared, 1};
		for (; r->earlier[g.earlier_count] != N; g.earlier_count++)
			g.earlier[g.earlier_count] = (struct generation){&r->earlier[g.earlier_count], 1};
		moved = slots_compute(&g, &slot);
		if (memcmp(&slot, &r->slot, sizeof slot))
			fail_msg("%s: %u %u %u %u, wanted %u %u %u %u", r->what, slot.current, slot.previous, slot.between, slot.flags,
				 r->slot.current, r->slot.previous, r->slot.between, r->slot.flags);
		assert_int_equal(moved, r->slot.flags & LB_SLOT_MOVED);
	}
}

/* A flow's hash falls into slot hash * size >> 32: in a table of twice the size into one of the two that its slot became. */
static void test_a_larger_table_splits_its_slots(void **state)
{
	static const uint16_t before[] = {0, 1, 2, 3}, now[] = {0, 0, 1, 3, 2, 2, 0, 3};
	static const uint16_t moved[] = {0, 0, 0, 1, 0, 0, 1, 0};
	bool alive[4] = {true, true, true, true};
	struct generations g = {.active = {now, 8}, .earlier = {{before, 4}}, .earlier_count = 1, .alive = alive};
	struct lb_slot slots[8];

	(void)state;
	assert_int_equal(slots_count(&g), 8);
	assert_int_equal(slots_compute(&g, slots), 2);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(slots[i].current, now[i]);
		assert_int_equal(slots[i].previous, before[i / 2]);
		assert_int_equal(slots[i].flags & LB_SLOT_MOVED, moved[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_history),
		cmocka_unit_test(test_a_larger_table_splits_its_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
