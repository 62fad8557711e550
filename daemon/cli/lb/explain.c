/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `holdfast lb explain`: the forwarding decision itself, bpf/lb_fwd.h, on a packet made up here, over the balancer's own maps. What the
 * decision would write - flows, tokens, turns, counters - goes into copies that are thrown away.
 */
#include "cli/lb/lb.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>

#include "base/quic_id.h"
#include "cli/cli.h"
#include "lb/counts.h"
#include "lb/tables_at.h"

#define HEADROOM 128
#define QUIC_FIXED_BIT 0x40 /* all that is set in a short header (RFC 9000, 17.3) */
#define QUIC_SEALED 24      /* bytes behind a connection ID: packet number, payload, authentication */
#define PAYLOAD_MAX (1 + QUIC_CONNECTION_MAX + QUIC_SEALED)

/* ---- the maps, as lb_fwd.h asks for them ---- */

static const struct maps *maps;
static struct lb_config config;

static const struct tables *tables_here(void)
{
	return &maps->tables;
}

static const struct lb_config *lb_config_get(void)
{
	return &config;
}

static const __u32 *lb_vip_lookup(const struct lb_vip *vip)
{
	static __u32 service;

	return bpf_map_lookup_elem(maps->keyed[TABLES_BY_VIP], vip, &service) == 0 ? &service : NULL;
}

static const struct lb_reply *lb_reply_lookup(const struct lb_vip *backend)
{
	static struct lb_reply reply;

	return bpf_map_lookup_elem(maps->keyed[TABLES_BY_REPLY], backend, &reply) == 0 ? &reply : NULL;
}

static void lb_backend_mark_older(__u32 index, __u32 now)
{
	(void)index;
	(void)now;
}

static struct lb_flow_bucket *lb_flow_bucket_at(__u32 index)
{
	static struct lb_flow_bucket copy;

	if (index >= maps->tables.flow_count)
		return NULL;
	copy = maps->tables.flows[index];
	return &copy;
}

/* Several are looked at before one is chosen, but one at a time. */
static struct lb_snat *lb_snat_at(__u32 number)
{
	static struct lb_snat copy;

	if (number >= maps->tables.snat_count)
		return NULL;
	copy = maps->tables.snats[number];
	return &copy;
}

static struct lb_snat_bucket *lb_snat_bucket_at(__u32 index)
{
	static struct lb_snat_bucket copy;

	if (index >= maps->tables.snat_bucket_count)
		return NULL;
	copy = maps->tables.snat_buckets[index];
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

	if (index >= maps->tables.bucket_count)
		return NULL;
	*copy = maps->tables.buckets[index];
	return copy;
}

static struct lb_flood *lb_flood_at(__u32 service)
{
	static struct lb_flood copy;

	if (service >= maps->tables.service_count)
		return NULL;
	copy = maps->tables.floods[service];
	return &copy;
}

static struct lb_verified_bucket *lb_verified_at(__u32 index)
{
	static struct lb_verified_bucket copy;

	if (index >= maps->tables.verified_count)
		return NULL;
	copy = maps->tables.verified[index];
	return &copy;
}

static void lb_load_add(__u32 backend)
{
	(void)backend;
}

static __u64 lb_turn_take(__u32 service)
{
	return service < maps->tables.service_count ? maps->tables.turns[service] : 0;
}

static const __u32 *lb_prefix_lookup(const struct lb_prefix *prefix)
{
	static __u32 rule;

	return bpf_map_lookup_elem(maps->keyed[TABLES_BY_PREFIX], prefix, &rule) == 0 ? &rule : NULL;
}

static const __u32 *lb_quic_lookup(const struct lb_quic_key *key)
{
	static __u32 backend;

	return bpf_map_lookup_elem(maps->keyed[TABLES_BY_QUIC], key, &backend) == 0 ? &backend : NULL;
}

static const struct lb_fragment *lb_fragment_lookup(const struct lb_fragment_key *key)
{
	static struct lb_fragment fragment;

	return bpf_map_lookup_elem(maps->fragments, key, &fragment) == 0 ? &fragment : NULL;
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
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (__u64)t.tv_sec * 1000000000u + (__u64)t.tv_nsec;
}

/* ---- a packet ---- */

struct room {
	__u8 bytes[HEADROOM + sizeof(struct lb_eth) + sizeof(struct lb_ip6) + sizeof(struct lb_tcp) + PAYLOAD_MAX];
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

struct tuple {
	struct host_address src, dst;
	__be16 sport, dport;
	__u8 proto;
	__u8 payload[PAYLOAD_MAX]; /* of a datagram */
	__u32 payload_size;
};

static void put_ip(const struct tuple *t, __u8 *at, __u32 payload)
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
static void make_packet(struct room *r, const struct tuple *t, __u8 tcp_flags)
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
	char *colon = strrchr(text, ':'), *end;
	unsigned long port;

	if (!colon || !colon[1])
		return false;
	*colon = 0;
	port = strtoul(colon + 1, &end, 10);
	if (*text == '[' && colon[-1] == ']') {
		colon[-1] = 0;
		text++;
	}
	*ret_port = htons((uint16_t)port);
	return !*end && port <= 65535 && host_address_parse(ret_at, text) == 0;
}

static bool take_tuple(const char *text, struct tuple *t)
{
	char proto[8], from[64], to[64], rest;

	if (sscanf(text, "%7s %63s > %63s %c", proto, from, to, &rest) != 3)
		return false;
	t->proto = !strcmp(proto, "tcp") ? LB_PROTO_TCP : LB_PROTO_UDP;
	return (t->proto == LB_PROTO_TCP || !strcmp(proto, "udp")) && take_end(from, &t->src, &t->sport) &&
	       take_end(to, &t->dst, &t->dport) && t->src.family == t->dst.family;
}

