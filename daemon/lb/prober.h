/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the health checks, on a thread of its own: a handshake or a thousand probes at once must not delay a change of the catalog. A
 * bounded number of probes is under way at once; when that is reached, what is due waits.
 */
#ifndef HF_LB_PROBER_H
#define HF_LB_PROBER_H

#include "lb/check.h"

#define PROBES_MAX 1024u

struct prober;

struct prober_counts {
	uint64_t passed[CHECK_KINDS], failed[CHECK_KINDS]; /* probes, by enum check_kind */
	uint32_t targets, under_way;
};

/* 0 or negative errno. It lives as long as the process. */
int prober_start(struct prober **ret);
/* Checks what this catalog has from now on; it stays the caller's. */
void prober_follow(struct prober *p, const struct lb_catalog *catalog);
/* An eventfd: readable after a backend's state changed, until prober_take(). */
int prober_fd(const struct prober *p);
/* The state of every backend with a check, as checks_list() has it. */
void prober_take(struct prober *p, struct check_list *ret);
/* The same, and the event stays. */
void prober_look(struct prober *p, struct check_list *ret);
void prober_count(struct prober *p, struct prober_counts *ret);

#endif
