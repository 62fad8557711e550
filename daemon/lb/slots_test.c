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
	{"[slot] the only earlier owner is dead: moved, for it may come back", 1, N, {0, N}, 0, {1, 1, 1, LB_SLOT_MOVED}},
	{"[slot] it is back: what began meanwhile is in the table", 0, N, {1, 0, N}, N, {0, 0, 1, LB_SLOT_MOVED}},
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

/* Two slots, so that the stand-in of the first can only be the other's owner, 3. */
static void test_who_stands_in_for_a_skipped_backend(void **state)
{
	static const struct {
		const char *what;
		uint16_t active, earlier[3]; /* of slot 0 */
		bool datagrams;
		enum slot_skip skip; /* of backend 1 */
		struct lb_slot slot;
	} cases[] = {
		{"[generations] skipped: new flows go to the stand-in, others stay", 1, {N}, false, SLOT_SKIPPED, {3, 1, 1, LB_SLOT_MOVED}},
		{"skipped, datagrams: nobody can tell which are new", 1, {N}, true, SLOT_SKIPPED, {3, 3, 1, LB_SLOT_MOVED}},
		{"skipped, and there was another owner before", 1, {0, N}, false, SLOT_SKIPPED, {3, 0, 1, LB_SLOT_MOVED}},
		{"skipped, and an earlier owner only", 0, {1, N}, false, SLOT_SKIPPED, {0, 1, 1, LB_SLOT_MOVED}},
		{"lately: its flows, and the stand-in's by table or hop", 1, {N}, false, SLOT_SKIPPED_LATELY, {1, 1, 3, LB_SLOT_MOVED}},
		{"lately, and there was another owner before", 1, {0, N}, false, SLOT_SKIPPED_LATELY, {1, 0, 0, LB_SLOT_MOVED}},
		{"another one is skipped", 0, {N}, false, SLOT_SKIPPED, {0, 0, 0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint16_t active[2] = {cases[i].active, 3}, earlier[2] = {cases[i].earlier[0], 3};
		bool alive[N] = {true, true, true, true};
		uint8_t skipped[N] = {[1] = (uint8_t)cases[i].skip};
		struct generations g = {.active = {active, 2}, .alive = alive, .skipped = skipped, .datagrams = cases[i].datagrams};
		struct lb_slot slots[2];

		if (earlier[0] != N)
			g.earlier[g.earlier_count++] = (struct generation){earlier, 2};
		(void)slots_compute(&g, slots);
		if (memcmp(&slots[0], &cases[i].slot, sizeof slots[0]))
			fail_msg("%s: %u %u %u %u, wanted %u %u %u %u", cases[i].what, slots[0].current, slots[0].previous,
				 slots[0].between, slots[0].flags, cases[i].slot.current, cases[i].slot.previous, cases[i].slot.between,
				 cases[i].slot.flags);
	}
}

/* Skipped before the record of its death came or not: the flow table is asked, where its stand-ins' flows are. */
static void test_stand_ins_flows_outlive_a_death(void **state)
{
	static const uint16_t active[4] = {0, 0, 0, 0}, earlier[4] = {0, 1, 2, 3};
	static const bool alive[N] = {true, false, false, false};

	(void)state;
	for (int skip = SLOT_NOT_SKIPPED; skip <= SLOT_SKIPPED_LATELY; skip++) {
		const uint8_t skipped[N] = {[1] = (uint8_t)skip};
		const struct generations g = {
			.active = {active, 4}, .earlier = {{earlier, 4}}, .earlier_count = 1, .alive = alive, .skipped = skipped};
		struct lb_slot slots[4];

		assert_int_equal(slots_compute(&g, slots), 3);
		for (uint32_t n = 0; n < 4; n++) {
			const struct lb_slot wanted = {0, 0, 0, n ? LB_SLOT_MOVED : 0};

			assert_memory_equal(&slots[n], &wanted, sizeof wanted);
		}
	}
}

#define OWNERS 10u
#define SLOTS 1024u

static void compute_skipped(const uint16_t *table, uint32_t size, uint32_t count, const uint8_t *skipped, struct lb_slot *ret)
{
	static const uint16_t larger[2 * SLOTS]; /* an earlier generation may be the larger one */
	bool alive[OWNERS] = {false};
	struct generations g = {
		.active = {table, size}, .earlier = {{larger, count}}, .earlier_count = count > size, .alive = alive, .skipped = skipped};

	(void)slots_compute(&g, ret);
}

static void test_stand_ins_share_and_stay(void **state)
{
	static struct lb_slot one[SLOTS], two[SLOTS], after[SLOTS], split[2 * SLOTS];
	uint8_t first[OWNERS] = {[4] = SLOT_SKIPPED}, both[OWNERS] = {[4] = SLOT_SKIPPED, [7] = SLOT_SKIPPED},
		lately[OWNERS] = {[4] = SLOT_SKIPPED_LATELY};
	uint32_t share[OWNERS] = {0}, changed = 0;
	uint16_t table[SLOTS];

	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++)
		table[i] = (uint16_t)(i % OWNERS);
	compute_skipped(table, SLOTS, SLOTS, first, one);
	compute_skipped(table, SLOTS, SLOTS, both, two);
	compute_skipped(table, SLOTS, SLOTS, lately, after);
	compute_skipped(table, SLOTS, 2 * SLOTS, first, split);
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (table[i] != 4) {
			assert_int_equal(one[i].current, table[i]); /* nobody else's slots change */
			continue;
		}
		share[one[i].current]++;
		changed += two[i].current != one[i].current;
		if (one[i].current != 7)
			assert_int_equal(two[i].current, one[i].current); /* another death changes nothing here */
		assert_int_equal(after[i].between, one[i].current);       /* the hop to a stand-in's flows */
		assert_int_equal(split[2 * i].current, one[i].current);
		assert_int_equal(split[2 * i + 1].current, one[i].current);
	}
	assert_int_equal(changed, share[7]);
	for (uint32_t i = 0; i < OWNERS; i++)
		assert_in_range(share[i], i == 4 ? 0 : 4, i == 4 ? 0 : 24); /* of 102, about 11 each */
}

static void test_the_last_one_stands_in_for_all(void **state)
{
	static struct lb_slot slots[SLOTS];
	uint8_t skipped[OWNERS];
	uint16_t table[SLOTS];

	(void)state;
	for (uint32_t i = 0; i < SLOTS; i++)
		table[i] = (uint16_t)(i == 500 ? 9 : i % 9);
	memset(skipped, SLOT_SKIPPED, sizeof skipped);
	skipped[9] = SLOT_NOT_SKIPPED;
	compute_skipped(table, SLOTS, SLOTS, skipped, slots);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_int_equal(slots[i].current, 9);
	skipped[9] = SLOT_SKIPPED; /* all of them: the table as it is */
	compute_skipped(table, SLOTS, SLOTS, skipped, slots);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_true(slots[i].current == table[i] && !slots[i].flags);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_history),
		cmocka_unit_test(test_a_larger_table_splits_its_slots),
		cmocka_unit_test(test_who_stands_in_for_a_skipped_backend),
		cmocka_unit_test(test_stand_ins_flows_outlive_a_death),
		cmocka_unit_test(test_stand_ins_share_and_stay),
		cmocka_unit_test(test_the_last_one_stands_in_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
