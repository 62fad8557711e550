/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "liar.h"
#include "log.h"
#include "node.h"
#include "store/run.h"

#define FAULT_NS_MIN (60 * NS_PER_MS)
#define FAULT_NS_MAX (900 * NS_PER_MS)
#define FLAP_NS_MAX (200 * NS_PER_MS)
#define JUMP_NS_MAX (3 * NS_PER_S)
#define FILL_NS_MAX (3 * NS_PER_S)
#define STRAY_ENTRIES 16u /* what was under way, and fillers of what is given up */
#define STRAY_NS (3 * NS_PER_S) /* so long two replicas differ and there is no third one */
#define CLOCK_SLACK_MS 500u /* honest clocks differ, drift, and a node may stand still between stamp and check */
#define SEGMENT_MB_LARGE 32u /* the least that a configuration may ask for */
#define GROUPS_MAX 8u

struct sim_node {
	uint8_t id;
	bool up, failed, left, started;
	struct world *world;
	struct node *node;
	struct config config;
	struct io *ios[2];
	uint64_t start_ns;      /* down: start then */
	bool crash_pending, crash_silent, crash_now;
	raft_index checked[GROUPS_MAX + 1]; /* committed entries seen so far */
	raft_index summed[GROUPS_MAX + 1];
	uint64_t restored[GROUPS_MAX + 1];  /* snapshots taken over from a leader */
	uint64_t bundles[GROUPS_MAX + 1];   /* stamped as a leader */
};

/* What all nodes must agree on, by group. */
struct canon {
	uint64_t *sums;    /* by applied index; 0: not seen */
	uint64_t *entries; /* by index: a hash of term, kind and payload; 0: not seen */
	size_t cap;
	uint8_t *leaders;  /* by term */
	size_t term_cap;
};

struct world {
	struct sim *sim;
	struct liar *liar; /* NULL: no disk lies */
	uint64_t random;
	enum plant plant;
	uint8_t node_count, rot_node;
	uint32_t pipeline_max, groups, reactors, log_kb, segment_mb, snapshot_chunk, wire_part;
	struct sim_node nodes[NODE_SLOTS];
	struct canon canon[GROUPS_MAX + 1];
	uint64_t next_fault_ns, heal_links_ns;
	struct {
		uint8_t one, other;    /* other 0: all others */
		uint8_t direction;     /* 1: only what the one says is lost; 2: only what it should hear; 3: odd from even, if there is no other */
		bool mended;
		uint64_t flap_ns;      /* mended, or cut again, then */
	} cut;
	uint64_t fill_random, next_fill_ns, free_ns; /* disks become full, and have room again; free_ns 0: they have */
	uint64_t shape_random, extra_random, next_jump_ns; /* a stream of its own, so that what joined later shifts no other fault */
	bool admin, healed, tellers, crowd, leaves, snapshots_rot, unreadable, cut_at_election, flipped;
	struct {
		uint32_t group;       /* where the planted stray is; 0: not yet */
		uint8_t third;        /* who was down then */
		raft_index in_doubt;  /* what the other two had applied when both were in doubt; 0: they aren't */
		raft_index log_end;   /* of the longer log, once both had said so; 0: they haven't */
	} stray;
	char failure[300];
};

static uint64_t draw(struct world *w, uint64_t bound)
{
	return rand_below(&w->random, bound);
}

static uint64_t draw_between(struct world *w, uint64_t min, uint64_t max)
{
	return min + draw(w, max - min + 1);
}

static void fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct world *w, const char *format, ...)
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
	const struct world *w = n->world;

	if (w->stray.group && n->id != w->rot_node)
		fail(n->world, "another node stops than the one that strayed");
	if (w->stray.group && w->stray.in_doubt && !w->nodes[w->stray.third].up)
		fail(n->world, "the node that strayed stops by the word of one other");
	if (w->stray.group)
		fail(n->world, "the node that strayed stops, as %s", w->stray.in_doubt ? "a third one decides" : "a third one was there before");
	/* All nodes run one version: but for a disk that fails no node has a reason to stop. */
	if (!sim_io_failed(n->world->sim, n->id))
		fail(n->world, "node %u stops itself: %s: %s", n->id, what, strerror(-error));
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

