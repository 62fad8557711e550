/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/services.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define SAVE_VERSION 10u

struct services *services_new(void)
{
	return mem_zalloc(sizeof(struct services));
}

void services_free(struct services *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->count; i++)
		service_free(s->list[i]);
	free(s);
}

struct service *services_find(const struct services *s, const char *name)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (!strcmp(s->list[i]->name, name))
			return s->list[i];
	return NULL;
}

struct service *services_by_id(const struct services *s, uint32_t id)
{
	uint32_t low = 0, high = s->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (s->list[middle]->id == id)
			return s->list[middle];
		if (s->list[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct service *services_clash(const struct services *s, const struct service_key *key)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct service *one = s->list[i];

		assert(one); /* what is returned is one, unless there is none */
		if (service_key_clashes(&one->key, key))
			return one;
	}
	return NULL;
}

const struct service *services_with_backend(const struct services *s, const struct ip *address)
{
	for (uint32_t i = 0; i < s->count; i++)
		for (uint32_t j = 0; j < s->list[i]->backend_count; j++)
			if (ip_equal(&s->list[i]->backends[j].address, address))
				return s->list[i];
	return NULL;
}

static uint64_t content_sum(const struct service *s)
{
	struct bytes form = {0};
	uint64_t sum;

	service_put(&form, s);
	sum = hash64(form.data, form.size, 0);
	bytes_free(&form);
	return sum;
}

/* ---- what may stand together ---- */

static bool prefix_in(const struct service_prefixes *p, const struct ip_prefix *prefix, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (ip_prefix_equal(&p->list[i], prefix))
			return true;
	return false;
}

static enum service_refusal check_limits(const struct service_key *key, const struct service_limits *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (l->list[i].prefix.ip.version != key->vip.version)
			return REFUSED_PREFIX_FAMILY;
		for (uint32_t k = 0; k < i; k++)
			if (ip_prefix_equal(&l->list[k].prefix, &l->list[i].prefix))
				return REFUSED_PREFIX_TWICE;
	}
	return SERVICE_CHANGED;
}

static enum service_refusal check_prefixes(const struct service_key *key, const struct service_settings *s)
{
	for (uint32_t i = 0; i < s->allow.count; i++) {
		if (s->allow.list[i].ip.version != key->vip.version)
			return REFUSED_PREFIX_FAMILY;
		if (prefix_in(&s->allow, &s->allow.list[i], i))
			return REFUSED_PREFIX_TWICE;
	}
	for (uint32_t i = 0; i < s->deny.count; i++) {
		if (s->deny.list[i].ip.version != key->vip.version)
			return REFUSED_PREFIX_FAMILY;
		if (prefix_in(&s->deny, &s->deny.list[i], i) || prefix_in(&s->allow, &s->deny.list[i], s->allow.count))
			return REFUSED_PREFIX_TWICE;
	}
	return check_limits(key, &s->limits);
}

static enum service_refusal check_settings(const struct service_key *key, const struct service_settings *s)
{
	if (!s->affinity && key->proto != SERVICE_UDP)
		return REFUSED_AFFINITY;
	if (s->syn_cookies != SYN_COOKIES_OFF && key->proto != SERVICE_TCP)
		return REFUSED_SYN_COOKIES;
	if (s->quic.id_size && key->proto != SERVICE_QUIC)
		return REFUSED_QUIC_PROTO;
	if (!key->port && s->check != CHECK_NONE)
		return REFUSED_CHECK_PORT;
	if (s->check_terms.timeout_ms > check_timeout_max_ms(s->check_terms.interval_ms))
		return REFUSED_CHECK_TIMEOUT;
	return check_prefixes(key, s);
}

/*
 * A tunnel carries IPv4 in IPv6 but not the other way round; rewriting a MAC or an address can't change the family.
 * Only a rewritten packet can go to another port.
 */
static enum service_refusal check_reach(const struct service_key *key, enum service_delivery deliver, const struct backend *b)
{
	bool tunnel = deliver == DELIVER_IPIP || deliver == DELIVER_GUE;

