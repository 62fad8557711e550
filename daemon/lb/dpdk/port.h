/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ethdev that is balanced on, and the kernel's side of it: a TAP with the port's own MAC address and MTU ([dpdk]). What isn't ours goes
 * in there; the host has the port's addresses on it, answers ARP and routes by it, and what it sends leaves by the port.
 */
#ifndef HF_LB_DPDK_PORT_H
#define HF_LB_DPDK_PORT_H

#include <stdint.h>

struct rte_mempool;

struct port {
	uint16_t id, kernel; /* ethdevs: the port, its TAP */
	struct rte_mempool *pool;
	char error[256]; /* what went wrong and the way out */
};

/* The one ethdev that the EAL found, with so many pairs of queues that the device spreads flows over; and its TAP, of this name.
 * 0, or negative errno with *error set. */
int port_open(struct port *p, const char *interface, uint16_t queues);
/* Packets that came by the port and were lost: a queue was full, or there was no memory for them. 0 if the device can't tell. */
uint64_t port_missed(const struct port *p);
/* Once nobody uses a queue any more. */
void port_close(struct port *p);

#endif
