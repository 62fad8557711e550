/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The XDP data plane: maps around the forwarding decision. All state is in maps, none in globals, and the daemon pins
 * them ([maps]); it sets their sizes before it loads the program. Sizes here suit a small host.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/lb_fwd.h"

#ifndef LB_CLOCK /* the tests bring a clock that they can set */
#define LB_CLOCK bpf_ktime_get_coarse_ns
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_config);
} lb_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lb_vip);
	__type(value, __u32);
} lb_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct lb_service);
} lb_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 20);
	__type(key, __u32);
	__type(value, __u64);
} lb_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct lb_backend);
} lb_backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 16);
	__type(key, __u32);
	__type(value, struct lb_flow_bucket);
} lb_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct lb_count);
} lb_service_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct lb_count);
} lb_backend_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_drops);
} lb_drop_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct lb_load);
} lb_loads SEC(".maps");

/* Of each service's round robin, how many turns were taken. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u64);
} lb_turns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct lb_prefix);
	__type(value, __u32);
} lb_prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 512 * LB_LIMITED_MAX);
	__type(key, __u32);
	__type(value, struct lb_limited);
} lb_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct lb_rules);
} lb_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 16);
	__type(key, __u32);
	__type(value, __u64);
} lb_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct lb_flood);
} lb_floods SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_VERIFIED_BUCKETS);
	__type(key, __u32);
	__type(value, struct lb_verified_bucket);
} lb_verified SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* who has no routable QUIC has no room for it either */
	__uint(max_entries, 16384);
	__type(key, struct lb_quic_key);
	__type(value, __u32);
} lb_quic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC); /* who has no dnat has no room for it either */
	__uint(max_entries, 16384);
	__type(key, struct lb_vip);
	__type(value, struct lb_reply);
} lb_replies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LB_SNAT_ADDRESSES);
	__type(key, __u32);
	__type(value, struct lb_snat_address);
} lb_snat_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct lb_snat);
} lb_snats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct lb_snat_bucket);
} lb_snat_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct lb_fragment_key);
	__type(value, struct lb_fragment);
} lb_fragments SEC(".maps");

static const struct lb_config *lb_config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_config, &zero);
}

static const __u32 *lb_vip_lookup(const struct lb_vip *vip)
{
	return bpf_map_lookup_elem(&lb_vips, vip);
}

static const struct lb_service *lb_service_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_services, &index);
}

static const __u64 *lb_slot_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_slots, &index);
}

static const struct lb_backend *lb_backend_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_backends, &index);
}

/* Once a tick, so that the backend's cache line stays with all cores. */
static void lb_backend_mark_older(__u32 index, __u32 now)
{
	struct lb_backend *b = bpf_map_lookup_elem(&lb_backends, &index);

	if (b && *(volatile __u32 *)&b->older_ticks != now)
		*(volatile __u32 *)&b->older_ticks = now;
}

static struct lb_flow_bucket *lb_flow_bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_flows, &index);
}

static const struct lb_load *lb_load_at(__u32 backend)
{
	return bpf_map_lookup_elem(&lb_loads, &backend);
}

static void lb_load_add(__u32 backend)
{
	struct lb_load *load = bpf_map_lookup_elem(&lb_loads, &backend);

	if (load)
		(void)__sync_fetch_and_add(&load->flows, 1);
}

static __u64 lb_turn_take(__u32 service)
{
	__u64 *turns = bpf_map_lookup_elem(&lb_turns, &service);

	return turns ? __sync_fetch_and_add(turns, 1) : 0;
}

static const __u32 *lb_prefix_lookup(const struct lb_prefix *prefix)
{
	return bpf_map_lookup_elem(&lb_prefixes, prefix);
}

static const struct lb_rules *lb_rules_at(__u32 service)
{
	return bpf_map_lookup_elem(&lb_rules, &service);
}

static __u64 *lb_bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_buckets, &index);
}

static struct lb_limited *lb_limited_at(__u32 number)
{
	return bpf_map_lookup_elem(&lb_limits, &number);
}

static struct lb_flood *lb_flood_at(__u32 service)
{
	return bpf_map_lookup_elem(&lb_floods, &service);
}

static struct lb_verified_bucket *lb_verified_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_verified, &index);
}

static const __u32 *lb_quic_lookup(const struct lb_quic_key *key)
{
	return bpf_map_lookup_elem(&lb_quic, key);
}

static const struct lb_reply *lb_reply_lookup(const struct lb_vip *backend)
{
	return bpf_map_lookup_elem(&lb_replies, backend);
}

static const struct lb_snat_address *lb_snat_address_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_snat_addresses, &index);
}

static struct lb_snat *lb_snat_at(__u32 number)
{
	return bpf_map_lookup_elem(&lb_snats, &number);
}

static struct lb_snat_bucket *lb_snat_bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&lb_snat_buckets, &index);
}

static __u32 lb_core(void)
{
	return bpf_get_smp_processor_id();
}

static const struct lb_fragment *lb_fragment_lookup(const struct lb_fragment_key *key)
{
	return bpf_map_lookup_elem(&lb_fragments, key);
}

static void lb_fragment_put(const struct lb_fragment_key *key, const struct lb_fragment *value)
{
	bpf_map_update_elem(&lb_fragments, key, value, BPF_ANY);
}

static __u64 lb_now_ns(void)
{
	return LB_CLOCK();
}

LB_INLINE void lb_count(void *map, __u32 index, const struct lb_flow *f)
{
	struct lb_count *c = bpf_map_lookup_elem(map, &index);

	if (!c)
		return;
	c->packets++;
	c->bytes += f->size;
	c->flows += f->flags & LB_FLOW_IS_SYN;
}

static void lb_count_forwarded(const struct lb_decision *d, const struct lb_flow *f)
{
	lb_count(&lb_service_counts, d->service, f);
	lb_count(&lb_backend_counts, d->backend, f);
}

static void lb_count_dropped(__u8 reason)
{
	__u32 zero = 0;
	struct lb_drops *drops = bpf_map_lookup_elem(&lb_drop_counts, &zero);

	if (drops)
		drops->count[reason & (LB_REASON_SLOTS - 1)]++;
}

static struct lb_packet lb_packet_of(struct xdp_md *ctx)
{
	return (struct lb_packet){.frame = ctx, .data = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end};
}

static int lb_head_grow(struct lb_packet *p, int by)
{
	int r = bpf_xdp_adjust_head(p->frame, -by);

	*p = lb_packet_of(p->frame);
	return r;
}

static int lb_tail_trim(struct lb_packet *p, __u32 size)
{
	int r = bpf_xdp_adjust_tail(p->frame, (int)(size - lb_size(p)));

	*p = lb_packet_of(p->frame);
	return r;
}

/* The helper takes 512 bytes at most. */
static __u64 lb_sum_bytes(const struct lb_packet *p, __u32 at, __u32 size)
{
	__be32 *from = lb_at(p, at, size);
	__s64 sum = 0;

	if (!from)
		return 0;
	for (__u32 done = 0; done < size; done += 512)
		sum = bpf_csum_diff((void *)0, 0, from + done / 4, size - done < 512 ? size - done : 512, (__wsum)sum);
	return (__u64)sum;
}

SEC("xdp")
int lb_xdp(struct xdp_md *ctx)
{
	struct lb_packet p = lb_packet_of(ctx);

	switch (lb_forward(&p)) {
	case LB_SEND:
		return XDP_TX;
	case LB_DROP:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

char _license[] SEC("license") = "Dual BSD/GPL";
