/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one peer may remember of our journal ([torn], [damaged]).
 *
 * A device that lied has dropped the end of our journal, and recovery takes that for the end. But peers remember up to
 * which batch we had told them that it is durable. Batches are numbered on from what recovery found, so after a few
 * turns our numbers are as high as the lost ones were: the comparison is with what recovery found, never with what is
 * durable by now, and until it is made the peer hears no higher number. It is made once a life for each peer. What
 * hasn't been compared when the next life begins, perhaps because nobody was heard, is compared then with what the
 * earlier recovery had found: JOURNAL_UNASKED and JOURNAL_ASKED keep that.
 */
#ifndef HF_CLUSTER_RECOLLECTION_H
#define HF_CLUSTER_RECOLLECTION_H

#include <stdbool.h>
#include <stdint.h>

struct recollection {
	uint64_t bound;    /* it can't know of a later batch, unless that was lost */
	bool unasked;      /* it hasn't been compared */
	uint64_t asked_at; /* the batch that says that it was */
};

/* Recovery found the journal to end with batch `last`. */
static inline void recollection_begin(struct recollection *r, uint64_t last)
{
	if (!r->unasked || last < r->bound)
		r->bound = last;
	r->unasked = true;
}

/* The peer remembers `sequence`. True: that was lost. */
static inline bool recollection_misses(const struct recollection *r, uint64_t sequence)
{
	return r->unasked && sequence > r->bound;
}

/* How much of what is durable the peer may be told. */
static inline uint64_t recollection_tell(const struct recollection *r, uint64_t durable)
{
	return r->unasked || durable < r->asked_at ? r->bound : durable;
}

#endif
