/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the leader of the catalog has found out from the reports of holdfast-lbd (leases.h), as a record in the
 * catalog's log: who balances, which changes all have, which backends are dead. All integers are little-endian:
 *
 *   stamp (8), CATALOG_FACTS (1), FACT_RECORD_VERSION (1), count (2), then for each
 *     kind (1), and by kind
 *       FACT_JOINED, FACT_LEFT     who: node (1), side (1), id (size (1), text)
 *       FACT_ACTIVE                service (4), generation (4)
 *       FACT_DOWN, FACT_UP         service (4), backend (4)
 *       FACT_RETIRED               service (4), generation (4)
 *       FACT_OWNER                 service (4), lease id (4): who answers for the VIP of this service, and so of every
 *                                  service with that VIP; 0: nobody
 *       FACT_LATENCY               service (4), backend (4), latency in us (4), per cent of its weight (1): one service's stand together,
 *                                  and make one generation (latency.h)
 *       FACT_TUNNEL, FACT_TUNNEL_GONE   address (ip.h): balancers tunnel from there, or nobody does any more (tunnels.h)
 *
 * A fact that no longer fits what is there changes nothing: the catalog may have moved on since it was found, and a
 * leader may say it again.
 */
#ifndef HF_CLUSTER_FACT_H
#define HF_CLUSTER_FACT_H

#include "base/ip.h"
#include "raft/liveness.h"

#define FACT_RECORD_VERSION 5u
#define FACTS_MAX 1024u /* in a record */
#define REPORTER_ID_MAX 63u
#define REPORTERS_MAX 256u

enum reporter_side { SIDE_BALANCER, SIDE_BACKEND, REPORTER_SIDES };

/* One holdfast-lbd: the node that it reports to, and a name by which that node knows it from others. */
struct reporter {
	uint8_t node;
	uint8_t side;                 /* enum reporter_side */
	char id[REPORTER_ID_MAX + 1]; /* zero-filled; printable, without space, quote or backslash */
};

enum fact_kind {
	FACT_JOINED = 1,
	FACT_LEFT,
	FACT_ACTIVE,
	FACT_DOWN,
	FACT_UP,
	FACT_OWNER,
	FACT_RETIRED,
	FACT_LATENCY,
	FACT_TUNNEL,
	FACT_TUNNEL_GONE,
	FACT_KINDS
};

struct fact {
	enum fact_kind kind;
	struct reporter who;      /* FACT_JOINED, FACT_LEFT */
	struct ip from;           /* FACT_TUNNEL, FACT_TUNNEL_GONE */
	uint32_t service, number; /* the others: of the generation, or the id of backend or lease */
	uint32_t us;              /* FACT_LATENCY, with the next: 1 at least */
	uint8_t percent;          /* 1 to 100 */
};

extern const char *const reporter_sides[REPORTER_SIDES];

bool reporter_id_ok(const char *id);
/* By node and id, for a list in order; 0: the same one, on whichever side. */
int reporter_compare(const struct reporter *a, const struct reporter *b);
void reporter_put(struct bytes *out, const struct reporter *r);
void reporter_get(struct cursor *in, struct reporter *ret);

/* The whole record; its stamp is 0 and is set by the leader. */
void facts_put(struct bytes *out, const struct fact *facts, uint32_t count);
/*
 * Reads what stands behind CATALOG_FACTS into ret, which has room for FACTS_MAX. How many there are; -EPROTONOSUPPORT:
 * of a later version; -EBADMSG: no such record.
 */
int facts_get(struct cursor *in, struct fact *ret);

#endif
