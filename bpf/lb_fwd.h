/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The forwarding decision, as pure functions on the bytes of a packet. Who includes it - the XDP program, the DPDK
 * worker, `holdfast lb explain`, the host tests - defines what is only declared here and below: the maps, the clock, the
 * moving of a packet's head. One table of packets (tests/bpf) proves them equal.
 *
 *   frame --lb_recognise--> flow, service --lb_challenge--> no flood's SYN --lb_decide--> backend --lb_deliver--> bytes
 *                           flow, no service --lb_snat_reply, lb_nat_reply--> bytes
 *
 * Only lb_challenge(), lb_deliver() and the replies change the packet. What isn't for a VIP is passed on unchanged. LB_SEND with a reason is an answer
 * to the sender in place of its packet, which is counted as dropped for that reason. Replies are not counted: service and backend are
 * counted by what they are sent.
 */
#ifndef HF_BPF_LB_FWD_H
#define HF_BPF_LB_FWD_H

#include "bpf/lb_challenge.h"
#include "bpf/lb_fragment.h"
#include "bpf/lb_mtu.h"
#include "bpf/lb_nat.h"
#include "bpf/lb_quic.h"
#include "bpf/lb_snat.h"

/* Defined by the includer. */
LB_INLINE void lb_count_forwarded(const struct lb_decision *d, const struct lb_flow *f);
LB_INLINE void lb_count_dropped(__u8 reason);

LB_INLINE enum lb_verdict lb_drop(struct lb_decision *d, __u8 reason)
{
	d->reason = reason;
	return LB_DROP;
}

/* The service that a flow is for, once lb_parse() has found the flow: LB_SEND if there is one. */
LB_INLINE enum lb_verdict lb_assign(const struct lb_config *cfg, struct lb_flow *f, struct lb_decision *d)
{
	const __u32 *index;

	if (f->flags & LB_FLOW_IS_FRAGMENT) {
		int verdict = lb_fragment_resolve(f);

		if (verdict == LB_DROP)
			return lb_drop(d, LB_REASON_FRAGMENT_UNKNOWN);
		if (verdict != LB_SEND)
			return LB_PASS;
	}
	index = lb_service_find(cfg, f);
	if (!index) {
		d->may_reply = (cfg->nat | cfg->snat4 | cfg->snat6) != 0;
		return LB_PASS;
	}
	d->service = *index;
	return LB_SEND;
}

/* Whether a frame is for this host. A switch that has lost sight of another host sends what is for that one everywhere, and a device that takes
 * all frames lets it in: it is the other one's to forward. */
LB_INLINE _Bool lb_is_ours(const struct lb_config *cfg, const struct lb_packet *p)
{
	const struct lb_eth *eth = lb_at(p, 0, sizeof *eth);

	return eth && !((eth->dst.half[0] ^ cfg->mac.half[0]) | (eth->dst.half[1] ^ cfg->mac.half[1]) | (eth->dst.half[2] ^ cfg->mac.half[2]));
}

/* The flow of a packet, and the service it is for: LB_SEND if there is one. */
LB_INLINE enum lb_verdict lb_recognise(const struct lb_config *cfg, const struct lb_packet *p, struct lb_flow *f, struct lb_decision *d)
{
	return !lb_is_ours(cfg, p) || lb_parse(p, f) < 0 ? LB_PASS : lb_assign(cfg, f, d);
}

/* What to do with a packet of a service, and with which backend; *ret_b is set unless it is dropped. */
LB_INLINE enum lb_verdict lb_decide(const struct lb_config *cfg, const struct lb_packet *p, const struct lb_service *s, struct lb_flow *f,
				    struct lb_decision *d, const struct lb_backend **ret_b)
{
	const struct lb_backend *b = (void *)0;

