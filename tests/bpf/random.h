/* SPDX-License-Identifier: Apache-2.0 */
/* Random worlds, and random and mutated packets through them: every plane must do what the model does, to the byte. */
#ifndef HF_TESTS_BPF_RANDOM_H
#define HF_TESTS_BPF_RANDOM_H

#include "tests/bpf/plane.h"

struct random_run {
	uint64_t seed, packets;
	const char *plant;  /* a mistake to make in the planes' world, or NULL; "x" lists them */
	unsigned counts[4]; /* by outcome, as the model had it */
};

/* 0 if all agree; 1 and a report with the command that replays it if not; negative errno for an unknown plant. */
int random_compare(struct random_run *run, struct plane **planes, unsigned count);

#endif
