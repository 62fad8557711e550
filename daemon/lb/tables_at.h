/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arrays as bpf/lb_fwd.h asks for them, for those of its includers that have them in struct tables: the includer says where by
 * defining tables_here() before. An element that isn't there is NULL.
 */
#ifndef HF_LB_TABLES_AT_H
#define HF_LB_TABLES_AT_H

#include <stddef.h>

#include "bpf/lb_fwd.h"
#include "lb/tables.h"

static const struct tables *tables_here(void);

LB_INLINE const struct lb_service *lb_service_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->service_count ? &t->services[index] : NULL;
}

LB_INLINE const __u64 *lb_slot_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->slot_count ? &t->slots[index] : NULL;
}

LB_INLINE const struct lb_backend *lb_backend_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->backend_count ? &t->backends[index] : NULL;
}

LB_INLINE const struct lb_load *lb_load_at(__u32 backend)
{
	const struct tables *t = tables_here();

	return backend < t->backend_count ? &t->loads[backend] : NULL;
}

LB_INLINE const struct lb_rules *lb_rules_at(__u32 service)
{
	const struct tables *t = tables_here();

	return service < t->service_count ? &t->rules[service] : NULL;
}

LB_INLINE const struct lb_snat_address *lb_snat_address_at(__u32 index)
{
	const struct tables *t = tables_here();

	return index < t->snat_address_count ? &t->snat_addresses[index] : NULL;
}

#endif
