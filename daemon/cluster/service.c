/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/service.h"

#include <stdlib.h>

#include "base/mem.h"

const char *const service_protos[] = {"tcp", "udp", "quic"};
const char *const service_schedulers[] = {"maglev", "source", "rr", "wrr", "p2c", "latency"};
const char *const service_deliveries[] = {"ipip", "gue", "dsr", "dnat", "snat"};
const char *const service_checks[] = {"none", "tcp", "http", "https", "redis", "kafka"};
const char *const service_syn_cookies[] = {"off", "auto", "always"};

bool service_name_ok(const char *name)
{
	size_t size = strlen(name);

	return size >= 1 && size <= SERVICE_NAME_MAX &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

bool service_path_ok(const char *path)
{
	size_t size = strlen(path);

	for (size_t i = 0; i < size; i++)
		if (path[i] <= ' ' || path[i] > '~' || path[i] == '"' || path[i] == '\\')
			return false;
	return size >= 1 && size <= SERVICE_PATH_MAX && path[0] == '/';
}

int service_word(const char *const *words, int count, const char *word)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(words[i], word))
			return i;
	return -1;
}

bool service_translates(enum service_delivery deliver)
{
	return deliver == DELIVER_DNAT || deliver == DELIVER_SNAT;
}

bool service_hands_on(const struct service_settings *s, enum service_proto proto)
{
	return s->chain && s->deliver == DELIVER_GUE && proto == SERVICE_TCP;
}

bool service_key_clashes(const struct service_key *a, const struct service_key *b)
{
	return ip_equal(&a->vip, &b->vip) && a->port == b->port && (a->proto == SERVICE_TCP) == (b->proto == SERVICE_TCP);
}

struct backend *service_backend(const struct service *s, const struct ip *address, uint16_t port)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (ip_equal(&s->backends[i].address, address) && s->backends[i].port == port)
			return &s->backends[i];
	return NULL;
}

uint16_t backend_weight(const struct backend *b)
{
	return b->draining ? 0 : b->weight;
}

struct backend *service_backend_by_id(const struct service *s, uint32_t id)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (s->backends[i].id == id)
			return &s->backends[i];
	return NULL;
}

struct backend *service_backend_by_quic_id(const struct service *s, const struct quic_id *id)
{
	for (uint32_t i = 0; id->size && i < s->backend_count; i++)
		if (quic_id_equal(&s->backends[i].quic_id, id))
			return &s->backends[i];
	return NULL;
}

/* ---- generations ---- */

static uint8_t unit_of(const struct service *s)
{
	return s->settings.scheduler == SCHEDULE_LATENCY ? SERVICE_PERCENT : 1;
}

/* What it counts for in the next generation, in the unit of that. */
static uint16_t present_weight(const struct service *s, const struct backend *b)
{
	uint16_t weight = b->down ? 0 : backend_weight(b);

	if (s->settings.scheduler != SCHEDULE_LATENCY)
		return weight;
	return (uint16_t)((weight > SERVICE_LATENCY_WEIGHT_MAX ? SERVICE_LATENCY_WEIGHT_MAX : weight) * b->percent);
}

static const struct generation *active(const struct service *s)
{
	return s->generation_count ? &s->generations[s->generation_count - 1] : NULL;
}

static bool generation_says(const struct generation *g, const struct service *s)
{
	if (g->count != s->backend_count)
		return false;
	for (uint32_t i = 0; i < g->count; i++)
		if (g->shares[i].backend != s->backends[i].id ||
		    g->shares[i].weight * unit_of(s) != present_weight(s, &s->backends[i]) * g->unit)
			return false;
	return true;
}

static bool has_weight(const struct generation *g)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (g->shares[i].weight)
			return true;
	return false;
}

void service_remove_backend(struct service *s, struct backend *b)
{
	uint32_t at = s->gone_count;

	s->gone = mem_realloc(s->gone, (s->gone_count + 1) * sizeof *s->gone);
	for (; at > 0 && s->gone[at - 1].id > b->id; at--)
		s->gone[at] = s->gone[at - 1];
	s->gone[at] = *b;
	s->gone_count++;
	s->backend_count--;
	memmove(b, b + 1, (size_t)(s->backends + s->backend_count - b) * sizeof *b);
}

