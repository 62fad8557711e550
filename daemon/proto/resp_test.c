/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S(text) text, sizeof text - 1

/* What a request came to, as text: "[GET][key]", "empty", "more" or "error: ...". */
static void tell(struct resp_parser *p, const char *data, size_t size, char *ret, size_t *ret_used)
{
	const uint8_t *base;
	char *out = ret;

	*ret_used = 0;
	switch (resp_parse(p, (const uint8_t *)data, size, &base, ret_used)) {
	case RESP_MORE:
		strcpy(ret, "more");
		return;
	case RESP_EMPTY:
		strcpy(ret, "empty");
		return;
	case RESP_ERROR:
		(void)sprintf(ret, "error: %s", p->error);
		return;
	case RESP_READY:
		for (uint32_t i = 0; i < p->argc; i++) {
			*out++ = '[';
			memcpy(out, base + p->args[i].offset, p->args[i].size);
			out += p->args[i].size;
			*out++ = ']';
		}
		*out = 0;
	}
}

static const struct {
	const char *data;
	size_t size;
	const char *want;
	size_t used;
} table[] = {
	{S("*1\r\n$4\r\nPING\r\n"), "[PING]", 14},
	{S("*2\r\n$3\r\nGET\r\n$1\r\na\r\nrest"), "[GET][a]", 20},
	{S("*2\r\n$3\r\nGET\r\n$0\r\n\r\n"), "[GET][]", 19},
	{S("*1\r\n$4\r\na\r\nb\r\n"), "[a\r\nb]", 14},
	{S("*0\r\n"), "empty", 4},
	{S("*-1\r\n"), "empty", 5},
	{S("\r\n"), "empty", 2},
	{S("\n"), "empty", 1},
	{S("PING\r\n"), "[PING]", 6},
	{S("  set\ta  b \n"), "[set][a][b]", 12},
	{S("set \"a b\" 'c d'\r\n"), "[set][a b][c d]", 17},
	{S("set \"\\x41\\n\\\"\\\\\" '\\''\r\n"), "[set][A\n\"\\][']", 23},
	{S("set \"\" ''\r\n"), "[set][][]", 11},
	{S("set \"a\r\n"), "error: unbalanced quotes in request", 8},
	{S("set \"a\"b\r\n"), "error: unbalanced quotes in request", 10},
	{S("set 'a\r\n"), "error: unbalanced quotes in request", 8},
	{S("set\v a\fb \v\f c \"d\"\v\r\n"), "[set\v][a\fb][c][d]", 20},
	{S("*x\r\n"), "error: invalid multibulk length", 0},
	{S("*01\r\n"), "error: invalid multibulk length", 0},
	{S("*-0\r\n"), "error: invalid multibulk length", 0},
	{S("*1048577\r\n"), "error: invalid multibulk length", 0},
	{S("*99999999999999999999\r\n"), "error: invalid multibulk length", 0},
	{S("*1\r\n+PING\r\n"), "error: expected '$', got '+'", 0},
	{S("*1\r\n\x01PING\r\n"), "error: expected '$', got '\x01'", 0},
	{S("*1\r\n$-1\r\n"), "error: invalid bulk length", 0},
	{S("*1\r\n$04\r\n"), "error: invalid bulk length", 0},
	{S("*1\r\n$00\r\n"), "error: invalid bulk length", 0},
	{S("*1\r\n$16777217\r\n"), "error: invalid bulk length", 0},
	{S("*1\r\n$x\r\n"), "error: invalid bulk length", 0},
	{S("*1\r\n$4\r\nPINGxx"), "error: bulk string is not followed by CRLF", 0},
	{S("*1\r\n$4\nPING\r\n"), "error: invalid bulk length", 0},
	{S("*1\r\n$4\r\nPIN"), "more", 0},
	{S("*1\r"), "more", 0},
	{S("PIN"), "more", 0},
	{S(""), "more", 0},
};

static void test_table(void **state)
{
	char got[256];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct resp_parser p = {0};
		size_t used;

		tell(&p, table[i].data, table[i].size, got, &used);
		assert_string_equal(got, table[i].want);
		if (strncmp(got, "error", 5))
			assert_int_equal(used, table[i].used);
		resp_parser_free(&p);
	}
}

/* The same, one byte at a time, in a buffer that is always exactly as long as what came (the sanitizer watches). */
static void test_byte_by_byte(void **state)
{
	char got[256];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct resp_parser p = {0};
		size_t used = 0;

		strcpy(got, "more");
		for (size_t size = 1; size <= table[i].size && !strcmp(got, "more"); size++) {
			char *copy = malloc(size);

			memcpy(copy, table[i].data, size);
			tell(&p, copy, size, got, &used);
			free(copy);
		}
		assert_string_equal(got, table[i].want);
		resp_parser_free(&p);
	}
}

/* One parser, many requests behind each other, some of them empty. */
static void test_pipeline(void **state)
{
	static const char stream[] = "*1\r\n$1\r\na\r\nb c\r\n\r\n*0\r\n*2\r\n$1\r\nd\r\n$2\r\nee\r\n";
	static const char *const want[] = {"[a]", "[b][c]", "empty", "empty", "[d][ee]", "more"};
	struct resp_parser p = {0};
	size_t at = 0, used;
	char got[64];

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		tell(&p, stream + at, sizeof stream - 1 - at, got, &used);
		assert_string_equal(got, want[i]);
		at += used;
	}
	assert_int_equal(at, sizeof stream - 1);
	resp_parser_free(&p);
}

static void test_endless_lines_are_refused(void **state)
{
	size_t size = RESP_INLINE_MAX + 2, used;
	static const struct { char first, fill; const char *want; } lines[] = {
		{'a', 'a', "error: too big inline request"}, {'*', '1', "error: invalid multibulk length"},
	};
	char *big = malloc(size), got[128];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct resp_parser p = {0};

		memset(big, lines[i].fill, size);
		big[0] = lines[i].first;
		tell(&p, big, size, got, &used);
		assert_string_equal(got, lines[i].want);
		resp_parser_free(&p);
	}
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_endless_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
