/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster of real nodes on a simulated world, the faults that happen to it, and what is checked of the nodes.
 *
 * Faults, at random times: a node crashes (most often in the middle of a journal write, which tears it), all of
 * them at once now and then; a node hands over and leaves, as for an upgrade; a node stands still for longer than a
 * lease; links are cut (one node isolated, halves, a single link; one direction only; some flap) and heal; on one node, always the same, a bit of
 * the journal flips while it is down, and one file operation fails, if that is asked for: then the node must stop, or
 * go on without that file; a majority's disks rot at once, while another node holds all that was acknowledged; one disk, or all of them, are full for a while; the disk that rots may also lie (liar.h), and
 * put writes of the journal to other places of their file, and a segment or a snapshot on it may be cut short or gone at a start. What is lost, delayed or torn below that is the
 * simulator's (io/sim.h).
 */
#ifndef HF_SIM_WORLD_H
#define HF_SIM_WORLD_H

#include "base/bytes.h"
#include "config.h"
#include "io/sim.h"

#define WORLD_GROUPS_MAX 8u /* beside the catalog's */

struct world;

struct world_options {
	uint64_t seed;
	enum plant plant;
	bool admin;       /* nodes listen for HTTP */
	uint64_t fail_io; /* 0, or which file operation of the node with the bad disk fails */
};

struct world *world_new(const struct world_options *o);
void world_free(struct world *w);
struct sim *world_sim(struct world *w);
/* Of a node that is up. */
const struct services *world_services(const struct world *w, uint8_t node);
/* The number that a key's value is on a node that is up; 0: it isn't there. */
uint64_t world_number(const struct world *w, uint8_t node, const char *key);
/* On how many nodes the number that a client has SET is durable, or COPIES_UNKNOWN (copies.h). */
uint32_t world_copies(const struct world *w, uint64_t value);
uint8_t world_node_count(const struct world *w);
/* Draws from the world's own chances. */
uint32_t world_pipeline_max(const struct world *w);
bool world_crowds(const struct world *w);
/* Some of them also WAIT. */
bool world_waits(const struct world *w);
/* Its segments have room for large values. */
bool world_takes_large(const struct world *w);
bool world_has_tellers(const struct world *w);
/* Runs under faults until the time; false if a checker failed. */
bool world_run(struct world *w, uint64_t until_ns);
/*
 * Heals everything but one node, the one whose disk rots, or of five two: dead, cut off, mute, deaf, with a full disk, or without one of its
 * links; some cuts flap. The others must serve without it.
 */
void world_heal_most(struct world *w);
/* Heals everything and starts every node; then world_run() goes on without faults. */
void world_heal(struct world *w);
/* True if every group has a leader and all nodes have applied the same; false with a line in why. */
bool world_converged(struct world *w, struct bytes *why);
/* What went wrong, or NULL. */
const char *world_failure(const struct world *w);

#endif