static void node_down(struct world *w, struct sim_node *n, bool silent)
{
	if (!w->healed)
		liar_crash(w->liar, n->id);
	sim_crash(w->sim, n->id, silent);
	node_free(n->node);
	free(n->node);
	n->node = NULL;
	for (uint32_t i = 0; i < w->reactors; i++)
		io_free(n->ios[i]);
	n->up = n->failed = n->left = n->crash_pending = n->crash_now = false;
	n->start_ns = sim_now(w->sim) + draw_between(w, 20 * NS_PER_MS, 1500 * NS_PER_MS);
}

/* A bit; now and then a page of garbage, or one that can't be read. */
static void rot(struct world *w, const char *path_part)
{
	bool page = rand_below(&w->extra_random, 3) == 0;

	(void)sim_rot(w->sim, w->rot_node, path_part, !page ? SIM_ROT_BIT : w->unreadable ? SIM_ROT_UNREADABLE : SIM_ROT_PAGE);
}

static void node_up(struct world *w, struct sim_node *n)
{
	int r;

	if (n->id == w->rot_node && !w->healed && draw(w, 3) == 0)
		rot(w, "/seg-");
	if (n->id == w->rot_node && !w->healed && w->snapshots_rot && rand_below(&w->extra_random, 2) == 0)
		rot(w, "/snap-");
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
	/* A full disk is no reason either, but the first time: what a start needs has its room from then on. */
	if (r < 0 && !sim_io_failed(w->sim, n->id) && (n->started || r != -ENOSPC || !sim_disk_full(w->sim, n->id)))
		fail(w, "node %u doesn't start: %s", n->id, strerror(-r));
	if (r < 0)
		node_down(w, n, false);
	n->started |= r == 0;
}

/* ---- checking the nodes ---- */

static void canon_grow(struct canon *c, raft_index index)
{
	size_t cap = c->cap ? c->cap : 1024;

	while (cap <= index)
		cap *= 2;
	if (cap == c->cap)
		return;
	c->sums = mem_realloc(c->sums, cap * sizeof *c->sums);
	c->entries = mem_realloc(c->entries, cap * sizeof *c->entries);
	memset(c->sums + c->cap, 0, (cap - c->cap) * sizeof *c->sums);
	memset(c->entries + c->cap, 0, (cap - c->cap) * sizeof *c->entries);
	c->cap = cap;
}

static void check_leader(struct world *w, struct sim_node *n, const struct group *g)
{
	struct canon *c = &w->canon[g->id];

	if (g->raft.role != RAFT_LEADER)
		return;
	if (g->raft.term >= c->term_cap) {
		size_t cap = g->raft.term * 2 + 64;

		c->leaders = mem_realloc(c->leaders, cap);
		memset(c->leaders + c->term_cap, 0, cap - c->term_cap);
		c->term_cap = cap;
	}
	if (!c->leaders[g->raft.term]) {
		c->leaders[g->raft.term] = n->id;
		if (w->cut_at_election) { /* the power goes just as somebody has won */
			w->cut_at_election = false;
			for (uint8_t id = 1; id <= w->node_count; id++)
				w->nodes[id].crash_now = w->nodes[id].up;
		}
	}
	if (c->leaders[g->raft.term] != n->id)
		fail(w, "two leaders in term %llu of group %u: nodes %u and %u", (unsigned long long)g->raft.term, g->id,
		     c->leaders[g->raft.term], n->id);
}

static void check_committed(struct world *w, struct sim_node *n, const struct group *g)
{
	struct canon *c = &w->canon[g->id];
	raft_index from = max_u64(n->checked[g->id], g->raft.log.start) + 1;

	for (raft_index i = from; i <= g->raft.commit; i++) {
		const struct entry *e = raft_log_entry(&g->raft.log, i);
		uint64_t hash = mix64(e->term ^ mix64(e->crc + ((uint64_t)e->kind << 32))) | 1;

		canon_grow(c, i);
		if (!c->entries[i])
			c->entries[i] = hash;
		if (c->entries[i] != hash)
			fail(w, "committed entry changed: group %u index %llu node %u", g->id, (unsigned long long)i, n->id);
	}
	n->checked[g->id] = g->raft.commit;
}