static bool has_share(const struct generation *g, uint32_t backend)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (g->shares[i].backend == backend)
			return true;
	return false;
}

static bool is_kept(const struct service *s, uint32_t backend)
{
	for (uint32_t i = 0; i < s->generation_count; i++)
		if (has_share(&s->generations[i], backend))
			return true;
	return has_share(&s->prepared, backend);
}

/* Those that no generation has are forgotten. */
static void forget_gone(struct service *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->gone_count; i++)
		if (is_kept(s, s->gone[i].id))
			s->gone[kept++] = s->gone[i];
	s->gone_count = kept;
}

/* The present backends. */
static struct generation generation_of(const struct service *s)
{
	struct generation g = {.unit = unit_of(s), .count = s->backend_count};

	g.shares = mem_zalloc((size_t)g.count * sizeof *g.shares + 1);
	for (uint32_t i = 0; i < g.count; i++)
		g.shares[i] = (struct share){.backend = s->backends[i].id, .weight = present_weight(s, &s->backends[i])};
	return g;
}

static void drop_generation(struct service *s, uint32_t at)
{
	free(s->generations[at].shares);
	s->generation_count--;
	memmove(&s->generations[at], &s->generations[at + 1], (s->generation_count - at) * sizeof s->generations[0]);
}

bool service_is_full(const struct service *s)
{
	return s->generation_count == SERVICE_GENERATIONS;
}

bool service_retire(struct service *s, uint32_t generation)
{
	for (uint32_t i = 0; i + 1 < s->generation_count; i++)
		if (s->generations[i].number == generation) {
			drop_generation(s, i);
			forget_gone(s);
			return true;
		}
	return false;
}

bool service_retire_earlier(struct service *s)
{
	bool any = s->generation_count > 1;

	while (s->generation_count > 1)
		drop_generation(s, 0);
	forget_gone(s);
	return any;
}

static void drop_prepared(struct service *s)
{
	free(s->prepared.shares);
	s->prepared = (struct generation){0};
	s->prepared_version = 0;
}

void service_prepare(struct service *s, uint64_t version)
{
	const struct generation *now = active(s);
	struct generation next;

	forget_gone(s);
	if (s->prepared.number)
		return;
	if (now ? generation_says(now, s) : !s->backend_count)
		return;
	next = generation_of(s);
	if (now && next.count && !has_weight(&next)) {
		free(next.shares); /* all are dead: the last table stays */
		return;
	}
	next.number = ++s->generation_last;
	s->prepared = next;
	s->prepared_version = version;
	/* Before the first generation no flow was sent anywhere, so none can be sent to two backends. */
	if (!now)
		service_activate(s, version);
}

void service_activate(struct service *s, uint64_t version)
{
	if (!s->prepared.number)
		return;
	if (service_is_full(s))
		drop_generation(s, 0);
	s->generations[s->generation_count++] = s->prepared;
	s->prepared = (struct generation){0};
	s->prepared_version = 0;
	service_prepare(s, version);
}

/* Of a backend that is back, in a generation that may be from before the service went by latency, or from then. Never nothing. */
static uint16_t weight_in(const struct service *s, const struct generation *g, const struct backend *b)
{
	uint32_t weight = (uint32_t)present_weight(s, b) * g->unit / unit_of(s);

	if (!weight && backend_weight(b))
		weight = 1;
	return (uint16_t)(weight > UINT16_MAX ? UINT16_MAX : weight);
}

/*
 * The active generation with its dead ones out and b, if it is back, in. The others keep the weight that is in force,
 * though another one is configured: that change is still to be made in two steps.
 */
static struct generation survivors(const struct service *s, const struct backend *b)
{
	const struct generation *now = active(s);
	struct generation g = {.unit = now->unit, .count = now->count};

