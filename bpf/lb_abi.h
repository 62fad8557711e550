/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the data planes and the daemon that feeds them share: keys and values of the maps, limits, verdicts.
 *
 * Maps are pinned and outlive every program ([maps]), so each struct here is an ABI: a change of one raises LB_ABI.
 * Addresses and ports are in network order, everything else in the host's. An IPv4 address is word[0] of an address,
 * the other words are zero; the family stands beside it, so that ::ffff:10.0.0.1 never meets 10.0.0.1.
 *
 * Times are ticks of 2^30 ns (1.07 s) of the monotonic clock: a shift where seconds would take a division.
 */
#ifndef HF_BPF_LB_ABI_H
#define HF_BPF_LB_ABI_H

#include <linux/types.h>

#ifndef __bpf__
#include <assert.h>
#else
#define static_assert _Static_assert
#endif

#define LB_INLINE static inline __attribute__((always_inline, unused))
/* What is seldom taken. In BPF a function that the verifier proves once, by itself, whatever its callers do: without that the
 * branches of all features would multiply. Its arguments may be numbers and pointers to plain memory, checked for NULL. */
#ifdef __bpf__
#define LB_APART __attribute__((noinline))
#else
#define LB_APART static inline __attribute__((unused))
#endif

#define LB_ABI 5
#define LB_TICK_SHIFT 30

enum lb_family {
	LB_IP4 = 4,
	LB_IP6 = 6,
};

/* What becomes of a packet. */
enum lb_verdict {
	LB_PASS,  /* not ours: to the host, unchanged */
	LB_LOCAL, /* ours, and this host is the backend ([local]): to the host, unchanged */
	LB_SEND,  /* rewritten: out of the interface it came in by */
	LB_DROP,  /* for the reason named */
	LB_VERDICT_COUNT
};

/* Every drop has a name; `holdfast lb top` and the metrics print it. */
#define LB_REASONS(X)                                                                                                       \
	X(NONE, "none")                                                                                                     \
	X(NO_BACKEND, "no_backend")             /* no live backend in the slot */                                           \
	X(NO_HEADROOM, "no_headroom")           /* the driver left no room for the outer header */                          \
	X(FRAGMENT_UNKNOWN, "fragment_unknown") /* a later fragment of a datagram whose first one didn't come by */         \
	X(TOO_BIG, "too_big")                   /* won't fit, and the rate of answers is used up or it can't be answered */ \
	X(TOO_BIG_ANSWERED, "too_big_answered") /* won't fit, and its sender was told */                                    \
	X(PREFIX_DENIED, "prefix_denied")       /* by the service's prefixes */                                             \
	X(SERVICE_LIMIT, "service_limit")       /* more new flows than the service takes */                                 \
	X(SOURCE_LIMIT, "source_limit")         /* more new flows than one source may begin */                              \
	X(SNAT_EXHAUSTED, "snat_exhausted")     /* no port of the balancer's own is free for a new connection */            \
	X(SNAT_UNKNOWN, "snat_unknown")         /* of a connection that this balancer doesn't know, and begins none */      \
	X(SYN_CHALLENGED, "syn_challenged")     /* a SYN of a flood, whose sender was asked to show that it is there */     \
	X(SYN_VERIFIED, "syn_verified")         /* the RST by which a sender did */                                         \
	X(PREFIX_LIMIT, "prefix_limit")         /* more new flows than a named prefix may begin */

enum lb_reason {
#define LB_REASON_ENUM(name, text) LB_REASON_##name,
	LB_REASONS(LB_REASON_ENUM)
#undef LB_REASON_ENUM
		LB_REASON_COUNT
};

#define LB_REASON_SLOTS 32 /* a power of two: the verifier takes a mask for a bound */
static_assert(LB_REASON_COUNT <= LB_REASON_SLOTS, "every reason is counted");

struct lb_address {
	__be32 word[4];
};

/* Half-words, because BPF would copy six bytes one by one. */
struct lb_mac {
	__be16 half[3];
};

/* lb_vips: hash, to the number of the service. Port 0 is every port that has no service of its own; protocol 0 and port 0
 * say that the address is a VIP at all, for fragments, which have no ports. */
struct lb_vip {
	struct lb_address addr;
	__be16 port;
	__u8 proto;
	__u8 family;
};
static_assert(sizeof(struct lb_vip) == 20, "map key");

/*
 * lb_slots: array, memory-mapped. A slot is one word, stored and loaded whole ([slot]). Backends are counted from the
 * service's first. Unmoved: current answers. Moved: previous is the oldest live owner that is not retired.
 */
