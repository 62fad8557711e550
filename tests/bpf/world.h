/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancer is told, in the tests' own words: the model reads it as it is, load.c turns it into the maps of a data
 * plane. Like the model it includes nothing from bpf/, so that a mistake there isn't taken over.
 */
#ifndef HF_TESTS_BPF_WORLD_H
#define HF_TESTS_BPF_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define WORLD_SERVICES 16
#define WORLD_BACKENDS 8 /* of a service */
#define WORLD_SLOTS 64   /* of a service, at most */
#define WORLD_BUCKETS 64
#define WORLD_PREFIXES 4        /* of a service */
#define WORLD_SOURCE_BUCKETS 64 /* in each of two rows */
#define WORLD_SNAT_ADDRESSES 2  /* of a family */
#define WORLD_SNAT_PORTS 16     /* of an address, at most */

struct world_address {
	int version; /* 4 or 6 */
	uint8_t byte[16];
};

struct world_backend {
	struct world_address addr;
	unsigned mac;  /* the last byte of 02:00:00:00:00:xx */
	unsigned port; /* with NAT, where it listens; 0: where the packet was sent to */
	bool alive;
	bool local;
	unsigned mtu;
	unsigned load, weight; /* flows that it has, as two choices know them; 0: nobody knows its weight */
	unsigned ramp_from, ramp_ticks; /* slow start; 0: none */
	uint8_t quic_id[8]; /* its server ID, of which as many bytes count as the configuration says */
};

struct world_prefix {
	struct world_address addr;
	unsigned bits;
	bool deny;
};

/* A token each so many ns, at most burst at once; 0 is no limit. */
struct world_limit {
	uint64_t interval_ns;
	unsigned burst;
};

struct world_limited {
	struct world_address addr;
	unsigned bits;
	struct world_limit limit;
};

struct world_slot {
	unsigned current, previous, between;
	bool moved;
};

enum world_scheduler {
	WORLD_MAGLEV,
	WORLD_SOURCE,
	WORLD_ROUND_ROBIN,
	WORLD_TWO_CHOICES,
};

enum world_delivery {
	WORLD_IPIP,
	WORLD_GUE,
	WORLD_DSR,
	WORLD_DNAT,
	WORLD_SNAT,
};

struct world_service {
	struct world_address vip;
	unsigned proto, port;
	enum world_scheduler scheduler;
	enum world_delivery delivery;
	bool no_affinity, chain, quic;
	bool challenge; /* sources of SYNs that are too many */
	struct world_limit syns; /* that are not; no limit: all are */
	unsigned quic_id_size[8]; /* by configuration */
	bool deny;                /* what matches no prefix */
	struct world_prefix prefix[WORLD_PREFIXES];
	unsigned prefix_count;
	struct world_limit limit, source_limit;
	unsigned source_bits;
	struct world_limited limited[WORLD_PREFIXES]; /* prefixes with a limit of their own */
	unsigned limited_count;
	unsigned moved_ticks;
	unsigned backend_count, slot_count;
	struct world_backend backend[WORLD_BACKENDS];
	struct world_slot slot[WORLD_SLOTS];
};

struct world {
	uint64_t secret[2];
	unsigned flow_idle, udp_idle, embryonic_idle, closed_idle; /* ticks */
	struct world_address source4, source6;
	unsigned mac, gateway4, gateway6;           /* MAC addresses as the backends'; the first is its own */
	struct world_address snat[2][WORLD_SNAT_ADDRESSES]; /* own addresses of IPv4, of IPv6 */
	unsigned snat_count[2], snat_ports;                 /* ports of each, from 1024 */
	struct world_limit answers, answers_source; /* packet-too-big */
	unsigned buckets;                           /* of the flow table: a power of two, at most WORLD_BUCKETS */
	unsigned service_count;
	struct world_service service[WORLD_SERVICES];
};

/*
 * Services every test starts from; each has four backends, of which number 1 owns all slots, unmoved:
 *   0 tcp 10.1.1.1:80        backends 10.2.0.1 .. 10.2.0.4, next hops 02:00:00:00:00:11 .. 14
 *   1 tcp [fd01::1]:80       backends fd02::1 .. fd02::4, next hops :21 .. :24
 *   2 udp 10.1.1.1:53        backends as 0
 *   3 tcp 10.1.1.2, all ports; backends fd02::1 .. fd02::4
 * With snat the balancer's own addresses are 10.9.0.7 and fd09::7, and have one port each: 1024.
 * With NAT the backends listen on 8080 and 8053, those of 3 on all ports; the gateways are :30 for IPv4 and :31 for IPv6.
 */
void world_init(struct world *w);
/* All slots of a service. */
void world_own(struct world_service *s, unsigned current);
void world_move(struct world_service *s, unsigned previous, unsigned current);
struct world_address world_address(const char *text);

#endif
