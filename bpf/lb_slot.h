/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which backend answers: the slot's word, and for a slot that moved lately the flow table ([slot]).
 *
 *   unmoved                         current; no table is touched
 *   moved, flow known, owner lives  that owner
 *   moved, SYN                      current, recorded; also where the flow known has ended, and its port may be taken again
 *   moved, anything else            previous, recorded: the flow began before the move
 *   moved, datagram                 previous for udp_idle after the move, then current; recorded ([udp])
 *
 *   moved, chain mode, SYN          current
 *   moved, chain mode, else         current, with the earlier live owners as hops ([chain]): nothing is recorded
 *
 * Round robin and two choices record every flow: their slots are treated as moved always, but for that a datagram without an entry begins a
 * flow unless its slot has moved indeed. A new flow's current is the next in turn, or of two the one with fewer flows for its weight
 * ([schedulers]).
 *
 * A backend in slow start leaves a falling part of its slots' new flows to their earlier owners, and what they get is recorded or handed on
 * as any other flow of theirs.
 *
 * An owner that died since the word was written counts as not there: the other one answers.
 *
 * A packet that goes to another backend than a new flow could get by its slot leaves the time there: by it the daemon knows how long
 * older owners have been without packets ([generations]). In chain mode it is the backends' side that knows.
 */
#ifndef HF_BPF_LB_SLOT_H
#define HF_BPF_LB_SLOT_H

#include "bpf/lb_flow.h"
#include "bpf/lb_hash.h"
#include "bpf/lb_service.h"

/* Defined by the includer: what the maps hold, or NULL; the monotonic clock. */
LB_INLINE const struct lb_config *lb_config_get(void);
LB_INLINE const __u64 *lb_slot_at(__u32 index);
LB_INLINE const struct lb_backend *lb_backend_at(__u32 index);
LB_INLINE struct lb_flow_bucket *lb_flow_bucket_at(__u32 index);
LB_INLINE __u64 lb_now_ns(void);
LB_INLINE const struct lb_load *lb_load_at(__u32 backend);
/* A flow that this backend gets by two choices begins. */
LB_INLINE void lb_load_add(__u32 backend);
/* How many turns of a service's round robin were taken before this one. */
LB_INLINE __u64 lb_turn_take(__u32 service);

/* A packet went to this backend, in lb_backends, as an older owner of its slot: the time is to be noted there. */
LB_INLINE void lb_backend_mark_older(__u32 index, __u32 now);

#define LB_RAMP_MIX 0x9e3779b1u /* the hash has chosen bucket and slot already: other bits of it decide here */

/* Why a backend was chosen: what `holdfast lb explain` prints. */
enum lb_choice {
	LB_BY_NOTHING,
	LB_BY_SLOT,
	LB_BY_TABLE,
	LB_BY_CURRENT,
	LB_BY_PREVIOUS,
	LB_BY_CONNECTION_ID,
};

#define LB_HOP_PLACES 4 /* a power of two, for the verifier */
static_assert(LB_HOPS_MAX <= LB_HOP_PLACES, "hops have their places");

/* What was decided. Numbers, no pointers: it goes through functions that the verifier proves apart. */
struct lb_decision {
	__u32 service;          /* in lb_services */
	__u32 backend;          /* in lb_backends */
	__u32 slot;             /* in lb_slots */
	__u32 hash;             /* of the flow, for what wants to spread by it */
	__u16 hop[LB_HOP_PLACES]; /* to try after the backend, counted from the service's first */
	__u8 hop_count;
	__u8 choice;
	__u8 reason;
	__u8 may_reply; /* it is for no service, but may be a backend's reply */
	__u8 has_slot;  /* slot and hash are known: lb_slot_find() was here */
	__u8 begins;    /* with snat: a connection, anew if it has a number */
	__u32 snat;     /* the connection's number in lb_snats, counted from 1; 0: none yet */
};

