/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as the model has them leave: what came in a tunnel, a packet-too-big, what came with other addresses and ports. */
#ifndef HF_TESTS_BPF_MODEL_FRAME_H
#define HF_TESTS_BPF_MODEL_FRAME_H

#include "tests/bpf/model_packet.h"

/* In IPIP or GUE from this address; entropy is the flow's, of GUE's source port. hops: numbers of backends. */
void tunnel(struct frame *out, const struct frame *in, const struct packet *p, const struct world_service *s, const struct world_backend *b,
	    const struct world_address *src, uint64_t entropy, const unsigned *hops, unsigned hop_count);
/* Packet-too-big or frag-needed to whom it came from. False: it is too short to be quoted as far as it should. */
bool answer(struct frame *out, const struct frame *in, const struct packet *p, unsigned mtu);
/* Another source or destination, also of what an ICMP error quotes, to the next hop with this MAC; port 0 stays as it is. */
void translate(struct frame *f, const struct packet *p, const struct world_address *a, unsigned port, bool source, unsigned mac);
/* Both sides of a packet, and of what it quotes. */
void masquerade(struct frame *f, const struct packet *p, const struct world_address *src, unsigned sport, const struct world_address *dst,
		unsigned dport, unsigned mac, bool source_first);
/* A SYN-ACK with this acknowledgement, in place of a SYN. */
void ask(struct frame *out, const struct frame *in, const struct packet *p, uint32_t number);

#endif
