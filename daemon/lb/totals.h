/* SPDX-License-Identifier: Apache-2.0 */
/* What a data plane has counted since its start, as `holdfast lb top` shows it. */
#ifndef HF_LB_TOTALS_H
#define HF_LB_TOTALS_H

#include <jansson.h>

#include "lb/tables.h"

/* {"services": [{"id", "name", "packets", "bytes", "flows", "backends": [{"id", "address", "alive", "skipped", ...}]}], "drops": {REASON:
 * COUNT}}; the caller's. */
json_t *totals_read(const struct tables *t);

#endif
