/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/flow_table.h"

#include <netinet/in.h>

#include "bpf/lb_flow.h"
#include "bpf/lb_hash.h"

/* As it came in its packets. */
static struct lb_flow flow_of(const struct lb_service *s, const struct lb_flow_key *key, uint8_t stage)
{
	return (struct lb_flow){
		.src.word = {(uint32_t)key->word[0], (uint32_t)(key->word[0] >> 32), (uint32_t)key->word[1],
			     (uint32_t)(key->word[1] >> 32)},
		.dst = s->vip,
		.sport = (uint16_t)(key->word[2] >> 16),
		.dport = (uint16_t)key->word[2],
		.proto = stage == LB_FLOW_DATAGRAM ? IPPROTO_UDP : IPPROTO_TCP,
		.family = s->family,
	};
}

/* Whether a packet of the flow looks into the table. */
static bool is_looked_up(const struct tables *t, const struct lb_config *config, const struct lb_flow_key *key, uint8_t stage)
{
	uint32_t number = (uint32_t)(key->word[2] >> 32);
	const struct lb_table *table;
	const struct lb_service *s;
	struct lb_slot slot;
	struct lb_flow f;
	uint64_t hash;

	if (number >= t->service_count || !t->names[number].id)
		return false;
	s = &t->services[number];
	table = &s->table[s->current];
	if (s->scheduler > LB_SOURCE || !table->count)
		return true;
	f = flow_of(s, key, stage);
	hash = s->scheduler == LB_SOURCE ? lb_hash_source(config, &f) : lb_hash_flow(config, &f);
	memcpy(&slot, &t->slots[table->base + lb_hash_slot(hash, table->count)], sizeof slot);
	return slot.flags & LB_SLOT_MOVED;
}

void flow_table_forget(const struct tables *t, const struct lb_config *config)
{
	for (uint32_t i = 0; i < t->flow_count; i++)
		for (unsigned way = 0; way < LB_FLOW_WAYS; way++) {
			struct lb_flow_entry *e = &t->flows[i].entry[way];
			union lb_flow_word w = {.whole = lb_flow_load(e)}, none = {.s.turn = w.s.turn + 1};

			/* Whoever takes the entry meanwhile changes its word, and keeps it. */
			if (w.s.stage >= LB_FLOW_EMBRYONIC && !is_looked_up(t, config, &e->key, w.s.stage))
				__sync_val_compare_and_swap(&e->state, w.whole, none.whole);
		}
}