static void check_state(struct world *w, struct sim_node *n, const struct group *g)
{
	struct canon *c = &w->canon[g->id];
	uint64_t sum;

	if (g->applied == n->summed[g->id] || !g->applied)
		return;
	n->summed[g->id] = g->applied;
	canon_grow(c, g->applied);
	sum = (g->store ? store_checksum(g->store) : catalog_checksum(g->catalog)) | 1;
	if (!c->sums[g->applied])
		c->sums[g->applied] = sum;
	if (c->sums[g->applied] != sum && !w->flipped) /* then the node itself has to find it */
		fail(w, "states differ: group %u index %llu node %u", g->id, (unsigned long long)g->applied, n->id);
}

/*
 * No group's time is ahead of the true one by more than the bound and what honest clocks are off by. It may be behind, where two
 * nodes are all there is and the wrong clock is the earlier one: then a time to live is shorter by so much.
 */
static void check_time(struct world *w, struct sim_node *n, const struct group *g)
{
	uint64_t true_ms = sim_true_ms(w->sim);
	uint64_t *behind_ms = &sim_counts(w->sim)->time_behind_ms;

	if (g->stats.bundles != n->bundles[g->id] && g->last_stamp + *behind_ms < true_ms)
		*behind_ms = true_ms - g->last_stamp;
	n->bundles[g->id] = g->stats.bundles;
	if (g->store && (uint64_t)store_now_ms(g->store) > true_ms + CLOCK_BOUND_MS + CLOCK_SLACK_MS)
		fail(w, "group %u's time is %llu ms ahead on node %u", g->id, (unsigned long long)((uint64_t)store_now_ms(g->store) - true_ms), n->id);
}

static void check_node(struct world *w, struct sim_node *n)
{
	for (uint32_t i = 0; i < n->node->lane_count; i++)
		for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++) {
			const struct group *g = n->node->lanes[i]->groups[k];

			if (g->snapshots_received > n->restored[g->id])
				sim_counts(w->sim)->restored++;
			n->restored[g->id] = g->snapshots_received;
			check_leader(w, n, g);
			check_committed(w, n, g);
			check_state(w, n, g);
			check_time(w, n, g);
		}
}

bool world_converged(struct world *w, struct bytes *why)
{
	const struct node *first = w->nodes[1].node;

	for (uint8_t id = 1; id <= w->node_count; id++) {
		const struct sim_node *n = &w->nodes[id];

		if (!n->up || !n->node->groups_started) {
			const struct group *g = n->up ? lane_group(n->node->lanes[0], 0) : NULL;

			bytes_printf(why, "node %u isn't serving: %s", id, !n->up ? "down" : !g ? "no group 0" : "");
			if (g)
				bytes_printf(why, "group 0 role %s leader %u term %llu applied %llu commit %llu last %llu missing %llu quarantined %d",
					     raft_role_name(g->raft.role), g->raft.leader, (unsigned long long)g->raft.term,
					     (unsigned long long)g->applied, (unsigned long long)g->raft.commit,
					     (unsigned long long)g->raft.log.last, (unsigned long long)g->raft.missing, g->raft.quarantined);
			return false;
		}
		for (uint32_t i = 0; i < n->node->lane_count; i++)
			for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++) {
				const struct group *g = n->node->lanes[i]->groups[k], *other = lane_group(first->lanes[i], g->id);

				if (!other || !g->raft.leader || g->raft.quarantined || g->raft.missing || g->applied != g->raft.log.last ||
				    g->applied != other->applied) {
					bytes_printf(why, "node %u group %u: role %s leader %u term %llu applied %llu commit %llu last %llu missing %llu%s",
						     id, g->id, raft_role_name(g->raft.role), g->raft.leader, (unsigned long long)g->raft.term,
						     (unsigned long long)g->applied, (unsigned long long)g->raft.commit,
						     (unsigned long long)g->raft.log.last, (unsigned long long)g->raft.missing,
						     g->raft.quarantined ? " quarantined" : "");
					return false;
				}
			}
	}
	return true;
}

/* ---- faults ---- */

static uint8_t any_node(struct world *w)
{
	return (uint8_t)(1 + draw(w, w->node_count));
}

