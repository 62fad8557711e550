/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from words, so that a table of packets can be read: `eth 1 2 / ip4 10.0.0.9 10.1.1.1 / tcp 4242 80 S / data 8`.
 * Lengths, protocol numbers and checksums are filled in. It shares nothing with bpf/, whose work it judges.
 *
 *   eth S D                 addresses 02:00:00:00:00:S and :D
 *   vlan N | qinq N         802.1Q, 802.1ad
 *   ip4 SRC DST [ttl=N tos=N id=N df mf off=BYTES opt=WORDS proto=N len=N ver=N ihl=N]
 *   ip6 SRC DST [hops=N tos=N proto=N len=N]
 *   hop N | route N | dest N | auth N     IPv6 extension header of 8 + 8 * N bytes (auth: 8 + 4 * N)
 *   frag OFF ID [mf]        IPv6 fragment header
 *   tcp S D [FLAGS] [seq=N ack=N words=N]   flags out of F S R P A; words: of the header, with the options that follow it as hex
 *   udp S D [nosum len=N]
 *   icmp TYPE CODE WORD     ICMP or ICMPv6, by the header in front; WORD is the second word
 *   gue PROTO [NEXT HOP...] GUE with private data if hops are named
 *   cut N                   of all that follows, at most the first N bytes: what an ICMP error quotes
 *   data N                  N bytes 0, 1, 2 ...
 *   hex BYTES
 */
#ifndef HF_TESTS_BPF_FRAME_H
#define HF_TESTS_BPF_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 3072

struct frame {
	uint8_t bytes[FRAME_MAX];
	size_t size;
};

/* Aborts on words that it doesn't know: they are the test's own. */
void frame_build(struct frame *f, const char *words);
/* The bytes in hex, sixteen a line, to standard error. */
void frame_print(const struct frame *f, const char *title);

#endif
