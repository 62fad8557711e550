/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/leases.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

/* Ticks come every few milliseconds; after so long without one we were stopped, and reports may wait in our sockets. */
#define OWN_PAUSE_NS (500 * NS_PER_MS)

void leases_fini(struct leases *l)
{
	for (uint32_t i = 0; i < l->count; i++)
		report_fini(&l->list[i].report);
	l->count = 0;
}

/* Where the lease of a reporter stands, or would stand. */
static uint32_t place(const struct leases *l, const struct reporter *who)
{
	uint32_t i = 0;

	while (i < l->count && reporter_compare(&l->list[i].report.by, who) < 0)
		i++;
	return i;
}

static bool stands_at(const struct leases *l, uint32_t at, const struct reporter *who)
{
	return at < l->count && !reporter_compare(&l->list[at].report.by, who);
}

/* NULL, and *ret_at is where it would stand. */
static struct lease *find(struct leases *l, const struct reporter *who, uint32_t *ret_at)
{
	*ret_at = place(l, who);
	return stands_at(l, *ret_at, who) ? &l->list[*ret_at] : NULL;
}

const struct lease *leases_find(const struct leases *l, const struct reporter *who)
{
	uint32_t at = place(l, who);

	return stands_at(l, at, who) ? &l->list[at] : NULL;
}

static struct lease *insert(struct leases *l, uint32_t at)
{
	assert(l->count < REPORTERS_MAX);
	memmove(&l->list[at + 1], &l->list[at], (l->count++ - at) * sizeof l->list[0]);
	l->list[at] = (struct lease){0};
	return &l->list[at];
}

int leases_take(struct leases *l, struct report *r, uint64_t now_ns)
{
	uint32_t at;
	struct lease *one = find(l, &r->by, &at);
	bool fresh;

	if (!one && l->count == REPORTERS_MAX)
		return -ENOSPC;
	if (!one)
		one = insert(l, at);
	fresh = !one->heard || !report_equal(&one->report, r);
	report_fini(&one->report);
	*one = (struct lease){.report = *r, .end_ns = now_ns + LEASE_NS, .heard_ns = now_ns, .heard = true};
	*r = (struct report){0};
	return fresh;
}

void leases_grace(struct leases *l, const struct services *s, uint64_t now_ns)
{
	uint32_t at;

	for (uint32_t i = 0; i < s->reporter_count; i++)
		if (!find(l, &s->reporters[i], &at) && l->count < REPORTERS_MAX)
			insert(l, at)->report.by = s->reporters[i];
	for (uint32_t i = 0; i < l->count; i++)
		l->list[i].end_ns = now_ns + LEASE_NS;
}

bool leases_expire(struct leases *l, const struct services *s, uint64_t now_ns)
{
	uint32_t kept = 0, before = l->count;
	bool due = l->again_ns && now_ns >= l->again_ns;

	if (l->looked_ns && now_ns > l->looked_ns + OWN_PAUSE_NS)
		leases_grace(l, s, now_ns);
	l->looked_ns = now_ns;
	for (uint32_t i = 0; i < before; i++) {
		if (l->list[i].end_ns > now_ns) {
			l->list[kept++] = l->list[i];
			continue;
		}
		l->left_ns = now_ns;
		report_fini(&l->list[i].report);
	}
	l->count = kept;
	return kept != before || due;
}

/* ---- conclusions ---- */

/* What is being concluded, and its room. */
struct conclusion {
	struct leases *l;
	const struct services *s;
	struct fact *facts;
	uint32_t count;
	uint32_t balancers; /* with a lease */
};

static void conclude(struct conclusion *c, struct fact f)
{
	if (c->count < FACTS_MAX)
		c->facts[c->count++] = f;
}

static void who_is_there(struct conclusion *c)
{
	for (uint32_t i = 0; i < c->l->count; i++) {
		const struct lease *one = &c->l->list[i];

		c->balancers += one->report.by.side == SIDE_BALANCER;
		if (!services_knows(c->s, &one->report.by))
			conclude(c, (struct fact){.kind = FACT_JOINED, .who = one->report.by});
	}
	for (uint32_t i = 0; i < c->s->reporter_count; i++) {
		uint32_t k = 0;

		while (k < c->l->count && reporter_compare(&c->l->list[k].report.by, &c->s->reporters[i]) != 0)
			k++;
		if (k == c->l->count)
			conclude(c, (struct fact){.kind = FACT_LEFT, .who = c->s->reporters[i]});
	}
}

/* ---- where tunnels come from ---- */

static bool tunnels_from(const struct report *r, const struct ip *from)
{
	for (uint8_t i = 0; i < r->tunnel_count; i++)
		if (ip_equal(&r->tunnels[i], from))
			return true;
	return false;
}

