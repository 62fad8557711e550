/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that concern every group: DBSIZE, FLUSHALL, KEYS, RANDOMKEY go to all of them and the replies are put
 * together; each group does its part at a point of its own order, so with several groups the whole is no atomic
 * point. SCAN goes to the group of its cursor's slot, and from its end on to the next group's first slot.
 *
 * At the store_cluster port each node speaks for the groups that it leads, as a Redis Cluster master speaks for its
 * slots: such clients ask every master and add up. A group between two leaders is an error, not an empty answer; one
 * that moves while a client goes from node to node may be met twice or not at all, as a slot that migrates may. A SCAN
 * that has begun in a group goes through to its end there, whoever leads it by then.
 */
#include <stdio.h>

#include "base/mem.h"
#include "client/client.h"
#include "store/reply.h"
#include "store/run.h"

#define FAN_REPLY_MAX (256u << 20)

static bool reply_is(const struct client_request *cr, const char *head)
{
	size_t n = strlen(head);

	return cr->rq.reply.size >= n && !memcmp(cr->rq.reply.data, head, n);
}

/* Reads the number behind a reply's type byte; *ret_body is behind its line. The reply was written by our own run_*(). */
static int64_t reply_number(const struct client_request *cr, size_t *ret_body)
{
	size_t i = 1;
	int64_t n = 0;

	for (; cr->rq.reply.data[i] != '\r'; i++)
		n = n * 10 + (cr->rq.reply.data[i] - '0');
	*ret_body = i + 2;
	return n;
}

static void take_reply(struct client_request *whole, const struct client_request *part)
{
	whole->rq.reply.size = 0;
	bytes_put(&whole->rq.reply, part->rq.reply.data, part->rq.reply.size);
}

static void combine_sum(struct client_request *whole, struct client_request *part)
{
	size_t body;

	whole->sum += reply_number(part, &body);
	whole->rq.reply.size = 0;
	reply_int(&whole->rq.reply, whole->sum);
}

/* KEYS: elements one after the other; the head comes last. sum < 0: an error stands there. */
static void combine_arrays(struct client_request *whole, struct client_request *part)
{
	size_t body;

	if (whole->sum < 0)
		return;
	if (reply_is(part, "-")) {
		take_reply(whole, part);
		whole->sum = -1;
		return;
	}
	if (whole->rq.reply.size + part->rq.reply.size > FAN_REPLY_MAX) {
		whole->rq.reply.size = 0;
		reply_error(&whole->rq.reply, "ERR the reply would exceed the maximum allowed size");
		whole->sum = -1;
		return;
	}
	whole->sum += reply_number(part, &body);
	bytes_put(&whole->rq.reply, part->rq.reply.data + body, part->rq.reply.size - body);
}

static void head_array(struct client_request *whole)
{
	struct bytes reply = {0};

	if (whole->sum < 0 || whole->rq.result != REQUEST_DONE)
		return;
	reply_array(&reply, (size_t)whole->sum);
	bytes_put(&reply, whole->rq.reply.data, whole->rq.reply.size);
	bytes_free(&whole->rq.reply);
	whole->rq.reply = reply;
}

/*
 * RANDOMKEY: of the groups that have a key the one that comes first behind a drawn one. whole->slot is the drawn
 * group, sum the distance of the one that is in the reply, from 1.
 */
static void combine_random(struct client_request *whole, struct client_request *part)
{
	uint32_t groups = whole->client->reactor->catalog.group_count;
	int64_t distance = 1 + (part->rq.group + groups - whole->slot) % groups;
	bool null = reply_is(part, "_") || reply_is(part, "$-");

	if (!null && (!whole->sum || distance < whole->sum)) {
		take_reply(whole, part);
		whole->sum = distance;
	}
}

void client_draw_place(struct client *c, uint8_t ret[RANDOM_PLACE_SIZE])
{
	io_random(c->reactor->io, ret, RANDOM_PLACE_SIZE);
}

/* ---- SCAN ---- */

#define SCAN_END "*2\r\n$1\r\n0\r\n"

static void scan_completed(struct client_request *cr)
{
	const struct catalog *catalog = &cr->client->reactor->catalog;
	struct bytes reply = {0};
	char text[24];
	uint16_t first = 0, last;

	if (cr->elsewhere)
		bytes_puts(&cr->rq.reply, SCAN_END "*0\r\n");
	if (cr->rq.result != REQUEST_DONE || cr->rq.group >= catalog->group_count || !reply_is(cr, SCAN_END))
		return;
	catalog_slots_of_group(catalog, cr->rq.group + 1, &first, &last);
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)first << SCAN_HASH_BITS);
	reply_array(&reply, 2);
	reply_bulks(&reply, text);
	bytes_put(&reply, cr->rq.reply.data + strlen(SCAN_END), cr->rq.reply.size - strlen(SCAN_END));
	bytes_free(&cr->rq.reply);
	cr->rq.reply = reply;
}

