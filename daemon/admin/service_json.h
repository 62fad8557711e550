/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services as JSON, for balancers and the command line:
 *
 *   {"version":N,"secret":"32 hex digits","balancers":["10.2.0.9"],"services":[{"id":1,"name":"web","vip":"10.1.1.1","proto":"tcp","port":80,"scheduler":"maglev",
 *     "deliver":"ipip","chain":true,"affinity":true,"limit":0,"syn_cookies":"off","syn_rate":10000,"flow_idle":7800,"slow_start":0,"quic_config":"none","allow":[],
 *     "deny":[],"check":"tcp",
 *     "backends":[{"id":1,"address":"10.2.0.1","port":80,"weight":1,"draining":false}],
 *     "removed":[],"generations":[{"number":1,"slots_of":[{"backend":1,"weight":1}]}],
 *     "prepared":{"number":2,"version":N,"slots_of":[...]},"owner":{"node":1,"id":"host/eth0"}}]}
 *
 * The last of the generations is active. "prepared" is there while a change waits until all have it ([two steps]), and the version
 * is the first that tells of it; "down":true stands with a backend while it is dead, "quic_id":"c0ffee01" if it has a server ID.
 * What was removed stays told while a generation that is kept has it, so that its flows end in peace.
 * The secret is the cluster's, for what all balancers must hash alike. Who knows it can make flows that meet in one place of a table, so it is
 * told to balancers alone. "balancers" are the members' own addresses and where balancers tunnel from (tunnels.h), whose hosts run
 * holdfast-lbd: a backend takes tunnels from no others.
 *
 * The owner answers for the VIP on its LAN (leases.h); balancers get the id of its lease, and 0 if there is none.
 * With a thousand backends, and as many in each generation, reading objects would take most of the time from a change to the first packet
 * by it. So balancers get "backends":["1 10.2.0.1 80 down quic=c0ffee01"], id, address, port and what doesn't stand with most of them, and
 * "shares":"1-500:1 501:7" in the place of "slots_of", ids and their weight.
 *
 * Written as text at once: a tree of objects for a service of a thousand backends takes longer than its new tables may.
 */
#ifndef HF_ADMIN_SERVICE_JSON_H
#define HF_ADMIN_SERVICE_JSON_H

#include "cluster/services.h"

struct config;

enum services_form { FOR_PEOPLE, FOR_BALANCERS };

/* seed: the cluster's own, of which the secret is made; NULL: it isn't told. */
void services_json(const struct services *s, enum services_form form, const uint64_t *seed, const struct config *config, struct bytes *out);

#endif
