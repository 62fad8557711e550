/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quic_id.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_configs(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		struct quic_config want;
	} rows[] = {
		{"0:1", true, {0, 1}},   {"6:8", true, {6, 8}},  {"none", true, {0, 0}}, {"7:4", false, {0, 0}},  {"0:0", false, {0, 0}},
		{"0:9", false, {0, 0}},  {"1:", false, {0, 0}},  {"1", false, {0, 0}},   {"1:44", false, {0, 0}}, {"-1:4", false, {0, 0}},
		{" 1:4", false, {0, 0}}, {"1 4", false, {0, 0}}, {"", false, {0, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct quic_config c = {9, 9}, back;
		struct bytes out = {0};
		struct cursor in;
		char text[QUIC_CONFIG_TEXT];

		assert_int_equal(quic_config_parse(&c, rows[i].text), rows[i].ok);
		if (!rows[i].ok) {
			assert_int_equal(c.number, 9); /* untouched */
			continue;
		}
		assert_true(c.number == rows[i].want.number && c.id_size == rows[i].want.id_size);
		quic_config_format(&c, text);
		assert_string_equal(text, rows[i].text);
		quic_config_put(&out, &c);
		in = cursor_of(out.data, out.size);
		back = quic_config_get(&in);
		assert_true(!in.bad && !cursor_left(&in) && back.number == c.number && back.id_size == c.id_size);
		bytes_free(&out);
	}
}

static void test_ids(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint8_t size;
		const char *again; /* if it is written otherwise */
	} rows[] = {
		{"00", true, 1, NULL},
		{"c0ffee01", true, 4, NULL},
		{"C0FFEE01", true, 4, "c0ffee01"},
		{"0123456789abcdef", true, 8, NULL},
		{"none", true, 0, NULL},
		{"0123456789abcdef00", false, 0, NULL},
		{"c0f", false, 0, NULL},
		{"0x", false, 0, NULL},
		{"g0", false, 0, NULL},
		{"0 ", false, 0, NULL},
		{"", false, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct quic_id id = {.size = 9}, back;
		struct bytes out = {0};
		struct cursor in;
		char text[QUIC_ID_TEXT];

		assert_int_equal(quic_id_parse(&id, rows[i].text), rows[i].ok);
		if (!rows[i].ok) {
			assert_int_equal(id.size, 9);
			continue;
		}
		assert_int_equal(id.size, rows[i].size);
		quic_id_format(&id, text);
		assert_string_equal(text, rows[i].again ? rows[i].again : rows[i].text);
		quic_id_put(&out, &id);
		in = cursor_of(out.data, out.size);
		back = quic_id_get(&in);
		assert_true(!in.bad && !cursor_left(&in) && quic_id_equal(&id, &back));
		bytes_free(&out);
	}
}

static void test_connection_ids(void **state)
{
	uint8_t bytes[QUIC_CONNECTION_MAX] = {0};

	(void)state;
	assert_int_equal(quic_bytes_parse(bytes, sizeof bytes, "000102030405060708090a0b0c0d0e0f10111213"), 20);
	assert_true(bytes[0] == 0 && bytes[19] == 0x13);
	assert_int_equal(quic_bytes_parse(bytes, sizeof bytes, "000102030405060708090a0b0c0d0e0f1011121314"), -EINVAL);
	assert_int_equal(quic_bytes_parse(bytes, sizeof bytes, "none"), -EINVAL);
	assert_int_equal(quic_bytes_parse(bytes, sizeof bytes, ""), -EINVAL);
}

static void test_equality(void **state)
{
	struct quic_id a, b;

	(void)state;
	assert_true(quic_id_parse(&a, "0100") && quic_id_parse(&b, "01"));
	assert_false(quic_id_equal(&a, &b)); /* what follows a short one is no part of it */
	assert_true(quic_id_parse(&b, "0101"));
	assert_false(quic_id_equal(&a, &b));
	assert_true(quic_id_equal(&a, &a));
}

static void test_what_records_cannot_hold(void **state)
{
	static const uint8_t configs[][2] = {{7, 4}, {1, 0}, {1, 9}, {255, 255}}, ids[][10] = {{9}, {10}, {255}};

	(void)state;
	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		struct cursor in = cursor_of(configs[i], sizeof configs[i]);

		assert_int_equal(quic_config_get(&in).id_size, 0);
		assert_true(in.bad);
	}
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct cursor in = cursor_of(ids[i], sizeof ids[i]);

		assert_int_equal(quic_id_get(&in).size, 0);
		assert_true(in.bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configs),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_connection_ids),
		cmocka_unit_test(test_equality),
		cmocka_unit_test(test_what_records_cannot_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
