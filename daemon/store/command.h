/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of commands: what COMMAND tells and what dispatch uses. A command's id stands in log records,
 * so an id is never given to another command.
 */
#ifndef HF_STORE_COMMAND_H
#define HF_STORE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct store;

struct arg {
	const uint8_t *data;
	uint32_t size;
};

enum command_flags {
	COMMAND_WRITE = 1 << 0,
	COMMAND_READONLY = 1 << 1,
	COMMAND_DENYOOM = 1 << 2,
	COMMAND_ADMIN = 1 << 3,
	COMMAND_FAST = 1 << 4,
	COMMAND_NOSCRIPT = 1 << 5,
	COMMAND_LOADING = 1 << 6,
	COMMAND_STALE = 1 << 7,
	COMMAND_NO_AUTH = 1 << 8,
	COMMAND_NO_MULTI = 1 << 9,   /* refused inside MULTI */
	COMMAND_BLOCKING = 1 << 10,
	COMMAND_CONTAINER = 1 << 11, /* its subcommands stand in the table as "name|sub" */
	COMMAND_AT_ONCE = 1 << 12,   /* never queued by MULTI */
};

/* Where a command is executed. */
enum command_scope {
	SCOPE_KEYS,       /* in the group of its keys, by run() */
	SCOPE_CONNECTION, /* by the node that holds the connection; run() is NULL (client/) */
	SCOPE_GROUPS,     /* in every group, by run(), not at one atomic point, and the replies put together (client/) */
};

/* One execution of a command in a state machine. */
struct call {
	struct store *store;
	const struct command *command;
	uint32_t argc; /* the name included */
	const struct arg *argv;
	struct bytes *out; /* NULL: nobody waits for the reply */
	int resp;          /* 2 or 3 */
	bool write;        /* expired keys may be removed */
};

struct command {
	uint16_t id;
	const char *name;    /* lower case; subcommands are "client|id" */
	int8_t arity;        /* as in Redis: negative means at least */
	enum command_scope scope;
	uint32_t flags;      /* enum command_flags */
	int8_t first_key, last_key, key_step;
	void (*run)(struct call *call);
	const char *group, *since, *summary;
};

enum command_id {
	CMD_GET = 1,
	CMD_SET = 2,
	CMD_DEL = 3,
	CMD_EXISTS = 4,
	CMD_INCR = 5,
	CMD_DECR = 6,
	CMD_INCRBY = 7,
	CMD_DECRBY = 8,
	CMD_MGET = 9,
	CMD_MSET = 10,
	CMD_STRLEN = 11,
	CMD_APPEND = 12,
	CMD_TYPE = 13,
	CMD_DBSIZE = 14,
	CMD_FLUSHALL = 15,
	CMD_FLUSHDB = 16,
	CMD_PING = 17,
	CMD_ECHO = 18,
	CMD_HELLO = 19,
	CMD_QUIT = 20,
	CMD_SELECT = 21,
	CMD_CLIENT = 22,
	CMD_COMMAND = 23,
	CMD_CONFIG = 24,
	CMD_INFO = 25,
	CMD_RESET = 26,
	CMD_CLUSTER = 27,
	CMD_GETDEL = 28,
	CMD_GETEX = 29,
	CMD_GETRANGE = 30,
	CMD_GETSET = 31,
	CMD_INCRBYFLOAT = 32,
	CMD_LCS = 33,
	CMD_MSETNX = 34,
	CMD_PSETEX = 35,
	CMD_SETEX = 36,
	CMD_SETNX = 37,
	CMD_SETRANGE = 38,
	CMD_SUBSTR = 39,
	CMD_UNLINK = 40,
	CMD_TOUCH = 41,
	CMD_EXPIRE = 42,
	CMD_PEXPIRE = 43,
	CMD_EXPIREAT = 44,
	CMD_PEXPIREAT = 45,
	CMD_EXPIRETIME = 46,
	CMD_PEXPIRETIME = 47,
	CMD_TTL = 48,
	CMD_PTTL = 49,
	CMD_PERSIST = 50,
	CMD_SCAN = 51,
	CMD_RANDOMKEY = 52,
	CMD_KEYS = 53,
	CMD_MULTI = 54,
	CMD_EXEC = 55,
	CMD_DISCARD = 56,
	CMD_WATCH = 57,
	CMD_UNWATCH = 58,
	CMD_WAIT = 59,
	CMD_CLIENT_ID = 60,
	CMD_CLIENT_SETNAME = 61,
	CMD_CLIENT_GETNAME = 62,
	CMD_CLIENT_SETINFO = 63,
	CMD_CLIENT_LIST = 64,
	CMD_CLIENT_INFO = 65,
	CMD_CLIENT_NO_EVICT = 66,
	CMD_CLIENT_HELP = 67,
	CMD_COMMAND_COUNT = 68,
	CMD_COMMAND_INFO = 69,
	CMD_COMMAND_DOCS = 70,
	CMD_COMMAND_LIST = 71,
	CMD_COMMAND_GETKEYS = 72,
	CMD_COMMAND_HELP = 73,
	CMD_CONFIG_GET = 74,
	CMD_CONFIG_HELP = 75,
	CMD_CLUSTER_SLOTS = 76,
	CMD_CLUSTER_SHARDS = 77,
	CMD_CLUSTER_NODES = 78,
	CMD_CLUSTER_INFO = 79,
	CMD_CLUSTER_MYID = 80,
	CMD_CLUSTER_KEYSLOT = 81,
	CMD_CLUSTER_HELP = 82,
	CMD_AUTH = 83,
	CMD_READONLY = 84,
	CMD_READWRITE = 85,
	CMD_ASKING = 86,
	CMD_TIME = 87,
	CMD_CLUSTER_COUNTKEYSINSLOT = 88,
	CMD_CLUSTER_GETKEYSINSLOT = 89,
	CMD_OBJECT = 90,
	CMD_OBJECT_ENCODING = 91,
	CMD_OBJECT_REFCOUNT = 92,
	CMD_OBJECT_HELP = 93,
	CMD_MEMORY = 94,
	CMD_MEMORY_USAGE = 95,
	CMD_MEMORY_HELP = 96,
	CMD_CLIENT_NO_TOUCH = 97,
};

/* NULL: unknown. Any case. Subcommands aren't found by this one. */
const struct command *command_find(const uint8_t *name, size_t size);
const struct command *command_find_sub(const struct command *container, const uint8_t *name, size_t size);
const struct command *command_by_id(uint16_t id);
size_t command_count(void);
const struct command *command_at(size_t n);
bool command_arity_ok(const struct command *c, uint32_t argc);
/* The keys' argument positions: *ret_first .. *ret_last by *ret_step; false if the command has none. */
bool command_keys(const struct command *c, uint32_t argc, uint32_t *ret_first, uint32_t *ret_last, uint32_t *ret_step);

/* Command bodies in log records: id, argument count, arguments. */
void command_encode(struct bytes *out, const struct command *c, uint32_t argc, const struct arg *argv);
/* Only the first key of an encoded command, without reading the rest; false if it has none or isn't well formed. */
bool command_first_key(struct cursor in, struct arg *ret_key);
/* Arguments point into the cursor's bytes; argv holds argv_cap. 0, -E2BIG (more arguments than argv_cap) or -EBADMSG. */
int command_decode(struct cursor *in, const struct command **ret_command, struct arg *argv, uint32_t argv_cap, uint32_t *ret_argc);

#endif
