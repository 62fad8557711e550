/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/divergence.h"

static struct divergence_mark *mark_at(struct divergence *d, raft_index index)
{
	struct divergence_mark *m = &d->marks[index / d->every % DIVERGENCE_KEPT];

	return m->index == index ? m : NULL;
}

void divergence_note(struct divergence *d, uint8_t self, raft_index index, uint64_t sum)
{
	struct divergence_mark *m = &d->marks[index / d->every % DIVERGENCE_KEPT];

	if (index % d->every)
		return;
	if (m->index != index)
		*m = (struct divergence_mark){.index = index};
	m->sums[self] = sum;
	m->told |= 1u << self;
	d->latest = index;
}

bool divergence_sum(const struct divergence *d, uint8_t self, raft_index index, uint64_t *ret_sum)
{
	const struct divergence_mark *m = &d->marks[index / d->every % DIVERGENCE_KEPT];

	if (m->index != index || !(m->told & 1u << self))
		return false;
	*ret_sum = m->sums[self];
	return true;
}

enum divergence_verdict divergence_told(struct divergence *d, uint8_t self, uint8_t voter_count, uint8_t node, raft_index index, uint64_t sum)
{
	struct divergence_mark *m = mark_at(d, index);
	unsigned with_us = 0, most = 0;

	if (!m || !(m->told & 1u << self))
		return DIVERGENCE_NONE;
	m->sums[node] = sum;
	m->told |= 1u << node;
	for (uint8_t a = 1; a < NODE_SLOTS; a++) {
		unsigned same = 0;

		if (!(m->told & 1u << a))
			continue;
		for (uint8_t b = 1; b < NODE_SLOTS; b++)
			same += m->told & 1u << b && m->sums[a] == m->sums[b];
		if (m->sums[a] == m->sums[self])
			with_us = same;
		else if (same > most)
			most = same;
	}
	if (with_us > voter_count / 2u && index > d->agreed)
		d->agreed = index;
	if (!most || with_us > voter_count / 2u)
		return DIVERGENCE_NONE;
	return most > voter_count / 2u ? DIVERGENCE_OURS : DIVERGENCE_OPEN;
}
