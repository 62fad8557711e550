/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says first: which protocol, who it is, and how it means to use the cluster. */
#include <string.h>

#include "client/client.h"
#include "store/reply.h"
#include "store/run.h"

/* There is one user, "default", who needs no password: any will do. False (and the error replied) for another. */
static bool user_known(const struct arg *user, struct bytes *out)
{
	if (user->size == strlen("default") && !memcmp(user->data, "default", user->size))
		return true;
	reply_error(out, "WRONGPASS invalid username-password pair or user is disabled.");
	return false;
}

static void command_auth(uint32_t argc, const struct arg *argv, struct bytes *out)
{
	if (argc == 2)
		reply_error(out, "ERR AUTH <password> called without any password configured for the default user. "
				 "Are you sure your configuration is correct?");
	else if (argc > 3)
		reply_error(out, ERROR_SYNTAX);
	else if (user_known(&argv[1], out))
		reply_status(out, "OK");
}

static void hello_syntax(struct bytes *out, const struct arg *a)
{
	reply_errorf(out, "ERR Syntax error in HELLO option '%.*s'", a->size < 256 ? (int)a->size : 256, (const char *)a->data);
}

/* As in Redis, each option counts when it is read, whatever comes behind it: a name is set, and then the rest may be wrong. */
static void command_hello(struct client *c, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	int64_t version = c->resp;

	if (argc > 1 && !arg_int(&argv[1], &version)) {
		reply_error(out, "ERR Protocol version is not an integer or out of range");
		return;
	}
	if (version < 2 || version > 3) {
		reply_error(out, "NOPROTO unsupported protocol version");
		return;
	}
	for (uint32_t i = 2; i < argc; i++) {
		if (arg_is(&argv[i], "SETNAME") && i + 1 < argc) {
			if (!client_set_name(c, &argv[++i], out))
				return;
		} else if (arg_is(&argv[i], "AUTH") && i + 2 < argc) {
			if (!user_known(&argv[i + 1], out))
				return;
			i += 2;
		} else {
			hello_syntax(out, &argv[i]);
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

static void command_reset(struct client *c, struct bytes *out)
{
	multi_reset(c);
	c->resp = 2;
	c->name[0] = 0;
	c->no_evict = c->no_touch = c->readonly = false;
	reply_status(out, "RESET");
}

/*
 * READONLY: reads of what another node leads are served here instead of answered with MOVED; they are as fresh as the
 * leader's. ASKING: no slot is ever on its way between two nodes that both need to be asked.
 */
static void command_cluster_mode(struct client *c, const struct command *command, struct bytes *out)
{
	if (!c->cluster_port) {
		reply_error(out, "ERR This instance has cluster support disabled");
		return;
	}
	if (command->id != CMD_ASKING)
		c->readonly = command->id == CMD_READONLY;
	reply_status(out, "OK");
}

void client_handshake(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, struct bytes *out)
{
	switch ((enum command_id)command->id) {
	case CMD_HELLO:
		command_hello(c, argc, argv, out);
		break;
	case CMD_AUTH:
		command_auth(argc, argv, out);
		break;
	case CMD_RESET:
		command_reset(c, out);
		break;
	default:
		command_cluster_mode(c, command, out);
		break;
	}
}