struct lb_slot {
	__u16 current;
	__u16 previous;
	__u16 between; /* the owner between the two, for chain mode; current where there is none */
	__u16 flags;
};
static_assert(sizeof(struct lb_slot) == 8, "a slot is one word");

#define LB_SLOT_MOVED 1

enum lb_scheduler {
	LB_MAGLEV, /* also latency: its weights are in the table */
	LB_SOURCE,
	LB_ROUND_ROBIN, /* also weighted: a backend stands in the table as often as it has weight */
	LB_TWO_CHOICES, /* the less loaded of the owners of two slots */
};

enum lb_delivery {
	LB_IPIP,
	LB_GUE,
	LB_DSR,  /* the same packet to the backend's MAC address */
	LB_DNAT, /* the backend's address and port in the place of the VIP's ([nat]); both of one family */
	LB_SNAT, /* the same, and an address and port of the balancer's own in the place of the client's */
};

/* Where a service's slots are. */
struct lb_table {
	__u32 base;        /* first slot in lb_slots */
	__u32 count;       /* 0: the service has no table yet */
	__u32 moved_ticks; /* when a slot was last moved, for [udp] */
};

#define LB_SERVICE_TABLES 3

/* lb_services: array, memory-mapped. */
struct lb_service {
	struct lb_address vip; /* with snat, where replies come from */
	/* One is in use, one may still be read by packets that found it in use, and one is free to be filled: a change needn't wait for
	 * packets that the change before it left behind. */
	struct lb_table table[LB_SERVICE_TABLES];
	__u32 backend_base; /* first backend in lb_backends */
	__u16 backend_count;
	__u16 flags;
	__u8 current; /* the table in use; one store goes over to another */
	__u8 scheduler;
	__u8 delivery;
	__u8 family; /* of the VIP */
};
static_assert(sizeof(struct lb_service) == 64, "one cache line");

#define LB_SERVICE_NO_AFFINITY 1 /* [udp]: datagrams go by slot alone */
#define LB_SERVICE_CHAIN 2       /* GUE carries the earlier owners of a moved slot ([chain]) */
#define LB_SERVICE_PREFIXES 4    /* lb_prefixes has some of it */
#define LB_SERVICE_DENY 8        /* what matches no prefix is denied */
#define LB_SERVICE_LIMITS 16     /* lb_rules has a limit of it, or says that lb_prefixes leads to some */
#define LB_SERVICE_CHALLENGE 64  /* [syn flood]: who sends SYNs of a flood must show that it is there; lb_rules has the rate */
#define LB_SERVICE_QUIC 32       /* by connection ID where it names a server; lb_rules and lb_quic have them */

/* lb_backends: array, memory-mapped. */
struct lb_backend {
	struct lb_address addr;
	__u8 family;
	__u8 flags;
	struct lb_mac mac; /* next hop on the interface that the packet came in by */
	__u32 mtu;         /* largest IP packet, outer header and all, that reaches it */
	__be16 port;       /* with NAT, where it listens; 0: where the packet was sent to */
	__u8 skipped;      /* the daemon's alone, with the next: it takes no new flows here (daemon/lb/skip.h) */
	__u8 weighs;       /* the same: it gets new flows, by the catalog */
	__u32 skipped_ticks; /* since when it is, or was last; 0: never, or so long ago that it doesn't matter */
	__u32 older_ticks;   /* when a packet last came here by a slot that is others' now (lb_slot.h); 0: never */
	__u32 ramp_from;     /* slow start: since when, and for how many ticks; 0: it is over, or there is none */
	__u32 ramp_ticks;
	__u8 unused2[16];
};
static_assert(sizeof(struct lb_backend) == 64, "one cache line");

#define LB_BACKEND_ALIVE 1
#define LB_BACKEND_LOCAL 2 /* this host ([local]) */
#define LB_BACKEND_DEAD 4  /* for the daemon: never alive, whatever the routes say */

/* Whose count of flows it is. */
enum lb_load_by {
	LB_LOAD_OWN,     /* this balancer's, of its own */
	LB_LOAD_SOCKETS, /* the backend's host's */
};

/*
 * lb_loads: array, memory-mapped, in the order of lb_backends. How loaded each is for two choices: by flows for its weight. Packets count the
 * flows that begin, and the daemon puts those that there are in their place once a second (daemon/lb/loads.h).
 */
struct lb_load {
	__u32 flows;
	__u16 weight; /* 0: nobody knows it yet, and it is never the less loaded one */
	__u8 by;      /* enum lb_load_by, for who asks; packets don't */
	__u8 unused;
};
static_assert(sizeof(struct lb_load) == 8, "loaded as one word; elements of a mapped array are 8 bytes apart at least");