static void crash_soon(struct world *w, uint8_t id)
{
	struct sim_node *n = &w->nodes[id];

	if (n->up && w->leaves && rand_below(&w->extra_random, 2) == 0) {
		node_leave(n->node);
		sim_counts(w->sim)->leaves++;
	} else if (n->up) {
		n->crash_pending = true;
		n->crash_silent = draw(w, 3) == 0;
	}
}

static bool parted(const struct world *w, uint8_t a, uint8_t b)
{
	uint8_t one = w->cut.one, other = w->cut.other;

	if ((w->cut.direction == 1 && a != one) || (w->cut.direction == 2 && b != one))
		return false;
	if (other)
		return (a == one && b == other) || (a == other && b == one);
	return w->cut.direction == 3 ? (a % 2) != (b % 2) : (a == one) != (b == one);
}

static void set_links(struct world *w, bool cut)
{
	for (uint8_t a = 1; a <= w->node_count; a++)
		for (uint8_t b = 1; b <= w->node_count; b++)
			sim_cut(w->sim, a, b, cut && parted(w, a, b));
}

/* One node from the others, halves, or a single link, so that those at its ends still have friends in common; both ways or one; some flap. */
static void cut_links(struct world *w)
{
	w->cut.one = any_node(w);
	w->cut.direction = (uint8_t)draw(w, 4);
	w->cut.other = 0;
	if (rand_below(&w->shape_random, 3) == 0)
		w->cut.other = (uint8_t)(1 + (w->cut.one + rand_below(&w->shape_random, w->node_count - 1u)) % w->node_count);
	w->cut.mended = false;
	w->cut.flap_ns = rand_below(&w->shape_random, 4) ? UINT64_MAX : sim_now(w->sim);
	sim_counts(w->sim)->partitions++;
	set_links(w, true);
	w->heal_links_ns = sim_now(w->sim) + draw_between(w, 50 * NS_PER_MS, 1500 * NS_PER_MS);
}

static void flap_links(struct world *w)
{
	w->cut.mended = !w->cut.mended;
	set_links(w, !w->cut.mended);
	w->cut.flap_ns = sim_now(w->sim) + rand_below(&w->shape_random, FLAP_NS_MAX);
}

static void mend_links(struct world *w)
{
	set_links(w, false);
	w->heal_links_ns = 0;
}

static void fault(struct world *w)
{
	uint64_t kind = draw(w, 10);

	if (kind < 3) {
		crash_soon(w, any_node(w));
	} else if (kind == 3) {
		w->cut_at_election = true;
		crash_soon(w, any_node(w));
	} else if (kind == 4) {
		for (uint8_t id = 1; id <= w->node_count; id++) /* power cut */
			crash_soon(w, id);
	} else if (kind < 7) {
		uint8_t id = any_node(w);

		if (w->nodes[id].up)
			sim_pause(w->sim, id, draw_between(w, 30 * NS_PER_MS, 700 * NS_PER_MS));
	} else if (!w->heal_links_ns) {
		cut_links(w);
	}
	if (w->snapshots_rot && rand_below(&w->extra_random, 2) == 0)
		rot(w, "/snap-"); /* while it may be on its way to somebody */
	w->next_jump_ns = sim_now(w->sim) + rand_below(&w->extra_random, JUMP_NS_MAX);
	w->next_fault_ns = sim_now(w->sim) + draw_between(w, FAULT_NS_MIN, FAULT_NS_MAX);
}

/* The clock of one node, always the same, is set wrong by up to two years, or right again. */
static void jump_clock(struct world *w)
{
	static const int64_t reach_ms[] = {0, 3000, 3600000, 63072000000};
	uint8_t id = (uint8_t)(w->rot_node % w->node_count + 1);
	int64_t off_ms = (int64_t)rand_below(&w->extra_random, (uint64_t)reach_ms[rand_below(&w->extra_random, 4)] + 1);

	sim_set_clock(w->sim, id, rand_below(&w->extra_random, 2) ? off_ms : -off_ms);
	w->next_jump_ns = sim_now(w->sim) + rand_below(&w->extra_random, JUMP_NS_MAX);
}

