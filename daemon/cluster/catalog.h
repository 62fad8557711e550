/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog: the state machine of group 0. It says who the members are, where the tenants live and what the load
 * balancer serves. Every node applies it; every reactor has a copy of the directory.
 *
 * Its records (ENTRY_CATALOG): stamp (8), kind (1), then
 *   CATALOG_INIT: hash seed (8), group count (4), member count (1), node ids (1 each); the first record there is;
 *   later ones are ignored.
 *   CATALOG_SERVICES: a change of the load balancer's services (service_change.h).
 *   CATALOG_FACTS: what is known from the reports of its balancers (fact.h).
 */
#ifndef HF_CLUSTER_CATALOG_H
#define HF_CLUSTER_CATALOG_H

#include "base/bytes.h"
#include "base/entry.h"
#include "raft/liveness.h"
#include "store/keyspace.h"

struct services;

enum catalog_kind { CATALOG_INIT = 1, CATALOG_SERVICES, CATALOG_FACTS };

struct catalog {
	bool ready;           /* CATALOG_INIT was applied */
	uint64_t hash_seed;
	uint32_t group_count; /* data groups are 1 .. group_count */
	uint8_t member_count;
	uint8_t members[NODE_SLOTS];
	raft_index applied;
	struct services *services; /* owned; NULL until the first change, and in a copy of the directory */
};

/* Frees what it owns; it is empty then. */
void catalog_fini(struct catalog *c);
/* from takes the place of what c was, and is empty then. */
void catalog_replace(struct catalog *c, struct catalog *from);
/* What the first record fixed, and nothing else: for a reactor that only routes. */
struct catalog catalog_directory(uint64_t hash_seed, uint32_t group_count);
/* What the load balancer serves; never NULL. */
const struct services *catalog_services(const struct catalog *c);

/* 0; -EBADMSG; -EPROTONOSUPPORT: written by a later version. */
int catalog_apply(struct catalog *c, const struct entry *e);
void catalog_encode_init(struct bytes *out, uint64_t stamp_ms, uint64_t hash_seed, uint32_t group_count, uint8_t member_count, const uint8_t *members);
/* A snapshot of it: one piece. */
void catalog_save(const struct catalog *c, struct bytes *out);
bool catalog_restore(struct catalog *c, const uint8_t *data, size_t size);
/* The directory: contiguous ranges of slots, as equal as they come. */
uint32_t catalog_group_of_slot(const struct catalog *c, uint16_t slot);
void catalog_slots_of_group(const struct catalog *c, uint32_t group, uint16_t *ret_first, uint16_t *ret_last);
uint64_t catalog_checksum(const struct catalog *c);
/* The same without the seed, for whoever may look at a node: its part of a sum could be computed from the others, and the seed from that. */
uint64_t catalog_checksum_told(const struct catalog *c);
/* Counted anew, it is what its running sums say ([checksum]). */
bool catalog_intact(const struct catalog *c);

#endif