	if (b->address.version != key->vip.version && !(tunnel && b->address.version == 6))
		return REFUSED_FAMILY;
	if (b->port != key->port && !(service_translates(deliver) && b->port && key->port))
		return REFUSED_PORT;
	return SERVICE_CHANGED;
}

/* Balancers that rewrite destinations to each other's VIPs send a packet round for ever: they count no hops. */
static bool is_vip(const struct services *all, const struct ip *address)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (ip_equal(&all->list[i]->key.vip, address))
			return true;
	return false;
}

/* Whether it has such a backend, or had one whose flows may still end in peace. */
static bool has_or_had(const struct service *s, const struct backend *b)
{
	for (uint32_t i = 0; i < s->gone_count; i++)
		if (ip_equal(&s->gone[i].address, &b->address) && s->gone[i].port == b->port)
			return true;
	return service_backend(s, &b->address, b->port) != NULL;
}

/* [nat]: with dnat a reply's source says which VIP it is to get back, so address and port belong to one VIP. */
static bool nat_taken(const struct services *all, const struct service *s, enum service_delivery deliver, const struct backend *b)
{
	if (deliver != DELIVER_DNAT)
		return false;
	for (uint32_t i = 0; i < all->count; i++) {
		const struct service *other = all->list[i];

		if (other != s && other->settings.deliver == DELIVER_DNAT &&
		    (other->key.proto == SERVICE_TCP) == (s->key.proto == SERVICE_TCP) && has_or_had(other, b))
			return true;
	}
	return false;
}

/* A configuration that is taken away leaves the server IDs alone: packets go by hash until there is one again. */
static bool quic_ids_fit(const struct service *s, const struct quic_config *quic)
{
	for (uint32_t i = 0; quic->id_size && i < s->backend_count; i++)
		if (s->backends[i].quic_id.size && s->backends[i].quic_id.size != quic->id_size)
			return false;
	return true;
}

/* Takes the server ID that a change gives a backend, if it may have it. */
static enum service_refusal quic_id_take(const struct service *s, struct backend *b, const struct service_change *c)
{
	const struct backend *holder = service_backend_by_quic_id(s, &c->quic_id);

	if (!c->has_quic_id)
		return SERVICE_CHANGED;
	if (c->quic_id.size && c->quic_id.size != s->settings.quic.id_size)
		return REFUSED_QUIC_ID_SIZE;
	if (holder && holder->id != b->id)
		return REFUSED_QUIC_ID_TAKEN;
	b->quic_id = c->quic_id;
	return SERVICE_CHANGED;
}

/* There are backends, and none takes new flows. */
static bool weightless(const struct service *s)
{
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (backend_weight(&s->backends[i]))
			return false;
	return s->backend_count > 0;
}

/* ---- changes of a service ---- */

/* The VIP's, if another service has it. */
static uint32_t owner_of_vip(const struct services *all, const struct ip *vip)
{
	for (uint32_t i = 0; i < all->count; i++)
		if (ip_equal(&all->list[i]->key.vip, vip))
			return all->list[i]->owner;
	return 0;
}

static enum service_refusal service_add(struct services *all, const struct service_change *c)
{
	enum service_refusal r = check_settings(&c->key, &c->settings);
	struct service *s;

	if (services_find(all, c->name))
		return REFUSED_SERVICE_EXISTS;
	if (services_clash(all, &c->key))
		return REFUSED_VIP_TAKEN;
	if (services_with_backend(all, &c->key.vip))
		return REFUSED_VIP_IS_BACKEND;
	if (all->count == SERVICES_MAX)
		return REFUSED_SERVICES_FULL;
	if (r)
		return r;
	s = mem_zalloc(sizeof *s);
	s->id = ++all->id_last;
	memcpy(s->name, c->name, sizeof s->name);
	s->key = c->key;
	s->settings = c->settings;
	s->owner = owner_of_vip(all, &c->key.vip);
	all->list[all->count++] = s;
	return SERVICE_CHANGED;
}

static void check_terms_take(struct check_terms *to, const struct check_terms *from, uint32_t given)
{
	if (given & SETTING_CHECK_INTERVAL)
		to->interval_ms = from->interval_ms;
	if (given & SETTING_CHECK_TIMEOUT)
		to->timeout_ms = from->timeout_ms;
	if (given & SETTING_CHECK_RISE)
		to->rise = from->rise;
	if (given & SETTING_CHECK_FALL)
		to->fall = from->fall;
}

