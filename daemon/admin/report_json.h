/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a holdfast-lbd says of itself, and what is known of all of them, as JSON:
 *
 *   POST /v1/lb/report   {"id":"host/eth0","side":"balancer","version":7,"failed":false,"announces":true,"routes":false,"snat4":true,
 *                         "snat6":false,"tunnels":["10.2.0.9","fd02::9"],"down":[[1,2],[1,5]],"idle":[[1,3]],"latencies":[[1,2,900]],"sockets":[],
 *                         "led":[],"quiet":[[1,3]]}
 *   GET  /v1/lb/leases   {"leases":[{"node":1, and the same, "accepted":true}]}
 *
 * A report is answered with {"lease_ms":3000,"lease_id":57,"accepted":true}: see reports.h. announces, routes, snat4 and snat6 are false, and
 * all lists but down empty, unless told. tunnels are the addresses that it tunnels from, TUNNELS_EACH_MAX at most.
 *
 * A balancer's answer has "sockets":[[1,2,300,850]] besides, what backends' sides have counted: service and backend id, how many carry flows,
 * and how many ms ago their report came here. Of no lease that isn't kept alive, in no order, SOCKETS_TOLD_MAX at most.
 *
 * Who isn't accepted waits until backends take its tunnels (lease_is_accepted()), and owns no VIP meanwhile.
 *
 * side is balancer or backend; down are pairs of service and backend id that fail its own checks, idle pairs of service id and
 * earlier generation that has had no flow there for the service's flow_idle; both ascending, at most REPORT_DOWN_MAX and
 * REPORT_IDLE_MAX; quiet are as idle, for a shorter time. latencies, sockets and led are figures of backends, with their service and id in
 * front (report.h). Of a lease that no report was heard of since this node leads there is "heard":false and no more than node, id and side.
 */
#ifndef HF_ADMIN_REPORT_JSON_H
#define HF_ADMIN_REPORT_JSON_H

#include <jansson.h>

#include "cluster/leases.h"

#define SOCKETS_TOLD_MAX 4096u /* bounds an answer; a service that isn't told of as a whole is balanced by what balancers see themselves */

/* False, and why in error: it is none. The report is to be freed in either case. */
bool report_json_read(struct report *ret, uint8_t node, const json_t *body, struct bytes *error);
/* ,"sockets":[...] of an answer. */
void sockets_json(const struct leases *l, uint64_t now_ns, struct bytes *out);
void leases_json(const struct leases *l, const struct services *s, struct bytes *out);

#endif
