/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

/* Tables of megabytes are read at random: on pages of 4 KiB every look-up would miss the TLB, too. */
#define PAGE_SIZE_LARGE (2u << 20)

const struct memory_sizes memory_sizes_default = {
	.services = TABLES_SERVICES,
	.backends = TABLES_BACKENDS,
	.slots = TABLES_SLOTS,
	.flows = TABLES_FLOWS,
	.buckets = TABLES_BUCKETS,
	.snats = TABLES_SNATS,
	.snat_buckets = TABLES_SNAT_BUCKETS,
};

static const struct {
	size_t key, value;
} keyed_sizes[TABLES_KEYED] = {
	[TABLES_BY_VIP] = {sizeof(struct lb_vip), sizeof(uint32_t)},
	[TABLES_BY_REPLY] = {sizeof(struct lb_vip), sizeof(struct lb_reply)},
	[TABLES_BY_PREFIX] = {sizeof(struct lb_prefix), sizeof(uint32_t)},
	[TABLES_BY_QUIC] = {sizeof(struct lb_quic_key), sizeof(uint32_t)},
};

static struct memory *memory_of(struct tables *t)
{
	return container_of(t, struct memory, tables);
}

static void await_packets(struct tables *t)
{
	rte_rcu_qsbr_synchronize(memory_of(t)->rcu, RTE_QSBR_THRID_INVALID);
}

static int get_config(struct tables *t, struct lb_config *ret)
{
	*ret = *memory_of(t)->config;
	return 0;
}

static int set_config(struct tables *t, const struct lb_config *config)
{
	struct memory *m = memory_of(t);
	struct lb_config *old = m->config, *next = mem_aligned(64, sizeof *next);

	*next = *config;
	__atomic_store_n(&m->config, next, __ATOMIC_RELEASE);
	await_packets(t);
	free(old);
	return 0;
}

static int replace(struct tables *t, enum tables_keyed which, const struct wanted *w, const struct image *beside)
{
	struct memory *m = memory_of(t);
	struct image *old = m->keyed[which], *next = which == TABLES_BY_PREFIX ? image_new_prefixes(w, beside) : image_new(w, beside);

	__atomic_store_n(&m->keyed[which], next, __ATOMIC_RELEASE);
	await_packets(t);
	image_free(old);
	return 0;
}

static int add(struct tables *t, enum tables_keyed which, const struct wanted *w)
{
	return replace(t, which, w, memory_of(t)->keyed[which]);
}

static int remove_others(struct tables *t, enum tables_keyed which, struct wanted *w)
{
	return replace(t, which, w, NULL);
}

static const struct tables_plane plane = {
	.get_config = get_config,
	.set_config = set_config,
	.add = add,
	.remove_others = remove_others,
	.await_packets = await_packets,
};

/* ---- what is told of it: by whoever feeds it, so that no image goes meanwhile ---- */

static const struct memory *memory_read(const struct tables *t)
{
	return container_of(t, const struct memory, tables);
}

static bool find(const struct tables *t, enum tables_keyed which, const void *key, void *ret_value)
{
	const struct image *i = memory_read(t)->keyed[which];
	struct image_key words = {{0}};
	const void *value;

	memcpy(&words, key, i->key_size);
	value = which == TABLES_BY_PREFIX ? image_find_prefix(i, key) : image_find(i, &words, i->value_size);
	if (value)
		memcpy(ret_value, value, i->value_size);
	return value;
}

static bool find_fragment(const struct tables *t, const struct lb_fragment_key *key, struct lb_fragment *ret)
{
	return fragments_find(memory_read(t)->fragments, memory_read(t)->config, key, ret);
}

