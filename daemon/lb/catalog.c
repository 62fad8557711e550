/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/catalog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/mem.h"

static_assert(QUIC_CONFIGS < LB_QUIC_CONFIGS && QUIC_ID_MAX == LB_QUIC_ID_MAX, "the data planes take what nodes do");

const char *const check_kinds[CHECK_KINDS] = {"none", "tcp", "http", "https", "redis", "kafka"};

/* The first mistake is kept; after it every value reads as empty, so that a reader checks once, at its end. */
struct reader {
	char *error;
	size_t error_size;
	const char *service; /* being read, for messages */
	bool bad;
};

__attribute__((format(printf, 2, 3))) static void refuse(struct reader *r, const char *format, ...)
{
	va_list args;
	int n;

	if (r->bad)
		return;
	r->bad = true;
	n = r->service ? snprintf(r->error, r->error_size, "service \"%s\": ", r->service) : 0;
	va_start(args, format);
	(void)vsnprintf(r->error + n, r->error_size - (size_t)n, format, args);
	va_end(args);
}

static const char *read_text(struct reader *r, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v))
		refuse(r, "\"%s\" is no string", key);
	return json_is_string(v) ? json_string_value(v) : "";
}

static uint64_t read_number(struct reader *r, const json_t *o, const char *key, uint64_t min, uint64_t max)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (json_is_integer(v) && n >= 0 && (uint64_t)n >= min && (uint64_t)n <= max)
		return (uint64_t)n;
	refuse(r, "\"%s\" is no number from %llu to %llu", key, (unsigned long long)min, (unsigned long long)max);
	return min;
}

static bool read_bool(struct reader *r, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_boolean(v))
		refuse(r, "\"%s\" is neither true nor false", key);
	return json_is_true(v);
}

/* An array that has at most max members; NULL, and refused, if it isn't there. */
static const json_t *read_array(struct reader *r, const json_t *o, const char *key, uint32_t max, uint32_t *ret_count)
{
	const json_t *v = json_object_get(o, key);

	*ret_count = 0;
	if (!json_is_array(v) || json_array_size(v) > max) {
		refuse(r, "\"%s\" is no array of at most %u members", key, max);
		return NULL;
	}
	*ret_count = (uint32_t)json_array_size(v);
	return v;
}

/* One of these words; its place among them. */
static uint32_t read_word(struct reader *r, const json_t *o, const char *key, const char *const *words, uint32_t count)
{
	const char *text = read_text(r, o, key);

	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(text, words[i]))
			return i;
	refuse(r, "\"%s\" is \"%s\", which this program doesn't know", key, text);
	return 0;
}

#define READ_WORD(r, o, key, words) read_word(r, o, key, words, sizeof(words) / sizeof *(words))

