/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level log_level_max = LOG_INFO;
static _Thread_local char log_prefix[32];

void log_set_level(enum log_level level)
{
	log_level_max = level;
}

void log_set_prefix(const char *prefix)
{
	(void)snprintf(log_prefix, sizeof log_prefix, "%s", prefix);
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[1024];
	va_list args;
	int n, more;

	if (level > log_level_max)
		return;
	n = snprintf(line, sizeof line, "<%d>%s", level, log_prefix);
	va_start(args, format);
	more = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	va_end(args);
	n += more;
	if ((size_t)n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	(void)!write(STDERR_FILENO, line, (size_t)n); /* one write a line: lines of threads don't mix */
}
