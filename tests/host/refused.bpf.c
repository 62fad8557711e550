/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A program that no verifier may let through: it reads the packet without a look at its end. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int reads_past_the_end(struct xdp_md *ctx)
{
	const volatile __u8 *data = (void *)(long)ctx->data;

	return data[13] ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