static void settings_take(struct service_settings *to, const struct service_change *c)
{
	const struct service_settings *from = &c->settings;

	if (c->given & SETTING_SCHEDULER)
		to->scheduler = from->scheduler;
	if (c->given & SETTING_DELIVER)
		to->deliver = from->deliver;
	if (c->given & SETTING_CHECK) {
		to->check = from->check;
		memcpy(to->path, from->path, sizeof to->path);
	}
	check_terms_take(&to->check_terms, &from->check_terms, c->given);
	if (c->given & SETTING_CHAIN)
		to->chain = from->chain;
	if (c->given & SETTING_AFFINITY)
		to->affinity = from->affinity;
	if (c->given & SETTING_LIMIT)
		to->limit = from->limit;
	if (c->given & SETTING_LIMIT_SOURCE)
		to->limit_source = from->limit_source;
	if (c->given & SETTING_LIMITS)
		to->limits = from->limits;
	if (c->given & SETTING_SYN_COOKIES)
		to->syn_cookies = from->syn_cookies;
	if (c->given & SETTING_SYN_RATE)
		to->syn_rate = from->syn_rate;
	if (c->given & SETTING_FLOW_IDLE)
		to->flow_idle_s = from->flow_idle_s;
	if (c->given & SETTING_SLOW_START)
		to->slow_start_s = from->slow_start_s;
	if (c->given & SETTING_QUIC_CONFIG)
		to->quic = from->quic;
	if (c->given & SETTING_ALLOW)
		to->allow = from->allow;
	if (c->given & SETTING_DENY)
		to->deny = from->deny;
}

static bool balanced(const struct services *all)
{
	for (uint32_t i = 0; i < all->reporter_count; i++)
		if (all->reporters[i].side == SIDE_BALANCER)
			return true;
	return false;
}

/* The backends or their weights have changed ([two steps]). */
static void plan(const struct services *all, struct service *s, uint64_t version)
{
	service_prepare(s, version);
	while (s->prepared.number && !balanced(all))
		service_activate(s, version);
}

/* Their slots are found alike, and only moved ones are recorded. */
static bool goes_by_flow(const struct service_settings *s)
{
	return s->scheduler == SCHEDULE_MAGLEV || s->scheduler == SCHEDULE_LATENCY;
}

/*
 * A change of these can't be made in two steps: a slot's word has no room for the owner by another scheduler, and what one way of
 * remembering flows has remembered the other doesn't read. While no slot counts as moved, chain and affinity remember nothing.
 */
static bool loses_flows(const struct service *s, const struct service_settings *to)
{
	const struct service_settings *from = &s->settings;
	bool other_slots = from->scheduler != to->scheduler && !(goes_by_flow(from) && goes_by_flow(to));
	bool other_nat = from->deliver != to->deliver && (service_translates(from->deliver) || service_translates(to->deliver));
	bool other_memory = service_hands_on(from, s->key.proto) != service_hands_on(to, s->key.proto) || from->affinity != to->affinity;

	return s->backend_count && (other_slots || other_nat || (other_memory && s->generation_count > 1));
}

static enum service_refusal service_set(struct services *all, struct service *s, const struct service_change *c, uint64_t version)
{
	struct service_settings fresh = s->settings;
	enum service_refusal r;

	settings_take(&fresh, c);
	r = check_settings(&s->key, &fresh);
	if (!r && !(c->given & SETTING_BREAKS_FLOWS) && balanced(all) && loses_flows(s, &fresh))
		r = REFUSED_FLOWS;
	for (uint32_t i = 0; !r && i < s->backend_count; i++) {
		r = check_reach(&s->key, fresh.deliver, &s->backends[i]);
		if (!r && nat_taken(all, s, fresh.deliver, &s->backends[i]))
			r = REFUSED_NAT_TAKEN;
	}
	if (!r && !quic_ids_fit(s, &fresh.quic))
		r = REFUSED_QUIC_ID_SIZE;
	if (r)
		return r;
	s->settings = fresh;
	if (fresh.scheduler != SCHEDULE_LATENCY)
		service_forget_latencies(s);
	plan(all, s, version);
	return SERVICE_CHANGED;
}

