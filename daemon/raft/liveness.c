/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/liveness.h"

#include <assert.h>
#include <string.h>

void liveness_init(struct liveness *l, uint64_t incarnation, uint64_t now_ns)
{
	memset(l, 0, sizeof *l);
	l->next_epoch = (incarnation << 32) + 1;
	l->quiet_until_ns = now_ns + LIVENESS_NS;
}

static void withdraw(struct liveness *l, uint8_t node)
{
	l->given[node].until_ns = 0;
	l->given[node].epoch = l->next_epoch++;
}

uint64_t liveness_heard(struct liveness *l, uint8_t node, uint64_t generation, uint64_t now_ns)
{
	struct support *s = &l->given[node];

	assert(node > 0 && node < NODE_SLOTS);
	if (!s->epoch || s->until_ns <= now_ns || generation > l->generation[node])
		withdraw(l, node);
	if (generation > l->generation[node])
		l->generation[node] = generation;
	s->until_ns = now_ns + LIVENESS_NS;
	l->suspected[node] = false;
	return s->epoch;
}

void liveness_answered(struct liveness *l, uint8_t node, uint64_t epoch, uint64_t sent_ns)
{
	struct support *s = &l->ours[node];

	assert(node > 0 && node < NODE_SLOTS);
	if (epoch < s->epoch)
		return; /* late, over an old connection */
	s->epoch = epoch;
	if (sent_ns + LIVENESS_NS / 100 * 99 > s->until_ns)
		s->until_ns = sent_ns + LIVENESS_NS / 100 * 99;
}

void liveness_restarted(struct liveness *l, uint8_t node)
{
	withdraw(l, node);
	l->generation[node] = 0;
	l->ours[node] = (struct support){0};
}

void liveness_suspect(struct liveness *l, uint8_t node)
{
	l->suspected[node] = true;
}

unsigned liveness_expire(struct liveness *l, uint64_t now_ns)
{
	unsigned expired = 0;

	for (uint8_t node = 1; node < NODE_SLOTS; node++)
		if (l->given[node].until_ns && l->given[node].until_ns <= now_ns) {
			withdraw(l, node);
			expired |= 1u << node;
		}
	return expired;
}
