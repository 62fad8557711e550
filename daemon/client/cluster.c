/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CLUSTER: who leads which slots, told at the store_cluster ports. Where a leader's address isn't known, this node
 * stands in: any node serves any key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "client/client.h"
#include "config.h"
#include "node.h"
#include "store/reply.h"

#define ID_TEXT 41u

struct cluster_tour {
	struct client_tour tour;
	const struct command *command;
	struct identity identity;
	uint32_t groups;
	uint64_t term;
	uint8_t leaders[]; /* by group */
};

struct place {
	char id[ID_TEXT], host[ADDRESS_MAX];
	int port;
};

static void cluster_visit(struct client_tour *tour, struct reactor *here)
{
	struct cluster_tour *t = container_of(tour, struct cluster_tour, tour);

	if (here->id == 0)
		t->identity = here->node->identity;
	for (uint32_t l = 0; l < here->lane_count; l++)
		for (uint32_t i = 0; i < here->lanes[l]->group_count; i++) {
			const struct group *g = here->lanes[l]->groups[i];

			if (!g->store || g->id > t->groups)
				continue;
			t->leaders[g->id] = group_leader(g);
			t->term = max_u64(t->term, g->raft.term);
		}
}

static void node_id(const struct cluster_tour *t, uint8_t node, char ret[ID_TEXT])
{
	uint64_t a = hash64(t->identity.cluster_id, sizeof t->identity.cluster_id, node);
	uint64_t b = mix64(a + 1), c = mix64(a + 2);

	(void)snprintf(ret, ID_TEXT, "%016llx%016llx%08x", (unsigned long long)a, (unsigned long long)b, (unsigned)c);
}

static bool node_place(const struct cluster_tour *t, uint8_t node, struct place *ret)
{
	const char *address = t->tour.cr->client->reactor->store_cluster[node];
	char *colon;

	if (!address[0])
		return false;
	(void)snprintf(ret->host, sizeof ret->host, "%s", address);
	colon = strrchr(ret->host, ':');
	ret->port = colon ? atoi(colon + 1) : 0;
	if (colon)
		*colon = 0;
	if (ret->host[0] == '[') { /* clients want a bare IPv6 address */
		size_t length = strlen(ret->host);

		memmove(ret->host, ret->host + 1, length);
		ret->host[length - 2] = 0;
	}
	node_id(t, node, ret->id);
	return true;
}

/* The node to go to for a group; 0: it has no leader now. */
static uint8_t serves(const struct cluster_tour *t, uint32_t group)
{
	return client_serving_node(t->tour.cr->client->reactor, t->leaders[group]);
}

static uint32_t ranges_of(const struct cluster_tour *t, uint8_t node)
{
	uint32_t count = 0;

	for (uint32_t group = 1; group <= t->groups; group++)
		count += serves(t, group) == node;
	return count;
}

static void put_slots(const struct cluster_tour *t, struct bytes *out)
{
	const struct catalog *catalog = &t->tour.cr->client->reactor->catalog;
	uint32_t count = t->groups - ranges_of(t, 0);

	reply_array(out, count);
	for (uint32_t group = 1; group <= t->groups; group++) {
		uint8_t node = serves(t, group);
		struct place place;
		uint16_t first, last;

		if (!node || !node_place(t, node, &place))
			continue;
		catalog_slots_of_group(catalog, group, &first, &last);
		reply_array(out, 3);
		reply_int(out, first);
		reply_int(out, last);
		reply_array(out, 4);
		reply_bulks(out, place.host);
		reply_int(out, place.port);
		reply_bulks(out, place.id);
		reply_map(out, t->tour.cr->rq.resp, 0); /* more about the node: nothing */
	}
}

static void put_shard(const struct cluster_tour *t, uint8_t node, const struct place *place, struct bytes *out)
{
	const struct catalog *catalog = &t->tour.cr->client->reactor->catalog;
	int resp = t->tour.cr->rq.resp;

	reply_map(out, resp, 2);
	reply_bulks(out, "slots");
	reply_array(out, 2 * ranges_of(t, node));
	for (uint32_t group = 1; group <= t->groups; group++) {
		uint16_t first, last;

		if (serves(t, group) != node)
			continue;
		catalog_slots_of_group(catalog, group, &first, &last);
		reply_int(out, first);
		reply_int(out, last);
	}
	reply_bulks(out, "nodes");
	reply_array(out, 1);
	reply_map(out, resp, 7);
	reply_bulks(out, "id");
	reply_bulks(out, place->id);
	reply_bulks(out, "port");
	reply_int(out, place->port);
	reply_bulks(out, "ip");
	reply_bulks(out, place->host);
	reply_bulks(out, "endpoint");
	reply_bulks(out, place->host);
	reply_bulks(out, "role");
	reply_bulks(out, "master");
	reply_bulks(out, "replication-offset");
	reply_int(out, 0);
	reply_bulks(out, "health");
	reply_bulks(out, "online");
}

