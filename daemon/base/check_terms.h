/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of a service's health checks, for nodes and balancers alike: how often, how long, and how many results are believed. */
#ifndef HF_BASE_CHECK_TERMS_H
#define HF_BASE_CHECK_TERMS_H

#include "base/bytes.h"

#define CHECK_INTERVAL_MIN_MS 100u
#define CHECK_INTERVAL_MAX_MS 3600000u
#define CHECK_TIMEOUT_MIN_MS 10u
#define CHECK_RUN_MAX 100u

struct check_terms {
	uint32_t interval_ms; /* from the begin of one probe to that of the next, give or take a tenth by chance */
	uint32_t timeout_ms;  /* so long a probe waits for the whole of its answer */
	uint8_t rise, fall;   /* so many results in a row, good or bad ones, change what a backend is taken for; 1 to CHECK_RUN_MAX */
};

/* Every 2 s, 1 s to answer; two successes are up again, three failures are down. */
extern const struct check_terms check_terms_default;

/* The largest timeout at an interval: a probe has ended when the next may be due. */
uint32_t check_timeout_max_ms(uint32_t interval_ms);

/* In records: interval (4), timeout (4), rise (1), fall (1). */
void check_terms_put(struct bytes *out, const struct check_terms *t);
/* Of each by itself, what can't be one makes the cursor bad; whether the timeout suits the interval is for the caller to ask. */
struct check_terms check_terms_get(struct cursor *in);

#endif
