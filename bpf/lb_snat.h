/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * snat ([nat]): like dnat, and the packet gets a source of the balancer's own as well, so that a backend needs no route to the client.
 *
 *   client > VIP:port        --lb_snat_send-->    own:port > backend:port    to the backend's next hop
 *   backend:port > own:port  --lb_snat_reply-->   VIP:port > client          to the gateway
 *
 * lb_snat_table.h has the connections. A SYN or a datagram begins one; what belongs to none and begins none is dropped by name when it came
 * to a VIP, and passes when it came to the balancer's own address, which is the host's too. A connection keeps its backend while that
 * lives. What quotes a packet, an ICMP error, has both sides changed outside and inside. The backends see one host: fragments of two
 * clients' datagrams may bear one id there, as behind any NAT that doesn't put datagrams together.
 */
#ifndef HF_BPF_LB_SNAT_H
#define HF_BPF_LB_SNAT_H

#include "bpf/lb_nat.h"
#include "bpf/lb_snat_table.h"

/* The flags of the packet itself; none of a datagram, of a later fragment and of what an error is about. */
LB_INLINE __u8 lb_snat_tcp_flags(const struct lb_packet *p, const struct lb_flow *f)
{
	const struct lb_tcp *tcp;

	if (f->proto != LB_PROTO_TCP || f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_LATER))
		return 0;
	tcp = lb_at(p, f->l4 & LB_WALK_MAX, sizeof *tcp);
	return tcp ? tcp->flags : 0;
}

/* An error about a packet, or a piece of one, is no sign of life. */
LB_INLINE void lb_snat_seen(const struct lb_packet *p, const struct lb_flow *f, __u32 number, __u32 side)
{
	if (!(f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_LATER)))
		lb_snat_touch(number, lb_snat_tcp_flags(p, f), side);
}

/* The backend of a connection that is known; its number in *d. */
LB_INLINE const struct lb_backend *lb_snat_known(const struct lb_config *cfg, const struct lb_service *s, const struct lb_flow *f,
						 struct lb_decision *d)
{
	const struct lb_backend *b;
	struct lb_snat_flow q;

	(void)lb_slot_find(cfg, s, f, d);
	if (!d->has_slot) /* connection IDs may name backends of a service without slots */
		d->hash = (__u32)lb_hash_flow(cfg, f);
	q = (struct lb_snat_flow){.client = lb_flow_key_of(f, d->service), .hash = d->hash};
	d->begins = 1;
	if (!lb_snat_find(&q))
		return (void *)0;
	d->snat = q.number;
	if (q.stage == LB_FLOW_CLOSED && f->flags & LB_FLOW_IS_SYN)
		return (void *)0;
	b = lb_backend_alive(s, q.backend);
	if (!b || !lb_snat_address_equal(&b->addr, &q.backend_addr))
		return (void *)0;
	d->begins = 0;
	d->backend = s->backend_base + q.backend;
	d->choice = LB_BY_TABLE;
	return b;
}

/* Whether a packet of no connection may begin one. */
LB_INLINE _Bool lb_snat_begins(const struct lb_flow *f)
{
	return !(f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_LATER)) && (f->proto == LB_PROTO_UDP || f->flags & LB_FLOW_IS_SYN);
}

/* The connection's number, which is a new one if it has none. 0: there is no room. */
LB_INLINE __u32 lb_snat_number(const struct lb_service *s, const struct lb_flow *f, const struct lb_backend *b, const struct lb_decision *d)
{
	struct lb_snat_flow q;

	if (!d->begins)
		return d->snat;
	q = (struct lb_snat_flow){
		.client = lb_flow_key_of(f, d->service),
		.backend_addr = b->addr,
		.hash = d->hash,
		.number = d->snat,
		.backend = (__u16)(d->backend - s->backend_base),
		.backend_port = b->port ? b->port : f->dport,
		.proto = f->proto,
		.family = f->family,
	};
	return lb_snat_open(&q) ? q.number : 0;
}

/* To a backend of the VIP's family. */
LB_INLINE enum lb_verdict lb_snat_send(const struct lb_config *cfg, const struct lb_packet *p, const struct lb_service *s,
				       const struct lb_flow *f, const struct lb_backend *b, struct lb_decision *d)
{
	__u32 number = lb_snat_number(s, f, b, d), ports = cfg->snat_ports;
	const struct lb_snat_address *own = number && ports ? lb_snat_address_at((number - 1) / ports) : (void *)0;
	struct lb_nat n;

	if (!own || own->family != f->family) {
		d->reason = LB_REASON_SNAT_EXHAUSTED;
		return LB_DROP;
	}
	lb_snat_seen(p, f, number, 1);
	n = lb_nat_of(f);
	n.addr = b->addr;
	n.port = b->port;
	n.stays = 1;
	(void)lb_nat_rewrite(p->frame, &n);
	n.addr = own->addr;
	n.port = LB_HTONS(LB_SNAT_PORT_FIRST + (number - 1) % ports);
	n.next_hop = b->mac;
	n.source = 1;
	n.stays = 0;
	return lb_nat_rewrite(p->frame, &n) ? LB_SEND : LB_PASS;
}

LB_INLINE struct lb_address lb_snat_client(const struct lb_flow_key *key)
{
	return (struct lb_address){{(__u32)key->word[0], (__u32)(key->word[0] >> 32), (__u32)key->word[1], (__u32)(key->word[1] >> 32)}};
}

/* What no service is for: LB_SEND if it is a backend's reply and the VIP's now, else LB_PASS. */
LB_INLINE enum lb_verdict lb_snat_reply(const struct lb_config *cfg, const struct lb_packet *p, const struct lb_flow *f)
{
	struct lb_snat_flow q = {
		.backend_addr = f->src,
		.own = f->dst,
		.backend_port = f->sport,
		.own_port = f->dport,
		.proto = f->proto,
		.family = f->family,
	};
	const struct lb_service *s;
	struct lb_nat n;

	if (!lb_snat_match(&q))
		return LB_PASS;
	s = lb_service_at((__u32)(q.client.word[2] >> 32));
	if (!s || s->delivery != LB_SNAT || s->family != f->family)
		return LB_PASS;
	lb_snat_seen(p, f, q.number, 2);
	n = lb_nat_of(f);
	n.addr = s->vip;
	n.port = (__be16)q.client.word[2];
	n.source = 1;
	n.stays = 1;
	(void)lb_nat_rewrite(p->frame, &n);
	n.addr = lb_snat_client(&q.client);
	n.port = (__be16)(q.client.word[2] >> 16);
	n.next_hop = f->family == LB_IP4 ? cfg->gateway4 : cfg->gateway6;
	n.source = 0;
	n.stays = 0;
	return lb_nat_rewrite(p->frame, &n) ? LB_SEND : LB_PASS;
}

#endif
