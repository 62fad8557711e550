/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that concern every group: DBSIZE, FLUSHALL, KEYS, RANDOMKEY go to all of them and the replies are put
 * together; each group does its part at a point of its own order, so with several groups the whole is no atomic
 * point. SCAN goes to the group of its cursor's slot, and from its end on to the next group's first slot.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "client/client.h"
#include "store/reply.h"

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

/* FLUSHALL: OK from all, or a syntax error from all. */
static void combine_same(struct client_request *whole, struct client_request *part)
{
	take_reply(whole, part);
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

	if (null ? whole->rq.reply.size == 0 : !whole->sum || distance < whole->sum) {
		take_reply(whole, part);
		whole->sum = null ? 0 : distance;
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
	uint16_t first, last;

	if (cr->rq.result != REQUEST_DONE || cr->rq.group >= catalog->group_count || !reply_is(cr, SCAN_END))
		return;
	catalog_slots_of_group(catalog, cr->rq.group + 1, &first, &last);
	(void)snprintf(text, sizeof text, "%llu", (unsigned long long)first << 50);
	reply_array(&reply, 2);
	reply_bulks(&reply, text);
	bytes_put(&reply, cr->rq.reply.data + strlen(SCAN_END), cr->rq.reply.size - strlen(SCAN_END));
	bytes_free(&cr->rq.reply);
	cr->rq.reply = reply;
}

static void dispatch_scan(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	struct client_request *cr = client_open(c, REQUEST_READ);
	char text[24];
	uint64_t cursor;

	/* A cursor that is none goes to any group, which says so. */
	(void)snprintf(text, sizeof text, "%.*s", argv[1].size < 21 ? (int)argv[1].size : 0, (const char *)argv[1].data);
	cursor = strtoull(text, NULL, 10);
	cr->completed = scan_completed;
	command_encode(&cr->rq.body, command, argc, argv);
	client_submit(c, cr, catalog_group_of_slot(&c->reactor->catalog, (uint16_t)(cursor >> 50)));
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
		command_encode(&part->rq.body, command, argc, argv);
		client_submit(c, part, group);
	}
}

bool client_groups_command(struct client *c, const struct command *command, uint32_t argc, const struct arg *argv)
{
	bool write = command->flags & COMMAND_WRITE;
	uint32_t groups = c->reactor->catalog.group_count;
	uint8_t place[RANDOM_PLACE_SIZE];
	struct arg with_place[2] = {argv[0], {.data = place, .size = sizeof place}};
	struct client_request *whole;

	for (uint32_t group = 1; write && group <= groups; group++)
		if (client_open_count(c, group)->reads)
			return false;
	if (write)
		c->reactor->stats.requests_write++;
	else
		c->reactor->stats.requests_read++;
	if (command->id == CMD_SCAN) {
		dispatch_scan(c, command, argc, argv);
		return true;
	}
	whole = client_open(c, REQUEST_READ);
	switch (command->id) {
	case CMD_DBSIZE:
		whole->combine = combine_sum;
		break;
	case CMD_KEYS:
		whole->combine = combine_arrays;
		whole->completed = head_array;
		break;
	case CMD_RANDOMKEY:
		whole->combine = combine_random;
		client_draw_place(c, place);
		whole->slot = (uint16_t)(1 + (get_le16(place + 8) % groups));
		argv = with_place;
		argc = 2;
		break;
	default:
		whole->combine = combine_same;
		break;
	}
	fan_out(c, whole, command, argc, argv);
	return true;
}