	g.shares = mem_zalloc((size_t)g.count * sizeof *g.shares + 1);
	for (uint32_t i = 0; i < g.count; i++) {
		const struct backend *one = service_backend_by_id(s, now->shares[i].backend);

		g.shares[i] = now->shares[i];
		if (one && one->down)
			g.shares[i].weight = 0;
		else if (one == b && !g.shares[i].weight)
			g.shares[i].weight = weight_in(s, now, b);
	}
	return g;
}

static bool same_weights(const struct generation *a, const struct generation *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (a->shares[i].weight != b->shares[i].weight)
			return false;
	return true;
}

void service_backend_measured(struct backend *b, uint32_t us, uint8_t percent)
{
	b->latency_us = us;
	b->percent = percent;
}

void service_forget_latencies(struct service *s)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		service_backend_measured(&s->backends[i], 0, SERVICE_PERCENT);
}

bool service_backend_found(struct service *s, struct backend *b, bool down, uint64_t version)
{
	const struct generation *now = active(s);
	struct generation next;

	if (b->down == down)
		return false;
	b->down = down;
	if (!now)
		return true;
	next = survivors(s, b);
	if (has_weight(&next) && !same_weights(&next, now)) {
		next.number = ++s->generation_last;
		if (service_is_full(s))
			drop_generation(s, s->generation_count - 1);
		s->generations[s->generation_count++] = next;
	} else {
		free(next.shares);
	}
	drop_prepared(s);
	service_prepare(s, version);
	return true;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->generation_count; i++)
		free(s->generations[i].shares);
	free(s->prepared.shares);
	free(s->backends);
	free(s->gone);
	free(s);
}

/* ---- forms ---- */

void service_text_put(struct bytes *out, const char *text)
{
	bytes_put_u8(out, (uint8_t)strlen(text));
	bytes_puts(out, text);
}

void service_text_get(struct cursor *in, char *ret, size_t max)
{
	uint8_t size = cursor_u8(in);
	const uint8_t *text = cursor_take(in, size);

	memset(ret, 0, max + 1);
	if (!text || size > max || memchr(text, 0, size))
		in->bad = true;
	else
		memcpy(ret, text, size);
}

/* A number that must lie below count. */
static uint8_t get_word(struct cursor *in, unsigned count)
{
	uint8_t word = cursor_u8(in);

	if (word >= count)
		in->bad = true;
	return word;
}

void service_key_put(struct bytes *out, const struct service_key *k)
{
	ip_put(out, &k->vip);
	bytes_put_u8(out, k->proto);
	bytes_put_u16(out, k->port);
}

struct service_key service_key_get(struct cursor *in)
{
	struct service_key k = {.vip = ip_get(in)};

	k.proto = get_word(in, SERVICE_PROTOS);
	k.port = cursor_u16(in);
	if (!in->bad && (!ip_is_host(&k.vip) || ip_is_loopback(&k.vip)))
		in->bad = true;
	return k;
}

static void put_prefixes(struct bytes *out, const struct service_prefixes *p)
{
	bytes_put_u8(out, (uint8_t)p->count);
	for (uint32_t i = 0; i < p->count; i++)
		ip_prefix_put(out, &p->list[i]);
}

static void get_prefixes(struct cursor *in, struct service_prefixes *ret)
{
	*ret = (struct service_prefixes){.count = cursor_u8(in)};
	if (ret->count > SERVICE_PREFIXES_MAX) {
		ret->count = 0;
		in->bad = true;
	}
	for (uint32_t i = 0; i < ret->count; i++)
		ret->list[i] = ip_prefix_get(in);
}

static void put_limits(struct bytes *out, const struct service_limits *l)
{
	bytes_put_u8(out, (uint8_t)l->count);
	for (uint32_t i = 0; i < l->count; i++) {
		ip_prefix_put(out, &l->list[i].prefix);
		bytes_put_u32(out, l->list[i].rate);
	}
}

static uint32_t get_rate(struct cursor *in)
{
	uint32_t rate = cursor_u32(in);

	if (rate > SERVICE_RATE_MAX)
		in->bad = true;
	return rate;
}

