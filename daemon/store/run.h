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

/*
 * False (and the error replied) if values of so many bytes can't be part of this request's reply any more. The
 * budget is spent whether anybody waits for the reply or not, so that every replica decides alike. Ask before any
 * effect.
 */
bool call_may_reply(struct call *call, uint64_t size);

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
#define REPLY_VALUES_MAX (64u << 20) /* bytes of values in the reply to one request, an EXEC included */

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

void run_getdel(struct call *call);
void run_getex(struct call *call);
void run_getrange(struct call *call);
void run_getset(struct call *call);
void run_incrbyfloat(struct call *call);
void run_msetnx(struct call *call);
void run_setex(struct call *call);
void run_psetex(struct call *call);
void run_setnx(struct call *call);
void run_setrange(struct call *call);

/* ---- lcs.c ---- */
void run_lcs(struct call *call);

/* ---- expire.c ---- */

/*
 * Reads "EX 10", "PXAT 1700000000000" and the like into group time. False (and the error replied) if the value is
 * no valid time.
 */
bool expiry_time(struct call *call, const struct arg *unit, const struct arg *value, int64_t *ret_ms);
bool expiry_unit(const struct arg *a); /* EX, PX, EXAT or PXAT */
void run_expire(struct call *call);
void run_pexpire(struct call *call);
void run_expireat(struct call *call);
void run_pexpireat(struct call *call);
void run_expiretime(struct call *call);
void run_pexpiretime(struct call *call);
void run_ttl(struct call *call);
void run_pttl(struct call *call);
void run_persist(struct call *call);

/* ---- scan.c ---- */

/* Patterns of SCAN and KEYS: * ? [a-z] [^a] and \x. Bounded work, no recursion. */
bool glob_match(const uint8_t *pattern, size_t pattern_size, const uint8_t *text, size_t text_size);
/* A cursor is a hash slot and, below it, so many of the top bits of a key's hash. */
#define SCAN_HASH_BITS 50

struct scan_arguments {
	uint64_t cursor;
	const struct arg *pattern; /* NULL: all keys */
	bool none;                 /* TYPE names one that no key has */
	int64_t count;             /* a hint, at least 1 */
};

/* Reads SCAN's arguments; false (and the error replied) if they are wrong. Asks no state. */
bool scan_arguments(struct call *call, struct scan_arguments *ret);
void run_scan(struct call *call);
void run_keys(struct call *call);
/* Its second argument, which the node draws, says where to look: slot (2 bytes) and hash (8). */
void run_randomkey(struct call *call);

/* What a slot holds: the slot, then (GETKEYSINSLOT) how many keys at most. */
bool slot_arguments(struct call *call, uint16_t *ret_slot, int64_t *ret_max);
void run_countkeysinslot(struct call *call);
void run_getkeysinslot(struct call *call);

/* ---- object.c: how a value is kept ---- */
void run_object_encoding(struct call *call);
void run_object_refcount(struct call *call);
void run_memory_usage(struct call *call);

/* ---- connection.c: what may stand between others in a MULTI; they touch no state ---- */
void run_ping(struct call *call);
void run_echo(struct call *call);
void run_select(struct call *call);
void run_unwatch(struct call *call);

/* ---- generic.c ---- */
void run_del(struct call *call);
void run_exists(struct call *call);
void run_type(struct call *call);
void run_dbsize(struct call *call);
/* False (and the error replied) if FLUSHALL's arguments are wrong. Asks no state. */
bool flush_arguments(struct call *call);
void run_flush(struct call *call);

#endif
