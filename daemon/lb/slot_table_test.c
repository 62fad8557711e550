/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/slot_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/numbers.h"

#define BACKENDS 32u
#define SLOTS (4 * MAGLEV_SIZE_MIN)

/* One service of two backends, 1 and 2, whose weights the test changes. */
struct world {
	struct lb_service services[1];
	struct lb_name names[1];
	struct lb_backend backends[BACKENDS];
	__u64 ids[BACKENDS];
	struct lb_load loads[BACKENDS];
	__u64 slots[SLOTS];
	struct tables tables;
	struct maglev_cache maglevs;
	struct catalog_backend listed[2];
	struct catalog_share shares[2];
	struct catalog_service served;
};

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof *w);

	w->tables = (struct tables){
		.services = w->services,
		.names = w->names,
		.backends = w->backends,
		.ids = w->ids,
		.loads = w->loads,
		.slots = w->slots,
		.service_count = 1,
		.backend_count = BACKENDS,
		.slot_count = SLOTS,
	};
	for (unsigned i = 0; i < 2; i++) {
		w->listed[i].id = i + 1;
		w->shares[i].backend = i + 1;
	}
	w->served.backends = w->listed;
	w->served.backend_count = 2;
	w->served.generation_count = 1;
	w->served.generations[0] = (struct catalog_generation){.number = 1, .shares = w->shares, .share_count = 2};
	assert_int_equal(numbers_give(&w->tables, w->services, &w->served), 0);
	return w;
}

static void world_free(struct world *w)
{
	maglev_cache_fini(&w->maglevs);
	free(w);
}

/* What slot_table_place() says of these weights. */
static int place(struct world *w, uint16_t first, uint16_t second)
{
	w->shares[0].weight = first;
	w->shares[1].weight = second;
	return slot_table_place(&w->tables, &w->maglevs, w->services, &w->served, 1);
}

static void read_table(const struct world *w, struct lb_table t, __u64 *ret)
{
	memcpy(ret, &w->slots[t.base], t.count * sizeof *ret);
}

/* A packet that found a table in use may read it while two changes come. */
static void test_two_changes_leave_what_was_in_use_alone(void **state)
{
	struct world *w = world_new();

	(void)state;
	assert_int_equal(place(w, 1, 0), SLOT_TABLE_CHANGED);
	for (uint16_t i = 0; i < 9; i++) {
		const struct lb_table before = w->services->table[w->services->current];
		__u64 was[SLOTS], is[SLOTS];

		read_table(w, before, was);
		assert_int_equal(place(w, i % 2, 1), SLOT_TABLE_CHANGED);
		read_table(w, before, is);
		assert_memory_equal(is, was, before.count * sizeof *is);
		assert_int_equal(place(w, 1, (uint16_t)(2 + i)), SLOT_TABLE_CHANGED);
		read_table(w, before, is);
		assert_memory_equal(is, was, before.count * sizeof *is);
		slot_table_release(w->services);
	}
	world_free(w);
}

static void test_what_was_released_is_room_again(void **state)
{
	struct world *w = world_new();

	(void)state;
	w->tables.slot_count = 2 * maglev_size(2, 0);
	for (uint16_t i = 0; i < 5; i++) {
		assert_int_equal(place(w, 1, i), SLOT_TABLE_CHANGED);
		assert_int_equal(place(w, 1, i), SLOT_TABLE_STAYS);
		slot_table_release(w->services);
	}
	assert_int_equal(place(w, 1, 9), SLOT_TABLE_CHANGED);
	assert_int_equal(place(w, 1, 8), -ENOSPC); /* both may still be read */
	world_free(w);
}

/* Slots of the first backend move to the second; then only they do, and when the generation that had them retires, none does. */
static void test_slots_settle_when_the_generation_before_retires(void **state)
{
	struct world *w = world_new();
	struct catalog_share before[2] = {{.backend = 1, .weight = 1}, {.backend = 2, .weight = 1}};
	const struct catalog_generation earlier = {.number = 1, .shares = before, .share_count = 2};
	const struct catalog_generation active = {.number = 2, .shares = w->shares, .share_count = 2};

	(void)state;
	w->served.generations[0] = earlier;
	assert_int_equal(place(w, 0, 1), SLOT_TABLE_CHANGED); /* those that the service begins with */
	w->served.generations[1] = active;
	w->served.generation_count = 2;
	assert_int_equal(place(w, 0, 1), SLOT_TABLE_CHANGED);
	slot_table_release(w->services);
	assert_int_equal(place(w, 0, 1), SLOT_TABLE_STAYS);
	w->served.generations[0] = active;
	w->served.generation_count = 1;
	assert_int_equal(place(w, 0, 1), SLOT_TABLE_SETTLED);
	world_free(w);
}

static void test_no_room_leaves_the_table_in_use(void **state)
{
	struct world *w = world_new();
	struct lb_table before;

	(void)state;
	assert_int_equal(place(w, 1, 0), SLOT_TABLE_CHANGED);
	before = w->services->table[w->services->current];
	w->tables.slot_count = before.count;
	assert_int_equal(place(w, 0, 1), -ENOSPC);
	assert_memory_equal(&w->services->table[w->services->current], &before, sizeof before);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_changes_leave_what_was_in_use_alone),
		cmocka_unit_test(test_what_was_released_is_room_again),
		cmocka_unit_test(test_slots_settle_when_the_generation_before_retires),
		cmocka_unit_test(test_no_room_leaves_the_table_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
