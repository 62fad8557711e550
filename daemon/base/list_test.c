/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	int value;
	struct list node;
};

static void expect(const struct list *head, const int *values, unsigned count)
{
	unsigned n = 0;

	list_for_each(pos, head) {
		assert_true(n < count);
		assert_int_equal(list_entry(pos, struct item, node)->value, values[n]);
		assert_ptr_equal(pos->next->prev, pos);
		n++;
	}
	assert_int_equal(n, count);
}

static void test_add_delete_splice(void **state)
{
	struct item items[6];
	struct list a, b;

	(void)state;
	list_init(&a);
	list_init(&b);
	assert_true(list_empty(&a));
	assert_null(list_first(&a));
	for (int i = 0; i < 6; i++) {
		items[i].value = i;
		list_add_tail(i < 3 ? &a : &b, &items[i].node);
	}
	expect(&a, (int[]){0, 1, 2}, 3);
	list_del(&items[1].node);
	list_del(&items[1].node); /* twice is harmless */
	expect(&a, (int[]){0, 2}, 2);
	list_splice_tail(&a, &b);
	expect(&a, (int[]){0, 2, 3, 4, 5}, 5);
	assert_true(list_empty(&b));
	list_splice_tail(&a, &b);
	expect(&a, (int[]){0, 2, 3, 4, 5}, 5);
	list_for_each_safe(pos, tmp, &a)
		if (list_entry(pos, struct item, node)->value % 2)
			list_del(pos);
	expect(&a, (int[]){0, 2, 4}, 3);
	assert_ptr_equal(list_first(&a), &items[0].node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_add_delete_splice)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
