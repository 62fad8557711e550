/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a balancing daemon may do (law 8). holdfast-lbd: CAP_BPF to load programs, CAP_PERFMON to have their pointers verified,
 * CAP_NET_ADMIN to attach them and to have neighbours kept. CAP_NET_RAW is given up once the LAN is open ([caps]). holdfast-lbd-dpdk, once
 * devices, memory, the TAP and the LAN are open: CAP_NET_ADMIN, for neighbours, and to take the TAP down at the end.
 */
#ifndef HF_LB_PRIVILEGE_H
#define HF_LB_PRIVILEGE_H

#include <linux/capability.h>
#include <stddef.h>
#include <stdint.h>

/* Sets of capabilities: a bit each, by its number. */
#define PRIVILEGES_XDP (1ull << CAP_BPF | 1ull << CAP_PERFMON | 1ull << CAP_NET_ADMIN)
#define PRIVILEGES_DPDK (1ull << CAP_NET_ADMIN)

/* Gives up every other capability, of this thread and of those that it starts from then on. 0, or -EPERM with the missing ones named in
 * error. */
int privilege_reduce(uint64_t needed, char *error, size_t error_size);

#endif
