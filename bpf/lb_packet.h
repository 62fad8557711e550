/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A packet as bytes between two pointers. Nothing is read before lb_at() has checked that it lies inside; the BPF verifier
 * insists on it, and the host tests run under ASan for the other includers.
 */
#ifndef HF_BPF_LB_PACKET_H
#define HF_BPF_LB_PACKET_H

#include "bpf/lb_wire.h"

/* What the includer's packets are in: XDP's context, or the packet itself. */
#ifdef __bpf__
typedef struct xdp_md lb_frame;
#else
typedef struct lb_packet lb_frame;
#endif

struct lb_packet {
	lb_frame *frame; /* what lb_head_grow() and lb_tail_trim() move */
	__u8 *data;
	__u8 *end;
};

/* The packet in a frame, for functions apart, which take no pointers into packets. Defined by the includer. */
LB_INLINE struct lb_packet lb_packet_of(lb_frame *frame);
/* Moves the start of the packet by so many bytes outward (inward if negative) and sets data and end anew; what was
 * found in the packet before is void. 0, or negative errno and nothing moved. Defined by the includer. */
LB_INLINE int lb_head_grow(struct lb_packet *p, int by);
/* Cuts the packet to so many bytes, fewer than it has; as lb_head_grow(). */
LB_INLINE int lb_tail_trim(struct lb_packet *p, __u32 size);

/*
 * Where size bytes at this offset start, or NULL if they aren't all there. Test the result before the next call: the
 * verifier knows a pointer as checked only on the branch of its own comparison, so BPF's compiler must not join two.
 */
LB_INLINE void *lb_at(const struct lb_packet *p, __u32 offset, __u32 size)
{
	__u8 *at = p->data + offset;

#ifdef __bpf__
	asm volatile("" : "+r"(at));
#endif
	return at + size > p->end ? (void *)0 : at;
}

/* How many bytes there are. */
LB_INLINE __u64 lb_size(const struct lb_packet *p)
{
	__u64 size = (__u64)(p->end - p->data);

#ifdef __bpf__
	asm volatile("" : "+r"(size)); /* else the pointers are narrowed before they are subtracted */
#endif
	return size;
}

/* The Internet checksum of a sum of words (RFC 1071), folded and complemented. */
LB_INLINE __be16 lb_sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__be16)~sum;
}

#endif
