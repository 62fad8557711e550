/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On how many nodes a client's write is durable, by what the nodes' journals have reported to them: what law 1 and WAIT
 * promise is held against it. What a node once had counts, though it rots or its disk has lied: that was found out, or
 * wasn't, elsewhere.
 */
#ifndef HF_SIM_COPIES_H
#define HF_SIM_COPIES_H

#include "raft/raft.h"

#define COPIES_UNKNOWN UINT32_MAX

struct copies;

struct copies *copies_new(void);
void copies_free(struct copies *c);
/* What an entry is told from others by, never 0. */
uint64_t copies_hash(const struct entry *e);
/* Once for each entry that was committed: which values clients have written with it. */
void copies_note_committed(struct copies *c, uint32_t group, const struct entry *e);
/* After each step of a node. */
void copies_note_stored(struct copies *c, uint8_t node, const struct raft *r);
/* Of the number that a client has SET; COPIES_UNKNOWN: its entry wasn't seen. */
uint32_t copies_of(const struct copies *c, uint64_t value);

#endif
