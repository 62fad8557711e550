/* SPDX-License-Identifier: Apache-2.0 */
/* Private to store/: the functions that execute commands, and what they share. A type is one file. */
#ifndef HF_STORE_RUN_H
#define HF_STORE_RUN_H

#include "store/command.h"
#include "store/keyspace.h"
#include "store/reply.h"

/* ---- store.c: looking keys up under the group's time ---- */

/* NULL if the key isn't there or has expired by the group's time; an expired one is removed if call->write. */
struct object *call_find(struct call *call, const struct arg *key);
/* The same, for a string: false (and WRONGTYPE replied) if it is of another type. */
bool call_find_string(struct call *call, const struct arg *key, struct object **ret_object);
struct keyspace *call_keyspace(const struct call *call);
int64_t call_now_ms(const struct call *call);

/* ---- arguments ---- */
bool arg_is(const struct arg *a, const char *word); /* any case */
/* An integer exactly as Redis reads it: no spaces, no leading zeros or plus. */
bool arg_int(const struct arg *a, int64_t *ret_value);
bool bytes_int(const uint8_t *data, size_t size, int64_t *ret_value);

#define ERROR_SYNTAX "ERR syntax error"
#define ERROR_NOT_INT "ERR value is not an integer or out of range"
#define ERROR_WRONGTYPE "WRONGTYPE Operation against a key holding the wrong kind of value"
#define ERROR_TOO_LONG "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
#define VALUE_SIZE_MAX (16u << 20)

/* ---- string.c ---- */
void run_get(struct call *call);
void run_set(struct call *call);
void run_incr(struct call *call);
void run_decr(struct call *call);
void run_incrby(struct call *call);
void run_decrby(struct call *call);
void run_mget(struct call *call);
void run_mset(struct call *call);
void run_strlen(struct call *call);
void run_append(struct call *call);

/* ---- generic.c ---- */
void run_del(struct call *call);
void run_exists(struct call *call);
void run_type(struct call *call);
void run_dbsize(struct call *call);
void run_flush(struct call *call);

#endif
