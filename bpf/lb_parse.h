/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * From a frame to the flow it belongs to: Ethernet, at most two VLAN tags, IPv4 with options or IPv6 with extension
 * headers, the ports of TCP and UDP. What can't be understood is reported as such and is passed on by the caller:
 * a packet that isn't known to be for a VIP is never dropped here.
 */
#ifndef HF_BPF_LB_PARSE_H
#define HF_BPF_LB_PARSE_H

#include "bpf/lb_packet.h"
#include "bpf/lb_tuple.h"

/* More extension headers than this in front of TCP or UDP are nothing that a client sends. */
#define LB_EXTENSIONS_MAX 6

/* Seven headers of 2 KiB, twice with an ICMP error, end below this: a bound for the verifier to see. */
#define LB_WALK_MAX 0x7fff

/* Offset and EtherType of what lies behind Ethernet and the VLAN tags; 0 if it isn't there. */
LB_INLINE __u32 lb_parse_link(const struct lb_packet *p, __be16 *ret_type)
{
	const struct lb_eth *eth = lb_at(p, 0, sizeof *eth);
	__u32 offset = sizeof *eth;
	__be16 type;

	if (!eth)
		return 0;
	type = eth->type;
	for (int i = 0; i < 2 && (type == LB_HTONS(LB_ETH_VLAN) || type == LB_HTONS(LB_ETH_QINQ)); i++) {
		const struct lb_vlan *vlan = lb_at(p, offset, sizeof *vlan);

		if (!vlan)
			return 0;
		type = vlan->type;
		offset += sizeof *vlan;
	}
	*ret_type = type;
	return offset;
}

LB_INLINE int lb_parse_tcp(const struct lb_packet *p, struct lb_flow *f)
{
	const struct lb_tcp *tcp = lb_at(p, f->l4, sizeof *tcp);

	if (!tcp)
		return -1;
	f->sport = tcp->sport;
	f->dport = tcp->dport;
	if ((tcp->flags & (LB_TCP_SYN | LB_TCP_ACK)) == LB_TCP_SYN)
		f->flags |= LB_FLOW_IS_SYN;
	if (tcp->flags & (LB_TCP_FIN | LB_TCP_RST))
		f->flags |= LB_FLOW_IS_END;
	return 0;
}

LB_INLINE int lb_parse_udp(const struct lb_packet *p, struct lb_flow *f)
{
	const struct lb_udp *udp = lb_at(p, f->l4, sizeof *udp);

	if (!udp)
		return -1;
	f->sport = udp->sport;
	f->dport = udp->dport;
	return 0;
}

/* The packet quoted in an ICMP error may be cut off anywhere, so its length isn't held against it. */
LB_INLINE int lb_parse_ip4(const struct lb_packet *p, struct lb_flow *f, _Bool quoted)
{
	const struct lb_ip4 *ip = lb_at(p, f->l3, sizeof *ip);
	__u32 header;

	if (!ip || ip->version_words >> 4 != 4)
		return -1;
	header = (ip->version_words & 15) * 4;
	f->size = LB_NTOHS(ip->length);
	if (header < sizeof *ip || f->size < header || (!quoted && f->size > lb_size(p) - f->l3))
		return -1;
	f->src.word[0] = ip->src;
	f->dst.word[0] = ip->dst;
	f->proto = ip->proto;
	f->family = LB_IP4;
	f->tos = ip->tos;
	f->l4 = f->l3 + header;
	if (ip->fragment & LB_HTONS(LB_IP4_MF | LB_IP4_OFFSET)) {
		f->id = ip->id;
		f->flags |= LB_FLOW_IS_FRAGMENT | (ip->fragment & LB_HTONS(LB_IP4_OFFSET) ? LB_FLOW_IS_LATER : 0);
	}
	return 0;
}

/* Where a walk over extension headers has got to. */
struct lb_walk {
	__u32 at;
	__be32 id;
	__u8 proto; /* of what lies there */
	__u8 flags; /* of struct lb_flow */
};

LB_INLINE int lb_walk_fragment(const struct lb_packet *p, struct lb_walk *w)
{
	const struct lb_ip6_fragment *fragment = lb_at(p, w->at, sizeof *fragment);

	if (!fragment || w->flags & LB_FLOW_IS_FRAGMENT)
		return -1;
	w->id = fragment->id;
	w->flags |= LB_FLOW_IS_FRAGMENT | (fragment->offset & LB_HTONS(LB_IP6_OFFSET) ? LB_FLOW_IS_LATER : 0);
	w->proto = fragment->next;
	w->at += sizeof *fragment;
	return 0;
}

/* One header further; unit is that of its length, least how many units it has at length 0. */
LB_INLINE int lb_walk_extension(const struct lb_packet *p, struct lb_walk *w, __u32 unit, __u32 least)
{
	const struct lb_ip6_extension *extension = lb_at(p, w->at, sizeof *extension);

	if (!extension)
		return -1;
	w->proto = extension->next;
	w->at += (extension->size + least) * unit;
	return 0;
}

/* Steps over the extension headers (RFC 8200); -1 if there are too many, one is cut off, or it is a fragment of a fragment. */
LB_APART int lb_walk_extensions(lb_frame *frame, struct lb_walk *w)
{
	struct lb_packet p;
	int r;

	if (!frame || !w)
		return -1;
	p = lb_packet_of(frame);
	for (int i = 0; i <= LB_EXTENSIONS_MAX; i++) {
		w->at &= LB_WALK_MAX;
		switch (w->proto) {
		case LB_PROTO_HOP_BY_HOP:
		case LB_PROTO_ROUTING:
		case LB_PROTO_DESTINATION:
			r = lb_walk_extension(&p, w, 8, 1);
			break;
		case LB_PROTO_AUTHENTICATION:
			r = lb_walk_extension(&p, w, 4, 2);
			break;
		case LB_PROTO_FRAGMENT:
			r = lb_walk_fragment(&p, w);
			break;
		default:
			return 0;
		}
		if (r < 0 || i == LB_EXTENSIONS_MAX)
			return -1;
		if (w->flags & LB_FLOW_IS_LATER)
			return 0; /* what follows in a later fragment is no header */
	}
	return -1;
}

