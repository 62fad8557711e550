/* SPDX-License-Identifier: Apache-2.0 */
/* What holdfast-lbd may do (law 8): CAP_BPF to load programs, CAP_PERFMON to have their pointers verified, CAP_NET_ADMIN to attach
 * them and to have neighbours kept. CAP_NET_RAW is given up once the LAN is open ([caps]). */
#ifndef HF_LB_PRIVILEGE_H
#define HF_LB_PRIVILEGE_H

#include <stddef.h>

/* Gives up every other capability. 0, or -EPERM with the missing ones named in error. */
int privilege_reduce(char *error, size_t error_size);

#endif
