/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "journal/format.h"
#include "world_private.h"

#define FAULT_NS_MIN (60 * NS_PER_MS)
#define FAULT_NS_MAX (900 * NS_PER_MS)
#define JUMP_NS_MAX (3 * NS_PER_S)
#define FILL_NS_MAX (3 * NS_PER_S)
#define STRIKE_NS_MAX (6 * NS_PER_S)
#define STRIKE_PAGES_MAX 12u
#define STRAY_NEAR_PAGES 64u
#define LOSE_FILE_EACH 2u /* starts */

static void crash_soon(struct world *w, uint8_t id)
{
	struct sim_node *n = &w->nodes[id];

	if (n->up && w->leaves && rand_below(&w->extra_random, 2) == 0) {
		node_leave(n->node);
		sim_counts(w->sim)->leaves++;
	} else if (n->up) {
		n->crash_pending = true;
		n->crash_silent = world_draw(w, 3) == 0;
	}
}

/* A bit; now and then a page of garbage, or one that can't be read. */
static void rot(struct world *w, uint8_t id, const char *path_part)
{
	bool page = rand_below(&w->extra_random, 3) == 0;

	(void)sim_rot(w->sim, id, path_part, !page ? SIM_ROT_BIT : w->unreadable ? SIM_ROT_UNREADABLE : SIM_ROT_PAGE);
}

/* A segment keeps its head: one that ends before is new for all that can be seen. */
static void lose_file(struct world *w, uint8_t id)
{
	bool snapshot = rand_below(&w->file_random, 2);
	uint64_t chance = rand_next(&w->file_random);
	char part[24];

	(void)snprintf(part, sizeof part, "/lane-%u/%s-", (unsigned)rand_below(&w->file_random, w->reactors), snapshot ? "snap" : "seg");
	if (rand_below(&w->file_random, 2))
		(void)sim_cut_short(w->sim, id, part, snapshot ? 0 : 2 * JOURNAL_BLOCK, chance);
	else
		(void)sim_remove(w->sim, id, part, chance);
}

/* At most a minority is damaged at a time: then whatever is acknowledged must outlive it. */
static bool may_rot(const struct world *w, uint8_t id)
{
	unsigned others = w->damaged & ~(1u << id);

	return w->rot_moves ? __builtin_popcount(others) < w->node_count / 2 : id == w->rot_node;
}

void faults_rot(struct world *w, const struct sim_node *n)
{
	uint64_t flips = sim_counts(w->sim)->flips, shortened = sim_counts(w->sim)->shortened;

	if (w->healed || !may_rot(w, n->id))
		return;
	if (world_draw(w, 3) == 0)
		rot(w, n->id, "/seg-");
	if (w->snapshots_rot && rand_below(&w->extra_random, 2) == 0)
		rot(w, n->id, "/snap-");
	if (w->loses_files && rand_below(&w->file_random, LOSE_FILE_EACH) == 0)
		lose_file(w, n->id);
	if (sim_counts(w->sim)->flips == flips && sim_counts(w->sim)->shortened == shortened)
		return;
	w->damaged |= 1u << n->id;
	w->ever_damaged |= 1u << n->id;
}

/* Rot goes on to another node once one holds all that it held, durably. */
static void note_whole(struct world *w)
{
	for (uint8_t id = 1; id <= w->node_count; id++)
		if (w->damaged & 1u << id && w->nodes[id].up && inspect_whole(&w->nodes[id]))
			w->damaged &= ~(1u << id);
}

/*
 * A majority of the disks rots, while another node holds all that was acknowledged: no majority is left that knows where its groups stood,
 * and whatever the reports of a roll call choose must have it ([damaged]).
 */
static void strike(struct world *w)
{
	uint8_t keeper = (uint8_t)(1 + rand_below(&w->strike_random, w->node_count));
	uint32_t victims = w->node_count / 2 + 1 + (uint32_t)rand_below(&w->strike_random, (w->node_count - 1u) / 2);
	bool silent = rand_below(&w->strike_random, 3) == 0;

	if (w->damaged || !inspect_holds_all(w, &w->nodes[keeper]))
		return; /* the next moment may be better */
	for (uint32_t i = 1; i <= victims; i++) {
		struct sim_node *n = &w->nodes[(keeper - 1u + i) % w->node_count + 1];

		if (n->up)
			world_node_down(w, n, silent);
		for (uint64_t times = 1 + rand_below(&w->strike_random, STRIKE_PAGES_MAX); times; times--)
			rot(w, n->id, "/seg-");
		w->damaged |= 1u << n->id;
		w->ever_damaged |= 1u << n->id;
	}
	w->next_strike_ns = sim_now(w->sim) + rand_below(&w->strike_random, STRIKE_NS_MAX);
}

/* Near the start of a file it hits what is there. */
static uint64_t misdirected_to(struct world *w)
{
	return rand_below(&w->stray_random, rand_below(&w->stray_random, 2) ? STRAY_NEAR_PAGES : UINT32_MAX);
}

