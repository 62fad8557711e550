/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon reads of a connection of snat (bpf/lb_snat_table.h) while packets go by it: what it was a moment ago. */
#ifndef HF_LB_CONNECTION_H
#define HF_LB_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bpf/lb_abi.h"

/* It was begun, neither side has ended it, and it isn't idle for too long. config: the one in force. */
static inline bool connection_is_open(const struct lb_snat *e, const struct lb_config *config, uint32_t now_ticks)
{
	__u64 word = __atomic_load_n(&e->state, __ATOMIC_RELAXED);
	struct lb_snat_state state;

	memcpy(&state, &word, sizeof state);
	return state.stage >= LB_FLOW_EMBRYONIC && state.stage < LB_FLOW_CLOSED &&
	       now_ticks - state.seen_ticks <= config->idle_ticks[state.stage];
}

/* The number of its service. */
static inline uint32_t connection_service(const struct lb_snat *e)
{
	return (uint32_t)(e->client.word[2] >> 32);
}

#endif
