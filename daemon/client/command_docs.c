/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND: what the table says, for people and for clients that look for keys. */
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "store/reply.h"
#include "store/run.h"

static const struct {
	uint32_t flag;
	const char *name;
} flag_names[] = {
	{COMMAND_WRITE, "write"},     {COMMAND_READONLY, "readonly"}, {COMMAND_DENYOOM, "denyoom"}, {COMMAND_ADMIN, "admin"},
	{COMMAND_NOSCRIPT, "noscript"}, {COMMAND_BLOCKING, "blocking"}, {COMMAND_LOADING, "loading"}, {COMMAND_STALE, "stale"},
	{COMMAND_FAST, "fast"},       {COMMAND_NO_AUTH, "no_auth"},   {COMMAND_NO_MULTI, "no_multi"},
};

#define FLAG_COUNT (sizeof flag_names / sizeof flag_names[0])

static bool is_sub(const struct command *command)
{
	return strchr(command->name, '|') != NULL;
}

static bool is_sub_of(const struct command *command, const struct command *container)
{
	size_t head = strlen(container->name);

	return !strncmp(command->name, container->name, head) && command->name[head] == '|';
}

static size_t count_subs(const struct command *container)
{
	size_t n = 0;

	for (size_t i = 0; i < command_count(); i++)
		n += is_sub_of(command_at(i), container);
	return n;
}

static size_t count_top(void)
{
	size_t n = 0;

	for (size_t i = 0; i < command_count(); i++)
		n += !is_sub(command_at(i));
	return n;
}

/* Also "container|sub". */
static const struct command *find_any(const struct arg *a)
{
	const uint8_t *bar = memchr(a->data, '|', a->size);
	const struct command *container = command_find(a->data, bar ? (size_t)(bar - a->data) : a->size);

	if (!bar || !container)
		return container;
	return command_find_sub(container, bar + 1, (size_t)(a->data + a->size - bar - 1));
}

#define CATEGORIES_MAX 6u
#define GROUP_NAME_MAX 32u

/* The command's categories, as Redis names them; `group` keeps the one that is put together. */
static size_t categories(const struct command *command, const char *names[CATEGORIES_MAX], char group[GROUP_NAME_MAX])
{
	size_t n = 0;

	if (command->flags & COMMAND_WRITE)
		names[n++] = "@write";
	if (command->flags & COMMAND_READONLY)
		names[n++] = "@read";
	if (command->scope != SCOPE_CONNECTION || !strcmp(command->group, "connection")) {
		(void)snprintf(group, GROUP_NAME_MAX, "@%s", strcmp(command->group, "generic") ? command->group : "keyspace");
		names[n++] = group;
	}
	if (command->flags & COMMAND_ADMIN) {
		names[n++] = "@admin";
		names[n++] = "@dangerous";
	}
	names[n++] = command->flags & COMMAND_FAST ? "@fast" : "@slow";
	return n;
}

static void put_categories(const struct command *command, struct bytes *out, int resp)
{
	const char *names[CATEGORIES_MAX];
	char group[GROUP_NAME_MAX];
	size_t n = categories(command, names, group);

	reply_set(out, resp, n);
	for (size_t i = 0; i < n; i++)
		reply_status(out, names[i]);
}

static void put_flags(const struct command *command, struct bytes *out, int resp)
{
	size_t n = 0;

	for (size_t i = 0; i < FLAG_COUNT; i++)
		n += (command->flags & flag_names[i].flag) != 0;
	reply_set(out, resp, n);
	for (size_t i = 0; i < FLAG_COUNT; i++)
		if (command->flags & flag_names[i].flag)
			reply_status(out, flag_names[i].name);
}

/* Ten fields, as COMMAND INFO of Redis 7: name, arity, flags, keys, categories, tips, key specifications, subcommands. */
static void put_one(const struct command *command, struct bytes *out, int resp)
{
	size_t subs = count_subs(command);

	reply_array(out, 10);
	reply_bulks(out, command->name);
	reply_int(out, command->arity);
	put_flags(command, out, resp);
	reply_int(out, command->first_key);
	reply_int(out, command->last_key);
	reply_int(out, command->key_step);
	put_categories(command, out, resp);
	reply_set(out, resp, 0);
	reply_set(out, resp, 0);
	if (subs)
		reply_array(out, subs);
	else
		reply_set(out, resp, 0); /* Redis has no subcommands in a set, and some in an array */
	for (size_t i = 0; i < command_count(); i++)
		if (is_sub_of(command_at(i), command))
			put_one(command_at(i), out, resp);
}

static void put_all(struct bytes *out, int resp)
{
	reply_array(out, count_top());
	for (size_t i = 0; i < command_count(); i++)
		if (!is_sub(command_at(i)))
			put_one(command_at(i), out, resp);
}

