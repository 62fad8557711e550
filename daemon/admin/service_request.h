/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people ask to be changed of the services, as JSON, and what they are told when it can't be. The keys are those
 * of service_json.h; what isn't given has its default, or stays as it is:
 *
 *   SERVICE_ADD     name, vip, proto, port and any of scheduler, deliver, chain, affinity, limit, syn_cookies, syn_rate, quic_config, allow,
 *                   deny, check
 *   SERVICE_SET     any of those from scheduler on
 *   BACKEND_*       address; port: the service's; BACKEND_ADD and BACKEND_SET: weight, quic_id; BACKEND_SET: draining, which if
 *                   true makes it BACKEND_DRAIN
 */
#ifndef HF_ADMIN_SERVICE_REQUEST_H
#define HF_ADMIN_SERVICE_REQUEST_H

#include <jansson.h>

#include "cluster/services.h"

/* Fills in c, whose kind is set, and whose name is unless it is SERVICE_ADD. The body is only read. False: one line in error says why and what to do. */
bool service_request_read(struct service_change *c, json_t *body, struct bytes *error);
/* One line for whoever proposed c; s is the state that refused it, or a later one. Returns the HTTP status for it. */
int service_refusal_text(const struct services *s, const struct service_change *c, enum service_refusal refusal, struct bytes *out);

#endif
