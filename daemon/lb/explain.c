/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/explain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "base/quic_id.h"
#include "lb/reasons.h"
#include "lb/tables_at.h"

#define HEADROOM 128
#define QUIC_FIXED_BIT 0x40 /* all that is set in a short header (RFC 9000, 17.3) */
#define QUIC_SEALED 24      /* bytes behind a connection ID: packet number, payload, authentication */
static_assert(EXPLAIN_PAYLOAD_MAX >= 1 + QUIC_CONNECTION_MAX + QUIC_SEALED, "a short header has room");

/* gcc's analyser loses sight of the addresses that lb_parse_error() swaps, and takes them for unset. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wanalyzer-use-of-uninitialized-value"
#endif

/* ---- the tables, as lb_fwd.h asks for them ---- */

/* lb_fwd.h passes no context through, and one question is answered at a time. */
static const struct tables *tables;
static struct lb_config config;
static uint64_t now_ns;

static const struct tables *tables_here(void)
{
	return tables;
}

static const struct lb_config *lb_config_get(void)
{
	return &config;
}

static const __u32 *lb_vip_lookup(const struct lb_vip *vip)
{
	static __u32 service;

	return tables->reads->find(tables, TABLES_BY_VIP, vip, &service) ? &service : NULL;
}

static const struct lb_reply *lb_reply_lookup(const struct lb_vip *backend)
{
	static struct lb_reply reply;

	return tables->reads->find(tables, TABLES_BY_REPLY, backend, &reply) ? &reply : NULL;
}

static void lb_backend_mark_older(__u32 index, __u32 now)
{
	(void)index;
	(void)now;
}

static struct lb_flow_bucket *lb_flow_bucket_at(__u32 index)
{
	static struct lb_flow_bucket copy;

	if (index >= tables->flow_count)
		return NULL;
	copy = tables->flows[index];
	return &copy;
}

/* Several are looked at before one is chosen, but one at a time. */
static struct lb_snat *lb_snat_at(__u32 number)
{
	static struct lb_snat copy;

	if (number >= tables->snat_count)
		return NULL;
	copy = tables->snats[number];
	return &copy;
}

static struct lb_snat_bucket *lb_snat_bucket_at(__u32 index)
{
	static struct lb_snat_bucket copy;

	if (index >= tables->snat_bucket_count)
		return NULL;
	copy = tables->snat_buckets[index];
	return &copy;
}

static __u32 lb_core(void)
{
	return 0;
}

/* A source has two. */
static __u64 *lb_bucket_at(__u32 index)
{
	static __u64 copies[4];
	static unsigned next;
	__u64 *copy = &copies[next++ % 4];

	if (index >= tables->bucket_count)
		return NULL;
	*copy = tables->buckets[index];
	return copy;
}

static struct lb_limited *lb_limited_at(__u32 number)
{
	static struct lb_limited copy;

	if (number >= tables->limit_count)
		return NULL;
	copy = tables->limits[number];
	return &copy;
}

static struct lb_flood *lb_flood_at(__u32 service)
{
	static struct lb_flood copy;

	if (service >= tables->service_count)
		return NULL;
	copy = tables->floods[service];
	return &copy;
}

static struct lb_verified_bucket *lb_verified_at(__u32 index)
{
	static struct lb_verified_bucket copy;

	if (index >= tables->verified_count)
		return NULL;
	copy = tables->verified[index];
	return &copy;
}

static void lb_load_add(__u32 backend)
{
	(void)backend;
}

static __u64 lb_turn_take(__u32 service)
{
	return service < tables->service_count ? tables->turns[service] : 0;
}

static const __u32 *lb_prefix_lookup(const struct lb_prefix *prefix)
{
	static __u32 rule;

	return tables->reads->find(tables, TABLES_BY_PREFIX, prefix, &rule) ? &rule : NULL;
}

static const __u32 *lb_quic_lookup(const struct lb_quic_key *key)
{
	static __u32 backend;

	return tables->reads->find(tables, TABLES_BY_QUIC, key, &backend) ? &backend : NULL;
}

static const struct lb_fragment *lb_fragment_lookup(const struct lb_fragment_key *key)
{
	static struct lb_fragment fragment;

	return tables->reads->find_fragment(tables, key, &fragment) ? &fragment : NULL;
}

static void lb_fragment_put(const struct lb_fragment_key *key, const struct lb_fragment *value)
{
	(void)key;
	(void)value;
}

static void lb_count_forwarded(const struct lb_decision *d, const struct lb_flow *f)
{
	(void)d;
	(void)f;
}

static void lb_count_dropped(__u8 reason)
{
	(void)reason;
}

static __u64 lb_now_ns(void)
{
	return now_ns;
}

/* ---- a packet ---- */

