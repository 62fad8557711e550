/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/leases.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

#define MS NS_PER_MS
#define VERSION 50 /* of the services that have something prepared */

static struct reporter named(const char *id, enum reporter_side side)
{
	struct reporter r = {.node = 1, .side = side};

	(void)snprintf(r.id, sizeof r.id, "%s", id);
	return r;
}

static int say(struct leases *l, const char *id, enum reporter_side side, uint64_t version, const char *down, uint64_t now_ns)
{
	struct report r = {.by = named(id, side), .version = version, .down = mem_zalloc(8 * sizeof *r.down)};
	int fresh;

	for (const char *c = down; *c; c++)
		r.down[r.down_count++] = (struct report_place){1, (uint32_t)(*c - '0')};
	fresh = leases_take(l, &r, now_ns);
	report_fini(&r);
	return fresh;
}

/* One service, id 1, with backends 1, 2, 3; generation 9 is prepared if `prepared`. down: who is known to be. */
static struct services *catalog(const char *reporters, bool prepared, const char *down)
{
	struct services *s = services_new();
	struct service *one = mem_zalloc(sizeof *one);

	one->id = 1;
	one->backends = mem_zalloc(3 * sizeof *one->backends);
	one->backend_count = 3;
	for (uint32_t i = 0; i < 3; i++)
		one->backends[i] = (struct backend){.id = i + 1, .weight = 1, .down = strchr(down, '1' + (int)i) != NULL};
	if (prepared) {
		one->prepared.number = 9;
		one->prepared_version = VERSION;
	}
	s->list[s->count++] = one;
	for (const char *c = reporters; *c; c++) {
		s->lease_ids[s->reporter_count] = ++s->lease_last;
		s->reporters[s->reporter_count++] = named((char[]){*c, 0}, *c >= 'k' ? SIDE_BACKEND : SIDE_BALANCER);
	}
	return s;
}

static const char *facts_text(const struct fact *facts, uint32_t count, char said[256])
{
	static const char *const kinds[] = {[FACT_JOINED] = "joined",   [FACT_LEFT] = "left",     [FACT_ACTIVE] = "active",
					    [FACT_DOWN] = "down",       [FACT_UP] = "up",         [FACT_OWNER] = "owner",
					    [FACT_RETIRED] = "retired", [FACT_TUNNEL] = "tunnel", [FACT_TUNNEL_GONE] = "tunnel gone"};
	char address[IP_TEXT];

	said[0] = 0;
	for (uint32_t i = 0; i < count; i++) {
		char *end = said + strlen(said);
		size_t room = 256 - (size_t)(end - said);

		if (facts[i].kind <= FACT_LEFT)
			(void)snprintf(end, room, "%s%s %s", i ? ", " : "", kinds[facts[i].kind], facts[i].who.id);
		else if (facts[i].kind >= FACT_TUNNEL)
			(void)snprintf(end, room, "%s%s %s", i ? ", " : "", kinds[facts[i].kind],
				       (ip_format(&facts[i].from, address), address));
		else
			(void)snprintf(end, room, "%s%s %u.%u", i ? ", " : "", kinds[facts[i].kind], facts[i].service, facts[i].number);
	}
	return said;
}

static const char *concluded(struct leases *l, const struct services *s, char said[256])
{
	struct fact *facts = mem_alloc(FACTS_MAX * sizeof *facts);

	facts_text(facts, leases_conclude(l, s, facts), said);
	free(facts);
	return said;
}

/* Balancers a, b, c, d and the backend's side k; NULL: no lease; "?": a lease, and nothing heard. Else the version's distance and who is down. */
struct row {
	const char *what;
	const char *known; /* to the catalog */
	bool prepared;
	const char *down;
	const char *leases[5]; /* of a, b, c, d, k: '=' has VERSION, '<' an older one; then those it sees down */
	const char *want;
};

