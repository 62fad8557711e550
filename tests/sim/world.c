/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "store/run.h"
#include "world_private.h"

#define SEGMENT_MB_LARGE 32u /* the least that a configuration may ask for */

uint64_t world_draw(struct world *w, uint64_t bound)
{
	return rand_below(&w->random, bound);
}

uint64_t world_draw_between(struct world *w, uint64_t min, uint64_t max)
{
	return min + world_draw(w, max - min + 1);
}

uint8_t world_any_node(struct world *w)
{
	return (uint8_t)(1 + world_draw(w, w->node_count));
}

void world_fail(struct world *w, const char *format, ...)
{
	va_list args;

	if (w->failure[0])
		return;
	va_start(args, format);
	(void)vsnprintf(w->failure, sizeof w->failure, format, args);
	va_end(args);
}

const char *world_failure(const struct world *w)
{
	return w->failure[0] ? w->failure : NULL;
}

/* ---- nodes ---- */

static void on_failed(void *arg, const char *what, int error)
{
	struct sim_node *n = arg;

	planted_failed(n->world, n);
	/* All nodes run one version: but for a disk that fails no node has a reason to stop. */
	if (!sim_io_failed(n->world->sim, n->id))
		world_fail(n->world, "node %u stops itself: %s: %s", n->id, what, strerror(-error));
	n->failed = true;
}

static void on_left(void *arg)
{
	struct sim_node *n = arg;

	n->left = true;
}

static void on_serving(void *arg)
{
	(void)arg;
}

static void node_make_config(struct world *w, struct sim_node *n)
{
	struct config *c = &n->config;

	*c = (struct config){
		.node = n->id,
		.member_count = w->node_count,
		.reactors = w->reactors,
		.groups = w->groups,
		.segment_mb = w->segment_mb,
		.max_clients = 1000,
		.log_kb = w->log_kb,
		.snapshot_chunk = w->snapshot_chunk,
		.wire_part = w->wire_part,
		.writes_max = w->writes_max,
		.plant = w->plant,
	};
	for (uint8_t i = 1; i <= w->node_count; i++) {
		c->members[i - 1] = i;
		(void)snprintf(c->member_address[i], ADDRESS_MAX, "10.0.0.%u:7400", i);
	}
	(void)snprintf(c->data, sizeof c->data, "/data");
	(void)snprintf(c->store, sizeof c->store, "10.0.0.%u:6379", n->id);
	(void)snprintf(c->peer, sizeof c->peer, "10.0.0.%u:7400", n->id);
	if (w->admin)
		(void)snprintf(c->admin, sizeof c->admin, "10.0.0.%u:7480", n->id);
}

void world_node_down(struct world *w, struct sim_node *n, bool silent)
{
	inspect_down(n, !w->healed && liar_crash(w->liar, n->id));
	sim_crash(w->sim, n->id, silent);
	node_free(n->node);
	free(n->node);
	n->node = NULL;
	for (uint32_t i = 0; i < w->reactors; i++)
		io_free(n->ios[i]);
	n->up = n->failed = n->left = n->crash_pending = n->crash_now = false;
	n->start_ns = sim_now(w->sim) + world_draw_between(w, 20 * NS_PER_MS, 1500 * NS_PER_MS);
}

static void node_up(struct world *w, struct sim_node *n)
{
	int r;

	faults_rot(w, n);
	n->node = mem_zalloc(sizeof *n->node);
	n->node->arg = n;
	n->node->failed = on_failed;
	n->node->left = on_left;
	n->node->serving = on_serving;
	for (uint32_t i = 0; i < w->reactors; i++)
		(void)io_new(&n->ios[i], sim_env(w->sim, n->id));
	memset(n->checked, 0, sizeof n->checked);
	memset(n->summed, 0, sizeof n->summed);
	memset(n->restored, 0, sizeof n->restored);
	memset(n->bundles, 0, sizeof n->bundles);
	n->up = true;
	n->failed = false;
	r = node_start(n->node, &n->config, n->ios);
	/* A full disk is no reason either, but the first time: what a start needs has its room from then on, if nobody took it. */
	if (r < 0 && !sim_io_failed(w->sim, n->id) &&
	    ((n->started && !sim_counts(w->sim)->shortened) || r != -ENOSPC || !sim_disk_full(w->sim, n->id)))
		world_fail(w, "node %u doesn't start: %s", n->id, strerror(-r));
	if (r < 0)
		world_node_down(w, n, false);
	else
		inspect_up(w, n);
	n->started |= r == 0;
}