struct room {
	__u8 bytes[HEADROOM + sizeof(struct lb_eth) + sizeof(struct lb_ip6) + sizeof(struct lb_tcp) + EXPLAIN_PAYLOAD_MAX];
	struct lb_packet packet;
};

static struct lb_packet lb_packet_of(lb_frame *frame)
{
	return *frame;
}

static int lb_head_grow(struct lb_packet *p, int by)
{
	p->data -= by; /* by at most an outer header with its chain, which HEADROOM holds */
	return 0;
}

static int lb_tail_trim(struct lb_packet *p, __u32 size)
{
	p->end = p->data + size;
	return 0;
}

static __u64 lb_sum_bytes(const struct lb_packet *p, __u32 at, __u32 size)
{
	(void)p;
	(void)at;
	(void)size;
	return 0; /* of an answer that nobody reads */
}

static void put_ip(const struct explain_flow *t, __u8 *at, __u32 payload)
{
	struct lb_ip4 *ip4 = (struct lb_ip4 *)at;
	struct lb_ip6 *ip6 = (struct lb_ip6 *)at;

	if (t->src.family == LB_IP4) {
		*ip4 = (struct lb_ip4){
			.version_words = 0x45, .length = htons((uint16_t)(sizeof *ip4 + payload)), .ttl = 64, .proto = t->proto};
		ip4->src = t->src.addr.word[0];
		ip4->dst = t->dst.addr.word[0];
		return;
	}
	*ip6 = (struct lb_ip6){.version_class_label = htonl(6u << 28), .length = htons((uint16_t)payload), .next = t->proto, .hops = 64};
	memcpy(ip6->src, &t->src.addr, sizeof ip6->src);
	memcpy(ip6->dst, &t->dst.addr, sizeof ip6->dst);
}

/* The smallest packet of the flow, or of its QUIC connection. */
static void make_packet(struct room *r, const struct explain_flow *t, __u8 tcp_flags)
{
	bool v4 = t->src.family == LB_IP4;
	__u32 l4 = (__u32)(sizeof(struct lb_eth) + (v4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6)));
	__u32 payload = t->proto == LB_PROTO_TCP ? sizeof(struct lb_tcp) : sizeof(struct lb_udp) + t->payload_size;
	__u8 *data = r->bytes + HEADROOM;

	memset(r, 0, sizeof *r);
	r->packet = (struct lb_packet){.frame = &r->packet, .data = data, .end = data + l4 + payload};
	*(struct lb_eth *)data = (struct lb_eth){.dst = config.mac, .type = htons(v4 ? LB_ETH_IP4 : LB_ETH_IP6)};
	put_ip(t, data + sizeof(struct lb_eth), payload);
	memcpy(data + l4 + sizeof(struct lb_udp), t->payload, t->payload_size);
	if (t->proto == LB_PROTO_TCP)
		*(struct lb_tcp *)(data + l4) = (struct lb_tcp){.sport = t->sport, .dport = t->dport, .words = 5 << 4, .flags = tcp_flags};
	else
		*(struct lb_udp *)(data + l4) = (struct lb_udp){.sport = t->sport, .dport = t->dport, .length = htons((uint16_t)payload)};
}

/* ---- what is asked ---- */

/* "ADDR:PORT" or "[ADDR]:PORT". */
static bool take_end(char *text, struct host_address *ret_at, __be16 *ret_port)
{
	char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || !number_parse(colon + 1, UINT16_MAX, &port))
		return false;
	*colon = 0;
	if (*text == '[' && colon[-1] == ']') {
		colon[-1] = 0;
		text++;
	}
	*ret_port = htons((uint16_t)port);
	return host_address_parse(ret_at, text) == 0;
}

int explain_take_flow(struct explain_flow *t, const char *text)
{
	char proto[8], from[64], to[64], rest;

	*t = (struct explain_flow){0};
	if (sscanf(text, "%7s %63s > %63s %c", proto, from, to, &rest) != 3)
		return -EINVAL;
	t->proto = !strcmp(proto, "tcp") ? LB_PROTO_TCP : LB_PROTO_UDP;
	return (t->proto == LB_PROTO_TCP || !strcmp(proto, "udp")) && take_end(from, &t->src, &t->sport) &&
			       take_end(to, &t->dst, &t->dport) && t->src.family == t->dst.family
		       ? 0
		       : -EINVAL;
}

/* A packet with a short header: all that is seen of it is the ID. */
int explain_take_connection_id(struct explain_flow *t, const char *text)
{
	int size = quic_bytes_parse(&t->payload[1], QUIC_CONNECTION_MAX, text);

	if (size < 0 || t->proto != LB_PROTO_UDP)
		return -EINVAL;
	t->payload[0] = QUIC_FIXED_BIT;
	t->payload_size = (__u32)(1 + size + QUIC_SEALED);
	return 0;
}

/* ---- the answer ---- */