/* A flow through a moved slot, and the backend that it gets. */
struct lb_moved {
	struct lb_flow_key key;
	__u32 service;
	struct lb_slot slot;
	__u32 hash;
	__u32 second; /* another slot by the same hash, in lb_slots ([schedulers]) */
	__u8 udp;
	__u8 syn;
	__u8 choice;
	__u8 hop_count;
	__u16 hop[LB_HOP_PLACES];
	__u32 backend; /* this and the hops are counted from the service's first */
	__u16 owner;   /* the slot's current one by its word, whoever is in its place for a new flow */
	__u8 ends;
	__u8 begins; /* it is a new flow, as far as can be told */
};

/* The one in use. */
LB_INLINE const struct lb_table *lb_table_of(const struct lb_service *s)
{
	__u32 current = ((const volatile struct lb_service *)s)->current;

	return &s->table[current < LB_SERVICE_TABLES ? current : 0];
}

/* The backend of this number if it is there and alive. */
LB_INLINE const struct lb_backend *lb_backend_alive(const struct lb_service *s, __u32 backend)
{
	const struct lb_backend *b;

	if (backend >= s->backend_count)
		return (void *)0;
	b = lb_backend_at(s->backend_base + backend);
	return b && b->flags & LB_BACKEND_ALIVE ? b : (void *)0;
}

LB_INLINE struct lb_flow_key lb_flow_key_of(const struct lb_flow *f, __u32 service)
{
	return (struct lb_flow_key){{
		(__u64)f->src.word[1] << 32 | f->src.word[0],
		(__u64)f->src.word[3] << 32 | f->src.word[2],
		(__u64)service << 32 | (__u32)f->sport << 16 | f->dport,
	}};
}

LB_INLINE _Bool lb_moved_to(const struct lb_service *s, struct lb_moved *m, __u16 backend, __u8 choice)
{
	if (!lb_backend_alive(s, backend))
		return 0;
	m->backend = backend;
	m->choice = choice;
	return 1;
}

/* Without the table. */
LB_INLINE _Bool lb_moved_first(const struct lb_service *s, struct lb_moved *m, _Bool previous_first)
{
	if (previous_first && lb_moved_to(s, m, m->slot.previous, LB_BY_PREVIOUS))
		return 1;
	return lb_moved_to(s, m, m->slot.current, LB_BY_CURRENT) || lb_moved_to(s, m, m->slot.previous, LB_BY_PREVIOUS);
}

LB_INLINE void lb_add_hop(const struct lb_service *s, struct lb_moved *m, __u16 backend)
{
	if (backend == m->backend || (m->hop_count && backend == m->hop[0]) || (m->hop_count > 1 && backend == m->hop[1]) ||
	    !lb_backend_alive(s, backend))
		return;
	if (m->hop_count < LB_HOPS_MAX)
		m->hop[m->hop_count++ & (LB_HOP_PLACES - 1)] = backend;
}

LB_INLINE __u16 lb_slot_current(__u32 index)
{
	const __u64 *word = lb_slot_at(index);

	return word ? ((const volatile struct lb_slot *)word)->current : 0;
}

/* The slot of this number; other, if there is none. */
LB_INLINE struct lb_slot lb_slot_or(__u32 index, struct lb_slot other)
{
	const __u64 *word = lb_slot_at(index);
	union {
		__u64 word;
		struct lb_slot s;
	} slot = {.s = other};

	if (word)
		slot.word = *(const volatile __u64 *)word;
	return slot.s;
}

/* Both are in lb_loads wherever there are backends. */
LB_INLINE _Bool lb_is_less_loaded(const struct lb_service *s, __u16 backend, __u16 than)
{
	const struct lb_load *a = lb_load_at(s->backend_base + backend), *b = lb_load_at(s->backend_base + than);

	return a && b && (__u64)a->flows * b->weight < (__u64)b->flows * a->weight;
}

/* Slow start ([schedulers]): who came lately gets a part of its slots' new flows that grows with time, by the flow's hash; the others go to
 * the oldest owner that is another one. */