static const struct row rows[] = {
	{"nothing new: no record", "ab", false, "", {"=", "="}, ""},
	{"who reports joins", "", false, "", {"=", "="}, "joined a, joined b"},
	{"whose lease ended has left", "abk", false, "", {"="}, "left b, left k"},
	{"[two steps] all have it", "ab", true, "", {"=", "="}, "active 1.9"},
	{"[two steps] one hasn't", "ab", true, "", {"=", "<"}, ""},
	{"[two steps] the one that hasn't has left", "ab", true, "", {"="}, "left b, active 1.9"},
	{"[two steps] one has a lease, but nobody knows what it has", "ab", true, "", {"=", "?"}, ""},
	{"[two steps] a new one is waited for, too", "a", true, "", {"=", "<"}, "joined b"},
	{"[two steps] a backend's side hasn't", "ak", true, "", {"=", [4] = "<"}, ""},
	{"[two steps] no balancer is left: backends alone are not waited for", "k", true, "", {[4] = "<"}, "active 1.9"},
	{"[two steps] nobody at all", "", true, "", {NULL}, "active 1.9"},
	{"one of one sees it down", "a", false, "", {"=2"}, "down 1.2"},
	{"one of two does: no majority", "ab", false, "", {"=2", "="}, ""},
	{"both do, and it is said once", "ab", false, "", {"=2", "=2"}, "down 1.2"},
	{"two of three", "abc", false, "", {"=2", "=", "=2"}, "down 1.2"},
	{"one of three each", "abc", false, "", {"=1", "=2", "=3"}, ""},
	{"two of four: no majority", "abcd", false, "", {"=2", "=2", "=", "="}, ""},
	{"who wasn't heard counts among those there are", "abcd", false, "", {"=2", "=2", "?", "?"}, ""},
	{"a backend's side has no vote", "ak", false, "", {"=", [4] = "=2"}, ""},
	{"known to be down", "ab", false, "2", {"=2", "=2"}, ""},
	{"a service or backend that isn't there", "a", false, "", {"=7"}, ""},
	{"one of two sees it again: it stays down", "ab", false, "2", {"=2", "="}, ""},
	{"both do", "ab", false, "2", {"=", "="}, "up 1.2"},
	{"two of four: it stays down", "abcd", false, "2", {"=2", "=2", "=", "="}, ""},
	{"who wasn't heard doesn't say that it is up", "abc", false, "2", {"=", "?", "?"}, ""},
	{"nobody balances: it stays down", "k", false, "2", {[4] = "="}, ""},
	{"all at once", "ab", true, "3", {"=12", "=2"}, "down 1.2, up 1.3, active 1.9"},
};

static void test_conclusions(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static const char ids[] = "abcdk";
		struct services *s = catalog(rows[i].known, rows[i].prepared, rows[i].down);
		struct leases *l = mem_zalloc(sizeof *l);
		char said[256];

		for (unsigned k = 5; k-- > 0;) {
			const char *lease = rows[i].leases[k];

			if (lease && *lease != '?')
				(void)say(l, (char[]){ids[k], 0}, ids[k] == 'k' ? SIDE_BACKEND : SIDE_BALANCER, *lease == '=' ? VERSION : VERSION - 1, lease + 1, 0);
		}
		for (unsigned k = 0; k < 5; k++) {
			struct services *those = rows[i].leases[k] && rows[i].leases[k][0] == '?' ? catalog((char[]){ids[k], 0}, false, "") : NULL;

			if (those)
				leases_grace(l, those, 0);
			services_free(those);
		}
		if (strcmp(concluded(l, s, said), rows[i].want))
			fail_msg("%s: \"%s\", wanted \"%s\"", rows[i].what, said, rows[i].want);
		leases_fini(l);
		free(l);
		services_free(s);
	}
}

/* One prepared generation, two balancers: what moments do to it. */
static void test_terms(void **state)
{
	struct services *s = catalog("ab", true, "");
	struct leases *l = mem_zalloc(sizeof *l);
	char said[256];
	uint64_t now = 1000 * MS;

	(void)state;
	assert_int_equal(say(l, "a", SIDE_BALANCER, VERSION, "", now), 1);
	assert_int_equal(say(l, "a", SIDE_BALANCER, VERSION, "", now), 0); /* keeping a lease is no news */
	assert_int_equal(say(l, "b", SIDE_BALANCER, VERSION - 1, "", now), 1);
	assert_int_equal(say(l, "b", SIDE_BALANCER, VERSION - 1, "2", now), 1);
	for (; now < 1000 * MS + LEASE_NS; now += 100 * MS) { /* b is silent, and is waited for as long as its lease lasts */
		assert_false(leases_expire(l, s, now));
		assert_string_equal(concluded(l, s, said), "");
		assert_int_equal(say(l, "a", SIDE_BALANCER, VERSION, "", now), 0);
	}
	assert_true(leases_expire(l, s, now));
	assert_string_equal(concluded(l, s, said), "left b, active 1.9");
	assert_int_equal(say(l, "b", SIDE_BALANCER, VERSION - 1, "", now), 1);
	assert_string_equal(concluded(l, s, said), "");
	leases_fini(l);
	free(l);
	services_free(s);
}

/* [lease-clock] Whoever was stopped itself must not believe that the others were silent. */
static void test_own_pause(void **state)
{
	struct services *s = catalog("ab", true, "");
	struct leases *l = mem_zalloc(sizeof *l);
	char said[256];

	(void)state;
	assert_int_equal(say(l, "a", SIDE_BALANCER, VERSION, "", 0), 1);
	assert_int_equal(say(l, "b", SIDE_BALANCER, VERSION - 1, "", 0), 1);
	assert_false(leases_expire(l, s, 10 * MS));
	assert_false(leases_expire(l, s, 10 * MS + 2 * LEASE_NS));
	assert_string_equal(concluded(l, s, said), "");
	for (uint64_t now = 10 * MS + 2 * LEASE_NS; now < 10 * MS + 3 * LEASE_NS; now += 100 * MS)
		assert_false(leases_expire(l, s, now));
	assert_true(leases_expire(l, s, 10 * MS + 3 * LEASE_NS));
	leases_fini(l);
	free(l);
	services_free(s);
}

