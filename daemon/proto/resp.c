/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/resp.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ARGS_KEEP 1024u

void resp_parser_free(struct resp_parser *p)
{
	free(p->args);
	free(p->inlined);
	*p = (struct resp_parser){0};
}

static enum resp_result fail(struct resp_parser *p, const char *error)
{
	p->error = error;
	return RESP_ERROR;
}

static void add_arg(struct resp_parser *p, uint32_t offset, uint32_t size)
{
	if (p->argc == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 8;
		p->args = mem_realloc(p->args, p->cap * sizeof *p->args);
	}
	p->args[p->argc++] = (struct resp_arg){.offset = offset, .size = size};
}

static void start_over(struct resp_parser *p)
{
	p->argc = p->expected = 0;
	p->at = 0;
}

void resp_parser_trim(struct resp_parser *p)
{
	free(p->inlined);
	p->inlined = NULL;
	if (p->cap <= ARGS_KEEP)
		return;
	free(p->args);
	p->args = NULL;
	p->argc = p->cap = 0;
}

/*
 * Reads "<number>\r\n" at data[at]. 1: *ret_value and *ret_next are set; 0: more bytes are needed; -1: it isn't a
 * number. One that begins with 0 is 0 alone, as in Redis.
 */
static int read_number(const uint8_t *data, size_t size, size_t at, int64_t *ret_value, size_t *ret_next)
{
	bool negative = false;
	int64_t v = 0;
	size_t start = at;

	if (at < size && data[at] == '-') {
		negative = true;
		start = ++at;
	}
	for (; at < size && data[at] != '\r'; at++) {
		if (data[at] < '0' || data[at] > '9' || at - start > 17)
			return -1;
		v = v * 10 + (data[at] - '0');
	}
	if (at + 1 >= size)
		return 0;
	if (at == start || data[at + 1] != '\n' || (data[start] == '0' && (negative || at - start > 1)))
		return -1;
	*ret_value = negative ? -v : v;
	*ret_next = at + 2;
	return 1;
}

/* ---- inline commands: words, with "..." (escapes as in C) and '...' ---- */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint8_t escaped(uint8_t c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return c;
	}
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

/* As in Redis, two kinds of space are skipped between words and end none. */
static bool ends_word(uint8_t c)
{
	return is_space(c) && c != '\v' && c != '\f';
}

/* Unquotes one word at *at into out; false if its quotes don't balance. */
static bool inline_word(const uint8_t *line, size_t size, size_t *at, uint8_t *out, uint32_t *out_size)
{
	uint8_t quote = 0;
	size_t i = *at;

	for (; i < size; i++) {
		uint8_t c = line[i];

		if (quote == '"' && c == '\\' && i + 3 < size && line[i + 1] == 'x' && hex_digit(line[i + 2]) >= 0 &&
		    hex_digit(line[i + 3]) >= 0) {
			out[(*out_size)++] = (uint8_t)(hex_digit(line[i + 2]) * 16 + hex_digit(line[i + 3]));
			i += 3;
		} else if (quote == '"' && c == '\\' && i + 1 < size) {
			out[(*out_size)++] = escaped(line[++i]);
		} else if (quote == '\'' && c == '\\' && i + 1 < size && line[i + 1] == '\'') {
			out[(*out_size)++] = line[++i];
		} else if (quote && c == quote) {
			if (i + 1 < size && !is_space(line[i + 1]))
				return false;
			*at = i + 1;
			return true;
		} else if (!quote && (c == '"' || c == '\'')) {
			quote = c;
		} else if (!quote && ends_word(c)) {
			break;
		} else {
			out[(*out_size)++] = c;
		}
	}
	*at = i;
	return !quote;
}

static enum resp_result parse_inline(struct resp_parser *p, const uint8_t *data, size_t size, const uint8_t **ret_base, size_t *ret_used)
{
	const uint8_t *newline = memchr(data + p->at, '\n', size - p->at);
	size_t length, at = 0;
	uint32_t used = 0;

	if (!newline) {
		p->at = size;
		return size > RESP_INLINE_MAX ? fail(p, "too big inline request") : RESP_MORE;
	}
	length = (size_t)(newline - data);
	*ret_used = length + 1;
	if (length > RESP_INLINE_MAX)
		return fail(p, "too big inline request");
	if (length && data[length - 1] == '\r')
		length--;
	start_over(p);
	free(p->inlined); /* the last one, if nobody trimmed */
	p->inlined = mem_alloc(length + 1);
	for (;;) {
		uint32_t start = used;

		while (at < length && is_space(data[at]))
			at++;
		if (at == length)
			break;
		if (!inline_word(data, length, &at, p->inlined, &used))
			return fail(p, "unbalanced quotes in request");
		add_arg(p, start, used - start);
	}
	*ret_base = p->inlined;
	return p->argc ? RESP_READY : RESP_EMPTY;
}

static enum resp_result parse_array_head(struct resp_parser *p, const uint8_t *data, size_t size)
{
	int64_t count;
	size_t next;
	int r = read_number(data, size, 1, &count, &next);

	if (r == 0 && size > RESP_INLINE_MAX)
		return fail(p, "too big mbulk count string");
	if (r == 0)
		return RESP_MORE;
	if (r < 0 || count > (int64_t)RESP_ARGS_MAX)
		return fail(p, "invalid multibulk length");
	start_over(p);
	p->at = next;
	if (count <= 0)
		return RESP_EMPTY;
	p->expected = (uint32_t)count;
	return RESP_READY;
}

static enum resp_result parse_bulk(struct resp_parser *p, const uint8_t *data, size_t size)
{
	int64_t length;
	size_t next;
	int r;

	if (p->at >= size)
		return RESP_MORE;
	if (data[p->at] != '$') {
		(void)snprintf(p->text, sizeof p->text, "expected '$', got '%c'", data[p->at]);
		return fail(p, p->text);
	}
	r = read_number(data, size, p->at + 1, &length, &next);
	if (r == 0 && size - p->at > 64)
		return fail(p, "too big bulk count string");
	if (r == 0)
		return RESP_MORE;
	if (r < 0 || length < 0 || length > (int64_t)RESP_BULK_MAX || next + (size_t)length > RESP_REQUEST_MAX)
		return fail(p, "invalid bulk length");
	if (size - next < (size_t)length + 2)
		return RESP_MORE;
	if (data[next + (size_t)length] != '\r' || data[next + (size_t)length + 1] != '\n')
		return fail(p, "bulk string is not followed by CRLF");
	add_arg(p, (uint32_t)next, (uint32_t)length);
	p->at = next + (size_t)length + 2;
	return RESP_READY;
}

enum resp_result resp_parse(struct resp_parser *p, const uint8_t *data, size_t size, const uint8_t **ret_base, size_t *ret_used)
{
	enum resp_result r;

	if (!p->expected) {
		if (size == 0)
			return RESP_MORE;
		if (data[0] != '*')
			return parse_inline(p, data, size, ret_base, ret_used);
		r = parse_array_head(p, data, size);
		if (r == RESP_EMPTY) {
			*ret_used = p->at;
			start_over(p);
		}
		if (r != RESP_READY)
			return r;
	}
	while (p->argc < p->expected) {
		r = parse_bulk(p, data, size);
		if (r != RESP_READY)
			return r;
	}
	*ret_base = data;
	*ret_used = p->at;
	p->expected = 0;
	p->at = 0;
	return RESP_READY;
}
