/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http.h"

#include <string.h>
#include <strings.h>

/* Copies up to `end`; false if it is empty or doesn't fit. */
static bool copy_word(char *to, size_t room, const char *from, const char *end)
{
	size_t size = (size_t)(end - from);

	if (!size || size >= room)
		return false;
	memcpy(to, from, size);
	to[size] = 0;
	return true;
}

/* The value's text, if the line is this header; NULL if it is another one. */
static const char *header_value(const char *line, const char *end, const char *name)
{
	size_t size = strlen(name);

	if ((size_t)(end - line) < size + 1 || strncasecmp(line, name, size) || line[size] != ':')
		return NULL;
	line += size + 1;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return line;
}

static bool header_is(const char *line, const char *end, const char *name, const char *value)
{
	const char *at = header_value(line, end, name);
	size_t size = strlen(value);

	return at && (size_t)(end - at) == size && !strncasecmp(at, value, size);
}

/* 0, or the status to refuse with, negated. A second length that differs could hide a request from whoever looked at the first. */
static int read_length(struct http_request *q, const char *at, const char *end, bool *had_one)
{
	uint32_t size = 0;

	if (at == end)
		return -400;
	for (; at < end; at++) {
		if (*at < '0' || *at > '9')
			return -400;
		size = size * 10 + (uint32_t)(*at - '0');
		if (size > HTTP_BODY_MAX)
			return -413;
	}
	if (*had_one && size != q->body_size)
		return -400;
	*had_one = true;
	q->body_size = size;
	return 0;
}

/* What of the headers counts here. 0, or the status to refuse with, negated. */
static int read_header(struct http_request *q, const char *line, const char *end, bool *had_length)
{
	const char *length = header_value(line, end, "Content-Length");

	if (header_is(line, end, "Connection", "close"))
		q->keep_alive = false;
	if (header_value(line, end, "Origin"))
		q->from_page = true;
	if (header_value(line, end, "Transfer-Encoding"))
		return -411;
	return length ? read_length(q, length, end, had_length) : 0;
}

int http_parse(const uint8_t *data, size_t size, struct http_request *ret)
{
	const char *text = (const char *)data, *end = memmem(data, size, "\r\n\r\n", 4);
	const char *line, *space, *target, *after, *query;
	bool had_length = false;
	int r;

	*ret = (struct http_request){.keep_alive = true};
	if (!end)
		return size >= HTTP_HEAD_MAX ? -431 : size >= 4 && !memchr(data, ' ', size < 16 ? size : 16) && size >= 16 ? -400 : 0;
	line = memmem(text, (size_t)(end + 2 - text), "\r\n", 2); /* a lone CR ends nothing */
	space = memchr(text, ' ', (size_t)(line - text));
	if (!space || !copy_word(ret->method, sizeof ret->method, text, space))
		return -400;
	target = space + 1;
	after = memchr(target, ' ', (size_t)(line - target));
	if (!after || after == target || strncmp(after + 1, "HTTP/1.", 7) || line - after != 9)
		return -400;
	query = memchr(target, '?', (size_t)(after - target));
	if (query && query + 1 < after && !copy_word(ret->query, sizeof ret->query, query + 1, after))
		return -414;
	if (!copy_word(ret->path, sizeof ret->path, target, query ? query : after))
		return -414;
	if (after[8] == '0')
		ret->keep_alive = false;
	while (line < end) {
		const char *start = line + 2, *stop = memmem(start, (size_t)(end + 2 - start), "\r\n", 2);

		r = read_header(ret, start, stop, &had_length);
		if (r < 0)
			return r;
		line = stop;
	}
	return (int)(end + 4 - text);
}

const char *http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Error";
	}
}
