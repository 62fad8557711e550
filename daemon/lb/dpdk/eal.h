/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DPDK's environment layer, started so that nothing is left behind: no files in a hugetlbfs, no sockets of multi-process mode. Where the
 * host has no huge pages it runs on small ones, and says so.
 */
#ifndef HF_LB_DPDK_EAL_H
#define HF_LB_DPDK_EAL_H

/* With the user's EAL arguments, which end the list and win. 0, or negative errno. */
int eal_start(const char *program, int argc, char **argv);

#endif
