/* SPDX-License-Identifier: Apache-2.0 */
/* One line an event on stderr, for journald: "<priority>module: what key=value ...". */
#ifndef HF_LOG_H
#define HF_LOG_H

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/* The most talkative level that is written; LOG_INFO unless told. Set before threads start. */
void log_set_level(enum log_level level);
/* What stands before each line, "n1 " say; for many nodes on one terminal and the simulator. Per thread. */
void log_set_prefix(const char *prefix);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
