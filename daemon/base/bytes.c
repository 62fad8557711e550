/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){0};
}

void bytes_reset(struct bytes *b, size_t keep)
{
	b->size = 0;
	if (b->cap > keep)
		bytes_free(b);
}

void bytes_grow(struct bytes *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;

	while (cap - b->size < more)
		cap *= 2;
	b->data = mem_realloc(b->data, cap);
	b->cap = cap;
}

void bytes_drop(struct bytes *b, size_t n)
{
	if (n < b->size)
		memmove(b->data, b->data + n, b->size - n);
	b->size -= n;
}

void bytes_printf(struct bytes *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	(void)bytes_space(b, (size_t)n + 1);
	va_start(args, format);
	(void)vsnprintf((char *)b->data + b->size, (size_t)n + 1, format, args);
	va_end(args);
	b->size += (size_t)n;
}
