/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of packets with a chosen verdict, from a worker to the thread that was asked for them: a ring of one writer and one reader, for as
 * long as somebody asks. Where it is full, a packet is counted and not captured: the worker waits for nobody.
 *
 * While nobody asks, a burst costs the worker one look at a time that is over. The time also ends a capture whose asker has gone.
 */
#ifndef HF_LB_DPDK_CAPTURE_H
#define HF_LB_DPDK_CAPTURE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/capture.h"

#define CAPTURE_BURST 32   /* packets on their way through a worker */
#define CAPTURE_SLOTS 512u /* a power of two */

struct capture_slot {
	struct capture_packet packet;
	uint8_t bytes[CAPTURE_BYTES]; /* the first packet.kept of them */
};
static_assert(offsetof(struct capture_slot, bytes) == sizeof(struct capture_packet), "copied in one piece, as far as it is filled");

/* A worker's. */
struct capture {
	uint64_t until_ns;          /* of the monotonic clock; 0: not at all */
	uint32_t verdict, reason;   /* wanted; LB_REASON_NONE: any. Being changed, one may be new and the other old */
	uint32_t put, taken;        /* packets, modulo 2^32: by the worker, by the reader */
	uint64_t lost;              /* the ring was full */
	struct capture_slot *slots; /* and behind them a burst's; NULL until somebody asks for the first time */
};

void capture_fini(struct capture *c);

/* ---- the worker's ---- */

static inline bool capture_is_on(const struct capture *c, uint64_t now_ns)
{
	return now_ns < __atomic_load_n(&c->until_ns, __ATOMIC_ACQUIRE);
}

/* Keeps the packet at a place in the burst before it is changed: of its size bytes so many are here. */
void capture_copy(struct capture *c, uint16_t place, const void *bytes, uint32_t here, uint32_t size);
/* Hands it over if what became of it is wanted. */
void capture_judge(struct capture *c, uint16_t place, enum lb_verdict verdict, uint8_t reason);

/* ---- the reader's ---- */

/* Forgets what is in the ring. */
void capture_clear(struct capture *c);
/* From now on until then. */
void capture_want(struct capture *c, uint32_t verdict, uint32_t reason, uint64_t until_ns);
/* The oldest packet, which stays until capture_pop(); NULL: there is none. */
const struct capture_slot *capture_first(const struct capture *c);
void capture_pop(struct capture *c);
/* Since the worker's start. */
uint64_t capture_lost(const struct capture *c);

#endif
