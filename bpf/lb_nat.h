/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * dnat ([nat]): a packet for a VIP gets a backend's address and port as its destination; what the backend answers comes back through
 * any balancer, which gives it the VIP as its source. No state: a backend's address and port belong to one VIP, so the reply says whose it
 * is.
 *
 *   client > VIP:port       --lb_nat_send-->   client > backend:port     to the backend's next hop
 *   backend:port > client   --lb_nat_reply-->  VIP:port > client         to the gateway
 *
 * An ICMP error is about a packet that goes the other way, so what is quoted in it is changed on its other side; that of a router
 * behind the balancer seems to come from the VIP, for the router's address means nothing to the client. Later fragments have no ports.
 * What a backend sends to the balancer's own address answers a health check, and passes. Checksums are adjusted by what changed (RFC 1624,
 * equation 3), so that a wrong one stays wrong; a datagram without one stays so (RFC 768). Hop limits stay as they are: a packet that was
 * rewritten is nothing that would be rewritten again. A backend on this host gets the packet as it is ([local]): its replies never come
 * in by an interface, so it must listen at the VIP itself. A client in the backends' own network is answered past every balancer, from an
 * address that it never spoke to: its connections break.
 */
#ifndef HF_BPF_LB_NAT_H
#define HF_BPF_LB_NAT_H

#include "bpf/lb_encap.h"

/* What is to be written where. Numbers: it goes to a function that the verifier proves apart. */
struct lb_nat {
	struct lb_address addr;
	struct lb_mac next_hop;
	__be16 port; /* 0: as it is */
	__u32 l3;
	__u32 l4;
	__u32 quoted; /* offset of the ports in what an ICMP error quotes */
	__u32 end;    /* of the IP packet */
	__u8 family;
	__u8 proto;
	__u8 flags;  /* of struct lb_flow */
	__u8 source; /* written in the place of the source, else of the destination */
	__u8 stays;  /* the frame isn't turned round: there is more to write */
};

/* Writes a field, and returns what that adds to a sum over it. */
LB_INLINE __u64 lb_nat_write(__be16 *field, __be16 is)
{
	__be16 was = *field;

	*field = is;
	return (__u64)(__u16)~was + is;
}

/* A checksum over what changed by this much. */
LB_INLINE __u64 lb_nat_adjust(__be16 *sum, __u64 change)
{
	return lb_nat_write(sum, lb_sum_fold((__u64)(__u16) ~*sum + change));
}

/* The address in the IP header at l3, and the header's checksum. What a sum over the address changes by is added to *ret_address, that of a
 * sum over the header to *ret_bytes. */
LB_INLINE void lb_nat_ip(const struct lb_packet *p, const struct lb_nat *n, __u32 l3, _Bool source, __u64 *ret_address, __u64 *ret_bytes)
{
	__u32 at = l3 + (n->family == LB_IP4 ? (source ? 12 : 16) : (source ? 8 : 24));
	__u32 words = n->family == LB_IP4 ? 1 : 4;
	__u64 change = 0;

	for (__u32 i = 0; i < 4 && i < words; i++) {
		struct lb_word *word = lb_at(p, at + 4 * i, sizeof *word);

		if (!word)
			return;
		change += (__u64)(__u32)~word->is + n->addr.word[i];
		word->is = n->addr.word[i];
	}
	*ret_address += change;
	*ret_bytes += change;
	if (n->family == LB_IP4) {
		__be16 *sum = lb_at(p, l3 + 10, sizeof *sum);

		if (sum)
			*ret_bytes += lb_nat_adjust(sum, change);
	}
}

