/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One service of the load balancer: what it is, its backends, and the last generations of them ([generations]).
 * Here are its parts, their forms in records and snapshots, and the words for them; what may change how is services.c's.
 *
 * A generation is the set of (backend, weight) that the slot table is computed from. Every change of that set makes a
 * new one. Those that may have flows are kept, SERVICE_GENERATIONS at most, oldest first, because current and previous
 * owner of a slot are computed from them and never from what one balancer has seen. One that no balancer has packets
 * for any more retires (leases.h); until one has, a planned change waits for room.
 *
 * A planned change is made in two steps ([two steps]). There is one prepared generation at most: what is changed while
 * it waits to be activated makes the next one, all together, so nothing is lost and nobody waits for more than two.
 *
 *   nothing prepared --change--> prepared --all have it, or no balancer is there--> active
 *          ^                                                                          |
 *          +----------------------- nothing changed meanwhile ------------------------+--- else: prepared again
 *
 * A death or a return makes an active generation at once, and what was prepared is prepared anew, behind it. Without
 * room it takes the active one's place: of all that are kept, its flows are the youngest, and those of its slots that
 * moved are in the balancers' flow tables. When all are dead, the table stays as it was with the last one alive.
 */
#ifndef HF_CLUSTER_SERVICE_H
#define HF_CLUSTER_SERVICE_H

#include "base/check_terms.h"
#include "base/ip.h"
#include "base/quic_id.h"

#define SERVICE_NAME_MAX 63u
#define SERVICE_BACKENDS_MAX 1024u
#define SERVICE_GENERATIONS 8u
#define SERVICE_PREFIXES_MAX 64u /* of each of allow, deny and those with a limit */
#define SERVICE_PATH_MAX 127u    /* of an HTTP check */
#define SERVICE_SYN_RATE 10000u  /* unless told */
#define SERVICE_RATE_MAX 1000000000u /* a second: a balancer's buckets know no time shorter than a nanosecond */
#define SERVICE_FLOW_IDLE_S 7800u /* unless told: longer than TCP's default keepalive */
#define SERVICE_FLOW_IDLE_MAX_S 604800u
#define SERVICE_SLOW_START_MAX_S 86400u
#define SERVICE_PERCENT 100u
#define SERVICE_LATENCY_WEIGHT_MAX (UINT16_MAX / SERVICE_PERCENT) /* where weights go by latency, a larger one counts for this */

/* Their numbers stand in records: only ever add behind the last. */
enum service_proto { SERVICE_TCP, SERVICE_UDP, SERVICE_QUIC, SERVICE_PROTOS };
enum service_scheduler { SCHEDULE_MAGLEV, SCHEDULE_SOURCE, SCHEDULE_RR, SCHEDULE_WRR, SCHEDULE_P2C, SCHEDULE_LATENCY, SERVICE_SCHEDULERS };
enum service_delivery { DELIVER_IPIP, DELIVER_GUE, DELIVER_DSR, DELIVER_DNAT, DELIVER_SNAT, SERVICE_DELIVERIES };
enum service_check { CHECK_NONE, CHECK_TCP, CHECK_HTTP, CHECK_HTTPS, CHECK_REDIS, CHECK_KAFKA, SERVICE_CHECKS };
/* When SYNs are answered without a trace of them being kept: never, while there are too many, always ([syn flood]). */
enum service_syn_cookies { SYN_COOKIES_OFF, SYN_COOKIES_AUTO, SYN_COOKIES_ALWAYS, SERVICE_SYN_COOKIES };

extern const char *const service_protos[SERVICE_PROTOS];
extern const char *const service_schedulers[SERVICE_SCHEDULERS];
extern const char *const service_deliveries[SERVICE_DELIVERIES];
extern const char *const service_checks[SERVICE_CHECKS];
extern const char *const service_syn_cookies[SERVICE_SYN_COOKIES];

/* What flows are keyed by: it never changes in a service's life. */
struct service_key {
	struct ip vip;
	uint8_t proto;
	uint16_t port; /* 0: all */
};

struct service_prefixes {
	uint32_t count;
	struct ip_prefix list[SERVICE_PREFIXES_MAX];
};

struct service_limits {
	uint32_t count;
	struct service_limit {
		struct ip_prefix prefix;
		uint32_t rate; /* new flows a second of all its sources together; 0: no limit, though a wider prefix has one */
	} list[SERVICE_PREFIXES_MAX];
};

struct service_settings {
	uint8_t scheduler, deliver, check;
	bool chain;            /* packets carry earlier owners of their slot as second chance ([chain]) */
	bool affinity;         /* false: each packet for itself ([udp]) */
	uint32_t limit;        /* new flows a second, 0: none */
	uint32_t limit_source; /* the same of one source: an IPv4 address, or a /64 of IPv6 */
	uint8_t syn_cookies;   /* of TCP alone */
	uint32_t syn_rate;     /* SYNs a second, to one host, that are not too many yet */
	uint32_t flow_idle_s;  /* a flow without packets for so long is over ([generations]); 1 to SERVICE_FLOW_IDLE_MAX_S */
	uint32_t slow_start_s; /* so long a backend that came takes to get its share of new flows; 0: it has it at once */
	struct quic_config quic; /* that the backends' routable connection IDs are of; of QUIC alone */
	struct service_prefixes allow, deny;
	struct service_limits limits; /* of prefixes: the longest that has a source counts */
	char path[SERVICE_PATH_MAX + 1]; /* of CHECK_HTTP and CHECK_HTTPS, else empty */
	struct check_terms check_terms;
};

