/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/hash.h"

#define MODEL 4000

static struct entry *make(raft_index index, raft_term term, uint32_t size)
{
	struct entry *e = entry_new(ENTRY_BUNDLE, size);

	e->index = index;
	e->term = term;
	for (uint32_t i = 0; i < size; i++)
		e->data[i] = (uint8_t)(index + i);
	entry_seal(e);
	return e;
}

/* Random appends, truncations and compactions against plain arrays. */
static void test_ring_against_reference(void **state)
{
	static raft_term terms[MODEL + 1];
	static uint32_t sizes[MODEL + 1];
	struct raft_log log;
	raft_index start = 0, last = 0;
	raft_term term = 1;
	uint64_t seed = 11;

	(void)state;
	raft_log_init(&log);
	terms[0] = 0;
	while (last < MODEL - 40) {
		unsigned count = (unsigned)rand_below(&seed, 40);
		uint64_t sum = 0;

		switch (rand_below(&seed, 8)) {
		default:
			while (count--) {
				last++;
				terms[last] = term;
				sizes[last] = (uint32_t)rand_below(&seed, 100);
				struct entry *e = make(last, term, sizes[last]);
				raft_log_append(&log, e);
				entry_unref(e);
			}
			break;
		case 5:
			term++;
			break;
		case 6:
			if (last > start) {
				last = start + rand_below(&seed, last - start);
				raft_log_truncate(&log, last + 1);
			}
			break;
		case 7:
			start += rand_below(&seed, (last - start) / 2 + 1);
			raft_log_compact(&log, start);
			break;
		}
		assert_int_equal(log.start, start);
		assert_int_equal(log.last, last);
		assert_int_equal(raft_log_term(&log, start), terms[start]);
		assert_int_equal(raft_log_last_term(&log), terms[last]);
		assert_int_equal(raft_log_term(&log, last + 1), 0);
		if (start)
			assert_int_equal(raft_log_term(&log, start - 1), 0);
		for (raft_index i = start + 1; i <= last; i++) {
			assert_int_equal(raft_log_entry(&log, i)->index, i);
			assert_int_equal(raft_log_entry(&log, i)->size, sizes[i]);
			assert_int_equal(raft_log_term(&log, i), terms[i]);
			sum += raft_log_bytes(&log, i - 1, i);
		}
		assert_int_equal(sum, raft_log_bytes(&log, start, last));
	}
	raft_log_fini(&log);
}

static void test_reset_and_fill(void **state)
{
	struct raft_log log;
	struct entry *e = make(1, 1, 10), *gap = entry_new(ENTRY_BUNDLE, 0), *whole = make(2, 1, 30);

	(void)state;
	raft_log_init(&log);
	raft_log_append(&log, e);
	gap->index = 2;
	gap->term = 1;
	gap->crc = whole->crc;
	gap->missing = true;
	raft_log_append(&log, gap);
	assert_true(raft_log_entry(&log, 2)->missing);
	raft_log_fill(&log, whole);
	assert_ptr_equal(raft_log_entry(&log, 2), whole);
	raft_log_reset(&log, 100, 7);
	assert_int_equal(log.start, 100);
	assert_int_equal(log.last, 100);
	assert_int_equal(raft_log_term(&log, 100), 7);
	assert_int_equal(e->refs, 1); /* the log has let go of all */
	assert_int_equal(whole->refs, 1);
	assert_int_equal(gap->refs, 1);
	entry_unref(e);
	entry_unref(gap);
	entry_unref(whole);
	raft_log_fini(&log);
	raft_log_fini(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_against_reference),
		cmocka_unit_test(test_reset_and_fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
