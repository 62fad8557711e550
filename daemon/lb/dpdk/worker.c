/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include <rte_branch_prediction.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_prefetch.h>

#include "base/mem.h"
#include "lb/tables_at.h"

#define FETCH_AHEAD 4
static_assert(WORKER_BURST <= CAPTURE_BURST, "a burst can be captured");

/* A packet on its way through a burst. */
struct staged {
	struct lb_packet packet;
	struct rte_mbuf *mbuf;
	struct lb_flow flow;
	struct lb_decision decision;
	enum lb_verdict verdict;
};

/* ---- what bpf/lb_fwd.h asks for ---- */

/* lb_fwd.h passes no context through; each worker has a thread. */
static __thread struct worker *self;

static const struct tables *tables_here(void)
{
	return &self->memory->tables;
}

static inline const struct image *image_here(enum tables_keyed which)
{
	return __atomic_load_n(&self->memory->keyed[which], __ATOMIC_ACQUIRE);
}

static const struct lb_config *lb_config_get(void)
{
	return self->config;
}

LB_INLINE struct image_key vip_words(const struct lb_vip *v)
{
	return (struct image_key){{
		(__u64)v->addr.word[1] << 32 | v->addr.word[0],
		(__u64)v->addr.word[3] << 32 | v->addr.word[2],
		(__u64)v->family << 24 | (__u32)v->proto << 16 | v->port,
	}};
}

LB_INLINE const __u32 *lb_vip_lookup(const struct lb_vip *vip)
{
	struct image_key key = vip_words(vip);

	return image_find(image_here(TABLES_BY_VIP), &key, sizeof(__u32));
}

LB_INLINE const struct lb_reply *lb_reply_lookup(const struct lb_vip *backend)
{
	struct image_key key = vip_words(backend);

	return image_find(image_here(TABLES_BY_REPLY), &key, sizeof(struct lb_reply));
}

static const __u32 *lb_quic_lookup(const struct lb_quic_key *quic)
{
	struct image_key key = {{0}};

	memcpy(&key, quic, sizeof *quic);
	return image_find(image_here(TABLES_BY_QUIC), &key, sizeof(__u32));
}

static const __u32 *lb_prefix_lookup(const struct lb_prefix *prefix)
{
	return image_find_prefix(image_here(TABLES_BY_PREFIX), prefix);
}

/* Once a tick, so that the backend's cache line stays with all workers. */
static void lb_backend_mark_older(__u32 index, __u32 now)
{
	const struct tables *t = tables_here();

	if (index < t->backend_count && __atomic_load_n(&t->backends[index].older_ticks, __ATOMIC_RELAXED) != now)
		__atomic_store_n(&t->backends[index].older_ticks, now, __ATOMIC_RELAXED);
}

static struct lb_flow_bucket *lb_flow_bucket_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->flow_count ? &t->flows[index] : NULL;
}

static __u64 *lb_bucket_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->bucket_count ? &t->buckets[index] : NULL;
}

static struct lb_limited *lb_limited_at(__u32 number)
{
	const struct tables *t = tables_here();

	return number < t->limit_count ? &t->limits[number] : NULL;
}

static struct lb_flood *lb_flood_at(__u32 service)
{
	const struct tables *t = tables_here();

	return service < t->service_count ? &t->floods[service] : NULL;
}

static struct lb_verified_bucket *lb_verified_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->verified_count ? &t->verified[index] : NULL;
}

static void lb_load_add(__u32 backend)
{
	const struct tables *t = tables_here();

	if (backend < t->backend_count)
		__atomic_fetch_add(&t->loads[backend].flows, 1, __ATOMIC_RELAXED);
}

static __u64 lb_turn_take(__u32 service)
{
	const struct tables *t = tables_here();

	return service < t->service_count ? __atomic_fetch_add(&t->turns[service], 1, __ATOMIC_RELAXED) : 0;
}

static struct lb_snat *lb_snat_at(__u32 number)
{
	const struct tables *t = tables_here();

	return number < t->snat_count ? &t->snats[number] : NULL;
}

static struct lb_snat_bucket *lb_snat_bucket_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->snat_bucket_count ? &t->snat_buckets[index] : NULL;
}

static __u32 lb_core(void)
{
	return self->number;
}