static uint32_t position(const struct services *all, const struct service *s)
{
	uint32_t i = 0;

	while (all->list[i] != s)
		i++;
	return i;
}

static void service_remove(struct services *all, struct service *s)
{
	uint32_t at = position(all, s);

	all->backend_total -= s->backend_count;
	all->count--;
	memmove(&all->list[at], &all->list[at + 1], (all->count - at) * sizeof all->list[0]);
	memmove(&all->sums[at], &all->sums[at + 1], (all->count - at) * sizeof all->sums[0]);
	service_free(s);
}

/* ---- who reports ---- */

/* The place of a reporter, or where it would stand. */
static uint32_t reporter_place(const struct services *all, const struct reporter *who, bool *ret_there)
{
	uint32_t i = 0;
	int order = 1;

	while (i < all->reporter_count && (order = reporter_compare(&all->reporters[i], who)) < 0)
		i++;
	*ret_there = i < all->reporter_count && order == 0;
	return i;
}

uint32_t services_lease_id(const struct services *s, const struct reporter *who)
{
	bool there;
	uint32_t at = reporter_place(s, who, &there);

	return there && s->reporters[at].side == who->side ? s->lease_ids[at] : 0;
}

bool services_knows(const struct services *s, const struct reporter *who)
{
	return services_lease_id(s, who) != 0;
}

const struct reporter *services_lease_holder(const struct services *s, uint32_t lease_id)
{
	for (uint32_t i = 0; lease_id && i < s->reporter_count; i++)
		if (s->lease_ids[i] == lease_id)
			return &s->reporters[i];
	return NULL;
}

static bool set_owner(struct services *all, uint32_t i, uint32_t lease_id)
{
	if (all->list[i]->owner == lease_id)
		return false;
	all->list[i]->owner = lease_id;
	all->sums[i] = content_sum(all->list[i]);
	return true;
}

/* All VIPs of a lease that has ended; whether there were any. */
static bool disown(struct services *all, uint32_t lease_id)
{
	bool changed = false;

	for (uint32_t i = 0; i < all->count; i++)
		if (all->list[i]->owner == lease_id)
			changed |= set_owner(all, i, 0);
	return changed;
}

/* Whoever owns is known: nobody waits for an owner whose lease has ended since that was found. */
static bool own(struct services *all, const struct service *s, uint32_t lease_id)
{
	bool changed = false;

	if (lease_id && !services_lease_holder(all, lease_id))
		return false;
	for (uint32_t i = 0; i < all->count; i++)
		if (ip_equal(&all->list[i]->key.vip, &s->key.vip))
			changed |= set_owner(all, i, lease_id);
	return changed;
}

/* Each of these says whether it changed what balancers are told: what they own, and which generations there are. */
static bool reporter_left(struct services *all, const struct reporter *who)
{
	bool there, owned;
	uint32_t at = reporter_place(all, who, &there), behind;

	if (!there)
		return false;
	owned = disown(all, all->lease_ids[at]);
	behind = --all->reporter_count - at;
	memmove(&all->reporters[at], &all->reporters[at + 1], behind * sizeof all->reporters[0]);
	memmove(&all->lease_ids[at], &all->lease_ids[at + 1], behind * sizeof all->lease_ids[0]);
	return owned;
}

/* The first balancer joins: no earlier generation has flows. */
static bool begin_to_balance(struct services *all)
{
	bool changed = false;

	all->balanced = true;
	for (uint32_t i = 0; i < all->count; i++)
		if (service_retire_earlier(all->list[i])) {
			all->sums[i] = content_sum(all->list[i]);
			changed = true;
		}
	return changed;
}