/*
 * lb_replies: hash, of a dnat backend's address, port and protocol, as struct lb_vip has a VIP's, to the VIP that its packets come from
 * outside ([nat]). Port 0 is every port that has no entry of its own; port 0 and protocol 0 say that the address is a backend at all.
 */
struct lb_reply {
	struct lb_address vip;
	__be16 port; /* 0: the backend's */
	__u8 unused[2];
};
static_assert(sizeof(struct lb_reply) == 20, "map value");

/*
 * lb_flows: array of buckets, a power of two of them, one look-up touches one bucket. An entry's state is one word,
 * exchanged whole; its key is written only while the word says LB_FLOW_BUSY. The destination address is the service's.
 */
enum lb_flow_stage {
	LB_FLOW_FREE,
	LB_FLOW_BUSY,      /* its key is being written by another core */
	LB_FLOW_EMBRYONIC, /* one packet seen */
	LB_FLOW_CONFIRMED,
	LB_FLOW_DATAGRAM,
	LB_FLOW_CLOSED,     /* of snat alone: a FIN from either side, or a RST */
	LB_FLOW_ENDED,      /* by the client's FIN or RST, maybe forged: kept as a confirmed one, but no load; a SYN may begin anew */
	LB_FLOW_STAGES = 8, /* a power of two: the verifier takes a mask for a bound */
};

struct lb_flow_state {
	__u16 backend; /* counted from the service's first */
	__u8 stage;
	__u8 turn; /* how often the entry was taken, so that a reader notices a change under its eyes */
	__u32 seen_ticks;
};
static_assert(sizeof(struct lb_flow_state) == 8, "exchanged as one word");

/*
 * Source address as it lies in the packet, in two words; service, source and destination port in the third. Words, because what is
 * stored in halves and then loaded whole waits for the stores: on the way of a packet that is most of a look-up's time.
 */
struct lb_flow_key {
	__u64 word[3];
};

struct lb_flow_entry {
	__u64 state; /* struct lb_flow_state */
	struct lb_flow_key key;
};

#define LB_FLOW_WAYS 4

struct lb_flow_bucket {
	struct lb_flow_entry entry[LB_FLOW_WAYS];
};
static_assert(sizeof(struct lb_flow_bucket) == 128, "two cache lines that are fetched as a pair");

/*
 * Connections with snat ([nat]). lb_snat_addresses: array, memory-mapped, of this balancer's own addresses; those of IPv4 stand before
 * LB_SNAT_FAMILY, those of IPv6 behind. An address keeps its place as long as it is there, and family 0 is a place without one.
 */
#define LB_SNAT_FAMILY 4
#define LB_SNAT_ADDRESSES (2 * LB_SNAT_FAMILY)
#define LB_SNAT_PORT_FIRST 1024
#define LB_SNAT_PORTS 31744 /* up to where Linux begins to take ports for connections of its own */

struct lb_snat_address {
	struct lb_address addr;
	__u8 family;
	__u8 unused[15];
};
static_assert(sizeof(struct lb_snat_address) == 32, "map value");

/* lb_snats: array of connections, one for each address and port. As in a flow's entry, the rest is written only while the state says
 * LB_FLOW_BUSY. */
struct lb_snat_state {
	__u8 stage; /* enum lb_flow_stage */
	__u8 turn;  /* how often the entry was taken */
	__u8 fins;  /* 1 from the client, 2 from the backend */
	__u8 unused;
	__u32 seen_ticks;
};
static_assert(sizeof(struct lb_snat_state) == 8, "exchanged as one word");

struct lb_snat {
	__u64 state;               /* struct lb_snat_state */
	struct lb_flow_key client; /* the flow as the client sends it */
	struct lb_address backend_addr;
	__u32 hash;    /* of the flow */
	__u16 backend; /* counted from the service's first */
	__be16 backend_port;
	__u8 proto;
	__u8 family;
	__u8 unused[6];
};
static_assert(sizeof(struct lb_snat) == 64, "one cache line");

/* lb_snat_buckets: array, a power of two of them, from a flow's hash to its connection: in each way the connection's number, counted from
 * 1, and bits of the hash above it. */
#define LB_SNAT_WAYS 8
#define LB_SNAT_NUMBER_BITS 18
static_assert(LB_SNAT_ADDRESSES * LB_SNAT_PORTS < 1 << LB_SNAT_NUMBER_BITS, "every connection has a number");

struct lb_snat_bucket {
	__u32 way[LB_SNAT_WAYS];
};
static_assert(sizeof(struct lb_snat_bucket) == 32, "half a cache line");

