/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load balancer's part of the catalog: all services, and the state machine that changes them.
 *
 * Two nodes may propose at once, so whether a change is possible is decided where it is applied, the same on every
 * replica, and a change that isn't possible changes nothing. Per node the outcome of its last change is kept, part of
 * the state: its proposer reads it there, also when it learnt of it by a snapshot.
 *
 * A planned change is prepared, and active once the leader found that all have it (service.h, leases.h); while no
 * balancer is known it is active at once.
 */
#ifndef HF_CLUSTER_SERVICES_H
#define HF_CLUSTER_SERVICES_H

#include "cluster/service_change.h"
#include "cluster/tunnels.h"

#define SERVICES_MAX 512u
#define SERVICES_BACKENDS_MAX 65536u /* of all services together: bounds memory, the snapshot and what a balancer is told */

/* Why a change was not made. Their numbers stand in snapshots: only ever add behind the last. */
enum service_refusal {
	SERVICE_CHANGED,          /* it was made */
	REFUSED_SERVICE_UNKNOWN,
	REFUSED_SERVICE_EXISTS,
	REFUSED_VIP_TAKEN,        /* another service has this VIP, protocol and port */
	REFUSED_SERVICES_FULL,
	REFUSED_BACKEND_UNKNOWN,
	REFUSED_BACKEND_EXISTS,
	REFUSED_BACKENDS_FULL,    /* of this service */
	REFUSED_TOTAL_FULL,       /* of all services */
	REFUSED_BACKEND_IS_VIP,   /* of some service */
	REFUSED_FAMILY,           /* a backend that the way to deliver can't reach from this VIP */
	REFUSED_PORT,             /* a backend has another port, and the way to deliver can't change it */
	REFUSED_NAT_TAKEN,        /* another service delivers to this address and port by dnat, or did ([nat]) */
	REFUSED_WEIGHTLESS,       /* no backend would be left that takes new flows */
	REFUSED_PREFIX_FAMILY,
	REFUSED_PREFIX_TWICE,
	REFUSED_AFFINITY,         /* only UDP can do without */
	REFUSED_SYN_COOKIES,      /* only TCP has SYNs */
	REFUSED_CHECK_PORT,       /* a service of all ports has none to check */
	REFUSED_FLOWS,            /* balancers serve it, and its flows would lose their backends */
	REFUSED_QUIC_PROTO,       /* only QUIC has connection IDs */
	REFUSED_QUIC_ID_SIZE,     /* a backend's server ID is of another size than the service's configuration says, or that is missing */
	REFUSED_QUIC_ID_TAKEN,    /* another backend of the service has this server ID */
	REFUSED_CHECK_TIMEOUT,    /* a probe wouldn't have ended when the next may be due */
	REFUSED_VIP_IS_BACKEND,   /* of some service */
	SERVICE_REFUSALS,
};

struct change_session {
	uint64_t incarnation, number; /* of the last change of that node */
	uint8_t outcome;              /* enum service_refusal */
	uint64_t version;             /* of the services behind it */
};

struct services {
	uint64_t version;             /* index of the record that made the last change; 0: none yet */
	uint32_t id_last;             /* the service id given last */
	uint32_t count;
	uint32_t backend_total;
	struct service *list[SERVICES_MAX]; /* by id, ascending */
	uint64_t sums[SERVICES_MAX];  /* of each service's content */
	uint32_t reporter_count;
	struct reporter reporters[REPORTERS_MAX]; /* whom a prepared change waits for, in order */
	uint32_t lease_ids[REPORTERS_MAX];        /* theirs: a new one each time that one joins, so that what was owned before is known as such */
	uint32_t lease_last;                      /* the lease id given last */
	struct tunnels tunnels;                   /* where balancers tunnel from, now or before */
	bool balanced;                /* a balancer has joined, ever: before, no flow was sent anywhere */
	struct change_session sessions[NODE_SLOTS];
};

struct services *services_new(void);
void services_free(struct services *s);
struct service *services_find(const struct services *s, const char *name);
/* Whose key clashes with this one; NULL: nobody's. */
const struct service *services_clash(const struct services *s, const struct service_key *key);
/* Which has a backend at this address, whatever its port; NULL: none. */
const struct service *services_with_backend(const struct services *s, const struct ip *address);
struct service *services_by_id(const struct services *s, uint32_t id);
/* It is known to balance, or to be a backend's side. */
bool services_knows(const struct services *s, const struct reporter *who);
/* Its lease id; 0 if it isn't known, on this side. */
uint32_t services_lease_id(const struct services *s, const struct reporter *who);
/* Whose lease id that is; NULL: nobody's. */
const struct reporter *services_lease_holder(const struct services *s, uint32_t lease_id);

/* Applies what stands behind CATALOG_SERVICES of the record at index. 0, also if it is refused; or as service_change_get(). */
int services_apply(struct services *s, struct cursor *in, uint64_t index);
/* The same of CATALOG_FACTS, and as facts_get(). */
int services_apply_facts(struct services *s, struct cursor *in, uint64_t index);
/* What became of a change; false: nothing yet (or it is too long ago, or never will). */
bool services_outcome(const struct services *s, const struct change_origin *by, enum service_refusal *ret_refusal, uint64_t *ret_version);

/* In snapshots: version (1), then all there is. */
void services_save(const struct services *s, struct bytes *out);
/* New services, or NULL: it can't be understood. */
struct services *services_restore(struct cursor *in);
/* Over content alone, kept up to date by each change ([checksum]). */
uint64_t services_checksum(const struct services *s);
/* Each service, counted anew, has the sum that its changes left. */
bool services_intact(const struct services *s);

#endif
