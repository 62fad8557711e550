/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/lb_fwd.h over plain arrays: the same decision, under the compiler's sanitizers. */
#include <stdlib.h>
#include <string.h>

#include "lb/tables_at.h"
#include "tests/bpf/load.h"
#include "tests/bpf/plane.h"

#define HEADROOM 256

static struct lb_config config;
static struct lb_service services[WORLD_SERVICES];
static struct lb_backend backends[LOAD_BACKENDS];
static __u64 slots[LOAD_SLOTS];
static struct lb_flow_bucket flows[WORLD_BUCKETS];
static struct lb_rules rules[WORLD_SERVICES];
static __u64 buckets[LOAD_BUCKETS], turns[WORLD_SERVICES];
static struct lb_limited limits[LOAD_LIMITS];
static struct lb_load loads[LOAD_BACKENDS];
static struct {
	struct lb_vip key;
	__u32 service;
} vips[2 * WORLD_SERVICES];
static struct {
	struct lb_prefix key;
	__u32 value;
} prefixes[LOAD_PREFIXES];
static struct {
	struct lb_fragment_key key;
	struct lb_fragment value;
} fragments[LOAD_FRAGMENTS];
static struct {
	struct lb_quic_key key;
	__u32 backend;
} quic_ids[WORLD_SERVICES * LB_QUIC_CONFIGS * WORLD_BACKENDS];
static struct {
	struct lb_vip key;
	struct lb_reply value;
} replies[2 * LOAD_BACKENDS];
static struct lb_snat_address snat_addresses[LB_SNAT_ADDRESSES];
static struct lb_snat snats[LOAD_SNATS];
static struct lb_snat_bucket snat_buckets[WORLD_BUCKETS];
static struct lb_flood floods[WORLD_SERVICES];
static struct lb_verified_bucket verified[LB_VERIFIED_BUCKETS];
static unsigned vip_count, reply_count, prefix_count, fragment_count, quic_count;
static __u64 now_ns;
static __u8 dropped;
static __u8 *room; /* of the packet: headroom, then its bytes */

static const struct tables tables = {
	.services = services,
	.rules = rules,
	.backends = backends,
	.loads = loads,
	.slots = slots,
	.snat_addresses = snat_addresses,
	.snat_address_count = LB_SNAT_ADDRESSES,
	.service_count = WORLD_SERVICES,
	.backend_count = LOAD_BACKENDS,
	.slot_count = LOAD_SLOTS,
};

static const struct tables *tables_here(void)
{
	return &tables;
}

static const struct lb_config *lb_config_get(void)
{
	return &config;
}

static const __u32 *lb_vip_lookup(const struct lb_vip *vip)
{
	for (unsigned i = 0; i < vip_count; i++)
		if (!memcmp(&vips[i].key, vip, sizeof *vip))
			return &vips[i].service;
	return NULL;
}

static void lb_backend_mark_older(__u32 index, __u32 now)
{
	if (index < LOAD_BACKENDS)
		backends[index].older_ticks = now;
}

static struct lb_flow_bucket *lb_flow_bucket_at(__u32 index)
{
	return index < WORLD_BUCKETS ? &flows[index] : NULL;
}

static void lb_load_add(__u32 backend)
{
	if (backend < LOAD_BACKENDS)
		loads[backend].flows++;
}

static __u64 lb_turn_take(__u32 service)
{
	return service < WORLD_SERVICES ? turns[service]++ : 0;
}

static _Bool prefix_covers(const struct lb_prefix *p, const struct lb_prefix *addr)
{
	const __u8 *a = (const __u8 *)&p->addr, *b = (const __u8 *)&addr->addr;

	if (p->service != addr->service)
		return 0;
	for (unsigned bit = 0; bit < p->bits - 32; bit++)
		if ((a[bit / 8] ^ b[bit / 8]) & 0x80 >> bit % 8)
			return 0;
	return 1;
}

static const __u32 *lb_prefix_lookup(const struct lb_prefix *prefix)
{
	const __u32 *best = NULL;
	__u32 bits = 0;

	for (unsigned i = 0; i < prefix_count; i++)
		if (prefixes[i].key.bits >= bits && prefix_covers(&prefixes[i].key, prefix)) {
			best = &prefixes[i].value;
			bits = prefixes[i].key.bits;
		}
	return best;
}

static __u64 *lb_bucket_at(__u32 index)
{
	return index < LOAD_BUCKETS ? &buckets[index] : NULL;
}

static const __u32 *lb_quic_lookup(const struct lb_quic_key *key)
{
	for (unsigned i = 0; i < quic_count; i++)
		if (!memcmp(&quic_ids[i].key, key, sizeof *key))
			return &quic_ids[i].backend;
	return NULL;
}

static unsigned reply_find(const struct lb_vip *backend)
{
	unsigned i = 0;

	while (i < reply_count && memcmp(&replies[i].key, backend, sizeof *backend))
		i++;
	return i;
}

static const struct lb_reply *lb_reply_lookup(const struct lb_vip *backend)
{
	unsigned i = reply_find(backend);

	return i < reply_count ? &replies[i].value : NULL;
}

static struct lb_snat *lb_snat_at(__u32 number)
{
	return number < LOAD_SNATS ? &snats[number] : NULL;
}

static struct lb_snat_bucket *lb_snat_bucket_at(__u32 index)
{
	return index < WORLD_BUCKETS ? &snat_buckets[index] : NULL;
}

static struct lb_limited *lb_limited_at(__u32 number)
{
	return number < LOAD_LIMITS ? &limits[number] : NULL;
}

