/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of the XDP data plane and of the decapsulator, summed over the cores. */
#ifndef HF_LB_COUNTS_H
#define HF_LB_COUNTS_H

#include <stdint.h>

#include "bpf/lb_abi.h"

/* Of maps.service_counts or maps.backend_counts; zeros if the map can't be read. */
struct lb_count counts_read(int map, uint32_t index);
/* Of maps.drop_counts. */
struct lb_drops counts_drops(int map);
/* Of the decapsulator's counts. */
struct lb_decap_counts counts_decap(int map);

#endif