/* A packet with a short header: all that is seen of it is the ID. */
static bool take_connection_id(const char *text, struct tuple *t)
{
	int size = quic_bytes_parse(&t->payload[1], QUIC_CONNECTION_MAX, text);

	t->payload[0] = QUIC_FIXED_BIT;
	t->payload_size = size < 0 ? 0 : (__u32)(1 + size + QUIC_SEALED);
	return size >= 0 && t->proto == LB_PROTO_UDP;
}

/* ---- the answer ---- */

static const char *const verdicts[] = {[LB_PASS] = "pass", [LB_LOCAL] = "local", [LB_SEND] = "send", [LB_DROP] = "drop"};
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
	char text[LB_TEXT_MAX];

	return json_string(lb_address_text(text, &maps->tables.backends[backend].addr, maps->tables.backends[backend].family));
}

static void tell_service(json_t *o, const struct lb_decision *d)
{
	const struct lb_service *s = &maps->tables.services[d->service];

	(void)json_object_set_new(o, "service", json_string(maps->tables.names[d->service].name));
	(void)json_object_set_new(o, "scheduler", json_string(schedulers[s->scheduler]));
	(void)json_object_set_new(o, "deliver", json_string(deliveries[s->delivery]));
}

static void tell_slot(json_t *o, const struct lb_decision *d)
{
	const struct lb_service *s = &maps->tables.services[d->service];
	const struct lb_table *t = &s->table[s->generation & 1];
	struct lb_slot slot;

	memcpy(&slot, &maps->tables.slots[d->slot], sizeof slot);
	(void)json_object_set_new(o, "slot", json_integer(d->slot - t->base));
	(void)json_object_set_new(o, "slots", json_integer(t->count));
	(void)json_object_set_new(o, "moved", json_boolean(slot.flags & LB_SLOT_MOVED));
	if (slot.flags & LB_SLOT_MOVED && slot.previous < s->backend_count)
		(void)json_object_set_new(o, "previous", backend_text(s->backend_base + slot.previous));
}

static void tell_backend(json_t *o, const struct lb_decision *d, const struct lb_packet *p)
{
	const struct lb_backend *b = &maps->tables.backends[d->backend];
	const __u8 *mac = (const __u8 *)&b->mac;
	char text[32];

	(void)json_object_set_new(o, "backend", backend_text(d->backend));
	(void)json_object_set_new(o, "because", json_string(choices[d->choice]));
	for (unsigned i = 0; i < d->hop_count; i++)
		(void)json_object_set_new(o, i ? "second_hop" : "first_hop", backend_text(d->hop[i]));
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
static json_t *decide(const struct tuple *t, const char *what, __u8 tcp_flags)
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
	(void)json_object_set_new(o, "verdict", json_string(verdicts[verdict]));
	(void)json_object_set_new(o, "reason", json_string(reason_text(&d, s, verdict)));
	return o;
}

/* A copy of the balancer's configuration; false: there is none yet. */
static bool open_config(const struct maps *m)
{
	uint32_t zero = 0;

	maps = m;
	return bpf_map_lookup_elem(m->config, &zero, &config) == 0 && config.abi == LB_ABI;
}

bool lb_service_of(const struct maps *m, const void *frame, size_t size, uint32_t *ret_service)
{
	__u8 *data = (__u8 *)(uintptr_t)frame; /* nothing is written: only delivery changes a packet */
	struct lb_packet p = {.frame = &p, .data = data, .end = data + size};
	struct lb_decision d = {0};
	struct lb_flow f = {0};

	if (!open_config(m) || lb_recognise(&config, &p, &f, &d) != LB_SEND)
		return false;
	*ret_service = d.service;
	return d.service < m->tables.service_count;
}

static void print(const json_t *list)
{
	const char *key;
	json_t *o, *v;
	size_t i;

	json_array_foreach(list, i, o) {
		json_object_foreach(o, key, v) {
			if (json_is_integer(v))
				printf("%-11s %lld\n", key, (long long)json_integer_value(v));
			else
				printf("%-11s %s\n", key, json_is_string(v) ? json_string_value(v) : json_is_true(v) ? "yes" : "no");
		}
		printf("\n");
	}
}

int lb_explain(const struct maps *m, const struct lb_options *o)
{
	struct tuple t = {0};
	json_t *list;

	if (!take_tuple(o->flow, &t))
		return cli_fail(EXIT_USAGE, "\"%s\" is no flow: 'tcp 10.0.0.9:4242 > 10.1.1.1:80', or udp, or [addresses] in brackets",
				o->flow);
	if (o->connection_id && !take_connection_id(o->connection_id, &t))
		return cli_fail(EXIT_USAGE, "\"%s\" is no connection ID of a udp flow: give 1 to %u bytes as pairs of hexadecimal digits",
				o->connection_id, QUIC_CONNECTION_MAX);
	if (!open_config(m))
		return cli_fail(1, "the balancer has no catalog yet: does its node answer?");
	list = json_array();
	if (t.proto == LB_PROTO_TCP) {
		(void)json_array_append_new(list, decide(&t, "the first one of a connection", LB_TCP_SYN));
		(void)json_array_append_new(list, decide(&t, "a later one", LB_TCP_ACK));
	} else {
		(void)json_array_append_new(list, decide(&t, o->connection_id ? "one of the connection" : "a datagram", 0));
	}
	if (o->json) {
		(void)json_dumpf(list, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print(list);
	}
	json_decref(list);
	return 0;
}