LB_INLINE void lb_ramp(const struct lb_service *s, struct lb_moved *m, __u32 now)
{
	const struct lb_backend *b = lb_backend_alive(s, m->slot.current);
	__u16 other = m->slot.previous != m->slot.current ? m->slot.previous : m->slot.between;
	__u32 since, ticks;

	if (!b || !b->ramp_ticks)
		return;
	ticks = b->ramp_ticks;
	since = now - b->ramp_from;
	if (since < ticks && (__u64)(m->hash * LB_RAMP_MIX >> 16) * ticks >> 16 >= since && lb_backend_alive(s, other))
		m->slot.current = other;
}

/* Puts the backend of a new flow in the place of current ([schedulers]). */
LB_INLINE void lb_schedule(const struct lb_service *s, struct lb_moved *m, __u32 now)
{
	const struct lb_table *t = lb_table_of(s);
	__u16 other;

	if (s->scheduler == LB_ROUND_ROBIN && t->count) {
		m->slot.current = lb_slot_current(t->base + (__u32)(lb_turn_take(m->service) % t->count));
	} else if (s->scheduler == LB_TWO_CHOICES) {
		other = lb_slot_current(m->second);
		if (lb_backend_alive(s, other) &&
		    (!lb_backend_alive(s, m->slot.current) || lb_is_less_loaded(s, other, m->slot.current)))
			m->slot.current = other;
	}
	lb_ramp(s, m, now);
	m->begins = 1;
}

/*
 * Who may have a connection that the backend doesn't know: the latest owners first. By two choices it may be one of either slot, and the hops
 * suffice for one change that moved both.
 */
LB_INLINE void lb_add_hops(const struct lb_service *s, struct lb_moved *m)
{
	struct lb_slot second = s->scheduler == LB_TWO_CHOICES ? lb_slot_or(m->second, m->slot) : m->slot;

	if (s->scheduler == LB_TWO_CHOICES)
		lb_add_hop(s, m, second.current);
	lb_add_hop(s, m, m->slot.between);
	lb_add_hop(s, m, second.between);
	lb_add_hop(s, m, m->slot.previous);
	lb_add_hop(s, m, second.previous);
}

/* Chain mode: the backends themselves find whose connection it is. */
LB_INLINE _Bool lb_moved_chained(const struct lb_service *s, struct lb_moved *m, __u32 now)
{
	if (m->syn)
		lb_schedule(s, m, now);
	if (!lb_moved_first(s, m, 0))
		return 0;
	m->hop_count = 0;
	if (!m->syn)
		lb_add_hops(s, m);
	return 1;
}

/* Whether a flow that the table doesn't know began before its slot moved, as far as can be told. */
LB_INLINE _Bool lb_began_before(const struct lb_config *cfg, const struct lb_service *s, const struct lb_moved *m, __u32 now)
{
	if (m->udp)
		return m->slot.flags & LB_SLOT_MOVED && now - lb_table_of(s)->moved_ticks <= cfg->idle_ticks[LB_FLOW_DATAGRAM];
	return !m->syn;
}

/* By the flow table and the slot's word; what the table learns is recorded. */
LB_INLINE _Bool lb_moved_recorded(const struct lb_config *cfg, const struct lb_service *s, struct lb_moved *m, __u32 now)
{
	struct lb_flow_bucket *bucket = lb_flow_bucket_at(m->hash & cfg->flow_mask);
	struct lb_flow_entry *e;
	union lb_flow_word w;
	_Bool before;

	if (!bucket)
		return 0;
	e = lb_flow_find(cfg, bucket, &m->key, now, &w);
	if (e && !(m->syn && lb_flow_over(w.s, now)) && lb_moved_to(s, m, w.s.backend, LB_BY_TABLE)) {
		lb_flow_touch(cfg, e, w, m->syn, m->ends, now);
		return 1;
	}
	before = lb_began_before(cfg, s, m, now);
	if (!before)
		lb_schedule(s, m, now);
	if (!lb_moved_first(s, m, before))
		return 0;
	if (lb_flow_put(cfg, bucket, &m->key, (__u16)m->backend, m->udp ? LB_FLOW_DATAGRAM : LB_FLOW_EMBRYONIC, now) || m->udp)
		return 1;
	return lb_moved_first(s, m, 1); /* [flow table]: with nothing recorded, the flow's next packet goes there */
}