static void fault(struct world *w)
{
	uint64_t kind = world_draw(w, 10);

	if (kind < 3) {
		crash_soon(w, world_any_node(w));
	} else if (kind == 3) {
		w->cut_at_election = true;
		crash_soon(w, world_any_node(w));
	} else if (kind == 4) {
		for (uint8_t id = 1; id <= w->node_count; id++) /* power cut */
			crash_soon(w, id);
	} else if (kind < 7) {
		uint8_t id = world_any_node(w);

		if (w->nodes[id].up)
			sim_pause(w->sim, id, world_draw_between(w, 30 * NS_PER_MS, 700 * NS_PER_MS));
	} else if (!w->heal_links_ns) {
		links_cut(w);
	}
	if (w->snapshots_rot && rand_below(&w->extra_random, 2) == 0)
		rot(w, w->rot_node, "/snap-"); /* while it may be on its way to somebody */
	if (w->misdirects && rand_below(&w->stray_random, 2) == 0)
		sim_misdirect(w->sim, w->rot_node, "/seg-", misdirected_to(w));
	w->next_jump_ns = sim_now(w->sim) + rand_below(&w->extra_random, JUMP_NS_MAX);
	w->next_fault_ns = sim_now(w->sim) + world_draw_between(w, FAULT_NS_MIN, FAULT_NS_MAX);
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

void faults_begin(struct world *w, uint64_t seed)
{
	sim_keep_head(w->sim, "/seg-");
	w->next_fault_ns = sim_now(w->sim) + world_draw_between(w, 300 * NS_PER_MS, 2 * NS_PER_S);
	w->next_strike_ns = w->rot_moves && mix64(seed ^ 0x6d6f6c64u) % 2 ? sim_now(w->sim) + rand_below(&w->strike_random, STRIKE_NS_MAX) : UINT64_MAX;
	w->next_fill_ns = mix64(seed ^ 0x66756c6cu) % 3 ? UINT64_MAX : sim_now(w->sim) + rand_below(&w->fill_random, FILL_NS_MAX);
}

void faults_due(struct world *w, uint64_t now_ns)
{
	if (!w->healed && now_ns >= w->next_fault_ns)
		fault(w);
	if (w->rot_moves && w->damaged)
		note_whole(w);
	if (!w->healed && now_ns >= w->next_strike_ns)
		strike(w);
	if (!w->healed && now_ns >= w->next_jump_ns)
		jump_clock(w);
	if (!w->healed && now_ns >= w->next_fill_ns)
		fill_disks(w);
	if (w->heal_links_ns && now_ns >= w->heal_links_ns)
		links_mend(w);
	else if (w->heal_links_ns && now_ns >= w->cut.flap_ns)
		links_flap(w);
}

void faults_end(struct world *w)
{
	links_mend(w);
	for (uint8_t id = 1; id <= w->node_count; id++)
		w->nodes[id].crash_pending = w->nodes[id].crash_now = false;
	w->cut_at_election = false;
	w->next_fault_ns = w->next_jump_ns = w->next_fill_ns = w->next_strike_ns = UINT64_MAX;
}

void world_heal(struct world *w)
{
	w->healed = true;
	links_mend(w);
	sim_heal(w->sim);
	sim_fail_io(w->sim, w->rot_node, 0, 0);
	sim_misdirect(w->sim, w->rot_node, NULL, 0);
	for (uint8_t id = 1; id <= w->node_count; id++) {
		sim_fill_disk(w->sim, id, false);
		w->nodes[id].crash_pending = w->nodes[id].crash_now = false;
		w->nodes[id].start_ns = 0;
	}
	w->cut_at_election = false;
}

/* Those that go and those that are damaged are a minority together: nothing is promised without the others. */
static void kill_minority(struct world *w)
{
	unsigned gone = w->rot_moves ? w->damaged : 0;

	for (uint32_t i = 0; i < (w->node_count - 1u) / 2; i++) {
		struct sim_node *n = &w->nodes[(w->rot_node - 1u + i) % w->node_count + 1];

		if (__builtin_popcount(gone | 1u << n->id) > w->node_count / 2)
			continue;
		gone |= 1u << n->id;
		if (n->up)
			world_node_down(w, n, false);
		n->start_ns = UINT64_MAX;
	}
}

void world_heal_most(struct world *w)
{
	uint64_t shape = rand_below(&w->shape_random, 8);

	world_heal(w);
	if (__builtin_popcount(w->damaged) > w->node_count / 2)
		return; /* then a roll call needs all of them */
	if (w->rot_moves && w->damaged)
		w->rot_node = (uint8_t)__builtin_ctz(w->damaged);
	if (shape == 0) {
		sim_fill_disk(w->sim, w->rot_node, true);
	} else if (shape == 1) {
		kill_minority(w);
	} else if (shape < 5) {
		links_cut_for_good(w, 0, (uint8_t)(shape - 2));
	} else {
		links_cut_for_good(w, (uint8_t)(w->rot_node % w->node_count + 1), (uint8_t)(shape - 5));
	}
}
