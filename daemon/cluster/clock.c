/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/clock.h"

#include <assert.h>

#define NS_PER_MS 1000000ull
#define FRESH_NS (500 * NS_PER_MS) /* a clock not heard for so long isn't compared with */

static int64_t skew(uint64_t realtime_ms, uint64_t now_ns)
{
	return (int64_t)realtime_ms - (int64_t)(now_ns / NS_PER_MS);
}

void clock_heard(struct clock *c, uint8_t node, uint64_t theirs_ms, uint64_t now_ns)
{
	assert(node > 0 && node < NODE_SLOTS);
	c->peers[node] = (struct clock_sample){.skew_ms = skew(theirs_ms, now_ns), .heard_ns = now_ns};
}

/* The lower median, so the earlier of two. */
static int64_t median(int64_t *values, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		for (unsigned at = i; at > 0 && values[at - 1] > values[at]; at--) {
			int64_t swap = values[at];

			values[at] = values[at - 1];
			values[at - 1] = swap;
		}
	return values[(count - 1) / 2];
}

void clock_judge(struct clock *c, unsigned quorum, uint64_t ours_ms, uint64_t now_ns)
{
	int64_t ours = skew(ours_ms, now_ns), values[NODE_SLOTS] = {ours};
	unsigned count = 1;

	for (unsigned i = 1; i < NODE_SLOTS; i++)
		if (c->peers[i].heard_ns && now_ns < c->peers[i].heard_ns + FRESH_NS)
			values[count++] = c->peers[i].skew_ms;
	if (count < quorum)
		return;
	c->off_ms = ours - median(values, count);
	c->off = c->off_ms > CLOCK_BOUND_MS || c->off_ms < -CLOCK_BOUND_MS;
	c->skew_ms = c->off ? ours - c->off_ms : ours;
	c->agreed = true;
}

bool clock_fit(const struct clock *c)
{
	return c->agreed && !c->off;
}

uint64_t clock_stamp_ms(const struct clock *c, uint64_t now_ns)
{
	if (!c->agreed)
		return 0;
	return (uint64_t)(c->skew_ms + (int64_t)(now_ns / NS_PER_MS));
}