/* A balancer that wasn't heard may be the one. */
static bool may_be_in_use(const struct leases *l, const struct ip *from)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (l->list[i].report.by.side == SIDE_BALANCER && (!l->list[i].heard || tunnels_from(&l->list[i].report, from)))
			return true;
	return false;
}

/* Forgets the first address, from *from on, that nobody tunnels from; false: there is none. */
static bool make_room(struct conclusion *c, uint32_t *from)
{
	const struct tunnels *t = &c->s->tunnels;

	while (*from < t->count && may_be_in_use(c->l, &t->list[*from].from))
		++*from;
	if (*from == t->count)
		return false;
	conclude(c, (struct fact){.kind = FACT_TUNNEL_GONE, .from = t->list[(*from)++].from});
	return true;
}

static void where_tunnels_begin(struct conclusion *c)
{
	uint32_t room = TUNNELS_MAX - c->s->tunnels.count, oldest = 0;

	for (uint32_t i = 0; i < c->l->count; i++) {
		const struct report *r = &c->l->list[i].report;

		for (uint8_t k = 0; r->by.side == SIDE_BALANCER && k < r->tunnel_count; k++) {
			if (tunnels_find(&c->s->tunnels, &r->tunnels[k]))
				continue;
			if (!room && !make_room(c, &oldest))
				return;
			room -= room > 0;
			conclude(c, (struct fact){.kind = FACT_TUNNEL, .from = r->tunnels[k]});
		}
	}
}

/* The version from which on the catalog tells of all that it tunnels from; UINT64_MAX: it doesn't yet. */
static uint64_t told_since(const struct services *s, const struct report *r)
{
	uint64_t since = 0;

	for (uint8_t i = 0; i < r->tunnel_count; i++) {
		const struct tunnel *t = tunnels_find(&s->tunnels, &r->tunnels[i]);

		if (!t)
			return UINT64_MAX;
		since = t->since > since ? t->since : since;
	}
	return since;
}

bool lease_is_accepted(const struct leases *l, const struct services *s, const struct lease *one)
{
	uint64_t since = told_since(s, &one->report);

	for (uint32_t i = 0; since && i < l->count; i++) {
		const struct lease *backend = &l->list[i];

		if (backend->report.by.side != SIDE_BACKEND)
			continue;
		if (!backend->heard || (backend->report.version && backend->report.version < since))
			return false;
	}
	return one->report.version && since != UINT64_MAX;
}

static bool all_are_accepted(const struct conclusion *c)
{
	for (uint32_t i = 0; i < c->l->count; i++)
		if (c->l->list[i].report.by.side == SIDE_BALANCER && !lease_is_accepted(c->l, c->s, &c->l->list[i]))
			return false;
	return true;
}

/* ---- what all have ---- */

bool lease_behind(const struct lease *one, const struct service *s)
{
	return s->prepared.number && one->report.version < s->prepared_version; /* 0 of who wasn't heard */
}

/* The backends' sides are waited for as well: they must know whom a hand-over may go to, and from where tunnels come. */
static void what_all_have(struct conclusion *c)
{
	for (uint32_t i = 0; i < c->s->count; i++) {
		const struct service *s = c->s->list[i];
		uint32_t k = 0;

		if (!s->prepared.number || (c->balancers && service_is_full(s)))
			continue;
		while (k < c->l->count && !lease_behind(&c->l->list[k], s))
			k++;
		if (!c->balancers || (k == c->l->count && all_are_accepted(c)))
			conclude(c, (struct fact){.kind = FACT_ACTIVE, .service = s->id, .number = s->prepared.number});
	}
}

/* ---- who is dead ---- */

/* How many say that it is down, and how many say that it isn't. */
static void vote(const struct leases *l, uint32_t service, uint32_t backend, uint32_t *ret_down, uint32_t *ret_up)
{
	*ret_down = *ret_up = 0;
	for (uint32_t i = 0; i < l->count; i++) {
		const struct lease *one = &l->list[i];

		if (one->report.by.side != SIDE_BALANCER || !one->heard)
			continue;
		if (report_says_down(&one->report, service, backend))
			++*ret_down;
		else
			++*ret_up;
	}
}

/* A death is concluded at the last balancer that names it, so once. */
static bool named_later(const struct leases *l, uint32_t after, const struct report_place *place)
{
	for (uint32_t i = after + 1; i < l->count; i++)
		if (l->list[i].report.by.side == SIDE_BALANCER && report_says_down(&l->list[i].report, place->service, place->number))
			return true;
	return false;
}