int host_address_parse(struct host_address *ret, const char *text)
{
	struct host_address a = {.family = strchr(text, ':') ? LB_IP6 : LB_IP4};

	if (inet_pton(a.family == LB_IP6 ? AF_INET6 : AF_INET, text, &a.addr) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

static struct host_address take_address(struct reader *r, const char *what, const char *text)
{
	struct host_address a = {.family = LB_IP4};

	if (host_address_parse(&a, text) < 0)
		refuse(r, "%s \"%s\" is no address", what, text);
	return a;
}

static uint64_t read_secret(struct reader *r, const char *text, size_t from)
{
	char half[17] = "", *end;
	uint64_t word;

	memcpy(half, text + from, strnlen(text + from, 16));
	word = strtoull(half, &end, 16);
	if (strspn(half, "0123456789abcdefABCDEF") != 16 || *end)
		refuse(r, "\"secret\" is not 32 hexadecimal digits");
	return word;
}

static struct catalog_prefix take_prefix(struct reader *r, const struct catalog_service *s, const char *text, bool deny)
{
	struct catalog_prefix p = {.deny = deny};
	char addr[64];
	const char *slash = strchr(text, '/');
	unsigned long bits;
	char *end;

	(void)snprintf(addr, sizeof addr, "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text);
	p.at = take_address(r, "prefix", addr);
	bits = slash ? strtoul(slash + 1, &end, 10) : p.at.family == LB_IP4 ? 32 : 128;
	if (bits > (p.at.family == LB_IP4 ? 32 : 128) || (slash && (*end || end == slash + 1)))
		refuse(r, "prefix \"%s\" has no such length", text);
	if (p.at.family != s->vip.family)
		refuse(r, "prefix \"%s\" is of another family than the VIP", text);
	p.bits = (uint8_t)bits;
	return p;
}

static void read_prefixes(struct reader *r, const json_t *o, struct catalog_service *s)
{
	uint32_t allow_count, deny_count;
	const json_t *allow = read_array(r, o, "allow", CATALOG_PREFIXES_MAX, &allow_count);
	const json_t *deny = read_array(r, o, "deny", CATALOG_PREFIXES_MAX, &deny_count);

	s->prefixes = mem_zalloc((allow_count + deny_count) * sizeof *s->prefixes);
	for (uint32_t i = 0; i < allow_count + deny_count && !r->bad; i++) {
		const json_t *v = i < allow_count ? json_array_get(allow, i) : json_array_get(deny, i - allow_count);

		s->prefixes[s->prefix_count++] = take_prefix(r, s, json_is_string(v) ? json_string_value(v) : "", i >= allow_count);
	}
}

/* A node that knows nothing of limits of sources and prefixes says nothing. */
static void read_limits(struct reader *r, const json_t *o, struct catalog_service *s)
{
	uint32_t count = 0;
	const json_t *list = NULL;

	s->limit = (uint32_t)read_number(r, o, "limit", 0, CATALOG_RATE_MAX);
	if (json_object_get(o, "limit_source"))
		s->limit_source = (uint32_t)read_number(r, o, "limit_source", 0, CATALOG_RATE_MAX);
	if (json_object_get(o, "limit_prefix"))
		list = read_array(r, o, "limit_prefix", LB_LIMITED_MAX, &count);
	s->limits = mem_zalloc(count * sizeof *s->limits + 1);
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		const json_t *v = json_array_get(list, i);
		struct catalog_prefix p = take_prefix(r, s, read_text(r, v, "prefix"), false);

		s->limits[s->limit_count++] = (struct catalog_limit){
			.at = p.at, .bits = p.bits, .rate = (uint32_t)read_number(r, v, "rate", 0, CATALOG_RATE_MAX)};
	}
}

/* Up to the next space or the end; *text is behind it then. False: there is none, or no room. */
static bool take_word(const char **text, char *ret, size_t size)
{
	const char *from = *text;
	size_t n = strcspn(from, " ");

	if (!n || n >= size)
		return false;
	memcpy(ret, from, n);
	ret[n] = 0;
	*text = from + n + (from[n] == ' ');
	return true;
}

static uint64_t take_number(struct reader *r, const char *what, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < min || n > max)
		refuse(r, "%s \"%s\" is no number from %llu to %llu", what, text, (unsigned long long)min, (unsigned long long)max);
	return n;
}

/* "1 10.2.0.1 80 down quic=c0ffee01": the last two stand with few. */
static struct catalog_backend take_backend(struct reader *r, const char *text)
{
	struct catalog_backend b = {0};
	char id[24], address[64], port[8], word[64];

	if (!take_word(&text, id, sizeof id) || !take_word(&text, address, sizeof address) || !take_word(&text, port, sizeof port)) {
		refuse(r, "a backend is not an id, an address and a port");
		return b;
	}
	b.id = take_number(r, "backend's id", id, 1, INT64_MAX);
	b.at = take_address(r, "backend", address);
	b.port = (uint16_t)take_number(r, "backend's port", port, 0, UINT16_MAX);
	while (*text && !r->bad)
		if (!take_word(&text, word, sizeof word))
			refuse(r, "backend %s has what this program doesn't know: \"%s\"", id, text);
		else if (!strcmp(word, "down"))
			b.down = true;
		else if (strncmp(word, "quic=", 5) != 0 || !quic_id_parse(&b.quic_id, word + 5))
			refuse(r, "backend %s has what this program doesn't know: \"%s\"", id, word);
	return b;
}

/* Those that are, and those that were and whose flows may still be under way. */
static void read_backends(struct reader *r, const json_t *o, struct catalog_service *s, const char *key, uint32_t max, bool removed)
{
	uint32_t count, before = s->backend_count;
	uint64_t highest = 0;
	const json_t *list = read_array(r, o, key, max, &count);

	s->backends = mem_realloc(s->backends, (before + count) * sizeof *s->backends + 1);
	for (uint32_t i = 0; i < count && !r->bad; i++) {
		const json_t *v = json_array_get(list, i);
		struct catalog_backend *b = &s->backends[s->backend_count++];

		*b = take_backend(r, json_is_string(v) ? json_string_value(v) : "");
		b->removed = removed;
		/* Most are told in order; only of those before this list, or out of order, one may be the same. */
		for (uint32_t n = 0; n < (b->id > highest ? before : before + i); n++)
			if (s->backends[n].id == b->id)
				refuse(r, "two backends have the id %llu", (unsigned long long)b->id);
		if (b->id > highest)
			highest = b->id;
	}
}

/* Of digits, from 1 on. NULL if text doesn't begin so, else what is behind. */
static const char *read_id(const char *text, uint64_t *ret)
{
	char *end;

	if (*text < '1' || *text > '9')
		return NULL;
	*ret = strtoull(text, &end, 10);
	return *ret > INT64_MAX ? NULL : end;
}

/* "1:1" or "1-500:1": backends whose ids follow each other, and what each weighs. */
struct run {
	uint64_t first, last;
	uint16_t weight;
};

/* NULL if text doesn't begin so, else what is behind. */
static const char *read_run(const char *text, struct run *ret)
{
	const char *c = read_id(text, &ret->first);
	unsigned long long weight;
	char *end;

	ret->last = ret->first;
	if (c && *c == '-')
		c = read_id(c + 1, &ret->last);
	if (!c || *c != ':' || c[1] < '0' || c[1] > '9' || ret->last < ret->first || ret->last - ret->first >= CATALOG_BACKENDS_MAX)
		return NULL;
	weight = strtoull(c + 1, &end, 10);
	if (weight > UINT16_MAX || (*end && *end != ' '))
		return NULL;
	ret->weight = (uint16_t)weight;
	return *end ? end + 1 : end;
}

static void read_generation(struct reader *r, const json_t *o, struct catalog_generation *g)
{
	const char *text = read_text(r, o, "shares");
	struct run run;

	while (!r->bad && *text) {
		text = read_run(text, &run);
		if (!text) {
			refuse(r, "\"shares\" are no pairs of backend and weight");
			return;
		}
		if (g->share_count + (run.last - run.first) >= CATALOG_BACKENDS_MAX) {
			refuse(r, "\"shares\" are more than %u", CATALOG_BACKENDS_MAX);
			return;
		}
		g->shares = mem_realloc(g->shares, (g->share_count + run.last - run.first + 1) * sizeof *g->shares);
		for (uint64_t id = run.first; id <= run.last; id++)
			g->shares[g->share_count++] = (struct catalog_share){.backend = id, .weight = run.weight};
	}
}

/* What is forwarded to must have an address; of an earlier generation's backends, those that were removed have none any more. */
static void refuse_unknown(struct reader *r, const struct catalog_service *s, const struct catalog_generation *g, const char *which)
{
	uint32_t at = 0; /* both lists are mostly in one order: the next one is likely behind the last */

	for (uint32_t i = 0; i < g->share_count; i++) {
		uint32_t tried = 0;

		while (tried < s->backend_count && s->backends[at].id != g->shares[i].backend) {
			at = at + 1 == s->backend_count ? 0 : at + 1;
			tried++;
		}
		if (tried == s->backend_count)
			refuse(r, "the %s generation has a backend %llu that isn't listed", which,
			       (unsigned long long)g->shares[i].backend);
	}
}

static void read_generations(struct reader *r, const json_t *o, struct catalog_service *s)
{
	uint32_t count;
	const json_t *list = read_array(r, o, "generations", CATALOG_GENERATIONS_MAX, &count);

	for (uint32_t i = 0; i < count && !r->bad; i++) {
		struct catalog_generation *g = &s->generations[s->generation_count++];

		read_generation(r, json_array_get(list, i), g);
		g->number = (uint32_t)read_number(r, json_array_get(list, i), "number", 1, UINT32_MAX);
	}
	if (s->generation_count)
		refuse_unknown(r, s, &s->generations[s->generation_count - 1], "active");
	s->has_prepared = json_object_get(o, "prepared") != NULL;
	if (!s->has_prepared)
		return;
	read_generation(r, json_object_get(o, "prepared"), &s->prepared);
	refuse_unknown(r, s, &s->prepared, "prepared");
}

static void read_vip(struct reader *r, const json_t *o, struct catalog_service *s)
{
	static const char *const protocols[] = {"tcp", "udp", "quic"};
	struct host_address a = take_address(r, "VIP", read_text(r, o, "vip"));

	s->vip = (struct lb_vip){
		.addr = a.addr,
		.port = htons((uint16_t)read_number(r, o, "port", 0, UINT16_MAX)),
		.proto = READ_WORD(r, o, "proto", protocols) ? IPPROTO_UDP : IPPROTO_TCP,
		.family = a.family,
	};
}

static void read_ways(struct reader *r, const json_t *o, struct catalog_service *s)
{
	static const char *const schedulers[] = {"maglev", "source", "rr", "wrr", "p2c", "latency"};
	static const uint8_t scheduler[] = {LB_MAGLEV, LB_SOURCE, LB_ROUND_ROBIN, LB_ROUND_ROBIN, LB_TWO_CHOICES, LB_MAGLEV};
	static const char *const deliveries[] = {"ipip", "gue", "dsr", "dnat", "snat"};
	static const uint8_t delivery[] = {LB_IPIP, LB_GUE, LB_DSR, LB_DNAT, LB_SNAT};
	uint32_t word = READ_WORD(r, o, "scheduler", schedulers);

	s->scheduler = scheduler[word];
	s->even = !strcmp(schedulers[word], "rr");
	s->by_latency = !strcmp(schedulers[word], "latency");
	s->delivery = delivery[READ_WORD(r, o, "deliver", deliveries)];
}

static bool has_weight(const struct catalog_generation *g, uint64_t backend)
{
	for (uint32_t i = 0; i < g->share_count; i++)
		if (g->shares[i].backend == backend)
			return g->shares[i].weight > 0;
	return false;
}

/* Dead is who is down and has no weight any more: where all are dead, the last table stays. */
static void find_dead(struct catalog_service *s)
{
	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct catalog_backend *b = &s->backends[i];

		b->dead = b->down && !(s->generation_count && has_weight(&s->generations[s->generation_count - 1], b->id));
	}
}

