/* SPDX-License-Identifier: Apache-2.0 */
/* From a world to the values of a data plane's maps. */
#ifndef HF_TESTS_BPF_LOAD_H
#define HF_TESTS_BPF_LOAD_H

#include "bpf/lb_abi.h"
#include "tests/bpf/world.h"

/* Sizes that hold any world; the services' backends and slots lie one service after the other. */
#define LOAD_BACKENDS (WORLD_SERVICES * WORLD_BACKENDS)
#define LOAD_SLOTS (WORLD_SERVICES * WORLD_SLOTS)
#define LOAD_BUCKETS (LB_BUCKET_SERVICES + WORLD_SERVICES + 2 * WORLD_SOURCE_BUCKETS)
#define LOAD_SNATS (LB_SNAT_ADDRESSES * WORLD_SNAT_PORTS)
#define LOAD_FRAGMENTS 1024
#define LOAD_PREFIXES (2 * WORLD_SERVICES * WORLD_PREFIXES) /* that may, and with a limit */
#define LOAD_LIMITS (WORLD_SERVICES * LB_LIMITED_MAX)

/* The maps in memory: the host plane's own, or the kernel's mapped ones. */
struct load {
	struct lb_config *config;
	struct lb_service *service;
	struct lb_backend *backend; /* the time of its last packet as an older owner stays */
	__u64 *slot;
	struct lb_rules *rules;
	struct lb_limited *limits; /* what is spent stays */
	struct lb_load *loads; /* by backend */
	struct lb_snat_address *snat_addresses;
	void (*put_vip)(const struct lb_vip *vip, __u32 service);
	void (*put_quic)(const struct lb_quic_key *key, __u32 backend);
	void (*put_reply)(const struct lb_vip *backend, const struct lb_reply *reply);
	void (*put_prefix)(const struct lb_prefix *prefix, __u32 value);
};

/* The name of a reason to drop. */
const char *load_reason(unsigned reason);
/* Whether what is counted for it was answered, so that something is sent. */
bool load_is_answer(unsigned reason);
void load_world(const struct load *l, const struct world *w);

#endif