static const struct lb_fragment *lb_fragment_lookup(const struct lb_fragment_key *key)
{
	return fragments_find(self->memory->fragments, self->config, key, &self->fragment) ? &self->fragment : NULL;
}

static void lb_fragment_put(const struct lb_fragment_key *key, const struct lb_fragment *value)
{
	fragments_put(self->memory->fragments, self->config, key, value);
}

static __u64 lb_now_ns(void)
{
	return self->now_ns;
}

static inline void count(struct lb_count *c, const struct lb_flow *f)
{
	c->packets++;
	c->bytes += f->size;
	c->flows += f->flags & LB_FLOW_IS_SYN;
}

/* Both numbers were found in the tables. */
static void lb_count_forwarded(const struct lb_decision *d, const struct lb_flow *f)
{
	count(&self->counts.services[d->service], f);
	count(&self->counts.backends[d->backend], f);
}

static void lb_count_dropped(__u8 reason)
{
	self->counts.drops.count[reason & (LB_REASON_SLOTS - 1)]++;
}

static struct lb_packet lb_packet_of(lb_frame *frame)
{
	return *frame;
}

static int lb_head_grow(struct lb_packet *p, int by)
{
	const struct rte_mbuf *m = container_of(p->frame, struct staged, packet)->mbuf;

	if (p->data - by < (__u8 *)m->buf_addr || p->data - by >= p->end)
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
	const void *from = lb_at(p, at, size);

	return from ? rte_raw_cksum(from, size) : 0;
}

/* ---- a burst ---- */

/* The decision sees frames as they were on the wire: a tag that the device took off goes back. What came in pieces is longer than anything
 * that this port was set up for; the kernel can tell what it is. */
static inline void parse(const struct lb_config *cfg, struct staged *s, struct rte_mbuf *m)
{
	if (unlikely(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED))
		(void)rte_vlan_insert(&m);
	s->mbuf = m;
	s->packet.frame = &s->packet;
	s->packet.data = rte_pktmbuf_mtod(m, __u8 *);
	s->packet.end = s->packet.data + m->data_len;
	s->flow = (struct lb_flow){0};
	s->decision = (struct lb_decision){0};
	s->verdict = likely(m->nb_segs == 1) && likely(lb_is_ours(cfg, &s->packet)) && lb_parse(&s->packet, &s->flow) == 0 ? LB_SEND : LB_PASS;
}

static inline void assign(const struct lb_config *cfg, struct staged *s)
{
	const struct lb_service *service;

	if (s->verdict == LB_SEND)
		s->verdict = lb_assign(cfg, &s->flow, &s->decision);
	service = s->verdict == LB_SEND ? lb_service_at(s->decision.service) : NULL;
	if (service)
		rte_prefetch0(lb_slot_find(cfg, service, &s->flow, &s->decision));
}

/* The owner's line, and the flow's if its slot moved. */
static inline void fetch_owner(const struct lb_config *cfg, const struct staged *s)
{
	const struct lb_service *service = s->verdict == LB_SEND ? lb_service_at(s->decision.service) : NULL;
	const volatile struct lb_slot *slot = service && lb_table_of(service)->count
						      ? (const volatile struct lb_slot *)lb_slot_at(s->decision.slot)
						      : NULL;
	const struct lb_flow_bucket *bucket;

	if (!slot)
		return;
	rte_prefetch0(lb_backend_at(service->backend_base + slot->current));
	if (!(slot->flags & LB_SLOT_MOVED) && service->scheduler <= LB_SOURCE)
		return;
	bucket = lb_flow_bucket_at(s->decision.hash & cfg->flow_mask);
	if (bucket) {
		rte_prefetch0(&bucket->entry[0]);
		rte_prefetch0(&bucket->entry[LB_FLOW_WAYS / 2]);
	}
}

static inline void finish(const struct lb_config *cfg, struct staged *s, struct verdicts *ret)
{
	struct rte_mbuf *m = s->mbuf;

	s->verdict = lb_forward_recognised(cfg, &s->packet, &s->flow, &s->decision, s->verdict);
	switch (s->verdict) {
	case LB_SEND:
		m->data_off = (uint16_t)(s->packet.data - (__u8 *)m->buf_addr);
		m->data_len = (uint16_t)lb_size(&s->packet);
		m->pkt_len = m->data_len;
		ret->send[ret->send_count++] = m;
		break;
	case LB_DROP:
		rte_pktmbuf_free(m);
		break;
	default:
		ret->kernel[ret->kernel_count++] = m;
		break;
	}
}