/* A new leader waits for those that the catalog knows, until it has heard of them or a term is over. */
static void test_grace(void **state)
{
	struct services *s = catalog("ab", true, "");
	struct leases *l = mem_zalloc(sizeof *l);
	char said[256];

	(void)state;
	leases_grace(l, s, 0);
	assert_string_equal(concluded(l, s, said), "");
	assert_int_equal(say(l, "a", SIDE_BALANCER, VERSION, "", 100 * MS), 1);
	assert_string_equal(concluded(l, s, said), "");
	assert_int_equal(say(l, "b", SIDE_BALANCER, VERSION, "", 200 * MS), 1);
	assert_string_equal(concluded(l, s, said), "active 1.9");
	leases_fini(l);
	free(l);
	services_free(s);
}

/* ---- where tunnels come from ---- */

static struct ip ip(const char *text)
{
	struct ip address;

	assert_true(ip_parse(&address, text));
	return address;
}

/* Says what it tunnels from; NULL: nothing of that family. */
static void say_tunnels(struct leases *l, const char *id, uint64_t version, const char *ip4, const char *ip6)
{
	struct report r = {.by = named(id, *id == 'k' ? SIDE_BACKEND : SIDE_BALANCER), .version = version, .announces = *id != 'k'};

	if (ip4)
		r.tunnels[r.tunnel_count++] = ip(ip4);
	if (ip6)
		r.tunnels[r.tunnel_count++] = ip(ip6);
	assert_true(leases_take(l, &r, 0) >= 0);
	report_fini(&r);
}

#define FROM4 "10.2.0.9"
#define FROM6 "fd02::9"
#define NOBODY UINT64_MAX /* has a lease and wasn't heard */

struct tunnelled {
	const char *what;
	uint64_t since4, since6; /* the catalog tells of these addresses; 0: it doesn't */
	const char *ip4, *ip6;   /* what a says; b tunnels from nowhere */
	uint64_t backend;        /* what k has in force; NOBODY */
	uint32_t owner;          /* of the VIP: a's lease id is 1, b's is 2 */
	const char *want;
};

static const struct tunnelled tunnelleds[] = {
	{"a new address is told, and what is prepared waits", 0, 0, FROM4, NULL, VERSION, 1, "tunnel 10.2.0.9"},
	{"both families", 0, 0, FROM4, FROM6, VERSION, 1, "tunnel 10.2.0.9, tunnel fd02::9"},
	{"one more", VERSION - 1, 0, FROM4, FROM6, VERSION, 1, "tunnel fd02::9"},
	{"backends know it", VERSION, 0, FROM4, NULL, VERSION, 1, "active 1.9"},
	{"[two steps] a backend doesn't know it yet", VERSION + 1, 0, FROM4, NULL, VERSION, 1, ""},
	{"[two steps] nor the last one", VERSION - 1, VERSION + 1, FROM4, FROM6, VERSION, 1, ""},
	{"[two steps] what a backend has isn't known", VERSION - 1, 0, FROM4, NULL, NOBODY, 1, ""},
	{"who isn't accepted owns nothing", VERSION + 1, 0, FROM4, NULL, VERSION, 0, "owner 1.2"},
	{"who is does", VERSION, 0, FROM4, NULL, VERSION, 0, "active 1.9, owner 1.1"},
	{"an owner that isn't accepted stays the owner", VERSION + 1, 0, FROM4, NULL, VERSION, 1, ""},
	{"what nobody says stays told", VERSION - 1, VERSION - 1, NULL, NULL, VERSION, 1, "active 1.9"},
};

static void test_tunnels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof tunnelleds / sizeof tunnelleds[0]; i++) {
		const struct tunnelled *row = &tunnelleds[i];
		struct services *s = catalog("abk", true, "");
		struct leases *l = mem_zalloc(sizeof *l);
		const struct ip from4 = ip(FROM4), from6 = ip(FROM6);
		char said[256];

		s->list[0]->owner = row->owner;
		if (row->since4)
			assert_true(tunnels_add(&s->tunnels, &from4, row->since4));
		if (row->since6)
			assert_true(tunnels_add(&s->tunnels, &from6, row->since6));
		leases_grace(l, s, 0);
		say_tunnels(l, "a", VERSION, row->ip4, row->ip6);
		say_tunnels(l, "b", VERSION, NULL, NULL);
		if (row->backend != NOBODY)
			say_tunnels(l, "k", row->backend, NULL, NULL);
		if (strcmp(concluded(l, s, said), row->want))
			fail_msg("%s: \"%s\", wanted \"%s\"", row->what, said, row->want);
		leases_fini(l);
		free(l);
		services_free(s);
	}
}