static const char *const schedulers[] = {[LB_MAGLEV] = "maglev", [LB_SOURCE] = "source", [LB_ROUND_ROBIN] = "rr", [LB_TWO_CHOICES] = "p2c"};
static const char *const deliveries[] = {[LB_IPIP] = "ipip", [LB_GUE] = "gue", [LB_DSR] = "dsr", [LB_DNAT] = "dnat", [LB_SNAT] = "snat"};
static const char *const choices[] = {
	[LB_BY_NOTHING] = "nothing",
	[LB_BY_SLOT] = "its slot's owner",
	[LB_BY_TABLE] = "the flow table has it",
	[LB_BY_CURRENT] = "its slot moved, and this is the owner now",
	[LB_BY_PREVIOUS] = "its slot moved, and this was the owner when the flow may have begun",
	[LB_BY_CONNECTION_ID] = "its connection ID",
};

static json_t *backend_text(uint32_t backend)
{
	const struct lb_backend *b = &tables->backends[backend];
	char text[INET6_ADDRSTRLEN];

	return json_string(inet_ntop(b->family == LB_IP6 ? AF_INET6 : AF_INET, &b->addr, text, sizeof text));
}

static void tell_service(json_t *o, const struct lb_decision *d)
{
	const struct lb_service *s = &tables->services[d->service];

	(void)json_object_set_new(o, "service", json_string(tables->names[d->service].name));
	(void)json_object_set_new(o, "scheduler", json_string(schedulers[s->scheduler]));
	(void)json_object_set_new(o, "deliver", json_string(deliveries[s->delivery]));
}

/* How many more may begin before one is refused; without a limit 0. */
static uint64_t tokens_left(const struct lb_limit *l, uint64_t spent)
{
	uint64_t ahead = spent > now_ns ? spent - now_ns : 0;

	return !l->interval_ns || ahead > l->burst_ns ? 0 : (l->burst_ns - ahead) / l->interval_ns + 1;
}

/* Under "of_limit" and "of_left": a second's tokens, and those that are left. Of what isn't limited nothing. */
static void tell_limit(json_t *o, const char *of, const struct lb_limit *l, uint64_t left)
{
	char key[32];

	if (!l->interval_ns)
		return;
	(void)snprintf(key, sizeof key, "%s_limit", of);
	(void)json_object_set_new(o, key, json_integer((json_int_t)(l->burst_ns / l->interval_ns + 1)));
	(void)snprintf(key, sizeof key, "%s_left", of);
	(void)json_object_set_new(o, key, json_integer((json_int_t)left));
}

/* Of an address, as much of it as counts. */
static json_t *prefix_text(const struct lb_flow *f, unsigned bits)
{
	struct lb_address a = f->src;
	char text[INET6_ADDRSTRLEN];

	lb_address_mask(&a, bits);
	return json_sprintf("%s/%u", inet_ntop(f->family == LB_IP6 ? AF_INET6 : AF_INET, &a, text, sizeof text), bits);
}

static void tell_source(json_t *o, const struct lb_rules *rules, const struct lb_flow *f, uint32_t service)
{
	struct lb_address source = f->src;
	uint64_t hash, a, b;

	if (!rules->source.interval_ns)
		return;
	lb_address_mask(&source, rules->source_bits);
	hash = lb_hash_address(&config, &source, service);
	a = tokens_left(&rules->source, *lb_source_bucket(&config, hash, 0));
	b = tokens_left(&rules->source, *lb_source_bucket(&config, hash, 1));
	(void)json_object_set_new(o, "source", prefix_text(f, rules->source_bits));
	tell_limit(o, "source", &rules->source, max_u64(a, b));
}

/* Whose tokens a packet takes, and how many there are: of its source, of the prefix that has a limit for it, of the service. */
static void tell_limits(json_t *o, const struct lb_flow *f, uint32_t service)
{
	struct lb_prefix address = {.bits = LB_PREFIX_BITS_MAX, .service = service | LB_PREFIX_LIMITED, .addr = f->src};
	const struct lb_rules *rules = lb_rules_at(service);
	const struct lb_limited *limited = lb_limited_of(rules, &address);

	tell_source(o, rules, f, service);
	if (limited) {
		(void)json_object_set_new(o, "prefix", prefix_text(f, limited->bits));
		tell_limit(o, "prefix", &limited->limit, tokens_left(&limited->limit, limited->spent));
	}
	tell_limit(o, "service", &rules->service, tokens_left(&rules->service, *lb_bucket_at(LB_BUCKET_SERVICES + service)));
}

