/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RESP parser, and HTTP's. The first byte says how the stream is cut into pieces; the requests found must be the
 * same as in one piece, and lie inside what was given.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "proto/http.h"
#include "proto/resp.h"
#include "tests/fuzz/fuzz.h"

/* Hashes everything that the stream comes to, given in steps of `step` bytes (0: all at once). */
static uint64_t digest(const uint8_t *data, size_t size, size_t step)
{
	struct resp_parser p = {0};
	uint64_t sum = 1;
	size_t at = 0, have = 0;

	for (;;) {
		const uint8_t *base;
		size_t used = 0;
		enum resp_result r;
		uint8_t *copy;

		have = step ? have + step : size - at;
		if (have > size - at)
			have = size - at;
		copy = malloc(have ? have : 1); /* exactly what was given, so that one byte too many is seen */
		memcpy(copy, data + at, have);
		r = resp_parse(&p, copy, have, &base, &used);
		if (r == RESP_READY) {
			assert(p.argc > 0);
			for (uint32_t i = 0; i < p.argc; i++) {
				assert(base != copy || (size_t)p.args[i].offset + p.args[i].size <= used);
				sum = mix64(sum ^ hash64(base + p.args[i].offset, p.args[i].size, p.args[i].size));
			}
		}
		free(copy);
		if (r == RESP_ERROR) {
			assert(p.error);
			sum = mix64(sum ^ 2);
			break;
		}
		if (r == RESP_MORE) {
			if (at + have == size)
				break;
			continue;
		}
		assert(used > 0 && used <= have);
		sum = mix64(sum ^ r);
		at += used;
		have = 0;
	}
	resp_parser_free(&p);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request q;
	int r;

	if (!size || size > 4096)
		return 0;
	assert(digest(data + 1, size - 1, 0) == digest(data + 1, size - 1, 1 + data[0] % 7));
	r = http_parse(data + 1, size - 1, &q);
	assert(r <= (int)size - 1 && (r <= 0 || memchr(q.path, 0, sizeof q.path)));
	return 0;
}

void fuzz_seeds(void)
{
	static const char *const seeds[] = {
		"\1*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n*1\r\n$4\r\nPING\r\n",
		"\2set \"a\\x41\\n\" 'b\\'c'\r\n\r\nget a\n",
		"\3*0\r\n*-1\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
		"\4GET /v1/status?pretty HTTP/1.1\r\nConnection: close\r\n\r\n",
	};
	char name[] = "0";

	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++, name[0]++)
		fuzz_seed(name, seeds[i], strlen(seeds[i]));
}
