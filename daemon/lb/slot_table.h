/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of a service in the tables: its generations' Maglev tables by the backends' numbers, the words that slots.h makes of them,
 * written into a table that isn't in use; one store goes over to it ([maps]).
 */
#ifndef HF_LB_SLOT_TABLE_H
#define HF_LB_SLOT_TABLE_H

#include "lb/catalog.h"
#include "lb/maglev_cache.h"
#include "lb/tables.h"

/* What becomes of a service's slots. */
enum slot_table_change {
	SLOT_TABLE_STAYS, /* they were right, or nobody has weight and the last table stays */
	SLOT_TABLE_CHANGED,
	SLOT_TABLE_SETTLED, /* and some that counted as moved don't any more */
};

/* Its backends have their numbers. Whoever is skipped (lb/skip.h) gets no new flows. enum slot_table_change; -ENOSPC if there is no room.
 */
int slot_table_place(struct tables *t, struct maglev_cache *maglevs, struct lb_service *s, const struct catalog_service *c,
		     uint32_t now_ticks);
/* No packet can be reading any table of the service but the one in use: their room is free. */
void slot_table_release(struct lb_service *s);

#endif