struct backend {
	uint32_t id;           /* within its service, never used again */
	struct ip address;
	uint16_t port;         /* 0: all */
	uint16_t weight;
	bool draining;         /* known, but its weight counts as 0 */
	uint8_t percent;       /* of its weight that it gets where weights go by latency (latency.h): 1 to 100 */
	uint32_t latency_us;   /* by which it was found; 0: as long as nothing was */
	bool down;             /* dead by the balancers' checks: as if it had no weight, unless all are */
	struct quic_id quic_id; /* in the connection IDs that it issues; none, or of the size that the service's configuration says, if it has one */
};

struct share {
	uint32_t backend;
	uint16_t weight;
};

struct generation {
	uint32_t number;       /* 1, 2, ... */
	uint8_t unit;          /* what a configured weight of 1 counts in it: SERVICE_PERCENT where weights go by latency, else 1 */
	uint32_t count;
	struct share *shares;  /* in the order of backend ids */
};

struct service {
	uint32_t id;           /* never used again */
	char name[SERVICE_NAME_MAX + 1];
	struct service_key key;
	struct service_settings settings;
	uint32_t backend_last; /* the id given last */
	uint32_t backend_count;
	struct backend *backends; /* by id, ascending */
	uint32_t gone_count;
	struct backend *gone;     /* removed, while a kept generation has them: their flows must find them still; by id */
	uint32_t generation_last; /* the number given last */
	uint32_t generation_count;
	struct generation generations[SERVICE_GENERATIONS]; /* oldest first; the last one is active */
	struct generation prepared; /* number 0: none */
	uint64_t prepared_version;  /* of the services, from which on they tell of it */
	uint32_t owner;             /* the lease id of the balancer that announces the VIP; 0: nobody. The same in all services of a VIP */
};

/* 1 to 63 of letters, digits, '.', '_' and '-'. */
bool service_name_ok(const char *name);
/* A path as HTTP has it: begins with '/', printable, no space, quote or backslash. */
bool service_path_ok(const char *path);
/* The index of a word, or -1. */
int service_word(const char *const *words, int count, const char *word);
/* Only these can send a packet to another port than it came for. */
bool service_translates(enum service_delivery deliver);
/* Backends hand on what they don't know to earlier owners ([chain]); a balancer can't tell which flows those have. */
bool service_hands_on(const struct service_settings *s, enum service_proto proto);
/* On the wire QUIC is UDP: both can't have one address and port. */
bool service_key_clashes(const struct service_key *a, const struct service_key *b);

struct backend *service_backend(const struct service *s, const struct ip *address, uint16_t port);
struct backend *service_backend_by_id(const struct service *s, uint32_t id);
/* Whose server ID this is, of those that aren't gone; NULL: nobody's. */
struct backend *service_backend_by_quic_id(const struct service *s, const struct quic_id *id);
/* As it was configured, dead or alive. */
uint16_t backend_weight(const struct backend *b);
/* Takes a backend out of the list; it is gone then. */
void service_remove_backend(struct service *s, struct backend *b);
/* The backends have changed: prepares a generation of them, unless one is prepared or the active one says the same. version: the change's. */
void service_prepare(struct service *s, uint64_t version);
/* What is prepared becomes active, and what was changed since is prepared. */
void service_activate(struct service *s, uint64_t version);
/* As many as may be are kept: what is activated now makes the oldest go. */
bool service_is_full(const struct service *s);
/* An earlier generation goes, and the removed backends that only it had; false: there is none of this number that isn't active. */
bool service_retire(struct service *s, uint32_t generation);
/* All but the active one go; false: there are none. */
bool service_retire_earlier(struct service *s);
/* By its latency a backend gets this part of its weight: from the next generation on, which service_prepare() makes. */
void service_backend_measured(struct backend *b, uint32_t us, uint8_t percent);
/* Backends get their whole weights again, and nothing is known of their latencies. */
void service_forget_latencies(struct service *s);
/* A backend was found dead or alive; false: it was known. */
bool service_backend_found(struct service *s, struct backend *b, bool down, uint64_t version);
void service_free(struct service *s);

/* Forms in records and snapshots. What can't be one makes the cursor bad. */
void service_key_put(struct bytes *out, const struct service_key *k);
void service_settings_put(struct bytes *out, const struct service_settings *s);
struct service_key service_key_get(struct cursor *in);
void service_settings_get(struct cursor *in, struct service_settings *ret);
/* A zero-terminated text of at most max bytes: size (1), bytes. ret has max + 1. */
void service_text_put(struct bytes *out, const char *text);
void service_text_get(struct cursor *in, char *ret, size_t max);
void service_put(struct bytes *out, const struct service *s);
/* A new service, or NULL and the cursor is bad. */
struct service *service_get(struct cursor *in);

#endif