/* What round robin has is no older owner's while that has slots: the daemon knows. */
LB_INLINE _Bool lb_moved_is_older(const struct lb_service *s, const struct lb_moved *m)
{
	return m->backend != m->owner && (s->scheduler != LB_TWO_CHOICES || m->backend != lb_slot_current(m->second));
}

LB_APART int lb_choose_moved(struct lb_moved *m)
{
	const struct lb_config *cfg = lb_config_get();
	__u32 now = (__u32)(lb_now_ns() >> LB_TICK_SHIFT);
	const struct lb_service *s;
	_Bool found;

	if (!m || !cfg)
		return 0;
	s = lb_service_at(m->service);
	if (!s)
		return 0;
	if (!m->udp && s->flags & LB_SERVICE_CHAIN && s->scheduler != LB_ROUND_ROBIN)
		found = lb_moved_chained(s, m, now);
	else if (m->udp && s->flags & LB_SERVICE_NO_AFFINITY)
		found = lb_moved_first(s, m, 0);
	else
		found = lb_moved_recorded(cfg, s, m, now);
	if (found && lb_moved_is_older(s, m))
		lb_backend_mark_older(s->backend_base + m->backend, now);
	if (found && m->begins && s->scheduler == LB_TWO_CHOICES)
		lb_load_add(s->backend_base + m->backend);
	return found;
}

/* The word of a flow's slot, its number and the flow's hash in *d; NULL while the service has no slots. */
LB_INLINE const __u64 *lb_slot_find(const struct lb_config *cfg, const struct lb_service *s, const struct lb_flow *f, struct lb_decision *d)
{
	const struct lb_table *t = lb_table_of(s);
	__u64 hash;

	if (d->has_slot)
		return lb_slot_at(d->slot);
	if (!t->count)
		return (void *)0;
	hash = lb_hash_flow(cfg, f);
	d->has_slot = 1;
	d->hash = (__u32)hash;
	d->slot = t->base + lb_hash_slot(s->scheduler == LB_SOURCE ? lb_hash_source(cfg, f) : hash, t->count);
	return lb_slot_at(d->slot);
}

/* The backend, its number and the reason for it in *d; NULL if there is none. */
LB_INLINE const struct lb_backend *lb_choose_backend(const struct lb_config *cfg, const struct lb_service *s, const struct lb_flow *f,
						     struct lb_decision *d)
{
	const struct lb_table *t = lb_table_of(s);
	const __u64 *word = lb_slot_find(cfg, s, f, d);
	union {
		__u64 word;
		struct lb_slot s;
	} slot;
	struct lb_moved m;

	if (!word)
		return (void *)0;
	slot.word = *(const volatile __u64 *)word;
	if (!(slot.s.flags & LB_SLOT_MOVED) && s->scheduler <= LB_SOURCE) {
		d->backend = s->backend_base + slot.s.current;
		d->choice = LB_BY_SLOT;
		return lb_backend_alive(s, slot.s.current);
	}
	m = (struct lb_moved){
		.key = lb_flow_key_of(f, d->service),
		.service = d->service,
		.slot = slot.s,
		.owner = slot.s.current,
		.hash = d->hash,
		.second = t->base + lb_hash_second(d->hash, t->count),
		.udp = f->proto == LB_PROTO_UDP,
		.syn = (f->flags & LB_FLOW_IS_SYN) != 0,
		.ends = (f->flags & LB_FLOW_IS_END) != 0,
	};
	if (!lb_choose_moved(&m))
		return (void *)0;
	d->backend = s->backend_base + m.backend;
	d->choice = m.choice;
	d->hop_count = m.hop_count;
	for (int i = 0; i < LB_HOPS_MAX; i++)
		d->hop[i] = m.hop[i];
	return lb_backend_alive(s, m.backend);
}

#endif