/* Adds up words that workers write meanwhile. */
static void add_words(void *sum, const void *more, size_t size)
{
	const __u64 *from = more;
	__u64 *to = sum;

	for (size_t i = 0; i < size / sizeof *to; i++)
		to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static struct lb_count count_service(const struct tables *t, uint32_t service)
{
	const struct memory *m = memory_read(t);
	struct lb_count sum = {0};

	for (uint32_t i = 0; service < t->service_count && i < t->cores; i++)
		if (m->counts[i])
			add_words(&sum, &m->counts[i]->services[service], sizeof sum);
	return sum;
}

static struct lb_count count_backend(const struct tables *t, uint32_t backend)
{
	const struct memory *m = memory_read(t);
	struct lb_count sum = {0};

	for (uint32_t i = 0; backend < t->backend_count && i < t->cores; i++)
		if (m->counts[i])
			add_words(&sum, &m->counts[i]->backends[backend], sizeof sum);
	return sum;
}

static struct lb_drops count_drops(const struct tables *t)
{
	const struct memory *m = memory_read(t);
	struct lb_drops sum = {0};

	for (uint32_t i = 0; i < t->cores; i++)
		if (m->counts[i])
			add_words(&sum, &m->counts[i]->drops, sizeof sum);
	return sum;
}

static const struct tables_reads reads = {
	.find = find,
	.find_fragment = find_fragment,
	.count_service = count_service,
	.count_backend = count_backend,
	.count_drops = count_drops,
};

static void *array(uint32_t count, size_t size)
{
	size_t whole = round_up(count * size, PAGE_SIZE_LARGE);
	void *p = mem_aligned(PAGE_SIZE_LARGE, whole);

	(void)madvise(p, whole, MADV_HUGEPAGE);
	memset(p, 0, whole);
	return p;
}

void memory_init(struct memory *m, const struct memory_sizes *sizes, unsigned workers)
{
	*m = (struct memory){
		.tables =
			{
				.plane = &plane,
				.reads = &reads,
				.cores = workers,
				.service_count = sizes->services,
				.backend_count = sizes->backends,
				.slot_count = sizes->slots,
				.flow_count = sizes->flows,
				.bucket_count = sizes->buckets,
				.snat_address_count = LB_SNAT_ADDRESSES,
				.snat_count = sizes->snats,
				.snat_bucket_count = sizes->snat_buckets,
				.verified_count = LB_VERIFIED_BUCKETS,
				.limit_count = sizes->services * LB_LIMITED_MAX,
				.services = array(sizes->services, sizeof(struct lb_service)),
				.names = array(sizes->services, sizeof(struct lb_name)),
				.rules = array(sizes->services, sizeof(struct lb_rules)),
				.turns = array(sizes->services, sizeof(__u64)),
				.backends = array(sizes->backends, sizeof(struct lb_backend)),
				.ids = array(sizes->backends, sizeof(__u64)),
				.loads = array(sizes->backends, sizeof(struct lb_load)),
				.slots = array(sizes->slots, sizeof(__u64)),
				.flows = array(sizes->flows, sizeof(struct lb_flow_bucket)),
				.buckets = array(sizes->buckets, sizeof(__u64)),
				.limits = array(sizes->services * LB_LIMITED_MAX, sizeof(struct lb_limited)),
				.snat_addresses = array(LB_SNAT_ADDRESSES, sizeof(struct lb_snat_address)),
				.snats = array(sizes->snats, sizeof(struct lb_snat)),
				.snat_buckets = array(sizes->snat_buckets, sizeof(struct lb_snat_bucket)),
				.floods = array(sizes->services, sizeof(struct lb_flood)),
				.verified = array(LB_VERIFIED_BUCKETS, sizeof(struct lb_verified_bucket)),
			},
		.config = mem_aligned(64, sizeof *m->config),
		.fragments = fragments_new(),
		.rcu = mem_aligned(RTE_CACHE_LINE_SIZE, round_up(rte_rcu_qsbr_get_memsize(workers), RTE_CACHE_LINE_SIZE)),
		.counts = mem_zalloc(workers * sizeof *m->counts),
	};
	*m->config = (struct lb_config){0}; /* as long as there is no catalog */
	(void)rte_rcu_qsbr_init(m->rcu, workers);
	for (int i = 0; i < TABLES_KEYED; i++) {
		struct wanted none;

		wanted_init(&none, keyed_sizes[i].key, keyed_sizes[i].value);
		m->keyed[i] = image_new(&none, NULL);
	}
}

void memory_fini(struct memory *m)
{
	const struct tables *t = &m->tables;
	void *const parts[] = {t->services,     t->names,  t->rules,    t->turns,   t->backends,       t->ids,
			       t->loads,        t->slots,  t->flows,    t->buckets, t->snat_addresses, t->snats,
			       t->snat_buckets, t->floods, t->verified, t->limits,  m->config,         m->rcu};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		free(parts[i]);
	for (int i = 0; i < TABLES_KEYED; i++)
		image_free(m->keyed[i]);
	fragments_free(m->fragments);
	free(m->counts);
	*m = (struct memory){0};
}
