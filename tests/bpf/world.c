/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world_address world_address(const char *text)
{
	struct world_address a = {.version = strchr(text, ':') ? 6 : 4};

	if (inet_pton(a.version == 6 ? AF_INET6 : AF_INET, text, a.byte) != 1)
		abort();
	return a;
}

void world_own(struct world_service *s, unsigned current)
{
	for (unsigned i = 0; i < s->slot_count; i++)
		s->slot[i] = (struct world_slot){.current = current, .previous = current, .between = current};
}

void world_move(struct world_service *s, unsigned previous, unsigned current)
{
	for (unsigned i = 0; i < s->slot_count; i++)
		s->slot[i] = (struct world_slot){.current = current, .previous = previous, .between = current, .moved = true};
}

/* Backends PREFIX1 .. PREFIX4 with next hops mac+1 .. mac+4. */
static void serve(struct world *w, const char *vip, unsigned proto, unsigned port, const char *prefix, unsigned mac)
{
	struct world_service *s = &w->service[w->service_count++];
	char text[64];

	*s = (struct world_service){.vip = world_address(vip), .proto = proto, .port = port, .backend_count = 4, .slot_count = 61};
	for (unsigned i = 0; i < s->backend_count; i++) {
		snprintf(text, sizeof text, "%s%u", prefix, i + 1);
		s->backend[i] = (struct world_backend){
			.addr = world_address(text), .mac = mac + i + 1, .port = port ? 8000 + port : 0, .alive = true, .mtu = 1500};
		memset(s->backend[i].quic_id, (int)(0xb0 + i), sizeof s->backend[i].quic_id);
	}
	world_own(s, 1);
}

void world_init(struct world *w)
{
	memset(w, 0, sizeof *w);
	w->secret[0] = 0x0123456789abcdefu;
	w->secret[1] = 0xfedcba9876543210u;
	w->buckets = WORLD_BUCKETS;
	w->flow_idle = 7200;
	w->udp_idle = 28;
	w->embryonic_idle = 56;
	w->closed_idle = 50;
	w->snat[0][0] = world_address("10.9.0.7");
	w->snat[1][0] = world_address("fd09::7");
	w->snat_count[0] = w->snat_count[1] = 1;
	w->snat_ports = 1;
	w->mac = 2;
	w->source4 = world_address("10.9.0.1");
	w->source6 = world_address("fd09::1");
	w->gateway4 = 0x30;
	w->gateway6 = 0x31;
	serve(w, "10.1.1.1", 6, 80, "10.2.0.", 0x10);
	serve(w, "fd01::1", 6, 80, "fd02::", 0x20);
	serve(w, "10.1.1.1", 17, 53, "10.2.0.", 0x10);
	serve(w, "10.1.1.2", 6, 0, "fd02::", 0x20);
}