static void who_died(struct conclusion *c)
{
	for (uint32_t i = 0; i < c->l->count; i++) {
		const struct report *r = &c->l->list[i].report;

		for (uint32_t k = 0; r->by.side == SIDE_BALANCER && k < r->down_count; k++) {
			const struct report_place *place = &r->down[k];
			const struct service *s = services_by_id(c->s, place->service);
			const struct backend *b = s ? service_backend_by_id(s, place->number) : NULL;
			uint32_t down, up;

			if (!b || b->down || named_later(c->l, i, place))
				continue;
			vote(c->l, place->service, place->number, &down, &up);
			if (2 * down > c->balancers)
				conclude(c, (struct fact){.kind = FACT_DOWN, .service = place->service, .number = place->number});
		}
	}
}

static void who_is_back(struct conclusion *c)
{
	for (uint32_t i = 0; i < c->s->count; i++) {
		const struct service *s = c->s->list[i];

		for (uint32_t k = 0; k < s->backend_count; k++) {
			uint32_t down, up;

			if (!s->backends[k].down)
				continue;
			vote(c->l, s->id, s->backends[k].id, &down, &up);
			if (2 * up > c->balancers)
				conclude(c, (struct fact){.kind = FACT_UP, .service = s->id, .number = s->backends[k].id});
		}
	}
}

/* ---- what is over ---- */

typedef bool report_says(const struct report *r, uint32_t service, uint32_t generation);

/* Only with chains a backend knows more of a flow than its balancer. */
static bool all_say(const struct leases *l, const struct service *s, uint32_t generation, report_says *says)
{
	for (uint32_t i = 0; i < l->count; i++) {
		const struct report *r = &l->list[i].report;

		if ((r->by.side == SIDE_BALANCER || service_hands_on(&s->settings, s->key.proto)) && !says(r, s->id, generation))
			return false;
	}
	return true;
}

/* By whichever lease of its host's. */
static bool is_led(const struct leases *l, const struct service *s, uint32_t backend)
{
	for (uint32_t i = 0; i < l->count; i++) {
		const struct report *r = &l->list[i].report;
		const struct report_figure *led = r->by.side == SIDE_BACKEND ? report_figure(&r->led, s->id, backend) : NULL;

		if (led && led->value == s->generations[s->generation_count - 1].number)
			return true;
	}
	return false;
}

static bool all_are_led(const struct leases *l, const struct service *s)
{
	for (uint32_t k = 0; k < s->generation_count; k++)
		for (uint32_t i = 0; i < s->generations[k].count; i++)
			if (s->generations[k].shares[i].weight && !is_led(l, s, s->generations[k].shares[i].backend))
				return false;
	return true;
}

/* No flow anywhere is of an earlier generation, and none is about to be. */
static bool is_settled(const struct leases *l, const struct service *s)
{
	for (uint32_t k = 0; k + 1 < s->generation_count; k++)
		if (!all_say(l, s, s->generations[k].number, report_says_quiet))
			return false;
	return s->generation_count > 1 && all_are_led(l, s);
}

static bool is_time_to_retire(struct conclusion *c, const struct service *s)
{
	uint64_t from_ns = c->l->left_ns ? c->l->left_ns + s->settings.flow_idle_s * NS_PER_S : 0;

	if (c->l->looked_ns >= from_ns)
		return true;
	if (!c->l->again_ns || from_ns < c->l->again_ns)
		c->l->again_ns = from_ns;
	return false;
}

static void what_is_over(struct conclusion *c)
{
	c->l->again_ns = 0;
	for (uint32_t i = 0; c->balancers && i < c->s->count; i++) {
		const struct service *s = c->s->list[i];
		bool settled = is_settled(c->l, s);

		for (uint32_t k = 0; k + 1 < s->generation_count; k++)
			if ((settled || all_say(c->l, s, s->generations[k].number, report_says_idle)) && is_time_to_retire(c, s))
				conclude(c, (struct fact){.kind = FACT_RETIRED, .service = s->id, .number = s->generations[k].number});
	}
}

/* ---- who owns which VIP ---- */

/* What a lease is worth to those who look for an owner. */
struct bidder {
	uint32_t lease_id; /* 0: it can't own */
	uint32_t services; /* that it owns */
};

static bool may_own(const struct lease *one)
{
	/* Of an owner that hasn't been heard by this leader, its lease says that it may still be answering. */
	return one->report.by.side == SIDE_BALANCER && (!one->heard || one->report.announces);
}

static struct bidder *bidder_of(struct bidder *list, uint32_t count, uint32_t lease_id)
{
	for (uint32_t i = 0; i < count; i++)
		if (lease_id && list[i].lease_id == lease_id)
			return &list[i];
	return NULL;
}

