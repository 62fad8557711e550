/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change of the services, as it is proposed, and its record in the catalog's log. All integers are little-endian:
 *
 *   stamp (8), CATALOG_SERVICES (1), SERVICE_RECORD_VERSION (1),
 *   who proposed it: node (1), incarnation (8), number (8),
 *   kind (1), name of the service (size (1), text), then by kind
 *     SERVICE_ADD:  key, settings
 *     SERVICE_SET:  which settings are given (4), settings
 *     BACKEND_*:    address, has a port (1), port (2), has a weight (1), weight (2), has a server ID (1), server ID
 *
 * A node numbers its changes 1, 2, ... within an incarnation and has one under way at a time, so a record is applied
 * only if its number is above the last one of that node. It may thus be proposed again, by whoever leads then.
 */
#ifndef HF_CLUSTER_SERVICE_CHANGE_H
#define HF_CLUSTER_SERVICE_CHANGE_H

#include "cluster/service.h"
#include "raft/liveness.h"

#define SERVICE_RECORD_VERSION 6u
#define SERVICE_RECORD_MAX 4096u
#define SERVICE_PORT_MAX 65535u

enum service_change_kind { SERVICE_ADD = 1, SERVICE_SET, SERVICE_RM, BACKEND_ADD, BACKEND_SET, BACKEND_DRAIN, BACKEND_RM };

enum service_setting {
	SETTING_SCHEDULER = 1 << 0,
	SETTING_DELIVER = 1 << 1,
	SETTING_CHECK = 1 << 2, /* with its path */
	SETTING_CHAIN = 1 << 3,
	SETTING_AFFINITY = 1 << 4,
	SETTING_LIMIT = 1 << 5,
	SETTING_ALLOW = 1 << 6,
	SETTING_DENY = 1 << 7,
	SETTING_SYN_COOKIES = 1 << 8,
	SETTING_SYN_RATE = 1 << 9,
	SETTING_FLOW_IDLE = 1 << 10,
	SETTING_SLOW_START = 1 << 11,
	SETTING_BREAKS_FLOWS = 1 << 12, /* none, but that what flows lose their backends by may be changed */
	SETTING_QUIC_CONFIG = 1 << 13,
	SETTING_LIMIT_SOURCE = 1 << 14,
	SETTING_LIMITS = 1 << 15,
	SETTING_CHECK_INTERVAL = 1 << 16,
	SETTING_CHECK_TIMEOUT = 1 << 17,
	SETTING_CHECK_RISE = 1 << 18,
	SETTING_CHECK_FALL = 1 << 19,
	SETTINGS_ALL = (1 << 20) - 1,
};

struct service_change {
	enum service_change_kind kind;
	char name[SERVICE_NAME_MAX + 1];
	struct service_key key;           /* SERVICE_ADD */
	uint32_t given;                   /* SERVICE_SET: enum service_setting, or-ed */
	struct service_settings settings; /* SERVICE_ADD: all; SERVICE_SET: those given */
	struct ip address;                /* BACKEND_* */
	bool has_port, has_weight;        /* without: the service's port; weight 1, or as it was */
	uint16_t port, weight;
	bool has_quic_id;                 /* without: none, or as it was */
	struct quic_id quic_id;
};

struct change_origin {
	uint8_t node;
	uint64_t incarnation, number;
};

static_assert(8 + 2 + 1 + 16 + 1 + (1 + SERVICE_NAME_MAX) + (17 + 3) +
			      (38 + 2 * (1 + SERVICE_PREFIXES_MAX * sizeof(struct ip_prefix)) + 1 +
			       SERVICE_PREFIXES_MAX * (sizeof(struct ip_prefix) + 4) + 1 + SERVICE_PATH_MAX) <=
		      SERVICE_RECORD_MAX,
	      "the largest record");

/* The whole record; its stamp is 0 and is set by the leader. */
void service_change_put(struct bytes *out, const struct service_change *c, const struct change_origin *by);
/*
 * Reads what stands behind CATALOG_SERVICES. 0; -EPROTONOSUPPORT: of a later version; -EBADMSG: no such record. Its
 * values are sound each by itself; whether the catalog takes it is for services_apply() to say.
 */
int service_change_get(struct cursor *in, struct service_change *ret, struct change_origin *ret_by);

#endif
