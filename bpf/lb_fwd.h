/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The forwarding decision, as pure functions on the bytes of a packet. Who includes it - the XDP program, the DPDK
 * worker, `holdfast lb explain`, the host tests - defines what is only declared here and below: the maps, the clock, the
 * moving of a packet's head. One table of packets (tests/bpf) proves them equal.
 *
 *   frame --lb_parse--> flow --lb_service_find--> service --lb_choose_backend--> backend --deliver--> bytes
 *
 * lb_decide() reads the packet and decides, lb_deliver() changes it. What isn't for a VIP is passed on unchanged.
 */
#ifndef HF_BPF_LB_FWD_H
#define HF_BPF_LB_FWD_H

#include "bpf/lb_encap.h"

/* Defined by the includer. */
LB_INLINE void lb_count_forwarded(const struct lb_decision *d, const struct lb_flow *f);
LB_INLINE void lb_count_dropped(__u8 reason);

/* What to do with a packet, and with which backend. *f and *d are zeroed by the caller; *ret_b is set unless it passes. */
LB_INLINE enum lb_verdict lb_decide(const struct lb_config *cfg, const struct lb_packet *p, struct lb_flow *f, struct lb_decision *d,
				    const struct lb_backend **ret_b)
{
	const struct lb_service *s;
	const struct lb_backend *b;
	const __u32 *index;

	if (lb_parse(p, f) < 0)
		return LB_PASS;
	index = lb_service_find(cfg, f);
	if (!index)
		return LB_PASS;
	d->service = *index;
	s = lb_service_at(d->service);
	if (!s)
		return LB_PASS;
	b = lb_choose_backend(cfg, s, f, d);
	if (!b) {
		d->reason = LB_REASON_NO_BACKEND;
		return LB_DROP;
	}
	*ret_b = b;
	return b->flags & LB_BACKEND_LOCAL ? LB_LOCAL : LB_SEND;
}

LB_INLINE enum lb_verdict lb_deliver(const struct lb_config *cfg, struct lb_packet *p, const struct lb_flow *f, const struct lb_backend *b,
				     struct lb_decision *d)
{
	if (lb_send_ipip(cfg, p, f, b))
		return LB_SEND;
	d->reason = LB_REASON_NO_HEADROOM;
	return LB_DROP;
}

/* Decides on a packet, changes it, counts it. */
LB_INLINE enum lb_verdict lb_forward(struct lb_packet *p)
{
	const struct lb_config *cfg = lb_config_get();
	const struct lb_backend *b = (void *)0;
	struct lb_decision d = {0};
	struct lb_flow f = {0};
	enum lb_verdict verdict;

	if (!cfg)
		return LB_PASS;
	verdict = lb_decide(cfg, p, &f, &d, &b);
	if (verdict == LB_SEND && b)
		verdict = lb_deliver(cfg, p, &f, b, &d);
	if (verdict == LB_DROP)
		lb_count_dropped(d.reason);
	else if (verdict != LB_PASS)
		lb_count_forwarded(&d, &f);
	return verdict;
}

#endif
