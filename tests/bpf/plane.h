/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the table of packets and the generator run packets through: the host build of bpf/lb_fwd.h, the XDP program in
 * the kernel, the DPDK worker, and the model. Each starts from a world and keeps state from packet to packet.
 */
#ifndef HF_TESTS_BPF_PLANE_H
#define HF_TESTS_BPF_PLANE_H

#include "tests/bpf/frame.h"
#include "tests/bpf/world.h"

enum outcome {
	OUT_PASS,
	OUT_LOCAL,
	OUT_SEND,
	OUT_DROP,
};

struct result {
	enum outcome outcome;
	const char *reason; /* of a drop; NULL otherwise, but for the model's answers to SYNs */
	struct frame frame; /* as it leaves; after a drop unspecified */
};

struct plane {
	const char *name;
	bool coarse;                  /* it can't tell LOCAL from PASS */
	int (*open)(struct plane *p); /* 0, or negative errno with why it can't run here in *error */
	void (*close)(struct plane *p);
	void (*load)(struct plane *p, const struct world *w);   /* forgets all flows */
	void (*reload)(struct plane *p, const struct world *w); /* keeps them */
	void (*clock)(struct plane *p, uint64_t ticks);
	void (*run)(struct plane *p, const struct frame *f, struct result *ret);
	unsigned (*older)(struct plane *p, unsigned service, unsigned backend); /* the tick when it last had a packet as an older owner; 0: never */
	char error[160];
};

extern struct plane plane_host, plane_xdp, plane_dpdk, plane_model;
/* Those of the program at hand, the last one NULL. Each program has a list of its own: not all planes can be built everywhere. */
extern struct plane *const planes_here[];

const char *outcome_name(enum outcome o);
/* Whether a plane can have meant this by that. */
bool outcome_equal(const struct plane *p, enum outcome a, enum outcome b);
bool frame_equal(const struct frame *a, const struct frame *b);

#endif
