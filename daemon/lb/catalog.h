/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the catalog says about load balancing, as a node's GET /v1/lb has it:
 *
 *   {"version":7, "secret":"32 hex digits", "balancers":["10.2.0.9"], "services":[
 *     {"id":1, "name":"web", "vip":"10.1.1.1", "proto":"tcp", "port":80, "scheduler":"maglev", "deliver":"ipip", "chain":true,
 *      "affinity":true, "limit":0, "limit_source":0, "limit_prefix":[{"prefix":"10.9.0.0/16", "rate":1000}], "syn_cookies":"auto",
 *      "syn_rate":10000, "flow_idle":7800, "slow_start":0, "quic_config":"none", "allow":["10.0.0.0/8"], "deny":[],
 *      "check":"http:/health", "check_interval_ms":2000, "check_timeout_ms":1000, "check_rise":2, "check_fall":3,
 *      "backends":["1 10.2.0.1 8080"],
 *      "generations":[{"number":1, "shares":"1:1"}],
 *      "prepared":{"number":2, "shares":"1:2"}, "owner":57}]}
 *
 * A backend that was removed stays listed under "removed" while a generation that is kept has it: flows through it end in peace. The secret
 * is the cluster's, for the hash of flows; balancers are the outer source addresses that a backend takes tunnels from. Generations stand
 * oldest first, the last one is active ([generations]); "prepared", if it is there, is the one to come, whose owners are the second chance
 * until it is active ([two steps]). Their shares are "1:5 2-9:1", ids and the weight of each. A backend is an id, an address and a port, 0
 * for the port its packets came to, which is checked at the service's; it is "1 10.2.0.1 8080 down quic=c0ffee01" while it is dead by the
 * judgement of most balancers; one that is and has weight in the active generation all the same is taken for alive, because all are dead
 * then and the last table stays. Limits are in new flows a second, 0 is none: of the service; of each source, an IPv4 address or a /64 of
 * IPv6; of all sources in a prefix, where the longest prefix counts. The last two may be missing. SYN cookies are off, auto - when more
 * SYNs a second than the rate come to one host - or always; who says nothing of them has them off. flow_idle and slow_start are in seconds,
 * and 7,800 and 0 if they are missing. A configuration of routable QUIC connection IDs is "1:4", its number and the size of server IDs, or
 * none, as if nothing is said of it; a backend's own ID stands behind "quic=". A check is tcp, http:PATH, https:PATH, redis, kafka or
 * none; its terms (base/check_terms.h) are the default ones where they are missing. The owner is the lease of the balancer that announces the VIP (report.h), 0 or
 * missing if there is none. Other members are for other readers. Anything missing, malformed or out of bounds refuses the whole: nothing is
 * half-applied.
 */
#ifndef HF_LB_CATALOG_H
#define HF_LB_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check_terms.h"
#include "base/quic_id.h"
#include "bpf/lb_abi.h"
#include "lb/slots.h"

#define CATALOG_SERVICES_MAX 512u
#define CATALOG_BACKENDS_MAX 1024u /* of a service */
#define CATALOG_REMOVED_MAX (9 * CATALOG_BACKENDS_MAX)
#define CATALOG_PREFIXES_MAX 1024u /* of a service */
#define CATALOG_RATE_MAX 1000000000u
#define CATALOG_BALANCERS_MAX 1024u
#define CATALOG_GENERATIONS_MAX (GENERATIONS_MAX + 1)
#define CATALOG_FLOW_IDLE_S 7800u /* [generations]: 2 h 10 min, longer than TCP's default keepalive */
#define CATALOG_FLOW_IDLE_MAX_S 604800u
#define CATALOG_SLOW_START_MAX_S 86400u
#define CATALOG_UDP_IDLE_S 30u /* [udp] */
#define CATALOG_NAME_SIZE 64u
#define CATALOG_PATH_SIZE 128u

