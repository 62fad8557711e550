/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables that the forwarding decision reads, as whoever feeds them sees them. A data plane brings them: the XDP plane its pinned maps
 * (maps.h), the DPDK plane the memory of its process. What is an array is written in place while packets pass by it, in the order that
 * feed.h tells; what is looked up by key, and the configuration, is written through the data plane.
 *
 * Two arrays belong to the daemon alone. names and ids say which of the catalog's services and backends a number stands for, so that every
 * one keeps its number: the flow table holds numbers.
 */
#ifndef HF_LB_TABLES_H
#define HF_LB_TABLES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bpf/lb_abi.h"
#include "lb/catalog.h"
#include "lb/wanted.h"

/* How much every data plane has room for. */
#define TABLES_SERVICES CATALOG_SERVICES_MAX
#define TABLES_VIPS (4 * CATALOG_SERVICES_MAX) /* each and its address, before and after a change */
#define TABLES_BACKENDS (1u << 16)
#define TABLES_REPLIES (2 * TABLES_BACKENDS) /* each and its address */
#define TABLES_QUIC (2 * TABLES_BACKENDS)    /* each, before and after a change */
#define TABLES_SLOTS (1u << 21)
#define TABLES_FLOWS (1u << 17)   /* buckets, of four flows */
#define TABLES_SOURCES (1u << 14) /* buckets in each of two rows */
#define TABLES_BUCKETS (1u << 16)
#define TABLES_SNATS (LB_SNAT_ADDRESSES * LB_SNAT_PORTS)
#define TABLES_SNAT_BUCKETS (1u << 17) /* four ways for each connection: that a bucket is full is seldom */
static_assert(LB_BUCKET_SERVICES + TABLES_SERVICES + 2 * TABLES_SOURCES <= TABLES_BUCKETS, "there are buckets for all");

#define TABLES_NAME_SIZE 64

/* By service. */
struct lb_name {
	__u64 id;     /* in the catalog; 0: the number is free */
	__u64 digest; /* of what was last put into the tables; 0: not all of it */
	char name[TABLES_NAME_SIZE];
};
static_assert(sizeof(struct lb_name) == 80, "map value");

/* What is looked up by key; lb_abi.h has keys and values. */
enum tables_keyed {
	TABLES_BY_VIP,
	TABLES_BY_REPLY,
	TABLES_BY_PREFIX,
	TABLES_BY_QUIC,
	TABLES_KEYED,
};

struct tables;

/* Each returns 0 or negative errno. */
struct tables_plane {
	int (*get_config)(struct tables *t, struct lb_config *ret);
	int (*set_config)(struct tables *t, const struct lb_config *config);
	/* The two steps to what is wanted, for a caller with something to do in between: all of it is there, beside what was; then nothing
	 * else is. An entry that stays is never missing. -E2BIG if there is no room. */
	int (*add)(struct tables *t, enum tables_keyed which, const struct wanted *w);
	int (*remove_others)(struct tables *t, enum tables_keyed which, struct wanted *w);
	/* Returns when no packet is under way that began before. */
	void (*await_packets)(struct tables *t);
};

/*
 * What is told of a data plane, to metrics, `holdfast lb top` and `holdfast lb explain`, beside its arrays. It writes nothing. The caller
 * is who feeds the tables, or one who has them from its pins.
 */
struct tables_reads {
	/* Copies what is looked up by key, a prefix's the longest that matches. False: there is none. */
	bool (*find)(const struct tables *t, enum tables_keyed which, const void *key, void *ret_value);
	bool (*find_fragment)(const struct tables *t, const struct lb_fragment_key *key, struct lb_fragment *ret);
	/* Sums over the cores; zeros if it can't be read. */
	struct lb_count (*count_service)(const struct tables *t, uint32_t service);
	struct lb_count (*count_backend)(const struct tables *t, uint32_t backend);
	struct lb_drops (*count_drops)(const struct tables *t);
};

struct tables {
	uint32_t cores;                   /* that take packets */
	const struct tables_plane *plane; /* NULL: whoever has them reads only */
	const struct tables_reads *reads;
	struct lb_service *services;
	struct lb_name *names;
	struct lb_rules *rules;
	__u64 *turns;
	struct lb_backend *backends;
	__u64 *ids; /* of backends, as names; 0: free */
	struct lb_load *loads;
	__u64 *slots;
	struct lb_flow_bucket *flows;
	__u64 *buckets;
	struct lb_limited *limits; /* LB_LIMITED_MAX for each service */
	struct lb_snat_address *snat_addresses;
	struct lb_snat *snats;
	struct lb_snat_bucket *snat_buckets;
	struct lb_flood *floods; /* by service */
	struct lb_verified_bucket *verified;
	uint32_t service_count, backend_count, slot_count, flow_count, bucket_count, snat_address_count, snat_count, snat_bucket_count,
		verified_count, limit_count;
};

static_assert(offsetof(struct lb_backend, family) == 16 && offsetof(struct lb_backend, mac) == 18,
	      "family, flags and next hop are one aligned word");

/* What packets see of a backend's state, by one store: family, flags and next hop of from. */
static inline void tables_store_state(struct lb_backend *to, const struct lb_backend *from)
{
	void *at = &to->family;
	__u64 word;

	memcpy(&word, &from->family, sizeof word);
	__atomic_store_n((__u64 *)at, word, __ATOMIC_RELEASE);
}

#endif
