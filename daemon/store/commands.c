/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <strings.h>

#include "base/hash.h"
#include "store/command.h"
#include "store/run.h"

#define W COMMAND_WRITE
#define R COMMAND_READONLY
#define M COMMAND_DENYOOM
#define F COMMAND_FAST
#define L COMMAND_LOADING
#define S COMMAND_STALE
#define N COMMAND_NOSCRIPT
#define A COMMAND_ADMIN

#define C COMMAND_CONTAINER
#define X COMMAND_NO_MULTI
#define NOW COMMAND_AT_ONCE

static const struct command commands[] = {
	/* id, name, arity, scope, flags, first, last, step, run, group, since, summary */
	{CMD_GET, "get", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_get, "string", "1.0.0",
	 "Returns the string value of a key."},
	{CMD_SET, "set", -3, SCOPE_KEYS, W | M, 1, 1, 1, run_set, "string", "1.0.0",
	 "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."},
	{CMD_GETDEL, "getdel", 2, SCOPE_KEYS, W | F, 1, 1, 1, run_getdel, "string", "6.2.0",
	 "Returns the string value of a key after deleting the key."},
	{CMD_GETEX, "getex", -2, SCOPE_KEYS, W | F, 1, 1, 1, run_getex, "string", "6.2.0",
	 "Returns the string value of a key after setting its expiration time."},
	{CMD_GETRANGE, "getrange", 4, SCOPE_KEYS, R, 1, 1, 1, run_getrange, "string", "2.4.0",
	 "Returns a substring of the string stored at a key."},
	{CMD_SUBSTR, "substr", 4, SCOPE_KEYS, R, 1, 1, 1, run_getrange, "string", "1.0.0",
	 "Returns a substring from a string value."},
	{CMD_GETSET, "getset", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_getset, "string", "1.0.0",
	 "Returns the previous string value of a key after setting it to a new value."},
	{CMD_SETEX, "setex", 4, SCOPE_KEYS, W | M, 1, 1, 1, run_setex, "string", "2.0.0",
	 "Sets the string value and expiration time of a key. Creates the key if it doesn't exist."},
	{CMD_PSETEX, "psetex", 4, SCOPE_KEYS, W | M, 1, 1, 1, run_psetex, "string", "2.6.0",
	 "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist."},
	{CMD_SETNX, "setnx", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_setnx, "string", "1.0.0",
	 "Set the string value of a key only when the key doesn't exist."},
	{CMD_SETRANGE, "setrange", 4, SCOPE_KEYS, W | M, 1, 1, 1, run_setrange, "string", "2.2.0",
	 "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist."},
	{CMD_INCR, "incr", 2, SCOPE_KEYS, W | M | F, 1, 1, 1, run_incr, "string", "1.0.0",
	 "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."},
	{CMD_DECR, "decr", 2, SCOPE_KEYS, W | M | F, 1, 1, 1, run_decr, "string", "1.0.0",
	 "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."},
	{CMD_INCRBY, "incrby", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_incrby, "string", "1.0.0",
	 "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."},
	{CMD_DECRBY, "decrby", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_decrby, "string", "1.0.0",
	 "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist."},
	{CMD_INCRBYFLOAT, "incrbyfloat", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_incrbyfloat, "string", "2.6.0",
	 "Increment the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist."},
	{CMD_MGET, "mget", -2, SCOPE_KEYS, R | F, 1, -1, 1, run_mget, "string", "1.0.0",
	 "Atomically returns the string values of one or more keys."},
	{CMD_MSET, "mset", -3, SCOPE_KEYS, W | M, 1, -1, 2, run_mset, "string", "1.0.1",
	 "Atomically creates or modifies the string values of one or more keys."},
	{CMD_MSETNX, "msetnx", -3, SCOPE_KEYS, W | M, 1, -1, 2, run_msetnx, "string", "1.0.1",
	 "Atomically modifies the string values of one or more keys only when all keys don't exist."},
	{CMD_STRLEN, "strlen", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_strlen, "string", "2.2.0",
	 "Returns the length of a string value."},
	{CMD_APPEND, "append", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_append, "string", "2.0.0",
	 "Appends a string to the value of a key. Creates the key if it doesn't exist."},
	{CMD_LCS, "lcs", -3, SCOPE_KEYS, R, 1, 2, 1, run_lcs, "string", "7.0.0", "Finds the longest common substring."},
	{CMD_DEL, "del", -2, SCOPE_KEYS, W, 1, -1, 1, run_del, "generic", "1.0.0", "Deletes one or more keys."},
	{CMD_UNLINK, "unlink", -2, SCOPE_KEYS, W | F, 1, -1, 1, run_del, "generic", "4.0.0",
	 "Asynchronously deletes one or more keys."},
	{CMD_EXISTS, "exists", -2, SCOPE_KEYS, R | F, 1, -1, 1, run_exists, "generic", "1.0.0",
	 "Determines whether one or more keys exist."},
	{CMD_TOUCH, "touch", -2, SCOPE_KEYS, R | F, 1, -1, 1, run_exists, "generic", "3.2.1",
	 "Returns the number of existing keys out of those specified after updating the time they were last accessed."},
	{CMD_TYPE, "type", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_type, "generic", "1.0.0",
	 "Determines the type of value stored at a key."},
	{CMD_EXPIRE, "expire", -3, SCOPE_KEYS, W | F, 1, 1, 1, run_expire, "generic", "1.0.0",
	 "Sets the expiration time of a key in seconds."},
	{CMD_PEXPIRE, "pexpire", -3, SCOPE_KEYS, W | F, 1, 1, 1, run_pexpire, "generic", "2.6.0",
	 "Sets the expiration time of a key in milliseconds."},
	{CMD_EXPIREAT, "expireat", -3, SCOPE_KEYS, W | F, 1, 1, 1, run_expireat, "generic", "1.2.0",
	 "Sets the expiration time of a key to a Unix timestamp."},
	{CMD_PEXPIREAT, "pexpireat", -3, SCOPE_KEYS, W | F, 1, 1, 1, run_pexpireat, "generic", "2.6.0",
	 "Sets the expiration time of a key to a Unix milliseconds timestamp."},
	{CMD_EXPIRETIME, "expiretime", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_expiretime, "generic", "7.0.0",
	 "Returns the expiration time of a key as a Unix timestamp."},
	{CMD_PEXPIRETIME, "pexpiretime", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_pexpiretime, "generic", "7.0.0",
	 "Returns the expiration time of a key as a Unix milliseconds timestamp."},
	{CMD_TTL, "ttl", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_ttl, "generic", "1.0.0",
	 "Returns the expiration time in seconds of a key."},
	{CMD_PTTL, "pttl", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_pttl, "generic", "2.6.0",
	 "Returns the expiration time in milliseconds of a key."},
	{CMD_PERSIST, "persist", 2, SCOPE_KEYS, W | F, 1, 1, 1, run_persist, "generic", "2.2.0",
	 "Removes the expiration time of a key."},
	{CMD_OBJECT, "object", -2, SCOPE_CONNECTION, C, 0, 0, 0, NULL, "generic", "2.2.3",
	 "A container for object introspection commands."},
	{CMD_OBJECT_ENCODING, "object|encoding", 3, SCOPE_KEYS, R, 2, 2, 1, run_object_encoding, "generic", "2.2.3",
	 "Returns the encoding that Redis has for the value of a key when it is set."},
	{CMD_OBJECT_REFCOUNT, "object|refcount", 3, SCOPE_KEYS, R, 2, 2, 1, run_object_refcount, "generic", "2.2.3",
	 "Returns the reference count of the value of a key."},
	{CMD_OBJECT_HELP, "object|help", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "generic", "6.2.0",
	 "Returns helpful text about the different subcommands."},
	{CMD_MEMORY, "memory", -2, SCOPE_CONNECTION, C, 0, 0, 0, NULL, "server", "4.0.0",
	 "A container for memory diagnostics commands."},
	{CMD_MEMORY_USAGE, "memory|usage", -3, SCOPE_KEYS, R, 2, 2, 1, run_memory_usage, "server", "4.0.0",
	 "Estimates the memory usage of a key: its bytes and those of its value, with a fixed share for each key."},
	{CMD_MEMORY_HELP, "memory|help", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "4.0.0",
	 "Returns helpful text about the different subcommands."},
	{CMD_SCAN, "scan", -2, SCOPE_GROUPS, R, 0, 0, 0, run_scan, "generic", "2.8.0",
	 "Iterates over the key names in the database."},
	{CMD_RANDOMKEY, "randomkey", 1, SCOPE_GROUPS, R, 0, 0, 0, run_randomkey, "generic", "1.0.0",
	 "Returns a random key name from the database."},
	{CMD_KEYS, "keys", 2, SCOPE_GROUPS, R, 0, 0, 0, run_keys, "generic", "1.0.0",
	 "Returns all key names that match a pattern."},
	{CMD_DBSIZE, "dbsize", 1, SCOPE_GROUPS, R | F, 0, 0, 0, run_dbsize, "server", "1.0.0",
	 "Returns the number of keys in the database."},
	{CMD_FLUSHALL, "flushall", -1, SCOPE_GROUPS, W, 0, 0, 0, run_flush, "server", "1.0.0",
	 "Removes all keys from all databases. Every group does so by itself: with several groups not at one atomic point."},
	{CMD_FLUSHDB, "flushdb", -1, SCOPE_GROUPS, W, 0, 0, 0, run_flush, "server", "1.0.0",
	 "Removes all keys from the current database. Every group does so by itself: with several groups not at one atomic point."},
	{CMD_PING, "ping", -1, SCOPE_CONNECTION, F, 0, 0, 0, run_ping, "connection", "1.0.0",
	 "Returns the server's liveliness response."},
	{CMD_ECHO, "echo", 2, SCOPE_CONNECTION, F, 0, 0, 0, run_echo, "connection", "1.0.0",
	 "Returns the given string."},
	{CMD_SELECT, "select", 2, SCOPE_CONNECTION, F | L | S, 0, 0, 0, run_select, "connection", "1.0.0",
	 "Changes the selected database."},
	{CMD_HELLO, "hello", -1, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH | X, 0, 0, 0, NULL, "connection", "6.0.0",
	 "Handshakes with the Redis server."},
	{CMD_AUTH, "auth", -2, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH | X, 0, 0, 0, NULL, "connection", "1.0.0",
	 "Authenticates the connection."},
	{CMD_QUIT, "quit", -1, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH | NOW, 0, 0, 0, NULL, "connection", "1.0.0",
	 "Closes the connection."},
	{CMD_RESET, "reset", 1, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH | NOW, 0, 0, 0, NULL, "connection", "6.2.0",
	 "Resets the connection."},
	{CMD_MULTI, "multi", 1, SCOPE_CONNECTION, F | N | L | S | NOW, 0, 0, 0, NULL, "transactions", "1.2.0",
	 "Starts a transaction."},
	{CMD_EXEC, "exec", 1, SCOPE_CONNECTION, N | L | S | NOW, 0, 0, 0, NULL, "transactions", "1.2.0",
	 "Executes all commands in a transaction."},
	{CMD_DISCARD, "discard", 1, SCOPE_CONNECTION, F | N | L | S | NOW, 0, 0, 0, NULL, "transactions", "2.0.0",
	 "Discards a transaction."},
	{CMD_WATCH, "watch", -2, SCOPE_CONNECTION, F | N | L | S | NOW, 1, -1, 1, NULL, "transactions", "2.2.0",
	 "Monitors changes to keys to determine the execution of a transaction."},
	{CMD_UNWATCH, "unwatch", 1, SCOPE_CONNECTION, F | N | L | S, 0, 0, 0, run_unwatch, "transactions", "2.2.0",
	 "Forgets about watched keys of a transaction."},
	{CMD_WAIT, "wait", 3, SCOPE_CONNECTION, N | X, 0, 0, 0, NULL, "generic", "3.0.0",
	 "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."},
	{CMD_TIME, "time", 1, SCOPE_CONNECTION, F | L | S | X, 0, 0, 0, NULL, "server", "2.6.0",
	 "Returns the server time."},
	{CMD_INFO, "info", -1, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "1.0.0",
	 "Returns information and statistics about the server."},
	{CMD_CLIENT, "client", -2, SCOPE_CONNECTION, C, 0, 0, 0, NULL, "connection", "2.4.0",
	 "A container for client connection commands."},
	{CMD_CLIENT_ID, "client|id", 2, SCOPE_CONNECTION, N | L | S | X | F, 0, 0, 0, NULL, "connection", "5.0.0",
	 "Returns the unique client ID of the connection."},
	{CMD_CLIENT_SETNAME, "client|setname", 3, SCOPE_CONNECTION, N | L | S | X | F, 0, 0, 0, NULL, "connection", "2.6.9",
	 "Sets the connection name."},
	{CMD_CLIENT_GETNAME, "client|getname", 2, SCOPE_CONNECTION, N | L | S | X | F, 0, 0, 0, NULL, "connection", "2.6.9",
	 "Returns the name of the connection."},
	{CMD_CLIENT_SETINFO, "client|setinfo", 4, SCOPE_CONNECTION, N | L | S | X | F, 0, 0, 0, NULL, "connection", "7.2.0",
	 "Sets information specific to the client or connection."},
	{CMD_CLIENT_LIST, "client|list", -2, SCOPE_CONNECTION, N | L | S | X | A, 0, 0, 0, NULL, "connection", "2.4.0",
	 "Lists open connections."},
	{CMD_CLIENT_INFO, "client|info", 2, SCOPE_CONNECTION, N | L | S | X, 0, 0, 0, NULL, "connection", "6.2.0",
	 "Returns information about the connection."},
	{CMD_CLIENT_NO_EVICT, "client|no-evict", 3, SCOPE_CONNECTION, N | L | S | X | A, 0, 0, 0, NULL, "connection", "7.0.0",
	 "Sets the client eviction mode of the connection."},
	{CMD_CLIENT_NO_TOUCH, "client|no-touch", 3, SCOPE_CONNECTION, N | L | S | X, 0, 0, 0, NULL, "connection", "7.2.0",
	 "Controls whether commands sent by the client affect the LRU/LFU of accessed keys."},
	{CMD_CLIENT_HELP, "client|help", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "connection", "5.0.0",
	 "Returns helpful text about the different subcommands."},
	{CMD_COMMAND, "command", -1, SCOPE_CONNECTION, L | S | C | X, 0, 0, 0, NULL, "server", "2.8.13",
	 "Returns detailed information about all commands."},
	{CMD_COMMAND_COUNT, "command|count", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "2.8.13",
	 "Returns a count of commands."},
	{CMD_COMMAND_INFO, "command|info", -2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "2.8.13",
	 "Returns information about one, multiple or all commands."},
	{CMD_COMMAND_DOCS, "command|docs", -2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "7.0.0",
	 "Returns documentary information about one, multiple or all commands."},
	{CMD_COMMAND_LIST, "command|list", -2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "7.0.0",
	 "Returns a list of command names."},
	{CMD_COMMAND_GETKEYS, "command|getkeys", -4, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "2.8.13",
	 "Extracts the key names from an arbitrary command."},
	{CMD_COMMAND_HELP, "command|help", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "5.0.0",
	 "Returns helpful text about the different subcommands."},
	{CMD_CONFIG, "config", -2, SCOPE_CONNECTION, C, 0, 0, 0, NULL, "server", "2.0.0",
	 "A container for server configuration commands."},
	{CMD_CONFIG_GET, "config|get", -3, SCOPE_CONNECTION, A | N | L | S | X, 0, 0, 0, NULL, "server", "2.0.0",
	 "Returns the effective values of configuration parameters."},
	{CMD_CONFIG_HELP, "config|help", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "server", "5.0.0",
	 "Returns helpful text about the different subcommands."},
	{CMD_CLUSTER, "cluster", -2, SCOPE_CONNECTION, C, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "A container for Redis Cluster commands."},
	{CMD_CLUSTER_SLOTS, "cluster|slots", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Returns the mapping of cluster slots to nodes."},
	{CMD_CLUSTER_SHARDS, "cluster|shards", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "7.0.0",
	 "Returns the mapping of cluster slots to shards."},
	{CMD_CLUSTER_NODES, "cluster|nodes", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Returns the cluster configuration for a node."},
	{CMD_CLUSTER_INFO, "cluster|info", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Returns information about the state of a node."},
	{CMD_CLUSTER_MYID, "cluster|myid", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Returns the ID of a node."},
	{CMD_CLUSTER_KEYSLOT, "cluster|keyslot", 3, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Returns the hash slot for a key."},
	{CMD_CLUSTER_COUNTKEYSINSLOT, "cluster|countkeysinslot", 3, SCOPE_GROUPS, S | X, 0, 0, 0, run_countkeysinslot, "cluster", "3.0.0",
	 "Returns the number of keys in a hash slot."},
	{CMD_CLUSTER_GETKEYSINSLOT, "cluster|getkeysinslot", 4, SCOPE_GROUPS, S | X, 0, 0, 0, run_getkeysinslot, "cluster", "3.0.0",
	 "Returns the key names in a hash slot."},
	{CMD_READONLY, "readonly", 1, SCOPE_CONNECTION, F | L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Enables read-only queries for a connection to a Redis Cluster replica node."},
	{CMD_READWRITE, "readwrite", 1, SCOPE_CONNECTION, F | L | S | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Enables read-write queries for a connection to a Redis Cluster replica node."},
	{CMD_ASKING, "asking", 1, SCOPE_CONNECTION, F | X, 0, 0, 0, NULL, "cluster", "3.0.0",
	 "Signals that a cluster client is following an -ASK redirect."},
	{CMD_CLUSTER_HELP, "cluster|help", 2, SCOPE_CONNECTION, L | S | X, 0, 0, 0, NULL, "cluster", "5.0.0",
	 "Returns helpful text about the different subcommands."},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])
#define ID_MAX 512u
#define INDEX_SIZE 1024u /* a power of two well above COMMAND_COUNT */

static const struct command *by_id[ID_MAX];
static const struct command *by_name[INDEX_SIZE];

static uint64_t name_hash(const uint8_t *name, size_t size)
{
	uint64_t h = size;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (name[i] | 0x20)) * 0x100000001b3u;
	return h ^ h >> 29;
}

__attribute__((constructor)) static void commands_index(void)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *c = &commands[i];
		uint64_t at = name_hash((const uint8_t *)c->name, strlen(c->name));

		while (by_name[at & (INDEX_SIZE - 1)])
			at++;
		by_name[at & (INDEX_SIZE - 1)] = c;
		by_id[c->id] = c;
	}
}

static const struct command *find(const uint8_t *name, size_t size)
{
	for (uint64_t at = name_hash(name, size);; at++) {
		const struct command *c = by_name[at & (INDEX_SIZE - 1)];

		if (!c || (strlen(c->name) == size && !strncasecmp(c->name, (const char *)name, size)))
			return c;
	}
}

const struct command *command_find(const uint8_t *name, size_t size)
{
	const struct command *c = find(name, size);

	return c && !memchr(c->name, '|', size) ? c : NULL;
}

const struct command *command_find_sub(const struct command *container, const uint8_t *name, size_t size)
{
	char whole[64];
	size_t head = strlen(container->name);

	if (head + 1 + size > sizeof whole)
		return NULL;
	memcpy(whole, container->name, head);
	whole[head] = '|';
	memcpy(whole + head + 1, name, size);
	return find((const uint8_t *)whole, head + 1 + size);
}

const struct command *command_by_id(uint16_t id)
{
	return id < ID_MAX ? by_id[id] : NULL;
}

size_t command_count(void)
{
	return COMMAND_COUNT;
}

const struct command *command_at(size_t n)
{
	return &commands[n];
}

bool command_arity_ok(const struct command *c, uint32_t argc)
{
	return c->arity >= 0 ? argc == (uint32_t)c->arity : argc >= (uint32_t)-c->arity;
}

bool command_keys(const struct command *c, uint32_t argc, uint32_t *ret_first, uint32_t *ret_last, uint32_t *ret_step)
{
	int64_t last = c->last_key >= 0 ? c->last_key : (int64_t)argc + c->last_key;

	if (!c->first_key || last < c->first_key || last >= (int64_t)argc)
		return false;
	*ret_first = (uint32_t)c->first_key;
	*ret_last = (uint32_t)last;
	*ret_step = (uint32_t)c->key_step;
	return true;
}

void command_encode(struct bytes *out, const struct command *c, uint32_t argc, const struct arg *argv)
{
	bytes_put_u16(out, c->id);
	bytes_put_u32(out, argc - 1);
	for (uint32_t i = 1; i < argc; i++) {
		bytes_put_u32(out, argv[i].size);
		bytes_put(out, argv[i].data, argv[i].size);
	}
}

int command_decode(struct cursor *in, const struct command **ret_command, struct arg *argv, uint32_t argv_cap, uint32_t *ret_argc)
{
	const struct command *c = command_by_id(cursor_u16(in));
	uint32_t argc = cursor_u32(in);

	if (in->bad || !c)
		return -EBADMSG;
	if (argc >= argv_cap)
		return -E2BIG;
	argv[0] = (struct arg){.data = (const uint8_t *)c->name, .size = (uint32_t)strlen(c->name)};
	for (uint32_t i = 1; i <= argc; i++) {
		argv[i].size = cursor_u32(in);
		argv[i].data = cursor_take(in, argv[i].size);
	}
	if (in->bad)
		return -EBADMSG;
	*ret_command = c;
	*ret_argc = argc + 1;
	return 0;
}

bool command_first_key(struct cursor in, struct arg *ret_key)
{
	const struct command *c = command_by_id(cursor_u16(&in));
	uint32_t argc = cursor_u32(&in);

	if (in.bad || !c || c->first_key < 1 || argc < (uint32_t)c->first_key)
		return false;
	for (int i = 0; i < c->first_key; i++) {
		ret_key->size = cursor_u32(&in);
		ret_key->data = cursor_take(&in, ret_key->size);
	}
	return !in.bad;
}