static void tell_slot(json_t *o, const struct lb_decision *d)
{
	const struct lb_service *s = &tables->services[d->service];
	const struct lb_table *t = lb_table_of(s);
	struct lb_slot slot;

	memcpy(&slot, &tables->slots[d->slot], sizeof slot);
	(void)json_object_set_new(o, "slot", json_integer(d->slot - t->base));
	(void)json_object_set_new(o, "slots", json_integer(t->count));
	(void)json_object_set_new(o, "moved", json_boolean(slot.flags & LB_SLOT_MOVED));
	if (slot.flags & LB_SLOT_MOVED && slot.previous < s->backend_count)
		(void)json_object_set_new(o, "previous", backend_text(s->backend_base + slot.previous));
}

static void tell_backend(json_t *o, const struct lb_decision *d, const struct lb_packet *p)
{
	const struct lb_backend *b = &tables->backends[d->backend];
	const __u8 *mac = (const __u8 *)&b->mac;
	static const char *const hops[LB_HOPS_MAX] = {"first_hop", "second_hop", "third_hop"};
	char text[32];

	(void)json_object_set_new(o, "backend", backend_text(d->backend));
	(void)json_object_set_new(o, "because", json_string(choices[d->choice]));
	for (unsigned i = 0; i < LB_HOPS_MAX && i < d->hop_count; i++)
		(void)json_object_set_new(o, hops[i], backend_text(tables->services[d->service].backend_base + d->hop[i]));
	(void)snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	(void)json_object_set_new(o, "next_hop", json_string(text));
	(void)json_object_set_new(o, "mtu", json_integer(b->mtu));
	(void)json_object_set_new(o, "frame_size", json_integer((json_int_t)lb_size(p)));
}

static const char *reason_text(const struct lb_decision *d, const struct lb_service *s, enum lb_verdict verdict)
{
	if (s || d->reason)
		return count_reasons[d->reason];
	return verdict == LB_SEND ? "a backend's reply: it goes on as from its VIP" : "no service has this address, protocol and port";
}

/* The steps of lb_forward(), but for its counting. */
static json_t *decide(const struct explain_flow *t, const char *what, __u8 tcp_flags)
{
	const struct lb_backend *b = NULL;
	const struct lb_service *s;
	struct lb_decision d = {0};
	struct lb_flow f = {0};
	json_t *o = json_object();
	struct room room;
	enum lb_verdict verdict;

	make_packet(&room, t, tcp_flags);
	(void)json_object_set_new(o, "packet", json_string(what));
	verdict = lb_recognise(&config, &room.packet, &f, &d);
	s = verdict == LB_SEND ? lb_service_at(d.service) : NULL;
	if (s) {
		tell_service(o, &d);
		if (lb_is_limited(s, &f))
			tell_limits(o, &f, d.service);
		verdict = lb_challenge(&room.packet, s, &f, &d);
		if (verdict == LB_PASS)
			verdict = lb_decide(&config, &room.packet, s, &f, &d, &b);
		if (d.choice != LB_BY_NOTHING && d.choice != LB_BY_CONNECTION_ID)
			tell_slot(o, &d);
		if (verdict == LB_SEND && b)
			verdict = lb_deliver(&config, &room.packet, s, &f, b, &d);
		if (b)
			tell_backend(o, &d, &room.packet);
	}
	if (d.may_reply)
		verdict = lb_reply(&config, &room.packet, &f);
	(void)json_object_set_new(o, "verdict", json_string(verdict_words[verdict]));
	(void)json_object_set_new(o, "reason", json_string(reason_text(&d, s, verdict)));
	return o;
}

/* Whose tables are asked from now on; false: they have no catalog yet. */
static bool take_tables(const struct tables *t, const struct lb_config *c)
{
	tables = t;
	config = *c;
	return config.abi == LB_ABI;
}

json_t *explain(const struct tables *t, const struct lb_config *c, const struct explain_flow *flow, uint64_t at_ns)
{
	json_t *list;

	if (!take_tables(t, c))
		return NULL;
	now_ns = at_ns;
	list = json_array();
	if (flow->proto == LB_PROTO_TCP) {
		(void)json_array_append_new(list, decide(flow, "the first one of a connection", LB_TCP_SYN));
		(void)json_array_append_new(list, decide(flow, "a later one", LB_TCP_ACK));
	} else {
		(void)json_array_append_new(list, decide(flow, flow->payload_size ? "one of the connection" : "a datagram", 0));
	}
	return list;
}

bool explain_service_of(const struct tables *t, const struct lb_config *c, const void *frame, size_t size, uint32_t *ret_service)
{
	__u8 *data = (__u8 *)(uintptr_t)frame; /* nothing is written: only delivery changes a packet */
	struct lb_packet p = {.frame = &p, .data = data, .end = data + size};
	struct lb_decision d = {0};
	struct lb_flow f = {0};

	if (!take_tables(t, c) || lb_recognise(&config, &p, &f, &d) != LB_SEND)
		return false;
	*ret_service = d.service;
	return d.service < t->service_count;
}
