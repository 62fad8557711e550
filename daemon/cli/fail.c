/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

int cli_fail(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "holdfast: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	return status;
}