struct group *world_group(const struct sim_node *n, uint32_t id)
{
	struct group *g = NULL;

	for (uint32_t i = 0; n->up && !g && i < n->node->lane_count; i++)
		g = lane_group(n->node->lanes[i], id);
	return g;
}

/* What is due after an event: crashes that waited for a write, restarts, nodes that ended themselves. */
static void look_after(struct world *w)
{
	uint64_t now_ns = sim_now(w->sim);

	for (uint8_t id = 1; id <= w->node_count; id++) {
		struct sim_node *n = &w->nodes[id];

		if (n->up && (n->failed || n->left))
			world_node_down(w, n, false);
		else if (n->up && n->crash_now)
			world_node_down(w, n, true);
		else if (n->up && n->crash_pending && (sim_writing(w->sim, id) || world_draw(w, 2000) == 0))
			world_node_down(w, n, n->crash_silent);
		else if (!n->up && now_ns >= n->start_ns)
			node_up(w, n);
	}
}

bool world_run(struct world *w, uint64_t until_ns)
{
	while (!w->failure[0] && sim_now(w->sim) < until_ns) {
		uint64_t now_ns = sim_now(w->sim), stop_ns = min_u64(until_ns, now_ns + 5 * NS_PER_MS);
		uint8_t machine;

		faults_due(w, now_ns);
		if (sim_step(w->sim, stop_ns)) {
			machine = sim_last_machine(w->sim);
			if (machine && w->nodes[machine].up && !w->nodes[machine].failed)
				inspect_node(w, &w->nodes[machine]);
			if (machine && w->nodes[machine].up && !liar_watch(w->liar, machine, w->nodes[machine].node))
				world_fail(w, "node %u goes on without what its disk had said to be durable", machine);
		}
		if (sim_counts(w->sim)->retries)
			world_fail(w, "node %u writes a file again after a write or sync of it has failed", w->rot_node);
		look_after(w);
		planted_watch(w);
	}
	return !w->failure[0];
}

/* ---- life ---- */

struct world *world_new(const struct world_options *o)
{
	static const int errors[3] = {-EIO, -ENOSPC, -ENODATA};
	struct world *w = mem_zalloc(sizeof *w);
	struct sim_faults faults;

