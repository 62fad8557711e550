/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"

/* An argument or a node's answer may be part of it, and mustn't make more lines of it or speak to the terminal. */
static void print_line(char *text)
{
	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	fprintf(stderr, "holdfast: %s\n", text);
}

int cli_fail(int status, const char *format, ...)
{
	va_list args, again;
	int size;
	char *text;

	va_start(args, format);
	va_copy(again, args);
	size = vsnprintf(NULL, 0, format, args) + 1;
	text = mem_alloc((size_t)size);
	(void)vsnprintf(text, (size_t)size, format, again);
	va_end(again);
	va_end(args);
	print_line(text);
	free(text);
	return status;
}
