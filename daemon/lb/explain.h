/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancer does with a packet, and why: the forwarding decision itself, bpf/lb_fwd.h, on a packet made up here, over the tables of
 * the data plane, whichever that is. What the decision would write - flows, tokens, turns, counters - goes into copies that are thrown
 * away. One question at a time: not for several threads.
 */
#ifndef HF_LB_EXPLAIN_H
#define HF_LB_EXPLAIN_H

#include <jansson.h>

#include "lb/tables.h"

#define EXPLAIN_PAYLOAD_MAX 64

/* What is asked: packets of a flow. */
struct explain_flow {
	struct host_address src, dst;
	__be16 sport, dport;
	__u8 proto;
	__u8 payload[EXPLAIN_PAYLOAD_MAX]; /* of a datagram */
	__u32 payload_size;
};

/* From "tcp 10.0.0.9:4242 > 10.1.1.1:80", or udp, or [addresses] in brackets. 0 or -EINVAL. */
int explain_take_flow(struct explain_flow *t, const char *text);
/* And one of a QUIC connection's packets, by the hexadecimal digits of its ID. 0; -EINVAL if these are none, or the flow isn't UDP's. */
int explain_take_connection_id(struct explain_flow *t, const char *text);
/* A list with an object for each kind of packet that the flow has, the caller's; NULL if the tables have no catalog yet. at_ns is of the
 * monotonic clock. */
json_t *explain(const struct tables *t, const struct lb_config *c, const struct explain_flow *flow, uint64_t at_ns);
/* The number of the service that a frame is for, by the decision's own code; false: it is for none. */
bool explain_service_of(const struct tables *t, const struct lb_config *c, const void *frame, size_t size, uint32_t *ret_service);

#endif
