/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The connections of snat ([nat]): an entry for each port of the balancer's own addresses, so that a reply finds its connection by the
 * port it came to, and an index by the flow's hash, so that what the client sends finds it too. Cores share both without a lock:
 *
 *   FREE or expired --compare-and-swap--> BUSY --the rest written, then one store--> EMBRYONIC or DATAGRAM
 *   EMBRYONIC --something but a SYN from the client--> CONFIRMED --FIN from both sides, or a RST--> CLOSED
 *
 * Nothing is swept: an entry is free again when its time is over. A core opens connections at ports of its own, so two of them seldom meet
 * at one; where it begins to look follows from the flow's hash and the time, so that outsiders can't tell the port and a client whose SYN
 * found none finds others the next time. A live entry is never given up: when all that were looked at are live, there is no room.
 *
 * A way of the index may be out of date, because its entry went to another flow: whole keys are compared in the entry.
 */
#ifndef HF_BPF_LB_SNAT_TABLE_H
#define HF_BPF_LB_SNAT_TABLE_H

#include "bpf/lb_flow.h"
#include "bpf/lb_wire.h"

#define LB_SNAT_PROBES 32
#define LB_SNAT_TRIES 3 /* to change a state that other cores change too */

/* The compiler keeps what is before before what is behind; x86 does by itself, as far as it matters here: stores, and loads. */
#define LB_SNAT_ORDER() asm volatile("" ::: "memory")

/* Defined by the includer: what the maps hold, or NULL; the number of this core; the configuration; the monotonic clock. */
LB_INLINE const struct lb_snat_address *lb_snat_address_at(__u32 index);
LB_INLINE struct lb_snat *lb_snat_at(__u32 number);
LB_INLINE struct lb_snat_bucket *lb_snat_bucket_at(__u32 index);
LB_INLINE __u32 lb_core(void);
LB_INLINE const struct lb_config *lb_config_get(void);
LB_INLINE __u64 lb_now_ns(void);

union lb_snat_word {
	__u64 whole;
	struct lb_snat_state s;
};

/* A connection on its way through functions that the verifier proves apart. */
struct lb_snat_flow {
	struct lb_flow_key client;
	struct lb_address backend_addr;
	struct lb_address own; /* the balancer's address that a reply came to */
	__u32 hash;
	__u32 number; /* of its entry, counted from 1 */
	__u16 backend;
	__be16 backend_port;
	__be16 own_port;
	__u8 proto;
	__u8 family;
	__u8 stage;
};

LB_INLINE __u32 lb_snat_now(void)
{
	return (__u32)(lb_now_ns() >> LB_TICK_SHIFT);
}

/* What is read of the entry after this was there when, or after, the state was so. */
LB_INLINE union lb_snat_word lb_snat_load(const struct lb_snat *e)
{
	union lb_snat_word w = {.whole = *(const volatile __u64 *)&e->state};

	LB_SNAT_ORDER();
	return w;
}

LB_INLINE _Bool lb_snat_live(const struct lb_config *cfg, union lb_snat_word w, __u32 now)
{
	return w.s.stage >= LB_FLOW_EMBRYONIC &&
	       (__s32)(now - w.s.seen_ticks) <= (__s32)cfg->idle_ticks[w.s.stage & (LB_FLOW_STAGES - 1)]; /* as in lb_flow_live() */
}

LB_INLINE _Bool lb_snat_address_equal(const struct lb_address *a, const struct lb_address *b)
{
	__u32 differ = 0;

	for (int i = 0; i < 4; i++)
		differ |= a->word[i] ^ b->word[i];
	return !differ;
}

/* The place of an own address among all; -1 if it is none. */
LB_INLINE int lb_snat_place(const struct lb_address *addr, __u8 family)
{
	__u32 first = family == LB_IP4 ? 0 : LB_SNAT_FAMILY;

	for (__u32 i = 0; i < LB_SNAT_FAMILY; i++) {
		const struct lb_snat_address *a = lb_snat_address_at(first + i);

		if (a && a->family == family && lb_snat_address_equal(&a->addr, addr))
			return (int)(first + i);
	}
	return -1;
}

LB_INLINE __u32 lb_snat_way(__u32 hash, __u32 number)
{
	return hash >> LB_SNAT_NUMBER_BITS << LB_SNAT_NUMBER_BITS | number;
}

