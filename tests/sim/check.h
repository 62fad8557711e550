/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold. The client's side: every key's history is linearizable. The nodes' side: one leader a term,
 * committed entries never change, states at equal indexes are equal.
 *
 * Registers are written with values that are used only once, so linearizability is decided in linear time after
 * sorting (Gibbons and Korach, "Testing Shared Memories", SIAM J. Comput. 1997): each value's operations span a
 * zone; zones in which the value certainly was in place must not overlap, nor hold a whole other one. Counters are
 * only incremented: their values order the operations by themselves.
 */
#ifndef HF_SIM_CHECK_H
#define HF_SIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define CHECK_INFINITY UINT64_MAX

enum check_kind { CHECK_SET, CHECK_GET, CHECK_INCR };

struct check_op {
	enum check_kind kind;
	uint32_t key;
	uint64_t invoked, returned; /* returned: CHECK_INFINITY if the outcome is unknown */
	uint64_t value;             /* SET: the unique value; GET: what was read, 0 nothing; INCR: the result, 0 unknown */
};

struct check_history {
	struct check_op *ops;
	size_t count, cap;
};

void check_add(struct check_history *h, const struct check_op *op);
/* False, with a line in why, if the history of a register or a counter isn't linearizable. key_is_counter tells which. */
bool check_linearizable(const struct check_history *h, uint32_t key_count, bool (*key_is_counter)(uint32_t key), struct bytes *why);
void check_history_free(struct check_history *h);

#endif
