/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/skip.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "log.h"

/* What a backend's own check makes of it. One that wasn't judged yet stays as it is, one without a check is taken for good. */
static bool is_wanted(const struct lb_backend *b, const struct check_list *own, uint64_t service, uint64_t backend)
{
	const struct check_member *m = own ? check_list_find(own, service, backend) : NULL;

	return m && (m->state == CHECK_DOWN || (m->state == CHECK_UNKNOWN && b->skipped));
}

static uint32_t place_of(const __u64 *ids, uint32_t count, uint64_t id)
{
	uint32_t i = 0;

	while (i < count && ids[i] != id)
		i++;
	return i;
}

/* Whether new flows have somewhere to go: a backend of the active generation with weight that is not skipped. */
static bool leaves_one(const bool *skipped, const __u64 *ids, uint32_t count, const struct catalog_service *c)
{
	const struct catalog_generation *g = c->generation_count ? &c->generations[c->generation_count - 1] : NULL;

	for (uint32_t i = 0; g && i < g->share_count; i++) {
		uint32_t at = g->shares[i].weight ? place_of(ids, count, g->shares[i].backend) : count;

		if (at < count && !skipped[at])
			return true;
	}
	return false;
}

static void log_turn(const struct catalog_service *c, const struct lb_backend *b, bool by_records)
{
	char address[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(b->family == LB_IP6 ? AF_INET6 : AF_INET, &b->addr, address, sizeof address);
	if (b->skipped)
		log_warning("skip: no new flows by this balancer's own checks, for no record of the backend's death can be had "
			    "service=%s backend=%s",
			    c->name, address);
	else if (by_records)
		log_notice("skip: what the catalog says of the backend counts again service=%s backend=%s", c->name, address);
	else
		log_notice("skip: new flows again service=%s backend=%s", c->name, address);
}

static bool set(struct lb_backend *b, bool skipped, uint32_t now_ticks, uint32_t idle_ticks)
{
	if (b->skipped == skipped) {
		if (skipped || !b->skipped_ticks || now_ticks - b->skipped_ticks <= idle_ticks)
			return false;
		b->skipped_ticks = 0;
		return true;
	}
	b->skipped = skipped;
	b->skipped_ticks = now_ticks - !now_ticks; /* 0: never */
	return true;
}

bool skip_update(struct lb_backend *backends, const __u64 *ids, uint32_t count, const struct catalog_service *c,
		 const struct check_list *own, uint32_t now_ticks, uint32_t idle_ticks, bool *ret_turned)
{
	bool *skipped = mem_alloc(count + 1), changed = false;

	for (uint32_t i = 0; i < count; i++)
		skipped[i] = ids[i] && is_wanted(&backends[i], own, c->id, ids[i]);
	if (!leaves_one(skipped, ids, count, c))
		for (uint32_t i = 0; i < count; i++)
			skipped[i] = backends[i].skipped;
	if (!leaves_one(skipped, ids, count, c))
		memset(skipped, 0, count);
	for (uint32_t i = 0; i < count; i++) {
		bool was = backends[i].skipped;

		if (ids[i])
			changed |= set(&backends[i], skipped[i], now_ticks, idle_ticks);
		ret_turned[i] = backends[i].skipped != was;
	}
	free(skipped);
	return changed;
}

void skip_log(const struct lb_backend *backends, uint32_t count, const bool *turned, const struct catalog_service *c,
	      const struct check_list *own)
{
	for (uint32_t i = 0; i < count; i++)
		if (turned[i])
			log_turn(c, &backends[i], !own);
}

bool skip_read(const struct lb_backend *backends, const __u64 *ids, uint32_t count, uint8_t *ret)
{
	bool any = false;

	for (uint32_t i = 0; i < count; i++) {
		ret[i] = SLOT_NOT_SKIPPED;
		if (ids[i] && backends[i].skipped)
			ret[i] = SLOT_SKIPPED;
		else if (ids[i] && backends[i].skipped_ticks)
			ret[i] = SLOT_SKIPPED_LATELY;
		any |= ret[i] != SLOT_NOT_SKIPPED;
	}
	return any;
}
