/* SPDX-License-Identifier: Apache-2.0 */
/* What the model understands of a frame: the flow that it belongs to, and where its parts lie. */
#ifndef HF_TESTS_BPF_MODEL_PACKET_H
#define HF_TESTS_BPF_MODEL_PACKET_H

#include "tests/bpf/frame.h"
#include "tests/bpf/world.h"

struct packet {
	struct world_address src, dst; /* of the flow: an ICMP error's are those of the packet it quotes, turned round */
	struct world_address from;     /* whom to answer */
	unsigned sport, dport, proto, tos, size;
	size_t l3, l4, quoted; /* quoted: where the ports are in what an ICMP error quotes */
	unsigned long id;
	bool fragment, later, syn, error, any_syn, fin, rst, ends;
};

/* Big-endian numbers at an offset. */
unsigned get16(const struct frame *f, size_t at);
unsigned long get32(const struct frame *f, size_t at);
bool same(const struct world_address *a, const struct world_address *b);
/* False: nothing that a balancer looks into. *p starts as zero. */
bool parse(const struct frame *f, struct packet *p);

#endif
