/* SPDX-License-Identifier: Apache-2.0 */
#include "io/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

#define TIMERS 200

/* The reference: no order at all, just looked through. */
static const struct io_timer *earliest(const struct io_timer *timers)
{
	const struct io_timer *best = NULL;

	for (unsigned i = 0; i < TIMERS; i++)
		if (timers[i].heap_slot && (!best || timers[i].deadline_ns < best->deadline_ns ||
					    (timers[i].deadline_ns == best->deadline_ns && timers[i].order < best->order)))
			best = &timers[i];
	return best;
}

static void test_random_operations_against_reference(void **state)
{
	struct io_timer timers[TIMERS];
	struct timer_heap heap = {0};
	uint64_t seed = 3;
	unsigned armed = 0;

	(void)state;
	memset(timers, 0, sizeof timers);
	for (unsigned step = 0; step < 50000; step++) {
		struct io_timer *t = &timers[rand_below(&seed, TIMERS)];

		switch (rand_below(&seed, 4)) {
		case 0:
		case 1: /* few deadlines, many ties */
			armed += !t->heap_slot;
			timer_heap_start(&heap, t, rand_below(&seed, 50));
			break;
		case 2:
			armed -= t->heap_slot != 0;
			timer_heap_stop(&heap, t);
			break;
		case 3:
			t = timer_heap_first(&heap);
			armed -= t != NULL;
			if (t)
				timer_heap_stop(&heap, t);
			break;
		}
		assert_int_equal(heap.count, armed);
		assert_ptr_equal(timer_heap_first(&heap), earliest(timers));
	}
	timer_heap_free(&heap);
}

static void test_ties_fire_in_the_order_of_arming(void **state)
{
	struct io_timer timers[5];
	struct timer_heap heap = {0};

	(void)state;
	memset(timers, 0, sizeof timers);
	for (unsigned i = 0; i < 5; i++)
		timer_heap_start(&heap, &timers[i], 10);
	timer_heap_start(&heap, &timers[1], 10); /* armed anew: goes last */
	for (unsigned i = 0; i < 5; i++) {
		static const unsigned want[] = {0, 2, 3, 4, 1};
		struct io_timer *t = timer_heap_first(&heap);

		assert_int_equal(t - timers, want[i]);
		timer_heap_stop(&heap, t);
		assert_int_equal(t->heap_slot, 0);
	}
	assert_null(timer_heap_first(&heap));
	timer_heap_stop(&heap, &timers[0]); /* not armed: nothing happens */
	timer_heap_free(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations_against_reference),
		cmocka_unit_test(test_ties_fire_in_the_order_of_arming),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