static struct lb_flood *lb_flood_at(__u32 service)
{
	return service < WORLD_SERVICES ? &floods[service] : NULL;
}

static struct lb_verified_bucket *lb_verified_at(__u32 index)
{
	return index < LB_VERIFIED_BUCKETS ? &verified[index] : NULL;
}

static __u32 lb_core(void)
{
	return 0;
}

static unsigned fragment_find(const struct lb_fragment_key *key)
{
	unsigned i = 0;

	while (i < fragment_count && memcmp(&fragments[i].key, key, sizeof *key))
		i++;
	return i;
}

static const struct lb_fragment *lb_fragment_lookup(const struct lb_fragment_key *key)
{
	unsigned i = fragment_find(key);

	return i < fragment_count ? &fragments[i].value : NULL;
}

static void lb_fragment_put(const struct lb_fragment_key *key, const struct lb_fragment *value)
{
	unsigned i = fragment_find(key);

	if (i == LOAD_FRAGMENTS)
		return;
	fragment_count += i == fragment_count;
	fragments[i].key = *key;
	fragments[i].value = *value;
}

static __u64 lb_now_ns(void)
{
	return now_ns;
}

static void lb_count_forwarded(const struct lb_decision *d, const struct lb_flow *f)
{
	(void)d;
	(void)f;
}

static void lb_count_dropped(__u8 reason)
{
	dropped = reason;
}

static struct lb_packet lb_packet_of(lb_frame *frame)
{
	return *frame;
}

static int lb_head_grow(struct lb_packet *p, int by)
{
	if (p->data - by < room || p->data - by >= p->end)
		return -1;
	p->data -= by;
	return 0;
}

static int lb_tail_trim(struct lb_packet *p, __u32 size)
{
	if (size > lb_size(p))
		return -1;
	p->end = p->data + size;
	return 0;
}

static __u64 lb_sum_bytes(const struct lb_packet *p, __u32 at, __u32 size)
{
	const __u8 *from = lb_at(p, at, size);
	__u64 sum = 0;

	for (__u32 i = 0; from && i < size; i += 2)
		sum += (__u64)from[i] | (__u64)from[i + 1] << 8;
	return sum;
}

static void put_vip(const struct lb_vip *vip, __u32 service)
{
	vips[vip_count].key = *vip;
	vips[vip_count++].service = service;
}

static void put_prefix(const struct lb_prefix *prefix, __u32 value)
{
	prefixes[prefix_count].key = *prefix;
	prefixes[prefix_count++].value = value;
}

static void put_quic(const struct lb_quic_key *key, __u32 backend)
{
	quic_ids[quic_count].key = *key;
	quic_ids[quic_count++].backend = backend;
}

static void put_reply(const struct lb_vip *backend, const struct lb_reply *reply)
{
	unsigned i = reply_find(backend);

	reply_count += i == reply_count;
	replies[i].key = *backend;
	replies[i].value = *reply;
}

static int host_open(struct plane *p)
{
	(void)p;
	return 0;
}

static void host_close(struct plane *p)
{
	(void)p;
}

static void host_reload(struct plane *p, const struct world *w)
{
	struct load l = {.config = &config,
			 .service = services,
			 .backend = backends,
			 .slot = slots,
			 .rules = rules,
			 .limits = limits,
			 .loads = loads,
			 .snat_addresses = snat_addresses,
			 .put_vip = put_vip,
			 .put_quic = put_quic,
			 .put_reply = put_reply,
			 .put_prefix = put_prefix};

	(void)p;
	vip_count = reply_count = prefix_count = quic_count = 0;
	load_world(&l, w);
}

static void host_load(struct plane *p, const struct world *w)
{
	memset(flows, 0, sizeof flows);
	memset(buckets, 0, sizeof buckets);
	memset(limits, 0, sizeof limits);
	memset(turns, 0, sizeof turns);
	memset(snats, 0, sizeof snats);
	memset(snat_buckets, 0, sizeof snat_buckets);
	memset(floods, 0, sizeof floods);
	memset(verified, 0, sizeof verified);
	memset(backends, 0, sizeof backends);
	fragment_count = 0;
	host_reload(p, w);
}

static void host_clock(struct plane *p, uint64_t ticks)
{
	(void)p;
	now_ns = ticks << LB_TICK_SHIFT;
}

/* The packet ends where the allocation ends, so that ASan sees the first byte read too far. */
static void host_run(struct plane *p, const struct frame *f, struct result *ret)
{
	static const enum outcome outcomes[] = {[LB_PASS] = OUT_PASS, [LB_LOCAL] = OUT_LOCAL, [LB_SEND] = OUT_SEND, [LB_DROP] = OUT_DROP};

	struct lb_packet packet = {.frame = &packet};

	(void)p;
	room = malloc(HEADROOM + f->size);
	packet.data = room + HEADROOM;
	packet.end = packet.data + f->size;
	memcpy(packet.data, f->bytes, f->size);
	dropped = LB_REASON_NONE;
	ret->outcome = outcomes[lb_forward(&packet)];
	ret->reason = ret->outcome == OUT_DROP ? load_reason(dropped) : NULL;
	ret->frame.size = (size_t)(packet.end - packet.data);
	memcpy(ret->frame.bytes, packet.data, ret->frame.size);
	free(room);
}

static unsigned host_older(struct plane *p, unsigned service, unsigned backend)
{
	(void)p;
	return backends[service * WORLD_BACKENDS + backend].older_ticks;
}

struct plane plane_host = {
	.name = "host",
	.open = host_open,
	.close = host_close,
	.load = host_load,
	.reload = host_reload,
	.clock = host_clock,
	.run = host_run,
	.older = host_older,
};
