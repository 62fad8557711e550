/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The flow that a packet belongs to, and where its parts lie. */
#ifndef HF_BPF_LB_TUPLE_H
#define HF_BPF_LB_TUPLE_H

#include "bpf/lb_abi.h"

struct lb_flow {
	struct lb_address src;
	struct lb_address dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 family;
	__u8 tos; /* DSCP and ECN, for the outer header */
	__u8 flags;
	__be32 id;    /* of the datagram, if this is a fragment */
	__u32 l3;     /* offset of the IP header */
	__u32 l4;     /* offset of what is behind it and its extensions */
	__u32 size;   /* of the IP packet */
	__u32 quoted; /* offset of the ports in the packet that an ICMP error is about */
};

#define LB_FLOW_IS_SYN 1      /* SYN without ACK: begins a connection */
#define LB_FLOW_IS_FRAGMENT 2 /* of a larger datagram */
#define LB_FLOW_IS_LATER 4    /* not the first fragment: it has no ports */
#define LB_FLOW_IS_ERROR 8    /* an ICMP error about a packet of this flow */
#define LB_FLOW_IS_END 16     /* FIN or RST */

#endif