static void get_limits(struct cursor *in, struct service_limits *ret)
{
	*ret = (struct service_limits){.count = get_word(in, SERVICE_PREFIXES_MAX + 1)};
	if (in->bad)
		ret->count = 0;
	for (uint32_t i = 0; i < ret->count; i++) {
		ret->list[i].prefix = ip_prefix_get(in);
		ret->list[i].rate = get_rate(in);
	}
}

void service_settings_put(struct bytes *out, const struct service_settings *s)
{
	bytes_put_u8(out, s->scheduler);
	bytes_put_u8(out, s->deliver);
	bytes_put_u8(out, s->check);
	bytes_put_u8(out, s->chain);
	bytes_put_u8(out, s->affinity);
	bytes_put_u32(out, s->limit);
	bytes_put_u32(out, s->limit_source);
	bytes_put_u8(out, s->syn_cookies);
	bytes_put_u32(out, s->syn_rate);
	bytes_put_u32(out, s->flow_idle_s);
	bytes_put_u32(out, s->slow_start_s);
	quic_config_put(out, &s->quic);
	put_prefixes(out, &s->allow);
	put_prefixes(out, &s->deny);
	put_limits(out, &s->limits);
	service_text_put(out, s->path);
	check_terms_put(out, &s->check_terms);
}

void service_settings_get(struct cursor *in, struct service_settings *ret)
{
	ret->scheduler = get_word(in, SERVICE_SCHEDULERS);
	ret->deliver = get_word(in, SERVICE_DELIVERIES);
	ret->check = get_word(in, SERVICE_CHECKS);
	ret->chain = get_word(in, 2);
	ret->affinity = get_word(in, 2);
	ret->limit = get_rate(in);
	ret->limit_source = get_rate(in);
	ret->syn_cookies = get_word(in, SERVICE_SYN_COOKIES);
	ret->syn_rate = get_rate(in);
	ret->flow_idle_s = cursor_u32(in);
	ret->slow_start_s = cursor_u32(in);
	if (!ret->flow_idle_s || ret->flow_idle_s > SERVICE_FLOW_IDLE_MAX_S || ret->slow_start_s > SERVICE_SLOW_START_MAX_S)
		in->bad = true;
	ret->quic = quic_config_get(in);
	get_prefixes(in, &ret->allow);
	get_prefixes(in, &ret->deny);
	get_limits(in, &ret->limits);
	service_text_get(in, ret->path, SERVICE_PATH_MAX);
	if (ret->check == CHECK_HTTP || ret->check == CHECK_HTTPS ? !service_path_ok(ret->path) : ret->path[0])
		in->bad = true;
	ret->check_terms = check_terms_get(in);
}

static void put_backends(struct bytes *out, const struct backend *backends, uint32_t count)
{
	bytes_put_u32(out, count);
	for (uint32_t i = 0; i < count; i++) {
		const struct backend *b = &backends[i];

		bytes_put_u32(out, b->id);
		ip_put(out, &b->address);
		bytes_put_u16(out, b->port);
		bytes_put_u16(out, b->weight);
		bytes_put_u8(out, b->draining);
		bytes_put_u8(out, b->down);
		bytes_put_u8(out, b->percent);
		bytes_put_u32(out, b->latency_us);
		quic_id_put(out, &b->quic_id);
	}
}

/* The list is the caller's, also if the cursor is bad. */
static struct backend *get_backends(struct cursor *in, uint32_t id_last, uint32_t max, uint32_t *ret_count)
{
	uint32_t count = cursor_u32(in), before = 0;
	struct backend *backends;

	*ret_count = 0;
	if (count > max)
		in->bad = true;
	if (in->bad)
		return NULL;
	backends = mem_zalloc(count * sizeof *backends + 1);
	*ret_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct backend *b = &backends[i];

