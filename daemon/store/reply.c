/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static size_t format_int(char *end, int64_t value)
{
	uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char *p = end;

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	if (value < 0)
		*--p = '-';
	return (size_t)(end - p);
}

/* "<type><number>\r\n" */
static void put_header(struct bytes *out, char type, int64_t value)
{
	char digits[24];
	size_t n = format_int(digits + sizeof digits, value);
	uint8_t *p = bytes_space(out, n + 3);

	*p = (uint8_t)type;
	memcpy(p + 1, digits + sizeof digits - n, n);
	memcpy(p + 1 + n, "\r\n", 2);
	out->size += n + 3;
}

void reply_status(struct bytes *out, const char *text)
{
	if (!out)
		return;
	bytes_put_u8(out, '+');
	bytes_puts(out, text);
	bytes_put(out, "\r\n", 2);
}

void reply_error(struct bytes *out, const char *text)
{
	size_t start;

	if (!out)
		return;
	bytes_put_u8(out, '-');
	start = out->size;
	bytes_puts(out, text);
	while (out->size > start && (out->data[out->size - 1] == '\r' || out->data[out->size - 1] == '\n'))
		out->size--;
	for (size_t i = start; i < out->size; i++)
		if (out->data[i] == '\r' || out->data[i] == '\n')
			out->data[i] = ' ';
	bytes_put(out, "\r\n", 2);
}

void reply_errorf(struct bytes *out, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!out)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	reply_error(out, text);
}

void reply_int(struct bytes *out, int64_t value)
{
	if (out)
		put_header(out, ':', value);
}

void reply_bulk(struct bytes *out, const void *data, size_t size)
{
	if (!out)
		return;
	put_header(out, '$', (int64_t)size);
	bytes_put(out, data, size);
	bytes_put(out, "\r\n", 2);
}

void reply_bulks(struct bytes *out, const char *text)
{
	reply_bulk(out, text, strlen(text));
}

void reply_array(struct bytes *out, size_t count)
{
	if (out)
		put_header(out, '*', (int64_t)count);
}

void reply_map(struct bytes *out, int resp, size_t count)
{
	if (out)
		put_header(out, resp >= 3 ? '%' : '*', (int64_t)(resp >= 3 ? count : 2 * count));
}

void reply_set(struct bytes *out, int resp, size_t count)
{
	if (out)
		put_header(out, resp >= 3 ? '~' : '*', (int64_t)count);
}

void reply_null(struct bytes *out, int resp)
{
	if (out)
		bytes_puts(out, resp >= 3 ? "_\r\n" : "$-1\r\n");
}

void reply_null_array(struct bytes *out, int resp)
{
	if (out)
		bytes_puts(out, resp >= 3 ? "_\r\n" : "*-1\r\n");
}

void reply_bool(struct bytes *out, int resp, bool value)
{
	if (!out)
		return;
	if (resp >= 3)
		bytes_puts(out, value ? "#t\r\n" : "#f\r\n");
	else
		reply_int(out, value);
}

void reply_double(struct bytes *out, int resp, double value)
{
	char text[64];

	if (!out)
		return;
	if (isinf(value))
		(void)snprintf(text, sizeof text, value > 0 ? "inf" : "-inf");
	else
		(void)snprintf(text, sizeof text, "%.17g", value);
	if (resp >= 3)
		bytes_printf(out, ",%s\r\n", text);
	else
		reply_bulks(out, text);
}

void reply_verbatim(struct bytes *out, int resp, const void *data, size_t size)
{
	if (!out)
		return;
	if (resp < 3) {
		reply_bulk(out, data, size);
		return;
	}
	put_header(out, '=', (int64_t)size + 4);
	bytes_puts(out, "txt:");
	bytes_put(out, data, size);
	bytes_put(out, "\r\n", 2);
}