/* Whom packets may be called to: who has something in force that backends know all of. Backends that have nothing aren't waited for. */
static void test_accepted(void **state)
{
	struct services *s = catalog("ak", false, "");
	struct leases *l = mem_zalloc(sizeof *l);
	const struct reporter a = named("a", SIDE_BALANCER);
	const struct ip from = ip(FROM4);

	(void)state;
	say_tunnels(l, "a", 0, NULL, NULL);
	say_tunnels(l, "k", VERSION, NULL, NULL);
	assert_false(lease_is_accepted(l, s, leases_find(l, &a)));
	say_tunnels(l, "a", VERSION, FROM4, NULL);
	assert_false(lease_is_accepted(l, s, leases_find(l, &a)));
	assert_true(tunnels_add(&s->tunnels, &from, VERSION + 1));
	assert_false(lease_is_accepted(l, s, leases_find(l, &a)));
	say_tunnels(l, "k", 0, NULL, NULL);
	assert_true(lease_is_accepted(l, s, leases_find(l, &a)));
	say_tunnels(l, "k", VERSION + 1, NULL, NULL);
	assert_true(lease_is_accepted(l, s, leases_find(l, &a)));
	leases_fini(l);
	free(l);
	services_free(s);
}

/* Where there is no room, the oldest goes that nobody tunnels from; not if it can't be known. */
static void test_no_room_for_tunnels(void **state)
{
	struct services *s = catalog("abk", false, "");
	struct leases *l = mem_zalloc(sizeof *l);
	char said[256];

	(void)state;
	s->list[0]->owner = 1;
	for (uint32_t i = 0; i < TUNNELS_MAX; i++) {
		struct ip from = ip("10.3.0.0");

		from.bytes[2] = (uint8_t)(i >> 8);
		from.bytes[3] = (uint8_t)i;
		assert_true(tunnels_add(&s->tunnels, &from, VERSION));
	}
	leases_grace(l, s, 0);
	say_tunnels(l, "k", VERSION, NULL, NULL);
	say_tunnels(l, "a", VERSION, "10.3.0.0", FROM6);
	assert_string_equal(concluded(l, s, said), "");
	say_tunnels(l, "b", VERSION, "10.3.0.2", NULL);
	assert_string_equal(concluded(l, s, said), "tunnel gone 10.3.0.1, tunnel fd02::9");
	say_tunnels(l, "b", VERSION, "10.4.0.1", NULL);
	assert_string_equal(concluded(l, s, said), "tunnel gone 10.3.0.1, tunnel fd02::9, tunnel gone 10.3.0.2, tunnel 10.4.0.1");
	leases_fini(l);
	free(l);
	services_free(s);
}

/* ---- retirement ---- */

/* Says which generations of service 1 are idle. */
static void say_idle(struct leases *l, const char *id, const char *idle, uint64_t now_ns)
{
	struct report r = {.by = named(id, *id == 'k' ? SIDE_BACKEND : SIDE_BALANCER), .version = VERSION, .idle = mem_zalloc(8 * sizeof *r.idle)};

	for (const char *c = idle; *c; c++)
		r.idle[r.idle_count++] = (struct report_place){1, (uint32_t)(*c - '0')};
	assert_true(leases_take(l, &r, now_ns) >= 0);
	report_fini(&r);
}

/* Service 1 with this many generations, 1 being the oldest. */
static struct services *with_generations(const char *reporters, uint32_t count, bool prepared, bool chained)
{
	struct services *s = catalog(reporters, prepared, "");
	struct service *one = s->list[0];

	for (one->generation_count = 0; one->generation_count < count; one->generation_count++)
		one->generations[one->generation_count].number = one->generation_count + 1;
	one->settings = (struct service_settings){.chain = chained, .deliver = DELIVER_GUE, .flow_idle_s = 60};
	return s;
}

struct over {
	const char *what;
	const char *known;
	uint32_t generations;
	bool prepared, chained;
	const char *leases[3]; /* of a, b, k: idle generations; "?": nothing heard; NULL: no lease */
	const char *want;
};

static const struct over overs[] = {
	{"[generations] no balancer has flows of it", "ab", 3, false, false, {"1", "1"}, "retired 1.1"},
	{"[generations] one has", "ab", 3, false, false, {"1", ""}, ""},
	{"[generations] they have those of different ones", "ab", 3, false, false, {"1", "2"}, ""},
	{"[generations] not the oldest", "ab", 3, false, false, {"12", "2"}, "retired 1.2"},
	{"[generations] never the active one", "a", 3, false, false, {"123"}, "retired 1.1, retired 1.2"},
	{"[generations] one wasn't heard", "ab", 3, false, false, {"1", "?"}, ""},
	{"[generations] one has just come", "a", 3, false, false, {"1", ""}, "joined b"},
	{"[generations] a backend's side knows no more than the balancers", "ak", 3, false, false, {"1", NULL, ""}, "retired 1.1"},
	{"[chain] but with chains it does", "ak", 3, false, true, {"1", NULL, ""}, ""},
	{"[chain] nothing was handed on", "ak", 3, false, true, {"1", NULL, "1"}, "retired 1.1"},
	{"[generations] nobody balances: who has flows isn't known", "k", 3, false, false, {NULL, NULL, "1"}, ""},
	{"[generations] a planned change waits for room", "a", SERVICE_GENERATIONS, true, false, {""}, ""},
	{"[generations] not if there is some", "a", SERVICE_GENERATIONS - 1, true, false, {""}, "active 1.9"},
	{"[generations] nor if nobody balances", "k", SERVICE_GENERATIONS, true, false, {NULL, NULL, ""}, "active 1.9"},
};