static void digest_address(struct bytes *out, const struct host_address *a)
{
	bytes_put(out, &a->addr, sizeof a->addr);
	bytes_put_u8(out, a->family);
}

static void digest_generation(struct bytes *out, const struct catalog_generation *g)
{
	bytes_put_u32(out, g->share_count);
	for (uint32_t i = 0; i < g->share_count; i++) {
		bytes_put_u64(out, g->shares[i].backend);
		bytes_put_u16(out, g->shares[i].weight);
	}
}

static void digest_limits(struct bytes *out, const struct catalog_service *s)
{
	bytes_put_u32(out, s->limit_count);
	for (uint32_t i = 0; i < s->limit_count; i++) {
		digest_address(out, &s->limits[i].at);
		bytes_put_u8(out, s->limits[i].bits);
		bytes_put_u32(out, s->limits[i].rate);
	}
}

/* Of all that was read. */
static uint64_t digest(const struct catalog_service *s)
{
	struct bytes all = {0};
	uint64_t sum;

	bytes_puts(&all, s->name);
	bytes_put(&all, &s->vip, sizeof s->vip);
	bytes_put(&all, (uint8_t[]){s->scheduler, s->delivery, s->chain, s->affinity, s->even}, 5);
	bytes_put_u32(&all, s->limit);
	bytes_put_u32(&all, s->limit_source);
	digest_limits(&all, s);
	bytes_put_u8(&all, s->syn_cookies);
	bytes_put_u32(&all, s->syn_rate);
	bytes_put_u32(&all, s->slow_start_s);
	quic_config_put(&all, &s->quic);
	bytes_put_u8(&all, s->check);
	bytes_puts(&all, s->check_path);
	check_terms_put(&all, &s->check_terms);
	for (uint32_t i = 0; i < s->prefix_count; i++) {
		digest_address(&all, &s->prefixes[i].at);
		bytes_put(&all, (uint8_t[]){s->prefixes[i].bits, s->prefixes[i].deny}, 2);
	}
	bytes_put_u32(&all, s->backend_count);
	for (uint32_t i = 0; i < s->backend_count; i++) {
		bytes_put_u64(&all, s->backends[i].id);
		digest_address(&all, &s->backends[i].at);
		bytes_put_u16(&all, s->backends[i].port);
		bytes_put(&all, (uint8_t[]){s->backends[i].removed, s->backends[i].dead}, 2);
		quic_id_put(&all, &s->backends[i].quic_id);
	}
	for (uint32_t i = 0; i < s->generation_count; i++)
		digest_generation(&all, &s->generations[i]);
	bytes_put_u8(&all, s->has_prepared);
	digest_generation(&all, &s->prepared);
	sum = hash64(all.data, all.size, 0);
	bytes_free(&all);
	return sum;
}