static bool reporter_joined(struct services *all, const struct reporter *who)
{
	bool there, owned;
	uint32_t at, behind;

	if (services_knows(all, who))
		return false;
	owned = reporter_left(all, who); /* as the other side, if it was */
	if (all->reporter_count == REPORTERS_MAX)
		return owned;
	at = reporter_place(all, who, &there);
	behind = all->reporter_count++ - at;
	memmove(&all->reporters[at + 1], &all->reporters[at], behind * sizeof all->reporters[0]);
	memmove(&all->lease_ids[at + 1], &all->lease_ids[at], behind * sizeof all->lease_ids[0]);
	all->reporters[at] = *who;
	all->lease_ids[at] = ++all->lease_last;
	return who->side == SIDE_BALANCER && !all->balanced ? begin_to_balance(all) || owned : owned;
}

/* ---- changes of its backends ---- */

static enum service_refusal backend_add(struct services *all, struct service *s, const struct service_change *c)
{
	struct backend b = {.address = c->address,
			    .port = c->has_port ? c->port : s->key.port,
			    .weight = c->has_weight ? c->weight : 1,
			    .percent = SERVICE_PERCENT};
	enum service_refusal r = check_reach(&s->key, s->settings.deliver, &b);

	if (service_backend(s, &b.address, b.port))
		return REFUSED_BACKEND_EXISTS;
	if (is_vip(all, &b.address))
		return REFUSED_BACKEND_IS_VIP;
	if (r)
		return r;
	if (nat_taken(all, s, s->settings.deliver, &b))
		return REFUSED_NAT_TAKEN;
	if (s->backend_count == SERVICE_BACKENDS_MAX)
		return REFUSED_BACKENDS_FULL;
	if (all->backend_total == SERVICES_BACKENDS_MAX)
		return REFUSED_TOTAL_FULL;
	if (!b.weight && (!s->backend_count || weightless(s)))
		return REFUSED_WEIGHTLESS;
	r = quic_id_take(s, &b, c);
	if (r)
		return r;
	b.id = ++s->backend_last;
	s->backends = mem_realloc(s->backends, (s->backend_count + 1) * sizeof *s->backends);
	s->backends[s->backend_count++] = b;
	all->backend_total++;
	return SERVICE_CHANGED;
}

/* Puts it in the place of the one that is there, unless nothing would then take new flows. */
static enum service_refusal backend_become(struct service *s, struct backend *b, struct backend fresh)
{
	struct backend before = *b;

	*b = fresh;
	if (!weightless(s))
		return SERVICE_CHANGED;
	*b = before;
	return REFUSED_WEIGHTLESS;
}

static enum service_refusal backend_set(struct service *s, struct backend *b, const struct service_change *c)
{
	struct backend fresh = *b;
	enum service_refusal r = quic_id_take(s, &fresh, c);

	fresh.draining = false;
	if (c->has_weight)
		fresh.weight = c->weight;
	return r ? r : backend_become(s, b, fresh);
}

static enum service_refusal backend_drain(struct service *s, struct backend *b)
{
	struct backend fresh = *b;

	fresh.draining = true;
	return backend_become(s, b, fresh);
}

static enum service_refusal backend_remove(struct services *all, struct service *s, struct backend *b)
{
	uint16_t weight = b->weight;

	/* The last one may go: a service without backends is as it was made. */
	b->weight = 0;
	if (s->backend_count > 1 && weightless(s)) {
		b->weight = weight;
		return REFUSED_WEIGHTLESS;
	}
	service_remove_backend(s, b);
	all->backend_total--;
	return SERVICE_CHANGED;
}

static enum service_refusal backend_change(struct services *all, struct service *s, const struct service_change *c, uint64_t version)
{
	struct backend *b = service_backend(s, &c->address, c->has_port ? c->port : s->key.port);
	enum service_refusal r;

	if (c->kind != BACKEND_ADD && !b)
		return REFUSED_BACKEND_UNKNOWN;
	if (c->kind == BACKEND_ADD)
		r = backend_add(all, s, c);
	else if (c->kind == BACKEND_SET)
		r = backend_set(s, b, c);
	else if (c->kind == BACKEND_DRAIN)
		r = backend_drain(s, b);
	else
		r = backend_remove(all, s, b);
	if (!r)
		plan(all, s, version);
	return r;
}

/* ---- applying ---- */

static enum service_refusal make_change(struct services *all, const struct service_change *c, uint64_t version)
{
	struct service *s = services_find(all, c->name);
	enum service_refusal r;

