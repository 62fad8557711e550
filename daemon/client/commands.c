/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that the node answers by itself: the connection's own ones here, the larger ones in their files. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "config.h"
#include "node.h"
#include "store/reply.h"
#include "store/run.h"

bool client_name_matches(const struct arg *pattern, const char *name)
{
	uint8_t lower[256];

	if (pattern->size > sizeof lower)
		return false; /* nothing that we have is as long */
	for (uint32_t i = 0; i < pattern->size; i++)
		lower[i] = (uint8_t)tolower(pattern->data[i]);
	return glob_match(lower, pattern->size, (const uint8_t *)name, strlen(name));
}

/* Whoever asks for a parameter by its whole name gets it under the name as it was asked, in whatever case. */
static void command_config_get(struct client *c, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	char clients[16];
	const struct {
		const char *name, *value;
	} parameters[] = {
		{"appendfsync", "always"},
		{"appendonly", "yes"},
		{"cluster-enabled", c->cluster_port ? "yes" : "no"},
		{"databases", "1"},
		{"maxclients", clients},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"proto-max-bulk-len", "16777216"},
		{"save", ""},
		{"timeout", "0"},
	};
	struct arg wanted[sizeof parameters / sizeof parameters[0]] = {0}; /* the name that the reply has; empty: not asked */
	size_t count = 0;

	static_assert(RESP_BULK_MAX == 16777216, "what is told is what holds");
	(void)snprintf(clients, sizeof clients, "%u", c->reactor->node->config->max_clients);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		const char *name = parameters[i].name;

		for (uint32_t k = 2; k < argc && !wanted[i].size; k++)
			if (arg_is(&argv[k], name))
				wanted[i] = argv[k];
			else if (client_name_matches(&argv[k], name))
				wanted[i] = (struct arg){.data = (const uint8_t *)name, .size = (uint32_t)strlen(name)};
		count += wanted[i].size != 0;
	}
	reply_map(out, c->resp, count);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
		if (wanted[i].size) {
			reply_bulk(out, wanted[i].data, wanted[i].size);
			reply_bulks(out, parameters[i].value);
		}
}

/* HELP of any container: its subcommands, from the table. */
static void command_help(const struct command *help, struct bytes *out)
{
	size_t head = strcspn(help->name, "|") + 1, count = 0;
	char line[256];

	for (size_t i = 0; i < command_count(); i++)
		count += !strncmp(command_at(i)->name, help->name, head);
	reply_array(out, 1 + 2 * count);
	(void)snprintf(line, sizeof line, "%.*s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", (int)head - 1, help->name);
	reply_status(out, line);
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *command = command_at(i);

		if (strncmp(command->name, help->name, head))
			continue;
		reply_status(out, command->name + head);
		(void)snprintf(line, sizeof line, "    %s", command->summary);
		reply_status(out, line);
	}
}

/* This node's clock: keys expire by their group's time, which never goes back. */
static void command_time(const struct client *c, struct bytes *out)
{
	uint64_t now_ms = io_realtime_ms(c->reactor->io);
	char text[24];

	reply_array(out, 2);
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)(now_ms / 1000));
	reply_bulks(out, text);
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)(now_ms % 1000 * 1000));
	reply_bulks(out, text);
}

uint32_t client_select_arguments(const struct client *c, const struct arg argv[2], struct arg ret[3])
{
	static const char port[] = "cluster";

	ret[0] = argv[0];
	ret[1] = argv[1];
	ret[2] = (struct arg){.data = (const uint8_t *)port, .size = sizeof port - 1};
	return c->cluster_port ? 3 : 2;
}

/* What is answered at once. */
static void answer(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	struct call call = {.command = command, .argc = argc, .argv = argv, .resp = c->resp};
	struct arg select[3];
	struct client_request *place;
	struct bytes *out = client_reply_begin(c, &place);

	call.out = out;
	switch ((enum command_id)command->id) {
	case CMD_HELLO:
	case CMD_AUTH:
	case CMD_RESET:
	case CMD_READONLY:
	case CMD_READWRITE:
	case CMD_ASKING:
		client_handshake(c, command, argc, argv, out);
		break;
	case CMD_QUIT:
		reply_status(out, "OK");
		c->closing_after_reply = true;
		break;
	case CMD_TIME:
		command_time(c, out);
		break;
	case CMD_CONFIG_GET:
		command_config_get(c, argc, argv, out);
		break;
	case CMD_CLUSTER_KEYSLOT:
		reply_int(out, key_slot(argv[2].data, argv[2].size));
		break;
	case CMD_CLIENT_HELP:
	case CMD_COMMAND_HELP:
	case CMD_CONFIG_HELP:
	case CMD_CLUSTER_HELP:
	case CMD_OBJECT_HELP:
	case CMD_MEMORY_HELP:
		command_help(command, out);
		break;
	case CMD_SELECT:
		call.argc = client_select_arguments(c, argv, select);
		call.argv = select;
		command->run(&call);
		break;
	default:
		command->run(&call);
		break;
	}
	client_reply_end(c, place);
}

bool client_connection_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	switch ((enum command_id)command->id) {
	case CMD_MULTI:
		multi_begin(c);
		return true;
	case CMD_EXEC:
		return multi_exec(c);
	case CMD_DISCARD:
		multi_discard(c);
		return true;
	case CMD_WATCH:
		multi_watch(c, command, argc, argv);
		return true;
	case CMD_UNWATCH:
		multi_unwatch(c);
		return true;
	case CMD_WAIT:
		client_wait(c, argv);
		return true;
	case CMD_INFO:
		client_info(c, argc, argv);
		return true;
	case CMD_CLIENT_ID:
	case CMD_CLIENT_SETNAME:
	case CMD_CLIENT_GETNAME:
	case CMD_CLIENT_SETINFO:
	case CMD_CLIENT_LIST:
	case CMD_CLIENT_INFO:
	case CMD_CLIENT_NO_EVICT:
	case CMD_CLIENT_NO_TOUCH:
		client_client_command(c, command, argc, argv);
		return true;
	case CMD_COMMAND:
	case CMD_COMMAND_COUNT:
	case CMD_COMMAND_INFO:
	case CMD_COMMAND_DOCS:
	case CMD_COMMAND_LIST:
	case CMD_COMMAND_GETKEYS:
		client_command_command(c, command, argc, argv);
		return true;
	case CMD_CLUSTER_SLOTS:
	case CMD_CLUSTER_SHARDS:
	case CMD_CLUSTER_NODES:
	case CMD_CLUSTER_INFO:
	case CMD_CLUSTER_MYID:
		client_cluster_command(c, command);
		return true;
	default:
		answer(c, command, argc, argv);
		return true;
	}
}
