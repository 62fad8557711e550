/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * `holdfast lb capture`: hooks before and after the XDP program, put there for as long as somebody captures. The program
 * itself has no part in it: when nobody does, it costs nothing.
 *
 * Before, the packet is copied as it came in, and with it this core's drop counters; after, the verdict is known, and the counter that
 * went up names the reason. No other packet comes between: a core takes one after the other.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/capture.h"

/* Of the kernel's, where its own description says that it is. */
struct xdp_buff {
	void *data;
	void *data_end;
} __attribute__((preserve_access_index));

struct capture_scratch {
	__u64 drops[LB_REASON_COUNT];
	struct capture_packet packet; /* and what follows it */
	__u8 bytes[CAPTURE_BYTES];
};

/* The XDP program's own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_drops);
} lb_drop_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct capture_scratch);
} capture_room SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} capture_ring SEC(".maps");

const volatile __u32 capture_verdict; /* enum lb_verdict; LB_LOCAL comes as LB_PASS */
const volatile __u32 capture_reason;  /* LB_REASON_NONE: any */
__u64 capture_lost;                   /* for which the ring had no room */

/* The arguments of the program. */
SEC("fentry/lb_xdp")
int capture_before(__u64 *arguments)
{
	struct xdp_buff *xdp = (void *)arguments[0];
	__u32 zero = 0, size = (__u32)((__u64)xdp->data_end - (__u64)xdp->data);
	struct capture_scratch *room = bpf_map_lookup_elem(&capture_room, &zero);
	struct lb_drops *drops = bpf_map_lookup_elem(&lb_drop_counts, &zero);

	if (!room || !drops)
		return 0;
	room->packet.size = size;
	if (size > CAPTURE_BYTES)
		size = CAPTURE_BYTES;
	room->packet.kept = bpf_probe_read_kernel(room->bytes, size, xdp->data) < 0 ? 0 : size;
	for (int i = 0; i < LB_REASON_COUNT; i++)
		room->drops[i] = drops->count[i];
	return 0;
}

static __u16 reason_of(const struct capture_scratch *room, const struct lb_drops *drops)
{
	__u16 reason = LB_REASON_NONE;

	for (int i = 0; i < LB_REASON_COUNT; i++)
		if (drops->count[i] != room->drops[i])
			reason = i;
	return reason;
}

/* An answer to the sender in place of its packet was sent, but the packet was dropped (bpf/lb_fwd.h). */
static __u16 verdict_of(int action, __u16 reason)
{
	if (action == XDP_DROP || reason)
		return LB_DROP;
	return action == XDP_TX ? LB_SEND : LB_PASS;
}

/* The same, and behind them what it returned. */
SEC("fexit/lb_xdp")
int capture_after(__u64 *arguments)
{
	__u32 zero = 0, kept;
	struct capture_scratch *room = bpf_map_lookup_elem(&capture_room, &zero);
	struct lb_drops *drops = bpf_map_lookup_elem(&lb_drop_counts, &zero);

	if (!room || !drops)
		return 0;
	room->packet.reason = reason_of(room, drops);
	room->packet.verdict = verdict_of((int)arguments[1], room->packet.reason);
	if (room->packet.verdict != capture_verdict || (capture_reason && room->packet.reason != capture_reason))
		return 0;
	room->packet.seen_ns = bpf_ktime_get_ns();
	kept = room->packet.kept;
	if (kept > CAPTURE_BYTES)
		return 0;
	if (bpf_ringbuf_output(&capture_ring, &room->packet, sizeof room->packet + kept, 0) < 0)
		__sync_fetch_and_add(&capture_lost, 1);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
