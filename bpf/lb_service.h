/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which service a packet is for: its VIP, exact port first, then port 0. And which VIP a backend's packet is from ([nat]). */
#ifndef HF_BPF_LB_SERVICE_H
#define HF_BPF_LB_SERVICE_H

#include "bpf/lb_parse.h"

/* Defined by the includer: what the maps hold under these keys, or NULL. */
LB_INLINE const __u32 *lb_vip_lookup(const struct lb_vip *vip);
LB_INLINE const struct lb_service *lb_service_at(__u32 index);
LB_INLINE const struct lb_reply *lb_reply_lookup(const struct lb_vip *backend);

/* The number of the service that a flow is for, or NULL. */
LB_INLINE const __u32 *lb_service_find(const struct lb_config *cfg, const struct lb_flow *f)
{
	struct lb_vip vip = {.addr = f->dst};
	__u32 any_port = (__u32)f->proto << 16 | (__u32)f->family << 24, port = any_port | f->dport;
	const __u32 *index;

	/* As one word: the map hashes words, and what was stored in parts is late for that. */
	__builtin_memcpy(&vip.port, &port, sizeof port);
	index = lb_vip_lookup(&vip);
	if (index || !cfg->wildcards)
		return index;
	__builtin_memcpy(&vip.port, &any_port, sizeof any_port);
	return lb_vip_lookup(&vip);
}

/* The VIP that a packet from a backend is a reply of, or NULL. */
LB_INLINE const struct lb_reply *lb_reply_find(const struct lb_flow *f)
{
	struct lb_vip backend = {.addr = f->src, .port = f->sport, .proto = f->proto, .family = f->family};
	const struct lb_reply *reply = lb_reply_lookup(&backend);

	if (reply)
		return reply;
	backend.port = 0;
	return lb_reply_lookup(&backend);
}

#endif
