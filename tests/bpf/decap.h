/* SPDX-License-Identifier: Apache-2.0 */
/* The table of packets for the backend's side, bpf/decap.bpf.c, through BPF_PROG_TEST_RUN beside real sockets. */
#ifndef HF_TESTS_BPF_DECAP_H
#define HF_TESTS_BPF_DECAP_H

#include <stddef.h>

/* Moves the process into a network namespace of its own. 0, or negative errno and why it can't run here in error. */
int decap_open(char *error, size_t size);
void decap_close(void);
/* Runs all cases, reports those that fail on standard error, and adds to both. */
void decap_run(unsigned *passed, unsigned *failed);

#endif
