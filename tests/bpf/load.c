/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/load.h"

#include <arpa/inet.h>
#include <string.h>

const char *load_reason(unsigned reason)
{
	static const char *const names[] = {
#define NAME(name, text) [LB_REASON_##name] = text,
		LB_REASONS(NAME)
#undef NAME
	};

	return reason < LB_REASON_COUNT ? names[reason] : "?";
}

bool load_is_answer(unsigned reason)
{
	return reason == LB_REASON_TOO_BIG_ANSWERED || reason == LB_REASON_SYN_CHALLENGED;
}

static struct lb_address address(const struct world_address *a)
{
	struct lb_address to = {0};

	memcpy(&to, a->byte, a->version == 4 ? 4 : 16);
	return to;
}

static struct lb_mac mac(unsigned last)
{
	return (struct lb_mac){{htons(0x0200), 0, htons(last)}};
}

static void load_backend(struct lb_backend *to, const struct world_backend *b)
{
	*to = (struct lb_backend){.addr = address(&b->addr), .older_ticks = to->older_ticks};
	to->family = (__u8)b->addr.version;
	to->flags = (b->alive ? LB_BACKEND_ALIVE : 0) | (b->local ? LB_BACKEND_LOCAL : 0);
	to->mtu = b->mtu;
	to->port = htons(b->port);
	to->ramp_from = b->ramp_from;
	to->ramp_ticks = b->ramp_ticks;
	to->mac = mac(b->mac);
}

static __u64 slot_word(const struct world_slot *s)
{
	struct lb_slot slot = {
		.current = (__u16)s->current,
		.previous = (__u16)s->previous,
		.between = (__u16)s->between,
		.flags = s->moved ? LB_SLOT_MOVED : 0,
	};
	__u64 word;

	memcpy(&word, &slot, sizeof word);
	return word;
}

static struct lb_limit limit(const struct world_limit *l)
{
	return (struct lb_limit){l->interval_ns, l->interval_ns * (l->burst ? l->burst - 1 : 0)};
}

static __u16 service_flags(const struct world_service *s)
{
	return (s->no_affinity ? LB_SERVICE_NO_AFFINITY : 0) | (s->chain ? LB_SERVICE_CHAIN : 0) | (s->deny ? LB_SERVICE_DENY : 0) |
	       (s->quic ? LB_SERVICE_QUIC : 0) | (s->prefix_count || s->deny ? LB_SERVICE_PREFIXES : 0) |
	       (s->limit.interval_ns || s->source_limit.interval_ns || s->limited_count ? LB_SERVICE_LIMITS : 0) |
	       (s->challenge ? LB_SERVICE_CHALLENGE : 0);
}

static void load_quic(const struct load *l, const struct world_service *s, unsigned i)
{
	for (unsigned config = 0; s->quic && config < LB_QUIC_CONFIGS; config++) {
		l->rules[i].quic_id_size[config] = (__u8)s->quic_id_size[config];
		for (unsigned b = 0; s->quic_id_size[config] && b < s->backend_count; b++) {
			struct lb_quic_key key = {.service = i, .config = (__u8)config, .size = (__u8)s->quic_id_size[config]};

			memcpy(&key.id, s->backend[b].quic_id, key.size);
			l->put_quic(&key, b);
		}
	}
}

static void load_rules(const struct load *l, const struct world_service *s, unsigned i)
{
	l->rules[i] = (struct lb_rules){
		.service = limit(&s->limit),
		.source = limit(&s->source_limit),
		.source_bits = (__u8)s->source_bits,
		.limited = (__u8)s->limited_count,
		.syns = limit(&s->syns),
	};
	for (unsigned n = 0; n < s->prefix_count; n++) {
		const struct world_prefix *p = &s->prefix[n];
		struct lb_prefix prefix = {.bits = 32 + p->bits, .service = i, .addr = address(&p->addr)};

		l->put_prefix(&prefix, p->deny ? LB_PREFIX_DENY : LB_PREFIX_ALLOW);
	}
}

static void load_limited(const struct load *l, const struct world_service *s, unsigned i)
{
	for (unsigned n = 0; n < s->limited_count; n++) {
		const struct world_limited *p = &s->limited[n];
		struct lb_prefix prefix = {.bits = 32 + p->bits, .service = i | LB_PREFIX_LIMITED, .addr = address(&p->addr)};
		unsigned number = i * LB_LIMITED_MAX + n;

		l->limits[number].limit = limit(&p->limit);
		l->limits[number].bits = (__u8)p->bits;
		l->put_prefix(&prefix, number);
	}
}