static void test_retirement(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof overs / sizeof overs[0]; i++) {
		static const char *const ids[] = {"a", "b", "k"};
		const struct over *o = &overs[i];
		struct services *s = with_generations(o->known, o->generations, o->prepared, o->chained);
		struct leases *l = mem_zalloc(sizeof *l);
		char said[256];

		leases_grace(l, s, 0);
		for (unsigned k = 0; k < 3; k++)
			if (o->leases[k] && *o->leases[k] != '?')
				say_idle(l, ids[k], o->leases[k], 0);
		if (strcmp(concluded(l, s, said), o->want))
			fail_msg("%s: \"%s\", wanted \"%s\"", o->what, said, o->want);
		leases_fini(l);
		free(l);
		services_free(s);
	}
}

/* Pairs of a generation, or a backend and a generation, of service 1. */
static void say_settled(struct leases *l, const char *id, const char *quiet, const char *led)
{
	struct report r = {.by = named(id, *id >= 'k' ? SIDE_BACKEND : SIDE_BALANCER), .version = VERSION, .quiet = mem_zalloc(8 * sizeof *r.quiet)};

	r.led.list = mem_zalloc(8 * sizeof *r.led.list);
	for (const char *c = quiet; *c; c++)
		r.quiet[r.quiet_count++] = (struct report_place){1, (uint32_t)(*c - '0')};
	for (const char *c = led; *c; c += 2)
		r.led.list[r.led.count++] = (struct report_figure){{1, (uint32_t)(c[0] - '0')}, (uint32_t)(c[1] - '0')};
	assert_true(leases_take(l, &r, 0) >= 0);
	report_fini(&r);
}

/* Backends 1 and 2, then 2 and 3, the last one active; 4 is there without a weight. */
static void give_shares(struct service *s)
{
	for (uint32_t i = 0; i < s->generation_count; i++) {
		struct generation *g = &s->generations[i];

		g->shares = mem_zalloc(4 * sizeof *g->shares);
		g->count = 4;
		for (uint32_t k = 0; k < 4; k++)
			g->shares[k] = (struct share){k + 1, k == 1 || k == (i + 1 < s->generation_count ? 0 : 2)};
	}
}

struct settled {
	const char *what;
	uint32_t generations;
	bool chained;
	const char *quiet[4], *led[2]; /* of a, b, k, m; of k, m. NULL: no lease */
	const char *want;
};

static const struct settled settleds[] = {
	{"[generations] the hosts of all owners have no flow of it", 2, false, {"1", "1", "", ""}, {"12", "2232"}, "retired 1.1"},
	{"[generations] all go at once", 3, false, {"12", "12", "", ""}, {"13", "2333"}, "retired 1.1, retired 1.2"},
	{"[generations] an owner of old has one", 2, false, {"1", "1", "", ""}, {"", "2232"}, ""},
	{"[generations] an owner now has one that isn't led there", 2, false, {"1", "1", "", ""}, {"12", "22"}, ""},
	{"[generations] it was counted before the last change", 2, false, {"1", "1", "", ""}, {"11", "2232"}, ""},
	{"[generations] the other one isn't heard of", 2, false, {"1", "1", "", NULL}, {"12", NULL}, ""},
	{"[generations] a packet came by a while ago", 2, false, {"1", "", "", ""}, {"12", "2232"}, ""},
	{"[generations] one came by of another generation", 3, false, {"1", "12", "", ""}, {"13", "2333"}, ""},
	{"[generations] one host is both", 2, false, {"1", "1", "", NULL}, {"122232", NULL}, "retired 1.1"},
	{"[chain] a packet may have been handed on a while ago", 2, true, {"1", "1", "", "1"}, {"12", "2232"}, ""},
	{"[chain] none was", 2, true, {"1", "1", "1", "1"}, {"12", "2232"}, "retired 1.1"},
};

static void test_settled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof settleds / sizeof settleds[0]; i++) {
		static const char *const ids[] = {"a", "b", "k", "m"};
		const struct settled *o = &settleds[i];
		struct services *s = with_generations(o->quiet[3] ? "abkm" : "abk", o->generations, false, o->chained);
		struct leases *l = mem_zalloc(sizeof *l);
		char said[256];

		give_shares(s->list[0]);
		for (unsigned k = 0; k < 4; k++)
			if (o->quiet[k])
				say_settled(l, ids[k], o->quiet[k], k < 2 ? "" : o->led[k - 2]);
		if (strcmp(concluded(l, s, said), o->want))
			fail_msg("%s: \"%s\", wanted \"%s\"", o->what, said, o->want);
		leases_fini(l);
		free(l);
		services_free(s);
	}
}

