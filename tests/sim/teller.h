/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated tellers: clients of transactions and of keys that expire, one deal a time, at any node.
 *
 *   pair    MULTI, INCR a, INCR b, EXEC: the two are equal in every reply, or a transaction was torn
 *   look    both of them, in a transaction: equal, and never behind what was seen
 *   swap    WATCH c, GET c; then MULTI, SET c to one more, EXEC: two that succeed with one number have lost an update
 *   expiry  a key of its own with a time to live, then looks at it: there until it is gone, and gone for ever ([time])
 *
 * What was acknowledged is a history of counters for check.h; what was refused never happened; what nobody knows may
 * have. A key that nobody knows about is left alone: the next one has another name.
 */
#ifndef HF_SIM_TELLER_H
#define HF_SIM_TELLER_H

#include "base/bytes.h"
#include "io/sim.h"

struct tellers;
struct world;

struct tellers_stats {
	uint64_t transactions, aborted, expired; /* EXECs that were executed; that found a watched key changed; keys seen to be gone */
};

struct tellers *tellers_start(struct sim *s, uint8_t node_count);
void tellers_end(struct tellers *all);
/* Stops; what is open still comes in. */
void tellers_rest(struct tellers *all);
bool tellers_resting(const struct tellers *all);
const struct tellers_stats *tellers_stats(const struct tellers *all);
/* With all nodes up and at one: false, with the reason in why, if one saw what must never be, or a node holds it. */
bool tellers_check(struct tellers *all, const struct world *w, struct bytes *why);

#endif
