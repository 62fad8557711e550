/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads requests of the Redis protocol (RESP arrays of bulk strings, and inline commands) out of a byte stream.
 * A parser remembers how far it got, so that a request that comes in a thousand pieces is looked at once.
 */
#ifndef HF_PROTO_RESP_H
#define HF_PROTO_RESP_H

#include <stddef.h>
#include <stdint.h>

#define RESP_INLINE_MAX (64u << 10)
#define RESP_BULK_MAX (16u << 20)       /* the largest argument: proto-max-bulk-len */
#define RESP_REQUEST_MAX (17u << 20)    /* the largest request */
#define RESP_ARGS_MAX (1u << 20)

struct resp_arg {
	uint32_t offset, size; /* in the buffer that was given */
};

struct resp_parser {
	struct resp_arg *args;
	uint32_t argc, cap;
	uint32_t expected;  /* arguments of the array being read; 0: none begun */
	size_t at;          /* the next byte to look at */
	uint8_t *inlined;   /* an inline command's arguments, unquoted */
	char text[32];      /* an error that names what came */
	const char *error;  /* after RESP_ERROR: what to tell the client, without "ERR Protocol error: " */
};

enum resp_result {
	RESP_MORE,  /* nothing whole yet: call again with the same bytes and more behind them */
	RESP_READY, /* args hold a request of argc > 0 arguments, relative to *ret_base; *ret_used bytes belong to it */
	RESP_EMPTY, /* an empty request (blank line, "*0"): skip *ret_used bytes */
	RESP_ERROR, /* the stream can't be understood any further */
};

void resp_parser_free(struct resp_parser *p);
/* Between requests: gives back what a large or inline one took. Its arguments are gone then. */
void resp_parser_trim(struct resp_parser *p);
/* After RESP_READY and RESP_EMPTY the next call starts a new request; the caller gives the bytes behind this one. */
enum resp_result resp_parse(struct resp_parser *p, const uint8_t *data, size_t size, const uint8_t **ret_base, size_t *ret_used);

#endif