struct host_address {
	struct lb_address addr;
	uint8_t family;
};

/* How the health of a service's backends is found out. */
enum check_kind { CHECK_NONE, CHECK_TCP, CHECK_HTTP, CHECK_HTTPS, CHECK_REDIS, CHECK_KAFKA, CHECK_KINDS };

extern const char *const check_kinds[CHECK_KINDS];

/* When SYNs are answered without being kept ([syn flood]): never, while there are too many, always. */
enum catalog_syn_cookies { SYN_COOKIES_OFF, SYN_COOKIES_AUTO, SYN_COOKIES_ALWAYS };

struct catalog_backend {
	uint64_t id; /* in the service; never given to another one */
	struct host_address at;
	uint16_t port; /* 0: the service's */
	struct quic_id quic_id;
	bool removed; /* listed for the flows that it still has */
	bool down; /* the catalog says so */
	bool dead; /* gets no packets: it is down and has no weight in the active generation */
};

struct catalog_share {
	uint64_t backend; /* its id */
	uint16_t weight;
};

struct catalog_generation {
	uint32_t number; /* 0 of a prepared one: nobody asks */
	struct catalog_share *shares;
	uint32_t share_count;
};

struct catalog_prefix {
	struct host_address at;
	uint8_t bits;
	bool deny;
};

struct catalog_limit {
	struct host_address at;
	uint8_t bits;
	uint32_t rate; /* 0: none, though a wider prefix has one */
};

struct catalog_service {
	uint64_t id;
	uint64_t digest; /* of all that the catalog says of it */
	char name[CATALOG_NAME_SIZE];
	struct lb_vip vip; /* a port of 0 is all ports */
	uint32_t owner;    /* the lease id of the balancer that announces the VIP; 0: nobody */
	uint8_t scheduler; /* enum lb_scheduler */
	uint8_t delivery;  /* enum lb_delivery */
	bool chain, affinity;
	bool even; /* weights don't count */
	bool by_latency; /* the cluster computes weights from what is measured here */
	uint32_t limit, limit_source;
	uint8_t syn_cookies; /* enum catalog_syn_cookies */
	uint32_t syn_rate;   /* SYNs a second, to one host, that are not too many yet */
	uint32_t flow_idle_s; /* a flow without packets for so long is over */
	uint32_t slow_start_s; /* so long a backend that came takes to get its share of new flows; 0: no time */
	struct quic_config quic; /* of datagrams alone */
	uint8_t check;                      /* enum check_kind; CHECK_NONE if the service is of all ports */
	char check_path[CATALOG_PATH_SIZE]; /* of CHECK_HTTP and CHECK_HTTPS: printable, without spaces; else empty */
	struct check_terms check_terms;
	struct catalog_prefix *prefixes;
	uint32_t prefix_count;
	struct catalog_limit *limits; /* of prefixes, at most LB_LIMITED_MAX */
	uint32_t limit_count;
	struct catalog_backend *backends;
	uint32_t backend_count;
	struct catalog_generation generations[CATALOG_GENERATIONS_MAX];
	uint32_t generation_count;
	struct catalog_generation prepared;
	bool has_prepared;
};

struct lb_catalog {
	uint64_t version;
	uint64_t secret[2];
	struct host_address *balancers;
	uint32_t balancer_count;
	struct catalog_service *services;
	uint32_t service_count;
};

/* 0, or -EINVAL with the reason in error, and *ret untouched. */
int lb_catalog_parse(struct lb_catalog *ret, const char *text, char *error, size_t error_size);
void lb_catalog_free(struct lb_catalog *c);

/* A backend of a service, by their ids. */
struct catalog_place {
	uint64_t service, backend;
};

/* One of a service's generations. */
struct catalog_past {
	uint64_t service, generation; /* its id, its number */
};

/* An address as text has it, v4 or v6; -EINVAL if it is none. */
int host_address_parse(struct host_address *ret, const char *text);

#endif
