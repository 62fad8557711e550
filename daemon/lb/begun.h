/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many flows this balancer has begun at each backend in the last seconds: what a count of its sockets, which is older than now, doesn't
 * have yet. Packets add to the loads in the tables (struct lb_load); at each look it is found what they added since the last one.
 */
#ifndef HF_LB_BEGUN_H
#define HF_LB_BEGUN_H

#include "lb/tables.h"

#define BEGUN_LOOKS 5u /* of a second each: they reach back further than a count may be old */

struct begun_backend {
	uint64_t id;                 /* the catalog's: a number may be another one's by now */
	uint32_t look;               /* the last one that it was part of */
	uint32_t put;                /* the load then, or what has been put in its place since */
	uint32_t flows[BEGUN_LOOKS]; /* that began before each look, the latest first */
};

struct begun {
	struct begun_backend *backends;      /* by their place in the tables; NULL before the first look */
	uint64_t looked_ms[BEGUN_LOOKS + 1]; /* the latest first; 0: there was none */
	uint32_t look;
};

/* Another look, now; boottime_ms(). */
void begun_look(struct begun *b, const struct tables *t, uint64_t now_ms);
/* Makes a backend part of this look: its load now. */
uint32_t begun_take(struct begun *b, const struct tables *t, uint32_t backend);
/* Of a backend that is part of this look: how many have begun since. Of a look that began before that, its part. */
uint32_t begun_since(const struct begun *b, uint32_t backend, uint64_t since_ms);
/* The same backend's load is to be this; what packets have added since the look stays in it. */
void begun_put(struct begun *b, struct tables *t, uint32_t backend, uint32_t load);

#endif
