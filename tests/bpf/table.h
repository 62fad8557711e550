/* SPDX-License-Identifier: Apache-2.0 */
/* The table of packets: each case a world, then packets one after the other with what must become of each, byte for byte. */
#ifndef HF_TESTS_BPF_TABLE_H
#define HF_TESTS_BPF_TABLE_H

#include "tests/bpf/plane.h"

#define STEPS_MAX 12

struct step {
	const char *in; /* a frame, see frame.h; NULL ends the case */
	enum outcome outcome;
	const char *out;                 /* SEND: the frame; DROP: the reason */
	unsigned wait;                   /* ticks that pass before */
	void (*change)(struct world *w); /* what the daemon changes before */
	const char *older;               /* of service 0's backends, '1' where this packet came as to an older owner, else '.'; NULL: not looked at */
};

/* One step; .wait and .change may follow. */
#define SEND(frame, sent, ...)                                                                                                             \
	{                                                                                                                                  \
		.in = (frame), .outcome = OUT_SEND, .out = (sent), ##__VA_ARGS__                                                           \
	}
#define DROP(frame, reason, ...)                                                                                                           \
	{                                                                                                                                  \
		.in = (frame), .outcome = OUT_DROP, .out = (reason), ##__VA_ARGS__                                                         \
	}
#define PASS(frame, ...)                                                                                                                   \
	{                                                                                                                                  \
		.in = (frame), .outcome = OUT_PASS, ##__VA_ARGS__                                                                          \
	}
#define LOCAL(frame, ...)                                                                                                                  \
	{                                                                                                                                  \
		.in = (frame), .outcome = OUT_LOCAL, ##__VA_ARGS__                                                                         \
	}

struct table_case {
	const char *name; /* begins with the decision that it proves */
	void (*set)(struct world *w);
	struct step steps[STEPS_MAX];
};

extern const struct table_case table_forward[], table_deliver[], table_guard[], table_quic[], table_nat[], table_snat[],
	table_flood[], table_reuse[];
extern const unsigned table_forward_count, table_deliver_count, table_guard_count, table_quic_count, table_nat_count, table_snat_count,
	table_flood_count, table_reuse_count;

/* Runs a case; false and a report on standard error if a step differs. */
bool table_run(struct plane *p, const struct table_case *c);

#endif