static void dispatch_scan(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, uint64_t cursor)
{
	struct client_request *cr = client_open(c, REQUEST_READ);
	uint32_t group = catalog_group_of_slot(&c->reactor->catalog, (uint16_t)(cursor >> SCAN_HASH_BITS));
	uint16_t first, last;

	catalog_slots_of_group(&c->reactor->catalog, group, &first, &last);
	cr->led_only = c->cluster_port && cursor == (uint64_t)first << SCAN_HASH_BITS;
	cr->completed = scan_completed;
	command_encode(&cr->rq.body, command, argc, argv);
	client_submit(c, cr, group);
}

/* ---- one slot, whoever leads it ---- */

static void dispatch_slot(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, uint16_t slot)
{
	struct client_request *cr = client_open(c, REQUEST_READ);

	command_encode(&cr->rq.body, command, argc, argv);
	client_submit(c, cr, catalog_group_of_slot(&c->reactor->catalog, slot));
}

/* ---- all groups ---- */

static void fan_out(struct client *c, struct client_request *whole, const struct command *command, uint32_t argc, const struct arg *argv)
{
	uint32_t groups = c->reactor->catalog.group_count;

	whole->children = groups;
	for (uint32_t group = 1; group <= groups; group++) {
		struct client_request *part = client_open(c, command->flags & COMMAND_WRITE ? REQUEST_WRITE : REQUEST_READ);

		list_del(&part->row); /* only the whole stands in the row */
		c->row_count--;
		part->parent = whole;
		part->led_only = c->cluster_port;
		command_encode(&part->rq.body, command, argc, argv);
		client_submit(c, part, group);
	}
}

static bool of_one_slot(const struct command *command)
{
	return command->id == CMD_CLUSTER_COUNTKEYSINSLOT || command->id == CMD_CLUSTER_GETKEYSINSLOT;
}

/* Wrong arguments are told here: there may be no group to do so. False: the error is replied. */
static bool check_arguments(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv, uint16_t *ret_slot,
			    uint64_t *ret_cursor)
{
	struct bytes error = {0};
	struct call call = {.command = command, .argc = argc, .argv = argv, .out = &error, .resp = c->resp};
	struct scan_arguments scan = {0};
	bool ok = true;
	int64_t max;

	if (command->id == CMD_SCAN)
		ok = scan_arguments(&call, &scan);
	else if (of_one_slot(command))
		ok = slot_arguments(&call, ret_slot, &max);
	else if (command->flags & COMMAND_WRITE)
		ok = flush_arguments(&call);
	if (!ok)
		client_refuse(c, &error);
	*ret_cursor = scan.cursor;
	return ok;
}

/* The reply starts as what it is without any group. */
static void dispatch_all(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	struct client_request *whole = client_open(c, REQUEST_READ);
	uint8_t place[RANDOM_PLACE_SIZE];
	struct arg with_place[2] = {argv[0], {.data = place, .size = sizeof place}};

	switch (command->id) {
	case CMD_DBSIZE:
		whole->combine = combine_sum;
		reply_int(&whole->rq.reply, 0);
		break;
	case CMD_KEYS:
		whole->combine = combine_arrays;
		whole->completed = head_array;
		break;
	case CMD_RANDOMKEY:
		whole->combine = combine_random;
		reply_null(&whole->rq.reply, c->resp);
		client_draw_place(c, place);
		/* Behind a place that it doesn't hold, every other group would name its first key. */
		whole->slot = (uint16_t)catalog_group_of_slot(&c->reactor->catalog, get_le16(place) % SLOT_COUNT);
		argv = with_place;
		argc = 2;
		break;
	default: /* FLUSHALL, FLUSHDB */
		reply_status(&whole->rq.reply, "OK");
		break;
	}
	fan_out(c, whole, command, argc, argv);
}

bool client_groups_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	bool write = command->flags & COMMAND_WRITE;
	uint16_t slot = 0;
	uint64_t cursor;

	for (uint32_t group = 1; write && group <= c->reactor->catalog.group_count; group++)
		if (client_open_count(c, group)->reads)
			return false;
	if (!check_arguments(c, command, argc, argv, &slot, &cursor))
		return true;
	if (write)
		c->reactor->stats.requests_write++;
	else
		c->reactor->stats.requests_read++;
	if (command->id == CMD_SCAN)
		dispatch_scan(c, command, argc, argv, cursor);
	else if (of_one_slot(command))
		dispatch_slot(c, command, argc, argv, slot);
	else
		dispatch_all(c, command, argc, argv);
	return true;
}