	if (c->kind != SERVICE_ADD && !s)
		return REFUSED_SERVICE_UNKNOWN;
	if (c->kind == SERVICE_RM) {
		service_remove(all, s);
		return SERVICE_CHANGED;
	}
	if (c->kind == SERVICE_ADD)
		r = service_add(all, c);
	else if (c->kind == SERVICE_SET)
		r = service_set(all, s, c, version);
	else
		r = backend_change(all, s, c, version);
	if (!r) {
		s = services_find(all, c->name);
		all->sums[position(all, s)] = content_sum(s);
	}
	return r;
}

int services_apply(struct services *s, struct cursor *in, uint64_t index)
{
	struct service_change c;
	struct change_origin by;
	struct change_session *session;
	int r = service_change_get(in, &c, &by);

	if (r < 0)
		return r;
	session = &s->sessions[by.node];
	if (by.incarnation < session->incarnation || (by.incarnation == session->incarnation && by.number <= session->number))
		return 0; /* proposed twice, or given up and overtaken */
	*session = (struct change_session){.incarnation = by.incarnation, .number = by.number, .outcome = (uint8_t)make_change(s, &c, index)};
	if (!session->outcome)
		s->version = index;
	session->version = s->version;
	return 0;
}

static bool service_found(struct services *all, const struct fact *f, uint64_t index)
{
	struct service *s = services_by_id(all, f->service);
	bool of_backend = f->kind == FACT_DOWN || f->kind == FACT_UP || f->kind == FACT_LATENCY, changed = false;
	struct backend *b = s && of_backend ? service_backend_by_id(s, f->number) : NULL;

	if (s && f->kind == FACT_OWNER)
		return own(all, s, f->number);
	if (s && f->kind == FACT_RETIRED)
		changed = service_retire(s, f->number);
	else if (s && f->kind == FACT_ACTIVE && s->prepared.number == f->number && f->number) {
		service_activate(s, index);
		changed = true;
	} else if (b && f->kind == FACT_LATENCY && s->settings.scheduler == SCHEDULE_LATENCY) {
		service_backend_measured(b, f->us, f->percent);
		changed = true;
	} else if (b && f->kind != FACT_LATENCY) {
		changed = service_backend_found(s, b, f->kind == FACT_DOWN, index);
	}
	if (changed)
		all->sums[position(all, s)] = content_sum(s);
	return changed;
}

/* Whether it changed what balancers are told. */
static bool take_fact(struct services *all, const struct fact *f, uint64_t index)
{
	if (f->kind == FACT_JOINED)
		return reporter_joined(all, &f->who);
	if (f->kind == FACT_LEFT)
		return reporter_left(all, &f->who);
	if (f->kind == FACT_TUNNEL)
		return tunnels_add(&all->tunnels, &f->from, index);
	if (f->kind == FACT_TUNNEL_GONE)
		return tunnels_remove(&all->tunnels, &f->from);
	return service_found(all, f, index);
}

/* All latencies of a service that a record has are known. */
static void reweigh(struct services *all, uint32_t id, uint64_t index)
{
	struct service *s = services_by_id(all, id);

	if (!s)
		return;
	plan(all, s, index);
	all->sums[position(all, s)] = content_sum(s);
}

int services_apply_facts(struct services *s, struct cursor *in, uint64_t index)
{
	struct fact *facts = mem_alloc(FACTS_MAX * sizeof *facts);
	int count = facts_get(in, facts);

	for (int i = 0; i < count; i++) {
		const struct fact *next = i + 1 < count ? &facts[i + 1] : NULL;

		if (take_fact(s, &facts[i], index))
			s->version = index;
		if (facts[i].kind == FACT_LATENCY && (!next || next->kind != FACT_LATENCY || next->service != facts[i].service))
			reweigh(s, facts[i].service, index);
	}
	free(facts);
	return count < 0 ? count : 0;
}

bool services_outcome(const struct services *s, const struct change_origin *by, enum service_refusal *ret_refusal, uint64_t *ret_version)
{
	const struct change_session *session = &s->sessions[by->node];

	if (session->incarnation != by->incarnation || session->number != by->number)
		return false;
	*ret_refusal = session->outcome;
	*ret_version = session->version;
	return true;
}