/* The flows of a balancer that has gone may go on through another one, which hasn't seen the idle ones. */
static void test_gone_before_retirement(void **state)
{
	struct services *s = with_generations("a", 2, false, false);
	struct leases *l = mem_zalloc(sizeof *l);
	uint64_t now, left = 0;
	char said[256];

	(void)state;
	say_idle(l, "b", "", 0);
	for (now = 100 * MS; now < 70 * NS_PER_S; now += 100 * MS) {
		say_idle(l, "a", "1", now);
		if (leases_expire(l, s, now) && !left)
			left = now;
		if (!left && now < LEASE_NS)
			assert_string_equal(concluded(l, s, said), "joined b");
		else if (now < left + 60 * NS_PER_S)
			assert_string_equal(concluded(l, s, said), "");
		else
			break;
	}
	assert_int_equal(now, LEASE_NS + 60 * NS_PER_S);
	assert_string_equal(concluded(l, s, said), "retired 1.1");
	say_idle(l, "a", "", now);
	assert_string_equal(concluded(l, s, said), "");
	leases_fini(l);
	free(l);
	services_free(s);
}

/* Nothing new is heard: what is due by time must be said to be. */
static void test_retirement_is_due(void **state)
{
	struct services *s = with_generations("a", 2, false, false);
	struct leases *l = mem_zalloc(sizeof *l);
	unsigned told = 0;
	char said[256];

	(void)state;
	say_idle(l, "b", "", 0);
	for (uint64_t now = 0; now <= LEASE_NS + 60 * NS_PER_S; now += 100 * MS) {
		say_idle(l, "a", "1", now);
		if (!leases_expire(l, s, now))
			continue;
		told++;
		(void)concluded(l, s, said);
	}
	assert_int_equal(told, 2);
	assert_string_equal(said, "retired 1.1");
	leases_fini(l);
	free(l);
	services_free(s);
}

/* ---- owners of VIPs ---- */

/* What happens among balancers a to d, and who owns the VIPs of services 1 to 5 then. */
struct owning {
	const char *what;
	char act;         /* '+' reports that it announces, '0' the same without a catalog, '!' that failed, '-' reports that it doesn't, 'x' its lease ends */
	const char *whom;
	const char *want; /* by service; '.': nobody */
};

static const struct owning owning[] = {
	{"nobody is there", 0, "", "....."},
	{"one that can't announce owns nothing", '-', "a", "....."},
	{"one without a catalog in force neither", '0', "b", "....."},
	{"one that can owns all", '+', "b", "bbbbb"},
	{"one that comes later takes nothing away", '+', "c", "bbbbb"},
	{"an owner's lease ends: the other one has all", 'x', "b", "ccccc"},
	{"back again, it takes nothing away", '+', "b", "ccccc"},
	{"what has to move is spread: both services of a VIP together", 'x', "c", "bbbbb"},
	{"three more", '+', "acd", "bbbbb"},
	{"they share", 'x', "b", "aacdc"},
	{"only what was its own moves", 'x', "d", "aacac"},
	{"an owner that says that it can't any more", '-', "a", "ccccc"},
	{"the last one", '-', "c", "....."},
	{"and again", '+', "c", "ccccc"},
	{"all are gone", 'x', "abc", "....."},
	{"where all failed, somebody must", '!', "a", "aaaaa"},
	{"who failed and owns goes on", '+', "bc", "aaaaa"},
	{"and gets no more", 'x', "c", "aaaaa"},
	{"a failed one that comes", '!', "d", "aaaaa"},
	{"is chosen after those that didn't", 'x', "a", "bbbbb"},
};

/* Services 1 and 2 have one VIP, the others each its own. */
static struct services *five_services(void)
{
	struct services *s = services_new();

	for (uint32_t i = 0; i < 5; i++) {
		struct service *one = mem_zalloc(sizeof *one);

		one->id = i + 1;
		one->name[0] = 's';
		one->settings.flow_idle_s = SERVICE_FLOW_IDLE_S;
		one->settings.check_terms = check_terms_default;
		one->key = (struct service_key){.vip = {.version = 4, .bytes = {10, 1, 1, (uint8_t)(i < 2 ? 1 : i)}}, .port = (uint16_t)(80 + i)};
		s->list[s->count++] = one;
	}
	s->id_last = 5;
	return s;
}

/* As the leader does: concludes and applies until nothing is left to conclude. */
static unsigned settle(struct leases *l, struct services *s, uint64_t index)
{
	struct fact *facts = mem_alloc(FACTS_MAX * sizeof *facts);
	unsigned records = 0;
	uint32_t count;

	while ((count = leases_conclude(l, s, facts)) > 0) {
		struct bytes record = {0};
		struct cursor in;

		facts_put(&record, facts, count);
		in = cursor_of(record.data + 9, record.size - 9);
		assert_int_equal(services_apply_facts(s, &in, index), 0);
		bytes_free(&record);
		assert_true(++records < 4);
	}
	free(facts);
	return records;
}

