/* SPDX-License-Identifier: Apache-2.0 */
#include "reactor.h"

#include <stdlib.h>

#include "base/mem.h"
#include "client/client.h"
#include "node.h"

static void reactor_turn(void *arg)
{
	struct reactor *r = arg;

	/* Clients first: what they have left unread may lead to writes that the lanes can still take along. */
	clients_turn(r);
	for (uint32_t i = 0; i < r->lane_count; i++)
		lane_turn(r->lanes[i]);
	clients_turn(r); /* replies of this very turn */
	r->turn_bytes = 0;
}

struct reactor *reactor_new(struct node *node, struct io *io, uint32_t id)
{
	struct reactor *r = mem_zalloc(sizeof *r);

	r->node = node;
	r->io = io;
	r->id = id;
	list_init(&r->clients);
	list_init(&r->dirty_clients);
	io_set_turn(io, reactor_turn, r);
	return r;
}

void reactor_free_lanes(struct reactor *r)
{
	for (uint32_t i = 0; i < r->lane_count; i++) {
		lane_fini(r->lanes[i]);
		free(r->lanes[i]);
	}
	r->lane_count = 0;
}

void reactor_free(struct reactor *r)
{
	if (!r)
		return;
	clients_free(r);
	free(r->lanes);
	free(r);
}

struct group *reactor_group(const struct reactor *r, uint32_t group)
{
	uint8_t lane = node_lane_of_group(r->node, group);

	for (uint32_t i = 0; i < r->lane_count; i++)
		if (r->lanes[i]->id == lane)
			return lane_group(r->lanes[i], group);
	return NULL;
}

struct reactor *reactor_of_group(const struct reactor *r, uint32_t group)
{
	return node_reactor_of_lane(r->node, node_lane_of_group(r->node, group));
}
