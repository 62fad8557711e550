/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has clients send TCP segments that fit into the tunnel ([mtu]): the MSS that is announced to them from a VIP is lowered to what the
 * tunnel leaves room for, in each SYN and SYN-ACK that leaves this host or a container on it. It is never raised.
 *
 * By an nftables table of this process's own, holdfast-INTERFACE: the kernel takes it away when the process ends, however it ends
 * (NFT_TABLE_F_OWNER, Linux 5.12), so there is nothing to clean up. Until there is one again, balancers answer packets that are too big.
 * An advmss on routes would take a copy of the main table for VIPs, which had to follow it and would hide the host's own policy routing.
 *
 *   postrouting: a TCP SYN, not by loopback, whose source is in the map of its family -> MSS of that VIP
 */
#ifndef HF_LB_MSS_H
#define HF_LB_MSS_H

#include "lb/catalog.h"

/* The largest segment for each VIP. */
struct mss_limits {
	struct mss_limit {
		struct host_address vip;
		uint16_t mss;
	} * list;
	uint32_t count;
};

struct mss {
	int socket; /* that the table belongs to; -1: nothing is limited */
	uint32_t sequence;
	char table[32];
	bool made;
	bool refused;          /* was said: the kernel doesn't take it */
	struct mss_limits now; /* in force, if it is made */
};

/* For tunnels that come in by an interface. 0 or negative errno, and then nothing is ever limited. */
int mss_open(struct mss *m, const char *interface);
/* A VIP that is limited again has the lower limit. */
void mss_limit_put(struct mss_limits *limits, const struct host_address *vip, uint16_t mss);
void mss_limits_free(struct mss_limits *limits);
/* Puts these in force and takes what they hold. What the kernel refuses is logged once. */
void mss_apply(struct mss *m, struct mss_limits *limits);

#endif