static void own_act(struct leases *l, const struct owning *o, uint64_t now_ns)
{
	for (const char *who = o->whom; *who; who++) {
		struct report r = {
			.by = named((char[]){*who, 0}, SIDE_BALANCER), .version = o->act != '0', .failed = o->act == '!', .announces = o->act != '-'};

		assert_true(leases_take(l, &r, o->act == 'x' ? now_ns - LEASE_NS : now_ns) >= 0);
		report_fini(&r);
	}
}

static const char *owners_text(const struct services *s, char said[16])
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct reporter *owner = services_lease_holder(s, s->list[i]->owner);

		said[i] = owner ? owner->id[0] : s->list[i]->owner ? '?' : '.';
		said[i + 1] = 0;
	}
	return said;
}

static void test_owners(void **state)
{
	struct services *s = five_services(), *copy;
	struct leases *l = mem_zalloc(sizeof *l);
	struct bytes saved = {0};
	struct cursor in;
	char said[16];

	(void)state;
	for (size_t i = 0; i < sizeof owning / sizeof owning[0]; i++) {
		uint64_t version = s->version;
		char before[16];

		(void)owners_text(s, before);
		own_act(l, &owning[i], LEASE_NS);
		(void)leases_expire(l, s, LEASE_NS);
		(void)settle(l, s, 100 + i);
		if (strcmp(owners_text(s, said), owning[i].want))
			fail_msg("%s: the owners are %s, not %s", owning[i].what, said, owning[i].want);
		if ((s->version != version) != (strcmp(before, said) != 0))
			fail_msg("%s: balancers must be told of it, and of nothing else", owning[i].what);
		saved.size = 0;
		services_save(s, &saved);
		in = cursor_of(saved.data, saved.size);
		copy = services_restore(&in);
		assert_non_null(copy);
		assert_string_equal(owners_text(copy, said), owning[i].want);
		services_free(copy);
	}
	bytes_free(&saved);
	leases_fini(l);
	free(l);
	services_free(s);
}

/* A balancer that was away for a lease comes back under another lease id: what it was told it owns it owns no more. */
static void test_lease_ids(void **state)
{
	struct services *s = five_services();
	struct leases *l = mem_zalloc(sizeof *l);
	struct reporter a = named("a", SIDE_BALANCER), b = named("b", SIDE_BALANCER);
	uint32_t before;

	(void)state;
	own_act(l, &(struct owning){.act = '+', .whom = "ab"}, 0);
	assert_int_equal(settle(l, s, 1), 2);
	before = services_lease_id(s, &a);
	assert_true(before && services_lease_id(s, &b) && services_lease_id(s, &b) != before);
	own_act(l, &(struct owning){.act = '+', .whom = "b"}, LEASE_NS / 2);
	own_act(l, &(struct owning){.act = '+', .whom = "b"}, LEASE_NS);
	assert_false(leases_expire(l, s, 1));
	l->looked_ns = LEASE_NS;
	assert_true(leases_expire(l, s, LEASE_NS));
	assert_int_equal(settle(l, s, 2), 1); /* that it has left, and who owns now, are one record */
	assert_int_equal(services_lease_id(s, &a), 0);
	own_act(l, &(struct owning){.act = '+', .whom = "a"}, LEASE_NS);
	(void)settle(l, s, 3);
	assert_true(services_lease_id(s, &a) > before);
	a.side = SIDE_BACKEND;
	assert_int_equal(services_lease_id(s, &a), 0);
	leases_fini(l);
	free(l);
	services_free(s);
}

static void test_limit(void **state)
{
	struct leases *l = mem_zalloc(sizeof *l);
	char id[16];

	(void)state;
	for (unsigned i = 0; i < REPORTERS_MAX; i++) {
		(void)snprintf(id, sizeof id, "n%u", i);
		assert_int_equal(say(l, id, SIDE_BALANCER, 1, "12", 0), 1);
	}
	assert_int_equal(say(l, "more", SIDE_BALANCER, 1, "12", 0), -ENOSPC);
	assert_int_equal(say(l, "n7", SIDE_BALANCER, 2, "12", 0), 1);
	for (unsigned i = 1; i < l->count; i++)
		assert_true(reporter_compare(&l->list[i - 1].report.by, &l->list[i].report.by) < 0);
	leases_fini(l);
	free(l);
}