/* One disk, or all, are full for a while: what needs room is refused, and nobody stops. */
static void fill_disks(struct world *w)
{
	bool fill = !w->free_ns, all = rand_below(&w->fill_random, 4) == 0;
	uint8_t one = (uint8_t)(1 + rand_below(&w->fill_random, w->node_count));

	w->free_ns = fill ? sim_now(w->sim) + rand_below(&w->fill_random, FILL_NS_MAX) : 0;
	w->next_fill_ns = fill ? w->free_ns : sim_now(w->sim) + rand_below(&w->fill_random, FILL_NS_MAX);
	for (uint8_t id = 1; id <= w->node_count; id++)
		sim_fill_disk(w->sim, id, fill && (all || id == one));
}

/* The planted heap-flip: one bit of a value in the memory of the node that also has the rotting disk. */
static void flip_heap(struct world *w)
{
	struct sim_node *n = &w->nodes[w->rot_node];
	char key[16];

	if (w->flipped || !n->up || !n->node->groups_started || sim_now(w->sim) < 4 * NS_PER_S)
		return;
	(void)snprintf(key, sizeof key, "key%u", (unsigned)draw(w, 6));
	for (uint32_t i = 0; i < n->node->lane_count; i++)
		for (uint32_t k = 0; k < n->node->lanes[i]->group_count; k++) {
			const struct group *g = n->node->lanes[i]->groups[k];
			struct object *o = g->store ? keyspace_find(store_keyspace(g->store), key, strlen(key)) : NULL;

			if (!o || !o->value_size)
				continue;
			o->data[o->key_size] ^= 1;
			w->flipped = true;
			return;
		}
}

static struct group *group_of(const struct sim_node *n, uint32_t id)
{
	struct group *g = NULL;

	for (uint32_t i = 0; n->up && !g && i < n->node->lane_count; i++)
		g = lane_group(n->node->lanes[i], id);
	return g;
}

static void end_faults(struct world *w)
{
	mend_links(w);
	for (uint8_t id = 1; id <= w->node_count; id++)
		w->nodes[id].crash_pending = w->nodes[id].crash_now = false;
	w->cut_at_election = false;
	w->next_fault_ns = w->next_jump_ns = w->next_fill_ns = UINT64_MAX;
}

/*
 * The planted stray, in a cluster of three while all of them serve: from now on one is down, and nothing else happens. The key is none that
 * clients write: what they write anew is equal again.
 */
static void stray(struct world *w)
{
	struct sim_node *n = &w->nodes[w->rot_node], *third = &w->nodes[w->rot_node % 3 + 1];

	for (uint8_t id = 1; id <= w->node_count; id++)
		for (uint32_t group = 1; group <= w->groups; group++)
			if (w->node_count != 3 || !group_of(&w->nodes[id], group) || sim_now(w->sim) < 2 * NS_PER_S)
				return;
	w->stray.group = 1 + (uint32_t)draw(w, w->groups);
	(void)keyspace_set_string(store_keyspace(group_of(n, w->stray.group)->store), "stray", 5, "1", 1, false);
	w->flipped = true;
	w->stray.third = third->id;
	end_faults(w);
	node_down(w, third, false);
	third->start_ns = sim_now(w->sim) + STRAY_NS;
}

/* Two that differ, of whom none contradicts itself: neither may go on before the third one is there. */
static void watch_stray(struct world *w)
{
	const struct group *a = group_of(&w->nodes[w->rot_node], w->stray.group);
	const struct group *b = group_of(&w->nodes[w->stray.third % 3 + 1], w->stray.group);

	if (!a || !b || w->nodes[w->stray.third].up)
		return;
	if (!w->stray.in_doubt && a->doubt.index && b->doubt.index)
		w->stray.in_doubt = max_u64(a->applied, b->applied);
	if (w->stray.in_doubt && max_u64(a->applied, b->applied) > w->stray.in_doubt)
		fail(w, "two replicas in doubt of each other go on at index %llu", (unsigned long long)w->stray.in_doubt);
	if (!w->stray.log_end && a->doubt.told && b->doubt.told)
		w->stray.log_end = max_u64(a->raft.log.last, b->raft.log.last);
	if (w->stray.log_end && max_u64(a->raft.log.last, b->raft.log.last) > w->stray.log_end + STRAY_ENTRIES)
		fail(w, "two replicas in doubt of each other take writes behind index %llu", (unsigned long long)w->stray.log_end);
}