	w->random = mix64(o->seed ^ 0x776f726c64u);
	w->extra_random = mix64(o->seed ^ 0x636c6f636bu);
	w->stray_random = mix64(o->seed ^ 0x73747261u);
	w->file_random = mix64(o->seed ^ 0x66696c65u);
	w->strike_random = mix64(o->seed ^ 0x73747269u);
	w->fill_random = mix64(o->seed ^ 0x66756c6du);
	w->shape_random = mix64(o->seed ^ 0x7368617065u);
	w->plant = o->plant;
	w->admin = o->admin;
	w->node_count = world_draw(w, 5) ? 3 : 5;
	w->reactors = world_draw(w, 4) ? 1 : 2;
	w->groups = 1 + (uint32_t)world_draw(w, 4);
	w->pipeline_max = 1 + (uint32_t)world_draw(w, 5);
	w->log_kb = world_draw(w, 4) ? 1 + (uint32_t)world_draw(w, 20) : 65536;
	w->rot_node = world_any_node(w);
	w->snapshots_rot = mix64(o->seed ^ 0x736e6170u) % 4 == 0;
	w->misdirects = mix64(o->seed ^ 0x6d697364u) % 4 == 0;
	w->loses_files = mix64(o->seed ^ 0x6673636bu) % 4 == 0;
	w->unreadable = mix64(o->seed ^ 0x65696f6eu) % 2;
	w->wire_part = mix64(o->seed ^ 0x70617274u) % 3 ? 0 : 100; /* a third of the runs: heartbeats between the parts of most frames */
	w->snapshot_chunk = mix64(o->seed ^ 0x6368756eu) % 4 ? 1 : 0; /* an object each: streams that last, break and go on */
	w->tellers = mix64(o->seed ^ 0x74656c6cu) % 2;
	w->crowd = mix64(o->seed ^ 0x63726f77u) % 4 == 0;
	w->waits = mix64(o->seed ^ 0x77616974u) % 3 == 0;
	w->leaves = mix64(o->seed ^ 0x6c656176u) % 2;
	w->segment_mb = mix64(o->seed ^ 0x7365676du) % 4 ? 1 : SEGMENT_MB_LARGE; /* small ones are filled and used again within a run */
	w->writes_max = mix64(o->seed ^ 0x62757379u) % 4 ? 0 : 200 + (uint32_t)(mix64(o->seed ^ 0x6c696d69u) % 8000);
	faults = (struct sim_faults){
		.delay_us_min = 20,
		.delay_us_max = (uint32_t)world_draw_between(w, 50, world_draw(w, 4) ? 300 : 20000),
		.slow_per_10000 = (uint32_t)world_draw(w, 2) * (uint32_t)world_draw(w, 30),
		.break_per_100000 = (uint32_t)world_draw(w, 30),
		.window = mix64(o->seed ^ 0x77696e64u) % 4 ? 0 : 64u << mix64(o->seed ^ 0x646f77u) % 9,
		.pieces_per_20 = w->crowd ? 15 : 1,
		.write_us_min = 50,
		.write_us_max = (uint32_t)world_draw_between(w, 100, world_draw(w, 4) ? 600 : 15000),
		.stall_per_100000 = (uint32_t)world_draw(w, 2) * (uint32_t)world_draw(w, 8),
		.drift_ppm = (uint32_t)world_draw(w, 500),
	};
	w->sim = sim_new(o->seed, &faults);
	w->copies = copies_new();
	if (mix64(o->seed ^ 0x6c696573u) % 3 == 0)
		w->liar = liar_new(w->sim, o->seed, w->rot_node, w->node_count);
	w->rot_moves = !w->liar && !w->snapshots_rot && !w->misdirects && !o->fail_io && mix64(o->seed ^ 0x6d6f7665u) % 2;
	if (o->fail_io)
		sim_fail_io(w->sim, w->rot_node, o->fail_io, errors[o->fail_io % 3]);
	for (uint8_t id = 1; id <= w->node_count; id++) {
		w->nodes[id].id = id;
		w->nodes[id].world = w;
		node_make_config(w, &w->nodes[id]);
		node_up(w, &w->nodes[id]);
	}
	faults_begin(w, o->seed);
	return w;
}

void world_free(struct world *w)
{
	for (uint8_t id = 1; id <= w->node_count; id++)
		if (w->nodes[id].up)
			world_node_down(w, &w->nodes[id], false);
	inspect_free(w);
	liar_free(w->liar);
	copies_free(w->copies);
	sim_free(w->sim);
	free(w);
}

struct sim *world_sim(struct world *w)
{
	return w->sim;
}

const struct services *world_services(const struct world *w, uint8_t node)
{
	return catalog_services(&w->nodes[node].node->catalog);
}

uint64_t world_number(const struct world *w, uint8_t node, const char *key)
{
	const struct sim_node *n = &w->nodes[node];
	const struct group *g = world_group(n, catalog_group_of_slot(&n->node->catalog, key_slot(key, strlen(key))));
	const struct object *o = keyspace_find(store_keyspace(g->store), key, strlen(key));
	int64_t number = 0;

	return o && bytes_int(o->data + o->key_size, o->value_size, &number) ? (uint64_t)number : 0;
}

uint32_t world_copies(const struct world *w, uint64_t value)
{
	return copies_of(w->copies, value);
}

bool world_crowds(const struct world *w)
{
	return w->crowd;
}

bool world_waits(const struct world *w)
{
	return w->waits;
}

bool world_takes_large(const struct world *w)
{
	return w->segment_mb == SEGMENT_MB_LARGE;
}

bool world_has_tellers(const struct world *w)
{
	return w->tellers;
}

uint8_t world_node_count(const struct world *w)
{
	return w->node_count;
}

uint32_t world_pipeline_max(const struct world *w)
{
	return w->pipeline_max;
}