/* What becomes part of a request line has nothing in it that would end it. */
static bool is_path(const char *path)
{
	const char *c = path;

	while (*c > ' ' && *c < 0x7f)
		c++;
	return *path == '/' && !*c && strlen(path) < CATALOG_PATH_SIZE;
}

static void read_check(struct reader *r, const json_t *o, struct catalog_service *s)
{
	const char *text = read_text(r, o, "check"), *colon = strchr(text, ':'), *path = colon ? colon + 1 : "";
	size_t size = colon ? (size_t)(colon - text) : strlen(text);
	uint8_t kind = CHECK_NONE;

	while (kind < CHECK_KINDS && (strlen(check_kinds[kind]) != size || strncmp(check_kinds[kind], text, size) != 0))
		kind++;
	if (kind == CHECK_KINDS || (kind == CHECK_HTTP || kind == CHECK_HTTPS ? !is_path(path) : colon != NULL)) {
		refuse(r, "\"check\" is \"%s\", which this program doesn't know", text);
		return;
	}
	s->check = s->vip.port ? kind : CHECK_NONE;
	(void)snprintf(s->check_path, sizeof s->check_path, "%s", path);
}

/* A number that a node which knows nothing of it doesn't say. */
static uint32_t read_term(struct reader *r, const json_t *o, const char *key, uint32_t min, uint32_t max, uint32_t unsaid)
{
	return json_object_get(o, key) ? (uint32_t)read_number(r, o, key, min, max) : unsaid;
}

