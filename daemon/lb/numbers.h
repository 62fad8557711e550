/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which number each of the catalog's services and backends has in the tables. A service or a backend keeps its number as long as it is
 * known: the flow table holds numbers. A service's count of backends is that of its room: where no backend is, none is alive.
 */
#ifndef HF_LB_NUMBERS_H
#define HF_LB_NUMBERS_H

#include "lb/catalog.h"
#include "lb/tables.h"

#define NUMBERS_MAX 4096u          /* backends of a service that are known at once, those of its earlier generations included */
#define NUMBERS_NOBODY NUMBERS_MAX /* stands for an earlier backend that has no address any more */

/* The number of a service: its own, or a free one; tables->service_count if there is none. */
uint32_t numbers_take_service(const struct tables *t, uint64_t id);
/* Its own, which counters have, too; tables->service_count if it has none. */
uint32_t numbers_find_service(const struct tables *t, uint64_t service);
/* Of a service that no catalog has any more, once no VIP leads there. */
void numbers_free_service(struct tables *t, uint32_t number);

/*
 * Gives the backends of a service in the catalog their numbers and their room, marks who is dead, and takes back the numbers that the
 * catalog doesn't speak of any more. 0; -ENOSPC if there is no room for those that came, and then those that stay are as they were.
 */
int numbers_give(struct tables *t, struct lb_service *s, const struct catalog_service *c);

/* A service's backends by id, to look up many: a copy of what the tables say. */
struct numbers {
	struct number {
		uint64_t id;
		uint16_t number;
	} * list;
	uint32_t count;
};

void numbers_init(struct numbers *n, const struct tables *t, const struct lb_service *s);
/* NUMBERS_NOBODY: it has none. */
uint16_t numbers_find(const struct numbers *n, uint64_t id);
void numbers_fini(struct numbers *n);

#endif
