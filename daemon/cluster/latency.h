/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the backends' latencies make of their weights, in services that go by them ([schedulers]).
 *
 * A balancer reports for each backend the median of its last good health checks (report.h). Of the balancers with a lease the leader of the
 * catalog takes the median again, and from that the part of its configured weight that a backend gets:
 *
 *   100 % * (latency of the fastest quarter + LATENCY_NOISE_US) / (its own + LATENCY_NOISE_US), LATENCY_FLOOR at least, 100 % at most
 *
 * So nobody gains by being faster than a quarter of the others, and the slowest one keeps some flows. A backend that nobody has measured
 * keeps its part. Facts (fact.h) carry what was found into the catalog, a service's in one record, and its change of weights goes the way
 * of every planned one, in two steps.
 *
 * Changes are few, for each makes a generation, and these are few. A backend keeps its part unless the new one differs by a fifth. After a
 * service's change there is none for LATENCY_PERIOD_NS, four times that for each earlier generation that still may have flows: 10 s, 40 s,
 * 160 s, 11 min; and none while more than half of what may be kept is, for that room is for operators. A leader counts from when it first
 * looked.
 */
#ifndef HF_CLUSTER_LATENCY_H
#define HF_CLUSTER_LATENCY_H

#include "cluster/services.h"
#include "io/io.h"

#define LATENCY_FLOOR 10u /* per cent */
#define LATENCY_NOISE_US 1000u
#define LATENCY_PERIOD_NS (10 * NS_PER_S)
#define LATENCY_LOOK_NS NS_PER_S

struct leases;

struct latency {
	uint32_t backend;
	uint32_t us;     /* 0: nobody has measured it */
	uint8_t percent; /* of its weight */
};

/* Since when a service has the weights that it has, as far as this leader knows. */
struct latency_turns {
	uint32_t count;
	struct latency_turn {
		uint32_t service;
		uint64_t since_ns;
	} list[SERVICES_MAX]; /* by service */
};

/* From percent as it is to what it should be, where that is worth a change: whether it is anywhere. At most SERVICE_BACKENDS_MAX. */
bool latency_weigh(struct latency *list, uint32_t count);
/* Whether any service goes by latency: it is to be looked again in LATENCY_LOOK_NS then. */
bool latency_matters(const struct services *s);
/* What to change now, all of a service or none: how many facts, at most max. */
uint32_t latency_conclude(struct latency_turns *t, const struct leases *l, const struct services *s, uint64_t now_ns, struct fact *ret,
			  uint32_t max);

#endif