		b->id = cursor_u32(in);
		b->address = ip_get(in);
		b->port = cursor_u16(in);
		b->weight = cursor_u16(in);
		b->draining = get_word(in, 2);
		b->down = get_word(in, 2);
		b->percent = get_word(in, SERVICE_PERCENT + 1);
		b->latency_us = cursor_u32(in);
		b->quic_id = quic_id_get(in);
		if (b->id <= before || b->id > id_last || !b->percent)
			in->bad = true;
		before = b->id;
	}
	return backends;
}

static void put_generation(struct bytes *out, const struct generation *g)
{
	bytes_put_u32(out, g->number);
	bytes_put_u8(out, g->unit);
	bytes_put_u32(out, g->count);
	for (uint32_t k = 0; k < g->count; k++) {
		bytes_put_u32(out, g->shares[k].backend);
		bytes_put_u16(out, g->shares[k].weight);
	}
}

static void put_generations(struct bytes *out, const struct service *s)
{
	bytes_put_u32(out, s->generation_last);
	bytes_put_u8(out, (uint8_t)s->generation_count);
	for (uint32_t i = 0; i < s->generation_count; i++)
		put_generation(out, &s->generations[i]);
	put_generation(out, &s->prepared);
	bytes_put_u64(out, s->prepared_version);
}

/* Its shares are the caller's, also if the cursor is bad. */
static struct generation get_generation(struct cursor *in, const struct service *s)
{
	struct generation g = {.number = cursor_u32(in)};
	uint32_t before = 0;

	g.unit = cursor_u8(in);
	g.count = cursor_u32(in);
	if (g.number ? g.unit != 1 && g.unit != SERVICE_PERCENT : g.unit != 0)
		in->bad = true;
	if (g.count > SERVICE_BACKENDS_MAX || g.number > s->generation_last || (!g.number && g.count))
		in->bad = true;
	if (in->bad || !g.number)
		return (struct generation){0};
	g.shares = mem_zalloc((size_t)g.count * sizeof *g.shares + 1);
	for (uint32_t k = 0; k < g.count; k++) {
		g.shares[k].backend = cursor_u32(in);
		g.shares[k].weight = cursor_u16(in);
		if (g.shares[k].backend <= before || g.shares[k].backend > s->backend_last)
			in->bad = true;
		before = g.shares[k].backend;
	}
	return g;
}

static void get_generations(struct cursor *in, struct service *s)
{
	uint32_t count;

	s->generation_last = cursor_u32(in);
	count = get_word(in, SERVICE_GENERATIONS + 1);
	while (!in->bad && s->generation_count < count) {
		struct generation *g = &s->generations[s->generation_count++];

		*g = get_generation(in, s);
		if (!g->number)
			in->bad = true;
	}
	s->prepared = get_generation(in, s);
	s->prepared_version = cursor_u64(in);
	/* What is prepared stands behind one that is active. */
	if (s->prepared.number && !s->generation_count)
		in->bad = true;
}

void service_put(struct bytes *out, const struct service *s)
{
	bytes_put_u32(out, s->id);
	service_text_put(out, s->name);
	service_key_put(out, &s->key);
	service_settings_put(out, &s->settings);
	bytes_put_u32(out, s->backend_last);
	put_backends(out, s->backends, s->backend_count);
	put_backends(out, s->gone, s->gone_count);
	put_generations(out, s);
	bytes_put_u32(out, s->owner);
}

struct service *service_get(struct cursor *in)
{
	struct service *s = mem_zalloc(sizeof *s);

	s->id = cursor_u32(in);
	service_text_get(in, s->name, SERVICE_NAME_MAX);
	if (!service_name_ok(s->name))
		in->bad = true;
	s->key = service_key_get(in);
	service_settings_get(in, &s->settings);
	s->backend_last = cursor_u32(in);
	s->backends = get_backends(in, s->backend_last, SERVICE_BACKENDS_MAX, &s->backend_count);
	s->gone = get_backends(in, s->backend_last, SERVICE_BACKENDS_MAX * (SERVICE_GENERATIONS + 1), &s->gone_count);
	get_generations(in, s);
	s->owner = cursor_u32(in);
	if (!in->bad)
		return s;
	service_free(s);
	return NULL;
}