/* What is due after an event: crashes that waited for a write, restarts, nodes that ended themselves. */
static void look_after(struct world *w)
{
	uint64_t now_ns = sim_now(w->sim);

	for (uint8_t id = 1; id <= w->node_count; id++) {
		struct sim_node *n = &w->nodes[id];

		if (n->up && (n->failed || n->left))
			node_down(w, n, false);
		else if (n->up && n->crash_now)
			node_down(w, n, true);
		else if (n->up && n->crash_pending && (sim_writing(w->sim, id) || draw(w, 2000) == 0))
			node_down(w, n, n->crash_silent);
		else if (!n->up && now_ns >= n->start_ns)
			node_up(w, n);
	}
}

bool world_run(struct world *w, uint64_t until_ns)
{
	while (!w->failure[0] && sim_now(w->sim) < until_ns) {
		uint64_t now_ns = sim_now(w->sim), stop_ns = min_u64(until_ns, now_ns + 5 * NS_PER_MS);
		uint8_t machine;

		if (!w->healed && now_ns >= w->next_fault_ns)
			fault(w);
		if (!w->healed && now_ns >= w->next_jump_ns)
			jump_clock(w);
		if (!w->healed && now_ns >= w->next_fill_ns)
			fill_disks(w);
		if (w->heal_links_ns && now_ns >= w->heal_links_ns)
			mend_links(w);
		else if (w->heal_links_ns && now_ns >= w->cut.flap_ns)
			flap_links(w);
		if (sim_step(w->sim, stop_ns)) {
			machine = sim_last_machine(w->sim);
			if (machine && w->nodes[machine].up && !w->nodes[machine].failed)
				check_node(w, &w->nodes[machine]);
			if (machine && w->nodes[machine].up && !liar_watch(w->liar, machine, w->nodes[machine].node))
				fail(w, "node %u goes on without what its disk had said to be durable", machine);
		}
		if (sim_counts(w->sim)->retries)
			fail(w, "node %u writes a file again after a write or sync of it has failed", w->rot_node);
		look_after(w);
		if (w->plant == PLANT_HEAP_FLIP)
			flip_heap(w);
		if (w->plant == PLANT_STRAY && w->stray.group)
			watch_stray(w);
		else if (w->plant == PLANT_STRAY)
			stray(w);
	}
	return !w->failure[0];
}

void world_heal(struct world *w)
{
	w->healed = true;
	mend_links(w);
	sim_heal(w->sim);
	sim_fail_io(w->sim, w->rot_node, 0, 0);
	for (uint8_t id = 1; id <= w->node_count; id++) {
		sim_fill_disk(w->sim, id, false);
		w->nodes[id].crash_pending = w->nodes[id].crash_now = false;
		w->nodes[id].start_ns = 0;
	}
	w->cut_at_election = false;
}

static void kill_minority(struct world *w)
{
	for (uint32_t i = 0; i < (w->node_count - 1u) / 2; i++) {
		struct sim_node *n = &w->nodes[(w->rot_node - 1u + i) % w->node_count + 1];

		if (n->up)
			node_down(w, n, false);
		n->start_ns = UINT64_MAX;
	}
}

static void cut_for_good(struct world *w, uint8_t other, uint8_t direction)
{
	w->cut.one = w->rot_node;
	w->cut.other = other;
	w->cut.direction = direction;
	w->cut.mended = false;
	w->cut.flap_ns = rand_below(&w->shape_random, 3) ? UINT64_MAX : sim_now(w->sim);
	set_links(w, true);
	w->heal_links_ns = UINT64_MAX;
}

void world_heal_most(struct world *w)
{
	uint64_t shape = rand_below(&w->shape_random, 8);

	world_heal(w);
	if (shape == 0) {
		sim_fill_disk(w->sim, w->rot_node, true);
	} else if (shape == 1) {
		kill_minority(w);
	} else if (shape < 5) {
		cut_for_good(w, 0, (uint8_t)(shape - 2));
	} else {
		cut_for_good(w, (uint8_t)(w->rot_node % w->node_count + 1), (uint8_t)(shape - 5));
	}
}

/* ---- life ---- */

struct world *world_new(const struct world_options *o)
{
	static const int errors[3] = {-EIO, -ENOSPC, -ENODATA};
	struct world *w = mem_zalloc(sizeof *w);
	struct sim_faults faults;