static void put_shards(const struct cluster_tour *t, struct bytes *out)
{
	struct place place;
	size_t count = 0;

	for (uint8_t node = 1; node < NODE_SLOTS; node++)
		count += ranges_of(t, node) > 0;
	reply_array(out, count);
	for (uint8_t node = 1; node < NODE_SLOTS; node++)
		if (ranges_of(t, node) && node_place(t, node, &place))
			put_shard(t, node, &place, out);
}

static void put_nodes(const struct cluster_tour *t, struct bytes *out)
{
	const struct client *c = t->tour.cr->client;
	const struct config *config = c->reactor->node->config;
	struct bytes text = {0};

	for (unsigned i = 0; i < config->member_count; i++) {
		uint8_t node = config->members[i];
		struct place place;

		if (!node_place(t, node, &place))
			continue;
		bytes_printf(&text, "%s %s:%d@0 %smaster - 0 0 %llu connected", place.id, place.host, place.port,
			     node == config->node ? "myself," : "", (unsigned long long)t->term);
		for (uint32_t group = 1; group <= t->groups; group++) {
			uint16_t first, last;

			if (serves(t, group) != node)
				continue;
			catalog_slots_of_group(&c->reactor->catalog, group, &first, &last);
			bytes_printf(&text, first == last ? " %u" : " %u-%u", first, last);
		}
		bytes_puts(&text, "\n");
	}
	reply_verbatim(out, t->tour.cr->rq.resp, text.data, text.size);
	bytes_free(&text);
}

static void put_state(const struct cluster_tour *t, struct bytes *out)
{
	const struct client *c = t->tour.cr->client;
	uint32_t led = t->groups - ranges_of(t, 0), size = 0;
	bool ok = t->groups && led == t->groups;
	uint64_t slots_ok = 0;
	struct bytes text = {0};

	for (uint8_t node = 1; node < NODE_SLOTS; node++)
		size += ranges_of(t, node) > 0;
	for (uint32_t group = 1; group <= t->groups; group++) {
		uint16_t first, last;

		catalog_slots_of_group(&c->reactor->catalog, group, &first, &last);
		slots_ok += t->leaders[group] ? (uint64_t)(last - first + 1) : 0;
	}
	bytes_printf(&text, "cluster_enabled:%d\r\ncluster_state:%s\r\ncluster_slots_assigned:%u\r\ncluster_slots_ok:%llu\r\n"
		     "cluster_slots_pfail:0\r\ncluster_slots_fail:%llu\r\ncluster_known_nodes:%u\r\ncluster_size:%u\r\n"
		     "cluster_current_epoch:%llu\r\ncluster_my_epoch:%llu\r\n",
		     c->cluster_port, ok ? "ok" : "fail", t->groups ? SLOT_COUNT : 0, (unsigned long long)slots_ok,
		     (unsigned long long)(t->groups ? SLOT_COUNT - slots_ok : 0), c->reactor->node->config->member_count, size,
		     (unsigned long long)t->term, (unsigned long long)t->term);
	reply_verbatim(out, t->tour.cr->rq.resp, text.data, text.size);
	bytes_free(&text);
}

static uint64_t cluster_done(struct client_tour *tour, struct bytes *out)
{
	struct cluster_tour *t = container_of(tour, struct cluster_tour, tour);
	char id[ID_TEXT];

	switch ((enum command_id)t->command->id) {
	case CMD_CLUSTER_SLOTS:
		put_slots(t, out);
		break;
	case CMD_CLUSTER_SHARDS:
		put_shards(t, out);
		break;
	case CMD_CLUSTER_NODES:
		put_nodes(t, out);
		break;
	case CMD_CLUSTER_INFO:
		put_state(t, out);
		break;
	default:
		node_id(t, tour->cr->client->reactor->node->config->node, id);
		reply_bulks(out, id);
		break;
	}
	return 0;
}

void client_cluster_command(struct client *c, const struct command *command)
{
	uint32_t groups = c->reactor->catalog.ready ? c->reactor->catalog.group_count : 0;
	struct cluster_tour *t = mem_zalloc(sizeof *t + groups + 1);

	t->command = command;
	t->groups = groups;
	t->tour.visit = cluster_visit;
	t->tour.done = cluster_done;
	client_tour_start(c, &t->tour);
}
