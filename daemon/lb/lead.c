/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/lead.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bpf/lb_hash.h"

static bool is_here(const struct catalog_service *s, const bool *here, uint64_t backend)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (s->backends[i].id == backend)
			return here[i];
	return false;
}

/* As slot_table.c has it, but that all of this host's are 1 and the others 0. */
static int fill(struct lead *l, struct maglev_cache *maglevs, const struct catalog_service *s, const bool *here)
{
	const struct catalog_generation *g = &s->generations[s->generation_count - 1];
	struct maglev_backend *backends = mem_alloc(g->share_count * sizeof *backends + 1);
	const uint16_t *slots;
	int r;

	for (uint32_t i = 0; i < g->share_count; i++) {
		uint16_t weight = g->shares[i].weight, number = is_here(s, here, g->shares[i].backend);

		l->weighs |= weight && number;
		backends[i] = (struct maglev_backend){g->shares[i].backend, number, s->even && weight ? 1 : weight};
	}
	l->size = maglev_size(g->share_count, 0);
	r = maglev_cache_get(maglevs, backends, g->share_count, l->size, &slots);
	free(backends);
	if (r < 0)
		return r;
	l->slots = mem_alloc(l->size * sizeof *l->slots);
	memcpy(l->slots, slots, l->size * sizeof *l->slots);
	return 0;
}

void lead_init(struct lead *l, struct maglev_cache *maglevs, const struct lb_catalog *c, const struct catalog_service *s, const bool *here)
{
	*l = (struct lead){.scheduler = s->scheduler, .secret = {c->secret[0], c->secret[1]}};
	if (fill(l, maglevs, s, here) == 0)
		l->generation = s->generations[s->generation_count - 1].number;
}

void lead_fini(struct lead *l)
{
	free(l->slots);
	*l = (struct lead){0};
}

bool lead_is_here(const struct lead *l, const struct lb_flow *f)
{
	const struct lb_config config = {.secret = {l->secret[0], l->secret[1]}};
	uint64_t hash;

	if (!l->generation)
		return false;
	if (l->scheduler == LB_ROUND_ROBIN)
		return l->weighs;
	hash = l->scheduler == LB_SOURCE ? lb_hash_source(&config, f) : lb_hash_flow(&config, f);
	if (l->slots[lb_hash_slot(hash, l->size)])
		return true;
	return l->scheduler == LB_TWO_CHOICES && l->slots[lb_hash_second((uint32_t)hash, l->size)];
}