/* The entry of a way, if there may be the one that is looked for. */
LB_INLINE struct lb_snat *lb_snat_of_way(__u32 way)
{
	__u32 number = way & ((1u << LB_SNAT_NUMBER_BITS) - 1);

	return number ? lb_snat_at(number - 1) : (struct lb_snat *)0;
}

/* The live connection of a client's flow: 1 with what the entry says of it, 0 with nothing changed if there is none. */
LB_APART int lb_snat_find(struct lb_snat_flow *q)
{
	const struct lb_config *cfg = lb_config_get();
	const struct lb_snat_bucket *bucket;
	__u32 now = lb_snat_now();

	if (!q || !cfg)
		return 0;
	bucket = lb_snat_bucket_at(q->hash & cfg->snat_mask);
	for (int i = 0; bucket && i < LB_SNAT_WAYS; i++) {
		__u32 way = *(const volatile __u32 *)&bucket->way[i];
		struct lb_address backend_addr;
		__u16 backend, backend_port;
		union lb_snat_word w;
		struct lb_snat *e;

		if ((way ^ q->hash) >> LB_SNAT_NUMBER_BITS)
			continue;
		e = lb_snat_of_way(way);
		if (!e)
			continue;
		w = lb_snat_load(e);
		if (!lb_snat_live(cfg, w, now) || !lb_flow_key_equal(&e->client, &q->client))
			continue;
		backend_addr = e->backend_addr;
		backend = e->backend;
		backend_port = e->backend_port;
		LB_SNAT_ORDER();
		if (lb_snat_load(e).s.turn != w.s.turn)
			return 0;
		q->number = way & ((1u << LB_SNAT_NUMBER_BITS) - 1);
		q->backend_addr = backend_addr;
		q->backend = backend;
		q->backend_port = backend_port;
		q->stage = w.s.stage;
		return 1;
	}
	return 0;
}

/* Into the index, over what is out of date there. 0: all ways are those of live connections. */
LB_INLINE _Bool lb_snat_note(const struct lb_config *cfg, __u32 hash, __u32 number, __u32 now)
{
	struct lb_snat_bucket *bucket = lb_snat_bucket_at(hash & cfg->snat_mask);

	for (int i = 0; bucket && i < LB_SNAT_WAYS; i++) {
		__u32 way = *(volatile __u32 *)&bucket->way[i];
		const struct lb_snat *e = lb_snat_of_way(way);

		if (e && lb_snat_live(cfg, lb_snat_load(e), now) && !((e->hash ^ hash) & cfg->snat_mask))
			continue;
		if (__sync_val_compare_and_swap(&bucket->way[i], way, lb_snat_way(hash, number)) == way)
			return 1;
	}
	return 0;
}

/* The entry that is looked at in this turn, counted from 0; some number that no entry has if there is no such address. */
LB_INLINE __u32 lb_snat_probe(const struct lb_config *cfg, const struct lb_snat_flow *q, __u32 turn, __u32 now)
{
	__u64 mix = ((__u64)now << 32 | q->hash) + turn * 0x9e3779b97f4a7c15ULL;
	__u32 first = q->family == LB_IP4 ? 0 : LB_SNAT_FAMILY, places = q->family == LB_IP4 ? cfg->snat4 : cfg->snat6;
	const struct lb_snat_address *a;
	__u32 share, port, place;

	mix = (mix ^ cfg->secret[0]) * 0xc4ceb9fe1a85ec53ULL;
	mix = (mix ^ mix >> 29) * 0xff51afd7ed558ccdULL;
	place = first + (__u32)((mix >> 48) * places >> 16);
	share = cfg->cores ? cfg->snat_ports / cfg->cores : 0;
	port = (__u32)((mix >> 32 & 0xffff) * share >> 16) * cfg->cores + (cfg->cores ? lb_core() % cfg->cores : 0);
	a = lb_snat_address_at(place);
	return a && a->family == q->family && share ? place * cfg->snat_ports + port : ~0u;
}

LB_INLINE void lb_snat_fill(struct lb_snat *e, const struct lb_snat_flow *q)
{
	lb_flow_key_store(&e->client, &q->client);
	e->backend_addr = q->backend_addr;
	e->hash = q->hash;
	e->backend = q->backend;
	e->backend_port = q->backend_port;
	e->proto = q->proto;
	e->family = q->family;
}

