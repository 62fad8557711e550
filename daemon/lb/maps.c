/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/maps.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/list.h"
#include "lb/counts.h"

/* A map, and where struct maps keeps it. */
struct place {
	const char *name;
	uint32_t value_size; /* 0: not mapped, used through its descriptor */
	size_t field, count; /* offsets */
	enum { DAEMON, PACKETS } writer;
};

#define DESCRIPTOR(name, field, writer)                          \
	{                                                        \
		name, 0, offsetof(struct maps, field), 0, writer \
	}
#define MAPPED(name, type, field, number, writer)                                                                     \
	{                                                                                                             \
		name, sizeof(type), offsetof(struct maps, tables.field), offsetof(struct maps, tables.number), writer \
	}

static const struct place places[] = {
	DESCRIPTOR("lb_config", config, DAEMON),
	DESCRIPTOR("lb_vips", keyed[TABLES_BY_VIP], DAEMON),
	DESCRIPTOR("lb_replies", keyed[TABLES_BY_REPLY], DAEMON),
	DESCRIPTOR("lb_prefixes", keyed[TABLES_BY_PREFIX], DAEMON),
	DESCRIPTOR("lb_quic", keyed[TABLES_BY_QUIC], DAEMON),
	DESCRIPTOR("lb_fragments", fragments, PACKETS),
	DESCRIPTOR("lb_service_counts", service_counts, PACKETS),
	DESCRIPTOR("lb_backend_counts", backend_counts, PACKETS),
	DESCRIPTOR("lb_drop_counts", drop_counts, PACKETS),
	MAPPED("lb_services", struct lb_service, services, service_count, DAEMON),
	MAPPED("lb_names", struct lb_name, names, service_count, DAEMON),
	MAPPED("lb_rules", struct lb_rules, rules, service_count, DAEMON),
	MAPPED("lb_limits", struct lb_limited, limits, limit_count, DAEMON),
	MAPPED("lb_turns", __u64, turns, service_count, PACKETS),
	MAPPED("lb_floods", struct lb_flood, floods, service_count, PACKETS),
	MAPPED("lb_verified", struct lb_verified_bucket, verified, verified_count, PACKETS),
	MAPPED("lb_backends", struct lb_backend, backends, backend_count, DAEMON),
	MAPPED("lb_ids", __u64, ids, backend_count, DAEMON),
	MAPPED("lb_loads", struct lb_load, loads, backend_count, PACKETS),
	MAPPED("lb_slots", __u64, slots, slot_count, DAEMON),
	MAPPED("lb_flows", struct lb_flow_bucket, flows, flow_count, PACKETS),
	MAPPED("lb_buckets", __u64, buckets, bucket_count, PACKETS),
	MAPPED("lb_snat_addresses", struct lb_snat_address, snat_addresses, snat_address_count, DAEMON),
	MAPPED("lb_snats", struct lb_snat, snats, snat_count, PACKETS),
	MAPPED("lb_snat_buckets", struct lb_snat_bucket, snat_buckets, snat_bucket_count, PACKETS),
};

#define PLACES (sizeof places / sizeof *places)

static void *at(struct maps *m, size_t offset)
{
	return (char *)m + offset;
}

static size_t mapped_size(const struct place *p, uint32_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return ((size_t)count * p->value_size + page - 1) / page * page;
}

static int open_pin(const char *dir, const char *name, bool writer)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = writer ? 0 : BPF_F_RDONLY);
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = bpf_obj_get_opts(path, &opts);
	return fd < 0 ? -errno : fd;
}

