/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/exchange.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define KAFKA_CORRELATION 0x48464c42u
#define KAFKA_UNSUPPORTED_VERSION 35

static const char kafka_client[] = "holdfast-lbd";
static const char redis_ping[] = "*1\r\n$4\r\nPING\r\n";

/* A request line, "Host: [address]:65535" and two more lines. */
static_assert(CATALOG_PATH_SIZE + INET6_ADDRSTRLEN + 128 <= EXCHANGE_REQUEST_MAX, "every request fits");

static size_t http_request(const struct check_target *t, char *ret)
{
	char address[INET6_ADDRSTRLEN] = "";
	bool v6 = t->at.family == LB_IP6;

	(void)inet_ntop(v6 ? AF_INET6 : AF_INET, &t->at.addr, address, sizeof address);
	return (size_t)snprintf(ret, EXCHANGE_REQUEST_MAX,
				"GET %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: holdfast-lbd\r\nConnection: close\r\n\r\n", t->path,
				v6 ? "[" : "", address, v6 ? "]" : "", t->port);
}

static char *put(char *to, const void *from, size_t size)
{
	memcpy(to, from, size);
	return to + size;
}

/* Size, API key 18, version 0, correlation id, client id; all in network order. */
static size_t kafka_request(char *ret)
{
	const uint16_t key = htons(18), version = 0, name_size = htons(sizeof kafka_client - 1);
	const uint32_t correlation = htonl(KAFKA_CORRELATION), size = htonl(2 + 2 + 4 + 2 + sizeof kafka_client - 1);
	char *to = put(ret, &size, sizeof size);

	to = put(to, &key, sizeof key);
	to = put(to, &version, sizeof version);
	to = put(to, &correlation, sizeof correlation);
	to = put(to, &name_size, sizeof name_size);
	to = put(to, kafka_client, sizeof kafka_client - 1);
	return (size_t)(to - ret);
}

size_t exchange_request(const struct check_target *t, char *ret)
{
	switch (t->kind) {
	case CHECK_HTTP:
	case CHECK_HTTPS:
		return http_request(t, ret);
	case CHECK_REDIS:
		return (size_t)(put(ret, redis_ping, sizeof redis_ping - 1) - ret);
	case CHECK_KAFKA:
		return kafka_request(ret);
	default:
		return 0;
	}
}

/* "HTTP/1.1 200", all that is needed. */
static enum exchange_judgement judge_http(const char *answer, size_t size)
{
	static const char form[] = "HTTP/1.x 2xx";

	for (size_t i = 0; i < sizeof form - 1; i++) {
		if (i == size)
			return EXCHANGE_MORE;
		if (form[i] == 'x' ? answer[i] < '0' || answer[i] > '9' : answer[i] != form[i] && !(i == 9 && answer[i] == '3'))
			return EXCHANGE_BAD;
	}
	return EXCHANGE_GOOD;
}

/* A whole line, or as much of one as fits. */
static enum exchange_judgement judge_redis(const char *answer, size_t size)
{
	static const char *const good[] = {"+PONG\r\n", "-NOAUTH ", "-NOPERM "};

	if (!memchr(answer, '\n', size) && size < EXCHANGE_ANSWER_MAX)
		return EXCHANGE_MORE;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (size >= strlen(good[i]) && !memcmp(answer, good[i], strlen(good[i])))
			return EXCHANGE_GOOD;
	return EXCHANGE_BAD;
}

/* Size, correlation id, error, count of versions. */
static enum exchange_judgement judge_kafka(const char *answer, size_t size)
{
	uint32_t length, correlation, count;
	uint16_t error;

	if (size < 14)
		return EXCHANGE_MORE;
	memcpy(&length, answer, sizeof length);
	memcpy(&correlation, answer + 4, sizeof correlation);
	memcpy(&error, answer + 8, sizeof error);
	memcpy(&count, answer + 10, sizeof count);
	if (ntohl(length) < 10 || ntohl(correlation) != KAFKA_CORRELATION)
		return EXCHANGE_BAD;
	return ntohs(error) == KAFKA_UNSUPPORTED_VERSION || (!error && count) ? EXCHANGE_GOOD : EXCHANGE_BAD;
}

enum exchange_judgement exchange_judge(enum check_kind kind, const char *answer, size_t size, bool end)
{
	enum exchange_judgement j;

	switch (kind) {
	case CHECK_HTTP:
	case CHECK_HTTPS:
		j = judge_http(answer, size);
		break;
	case CHECK_REDIS:
		j = judge_redis(answer, size);
		break;
	case CHECK_KAFKA:
		j = judge_kafka(answer, size);
		break;
	default:
		return EXCHANGE_GOOD;
	}
	return j == EXCHANGE_MORE && end ? EXCHANGE_BAD : j;
}