/* Balancers 'a' and 'b' say which families they have addresses for; VIP 1 has services 1 and 2, the others are by snat alone. */
static void test_owners_by_snat(void **state)
{
	static const struct {
		const char *what;
		bool a4, b4, both; /* both: service 1 is delivered otherwise */
		const char *want;
	} table[] = {
		{"nobody has addresses, so nobody owns what is by snat alone", false, false, true, "aa..."},
		{"one has: it owns all, also where the other one could do a part", false, true, true, "bbbbb"},
		{"the other one has some, too: it takes nothing away", true, true, true, "bbbbb"},
		{"the owner has lost its own", true, false, true, "aaaaa"},
		{"nobody has any more: what is served in part stays", false, false, true, "aa..."},
		{"now all of it is by snat", false, false, false, "....."},
		{"and again", false, true, false, "bbbbb"},
	};
	struct services *s = five_services();
	struct leases *l = mem_zalloc(sizeof *l);
	char said[16];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		for (uint32_t k = 0; k < s->count; k++)
			s->list[k]->settings.deliver = k == 0 && table[i].both ? DELIVER_DSR : DELIVER_SNAT;
		for (int k = 0; k < 2; k++) {
			struct report r = {.by = named(k ? "b" : "a", SIDE_BALANCER), .version = 1, .announces = true, .snat6 = true,
					   .snat4 = k ? table[i].b4 : table[i].a4};

			assert_true(leases_take(l, &r, LEASE_NS) >= 0);
		}
		(void)settle(l, s, 100 + i);
		if (strcmp(owners_text(s, said), table[i].want))
			fail_msg("%s: the owners are %s, not %s", table[i].what, said, table[i].want);
	}
	leases_fini(l);
	free(l);
	services_free(s);
}

static void test_form(void **state)
{
	struct report_place down[] = {{1, 2}, {1, 5}, {3, 1}}, idle[] = {{1, 7}, {2, 1}};
	struct report_figure latencies[] = {{{1, 2}, 900}, {{2, 1}, 7}}, sockets[] = {{{1, 4}, 0}}, led[] = {{{1, 4}, 6}};
	struct report_place quiet[] = {{1, 8}};
	struct report r = {.by = named("h/eth0", SIDE_BALANCER),
			   .version = 77,
			   .failed = true,
			   .announces = true,
			   .snat6 = true,
			   .tunnel_count = 2,
			   .tunnels = {ip(FROM4), ip(FROM6)},
			   .down_count = 3,
			   .down = down,
			   .idle_count = 2,
			   .idle = idle,
			   .latencies = {2, latencies},
			   .sockets = {1, sockets},
			   .led = {1, led},
			   .quiet_count = 1,
			   .quiet = quiet},
		      back;
	size_t latencies_at, sockets_at;
	struct bytes form = {0};
	struct cursor in;

	(void)state;
	report_put(&form, &r);
	in = cursor_of(form.data, form.size);
	report_get(&in, &back);
	assert_true(!in.bad && !cursor_left(&in) && report_equal(&r, &back));
	assert_true(report_says_down(&back, 1, 5) && !report_says_down(&back, 2, 5));
	assert_true(report_says_idle(&back, 1, 7) && !report_says_idle(&back, 1, 5));
	assert_int_equal(report_figure(&back.latencies, 2, 1)->value, 7);
	assert_int_equal(report_figure(&back.latencies, 1, 2)->value, 900);
	assert_null(report_figure(&back.latencies, 1, 3));
	assert_int_equal(report_figure(&back.sockets, 1, 4)->value, 0); /* which is worth knowing */
	assert_int_equal(report_figure(&back.led, 1, 4)->value, 6);
	assert_true(report_says_quiet(&back, 1, 8) && report_says_quiet(&back, 1, 7) && !report_says_quiet(&back, 1, 9));
	back.sockets.list[0].value = 9;
	back.latencies.list[0].value = 8; /* no news */
	assert_true(report_equal(&r, &back));
	back.led.list[0].value = 7;
	assert_false(report_equal(&r, &back));
	back.led.list[0].value = 6;
	back.quiet[0].number = 9;
	assert_false(report_equal(&r, &back));
	back.quiet[0].number = 8;
	back.tunnels[1] = ip("fd02::8");
	assert_false(report_equal(&r, &back));
	back.tunnels[1] = ip(FROM6);
	back.idle[0].number = 8;
	assert_false(report_equal(&r, &back));
	report_fini(&back);
	for (size_t size = 0; size < form.size; size++) {
		in = cursor_of(form.data, size);
		report_get(&in, &back);
		assert_true(in.bad);
		report_fini(&back);
	}
	sockets_at = form.size - (4 + 8) - (4 + 12) - (4 + 12);
	latencies_at = sockets_at - 4 - 2 * 12;
	form.data[sockets_at - 12] = 1; /* 1.1 behind 1.2: not in order */
	in = cursor_of(form.data, form.size);
	report_get(&in, &back);
	assert_true(in.bad);
	report_fini(&back);
	form.data[sockets_at - 12] = 2;
	form.data[sockets_at - 4] = 0; /* no time at all */
	in = cursor_of(form.data, form.size);
	report_get(&in, &back);
	assert_true(in.bad);
	report_fini(&back);
	form.data[sockets_at - 4] = 7;
	form.data[latencies_at - 8] = 1; /* 1.1 behind 1.7 */
	in = cursor_of(form.data, form.size);
	report_get(&in, &back);
	assert_true(in.bad);
	report_fini(&back);
	bytes_free(&form);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conclusions),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_own_pause),
		cmocka_unit_test(test_grace),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_no_room_for_tunnels),
		cmocka_unit_test(test_retirement),
		cmocka_unit_test(test_settled),
		cmocka_unit_test(test_gone_before_retirement),
		cmocka_unit_test(test_retirement_is_due),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_lease_ids),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_owners_by_snat),
		cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