/* One of the daemon's own maps. */
static int make_pin(const char *dir, const char *name, uint32_t value_size, uint32_t count)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	char path[256];
	int fd, r = 0;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	if (access(path, F_OK) == 0)
		return 0;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), value_size, count, &opts);
	if (fd < 0)
		return -errno;
	if (bpf_obj_pin(fd, path) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

static int map_memory(struct maps *m, const struct place *p, int fd, bool writer)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof info;
	void *memory;

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	if (info.value_size != p->value_size)
		return -EPROTO;
	memory = mmap(NULL, mapped_size(p, info.max_entries), writer ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*(void **)at(m, p->field) = memory;
	*(uint32_t *)at(m, p->count) = info.max_entries;
	return 0;
}

static int open_place(struct maps *m, const struct place *p, const char *dir, bool writer)
{
	/* The kernel maps memory from no descriptor that is read-only; a reader's memory is. */
	int fd = open_pin(dir, p->name, writer || p->value_size), r;

	if (fd < 0)
		return fd;
	if (!p->value_size) {
		*(int *)at(m, p->field) = fd;
		return 0;
	}
	r = map_memory(m, p, fd, writer);
	(void)close(fd); /* the memory stays mapped without it */
	return r;
}

static int count_of(const char *dir, const char *name, uint32_t *ret)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof info;
	int fd = open_pin(dir, name, true), r = fd < 0 ? fd : 0;

	if (r == 0 && bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		r = -errno;
	if (fd >= 0)
		(void)close(fd);
	*ret = info.max_entries;
	return r;
}

static int make_own(const char *dir)
{
	uint32_t services = 0, backends = 0;
	int r = count_of(dir, "lb_services", &services);

	if (r == 0)
		r = count_of(dir, "lb_backends", &backends);
	if (r == 0)
		r = make_pin(dir, "lb_names", sizeof(struct lb_name), services);
	return r < 0 ? r : make_pin(dir, "lb_ids", sizeof(__u64), backends);
}

/* ---- what is told of them ---- */

static const struct maps *maps_of(const struct tables *t)
{
	return container_of_const(t, struct maps, tables);
}

static bool find(const struct tables *t, enum tables_keyed which, const void *key, void *ret_value)
{
	return bpf_map_lookup_elem(maps_of(t)->keyed[which], key, ret_value) == 0;
}

static bool find_fragment(const struct tables *t, const struct lb_fragment_key *key, struct lb_fragment *ret)
{
	return bpf_map_lookup_elem(maps_of(t)->fragments, key, ret) == 0;
}

static struct lb_count count_service(const struct tables *t, uint32_t service)
{
	return counts_read(maps_of(t)->service_counts, service);
}

static struct lb_count count_backend(const struct tables *t, uint32_t backend)
{
	return counts_read(maps_of(t)->backend_counts, backend);
}

static struct lb_drops count_drops(const struct tables *t)
{
	return counts_drops(maps_of(t)->drop_counts);
}

static const struct tables_reads reads = {
	.find = find,
	.find_fragment = find_fragment,
	.count_service = count_service,
	.count_backend = count_backend,
	.count_drops = count_drops,
};

int maps_open(struct maps *m, const char *dir, bool writer)
{
	int r = 0;

	*m = (struct maps){.tables.reads = &reads};
	for (size_t i = 0; i < PLACES; i++)
		if (!places[i].value_size)
			*(int *)at(m, places[i].field) = -1;
	if (writer)
		r = make_own(dir);
	for (size_t i = 0; r == 0 && i < PLACES; i++)
		r = open_place(m, &places[i], dir, writer);
	if (r < 0)
		maps_close(m);
	return r;
}

static void close_place(struct maps *m, const struct place *p)
{
	if (!p->value_size) {
		int *fd = at(m, p->field);

		if (*fd >= 0)
			(void)close(*fd);
		*fd = -1;
	} else {
		void **memory = at(m, p->field);

		if (*memory)
			(void)munmap(*memory, mapped_size(p, *(uint32_t *)at(m, p->count)));
		*memory = NULL;
	}
}

void maps_close(struct maps *m)
{
	for (size_t i = 0; i < PLACES; i++)
		close_place(m, &places[i]);
}

int maps_config(const struct maps *m, struct lb_config *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(m->config, &zero, ret) < 0 ? -errno : 0;
}

/* ---- from one ABI to the next ---- */

static bool has_form(int fd, uint32_t key_size, uint32_t value_size, uint32_t count)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof info;

	return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.key_size == key_size && info.value_size == value_size && info.max_entries == count;
}

/* What is left of a map that the object has, too, in the same form; negative errno if there is nothing. */
static int open_same(const char *left, const char *name, const struct bpf_object *object)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	int fd = map ? open_pin(left, name, true) : -ENOENT;

	if (fd < 0 || has_form(fd, bpf_map__key_size(map), bpf_map__value_size(map), bpf_map__max_entries(map)))
		return fd;
	(void)close(fd);
	return -EPROTO;
}

/* Whether a service or a backend has the same number in both. */
static bool same_numbers(const char *left, const struct bpf_object *object)
{
	static const struct {
		const char *of, *numbers;
		uint32_t size;
	} both[] = {{"lb_services", "lb_names", sizeof(struct lb_name)}, {"lb_backends", "lb_ids", sizeof(__u64)}};
	bool same = true;

	for (size_t i = 0; same && i < sizeof both / sizeof *both; i++) {
		int of = open_same(left, both[i].of, object), numbers = open_pin(left, both[i].numbers, true);

		same = of >= 0 && numbers >= 0 &&
		       has_form(numbers, sizeof(__u32), both[i].size, bpf_map__max_entries(bpf_object__find_map_by_name(object, both[i].of)));
		if (of >= 0)
			(void)close(of);
		if (numbers >= 0)
			(void)close(numbers);
	}
	return same;
}

int maps_share(const char *left, const char *dir, struct bpf_object *object)
{
	int r = same_numbers(left, object) ? 0 : -EPROTO;

	for (size_t i = 0; r == 0 && i < PLACES; i++) {
		int fd = places[i].writer == PACKETS ? open_same(left, places[i].name, object) : -ENOENT;
		char path[256];

		if (fd < 0)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", dir, places[i].name);
		if (bpf_obj_pin(fd, path) < 0 && errno != EEXIST) /* an earlier attempt did it */
			r = -errno;
		(void)close(fd);
	}
	return r;
}

/* What is in force there, of which what the routes don't say any more stays. */
static void copy_config(struct maps *to, const char *left)
{
	struct lb_config config;
	uint32_t zero = 0;
	int fd = open_pin(left, "lb_config", false);

	if (fd < 0)
		return;
	if (has_form(fd, sizeof zero, sizeof config, 1) && bpf_map_lookup_elem(fd, &zero, &config) == 0)
		(void)bpf_map_update_elem(to->config, &zero, &config, BPF_ANY);
	(void)close(fd);
}

void maps_copy(struct maps *to, const char *left)
{
	copy_config(to, left);
	for (size_t i = 0; i < PLACES; i++) {
		const struct place *p = &places[i];
		struct maps had = {0};

		if (p->writer == PACKETS || !p->value_size || open_place(&had, p, left, false) < 0)
			continue;
		if (*(uint32_t *)at(&had, p->count) == *(uint32_t *)at(to, p->count))
			memcpy(*(void **)at(to, p->field), *(void **)at(&had, p->field), (size_t)*(uint32_t *)at(to, p->count) * p->value_size);
		close_place(&had, p);
	}
}
