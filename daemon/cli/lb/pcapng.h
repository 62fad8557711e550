/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes packets as pcapng (draft-ietf-opsawg-pcapng): one section, one Ethernet interface, a comment with each packet. tcpdump and
 * Wireshark read it.
 */
#ifndef HF_CLI_LB_PCAPNG_H
#define HF_CLI_LB_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

/* What went wrong in writing is kept by the stream: ferror(). */
void pcapng_begin(FILE *f, const char *interface);
/* A frame of size bytes, of which kept are there, seen at ns since 1970. */
void pcapng_packet(FILE *f, uint64_t ns, const void *frame, uint32_t kept, uint32_t size, const char *comment);

#endif
