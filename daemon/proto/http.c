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

static bool header_is(const char *line, const char *end, const char *name, const char *value)
{
	size_t name_size = strlen(name), value_size = strlen(value);

	if ((size_t)(end - line) < name_size + 1 || strncasecmp(line, name, name_size) || line[name_size] != ':')
		return false;
	line += name_size + 1;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	return (size_t)(end - line) == value_size && !strncasecmp(line, value, value_size);
}

int http_parse(const uint8_t *data, size_t size, struct http_request *ret)
{
	const char *text = (const char *)data, *end = memmem(data, size, "\r\n\r\n", 4);
	const char *line, *space, *target, *after, *query;

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

		if (header_is(start, stop, "Connection", "close"))
			ret->keep_alive = false;
		if (header_is(start, stop, "Transfer-Encoding", "chunked"))
			return -411;
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
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 411:
		return "Length Required";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Error";
	}
}
