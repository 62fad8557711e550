/* SPDX-License-Identifier: Apache-2.0 */
/* What a node tells of itself, as JSON; and the same as OpenMetrics text. */
#ifndef HF_ADMIN_STATUS_H
#define HF_ADMIN_STATUS_H

#include <jansson.h>

#include "base/bytes.h"

struct node;
struct reactor;

/* A new object with what reactor 0 knows of the node. */
json_t *status_new(const struct node *n);
/* Adds what one reactor knows; runs on that reactor. */
void status_add_reactor(json_t *status, struct reactor *r);
/* All groups have a known leader, and the catalog is known. */
bool status_ready(const json_t *status);
void status_metrics(const json_t *status, struct bytes *out);

#endif