static void read_check_terms(struct reader *r, const json_t *o, struct catalog_service *s)
{
	const struct check_terms *d = &check_terms_default;
	struct check_terms *t = &s->check_terms;

	t->interval_ms = read_term(r, o, "check_interval_ms", CHECK_INTERVAL_MIN_MS, CHECK_INTERVAL_MAX_MS, d->interval_ms);
	t->timeout_ms = read_term(r, o, "check_timeout_ms", CHECK_TIMEOUT_MIN_MS, check_timeout_max_ms(t->interval_ms), d->timeout_ms);
	t->rise = (uint8_t)read_term(r, o, "check_rise", 1, CHECK_RUN_MAX, d->rise);
	t->fall = (uint8_t)read_term(r, o, "check_fall", 1, CHECK_RUN_MAX, d->fall);
}

/* A node that knows nothing of them says nothing. */
static void read_syn_cookies(struct reader *r, const json_t *o, struct catalog_service *s)
{
	static const char *const words[] = {[SYN_COOKIES_OFF] = "off", [SYN_COOKIES_AUTO] = "auto", [SYN_COOKIES_ALWAYS] = "always"};

	if (!json_object_get(o, "syn_cookies"))
		return;
	s->syn_cookies = (uint8_t)READ_WORD(r, o, "syn_cookies", words);
	s->syn_rate = (uint32_t)read_number(r, o, "syn_rate", 0, CATALOG_RATE_MAX);
}

/* The same. In TCP the octets of a connection ID would be read from anything. */
static void read_quic_config(struct reader *r, const json_t *o, struct catalog_service *s)
{
	const char *text = json_object_get(o, "quic_config") ? read_text(r, o, "quic_config") : "none";

	if (!quic_config_parse(&s->quic, text) || (s->quic.id_size && s->vip.proto != IPPROTO_UDP))
		refuse(r, "\"quic_config\" is \"%s\", which this service can't have", text);
}

