/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that lies: at a crash one node, always the same, loses batches of its journal that had been reported as
 * durable, the last few ones, the very last perhaps but in part ([torn], [damaged]).
 *
 * Whoever lost what only it and a peer that is cut off know of can't find out, and no protocol helps; so what is lost
 * reaches back to something that every other node durably remembers: then the first one that is heard tells, and
 * nothing acknowledged may be lost, nor two leaders share a term. What that is, is read off the nodes' journals while
 * they run; and whoever counts an entry as stored by the liar was told so with its acknowledgement, whatever its journal says.
 */
#ifndef HF_SIM_LIAR_H
#define HF_SIM_LIAR_H

#include "io/sim.h"
#include "node.h"

struct liar;

struct liar *liar_new(struct sim *s, uint64_t seed, uint8_t node, uint8_t node_count);
void liar_free(struct liar *l);
/*
 * After each step of a node that is up. False: it follows a leader, campaigns or leads on a journal that lacks what it
 * had acknowledged, and hasn't found out. A liar that is NULL is an honest disk, here and below.
 */
bool liar_watch(struct liar *l, uint8_t id, const struct node *n);
/* Just before a node crashes: if it is the one, perhaps its disk has lied. True: it has. */
bool liar_crash(struct liar *l, uint8_t id);

#endif
