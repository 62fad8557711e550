/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads HTTP/1.x requests (RFC 9112) of the admin port: the request line and headers. A body has a Content-Length and
 * follows what was read.
 */
#ifndef HF_PROTO_HTTP_H
#define HF_PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192u
#define HTTP_BODY_MAX 65536u

struct http_request {
	char method[8];
	char path[256];   /* without the query */
	char query[256];  /* behind the ?, or empty */
	bool keep_alive;
	bool from_page;   /* a web page in a browser asks: it has an Origin (RFC 6454) */
	uint32_t body_size;
};

/* > 0: bytes the request takes, without its body; 0: more are needed; < 0: the HTTP status to refuse with, negated. */
int http_parse(const uint8_t *data, size_t size, struct http_request *ret);
const char *http_reason(int status);

#endif
