/* SPDX-License-Identifier: Apache-2.0 */
/* From a parsed request to where it is executed. */
#include <assert.h>
#include <stdio.h>

#include "client/client.h"
#include "node.h"
#include "store/reply.h"

#define ERROR_LOADING "LOADING Holdfast is starting: the catalog is not known yet; nothing was executed"
#define ERROR_CROSSSLOT "CROSSSLOT Keys in request don't hash to the same slot"

static void unknown_command(struct client *c, uint32_t argc, const struct arg *argv)
{
	char text[320];
	int n = snprintf(text, sizeof text, "ERR unknown command '%.*s', with args beginning with: ",
			 argv[0].size < 128 ? (int)argv[0].size : 128, (const char *)argv[0].data);

	for (uint32_t i = 1; i < argc && n < 192; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "'%.*s' ", argv[i].size < 64 ? (int)argv[i].size : 64,
			      (const char *)argv[i].data);
	client_error(c, text);
}

static void wrong_arity(struct client *c, const struct command *command)
{
	char text[128];

	(void)snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", command->name);
	client_error(c, text);
}

/* The group of all keys; 0: they lie in several slots (and there are several groups). */
static uint32_t group_of_keys(const struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, uint16_t *ret_slot)
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

	if (!g || open->reads || open->writes || !group_readable(g))
		return false;
	out = client_reply_begin(c, &place);
	store_read(g->store, command, argc, argv, c->resp, out);
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

	group = group_of_keys(c, command, argc, argv, &slot);
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
	command_encode(&cr->rq.body, command, argc, argv);
	client_submit(c, cr, group);
	return true;
}

/* ---- every group: the parts' integers add up, or each must say OK ---- */

static void combine_sum(struct client_request *whole, struct client_request *part)
{
	/* A part's reply is ":<n>\r\n" or "+OK\r\n", written by our own run_*(). */
	if (part->rq.reply.size && part->rq.reply.data[0] == ':') {
		int64_t n = 0;

		for (size_t i = 1; part->rq.reply.data[i] != '\r'; i++)
			n = n * 10 + (part->rq.reply.data[i] - '0');
		whole->sum += n;
		whole->rq.reply.size = 0;
		reply_int(&whole->rq.reply, whole->sum);
	} else {
		whole->rq.reply.size = 0;
		bytes_put(&whole->rq.reply, part->rq.reply.data, part->rq.reply.size);
	}
}

static bool dispatch_groups(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	bool write = command->flags & COMMAND_WRITE;
	uint32_t groups = c->reactor->catalog.group_count;
	struct client_request *whole;

	for (uint32_t group = 1; write && group <= groups; group++)
		if (client_open_count(c, group)->reads)
			return false;
	whole = client_open(c, REQUEST_READ);
	whole->children = groups;
	whole->combine = combine_sum;
	for (uint32_t group = 1; group <= groups; group++) {
		struct client_request *part = client_open(c, write ? REQUEST_WRITE : REQUEST_READ);

		list_del(&part->row); /* only the whole stands in the row */
		c->row_count--;
		part->parent = whole;
		command_encode(&part->rq.body, command, argc, argv);
		client_submit(c, part, group);
	}
	return true;
}

bool client_dispatch(struct client *c, uint32_t argc, const struct arg *argv)
{
	const struct command *command = command_find(argv[0].data, argv[0].size);

	if (!command) {
		unknown_command(c, argc, argv);
		return true;
	}
	if (!command_arity_ok(command, argc)) {
		wrong_arity(c, command);
		return true;
	}
	c->last_command = command;
	if (command->scope == SCOPE_CONNECTION) {
		c->reactor->stats.requests_other++;
		client_connection_command(c, command, argc, argv);
		return true;
	}
	if (!c->reactor->catalog.ready) {
		client_error(c, ERROR_LOADING);
		return true;
	}
	return command->scope == SCOPE_KEYS ? dispatch_keys(c, command, argc, argv) : dispatch_groups(c, command, argc, argv);
}