/* Whether it can deliver what comes for a service. */
static bool delivers(const struct lease *one, const struct service *s)
{
	return s->settings.deliver != DELIVER_SNAT || !one->heard || (s->key.vip.version == 4 ? one->report.snat4 : one->report.snat6);
}

/* The same for all services of a VIP, or for any of them. */
static bool delivers_vip(const struct lease *one, const struct services *s, const struct ip *vip, bool all)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (ip_equal(&s->list[i]->key.vip, vip) && delivers(one, s->list[i]) != all)
			return !all;
	return all;
}

/* The first of those with the fewest services, of those that deliver, that are accepted. NULL: none. */
static struct bidder *choose_among(const struct conclusion *c, struct bidder *list, const struct ip *vip, bool all, bool failed)
{
	struct bidder *best = NULL;

	for (uint32_t i = 0; i < c->l->count; i++) {
		const struct lease *one = &c->l->list[i];

		if (list[i].lease_id && one->heard && lease_is_accepted(c->l, c->s, one) && one->report.failed == failed &&
		    (!best || list[i].services < best->services) && delivers_vip(one, c->s, vip, all))
			best = &list[i];
	}
	return best;
}

/* Who failed may not know the VIP, but where all did, somebody must. */
static struct bidder *choose(const struct conclusion *c, struct bidder *list, const struct ip *vip, bool all)
{
	struct bidder *best = choose_among(c, list, vip, all, false);

	return best ? best : choose_among(c, list, vip, all, true);
}

/* Its owner isn't there, or can't deliver it. */
static bool is_unserved(const struct conclusion *c, struct bidder *list, const struct service *s)
{
	struct bidder *owner = bidder_of(list, c->l->count, s->owner);

	return !owner || !delivers(&c->l->list[owner - list], s);
}

/* All services of a VIP have one owner, so the first of them that is unserved stands for all. */
static bool is_first_unserved(const struct conclusion *c, struct bidder *list, uint32_t at)
{
	if (!is_unserved(c, list, c->s->list[at]))
		return false;
	for (uint32_t i = 0; i < at; i++)
		if (ip_equal(&c->s->list[i]->key.vip, &c->s->list[at]->key.vip) && is_unserved(c, list, c->s->list[i]))
			return false;
	return true;
}

static uint32_t services_of_vip(const struct services *s, const struct ip *vip)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->count; i++)
		count += ip_equal(&s->list[i]->key.vip, vip);
	return count;
}

static void find_owner(struct conclusion *c, struct bidder *list, const struct service *s)
{
	struct bidder *next = choose(c, list, &s->key.vip, true), *owner = bidder_of(list, c->l->count, s->owner);

	if (!next && owner && delivers_vip(&c->l->list[owner - list], c->s, &s->key.vip, false))
		return; /* nobody is better */
	if (!next)
		next = choose(c, list, &s->key.vip, false);
	if (next)
		next->services += services_of_vip(c->s, &s->key.vip);
	if (next || s->owner)
		conclude(c, (struct fact){.kind = FACT_OWNER, .service = s->id, .number = next ? next->lease_id : 0});
}

static void who_owns(struct conclusion *c)
{
	struct bidder list[REPORTERS_MAX] = {0};
	uint32_t count = c->l->count;

	for (uint32_t i = 0; i < count; i++)
		if (may_own(&c->l->list[i]))
			list[i].lease_id = services_lease_id(c->s, &c->l->list[i].report.by);
	for (uint32_t i = 0; i < c->s->count; i++) {
		struct bidder *owner = bidder_of(list, count, c->s->list[i]->owner);

		if (owner)
			owner->services++;
	}
	for (uint32_t i = 0; i < c->s->count; i++)
		if (is_first_unserved(c, list, i))
			find_owner(c, list, c->s->list[i]);
}

/* ---- how fast backends are ---- */

/* What balancers measure is no news to look at: by time alone. */
static void how_fast(struct conclusion *c)
{
	uint64_t again_ns = c->l->looked_ns + LATENCY_LOOK_NS;

	if (!latency_matters(c->s))
		return;
	if (!c->l->again_ns || again_ns < c->l->again_ns)
		c->l->again_ns = again_ns;
	c->count += latency_conclude(&c->l->turns, c->l, c->s, c->l->looked_ns, c->facts + c->count, FACTS_MAX - c->count);
}

uint32_t leases_conclude(struct leases *l, const struct services *s, struct fact *ret)
{
	struct conclusion c = {.l = l, .s = s, .facts = ret};

	who_is_there(&c);
	where_tunnels_begin(&c);
	/* Deaths first: what they prepare anew has its own version. */
	who_died(&c);
	who_is_back(&c);
	what_all_have(&c);
	what_is_over(&c);
	who_owns(&c);
	how_fast(&c);
	return c.count;
}
