/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health checks: what is due when, and what the results make of a backend. No sockets and no clock: callers say what time it is, on a
 * clock that doesn't go back.
 *
 *              FALL bad results in a row                RISE good ones in a row
 *   UNKNOWN ------------------------------> DOWN <------------------------------> UP
 *      |                                          FALL bad ones in a row           ^
 *      +------------------------------- one good result ---------------------------+
 *
 * What good probes took is the backend's latency: for tcp that of its network and kernel, for the others of a small answer, too.
 *
 * UNKNOWN is taken for neither: whoever starts anew keeps to what was known before.
 *
 * FALL and RISE, the interval and how long a probe may take are the service's terms. The interval says how soon all follows: a death is
 * found after FALL intervals and a time-out, another latency after four good probes.
 *
 * A backend that is in several services with the same check, port and terms is probed once. A backend is due once an interval, give or
 * take a tenth by chance, and for the first time at a moment drawn from the whole interval, or from CHECK_FIRST_MS if that is less, so that
 * thousands never come at once. Other terms are another target: its first result counts as that of one never heard of.
 */
#ifndef HF_LB_CHECK_H
#define HF_LB_CHECK_H

#include "io/timer.h"
#include "lb/catalog.h"

#define CHECK_FIRST_MS 2000u /* so soon after it came at the latest a backend is probed, however long its interval is */
#define CHECK_TIMES 7u /* good probes whose median is the backend's latency: four slow ones in a row show, one doesn't */

enum check_state { CHECK_UNKNOWN, CHECK_UP, CHECK_DOWN };

/* What is probed. */
struct check_target {
	struct host_address at;
	uint16_t port;
	uint8_t kind; /* enum check_kind, never CHECK_NONE */
	char path[CATALOG_PATH_SIZE];
	struct check_terms terms;
};

struct check {
	struct check_target target;
	struct io_timer due; /* armed while it isn't being probed */
	uint64_t begun_ns;   /* of the latest probe */
	uint8_t state;       /* enum check_state */
	uint8_t run;         /* results in a row that speak against the state */
	uint32_t took_us[CHECK_TIMES]; /* the latest good probes, from begin to judgement, by taken % CHECK_TIMES */
	uint32_t taken;
	bool probed;         /* now: it is the prober's until check_done() or check_undone() */
	bool gone;           /* from the catalog, while it was being probed */
};

/* A backend of a service, as the catalog numbers them. */
struct check_member {
	uint64_t service, backend;
	uint8_t state;  /* enum check_state */
	bool said_down; /* by the catalog */
	uint32_t latency_us; /* the median of its latest good probes; 0: there was none yet */
};

/* By service, then by backend. */
struct check_list {
	struct check_member *list;
	uint32_t count;
};

struct checks {
	struct check **list; /* by target */
	uint32_t count;
	struct check_place { /* which backend of which service hangs on which target */
		uint64_t service, backend;
		bool said_down;
		struct check *check;
	} *places; /* by service, then by backend */
	uint32_t place_count;
	struct timer_heap due;
	uint64_t random;
};

void checks_init(struct checks *c, uint64_t seed);
/* Nothing may be being probed. */
void checks_fini(struct checks *c);
/* Every backend that is in the catalog and has a check; what was known of those that stay is kept. */
void checks_follow(struct checks *c, const struct lb_catalog *catalog, uint64_t now_ns);

/* When the next one is due; UINT64_MAX: none. */
uint64_t checks_next_ns(const struct checks *c);
/* The one that is due longest, to be probed; NULL: none is. */
struct check *checks_take(struct checks *c, uint64_t now_ns);
/* The result of its probe. Whether its state changed; k may be gone after this. */
bool check_done(struct checks *c, struct check *k, bool good, uint64_t now_ns);
/* There was no result, for reasons of this host's: it is due again an interval later. */
void check_undone(struct checks *c, struct check *k, uint64_t now_ns);

/* All backends with a check. *ret is the caller's, to be freed with check_list_free(). */
void checks_list(const struct checks *c, struct check_list *ret);
/*
 * How many of them a report names as down (lb/report.h), and which, in *ret, to be freed: those that are, and those of which nothing is
 * known yet but that the catalog says so.
 */
uint32_t check_down(const struct check_list *all, struct catalog_place **ret);
/* NULL: it has no check. */
const struct check_member *check_list_find(const struct check_list *l, uint64_t service, uint64_t backend);
void check_list_free(struct check_list *l);

#endif