/*
 * lb_prefixes: LPM trie, to LB_PREFIX_ALLOW or LB_PREFIX_DENY; with LB_PREFIX_LIMITED in the service, to a number in lb_limits. What a
 * prefix may send and how much are thus two matches, each the longest of its own.
 */
struct lb_prefix {
	__u32 bits; /* 32 of the service, then those of the address */
	__u32 service;
	struct lb_address addr;
};
static_assert(sizeof(struct lb_prefix) == 24, "map key");

#define LB_PREFIX_LIMITED (1u << 31)
#define LB_PREFIX_BITS_MAX 160

enum lb_prefix_rule {
	LB_PREFIX_ALLOW,
	LB_PREFIX_DENY,
};

/* A token bucket: a token each interval, as many at once as fit into burst. Interval 0: no limit. */
struct lb_limit {
	__u64 interval_ns;
	__u64 burst_ns;
};

/* lb_limits: array, memory-mapped, of prefixes with a limit, LB_LIMITED_MAX for each service. */
#define LB_LIMITED_MAX 64

struct lb_limited {
	__u64 spent; /* the bucket that all sources in it share, as a word of lb_buckets */
	struct lb_limit limit;
	__u8 bits; /* the prefix's length, for who explains */
	__u8 unused[7];
};
static_assert(sizeof(struct lb_limited) == 32, "half a cache line");

/* SYNs of a service: the bucket that they take tokens from, and until when all of them count as a flood. */
struct lb_flood {
	__u64 spent;
	__u64 ends; /* ns of the monotonic clock */
};
static_assert(sizeof(struct lb_flood) == 16, "map value");

/*
 * lb_floods: array, memory-mapped, one for each service. lb_verified: array, memory-mapped, of buckets of sources that have shown that they
 * are there: bits of a source's hash, and below them when it did, in ticks. 0 is nobody.
 */
#define LB_VERIFIED_WAYS 8
#define LB_VERIFIED_BUCKETS 4096
#define LB_VERIFIED_TICKS 112 /* two minutes */

struct lb_verified_bucket {
	__u64 way[LB_VERIFIED_WAYS];
};
static_assert(sizeof(struct lb_verified_bucket) == 64, "one cache line");

#define LB_QUIC_CONFIGS 8 /* of which the last means: not routable */
#define LB_QUIC_ID_MAX 8

/* lb_quic: hash, to the backend counted from the service's first. */
struct lb_quic_key {
	__u32 service;
	__u8 config;
	__u8 size;
	__u8 unused[2];
	__u64 id; /* as it lies in the packet, zero behind its size */
};
static_assert(sizeof(struct lb_quic_key) == 16, "map key");

/* lb_rules: array, one for each service; read only if the service's flags say so. */
struct lb_rules {
	struct lb_limit service;            /* new flows: SYNs, and every datagram, because nobody can tell which is the first */
	struct lb_limit source;             /* the same, of one source */
	__u8 source_bits;                   /* how much of an address is a source */
	__u8 quic_id_size[LB_QUIC_CONFIGS]; /* of server IDs, by configuration; 0: not in use */
	__u8 limited;                       /* how many prefixes have a limit of their own; none saves a look-up */
	__u8 unused[6];
	struct lb_limit syns; /* SYNs that are no flood yet; interval 0: all are one */
};
static_assert(sizeof(struct lb_rules) == 64, "one cache line");

/*
 * lb_buckets: array of words, memory-mapped. A bucket's word is the time up to which its tokens are spent. First those
 * with a fixed number, then one for each service, then the sources' ones: two rows, a source has one in each, chosen by keyed
 * hash, and is refused only when both are spent, so that a neighbour in one row does no harm.
 */
enum lb_bucket {
	LB_BUCKET_ANSWERS, /* all packet-too-big */
	LB_BUCKET_SERVICES = 8,
};

/* lb_fragments: LRU hash, from a datagram to the ports in its first fragment. */
struct lb_fragment_key {
	struct lb_address src;
	struct lb_address dst;
	__be32 id;
	__u8 proto; /* 0 in IPv6: its identification is the hosts' (RFC 8200), and the first fragment may have more extensions */
	__u8 family;
	__u8 unused[2];
};
static_assert(sizeof(struct lb_fragment_key) == 40, "map key");

struct lb_fragment {
	__be16 sport;
	__be16 dport;
	__u32 seen_ticks;
	__u8 flags; /* of struct lb_flow */
	__u8 proto;
	__u8 unused[2];
};
static_assert(sizeof(struct lb_fragment) == 12, "map value");

#define LB_FRAGMENT_TICKS 28 /* how long a datagram may take to arrive: half a minute */