/* The port, and the checksum if there is one: a quote may end before it. Returns what a sum over both changes by. */
LB_INLINE __u64 lb_nat_transport(const struct lb_packet *p, const struct lb_nat *n, __u32 l4, _Bool source, __u64 address)
{
	__be16 *port = lb_at(p, l4 + (source ? 0 : 2), sizeof *port), *sum;
	__u32 at = l4 + (n->proto == LB_PROTO_TCP ? 16 : 6);
	__u64 change = 0;

	if (!port)
		return 0;
	if (n->port)
		change = lb_nat_write(port, n->port);
	sum = lb_at(p, at, sizeof *sum);
	if (!sum || at + sizeof *sum > n->end || (n->proto == LB_PROTO_UDP && !*sum))
		return change;
	change += lb_nat_adjust(sum, address + change);
	if (n->proto == LB_PROTO_UDP && !*sum)
		change += lb_nat_write(sum, 0xffff);
	return change;
}

LB_INLINE void lb_nat_error(const struct lb_packet *p, const struct lb_nat *n, __u64 outer)
{
	__u32 l4 = n->l4 & LB_WALK_MAX;
	__u64 address = 0, bytes = 0;
	__be16 *sum;

	lb_nat_ip(p, n, l4 + sizeof(struct lb_icmp), !n->source, &address, &bytes);
	bytes += lb_nat_transport(p, n, n->quoted & LB_WALK_MAX, !n->source, address);
	sum = lb_at(p, l4 + 2, sizeof *sum);
	if (sum)
		lb_nat_adjust(sum, n->family == LB_IP4 ? bytes : bytes + outer);
}

LB_APART int lb_nat_rewrite(lb_frame *frame, struct lb_nat *n)
{
	__u64 address = 0, bytes = 0;
	struct lb_packet p;

	if (!frame || !n)
		return 0;
	p = lb_packet_of(frame);
	lb_nat_ip(&p, n, n->l3 & LB_WALK_MAX, n->source, &address, &bytes);
	if (n->flags & LB_FLOW_IS_ERROR)
		lb_nat_error(&p, n, address);
	else if (!(n->flags & LB_FLOW_IS_LATER))
		lb_nat_transport(&p, n, n->l4 & LB_WALK_MAX, n->source, address);
	return n->stays || lb_link_turn(&p, &n->next_hop);
}

LB_INLINE struct lb_nat lb_nat_of(const struct lb_flow *f)
{
	return (struct lb_nat){
		.l3 = f->l3,
		.l4 = f->l4,
		.quoted = f->quoted,
		.end = f->l3 + f->size,
		.family = f->family,
		.proto = f->proto,
		.flags = f->flags,
	};
}

/* To a backend of the VIP's family. */
LB_INLINE _Bool lb_nat_send(const struct lb_packet *p, const struct lb_flow *f, const struct lb_backend *b)
{
	struct lb_nat n = lb_nat_of(f);

	n.addr = b->addr;
	n.next_hop = b->mac;
	n.port = b->port;
	return lb_nat_rewrite(p->frame, &n) != 0;
}

LB_INLINE _Bool lb_nat_to_self(const struct lb_config *cfg, const struct lb_flow *f)
{
	__u32 differ = 0;

	if (f->family == LB_IP4)
		return f->dst.word[0] == cfg->source4;
	for (int i = 0; i < 4; i++)
		differ |= f->dst.word[i] ^ cfg->source6.word[i];
	return !differ;
}

/* What no service is for: LB_SEND if it came from a backend and is the VIP's now, else LB_PASS. */
LB_INLINE enum lb_verdict lb_nat_reply(const struct lb_config *cfg, const struct lb_packet *p, const struct lb_flow *f)
{
	const struct lb_reply *reply = lb_reply_find(f);
	struct lb_nat n;

	if (!reply || lb_nat_to_self(cfg, f))
		return LB_PASS;
	n = lb_nat_of(f);
	n.addr = reply->vip;
	n.next_hop = f->family == LB_IP4 ? cfg->gateway4 : cfg->gateway6;
	n.port = reply->port;
	n.source = 1;
	return lb_nat_rewrite(p->frame, &n) ? LB_SEND : LB_PASS;
}

#endif
