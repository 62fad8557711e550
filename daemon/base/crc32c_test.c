/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
static void test_vectors(void **state)
{
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
	static const uint8_t read_command[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
		0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
	};
	const struct {
		const void *data;
		size_t size;
		uint32_t want;
	} table[] = {
		{zeros, 32, 0x8a9136aa}, {ones, 32, 0x62a8ab43}, {up, 32, 0x46dd794e}, {down, 32, 0x113fdb5c},
		{read_command, 48, 0xd9963a56}, {"123456789", 9, 0xe3069283}, {"", 0, 0},
	};

	(void)state;
	memset(ones, 0xff, sizeof ones);
	for (unsigned i = 0; i < 32; i++) {
		up[i] = (uint8_t)i;
		down[i] = (uint8_t)(31 - i);
	}
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_int_equal(crc32c(0, table[i].data, table[i].size), table[i].want);
		assert_int_equal(crc32c_portable(0, table[i].data, table[i].size), table[i].want);
	}
}

static void test_portable_equals_hardware_and_goes_on(void **state)
{
	uint8_t data[600];
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)rand_next(&seed);
	for (size_t at = 0; at < 9; at++)
		for (size_t size = 0; at + size <= sizeof data; size += 1 + size / 40) {
			uint32_t start = (uint32_t)rand_next(&seed), whole = crc32c(start, data + at, size);
			size_t cut = rand_below(&seed, size + 1);

			assert_int_equal(whole, crc32c_portable(start, data + at, size));
			assert_int_equal(whole, crc32c(crc32c(start, data + at, cut), data + at + cut, size - cut));
		}
}

/* A CRC that misses a single flipped bit would be no use to the journal. */
static void test_every_flipped_bit_shows(void **state)
{
	uint8_t data[64];
	uint32_t want;

	(void)state;
	memset(data, 0x5a, sizeof data);
	want = crc32c(1, data, sizeof data);
	for (unsigned bit = 0; bit < 8 * sizeof data; bit++) {
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(crc32c(1, data, sizeof data), want);
		data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_portable_equals_hardware_and_goes_on),
		cmocka_unit_test(test_every_flipped_bit_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
