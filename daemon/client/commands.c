/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that the node answers by itself: about the connection, the server and the cluster. */
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "config.h"
#include "node.h"
#include "store/reply.h"
#include "store/run.h"

static void command_ping(struct client *c, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	(void)c;
	if (argc > 2)
		reply_error(out, "ERR wrong number of arguments for 'ping' command");
	else if (argc == 2)
		reply_bulk(out, argv[1].data, argv[1].size);
	else
		reply_status(out, "PONG");
}

static void command_hello(struct client *c, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	int64_t version = c->resp;

	if (argc > 1 && (!arg_int(&argv[1], &version) || version < 2 || version > 3)) {
		reply_error(out, arg_int(&argv[1], &version) ? "NOPROTO unsupported protocol version"
							     : "ERR Protocol version is not an integer or out of range");
		return;
	}
	for (uint32_t i = 2; i < argc; i++) {
		if (arg_is(&argv[i], "SETNAME") && i + 1 < argc) {
			i++;
			(void)snprintf(c->name, sizeof c->name, "%.*s", (int)argv[i].size, (const char *)argv[i].data);
		} else if (arg_is(&argv[i], "AUTH") && i + 2 < argc) {
			reply_error(out, "ERR AUTH <password> called without any password configured for the default user. "
					 "Are you sure your configuration is correct?");
			return;
		} else {
			reply_errorf(out, "ERR Syntax error in HELLO option '%.*s'", argv[i].size < 64 ? (int)argv[i].size : 64,
				     (const char *)argv[i].data);
			return;
		}
	}
	c->resp = (int)version;
	reply_map(out, c->resp, 7);
	reply_bulks(out, "server");
	reply_bulks(out, "redis");
	reply_bulks(out, "version");
	reply_bulks(out, "7.0.0");
	reply_bulks(out, "proto");
	reply_int(out, c->resp);
	reply_bulks(out, "id");
	reply_int(out, (int64_t)c->id);
	reply_bulks(out, "mode");
	reply_bulks(out, c->cluster_port ? "cluster" : "standalone");
	reply_bulks(out, "role");
	reply_bulks(out, "master");
	reply_bulks(out, "modules");
	reply_array(out, 0);
}

static void command_select(struct client *c, const struct arg *argv, struct bytes *out)
{
	int64_t n;

	(void)c;
	if (!arg_int(&argv[1], &n))
		reply_error(out, "ERR value is not an integer or out of range");
	else if (n != 0)
		reply_error(out, "ERR DB index is out of range");
	else
		reply_status(out, "OK");
}

static void command_config(struct client *c, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	if (argc >= 3 && arg_is(&argv[1], "GET"))
		reply_map(out, c->resp, 0);
	else
		reply_errorf(out, "ERR unknown subcommand '%.*s'. Try CONFIG GET.", argv[1].size < 64 ? (int)argv[1].size : 64,
			     (const char *)argv[1].data);
}

static void command_client(struct client *c, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	if (argc == 2 && arg_is(&argv[1], "ID"))
		reply_int(out, (int64_t)c->id);
	else if (argc == 4 && arg_is(&argv[1], "SETINFO"))
		reply_status(out, "OK");
	else
		reply_errorf(out, "ERR unknown subcommand '%.*s'. Try CLIENT ID.", argv[1].size < 64 ? (int)argv[1].size : 64,
			     (const char *)argv[1].data);
}

static void command_reset(struct client *c, struct bytes *out)
{
	c->resp = 2;
	c->name[0] = 0;
	reply_status(out, "RESET");
}

void client_connection_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	struct client_request *place;
	struct bytes *out = client_reply_begin(c, &place);

	switch ((enum command_id)command->id) {
	case CMD_PING:
		command_ping(c, argc, argv, out);
		break;
	case CMD_ECHO:
		reply_bulk(out, argv[1].data, argv[1].size);
		break;
	case CMD_HELLO:
		command_hello(c, argc, argv, out);
		break;
	case CMD_QUIT:
		reply_status(out, "OK");
		c->closing_after_reply = true;
		break;
	case CMD_RESET:
		command_reset(c, out);
		break;
	case CMD_SELECT:
		command_select(c, argv, out);
		break;
	case CMD_CLIENT:
		command_client(c, argc, argv, out);
		break;
	case CMD_CONFIG:
		command_config(c, argc, argv, out);
		break;
	case CMD_CLUSTER:
		if (argc == 3 && arg_is(&argv[1], "KEYSLOT"))
			reply_int(out, key_slot(argv[2].data, argv[2].size));
		else
			reply_errorf(out, "ERR unknown subcommand '%.*s'. Try CLUSTER KEYSLOT.",
				     argv[1].size < 64 ? (int)argv[1].size : 64, (const char *)argv[1].data);
		break;
	case CMD_COMMAND:
		reply_array(out, 0);
		break;
	case CMD_INFO:
		reply_verbatim(out, c->resp, "# Server\r\nredis_version:7.0.0\r\n", 35);
		break;
	default:
		reply_errorf(out, "ERR unknown command '%s'", command->name);
		break;
	}
	client_reply_end(c, place);
}