/* An entry for a new connection: the flow's own if it had one, else a free one. 1 with its number, 0 if there is no room. */
LB_APART int lb_snat_open(struct lb_snat_flow *q)
{
	const struct lb_config *cfg = lb_config_get();
	__u32 now = lb_snat_now();

	if (!q || !cfg)
		return 0;
	for (__u32 turn = 0; turn < LB_SNAT_PROBES; turn++) {
		_Bool own = q->number && !turn;
		__u32 number = own ? q->number - 1 : lb_snat_probe(cfg, q, turn, now);
		struct lb_snat *e = lb_snat_at(number);
		union lb_snat_word was, next = {0};

		if (!e)
			continue;
		was = lb_snat_load(e);
		next.s = (struct lb_snat_state){.stage = LB_FLOW_BUSY, .turn = was.s.turn + 1, .seen_ticks = now};
		if (was.s.stage == LB_FLOW_BUSY || (!own && lb_snat_live(cfg, was, now)) ||
		    __sync_val_compare_and_swap(&e->state, was.whole, next.whole) != was.whole)
			continue;
		lb_snat_fill(e, q);
		q->number = number + 1;
		next.s.stage = q->proto == LB_PROTO_UDP ? LB_FLOW_DATAGRAM : LB_FLOW_EMBRYONIC;
		if (!own && !lb_snat_note(cfg, q->hash, q->number, now))
			next.s.stage = LB_FLOW_FREE;
		LB_SNAT_ORDER();
		*(volatile __u64 *)&e->state = next.whole;
		return next.s.stage != LB_FLOW_FREE;
	}
	return 0;
}

/* The live connection that a packet from a backend to an own address belongs to: 1 with its client, 0 with nothing changed if there is
 * none. */
LB_APART int lb_snat_match(struct lb_snat_flow *q)
{
	const struct lb_config *cfg = lb_config_get();
	union lb_snat_word w;
	struct lb_flow_key client;
	struct lb_address own;
	struct lb_snat *e;
	__u32 port;
	int place;

	if (!q || !cfg)
		return 0;
	own = q->own;
	place = lb_snat_place(&own, q->family);
	port = LB_NTOHS(q->own_port) - LB_SNAT_PORT_FIRST;
	if (place < 0 || port >= cfg->snat_ports)
		return 0;
	e = lb_snat_at((__u32)place * cfg->snat_ports + port);
	if (!e)
		return 0;
	w = lb_snat_load(e);
	if (!lb_snat_live(cfg, w, lb_snat_now()) || e->proto != q->proto || e->family != q->family || e->backend_port != q->backend_port)
		return 0;
	for (int i = 0; i < 4; i++)
		if (e->backend_addr.word[i] != q->backend_addr.word[i])
			return 0;
	client = e->client;
	LB_SNAT_ORDER();
	if (lb_snat_load(e).s.turn != w.s.turn)
		return 0;
	q->client = client;
	q->number = (__u32)place * cfg->snat_ports + port + 1;
	return 1;
}

LB_INLINE struct lb_snat_state lb_snat_next(struct lb_snat_state s, __u8 tcp_flags, __u8 side)
{
	if (s.stage == LB_FLOW_EMBRYONIC && side == 1 && !(tcp_flags & LB_TCP_SYN))
		s.stage = LB_FLOW_CONFIRMED;
	if (tcp_flags & LB_TCP_FIN)
		s.fins |= side;
	if (tcp_flags & LB_TCP_RST || s.fins == 3)
		s.stage = s.stage == LB_FLOW_DATAGRAM ? s.stage : LB_FLOW_CLOSED;
	return s;
}

/* A packet of a connection, from the client (side 1) or its backend (side 2). As with flows, the time is stored only when it is a 64th of
 * the idle time old. */
LB_APART int lb_snat_touch(__u32 number, __u32 tcp_flags, __u32 side)
{
	const struct lb_config *cfg = lb_config_get();
	struct lb_snat *e = lb_snat_at(number - 1);
	__u32 now = lb_snat_now();

	if (!cfg || !e)
		return 0;
	for (int i = 0; i < LB_SNAT_TRIES; i++) {
		union lb_snat_word was = lb_snat_load(e), next;

		if (was.s.stage < LB_FLOW_EMBRYONIC)
			return 0;
		next.s = lb_snat_next(was.s, (__u8)tcp_flags, (__u8)side);
		if (next.whole != was.whole || now - was.s.seen_ticks > cfg->idle_ticks[was.s.stage & (LB_FLOW_STAGES - 1)] >> 6)
			next.s.seen_ticks = now;
		if (next.whole == was.whole || __sync_val_compare_and_swap(&e->state, was.whole, next.whole) == was.whole)
			return 1;
	}
	return 0;
}

#endif
