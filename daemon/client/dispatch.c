/* SPDX-License-Identifier: Apache-2.0 */
/* From a parsed request to where it is executed. */
#include <stdio.h>

#include "client/client.h"
#include "node.h"
#include "store/reply.h"
#include "store/run.h"

#define TURN_BYTES (4u << 20) /* of replies at once in a turn; more wait, so that heartbeats don't */

/* An error that also spoils an open transaction. */
static void refuse(struct client *c, const char *text)
{
	c->multi_broken |= c->in_multi;
	client_error(c, text);
}

/* A browser that a page made send commands to us gives itself away by its request's first line, or the Host header. */
static bool is_http(const struct arg *name)
{
	return arg_is(name, "post") || arg_is(name, "host:");
}

static void unknown_command(struct client *c, uint32_t argc, const struct arg *argv)
{
	const char *refused = client_refused("", &argv[0]);
	char text[512];
	int n, start;

	if (is_http(&argv[0])) {
		c->closing_after_reply = true;
		return;
	}
	if (refused) {
		refuse(c, refused);
		return;
	}
	n = snprintf(text, sizeof text, "ERR unknown command '%.*s', with args beginning with: ",
		     argv[0].size < 128 ? (int)argv[0].size : 128, (const char *)argv[0].data);
	start = n;
	for (uint32_t i = 1; i < argc && n - start < 128; i++) {
		int room = 128 - (n - start);

		n += snprintf(text + n, sizeof text - (size_t)n, "'%.*s' ", argv[i].size < (uint32_t)room ? (int)argv[i].size : room,
			      (const char *)argv[i].data);
	}
	refuse(c, text);
}

static void unknown_subcommand(struct client *c, const struct command *container, const struct arg *sub)
{
	const char *refused = client_refused(container->name, sub);
	char text[256];
	int n;

	if (refused) {
		refuse(c, refused);
		return;
	}
	n = snprintf(text, sizeof text, "ERR unknown subcommand '%.*s'. Try ", sub->size < 128 ? (int)sub->size : 128, (const char *)sub->data);
	for (const char *p = container->name; *p; p++)
		text[n++] = (char)(*p & ~0x20);
	(void)snprintf(text + n, sizeof text - (size_t)n, " HELP.");
	refuse(c, text);
}

static void wrong_arity(struct client *c, const struct command *command)
{
	char text[128];

	if (command->id == CMD_EXEC) {
		multi_reset(c);
		client_error(c, "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
		return;
	}
	(void)snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", command->name);
	refuse(c, text);
}

uint32_t client_group_of_keys(const struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, uint16_t *ret_slot)
{
	const struct catalog *catalog = &c->reactor->catalog;
	uint32_t first, last, step;
	uint16_t slot;

	if (!command_keys(command, argc, &first, &last, &step))
		return 0;
	slot = key_slot(argv[first].data, argv[first].size);
	*ret_slot = slot;
	for (uint32_t i = first + step; i <= last && catalog->group_count > 1; i += step)
		if (key_slot(argv[i].data, argv[i].size) != slot)
			return 0;
	return catalog_group_of_slot(catalog, slot);
}

/* A read that can be answered from memory here and now, with nothing of this connection open in the group. */
static bool read_at_once(struct client *c, const struct command *command, uint32_t group, uint32_t argc, const struct arg *argv)
{
	struct group *g = reactor_group(c->reactor, group);
	const struct open_count *open = client_open_count(c, group);
	struct client_request *place;
	struct bytes *out;
	size_t before;

	if (!g || open->reads || open->writes || c->reactor->turn_bytes > TURN_BYTES || !group_readable(g))
		return false;
	out = client_reply_begin(c, &place);
	before = out->size;
	store_read(g->store, command, argc, argv, c->resp, out);
	c->reactor->turn_bytes += out->size - before;
	client_reply_end(c, place);
	g->stats.reads_local++;
	return true;
}

static bool dispatch_keys(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	bool write = command->flags & COMMAND_WRITE;
	struct client_request *cr;
	uint32_t group;
	uint16_t slot;

	group = client_group_of_keys(c, command, argc, argv, &slot);
	if (!group) {
		client_error(c, ERROR_CROSSSLOT);
		return true;
	}
	if (write && client_open_count(c, group)->reads)
		return false;
	if (write)
		c->reactor->stats.requests_write++;
	else
		c->reactor->stats.requests_read++;
	if (!write && read_at_once(c, command, group, argc, argv))
		return true;
	cr = client_open(c, write ? REQUEST_WRITE : REQUEST_READ);
	cr->redirect = c->cluster_port && (write || !c->readonly);
	cr->slot = slot;
	command_encode(&cr->rq.body, command, argc, argv);
	client_submit(c, cr, group);
	return true;
}

/* The table's row for a request, subcommands included; NULL and an error replied if there is none for it. */
static const struct command *find_command(struct client *c, uint32_t argc, const struct arg *argv)
{
	const struct command *command = command_find(argv[0].data, argv[0].size);

	if (!command) {
		unknown_command(c, argc, argv);
		return NULL;
	}
	if (command->flags & COMMAND_CONTAINER && argc > 1) {
		const struct command *sub = command_find_sub(command, argv[1].data, argv[1].size);

		if (!sub) {
			unknown_subcommand(c, command, &argv[1]);
			return NULL;
		}
		command = sub;
	}
	if (!command_arity_ok(command, argc)) {
		wrong_arity(c, command);
		return NULL;
	}
	return command;
}

bool client_dispatch(struct client *c, uint32_t argc, const struct arg *argv)
{
	const struct command *command = find_command(c, argc, argv);

	if (!command)
		return true;
	c->last_command = command;
	c->class = command->scope == SCOPE_CONNECTION ? REQUESTS_OTHER : command->flags & COMMAND_WRITE ? REQUESTS_WRITE : REQUESTS_READ;
	if (c->in_multi && !(command->flags & COMMAND_AT_ONCE)) {
		multi_queue(c, command, argc, argv);
		return true;
	}
	if (command->scope == SCOPE_CONNECTION) {
		c->reactor->stats.requests_other++;
		return client_connection_command(c, command, argc, argv);
	}
	if (!c->reactor->catalog.ready) {
		client_error(c, ERROR_LOADING);
		return true;
	}
	return command->scope == SCOPE_KEYS ? dispatch_keys(c, command, argc, argv) : client_groups_command(c, command, argc, argv);
}
