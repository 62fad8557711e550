/* SPDX-License-Identifier: Apache-2.0 */
/* Private to store.c and snapshot.c: what a store consists of. */
#ifndef HF_STORE_PRIVATE_H
#define HF_STORE_PRIVATE_H

#include "store/store.h"

#define SESSION_NODES 8u

struct session {
	uint64_t incarnation, sequence;
};

struct store {
	struct keyspace *keys;
	raft_index applied;
	int64_t now_ms;
	struct session sessions[SESSION_NODES]; /* by node: the newest incarnation and what it has had applied */
	struct arg *argv;                       /* grows to the longest command seen */
	uint32_t argv_cap;
	uint64_t reply_left;                    /* of REPLY_VALUES_MAX, for the request being executed */
	bool plant_retry_twice;
	struct bytes *snapshot_out;             /* while a snapshot is being taken */
	struct bytes snapshot_state;            /* what the store was beside its keys when that began */
};

#endif
