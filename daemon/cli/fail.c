/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

#define END_MAX 300u /* bytes of the beginning, and of the end */

/* An argument or a node's answer may be part of it, and mustn't make more lines of it or speak to the terminal. A long one stands in the
 * middle, and isn't repeated whole: what failed is before it, and the way out behind it. */
static void print_line(char *text)
{
	size_t size = strlen(text);

	for (char *c = text; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	if (size <= 2 * END_MAX)
		fprintf(stderr, "holdfast: %s\n", text);
	else
		fprintf(stderr, "holdfast: %.*s ... %s\n", (int)END_MAX, text, text + size - END_MAX);
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
