/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/service_json.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "config.h"

/* printf is most of the cost where there are thousands of numbers. */
static void put_number(struct bytes *out, uint32_t n)
{
	uint8_t digits[10];
	unsigned at = sizeof digits;

	do {
		digits[--at] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n);
	bytes_put(out, digits + at, sizeof digits - at);
}

static void put_backend(struct bytes *out, const struct backend *b)
{
	char address[IP_TEXT], id[QUIC_ID_TEXT];

	ip_format(&b->address, address);
	bytes_puts(out, "{\"id\":");
	put_number(out, b->id);
	bytes_puts(out, ",\"address\":\"");
	bytes_puts(out, address);
	bytes_puts(out, "\",\"port\":");
	put_number(out, b->port);
	bytes_puts(out, ",\"weight\":");
	put_number(out, b->weight);
	bytes_puts(out, b->draining ? ",\"draining\":true" : ",\"draining\":false");
	if (b->quic_id.size) {
		quic_id_format(&b->quic_id, id);
		bytes_puts(out, ",\"quic_id\":\"");
		bytes_puts(out, id);
		bytes_put_u8(out, '"');
	}
	if (b->latency_us) {
		bytes_puts(out, ",\"latency_us\":");
		put_number(out, b->latency_us);
		bytes_puts(out, ",\"percent\":");
		put_number(out, b->percent);
	}
	bytes_puts(out, b->down ? ",\"down\":true}" : "}");
}

/* "1 10.2.0.1 80 down quic=c0ffee01" */
static void put_backend_line(struct bytes *out, const struct backend *b)
{
	char address[IP_TEXT], id[QUIC_ID_TEXT];

	ip_format(&b->address, address);
	bytes_put_u8(out, '"');
	put_number(out, b->id);
	bytes_put_u8(out, ' ');
	bytes_puts(out, address);
	bytes_put_u8(out, ' ');
	put_number(out, b->port);
	if (b->down)
		bytes_puts(out, " down");
	if (b->quic_id.size) {
		quic_id_format(&b->quic_id, id);
		bytes_puts(out, " quic=");
		bytes_puts(out, id);
	}
	bytes_put_u8(out, '"');
}

static void put_backends(struct bytes *out, enum services_form form, const char *key, const struct backend *list, uint32_t count)
{
	bytes_printf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			bytes_put_u8(out, ',');
		if (form == FOR_BALANCERS)
			put_backend_line(out, &list[i]);
		else
			put_backend(out, &list[i]);
	}
	bytes_put_u8(out, ']');
}

static void put_slots_of(struct bytes *out, const struct generation *g)
{
	bytes_puts(out, ",\"slots_of\":[");
	for (uint32_t i = 0; i < g->count; i++) {
		bytes_puts(out, i ? ",{\"backend\":" : "{\"backend\":");
		put_number(out, g->shares[i].backend);
		bytes_puts(out, ",\"weight\":");
		put_number(out, g->shares[i].weight);
		bytes_put_u8(out, '}');
	}
	bytes_puts(out, "]}");
}

/* "1-500:1 501:7": runs of ids that follow each other, with one weight. */
static void put_shares(struct bytes *out, const struct generation *g)
{
	bytes_puts(out, ",\"shares\":\"");
	for (uint32_t i = 0, first; i < g->count; i++) {
		for (first = i; i + 1 < g->count && g->shares[i + 1].backend == g->shares[i].backend + 1 &&
				g->shares[i + 1].weight == g->shares[i].weight;)
			i++;
		if (first)
			bytes_put_u8(out, ' ');
		put_number(out, g->shares[first].backend);
		if (i > first) {
			bytes_put_u8(out, '-');
			put_number(out, g->shares[i].backend);
		}
		bytes_put_u8(out, ':');
		put_number(out, g->shares[i].weight);
	}
	bytes_puts(out, "\"}");
}

/* version: of a prepared one, else 0. */
static void put_generation(struct bytes *out, enum services_form form, const struct generation *g, uint64_t version)
{
	bytes_puts(out, "{\"number\":");
	put_number(out, g->number);
	if (version)
		bytes_printf(out, ",\"version\":%llu", (unsigned long long)version);
	if (form == FOR_BALANCERS)
		put_shares(out, g);
	else
		put_slots_of(out, g);
}

static void put_prefixes(struct bytes *out, const char *key, const struct service_prefixes *p)
{
	char text[IP_PREFIX_TEXT];

	bytes_printf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < p->count; i++) {
		ip_prefix_format(&p->list[i], text);
		bytes_printf(out, "%s\"%s\"", i ? "," : "", text);
	}
	bytes_put_u8(out, ']');
}

static void put_limits(struct bytes *out, const struct service_limits *l)
{
	char text[IP_PREFIX_TEXT];

	bytes_puts(out, ",\"limit_prefix\":[");
	for (uint32_t i = 0; i < l->count; i++) {
		ip_prefix_format(&l->list[i].prefix, text);
		bytes_printf(out, "%s{\"prefix\":\"%s\",\"rate\":%u}", i ? "," : "", text, l->list[i].rate);
	}
	bytes_put_u8(out, ']');
}

static void put_check_terms(struct bytes *out, const struct check_terms *t)
{
	bytes_printf(out, ",\"check_interval_ms\":%u,\"check_timeout_ms\":%u,\"check_rise\":%u,\"check_fall\":%u", t->interval_ms,
		     t->timeout_ms, t->rise, t->fall);
}

