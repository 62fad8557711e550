/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The rig around a program under test, and the floors beside it (bench/lb.c says what is measured). BPF_PROG_TEST_RUN with
 * a repeat count gives one frame to a program again and again, as the last run left it. So the rig first undoes what the
 * program under test put in front, writes the next flow's source, VIP and ports into the frame, and tail-calls it.
 */
#include "bench/lb_plain.h"

#define FRAME_SIZE 96 /* of the frame without anything in front; bench/lb.c builds it */

/* Set before loading. A flow's number goes into the source address and the source port; VIPs are counted up by services. */
const volatile __u32 flow_mask;
const volatile __u32 services = 1;
const volatile __u32 v6;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

struct flow {
	__be32 src[4], dst[4];
	__be32 ports;
	__u32 proto;
};

struct place {
	__u32 backend;
	__u32 unused;
	__u64 seen;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 21);
	__type(key, struct flow);
	__type(value, struct place);
} lru SEC(".maps");

/* Too small for the flows that come, so that each insert evicts. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* set before loading */
	__type(key, struct flow);
	__type(value, struct place);
} lru_full SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lb_vip);
	__type(value, __u32);
} vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << 12);
	__type(key, __u32);
	__type(value, __u32);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct lb_backend);
} backends SEC(".maps");

__u32 turn;

/* An odd stride meets every flow, but not one after the other. */
#define STRIDE 40503u

static __always_inline int next_flow(struct xdp_md *ctx)
{
	__u32 flow = (turn += STRIDE) & flow_mask, vip = services > 1 ? turn % services : 0;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + FRAME_SIZE > end)
		return -1;
	if (v6) {
		*(__be32 *)(data + 14 + 20) = LB_HTONL(flow >> 14);
		*(__be32 *)(data + 14 + 24) = LB_HTONL(0xfd010000); /* NAT has written over it */
		*(__be32 *)(data + 14 + 36) = LB_HTONL(vip);
		*(__be32 *)(data + 54) = LB_HTONL((1024 + (flow & 0x3fff)) << 16 | 80);
	} else {
		*(__be32 *)(data + 14 + 12) = LB_HTONL(0x0a800000 | flow >> 14);
		*(__be32 *)(data + 14 + 16) = LB_HTONL(0x0a010000 | vip);
		*(__be32 *)(data + 34) = LB_HTONL((1024 + (flow & 0x3fff)) << 16 | 80);
	}
	return 0;
}

SEC("xdp")
int rig(struct xdp_md *ctx)
{
	__u64 size = ctx->data_end - ctx->data;
	struct lb_eth *eth;

	if (size > FRAME_SIZE && bpf_xdp_adjust_head(ctx, (int)(size - FRAME_SIZE)))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	eth->dst = (struct lb_mac){{LB_HTONS(0x0200), 0, LB_HTONS(2)}};
	eth->src = (struct lb_mac){{LB_HTONS(0x0200), 0, LB_HTONS(1)}};
	eth->type = v6 ? LB_HTONS(LB_ETH_IP6) : LB_HTONS(LB_ETH_IP4);
	if (next_flow(ctx) < 0)
		return XDP_ABORTED;
	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int floor_drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

SEC("xdp")
int floor_tx(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

SEC("xdp")
int floor_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* Only moves the head: with the rig's undoing, two moves. */
SEC("xdp")
int floor_grow(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -20) ? XDP_ABORTED : XDP_TX;
}

static __always_inline int flow_of(struct xdp_md *ctx, struct flow *f)
{
	void *data = (void *)(long)ctx->data;
	struct lb_ip4 *ip = data + 14;

	if (data + FRAME_SIZE > (void *)(long)ctx->data_end)
		return -1;
	f->src[0] = ip->src;
	f->dst[0] = ip->dst;
	f->ports = *(__be32 *)(ip + 1);
	f->proto = ip->proto;
	return 0;
}

SEC("xdp")
int floor_lru_hit(struct xdp_md *ctx)
{
	struct flow f = {0};

	if (flow_of(ctx, &f) < 0)
		return XDP_ABORTED;
	return bpf_map_lookup_elem(&lru, &f) ? XDP_TX : XDP_DROP;
}

SEC("xdp")
int fill_lru(struct xdp_md *ctx)
{
	struct place place = {0};
	struct flow f = {0};

	if (flow_of(ctx, &f) < 0)
		return XDP_ABORTED;
	bpf_map_update_elem(&lru, &f, &place, BPF_ANY);
	return XDP_TX;
}

SEC("xdp")
int floor_lru_insert(struct xdp_md *ctx)
{
	struct place place = {0};
	struct flow f = {0};

	if (flow_of(ctx, &f) < 0)
		return XDP_ABORTED;
	bpf_map_update_elem(&lru_full, &f, &place, BPF_ANY);
	return XDP_TX;
}

static __always_inline int encapsulate(struct xdp_md *ctx, const struct lb_backend *b)
{
	struct plain_tunnel tunnel = {
		.from = {{LB_HTONS(0x0200), 0, LB_HTONS(2)}},
		.to = b->mac,
		.src = LB_HTONL(0x0a090001),
		.dst = b->addr.word[0],
	};

	return plain_encapsulate(ctx, &tunnel, FRAME_SIZE - 14);
}

SEC("xdp")
int floor_encapsulate(struct xdp_md *ctx)
{
	struct lb_backend b = {.addr = {{LB_HTONL(0x0a020001)}}, .mac = {{LB_HTONS(0x0200), 0, LB_HTONS(17)}}};

	return encapsulate(ctx, &b);
}

/* Katran's published design, our own program: VIP, then an LRU entry per flow, else the hash ring and an insert, then the backend. */
SEC("xdp")
int floor_lru_per_flow(struct xdp_md *ctx)
{
	struct place fresh = {0}, *place;
	struct lb_vip vip = {.port = LB_HTONS(80), .proto = LB_PROTO_TCP, .family = LB_IP4};
	struct lb_backend *b;
	struct flow f = {0};
	__u32 *backend, slot;

	if (flow_of(ctx, &f) < 0)
		return XDP_ABORTED;
	vip.addr.word[0] = f.dst[0];
	if (!bpf_map_lookup_elem(&vips, &vip))
		return XDP_PASS;
	place = bpf_map_lookup_elem(&lru, &f);
	if (!place) {
		slot = (f.src[0] * 2654435761u ^ f.ports * 2246822519u) >> 20;
		backend = bpf_map_lookup_elem(&ring, &slot);
		if (!backend)
			return XDP_ABORTED;
		fresh.backend = *backend;
		bpf_map_update_elem(&lru, &f, &fresh, BPF_ANY);
		place = &fresh;
	}
	b = bpf_map_lookup_elem(&backends, &place->backend);
	return b ? encapsulate(ctx, b) : XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