static void read_service(struct reader *r, const json_t *o, struct catalog_service *s)
{
	const char *name = read_text(r, o, "name");

	if (strlen(name) >= sizeof s->name)
		refuse(r, "the name \"%s\" is too long", name);
	(void)snprintf(s->name, sizeof s->name, "%s", name);
	r->service = s->name;
	s->id = read_number(r, o, "id", 1, INT64_MAX);
	read_vip(r, o, s);
	read_ways(r, o, s);
	s->chain = read_bool(r, o, "chain");
	s->affinity = read_bool(r, o, "affinity");
	read_limits(r, o, s);
	read_syn_cookies(r, o, s);
	s->flow_idle_s = CATALOG_FLOW_IDLE_S;
	if (json_object_get(o, "flow_idle"))
		s->flow_idle_s = (uint32_t)read_number(r, o, "flow_idle", 1, CATALOG_FLOW_IDLE_MAX_S);
	if (json_object_get(o, "slow_start"))
		s->slow_start_s = (uint32_t)read_number(r, o, "slow_start", 0, CATALOG_SLOW_START_MAX_S);
	read_quic_config(r, o, s);
	read_check(r, o, s);
	read_check_terms(r, o, s);
	read_prefixes(r, o, s);
	read_backends(r, o, s, "backends", CATALOG_BACKENDS_MAX, false);
	if (json_object_get(o, "removed"))
		read_backends(r, o, s, "removed", CATALOG_REMOVED_MAX, true);
	read_generations(r, o, s);
	if (json_object_get(o, "owner"))
		s->owner = (uint32_t)read_number(r, o, "owner", 0, UINT32_MAX);
	find_dead(s);
	s->digest = digest(s);
	r->service = NULL;
}

static void refuse_twins(struct reader *r, const struct lb_catalog *c)
{
	for (uint32_t i = 0; i < c->service_count; i++)
		for (uint32_t n = 0; n < i; n++) {
			const struct catalog_service *a = &c->services[n], *b = &c->services[i];

			if (a->id == b->id || !memcmp(&a->vip, &b->vip, sizeof a->vip))
				refuse(r, "services \"%s\" and \"%s\" have one id or one VIP, protocol and port", a->name, b->name);
		}
}

static void read_catalog(struct reader *r, const json_t *o, struct lb_catalog *c)
{
	const char *secret = read_text(r, o, "secret");
	const json_t *services, *balancers;
	uint32_t service_count, balancer_count;

	c->version = read_number(r, o, "version", 0, INT64_MAX);
	c->secret[0] = read_secret(r, secret, 0);
	c->secret[1] = r->bad ? 0 : read_secret(r, secret, 16);
	if (strlen(secret) != 32)
		refuse(r, "\"secret\" is not 32 hexadecimal digits");
	balancers = read_array(r, o, "balancers", CATALOG_BALANCERS_MAX, &balancer_count);
	services = read_array(r, o, "services", CATALOG_SERVICES_MAX, &service_count);
	c->balancers = mem_zalloc(balancer_count * sizeof *c->balancers);
	c->services = mem_zalloc(service_count * sizeof *c->services);
	for (uint32_t i = 0; i < balancer_count && !r->bad; i++) {
		const json_t *v = json_array_get(balancers, i);

		c->balancers[c->balancer_count++] = take_address(r, "balancer", json_is_string(v) ? json_string_value(v) : "");
	}
	for (uint32_t i = 0; i < service_count && !r->bad; i++)
		read_service(r, json_array_get(services, i), &c->services[c->service_count++]);
	refuse_twins(r, c);
}

int lb_catalog_parse(struct lb_catalog *ret, const char *text, char *error, size_t error_size)
{
	struct reader r = {.error = error, .error_size = error_size};
	struct lb_catalog c = {0};
	json_error_t syntax;
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &syntax);

	if (!o) {
		(void)snprintf(error, error_size, "no JSON: line %d: %s", syntax.line, syntax.text);
		return -EINVAL;
	}
	read_catalog(&r, o, &c);
	json_decref(o);
	if (r.bad) {
		lb_catalog_free(&c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

void lb_catalog_free(struct lb_catalog *c)
{
	for (uint32_t i = 0; i < c->service_count; i++) {
		struct catalog_service *s = &c->services[i];

		for (uint32_t n = 0; n < s->generation_count; n++)
			free(s->generations[n].shares);
		free(s->prepared.shares);
		free(s->backends);
		free(s->prefixes);
		free(s->limits);
	}
	free(c->services);
	free(c->balancers);
	*c = (struct lb_catalog){0};
}
