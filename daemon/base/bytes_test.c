/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_put_and_take(void **state)
{
	struct bytes b = {0};
	struct cursor c;

	(void)state;
	bytes_put_u8(&b, 0xab);
	bytes_put_u16(&b, 0x1234);
	bytes_put_u32(&b, 0xdeadbeef);
	bytes_put_u64(&b, 0x0123456789abcdef);
	bytes_puts(&b, "text");
	bytes_printf(&b, "%d-%s", 42, "x");
	assert_int_equal(b.size, 1 + 2 + 4 + 8 + 4 + 4);
	assert_memory_equal(b.data + 1, "\x34\x12", 2); /* little-endian */
	c = cursor_of(b.data, b.size);
	assert_int_equal(cursor_u8(&c), 0xab);
	assert_int_equal(cursor_u16(&c), 0x1234);
	assert_int_equal(cursor_u32(&c), 0xdeadbeef);
	assert_true(cursor_u64(&c) == 0x0123456789abcdef);
	assert_memory_equal(cursor_take(&c, 8), "text42-x", 8);
	assert_int_equal(cursor_left(&c), 0);
	assert_false(c.bad);
	bytes_free(&b);
}

static void test_short_reads_yield_zeros_and_stay_bad(void **state)
{
	static const uint8_t data[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	for (size_t size = 0; size < 8; size++) {
		struct cursor c = cursor_of(data, size);

		assert_true(cursor_u64(&c) == 0);
		assert_true(c.bad);
		assert_int_equal(cursor_left(&c), 0);
		assert_int_equal(cursor_u8(&c), 0); /* nothing is left after a short read, though bytes were */
		c = cursor_of(data, size);
		assert_int_equal(cursor_u32(&c), size < 4 ? 0 : 0xffffffff);
		assert_int_equal(c.bad, size < 4);
		c = cursor_of(data, size);
		assert_int_equal(cursor_u16(&c), size < 2 ? 0 : 0xffff);
		c = cursor_of(data, size);
		assert_null(cursor_take(&c, SIZE_MAX));
		assert_true(c.bad);
	}
}

static void test_drop_and_reset(void **state)
{
	struct bytes b = {0};

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		bytes_put_u16(&b, (uint16_t)i);
	bytes_drop(&b, 100);
	assert_int_equal(b.size, 1900);
	assert_int_equal(get_le16(b.data), 50);
	bytes_drop(&b, 1900);
	assert_int_equal(b.size, 0);
	bytes_put_u8(&b, 1);
	bytes_reset(&b, 1 << 20);
	assert_non_null(b.data); /* small enough to keep */
	bytes_reset(&b, 16);
	assert_null(b.data);
	bytes_put(&b, NULL, 0);
	assert_int_equal(b.size, 0);
	bytes_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_take),
		cmocka_unit_test(test_short_reads_yield_zeros_and_stay_bad),
		cmocka_unit_test(test_drop_and_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
