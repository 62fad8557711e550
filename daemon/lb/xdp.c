/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/xdp.h"

#include <assert.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/list.h"
#include "lb/map.h"

int xdp_set_sizes(struct bpf_object *object)
{
	static const struct {
		const char *map;
		uint32_t size;
	} sizes[] = {
		{"lb_vips", TABLES_VIPS},
		{"lb_backends", TABLES_BACKENDS},
		{"lb_backend_counts", TABLES_BACKENDS},
		{"lb_loads", TABLES_BACKENDS},
		{"lb_slots", TABLES_SLOTS},
		{"lb_flows", TABLES_FLOWS},
		{"lb_buckets", TABLES_BUCKETS},
		{"lb_replies", TABLES_REPLIES},
		{"lb_quic", TABLES_QUIC},
		{"lb_snats", TABLES_SNATS},
		{"lb_snat_buckets", TABLES_SNAT_BUCKETS},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, sizes[i].map);
		int r = map ? bpf_map__set_max_entries(map, sizes[i].size) : -ENOENT;

		if (r < 0)
			return r;
	}
	return 0;
}

static struct maps *maps_of(struct tables *t)
{
	return container_of(t, struct maps, tables);
}

static int get_config(struct tables *t, struct lb_config *ret)
{
	return maps_config(maps_of(t), ret);
}

static int set_config(struct tables *t, const struct lb_config *config)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(maps_of(t)->config, &zero, config, BPF_ANY) < 0 ? -errno : 0;
}

static int add(struct tables *t, enum tables_keyed which, const struct wanted *w)
{
	return map_add(maps_of(t)->keyed[which], w);
}

static int remove_others(struct tables *t, enum tables_keyed which, struct wanted *w)
{
	return map_remove_others(maps_of(t)->keyed[which], w);
}

/* Programs run in RCU read sections, and this waits for those. */
static void await_packets(struct tables *t)
{
	(void)t;
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

static const struct tables_plane plane = {
	.get_config = get_config,
	.set_config = set_config,
	.add = add,
	.remove_others = remove_others,
	.await_packets = await_packets,
};

int xdp_open(struct maps *m, const char *dir)
{
	int r = maps_open(m, dir, true);

	if (r < 0)
		return r;
	assert(m->tables.service_count == TABLES_SERVICES);
	m->tables.plane = &plane;
	m->tables.cores = (uint32_t)libbpf_num_possible_cpus();
	return 0;
}