static void put_owner(struct bytes *out, enum services_form form, const struct services *all, uint32_t lease_id)
{
	const struct reporter *owner = services_lease_holder(all, lease_id);

	if (form == FOR_BALANCERS)
		bytes_printf(out, ",\"owner\":%u", lease_id);
	else if (owner)
		bytes_printf(out, ",\"owner\":{\"node\":%u,\"id\":\"%s\"}", owner->node, owner->id);
}

/* Names and paths have no character that JSON would escape (service.h). */
static void put_service(struct bytes *out, enum services_form form, const struct services *all, const struct service *s)
{
	const struct service_settings *set = &s->settings;
	char vip[IP_TEXT], quic[QUIC_CONFIG_TEXT];

	ip_format(&s->key.vip, vip);
	bytes_printf(out, "{\"id\":%u,\"name\":\"%s\",\"vip\":\"%s\",\"proto\":\"%s\",\"port\":%u,\"scheduler\":\"%s\",\"deliver\":\"%s\"",
		     s->id, s->name, vip, service_protos[s->key.proto], s->key.port, service_schedulers[set->scheduler],
		     service_deliveries[set->deliver]);
	bytes_printf(out, ",\"chain\":%s,\"affinity\":%s,\"limit\":%u,\"limit_source\":%u", set->chain ? "true" : "false",
		     set->affinity ? "true" : "false", set->limit, set->limit_source);
	put_limits(out, &set->limits);
	bytes_printf(out, ",\"syn_cookies\":\"%s\",\"syn_rate\":%u", service_syn_cookies[set->syn_cookies], set->syn_rate);
	bytes_printf(out, ",\"flow_idle\":%u,\"slow_start\":%u", set->flow_idle_s, set->slow_start_s);
	quic_config_format(&set->quic, quic);
	bytes_printf(out, ",\"quic_config\":\"%s\"", quic);
	put_prefixes(out, "allow", &set->allow);
	put_prefixes(out, "deny", &set->deny);
	bytes_printf(out, ",\"check\":\"%s%s%s\"", service_checks[set->check], set->path[0] ? ":" : "", set->path);
	put_check_terms(out, &set->check_terms);
	put_backends(out, form, "backends", s->backends, s->backend_count);
	put_backends(out, form, "removed", s->gone, s->gone_count);
	bytes_puts(out, ",\"generations\":[");
	for (uint32_t i = 0; i < s->generation_count; i++) {
		if (i)
			bytes_put_u8(out, ',');
		put_generation(out, form, &s->generations[i], 0);
	}
	bytes_puts(out, "]");
	if (s->prepared.number) {
		bytes_puts(out, ",\"prepared\":");
		put_generation(out, form, &s->prepared, s->prepared_version);
	}
	put_owner(out, form, all, s->owner);
	bytes_put_u8(out, '}');
}

/* "10.1.2.3:7400" and "[2001:db8::1]:7400" without their ports; a member named otherwise can't be told. */
static bool member_ip(const char *address, struct ip *ret)
{
	const char *end = strrchr(address, ':');
	char text[IP_TEXT];

	if (!end)
		return false;
	if (address[0] == '[' && end > address && end[-1] == ']') {
		address++;
		end--;
	}
	if ((size_t)(end - address) >= sizeof text)
		return false;
	(void)snprintf(text, sizeof text, "%.*s", (int)(end - address), address);
	return ip_parse(ret, text);
}

/* Whom backends take tunnels from. */
struct balancers {
	uint32_t count;
	struct ip list[NODE_SLOTS + TUNNELS_MAX];
};

/* Each once, though members and balancers share hosts. */
static void add_balancer(struct balancers *b, const struct ip *ip)
{
	uint32_t at = 0;

	while (at < b->count && !ip_equal(&b->list[at], ip))
		at++;
	if (at == b->count)
		b->list[b->count++] = *ip;
}

/* Where balancers say that they tunnel from; and the members' addresses, for one that hasn't said so yet. */
static void put_balancers(struct bytes *out, const struct services *s, const struct config *config)
{
	struct balancers b = {0};
	char text[IP_TEXT];
	struct ip member;

	for (unsigned i = 0; i < config->member_count; i++)
		if (member_ip(config->member_address[config->members[i]], &member))
			add_balancer(&b, &member);
	for (uint32_t i = 0; i < s->tunnels.count; i++)
		add_balancer(&b, &s->tunnels.list[i].from);
	bytes_puts(out, "\"balancers\":[");
	for (uint32_t i = 0; i < b.count; i++) {
		ip_format(&b.list[i], text);
		bytes_printf(out, "%s\"%s\"", i ? "," : "", text);
	}
	bytes_puts(out, "],");
}

static void put_secret(struct bytes *out, uint64_t seed)
{
	bytes_printf(out, "\"secret\":\"%016llx%016llx\",", (unsigned long long)hash64(&seed, sizeof seed, 1),
		     (unsigned long long)hash64(&seed, sizeof seed, 2));
}

void services_json(const struct services *s, enum services_form form, const uint64_t *seed, const struct config *config, struct bytes *out)
{
	bytes_printf(out, "{\"version\":%llu,", (unsigned long long)s->version);
	if (seed)
		put_secret(out, *seed);
	put_balancers(out, s, config);
	bytes_puts(out, "\"services\":[");
	for (uint32_t i = 0; i < s->count; i++) {
		if (i)
			bytes_put_u8(out, ',');
		put_service(out, form, s, s->list[i]);
	}
	bytes_puts(out, "]}\n");
}
