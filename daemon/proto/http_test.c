/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *text;
	int want; /* 1: all of it is taken */
	const char *method, *path, *query;
	bool keep_alive;
	uint32_t body_size;
} table[] = {
	{"GET / HTTP/1.1\r\n\r\n", 1, "GET", "/", "", true, 0},
	{"GET /metrics HTTP/1.0\r\n\r\n", 1, "GET", "/metrics", "", false, 0},
	{"GET /a?b=c&d HTTP/1.1\r\nHost: x\r\n\r\n", 1, "GET", "/a", "b=c&d", true, 0},
	{"GET /a? HTTP/1.1\r\n\r\n", 1, "GET", "/a", "", true, 0},
	{"GET / HTTP/1.1\r\nconnection:  Close\r\n\r\n", 1, "GET", "/", "", false, 0},
	{"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", -411, NULL, NULL, NULL, false, 0},
	{"GET / HTTP/2.0\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"GET  HTTP/1.1\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"GET /\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{" / HTTP/1.1\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"VERYLONGMETHOD / HTTP/1.1\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"GET / HTTP/1.1\r\r\n\r\n", -400, NULL, NULL, NULL, false, 0}, /* found by the fuzzer */
	{"GET / HTTP/1.1\r\nA: b\r\r\n\r\n", 1, "GET", "/", "", true, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: 12\r\n\r\n", 1, "POST", "/x", "", true, 12},
	{"POST /x HTTP/1.1\r\ncontent-length:0\r\n\r\n", 1, "POST", "/x", "", true, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: 65536\r\n\r\n", 1, "POST", "/x", "", true, 65536},
	{"POST /x HTTP/1.1\r\nContent-Length: 65537\r\n\r\n", -413, NULL, NULL, NULL, false, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", -413, NULL, NULL, NULL, false, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: -1\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: 0x10\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: \r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"POST /x HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 1, "POST", "/x", "", true, 3},
	{"POST /x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", -411, NULL, NULL, NULL, false, 0},
	{"\r\n\r\n", -400, NULL, NULL, NULL, false, 0},
	{"GET / HTTP/1.1\r\n", 0, NULL, NULL, NULL, false, 0},
	{"", 0, NULL, NULL, NULL, false, 0},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct http_request q;
		size_t size = strlen(table[i].text);
		uint8_t *copy = malloc(size ? size : 1); /* without a zero behind it */

		memcpy(copy, table[i].text, size);
		assert_int_equal(http_parse(copy, size, &q), table[i].want == 1 ? (int)size : table[i].want);
		if (table[i].want == 1) {
			assert_string_equal(q.method, table[i].method);
			assert_string_equal(q.path, table[i].path);
			assert_string_equal(q.query, table[i].query);
			assert_int_equal(q.keep_alive, table[i].keep_alive);
			assert_int_equal(q.body_size, table[i].body_size);
			for (size_t n = 0; n < size; n++) /* never taken before its end */
				assert_int_equal(http_parse(copy, n, &q), 0);
		}
		free(copy);
	}
}

static void test_limits(void **state)
{
	uint8_t big[HTTP_HEAD_MAX + 64];
	struct http_request q;

	(void)state;
	memset(big, 'a', sizeof big);
	memcpy(big, "GET /", 5);
	assert_int_equal(http_parse(big, HTTP_HEAD_MAX, &q), -431);
	memcpy(big + 400, " HTTP/1.1\r\n\r\n", 13);
	assert_int_equal(http_parse(big, 413, &q), -414);
	memset(big, 'a', sizeof big);
	assert_int_equal(http_parse(big, 16, &q), -400); /* no method that we know is so long */
	assert_string_equal(http_reason(431), "Request Header Fields Too Large");
}

static void test_who_asks(void **state)
{
	static const struct {
		const char *header;
		bool from_page;
	} cases[] = {{"origin: http://evil.example", true}, {"Origin: null", true}, {"X-Origin: http://a.example", false}, {"Host: a", false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct http_request q;
		char text[100];
		int size = snprintf(text, sizeof text, "POST /x HTTP/1.1\r\n%s\r\n\r\n", cases[i].header);

		assert_int_equal(http_parse((const uint8_t *)text, (size_t)size, &q), size);
		assert_int_equal(q.from_page, cases[i].from_page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
		cmocka_unit_test(test_who_asks), cmocka_unit_test(test_limits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
