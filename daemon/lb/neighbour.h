/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hosts of a LAN say to find each other's link address: ARP (RFC 826, announcements RFC 5227) and IPv6's neighbour
 * discovery (RFC 4861, 7.2). Bytes in, bytes out; packets are without their Ethernet header.
 */
#ifndef HF_LB_NEIGHBOUR_H
#define HF_LB_NEIGHBOUR_H

#include <stdbool.h>
#include <stddef.h>

#include "lb/catalog.h"

#define NEIGHBOUR_PACKET_MAX 72u

/* Who is asked for, and who asks: all zero is nobody yet, who looks whether the address is free. */
struct neighbour_question {
	struct host_address target, from;
};

enum neighbour_news {
	NEIGHBOUR_NOTHING,   /* something else, or malformed */
	NEIGHBOUR_ASKS,      /* a request or solicitation */
	NEIGHBOUR_ANNOUNCES, /* somebody says unasked that the target is his */
};

/* What a packet of this family says. *ret is set unless it is nothing; of an announcement only the target. */
enum neighbour_news neighbour_read(uint8_t family, const void *packet, size_t size, struct neighbour_question *ret);
/* That the target is at own, told to the one that asks, who is at to. The size of what ret holds then; it has NEIGHBOUR_PACKET_MAX. */
size_t neighbour_answer(const struct neighbour_question *q, const struct lb_mac *own, const struct lb_mac *to, void *ret);
/* The same told to everybody, without being asked: gratuitous ARP, or an unsolicited advertisement. */
size_t neighbour_announce(const struct host_address *a, const struct lb_mac *own, void *ret);
/* The link address of everybody who is to hear that. */
struct lb_mac neighbour_everybody(uint8_t family);
/* The multicast group that an IPv6 address is asked for in (RFC 4291, 2.7.1). */
struct lb_address neighbour_group(const struct host_address *a);

#endif
