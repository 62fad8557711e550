/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What bpf/capture.bpf.c hands over by its ring: a header and the packet's first bytes. */
#ifndef HF_BPF_CAPTURE_H
#define HF_BPF_CAPTURE_H

#include "bpf/lb_abi.h"

#define CAPTURE_BYTES 9216 /* a jumbo frame */

struct capture_packet {
	__u64 seen_ns; /* of the monotonic clock */
	__u32 size;    /* of the frame as it came in */
	__u32 kept;    /* how many of its bytes follow this header */
	__u16 verdict; /* enum lb_verdict; LB_PASS may be LB_LOCAL: the kernel is told no difference */
	__u16 reason;  /* enum lb_reason */
	__u8 unused[4];
};
static_assert(sizeof(struct capture_packet) == 24, "ring record");

#endif