/* ---- snapshots ---- */

void services_save(const struct services *s, struct bytes *out)
{
	bytes_put_u8(out, SAVE_VERSION);
	bytes_put_u64(out, s->version);
	bytes_put_u32(out, s->id_last);
	for (unsigned i = 0; i < NODE_SLOTS; i++) {
		bytes_put_u64(out, s->sessions[i].incarnation);
		bytes_put_u64(out, s->sessions[i].number);
		bytes_put_u8(out, s->sessions[i].outcome);
		bytes_put_u64(out, s->sessions[i].version);
	}
	bytes_put_u8(out, s->balanced);
	bytes_put_u32(out, s->lease_last);
	bytes_put_u32(out, s->reporter_count);
	for (uint32_t i = 0; i < s->reporter_count; i++) {
		reporter_put(out, &s->reporters[i]);
		bytes_put_u32(out, s->lease_ids[i]);
	}
	tunnels_put(out, &s->tunnels);
	bytes_put_u32(out, s->count);
	for (uint32_t i = 0; i < s->count; i++)
		service_put(out, s->list[i]);
}

static bool restore_reporters(struct services *s, struct cursor *in)
{
	uint8_t balanced = cursor_u8(in);
	uint32_t count;

	s->balanced = balanced;
	s->lease_last = cursor_u32(in);
	count = cursor_u32(in);
	if (count > REPORTERS_MAX || balanced > 1)
		return false;
	while (!in->bad && s->reporter_count < count) {
		struct reporter *one = &s->reporters[s->reporter_count];
		uint32_t *lease_id = &s->lease_ids[s->reporter_count++];

		reporter_get(in, one);
		*lease_id = cursor_u32(in);
		if (!*lease_id || *lease_id > s->lease_last || (s->reporter_count > 1 && reporter_compare(one - 1, one) >= 0))
			return false;
	}
	tunnels_get(in, &s->tunnels);
	return !in->bad;
}

static bool restore_list(struct services *s, struct cursor *in)
{
	uint32_t count = cursor_u32(in), before = 0;

	while (!in->bad && s->count < count && s->count < SERVICES_MAX) {
		struct service *one = service_get(in);

		if (!one)
			return false;
		s->sums[s->count] = content_sum(one);
		s->list[s->count++] = one;
		s->backend_total += one->backend_count;
		if (one->id <= before || one->id > s->id_last || (one->owner && !services_lease_holder(s, one->owner)))
			return false;
		before = one->id;
	}
	return !in->bad && s->count == count && s->backend_total <= SERVICES_BACKENDS_MAX;
}

struct services *services_restore(struct cursor *in)
{
	struct services *s = services_new();
	bool known = cursor_u8(in) == SAVE_VERSION;

	s->version = cursor_u64(in);
	s->id_last = cursor_u32(in);
	for (unsigned i = 0; i < NODE_SLOTS; i++) {
		struct change_session *session = &s->sessions[i];

		session->incarnation = cursor_u64(in);
		session->number = cursor_u64(in);
		session->outcome = cursor_u8(in);
		session->version = cursor_u64(in);
		known = known && session->outcome < SERVICE_REFUSALS;
	}
	if (known && restore_reporters(s, in) && restore_list(s, in))
		return s;
	services_free(s);
	return NULL;
}

uint64_t services_checksum(const struct services *s)
{
	uint64_t sum = mix64(s->version) + mix64(s->id_last) + mix64(s->lease_last) + mix64(s->balanced) + tunnels_sum(&s->tunnels);

	for (uint32_t i = 0; i < s->count; i++)
		sum += s->sums[i];
	for (unsigned i = 0; i < NODE_SLOTS; i++)
		sum += hash64(&s->sessions[i].incarnation, 2 * sizeof(uint64_t), i + s->sessions[i].outcome);
	for (uint32_t i = 0; i < s->reporter_count; i++)
		sum += hash64(&s->reporters[i], sizeof s->reporters[i], REPORTER_SIDES + s->lease_ids[i]);
	return sum;
}

bool services_intact(const struct services *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->sums[i] != content_sum(s->list[i]))
			return false;
	return true;
}