	w->random = mix64(o->seed ^ 0x776f726c64u);
	w->extra_random = mix64(o->seed ^ 0x636c6f636bu);
	w->fill_random = mix64(o->seed ^ 0x66756c6du);
	w->shape_random = mix64(o->seed ^ 0x7368617065u);
	w->plant = o->plant;
	w->admin = o->admin;
	w->node_count = draw(w, 5) ? 3 : 5;
	w->reactors = draw(w, 4) ? 1 : 2;
	w->groups = 1 + (uint32_t)draw(w, 4);
	w->pipeline_max = 1 + (uint32_t)draw(w, 5);
	w->log_kb = draw(w, 4) ? 1 + (uint32_t)draw(w, 20) : 65536;
	w->rot_node = any_node(w);
	w->snapshots_rot = mix64(o->seed ^ 0x736e6170u) % 4 == 0;
	w->unreadable = mix64(o->seed ^ 0x65696f6eu) % 2;
	w->wire_part = mix64(o->seed ^ 0x70617274u) % 3 ? 0 : 100; /* a third of the runs: heartbeats between the parts of most frames */
	w->snapshot_chunk = mix64(o->seed ^ 0x6368756eu) % 4 ? 1 : 0; /* an object each: streams that last, break and go on */
	w->tellers = mix64(o->seed ^ 0x74656c6cu) % 2;
	w->crowd = mix64(o->seed ^ 0x63726f77u) % 4 == 0;
	w->leaves = mix64(o->seed ^ 0x6c656176u) % 2;
	w->segment_mb = mix64(o->seed ^ 0x7365676du) % 4 ? 1 : SEGMENT_MB_LARGE; /* small ones are filled and used again within a run */
	faults = (struct sim_faults){
		.delay_us_min = 20,
		.delay_us_max = (uint32_t)draw_between(w, 50, draw(w, 4) ? 300 : 20000),
		.slow_per_10000 = (uint32_t)draw(w, 2) * (uint32_t)draw(w, 30),
		.break_per_100000 = (uint32_t)draw(w, 30),
		.pieces_per_20 = w->crowd ? 15 : 1,
		.write_us_min = 50,
		.write_us_max = (uint32_t)draw_between(w, 100, draw(w, 4) ? 600 : 15000),
		.stall_per_100000 = (uint32_t)draw(w, 2) * (uint32_t)draw(w, 8),
		.drift_ppm = (uint32_t)draw(w, 500),
	};
	w->sim = sim_new(o->seed, &faults);
	if (mix64(o->seed ^ 0x6c696573u) % 3 == 0)
		w->liar = liar_new(w->sim, o->seed, w->rot_node, w->node_count);
	if (o->fail_io)
		sim_fail_io(w->sim, w->rot_node, o->fail_io, errors[o->fail_io % 3]);
	for (uint8_t id = 1; id <= w->node_count; id++) {
		w->nodes[id].id = id;
		w->nodes[id].world = w;
		node_make_config(w, &w->nodes[id]);
		node_up(w, &w->nodes[id]);
	}
	w->next_fault_ns = sim_now(w->sim) + draw_between(w, 300 * NS_PER_MS, 2 * NS_PER_S);
	w->next_fill_ns = mix64(o->seed ^ 0x66756c6cu) % 3 ? UINT64_MAX : sim_now(w->sim) + rand_below(&w->fill_random, FILL_NS_MAX);
	return w;
}

void world_free(struct world *w)
{
	for (uint8_t id = 1; id <= w->node_count; id++)
		if (w->nodes[id].up)
			node_down(w, &w->nodes[id], false);
	for (unsigned i = 0; i <= GROUPS_MAX; i++) {
		free(w->canon[i].sums);
		free(w->canon[i].entries);
		free(w->canon[i].leaders);
	}
	liar_free(w->liar);
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
	const struct group *g = group_of(n, catalog_group_of_slot(&n->node->catalog, key_slot(key, strlen(key))));
	const struct object *o = keyspace_find(store_keyspace(g->store), key, strlen(key));
	int64_t number = 0;

	return o && bytes_int(o->data + o->key_size, o->value_size, &number) ? (uint64_t)number : 0;
}

bool world_crowds(const struct world *w)
{
	return w->crowd;
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
