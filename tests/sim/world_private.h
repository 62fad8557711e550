/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What world.c keeps of a simulated cluster, for the files that belong to it: faults.c (what befalls it), links.c (who hears
 * whom), inspect.c (what must hold of its nodes) and planted.c (bugs that no daemon can plant in itself).
 */
#ifndef HF_SIM_WORLD_PRIVATE_H
#define HF_SIM_WORLD_PRIVATE_H

#include "cluster/group.h"
#include "copies.h"
#include "liar.h"
#include "node.h"
#include "world.h"

#define WORLD_LANES_MAX 2u

struct sim_node {
	uint8_t id;
	bool up, failed, left, started;
	struct world *world;
	struct node *node;
	struct config config;
	struct io *ios[2];
	uint64_t start_ns;      /* down: start then */
	bool crash_pending, crash_silent, crash_now;
	uint64_t durable[WORLD_LANES_MAX];  /* of its journals when it went down; 0: whatever is left */
	raft_index checked[WORLD_GROUPS_MAX + 1]; /* committed entries seen so far */
	raft_index summed[WORLD_GROUPS_MAX + 1];
	uint64_t restored[WORLD_GROUPS_MAX + 1];  /* snapshots taken over from a leader */
	uint64_t bundles[WORLD_GROUPS_MAX + 1];   /* stamped as a leader */
};

/* What all nodes must agree on, by group. */
struct canon {
	uint64_t *sums;    /* by applied index; 0: not seen */
	uint64_t *entries; /* by index: a hash of term, kind and payload; 0: not seen */
	size_t cap;
	raft_index last;   /* the highest of them */
	uint8_t *leaders;  /* by term */
	size_t term_cap;
};

struct world {
	struct sim *sim;
	struct copies *copies;
	struct liar *liar; /* NULL: no disk lies */
	uint64_t random;
	enum plant plant;
	uint8_t node_count, rot_node;
	uint32_t pipeline_max, groups, reactors, log_kb, segment_mb, snapshot_chunk, wire_part, writes_max;
	struct sim_node nodes[NODE_SLOTS];
	struct canon canon[WORLD_GROUPS_MAX + 1];
	uint64_t next_fault_ns, heal_links_ns;
	struct {
		uint8_t one, other;    /* other 0: all others */
		uint8_t direction;     /* 1: only what the one says is lost; 2: only what it should hear; 3: odd from even, if there is no other */
		bool mended;
		uint64_t flap_ns;      /* mended, or cut again, then */
	} cut;
	unsigned damaged, ever_damaged; /* nodes whose disks rotted, a bit each: not whole again yet; at any time */
	uint64_t stray_random;       /* writes that go astray */
	uint64_t file_random;        /* files that are cut short, or gone */
	uint64_t strike_random, next_strike_ns; /* a majority's disks rot at once, from then on; UINT64_MAX: never */
	uint64_t fill_random, next_fill_ns, free_ns; /* disks become full, and have room again; free_ns 0: they have */
	uint64_t shape_random, extra_random, next_jump_ns; /* a stream of its own, so that what joined later shifts no other fault */
	bool admin, healed, tellers, crowd, waits, leaves, snapshots_rot, misdirects, loses_files, rot_moves, unreadable, cut_at_election, flipped;
	struct {
		uint32_t group;       /* where the planted stray is; 0: not yet */
		uint8_t third;        /* who was down then */
		raft_index in_doubt;  /* what the other two had applied when both were in doubt; 0: they aren't */
		raft_index log_end;   /* of the longer log, once both had said so; 0: they haven't */
	} stray;
	char failure[300];
};

/* ---- world.c ---- */

uint64_t world_draw(struct world *w, uint64_t bound);
uint64_t world_draw_between(struct world *w, uint64_t min, uint64_t max);
uint8_t world_any_node(struct world *w);
/* The first one counts. */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A node that is up crashes, and has a time at which it starts again. */
void world_node_down(struct world *w, struct sim_node *n, bool silent);
/* NULL: the node is down, or hasn't got it. */
struct group *world_group(const struct sim_node *n, uint32_t id);

/* ---- faults.c ---- */

/* Once all nodes have been started. */
void faults_begin(struct world *w, uint64_t seed);
/* Begins and ends what is due. */
void faults_due(struct world *w, uint64_t now_ns);
/* Before a node starts: what rotted while it was down. */
void faults_rot(struct world *w, const struct sim_node *n);
/* From now on nothing befalls the cluster; what is down stays so for its time. */
void faults_end(struct world *w);

/* ---- links.c ---- */

/* One node from the others, halves, or a single link, so that those at its ends still have friends in common; both ways or one; some flap. */
void links_cut(struct world *w);
/* The node whose disk rots, from another one, or if that is 0 from all; in a direction as in struct world. */
void links_cut_for_good(struct world *w, uint8_t other, uint8_t direction);
void links_flap(struct world *w);
void links_mend(struct world *w);

/* ---- inspect.c ---- */

/* After each step of a node that is up. */
void inspect_node(struct world *w, struct sim_node *n);
/* A node goes down, with a disk that has perhaps lied; and is up again: what was durable is there, or it knows that it isn't, and only then. */
void inspect_down(struct sim_node *n, bool lied);
void inspect_up(struct world *w, const struct sim_node *n);
/* It holds, durably, all that it held before its disk rotted. */
bool inspect_whole(const struct sim_node *n);
/* All nodes are up, and it holds, durably, whatever any of them does: so all that was acknowledged. */
bool inspect_holds_all(const struct world *w, const struct sim_node *n);
void inspect_free(struct world *w);

/* ---- planted.c ---- */

/* After each event: plants what the world was asked for, and watches what comes of it. */
void planted_watch(struct world *w);
/* A node stops itself: the planted stray must, and nobody else while it is there. */
void planted_failed(struct world *w, const struct sim_node *n);

#endif
