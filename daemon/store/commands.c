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

static const struct command commands[] = {
	/* id, name, arity, scope, flags, first, last, step, run, group, since, summary */
	{CMD_GET, "get", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_get, "string", "1.0.0", "Returns the string value of a key."},
	{CMD_SET, "set", -3, SCOPE_KEYS, W | M, 1, 1, 1, run_set, "string", "1.0.0",
	 "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."},
	{CMD_DEL, "del", -2, SCOPE_KEYS, W, 1, -1, 1, run_del, "generic", "1.0.0", "Deletes one or more keys."},
	{CMD_EXISTS, "exists", -2, SCOPE_KEYS, R | F, 1, -1, 1, run_exists, "generic", "1.0.0",
	 "Determines whether one or more keys exist."},
	{CMD_INCR, "incr", 2, SCOPE_KEYS, W | M | F, 1, 1, 1, run_incr, "string", "1.0.0",
	 "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."},
	{CMD_DECR, "decr", 2, SCOPE_KEYS, W | M | F, 1, 1, 1, run_decr, "string", "1.0.0",
	 "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."},
	{CMD_INCRBY, "incrby", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_incrby, "string", "1.0.0",
	 "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."},
	{CMD_DECRBY, "decrby", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_decrby, "string", "1.0.0",
	 "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist."},
	{CMD_MGET, "mget", -2, SCOPE_KEYS, R | F, 1, -1, 1, run_mget, "string", "1.0.0",
	 "Atomically returns the string values of one or more keys."},
	{CMD_MSET, "mset", -3, SCOPE_KEYS, W | M, 1, -1, 2, run_mset, "string", "1.0.1",
	 "Atomically creates or modifies the string values of one or more keys."},
	{CMD_STRLEN, "strlen", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_strlen, "string", "2.2.0", "Returns the length of a string value."},
	{CMD_APPEND, "append", 3, SCOPE_KEYS, W | M | F, 1, 1, 1, run_append, "string", "2.0.0",
	 "Appends a string to the value of a key. Creates the key if it doesn't exist."},
	{CMD_TYPE, "type", 2, SCOPE_KEYS, R | F, 1, 1, 1, run_type, "generic", "1.0.0", "Determines the type of value stored at a key."},
	{CMD_DBSIZE, "dbsize", 1, SCOPE_GROUPS, R | F, 0, 0, 0, run_dbsize, "server", "1.0.0", "Returns the number of keys in the database."},
	{CMD_FLUSHALL, "flushall", -1, SCOPE_GROUPS, W, 0, 0, 0, run_flush, "server", "1.0.0", "Removes all keys from all databases."},
	{CMD_FLUSHDB, "flushdb", -1, SCOPE_GROUPS, W, 0, 0, 0, run_flush, "server", "1.0.0", "Removes all keys from the current database."},
	{CMD_PING, "ping", -1, SCOPE_CONNECTION, F, 0, 0, 0, NULL, "connection", "1.0.0", "Returns the server's liveliness response."},
	{CMD_ECHO, "echo", 2, SCOPE_CONNECTION, F, 0, 0, 0, NULL, "connection", "1.0.0", "Returns the given string."},
	{CMD_HELLO, "hello", -1, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH, 0, 0, 0, NULL, "connection", "6.0.0",
	 "Handshakes with the Redis server."},
	{CMD_QUIT, "quit", -1, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH, 0, 0, 0, NULL, "connection", "1.0.0", "Closes the connection."},
	{CMD_SELECT, "select", 2, SCOPE_CONNECTION, F | L | S, 0, 0, 0, NULL, "connection", "1.0.0", "Changes the selected database."},
	{CMD_CLIENT, "client", -2, SCOPE_CONNECTION, N | L | S, 0, 0, 0, NULL, "connection", "2.4.0", "A container for client connection commands."},
	{CMD_COMMAND, "command", -1, SCOPE_CONNECTION, L | S, 0, 0, 0, NULL, "server", "2.8.13", "Returns detailed information about all commands."},
	{CMD_CONFIG, "config", -2, SCOPE_CONNECTION, A | N | L | S, 0, 0, 0, NULL, "server", "2.0.0",
	 "A container for server configuration commands."},
	{CMD_INFO, "info", -1, SCOPE_CONNECTION, L | S, 0, 0, 0, NULL, "server", "1.0.0", "Returns information and statistics about the server."},
	{CMD_CLUSTER, "cluster", -2, SCOPE_CONNECTION, L | S, 0, 0, 0, NULL, "cluster", "3.0.0", "A container for Redis Cluster commands."},
	{CMD_RESET, "reset", 1, SCOPE_CONNECTION, F | N | L | S | COMMAND_NO_AUTH, 0, 0, 0, NULL, "connection", "6.2.0", "Resets the connection."},
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

const struct command *command_find(const uint8_t *name, size_t size)
{
	for (uint64_t at = name_hash(name, size);; at++) {
		const struct command *c = by_name[at & (INDEX_SIZE - 1)];

		if (!c || (strlen(c->name) == size && !strncasecmp(c->name, (const char *)name, size)))
			return c;
	}
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