/* Each backend of the VIP's family, and that it is one. */
static void load_replies(const struct load *l, const struct world_service *s)
{
	struct lb_reply reply = {.vip = address(&s->vip), .port = htons(s->port)};

	for (unsigned b = 0; s->delivery == WORLD_DNAT && b < s->backend_count; b++) {
		struct lb_vip backend = {.addr = address(&s->backend[b].addr), .family = (__u8)s->vip.version};

		if (s->backend[b].addr.version != s->vip.version)
			continue;
		l->put_reply(&backend, &reply);
		backend.port = htons(s->backend[b].port);
		backend.proto = (__u8)s->proto;
		l->put_reply(&backend, &reply);
	}
}

static void load_service(const struct load *l, const struct world_service *s, unsigned i)
{
	static const __u8 scheduler[] = {[WORLD_MAGLEV] = LB_MAGLEV,
					 [WORLD_SOURCE] = LB_SOURCE,
					 [WORLD_ROUND_ROBIN] = LB_ROUND_ROBIN,
					 [WORLD_TWO_CHOICES] = LB_TWO_CHOICES};
	static const __u8 delivery[] = {
		[WORLD_IPIP] = LB_IPIP, [WORLD_GUE] = LB_GUE, [WORLD_DSR] = LB_DSR, [WORLD_DNAT] = LB_DNAT, [WORLD_SNAT] = LB_SNAT};
	struct lb_vip vip = {.addr = address(&s->vip), .port = htons(s->port), .proto = (__u8)s->proto, .family = (__u8)s->vip.version};

	l->service[i] = (struct lb_service){
		.current = 1, /* so that who takes the first table finds no slots */
		.table[1] = {.base = i * WORLD_SLOTS, .count = s->slot_count, .moved_ticks = s->moved_ticks},
		.backend_base = i * WORLD_BACKENDS,
		.backend_count = s->backend_count,
		.scheduler = scheduler[s->scheduler],
		.delivery = delivery[s->delivery],
		.flags = service_flags(s),
		.vip = vip.addr,
		.family = vip.family,
	};
	for (unsigned b = 0; b < s->backend_count; b++) {
		load_backend(&l->backend[i * WORLD_BACKENDS + b], &s->backend[b]);
		l->loads[i * WORLD_BACKENDS + b] = (struct lb_load){.flows = s->backend[b].load, .weight = (__u16)s->backend[b].weight};
	}
	for (unsigned n = 0; n < s->slot_count; n++)
		l->slot[i * WORLD_SLOTS + n] = slot_word(&s->slot[n]);
	load_rules(l, s, i);
	load_limited(l, s, i);
	load_quic(l, s, i);
	load_replies(l, s);
	l->put_vip(&vip, i);
	vip.port = 0;
	vip.proto = 0; /* the address is a VIP at all */
	l->put_vip(&vip, i);
}

/* In the order of the world, those of IPv4 first. */
static void load_snat(const struct load *l, const struct world *w)
{
	memset(l->snat_addresses, 0, LB_SNAT_ADDRESSES * sizeof *l->snat_addresses);
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < w->snat_count[v6]; i++)
			l->snat_addresses[v6 * LB_SNAT_FAMILY + i] =
				(struct lb_snat_address){.addr = address(&w->snat[v6][i]), .family = (__u8)w->snat[v6][i].version};
}

void load_world(const struct load *l, const struct world *w)
{
	*l->config = (struct lb_config){
		.abi = LB_ABI,
		.flow_mask = w->buckets - 1,
		.secret = {w->secret[0], w->secret[1]},
		.idle_ticks = {[LB_FLOW_EMBRYONIC] = w->embryonic_idle,
			       [LB_FLOW_CONFIRMED] = w->flow_idle,
			       [LB_FLOW_DATAGRAM] = w->udp_idle,
			       [LB_FLOW_CLOSED] = w->closed_idle,
			       [LB_FLOW_ENDED] = w->flow_idle},
		.source4 = address(&w->source4).word[0],
		.source6 = address(&w->source6),
		.bucket_sources = LB_BUCKET_SERVICES + WORLD_SERVICES,
		.bucket_mask = WORLD_SOURCE_BUCKETS - 1,
		.gateway4 = mac(w->gateway4),
		.mac = mac(w->mac),
		.gateway6 = mac(w->gateway6),
		.snat4 = (__u8)w->snat_count[0],
		.snat6 = (__u8)w->snat_count[1],
		.snat_ports = (__u16)w->snat_ports,
		.cores = 1,
		.snat_mask = WORLD_BUCKETS - 1,
		.answers = limit(&w->answers),
		.answers_source = limit(&w->answers_source),
	};
	load_snat(l, w);
	for (unsigned i = 0; i < w->service_count; i++) {
		l->config->wildcards += w->service[i].port == 0;
		l->config->nat += w->service[i].delivery == WORLD_DNAT;
		load_service(l, &w->service[i], i);
	}
}
