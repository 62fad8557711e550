/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ANSWER(text) text, sizeof(text) - 1

static struct check_target target(enum check_kind kind, const char *address, const char *path)
{
	struct check_target t = {.port = 8080, .kind = (uint8_t)kind};

	assert_int_equal(host_address_parse(&t.at, address), 0);
	strcpy(t.path, path);
	return t;
}

static void test_requests_to_the_byte(void **state)
{
	static const struct {
		enum check_kind kind;
		const char *address, *path, *text;
		size_t size;
	} rows[] = {
		{CHECK_TCP, "10.0.0.1", "", ANSWER("")},
		{CHECK_HTTP, "10.0.0.1", "/ok?a=1",
		 ANSWER("GET /ok?a=1 HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: holdfast-lbd\r\nConnection: close\r\n\r\n")},
		{CHECK_HTTPS, "fd00::1", "/",
		 ANSWER("GET / HTTP/1.1\r\nHost: [fd00::1]:8080\r\nUser-Agent: holdfast-lbd\r\nConnection: close\r\n\r\n")},
		{CHECK_REDIS, "10.0.0.1", "", ANSWER("*1\r\n$4\r\nPING\r\n")},
		{CHECK_KAFKA, "10.0.0.1", "", ANSWER("\0\0\0\x16\0\x12\0\0HFLB\0\x0choldfast-lbd")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct check_target t = target(rows[i].kind, rows[i].address, rows[i].path);
		char request[EXCHANGE_REQUEST_MAX];

		assert_int_equal(exchange_request(&t, request), rows[i].size);
		assert_memory_equal(request, rows[i].text, rows[i].size);
	}
}

static void test_the_longest_request_fits(void **state)
{
	struct check_target t = target(CHECK_HTTP, "2001:db8:1111:2222:3333:4444:5555:6666", "");
	char request[EXCHANGE_REQUEST_MAX];
	size_t size;

	(void)state;
	t.port = 65535;
	memset(t.path, 'p', sizeof t.path - 1);
	size = exchange_request(&t, request);
	assert_true(size < sizeof request);
	assert_memory_equal(request + size - 4, "\r\n\r\n", 4);
}

static const struct {
	enum check_kind kind;
	const char *answer;
	size_t size;
	enum exchange_judgement judgement; /* of the whole; every shorter part of a good one asks for more */
} answers[] = {
	{CHECK_TCP, ANSWER(""), EXCHANGE_GOOD},
	{CHECK_HTTP, ANSWER("HTTP/1.1 200"), EXCHANGE_GOOD},
	{CHECK_HTTP, ANSWER("HTTP/1.0 204"), EXCHANGE_GOOD},
	{CHECK_HTTPS, ANSWER("HTTP/1.1 399"), EXCHANGE_GOOD},
	{CHECK_HTTP, ANSWER("HTTP/1.1 404 Not Found\r\n"), EXCHANGE_BAD},
	{CHECK_HTTP, ANSWER("HTTP/1.1 503"), EXCHANGE_BAD},
	{CHECK_HTTP, ANSWER("HTTP/1.1 100"), EXCHANGE_BAD},
	{CHECK_HTTP, ANSWER("HTTP/3.1 200"), EXCHANGE_BAD},
	{CHECK_HTTP, ANSWER("HTTP/2.0 200"), EXCHANGE_BAD},
	{CHECK_HTTP, ANSWER("SSH-2.0-OpenSSH_9.2p1\r\n"), EXCHANGE_BAD},
	{CHECK_HTTP, ANSWER("HTTP/1.1 20"), EXCHANGE_MORE},
	{CHECK_REDIS, ANSWER("+PONG\r\n"), EXCHANGE_GOOD},
	{CHECK_REDIS, ANSWER("-NOAUTH Authentication required.\r\n"), EXCHANGE_GOOD},
	{CHECK_REDIS, ANSWER("-NOPERM User default has no permissions to run the 'ping' command\r\n"), EXCHANGE_GOOD},
	{CHECK_REDIS, ANSWER("-LOADING Redis is loading the dataset in memory\r\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("-MASTERDOWN Link with MASTER is down\r\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("-BUSY Redis is busy running a script.\r\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("-DENIED Redis is running in protected mode\r\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("-ERR max number of clients reached\r\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("+PONGS\r\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("\n"), EXCHANGE_BAD},
	{CHECK_REDIS, ANSWER("-LOADING"), EXCHANGE_MORE},
	{CHECK_KAFKA, ANSWER("\0\0\0\x10HFLB\0\0\0\0\0\x01"), EXCHANGE_GOOD},
	{CHECK_KAFKA, ANSWER("\0\0\0\x0aHFLB\0\x23\0\0\0\0"), EXCHANGE_GOOD},
	{CHECK_KAFKA, ANSWER("\0\0\0\x10HFLA\0\0\0\0\0\x01"), EXCHANGE_BAD},
	{CHECK_KAFKA, ANSWER("\0\0\0\x0aHFLB\0\x0f\0\0\0\0"), EXCHANGE_BAD},
	{CHECK_KAFKA, ANSWER("\0\0\0\x0aHFLB\0\0\0\0\0\0"), EXCHANGE_BAD},
	{CHECK_KAFKA, ANSWER("\0\0\0\x06HFLB\0\0\0\0\0\x01"), EXCHANGE_BAD},
};

static void test_each_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		/* In memory of its very size, so that a byte read behind it is found. */
		char *copy = malloc(answers[i].size + 1);
		size_t size = answers[i].size < EXCHANGE_ANSWER_MAX ? answers[i].size : EXCHANGE_ANSWER_MAX;
		enum exchange_judgement j, wanted = answers[i].judgement;

		copy = realloc(copy, size + !size);
		memcpy(copy, answers[i].answer, size);
		j = exchange_judge(answers[i].kind, copy, size, false);
		if (j != wanted)
			fail_msg("\"%.*s\": %d, wanted %d", (int)size, copy, j, wanted);
		assert_int_equal(exchange_judge(answers[i].kind, copy, size, true), wanted == EXCHANGE_MORE ? EXCHANGE_BAD : wanted);
		for (size_t part = 0; wanted == EXCHANGE_GOOD && part < size && size < EXCHANGE_ANSWER_MAX; part++)
			assert_int_equal(exchange_judge(answers[i].kind, copy, part, false), EXCHANGE_MORE);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_to_the_byte),
		cmocka_unit_test(test_the_longest_request_fits),
		cmocka_unit_test(test_each_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