	d->reason = lb_refuse(s, f, d->service);
	if (d->reason)
		return LB_DROP;
	if (s->delivery == LB_SNAT) {
		b = lb_snat_known(cfg, s, f, d);
		if (!b && !lb_snat_begins(f))
			return lb_drop(d, LB_REASON_SNAT_UNKNOWN);
	}
	/* QUIC sends no fragments (RFC 9000, 14); what comes as one must stay together. */
	if (!b && s->flags & LB_SERVICE_QUIC && !(f->flags & (LB_FLOW_IS_ERROR | LB_FLOW_IS_FRAGMENT)))
		b = lb_quic_choose(cfg, p, s, f, d);
	if (!b)
		b = lb_choose_backend(cfg, s, f, d);
	if (!b)
		return lb_drop(d, LB_REASON_NO_BACKEND);
	*ret_b = b;
	return b->flags & LB_BACKEND_LOCAL ? LB_LOCAL : LB_SEND;
}

LB_INLINE enum lb_verdict lb_deliver(const struct lb_config *cfg, struct lb_packet *p, const struct lb_service *s, const struct lb_flow *f,
				     const struct lb_backend *b, struct lb_decision *d)
{
	__u32 overhead = lb_overhead(s, b);
	_Bool sent;

	if (f->size + overhead > b->mtu)
		return lb_too_big(p, f, b->mtu - overhead, d);
	switch (s->delivery) {
	case LB_GUE:
		sent = lb_send_gue(cfg, p, f, b, d);
		break;
	case LB_DSR:
		sent = lb_link_turn(p, &b->mac);
		break;
	case LB_DNAT:
		if (b->family != f->family)
			return lb_drop(d, LB_REASON_NO_BACKEND);
		sent = lb_nat_send(p, f, b);
		break;
	case LB_SNAT:
		if (b->family != f->family)
			return lb_drop(d, LB_REASON_NO_BACKEND);
		return lb_snat_send(cfg, p, s, f, b, d);
	default:
		sent = lb_send_ipip(cfg, p, f, b);
		break;
	}
	return sent ? LB_SEND : lb_drop(d, LB_REASON_NO_HEADROOM);
}

/* What no service is for: a backend's reply, or nothing of ours. */
LB_INLINE enum lb_verdict lb_reply(const struct lb_config *cfg, const struct lb_packet *p, const struct lb_flow *f)
{
	if (cfg->snat4 | cfg->snat6 && lb_snat_reply(cfg, p, f) == LB_SEND)
		return LB_SEND;
	return cfg->nat ? lb_nat_reply(cfg, p, f) : LB_PASS;
}

/* What is left to do with a packet once lb_recognise() has said what it is: decides on it, changes it, counts it. */
LB_INLINE enum lb_verdict lb_forward_recognised(const struct lb_config *cfg, struct lb_packet *p, struct lb_flow *f, struct lb_decision *d,
						enum lb_verdict verdict)
{
	const struct lb_backend *b = (void *)0;
	const struct lb_service *s;

	if (d->may_reply)
		return lb_reply(cfg, p, f);
	if (verdict == LB_SEND) {
		s = lb_service_at(d->service);
		if (!s)
			return LB_PASS;
		verdict = lb_challenge(p, s, f, d);
		if (verdict == LB_PASS)
			verdict = lb_decide(cfg, p, s, f, d, &b);
		if (verdict == LB_SEND && b)
			verdict = lb_deliver(cfg, p, s, f, b, d);
	}
	if (d->reason)
		lb_count_dropped(d->reason);
	else if (verdict != LB_PASS)
		lb_count_forwarded(d, f);
	return verdict;
}

LB_INLINE enum lb_verdict lb_forward(struct lb_packet *p)
{
	const struct lb_config *cfg = lb_config_get();
	struct lb_decision d = {0};
	struct lb_flow f = {0};

	return cfg ? lb_forward_recognised(cfg, p, &f, &d, lb_recognise(cfg, p, &f, &d)) : LB_PASS;
}

#endif