/* Before the decision changes or frees them. */
static void copy_burst(struct capture *c, const struct staged *burst, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		capture_copy(c, i, burst[i].packet.data, burst[i].mbuf->data_len, burst[i].mbuf->pkt_len);
}

static void judge_burst(struct capture *c, const struct staged *burst, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		capture_judge(c, i, burst[i].verdict, burst[i].decision.reason);
}

void worker_decide(struct worker *w, struct rte_mbuf **burst, uint16_t n, uint64_t now_ns, struct verdicts *ret)
{
	struct staged staged[WORKER_BURST];
	const struct lb_config *cfg = __atomic_load_n(&w->memory->config, __ATOMIC_ACQUIRE);
	bool captured = capture_is_on(&w->capture, now_ns);

	self = w;
	w->config = cfg;
	w->now_ns = now_ns;
	ret->send_count = ret->kernel_count = 0;
	for (uint16_t i = 0; i < n && i < FETCH_AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + FETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(burst[i + FETCH_AHEAD], void *));
		parse(cfg, &staged[i], burst[i]);
	}
	for (uint16_t i = 0; i < n; i++)
		assign(cfg, &staged[i]);
	for (uint16_t i = 0; i < n; i++)
		fetch_owner(cfg, &staged[i]);
	if (unlikely(captured))
		copy_burst(&w->capture, staged, n);
	for (uint16_t i = 0; i < n; i++)
		finish(cfg, &staged[i], ret);
	if (unlikely(captured))
		judge_burst(&w->capture, staged, n);
}

/* ---- the loop ---- */

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* How many the queue had no room for, which are freed. */
static uint64_t send_burst(uint16_t port, uint16_t queue, struct rte_mbuf **packets, uint16_t n)
{
	uint16_t sent = n ? rte_eth_tx_burst(port, queue, packets, n) : 0;

	if (unlikely(sent < n))
		rte_pktmbuf_free_bulk(packets + sent, n - sent);
	return n - sent;
}

static void take_from_port(struct worker *w)
{
	struct rte_mbuf *burst[WORKER_BURST];
	uint16_t n = rte_eth_rx_burst(w->port, w->number, burst, WORKER_BURST);
	struct verdicts v;

	if (!n)
		return;
	worker_decide(w, burst, n, monotonic_ns(), &v);
	w->counts.to_kernel += v.kernel_count;
	w->counts.unsent += send_burst(w->port, w->number, v.send, v.send_count);
	w->counts.kernel_unsent += send_burst(w->kernel, w->number, v.kernel, v.kernel_count);
}

static void take_from_kernel(struct worker *w)
{
	struct rte_mbuf *burst[WORKER_BURST];
	uint16_t n = rte_eth_rx_burst(w->kernel, w->number, burst, WORKER_BURST);

	w->counts.from_kernel += n;
	w->counts.unsent += send_burst(w->port, w->number, burst, n);
}

int worker_run(void *worker)
{
	struct worker *w = worker;

	(void)rte_rcu_qsbr_thread_register(w->memory->rcu, w->number);
	rte_rcu_qsbr_thread_online(w->memory->rcu, w->number);
	while (!__atomic_load_n(w->stop, __ATOMIC_RELAXED)) {
		take_from_port(w);
		take_from_kernel(w);
		rte_rcu_qsbr_quiescent(w->memory->rcu, w->number);
	}
	rte_rcu_qsbr_thread_offline(w->memory->rcu, w->number);
	(void)rte_rcu_qsbr_thread_unregister(w->memory->rcu, w->number);
	return 0;
}

void worker_init(struct worker *w, struct memory *m, uint16_t number)
{
	*w = (struct worker){
		.memory = m,
		.number = number,
		.counts =
			{
				.services = mem_zalloc(m->tables.service_count * sizeof(struct lb_count)),
				.backends = mem_zalloc(m->tables.backend_count * sizeof(struct lb_count)),
			},
	};
	m->counts[number] = &w->counts;
}

void worker_fini(struct worker *w)
{
	w->memory->counts[w->number] = NULL;
	free(w->counts.services);
	free(w->counts.backends);
	capture_fini(&w->capture);
	*w = (struct worker){0};
}
