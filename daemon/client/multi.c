/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MULTI, EXEC, DISCARD, WATCH. Commands are checked when they are queued and kept encoded; EXEC hands them to their
 * group as one record, together with what was watched, and the group decides when it applies it ([watch]). A
 * transaction has the keys of one slot, or any if there is only one group ([ports]). What has no keys at all is
 * executed here.
 *
 * MULTI is never refused. What a group refuses becomes -EXECABORT, but for MOVED, which clients must see as it is.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "client/client.h"
#include "store/reply.h"

#define WATCHED_MAX 1024u
#define MULTI_BYTES_MAX RESP_REQUEST_MAX
#define HERE_ARGS_MAX 8u /* of a command without keys */

/* ---- queueing ---- */

static void forget_watched(struct client *c)
{
	free(c->watched);
	c->watched = NULL;
	c->watched_count = 0;
}

void multi_reset(struct client *c)
{
	c->in_multi = c->multi_broken = c->multi_writes = false;
	bytes_reset(&c->multi, 0);
	c->multi_count = c->multi_group = 0;
	forget_watched(c);
	client_count_held(c);
}

static void reply_ok(struct client *c, const char *text)
{
	struct client_request *place;

	reply_status(client_reply_begin(c, &place), text);
	client_reply_end(c, place);
}

void multi_begin(struct client *c)
{
	if (c->in_multi) {
		client_error(c, "ERR MULTI calls can not be nested");
		return;
	}
	c->in_multi = true;
	reply_ok(c, "OK");
}

/* Why the command can't be part of this transaction; NULL: it can, and the group is noted. */
static const char *place_in_group(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	bool one_group = c->reactor->catalog.group_count == 1;
	uint32_t group;
	uint16_t slot = 0;

	if (command->scope == SCOPE_CONNECTION)
		return NULL;
	if (!c->reactor->catalog.ready)
		return ERROR_LOADING;
	if (command->scope == SCOPE_GROUPS) {
		if (!one_group)
			return "ERR Command not allowed inside a transaction unless there is only one group";
		c->multi_group = 1;
		return NULL;
	}
	group = client_group_of_keys(c, command, argc, argv, &slot);
	if (!group || (c->multi_group && slot != c->multi_slot && !one_group))
		return ERROR_CROSSSLOT;
	c->multi_group = group;
	c->multi_slot = slot;
	return NULL;
}

/* What the group can't know when it executes the command goes along as one more argument. */
static void encode_queued(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	uint8_t place[RANDOM_PLACE_SIZE];
	struct arg more[3];

	if (command->id == CMD_RANDOMKEY) {
		client_draw_place(c, place);
		more[0] = argv[0];
		more[1] = (struct arg){.data = place, .size = sizeof place};
		command_encode(&c->multi, command, 2, more);
	} else if (command->id == CMD_SELECT) {
		argc = client_select_arguments(c, argv, more);
		command_encode(&c->multi, command, argc, more);
	} else {
		command_encode(&c->multi, command, argc, argv);
	}
}

void multi_queue(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	const char *error = NULL;
	uint64_t size = 0;

	for (uint32_t i = 0; i < argc; i++)
		size += argv[i].size + 4;
	if (command->flags & COMMAND_NO_MULTI || !command->run)
		error = "ERR Command not allowed inside a transaction";
	else if (command->scope == SCOPE_CONNECTION && argc > HERE_ARGS_MAX)
		error = "ERR wrong number of arguments for a command inside a transaction";
	else if (c->multi.size + size > MULTI_BYTES_MAX)
		error = "ERR the transaction is too large";
	else
		error = place_in_group(c, command, argc, argv);
	if (error) {
		c->multi_broken = true;
		client_error(c, error);
		return;
	}
	encode_queued(c, command, argc, argv);
	c->multi_count++;
	c->multi_writes |= (command->flags & COMMAND_WRITE) != 0;
	client_count_held(c);
	reply_ok(c, "QUEUED");
}

void multi_discard(struct client *c)
{
	if (!c->in_multi) {
		client_error(c, "ERR DISCARD without MULTI");
		return;
	}
	multi_reset(c);
	reply_ok(c, "OK");
}

/* ---- EXEC ---- */

static void exec_completed(struct client_request *cr)
{
	struct bytes *reply = &cr->rq.reply;
	struct bytes wrapped = {0};

	if (cr->rq.result != REQUEST_REFUSED || (reply->size > 7 && !memcmp(reply->data, "-MOVED ", 7)))
		return;
	bytes_puts(&wrapped, "-EXECABORT Transaction discarded because of: ");
	bytes_put(&wrapped, reply->data + 1, reply->size - 1);
	bytes_free(reply);
	*reply = wrapped;
}

