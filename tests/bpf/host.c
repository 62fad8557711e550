/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/lb_fwd.h over plain arrays: the same decision, under the compiler's sanitizers. */
#include <stdlib.h>
#include <string.h>

#include "bpf/lb_fwd.h"
#include "tests/bpf/load.h"
#include "tests/bpf/plane.h"

#define HEADROOM 256

static struct lb_config config;
static struct lb_service services[WORLD_SERVICES];
static struct lb_backend backends[LOAD_BACKENDS];
static __u64 slots[LOAD_SLOTS];
static struct lb_flow_bucket flows[WORLD_BUCKETS];
static struct {
	struct lb_vip key;
	__u32 service;
} vips[WORLD_SERVICES];
static unsigned vip_count;
static __u64 now_ns;
static __u8 dropped;

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

static const struct lb_service *lb_service_at(__u32 index)
{
	return index < WORLD_SERVICES ? &services[index] : NULL;
}

static const __u64 *lb_slot_at(__u32 index)
{
	return index < LOAD_SLOTS ? &slots[index] : NULL;
}

static const struct lb_backend *lb_backend_at(__u32 index)
{
	return index < LOAD_BACKENDS ? &backends[index] : NULL;
}

static struct lb_flow_bucket *lb_flow_bucket_at(__u32 index)
{
	return index < WORLD_BUCKETS ? &flows[index] : NULL;
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

static int lb_head_grow(struct lb_packet *p, int by)
{
	if (p->data - by < (__u8 *)p->frame || p->data - by >= p->end)
		return -1;
	p->data -= by;
	return 0;
}

static void put_vip(void *ctx, const struct lb_vip *vip, __u32 service)
{
	(void)ctx;
	vips[vip_count].key = *vip;
	vips[vip_count++].service = service;
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
	struct load l = {.config = &config, .service = services, .backend = backends, .slot = slots, .put_vip = put_vip};

	(void)p;
	vip_count = 0;
	load_world(&l, w);
}

static void host_load(struct plane *p, const struct world *w)
{
	memset(flows, 0, sizeof flows);
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
	__u8 *room = malloc(HEADROOM + f->size);
	struct lb_packet packet = {.frame = room, .data = room + HEADROOM, .end = room + HEADROOM + f->size};

	(void)p;
	memcpy(packet.data, f->bytes, f->size);
	dropped = LB_REASON_NONE;
	ret->outcome = outcomes[lb_forward(&packet)];
	ret->reason = ret->outcome == OUT_DROP ? load_reason(dropped) : NULL;
	ret->frame.size = (size_t)(packet.end - packet.data);
	memcpy(ret->frame.bytes, packet.data, ret->frame.size);
	free(room);
}

struct plane plane_host = {
	.name = "host",
	.open = host_open,
	.close = host_close,
	.load = host_load,
	.reload = host_reload,
	.clock = host_clock,
	.run = host_run,
};