/* The fixed header; f->proto is what follows it. */
LB_INLINE int lb_parse_ip6_header(const struct lb_packet *p, struct lb_flow *f, _Bool quoted)
{
	const struct lb_ip6 *ip = lb_at(p, f->l3, sizeof *ip);
	__u32 word;

	if (!ip)
		return -1;
	word = LB_NTOHL(ip->version_class_label);
	f->size = sizeof *ip + LB_NTOHS(ip->length);
	if (word >> 28 != 6 || (!quoted && f->size > lb_size(p) - f->l3))
		return -1;
	for (int i = 0; i < 4; i++) {
		f->src.word[i] = ip->src[i];
		f->dst.word[i] = ip->dst[i];
	}
	f->proto = ip->next;
	f->family = LB_IP6;
	f->tos = (__u8)(word >> 20);
	f->l4 = f->l3 + sizeof *ip;
	return 0;
}

LB_INLINE int lb_parse_ip6(const struct lb_packet *p, struct lb_flow *f, _Bool quoted)
{
	struct lb_walk w;

	if (lb_parse_ip6_header(p, f, quoted) < 0)
		return -1;
	if (f->proto == LB_PROTO_TCP || f->proto == LB_PROTO_UDP)
		return 0;
	w = (struct lb_walk){.at = f->l4, .proto = f->proto};
	if (lb_walk_extensions(p->frame, &w) < 0)
		return -1;
	f->l4 = w.at & LB_WALK_MAX;
	f->id = w.id;
	f->proto = w.proto;
	f->flags |= w.flags;
	return 0;
}

LB_INLINE _Bool lb_icmp_is_error(const struct lb_flow *f, __u8 type)
{
	if (f->family == LB_IP4)
		return type == LB_ICMP_UNREACHABLE || type == LB_ICMP_TIME_EXCEEDED || type == LB_ICMP_PARAMETER;
	return type >= LB_ICMP6_UNREACHABLE && type <= LB_ICMP6_PARAMETER;
}

/*
 * An ICMP error is about a packet that a backend sent: the flow is the quoted one, turned round ([fragments, icmp]). It must have
 * come to the address that the quoted packet came from. The quote need hold no more than the ports (RFC 792).
 */
LB_INLINE int lb_parse_error(const struct lb_packet *p, struct lb_flow *f)
{
	const struct lb_icmp *icmp = lb_at(p, f->l4, sizeof *icmp);
	struct lb_flow quoted = {.l3 = f->l4 + sizeof *icmp};
	const __be16 *ports;

	if (!icmp || !lb_icmp_is_error(f, icmp->type))
		return -1;
	if ((f->family == LB_IP4 ? lb_parse_ip4(p, &quoted, 1) : lb_parse_ip6(p, &quoted, 1)) < 0)
		return -1;
	if (quoted.flags & LB_FLOW_IS_LATER || (quoted.proto != LB_PROTO_TCP && quoted.proto != LB_PROTO_UDP))
		return -1;
	for (int i = 0; i < 4; i++)
		if (quoted.src.word[i] != f->dst.word[i])
			return -1;
	ports = lb_at(p, quoted.l4, 2 * sizeof *ports);
	if (!ports)
		return -1;
	f->src = quoted.dst;
	f->proto = quoted.proto;
	f->sport = ports[1];
	f->dport = ports[0];
	f->quoted = quoted.l4;
	f->flags |= LB_FLOW_IS_ERROR;
	return 0;
}

/* Whether the first fragment of this datagram can be one of TCP or UDP. */
LB_INLINE _Bool lb_may_have_ports(const struct lb_flow *f)
{
	if (f->family == LB_IP4)
		return f->proto == LB_PROTO_TCP || f->proto == LB_PROTO_UDP;
	return f->proto != LB_PROTO_ICMP6;
}

/* Fills *f, which the caller has zeroed. 0, or -1 if this is no packet that a service could be meant by. */
LB_INLINE int lb_parse(const struct lb_packet *p, struct lb_flow *f)
{
	__be16 type = 0;
	int r = -1;

	f->l3 = lb_parse_link(p, &type);
	if (!f->l3)
		return -1;
	if (type == LB_HTONS(LB_ETH_IP4))
		r = lb_parse_ip4(p, f, 0);
	else if (type == LB_HTONS(LB_ETH_IP6))
		r = lb_parse_ip6(p, f, 0);
	if (r < 0)
		return r;
	if (f->flags & LB_FLOW_IS_LATER)
		return lb_may_have_ports(f) ? 0 : -1;
	switch (f->proto) {
	case LB_PROTO_TCP:
		return lb_parse_tcp(p, f);
	case LB_PROTO_UDP:
		return lb_parse_udp(p, f);
	case LB_PROTO_ICMP:
		return f->family == LB_IP4 && !(f->flags & LB_FLOW_IS_FRAGMENT) ? lb_parse_error(p, f) : -1;
	case LB_PROTO_ICMP6:
		return f->family == LB_IP6 && !(f->flags & LB_FLOW_IS_FRAGMENT) ? lb_parse_error(p, f) : -1;
	default:
		return -1;
	}
}

#endif