static void put_docs(const struct command *command, struct bytes *out, int resp)
{
	size_t subs = count_subs(command);

	reply_bulks(out, command->name);
	reply_map(out, resp, subs ? 4 : 3);
	reply_bulks(out, "summary");
	reply_bulks(out, command->summary);
	reply_bulks(out, "since");
	reply_bulks(out, command->since);
	reply_bulks(out, "group");
	reply_bulks(out, command->group);
	if (!subs)
		return;
	reply_bulks(out, "subcommands");
	reply_map(out, resp, subs);
	for (size_t i = 0; i < command_count(); i++)
		if (is_sub_of(command_at(i), command))
			put_docs(command_at(i), out, resp);
}

static void command_docs(uint32_t argc, const struct arg *argv, struct bytes *out, int resp)
{
	size_t found = 0;

	if (argc == 2) {
		reply_map(out, resp, count_top());
		for (size_t i = 0; i < command_count(); i++)
			if (!is_sub(command_at(i)))
				put_docs(command_at(i), out, resp);
		return;
	}
	for (uint32_t i = 2; i < argc; i++)
		found += find_any(&argv[i]) != NULL;
	reply_map(out, resp, found);
	for (uint32_t i = 2; i < argc; i++)
		if (find_any(&argv[i]))
			put_docs(find_any(&argv[i]), out, resp);
}

static void command_info(uint32_t argc, const struct arg *argv, struct bytes *out, int resp)
{
	if (argc == 2) {
		put_all(out, resp);
		return;
	}
	reply_array(out, argc - 2);
	for (uint32_t i = 2; i < argc; i++) {
		const struct command *command = find_any(&argv[i]);

		if (command)
			put_one(command, out, resp);
		else
			reply_null(out, resp);
	}
}

/* ---- COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern] ---- */

static bool has_category(const struct command *command, const struct arg *category)
{
	const char *names[CATEGORIES_MAX];
	char group[GROUP_NAME_MAX];
	size_t n = categories(command, names, group);

	for (size_t i = 0; i < n; i++)
		if (arg_is(category, names[i] + 1))
			return true;
	return false;
}

static bool listed(const struct command *command, const struct arg *filter, const struct arg *value)
{
	if (!filter)
		return true;
	if (arg_is(filter, "PATTERN"))
		return client_name_matches(value, command->name);
	return arg_is(filter, "ACLCAT") && has_category(command, value); /* nothing is of a module */
}

static void command_list(uint32_t argc, const struct arg *argv, struct bytes *out)
{
	const struct arg *filter = argc == 5 ? &argv[3] : NULL, *value = argc == 5 ? &argv[4] : NULL;
	size_t n = 0;

	if (argc != 2 && (!filter || !arg_is(&argv[2], "FILTERBY") ||
			  !(arg_is(filter, "MODULE") || arg_is(filter, "ACLCAT") || arg_is(filter, "PATTERN")))) {
		reply_error(out, ERROR_SYNTAX);
		return;
	}
	for (size_t i = 0; i < command_count(); i++)
		n += listed(command_at(i), filter, value);
	reply_array(out, n);
	for (size_t i = 0; i < command_count(); i++)
		if (listed(command_at(i), filter, value))
			reply_bulks(out, command_at(i)->name);
}

static void command_getkeys(uint32_t argc, const struct arg *argv, struct bytes *out)
{
	const struct command *command = command_find(argv[2].data, argv[2].size);
	uint32_t first, last, step;

	if (command && command->flags & COMMAND_CONTAINER && argc > 3)
		command = command_find_sub(command, argv[3].data, argv[3].size);
	if (!command) {
		reply_error(out, "ERR Invalid command specified");
	} else if (!command->first_key) {
		reply_error(out, "ERR The command has no key arguments");
	} else if (!command_arity_ok(command, argc - 2) || !command_keys(command, argc - 2, &first, &last, &step)) {
		reply_error(out, "ERR Invalid number of arguments specified for command");
	} else {
		reply_array(out, (last - first) / step + 1);
		for (uint32_t i = first; i <= last; i += step)
			reply_bulk(out, argv[2 + i].data, argv[2 + i].size);
	}
}

void client_command_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	struct client_request *place;
	struct bytes *out = client_reply_begin(c, &place);

	switch ((enum command_id)command->id) {
	case CMD_COMMAND_COUNT:
		reply_int(out, (int64_t)count_top());
		break;
	case CMD_COMMAND_INFO:
		command_info(argc, argv, out, c->resp);
		break;
	case CMD_COMMAND_DOCS:
		command_docs(argc, argv, out, c->resp);
		break;
	case CMD_COMMAND_LIST:
		command_list(argc, argv, out);
		break;
	case CMD_COMMAND_GETKEYS:
		command_getkeys(argc, argv, out);
		break;
	default:
		put_all(out, c->resp);
		break;
	}
	client_reply_end(c, place);
}
