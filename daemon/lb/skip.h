/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which backends take no new flows here because they fail this balancer's own checks. A backend's death is a record in the catalog, backed
 * by other balancers; one that can't get a record committed goes by its own checks, and says so ([generations]). Established flows stay
 * where they are: only a record takes them away.
 *
 * What is skipped stands with the backend in its map, so that a restarted daemon skips on until it has results of its own, and knows whose
 * slots have flows of stand-ins. The data planes don't read it.
 */
#ifndef HF_LB_SKIP_H
#define HF_LB_SKIP_H

#include "lb/check.h"

/*
 * Brings what is skipped among a service's backends, count of them with their ids (0: nobody), to what its checks say. own NULL: records
 * can be had, none is skipped. When all with weight are down, those that were skipped before stay so, and no other. idle_ticks: how long
 * flows of a stand-in may be under way. Whether anything changed, for the slots; of each backend, whether it is skipped now and wasn't, or
 * the other way round, in ret_turned.
 */
bool skip_update(struct lb_backend *backends, const __u64 *ids, uint32_t count, const struct catalog_service *c,
		 const struct check_list *own, uint32_t now_ticks, uint32_t idle_ticks, bool *ret_turned);
/* Logs those that turned. Once the slots say so: who reads the line counts on it. */
void skip_log(const struct lb_backend *backends, uint32_t count, const bool *turned, const struct catalog_service *c,
	      const struct check_list *own);
/* For slots_compute(): writes enum slot_skip of each, and whether any differs from SLOT_NOT_SKIPPED. */
bool skip_read(const struct lb_backend *backends, const __u64 *ids, uint32_t count, uint8_t *ret);

#endif