/* lb_config: array of one. */
struct lb_config {
	__u32 abi;
	__u32 flow_mask; /* buckets of lb_flows less one */
	__u64 secret[2]; /* of the cluster, from the catalog: all balancers hash alike, outsiders can't */
	__u32 wildcards; /* VIPs with port 0; none saves a look-up */
	__u32 idle_ticks[LB_FLOW_STAGES];
	struct lb_address source6; /* this balancer's own addresses: the outer source, and that of health checks */
	__be32 source4;
	__u32 bucket_sources;    /* first of the sources' buckets */
	__u32 bucket_mask;       /* how many there are in a row, less one */
	struct lb_mac gateway4;  /* next hop towards the clients, for replies of dnat backends: that of IPv6 may be another router */
	struct lb_mac gateway6;
	__u16 nat; /* services with dnat; none saves a look-up for what is for no VIP */
	__u8 snat4; /* places in use for own addresses, of each family; none in either saves a look-up */
	__u8 snat6;
	__u16 snat_ports;        /* of each address */
	__u16 cores;             /* among which they are split */
	__u32 snat_mask;         /* buckets of lb_snat_buckets less one */
	struct lb_limit answers; /* packet-too-big, in all and to one address */
	struct lb_limit answers_source;
	struct lb_mac mac; /* this host's, to which frames for it come */
	__u8 unused[2];
};
static_assert(sizeof(struct lb_config) == 152, "map value");

/* lb_service_counts, lb_backend_counts: per core. Bytes are those of the IP packet as it came. */
struct lb_count {
	__u64 packets;
	__u64 bytes;
	__u64 flows; /* SYNs; for datagrams nobody can tell */
};
static_assert(sizeof(struct lb_count) == 24, "map value");

/* lb_drop_counts: array of one, per core. */
struct lb_drops {
	__u64 count[LB_REASON_SLOTS];
};

/* ---- the backend's side, bpf/decap.bpf.c ---- */

/* decap_peers: hash, of addresses in outer headers, to enum lb_peer flags. */
struct lb_peer_key {
	struct lb_address addr;
	__u8 family;
	__u8 unused[3];
};
static_assert(sizeof(struct lb_peer_key) == 20, "map key");

enum lb_peer {
	LB_PEER_SELF = 1,   /* an address of this host, to which tunnels may come */
	LB_PEER_SENDER = 2, /* a balancer or backend of the catalog, from which they may */
};

/* decap_hops: hash, of the backends that a VIP's packets may be handed on to, to the next hop there. */
struct lb_hop_key {
	struct lb_address vip;
	struct lb_address hop;
	__u8 vip_family;
	__u8 hop_family;
	__u8 unused[2];
};
static_assert(sizeof(struct lb_hop_key) == 36, "map key");

struct lb_hop {
	struct lb_mac mac;
	__u8 unused[2];
	__u32 handed_ticks; /* when a packet was last handed on to it; 0: never */
};
static_assert(sizeof(struct lb_hop) == 12, "map value");

/* decap_cookies: hash, of the services whose SYNs this host answers itself ([syn flood]), by VIP, port and protocol, to how many SYNs are
 * not too many yet; interval 0: every one is. decap_floods: LRU hash, by the same, to struct lb_flood. */

/* decap_counts: array of one, per core, by enum lb_decap. */
#define LB_DECAPS(X)                                                                                                   \
	X(DELIVERED, "delivered")                                                                                      \
	X(HANDED_ON, "handed_on")           /* to the backend whose connection it may be */                            \
	X(MALFORMED, "malformed")           /* a drop: what is inside can't be understood */                           \
	X(NO_VIP, "no_vip")                 /* a drop: what is inside is for no VIP of this host */                    \
	X(UNKNOWN_HOP, "unknown_hop")       /* a drop: a hop that the catalog doesn't have for this VIP */             \
	X(SYN_ANSWERED, "syn_answered")     /* a SYN of a flood: answered here, with a cookie */                       \
	X(SYN_DELIVERED, "syn_delivered")   /* a SYN of a flood: to the host, without a cookie for it or a way back */ \
	X(UNKNOWN_SENDER, "unknown_sender") /* a tunnel from an address that the catalog doesn't have: left to the host */

enum lb_decap {
#define LB_DECAP_ENUM(name, text) LB_DECAP_##name,
	LB_DECAPS(LB_DECAP_ENUM)
#undef LB_DECAP_ENUM
		LB_DECAP_COUNT
};

struct lb_decap_counts {
	__u64 count[8];
};
static_assert(LB_DECAP_COUNT <= 8, "every outcome is counted");

#endif
