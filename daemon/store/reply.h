/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes replies in RESP2 or RESP3 (the Redis serialization protocol specification). Each function does nothing
 * where out is NULL: most replicas execute a command without anybody waiting for its reply.
 */
#ifndef HF_STORE_REPLY_H
#define HF_STORE_REPLY_H

#include "base/bytes.h"

void reply_status(struct bytes *out, const char *text);
/* text starts with the code: "ERR no such key". Line breaks in it become spaces, at its end nothing. */
void reply_error(struct bytes *out, const char *text);
void reply_errorf(struct bytes *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_int(struct bytes *out, int64_t value);
void reply_bulk(struct bytes *out, const void *data, size_t size);
void reply_bulks(struct bytes *out, const char *text);
void reply_array(struct bytes *out, size_t count);
/* What follows is count keys, each with its value: a map in RESP3, an array of twice the length in RESP2. */
void reply_map(struct bytes *out, int resp, size_t count);
void reply_set(struct bytes *out, int resp, size_t count);
void reply_null(struct bytes *out, int resp);
void reply_null_array(struct bytes *out, int resp);
void reply_bool(struct bytes *out, int resp, bool value);
/* A double as Redis prints it (17 significant digits at most): a bulk string in RESP2. */
void reply_double(struct bytes *out, int resp, double value);
/* A text for people (INFO, CLUSTER NODES): verbatim string in RESP3. */
void reply_verbatim(struct bytes *out, int resp, const void *data, size_t size);

#endif