/* Only PING and the like: no group has anything to do with it. */
static void exec_here(struct client *c)
{
	struct cursor in = cursor_of(c->multi.data, c->multi.size);
	struct client_request *place;
	struct bytes *out = client_reply_begin(c, &place);
	struct arg argv[HERE_ARGS_MAX];

	reply_array(out, c->multi_count);
	for (uint32_t i = 0; i < c->multi_count; i++) {
		struct call call = {.argv = argv, .out = out, .resp = c->resp};

		int r = command_decode(&in, &call.command, argv, HERE_ARGS_MAX, &call.argc);

		assert(r == 0); /* multi_queue() encoded it */
		call.command->run(&call);
	}
	client_reply_end(c, place);
}

static void put_exec(struct client *c, struct bytes *body)
{
	bytes_put_u32(body, c->watched_count);
	for (uint32_t i = 0; i < c->watched_count; i++) {
		bytes_put_u64(body, c->watched[i].hash);
		bytes_put_u64(body, c->watched[i].index);
	}
	bytes_put_u32(body, c->multi_count);
	bytes_put(body, c->multi.data, c->multi.size);
}

bool multi_exec(struct client *c)
{
	const struct catalog *catalog = &c->reactor->catalog;
	uint32_t group = c->multi_group;
	uint16_t slot = c->multi_slot;
	struct client_request *cr;

	if (!c->in_multi) {
		client_error(c, "ERR EXEC without MULTI");
		return true;
	}
	if (c->multi_broken) {
		multi_reset(c);
		client_error(c, "EXECABORT Transaction discarded because of previous errors.");
		return true;
	}
	if (c->watched_count && group && slot != c->watched_slot && catalog->group_count > 1) {
		multi_reset(c);
		client_error(c, ERROR_CROSSSLOT);
		return true;
	}
	if (c->watched_count && !group) {
		slot = c->watched_slot;
		group = catalog_group_of_slot(catalog, slot);
	}
	if (!group) {
		exec_here(c);
		multi_reset(c);
		return true;
	}
	if (client_open_count(c, group)->reads)
		return false; /* a WATCH that isn't answered yet, too */
	c->reactor->stats.requests_write++;
	cr = client_open(c, REQUEST_WRITE);
	cr->rq.bundle = BUNDLE_EXEC;
	cr->redirect = c->cluster_port;
	cr->slot = slot;
	cr->completed = exec_completed;
	put_exec(c, &cr->rq.body);
	multi_reset(c);
	client_submit(c, cr, group);
	return true;
}

/* ---- WATCH ---- */

static void watch_completed(struct client_request *cr)
{
	struct client *c = cr->client;
	uint64_t ticket = (uint64_t)cr->sum;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < c->watched_count; i++) {
		struct watched_key *w = &c->watched[i];

		if (w->ticket == ticket && cr->rq.result != REQUEST_DONE)
			continue; /* the client hears that it isn't watched */
		if (w->ticket == ticket)
			w->index = cr->rq.watch_index;
		c->watched[kept++] = *w;
	}
	c->watched_count = kept;
	if (cr->rq.result == REQUEST_DONE)
		reply_status(&cr->rq.reply, "OK");
}

void multi_watch(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	const struct catalog *catalog = &c->reactor->catalog;
	struct client_request *cr;
	const char *error = NULL;
	uint32_t group = 0;
	uint16_t slot = 0;

	if (c->in_multi)
		error = "ERR WATCH inside MULTI is not allowed";
	else if (!catalog->ready)
		error = ERROR_LOADING;
	else if (!(group = client_group_of_keys(c, command, argc, argv, &slot)) ||
		 (c->watched_count && slot != c->watched_slot && catalog->group_count > 1))
		error = ERROR_CROSSSLOT;
	else if (c->watched_count + argc - 1 > WATCHED_MAX)
		error = "ERR too many watched keys";
	if (error) {
		client_error(c, error);
		return;
	}
	c->watched_slot = slot;
	c->watched = mem_realloc(c->watched, (c->watched_count + argc - 1) * sizeof *c->watched);
	c->watch_ticket++;
	for (uint32_t i = 1; i < argc; i++)
		c->watched[c->watched_count++] = (struct watched_key){
			.hash = hash64(argv[i].data, argv[i].size, catalog->hash_seed), .ticket = c->watch_ticket};
	cr = client_open(c, REQUEST_READ);
	cr->rq.is_watch = true;
	cr->redirect = c->cluster_port;
	cr->slot = slot;
	cr->sum = (int64_t)c->watch_ticket;
	cr->completed = watch_completed;
	client_submit(c, cr, group);
}

void multi_unwatch(struct client *c)
{
	forget_watched(c);
	reply_ok(c, "OK");
}
