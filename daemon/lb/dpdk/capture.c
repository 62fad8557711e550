/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/capture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

static_assert((CAPTURE_SLOTS & (CAPTURE_SLOTS - 1)) == 0, "counts that wrap go on at the next slot");

void capture_fini(struct capture *c)
{
	free(c->slots);
	*c = (struct capture){0};
}

static struct capture_slot *slot_at(const struct capture *c, uint32_t number)
{
	return &c->slots[number & (CAPTURE_SLOTS - 1)];
}

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void capture_copy(struct capture *c, uint16_t place, const void *bytes, uint32_t here, uint32_t size)
{
	struct capture_slot *s = &c->slots[CAPTURE_SLOTS + place];

	s->packet = (struct capture_packet){.seen_ns = monotonic_ns(), .size = size, .kept = here < CAPTURE_BYTES ? here : CAPTURE_BYTES};
	memcpy(s->bytes, bytes, s->packet.kept);
}

void capture_judge(struct capture *c, uint16_t place, enum lb_verdict verdict, uint8_t reason)
{
	struct capture_slot *s = &c->slots[CAPTURE_SLOTS + place];
	uint32_t wanted = __atomic_load_n(&c->reason, __ATOMIC_RELAXED);

	/* An answer to the sender in place of its packet was sent, but the packet was dropped (bpf/lb_fwd.h). */
	if (reason)
		verdict = LB_DROP;
	if (verdict != __atomic_load_n(&c->verdict, __ATOMIC_RELAXED) || (wanted && reason != wanted))
		return;
	if (c->put - __atomic_load_n(&c->taken, __ATOMIC_ACQUIRE) == CAPTURE_SLOTS) {
		__atomic_store_n(&c->lost, c->lost + 1, __ATOMIC_RELAXED);
		return;
	}
	s->packet.verdict = (uint16_t)verdict;
	s->packet.reason = reason;
	memcpy(slot_at(c, c->put), s, sizeof s->packet + s->packet.kept);
	__atomic_store_n(&c->put, c->put + 1, __ATOMIC_RELEASE);
}

void capture_clear(struct capture *c)
{
	__atomic_store_n(&c->taken, __atomic_load_n(&c->put, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
}

void capture_want(struct capture *c, uint32_t verdict, uint32_t reason, uint64_t until_ns)
{
	if (!c->slots)
		c->slots = mem_zalloc((CAPTURE_SLOTS + CAPTURE_BURST) * sizeof *c->slots);
	__atomic_store_n(&c->verdict, verdict, __ATOMIC_RELAXED);
	__atomic_store_n(&c->reason, reason, __ATOMIC_RELAXED);
	__atomic_store_n(&c->until_ns, until_ns, __ATOMIC_RELEASE);
}

const struct capture_slot *capture_first(const struct capture *c)
{
	return __atomic_load_n(&c->put, __ATOMIC_ACQUIRE) == c->taken ? NULL : slot_at(c, c->taken);
}

void capture_pop(struct capture *c)
{
	__atomic_store_n(&c->taken, c->taken + 1, __ATOMIC_RELEASE);
}

uint64_t capture_lost(const struct capture *c)
{
	return __atomic_load_n(&c->lost, __ATOMIC_RELAXED);
}
