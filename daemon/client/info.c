/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INFO: counted on every reactor in turn. It must answer where there is no quorum, so keys are counted in this node's
 * replicas as far as they are applied: DBSIZE asks the leaders, and may be a moment ahead. At the store_cluster port
 * they are, as DBSIZE's there, those of the groups that this node leads.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "client/client.h"
#include "config.h"
#include "node.h"
#include "store/reply.h"
#include "store/run.h"

enum section {
	SECTION_SERVER = 1 << 0,
	SECTION_CLIENTS = 1 << 1,
	SECTION_MEMORY = 1 << 2,
	SECTION_PERSISTENCE = 1 << 3,
	SECTION_STATS = 1 << 4,
	SECTION_REPLICATION = 1 << 5,
	SECTION_CLUSTER = 1 << 6,
	SECTION_KEYSPACE = 1 << 7,
	SECTION_ALL = (1 << 8) - 1,
};

struct info_tour {
	struct client_tour tour;
	unsigned sections;
	bool led_only;
	uint64_t clients, held, connections, refused, evicted, commands, errors;
	uint64_t keys, expiring, bytes, groups, led;
	uint64_t uptime_s;
};

static void info_visit(struct client_tour *tour, struct reactor *here)
{
	struct info_tour *t = container_of(tour, struct info_tour, tour);

	if (here->id == 0)
		t->uptime_s = (io_boottime_ns(here->io) - here->node->started_ns) / NS_PER_S;
	t->clients += here->client_count;
	t->held += here->client_held + here->client_out;
	t->connections += here->stats.connections_accepted;
	t->refused += here->stats.connections_refused;
	t->evicted += here->stats.connections_evicted;
	t->commands += here->stats.requests_read + here->stats.requests_write + here->stats.requests_other;
	t->errors += here->stats.request_errors;
	for (uint32_t l = 0; l < here->lane_count; l++)
		for (uint32_t i = 0; i < here->lanes[l]->group_count; i++) {
			const struct group *g = here->lanes[l]->groups[i];

			if (!g->store)
				continue;
			t->groups++;
			t->led += group_leads(g);
			t->bytes += keyspace_bytes(store_keyspace(g->store));
			if (t->led_only && client_serving_node(here, group_leader(g)) != here->node->config->node)
				continue;
			t->keys += keyspace_count(store_keyspace(g->store));
			t->expiring += keyspace_expiring_count(store_keyspace(g->store));
		}
}

static void put_section(struct bytes *out, const char *name)
{
	bytes_printf(out, "%s# %s\r\n", out->size ? "\r\n" : "", name);
}

static void put_number(struct bytes *out, const char *name, uint64_t value)
{
	bytes_printf(out, "%s:%llu\r\n", name, (unsigned long long)value);
}

static void put_server(struct bytes *out, const struct info_tour *t, const struct client *c)
{
	const struct config *config = c->reactor->node->config;
	const char *address = c->cluster_port ? config->store_cluster : config->store, *port = strrchr(address, ':');

	put_section(out, "Server");
	bytes_printf(out, "redis_version:7.0.0\r\nredis_mode:%s\r\nos:Linux\r\narch_bits:64\r\nserver_name:holdfast\r\ntcp_port:%s\r\nnode_id:%u\r\n",
		     c->cluster_port ? "cluster" : "standalone", port ? port + 1 : "0", config->node);
	put_number(out, "uptime_in_seconds", t->uptime_s);
	put_number(out, "uptime_in_days", t->uptime_s / 86400);
}

static void put_sections(struct bytes *out, const struct info_tour *t, const struct client *c)
{
	if (t->sections & SECTION_SERVER)
		put_server(out, t, c);
	if (t->sections & SECTION_CLIENTS) {
		put_section(out, "Clients");
		put_number(out, "connected_clients", t->clients);
		put_number(out, "maxclients", c->reactor->node->config->max_clients);
		put_number(out, "blocked_clients", 0);
	}
	if (t->sections & SECTION_MEMORY) {
		put_section(out, "Memory");
		put_number(out, "used_memory", t->bytes + t->held);
		put_number(out, "used_memory_dataset", t->bytes);
		put_number(out, "mem_clients_normal", t->held);
		bytes_puts(out, "maxmemory:0\r\nmaxmemory_policy:noeviction\r\n");
	}
	if (t->sections & SECTION_PERSISTENCE) {
		put_section(out, "Persistence");
		bytes_puts(out, "loading:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\n");
	}
	if (t->sections & SECTION_STATS) {
		put_section(out, "Stats");
		put_number(out, "total_connections_received", t->connections);
		put_number(out, "total_commands_processed", t->commands);
		put_number(out, "rejected_connections", t->refused);
		put_number(out, "evicted_clients", t->evicted);
		put_number(out, "total_error_replies", t->errors);
	}
	if (t->sections & SECTION_REPLICATION) {
		/* A client may write here, so the role is master, whoever leads the groups. */
		put_section(out, "Replication");
		bytes_puts(out, "role:master\r\n");
		put_number(out, "connected_slaves", c->reactor->node->config->member_count - 1u);
		put_number(out, "holdfast_groups", t->groups);
		put_number(out, "holdfast_groups_led", t->led);
	}
	if (t->sections & SECTION_CLUSTER) {
		put_section(out, "Cluster");
		put_number(out, "cluster_enabled", c->cluster_port);
	}
	if (t->sections & SECTION_KEYSPACE) {
		put_section(out, "Keyspace");
		if (t->keys)
			bytes_printf(out, "db0:keys=%llu,expires=%llu,avg_ttl=0\r\n", (unsigned long long)t->keys, (unsigned long long)t->expiring);
	}
}

static uint64_t info_done(struct client_tour *tour, struct bytes *out)
{
	struct info_tour *t = container_of(tour, struct info_tour, tour);
	struct bytes text = {0};

	put_sections(&text, t, tour->cr->client);
	reply_verbatim(out, tour->cr->rq.resp, text.data, text.size);
	bytes_free(&text);
	return 0;
}

static unsigned section_named(const struct arg *a)
{
	static const char *const names[] = {"server", "clients", "memory", "persistence", "stats", "replication", "cluster", "keyspace"};

	if (arg_is(a, "all") || arg_is(a, "everything") || arg_is(a, "default"))
		return SECTION_ALL;
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
		if (arg_is(a, names[i]))
			return 1u << i;
	return 0;
}

void client_info(struct client *c, uint32_t argc, const struct arg *argv)
{
	struct info_tour *t = mem_zalloc(sizeof *t);

	t->sections = argc == 1 ? SECTION_ALL : 0;
	t->led_only = c->cluster_port;
	for (uint32_t i = 1; i < argc; i++)
		t->sections |= section_named(&argv[i]);
	t->tour.visit = info_visit;
	t->tour.done = info_done;
	client_tour_start(c, &t->tour);
}
