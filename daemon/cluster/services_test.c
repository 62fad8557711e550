/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/services.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cluster/catalog.h"

/* A catalog and the log that made it, so that every change goes the way of a record. */
struct world {
	struct catalog c;
	uint64_t number;
};

static int apply_bytes(struct catalog *c, const uint8_t *data, size_t size)
{
	struct entry *e = entry_new(ENTRY_CATALOG, (uint32_t)size);
	int r;

	if (size)
		memcpy(e->data, data, size);
	e->index = c->applied + 1;
	e->term = 1;
	r = catalog_apply(c, e);
	entry_unref(e);
	return r;
}

static enum service_refusal change_as(struct world *w, const struct service_change *c, struct change_origin by)
{
	struct bytes record = {0};
	enum service_refusal refusal = SERVICE_REFUSALS;
	uint64_t version;

	service_change_put(&record, c, &by);
	assert_int_equal(apply_bytes(&w->c, record.data, record.size), 0);
	bytes_free(&record);
	(void)services_outcome(catalog_services(&w->c), &by, &refusal, &version);
	return refusal;
}

static enum service_refusal change(struct world *w, const struct service_change *c)
{
	return change_as(w, c, (struct change_origin){.node = 1, .incarnation = 7, .number = ++w->number});
}

static struct ip ip(const char *text)
{
	struct ip address;

	assert_true(ip_parse(&address, text));
	return address;
}

static struct service_change named(enum service_change_kind kind, const char *name)
{
	struct service_change c = {.kind = kind, .settings = {.flow_idle_s = SERVICE_FLOW_IDLE_S, .check_terms = check_terms_default}};

	(void)snprintf(c.name, sizeof c.name, "%s", name);
	return c;
}

static struct service_change adding(const char *name, const char *vip, enum service_proto proto, uint16_t port, enum service_delivery deliver)
{
	struct service_change c = named(SERVICE_ADD, name);

	c.secret = 0x1234;
	c.key = (struct service_key){.vip = ip(vip), .proto = proto, .port = port};
	c.settings = (struct service_settings){.deliver = deliver,
					       .chain = true,
					       .affinity = true,
					       .flow_idle_s = SERVICE_FLOW_IDLE_S,
					       .check_terms = check_terms_default};
	return c;
}

static enum service_refusal add(struct world *w, const char *name, const char *vip, enum service_proto proto, uint16_t port, enum service_delivery deliver)
{
	struct service_change c = adding(name, vip, proto, port, deliver);

	return change(w, &c);
}

/* port and weight below 0: not given. */
static enum service_refusal backend(struct world *w, enum service_change_kind kind, const char *name, const char *address, int port, int weight)
{
	struct service_change c = named(kind, name);

	c.address = ip(address);
	c.has_port = port >= 0;
	c.port = c.has_port ? (uint16_t)port : 0;
	c.has_weight = weight >= 0;
	c.weight = c.has_weight ? (uint16_t)weight : 0;
	return change(w, &c);
}

static const struct service *find(const struct world *w, const char *name)
{
	return services_find(catalog_services(&w->c), name);
}

/* "1:2 3:0" for backend 1 with weight 2 and backend 3 with none. */
static const char *shares_text(const struct generation *g, char said[256])
{
	said[0] = 0;
	for (uint32_t i = 0; i < g->count; i++)
		(void)snprintf(said + strlen(said), 256 - strlen(said), "%s%u:%u", i ? " " : "", g->shares[i].backend, g->shares[i].weight);
	return said;
}

static void generation_is(const struct service *s, uint32_t back, uint32_t number, const char *want)
{
	const struct generation *g = &s->generations[s->generation_count - 1 - back];
	char said[256];

	assert_string_equal(shares_text(g, said), want);
	assert_int_equal(g->number, number);
}

static void find_out(struct world *w, const struct fact *facts, uint32_t count)
{
	struct bytes record = {0};

	facts_put(&record, facts, count);
	assert_int_equal(apply_bytes(&w->c, record.data, record.size), 0);
	bytes_free(&record);
}

static void fact(struct world *w, enum fact_kind kind, uint32_t service, uint32_t number)
{
	find_out(w, &(struct fact){.kind = kind, .service = service, .number = number}, 1);
}

static void reporter(struct world *w, enum fact_kind kind, uint8_t node, enum reporter_side side, const char *id)
{
	struct fact f = {.kind = kind, .who = {.node = node, .side = side}};

	(void)snprintf(f.who.id, sizeof f.who.id, "%s", id);
	find_out(w, &f, 1);
}

/* ---- what is taken, and what comes of it ---- */

static void test_generations(void **state)
{
	struct world w = {0};
	const struct service *s;

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	s = find(&w, "web");
	assert_int_equal(s->generation_count, 0);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.2", 80, 5), SERVICE_CHANGED);
	generation_is(s, 1, 1, "1:1");
	generation_is(s, 0, 2, "1:1 2:5");
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.2", -1, -1), SERVICE_CHANGED);
	generation_is(s, 0, 3, "1:1 2:0");
	assert_true(s->backends[1].draining && s->backends[1].weight == 5);
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.2", -1, -1), SERVICE_CHANGED);
	assert_int_equal(s->generation_count, 3); /* nothing about the set changed */
	assert_int_equal(backend(&w, BACKEND_SET, "web", "10.2.0.2", -1, -1), SERVICE_CHANGED);
	generation_is(s, 0, 4, "1:1 2:5"); /* back with its old weight */
	assert_int_equal(backend(&w, BACKEND_RM, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	generation_is(s, 0, 5, "2:5");
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	generation_is(s, 0, 6, "2:5 3:1"); /* an id is never used again */
	assert_int_equal(s->gone_count, 1); /* kept generations have it, so its address must be told */
	assert_int_equal(s->gone[0].id, 1);
	for (int weight = 1; weight <= 5; weight++)
		assert_int_equal(backend(&w, BACKEND_SET, "web", "10.2.0.1", -1, 10 * weight), SERVICE_CHANGED);
	assert_int_equal(s->generation_count, SERVICE_GENERATIONS);
	generation_is(s, SERVICE_GENERATIONS - 1, 4, "1:1 2:5");
	generation_is(s, 0, 11, "2:5 3:50");
	assert_int_equal(s->gone_count, 1);
	assert_int_equal(backend(&w, BACKEND_SET, "web", "10.2.0.1", -1, 7), SERVICE_CHANGED);
	assert_int_equal(s->gone_count, 0); /* the last generation that had it went */
	assert_int_equal(catalog_services(&w.c)->version, w.c.applied);
	catalog_fini(&w.c);
}

static struct service_limits limits(const char *first, uint32_t first_rate, const char *second, uint32_t second_rate)
{
	struct service_limits l = {.count = 2, .list = {{.rate = first_rate}, {.rate = second_rate}}};

	assert_int_equal(ip_prefix_parse(&l.list[0].prefix, first), 0);
	assert_int_equal(ip_prefix_parse(&l.list[1].prefix, second), 0);
	return l;
}

static void test_set_takes_what_is_given(void **state)
{
	struct world w = {0};
	struct service_change c = named(SERVICE_SET, "dns");
	const struct service *s;

	(void)state;
	assert_int_equal(add(&w, "dns", "10.1.1.1", SERVICE_UDP, 53, DELIVER_IPIP), SERVICE_CHANGED);
	c.given = SETTING_AFFINITY | SETTING_LIMIT | SETTING_LIMIT_SOURCE | SETTING_LIMITS | SETTING_SYN_RATE | SETTING_CHECK |
		  SETTING_CHECK_INTERVAL | SETTING_CHECK_TIMEOUT | SETTING_CHECK_FALL;
	c.settings = (struct service_settings){.scheduler = SCHEDULE_RR,
					       .limit = 1000,
					       .limit_source = SERVICE_RATE_MAX,
					       .syn_rate = 7,
					       .check = CHECK_HTTP,
					       .path = "/up",
					       .flow_idle_s = SERVICE_FLOW_IDLE_S,
					       .check_terms = {.interval_ms = 500, .timeout_ms = 10, .rise = 1, .fall = CHECK_RUN_MAX},
					       .limits = limits("10.0.0.0/8", 30, "10.66.0.0/16", 0)};
	assert_int_equal(change(&w, &c), SERVICE_CHANGED);
	s = find(&w, "dns");
	assert_int_equal(s->settings.scheduler, SCHEDULE_MAGLEV);
	assert_true(s->settings.chain && !s->settings.affinity && s->settings.limit == 1000);
	assert_string_equal(s->settings.path, "/up");
	assert_int_equal(s->settings.syn_rate, 7);
	assert_int_equal(s->settings.limit_source, SERVICE_RATE_MAX);
	assert_true(s->settings.limits.count == 2 && s->settings.limits.list[0].rate == 30 && s->settings.limits.list[1].rate == 0);
	assert_int_equal(s->settings.limits.list[1].prefix.bits, 16);
	assert_true(s->settings.check_terms.interval_ms == 500 && s->settings.check_terms.timeout_ms == 10);
	assert_true(s->settings.check_terms.rise == check_terms_default.rise && s->settings.check_terms.fall == CHECK_RUN_MAX);
	c.given = SETTING_LIMIT | SETTING_CHECK_RISE;
	c.settings.check_terms.fall = 7;
	c.settings.limit = 2;
	c.settings.limits.count = 0;
	c.settings.limit_source = 0;
	assert_int_equal(change(&w, &c), SERVICE_CHANGED);
	assert_true(s->settings.limit == 2 && s->settings.limit_source == SERVICE_RATE_MAX && s->settings.limits.count == 2);
	assert_true(s->settings.check_terms.rise == 1 && s->settings.check_terms.fall == CHECK_RUN_MAX);
	assert_int_equal(s->secret, 0x1234);
	catalog_fini(&w.c);
}

/* A record that comes twice, or after a later one of its node, or of an ended incarnation, changes nothing. */
static void test_applied_once(void **state)
{
	struct world w = {0};
	struct service_change a = named(BACKEND_ADD, "web"), b = a;
	struct change_origin first = {.node = 2, .incarnation = 5, .number = 1}, second = {.node = 2, .incarnation = 5, .number = 2},
			     older = {.node = 2, .incarnation = 4, .number = 9};
	enum service_refusal refusal;
	uint64_t version, sum;

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	a.address = ip("10.2.0.1");
	b.address = ip("10.2.0.2");
	assert_int_equal(change_as(&w, &a, first), SERVICE_CHANGED);
	sum = catalog_checksum(&w.c);
	assert_int_equal(change_as(&w, &a, first), SERVICE_CHANGED); /* the outcome is still the first one's, not "exists" */
	assert_int_equal(change_as(&w, &b, older), SERVICE_REFUSALS);
	assert_int_equal(catalog_checksum(&w.c), sum);
	assert_int_equal(change_as(&w, &b, second), SERVICE_CHANGED);
	assert_int_equal(change_as(&w, &b, first), SERVICE_REFUSALS);
	assert_int_equal(find(&w, "web")->backend_count, 2);
	assert_false(services_outcome(catalog_services(&w.c), &first, &refusal, &version));
	assert_true(services_outcome(catalog_services(&w.c), &second, &refusal, &version));
	catalog_fini(&w.c);
}

/* ---- two steps, deaths ---- */

enum act { ADD, REMOVE, DRAIN, WEIGH, ACTIVE, STALE, DOWN, UP, JOIN, LEAVE, LATENCY, MAGLEV, SLOW, SLOW_TWO };

/* What happens to the only service, and what it has then. Backend n is 10.2.0.n. */
struct happening {
	const char *what;
	enum act act;
	int which;            /* backend; WEIGH: it gets weight 9. STALE: another generation than the prepared one. SLOW: it gets half its
			       * weight; SLOW_TWO: and backend 3, too */
	const char *active;
	const char *prepared; /* "": none */
};

static void schedule(struct world *w, enum service_scheduler scheduler)
{
	struct service_change c = named(SERVICE_SET, "web");

	c.given = SETTING_SCHEDULER;
	c.settings.scheduler = (uint8_t)scheduler;
	assert_int_equal(change(w, &c), SERVICE_CHANGED);
}

static void happen(struct world *w, const struct happening *h)
{
	static const enum service_change_kind kinds[] = {[ADD] = BACKEND_ADD, [REMOVE] = BACKEND_RM, [DRAIN] = BACKEND_DRAIN, [WEIGH] = BACKEND_SET};
	char address[16];

	(void)snprintf(address, sizeof address, "10.2.0.%d", h->which);
	switch (h->act) {
	case ADD:
	case REMOVE:
	case DRAIN:
	case WEIGH:
		assert_int_equal(backend(w, kinds[h->act], "web", address, -1, h->act == WEIGH ? 9 : -1), SERVICE_CHANGED);
		break;
	case ACTIVE:
	case STALE:
		fact(w, FACT_ACTIVE, 1, find(w, "web")->prepared.number - (h->act == STALE));
		break;
	case DOWN:
	case UP:
		fact(w, h->act == DOWN ? FACT_DOWN : FACT_UP, 1, (uint32_t)h->which);
		break;
	case LATENCY:
	case MAGLEV:
		schedule(w, h->act == LATENCY ? SCHEDULE_LATENCY : SCHEDULE_MAGLEV);
		break;
	case SLOW:
	case SLOW_TWO:
		find_out(w, (struct fact[]){{.kind = FACT_LATENCY, .service = 1, .number = (uint32_t)h->which, .us = 40000, .percent = 50},
					    {.kind = FACT_LATENCY, .service = 1, .number = 3, .us = 40000, .percent = 50}},
			 h->act == SLOW ? 1 : 2);
		break;
	case JOIN:
	case LEAVE:
		reporter(w, h->act == JOIN ? FACT_JOINED : FACT_LEFT, 2, SIDE_BALANCER, "h/eth0");
		break;
	}
}

/* Whoever a generation names must be told of, or nobody could send there. */
static void all_listed(const struct service *s, const struct generation *g, const char *what)
{
	for (uint32_t i = 0; i < g->count; i++) {
		bool found = service_backend_by_id(s, g->shares[i].backend) != NULL;

		for (uint32_t k = 0; k < s->gone_count; k++)
			found |= s->gone[k].id == g->shares[i].backend;
		if (!found)
			fail_msg("%s: backend %u is listed nowhere", what, g->shares[i].backend);
	}
}

static void story(const struct happening *rows, size_t count)
{
	struct world w = {0}, copy = {0};
	struct bytes saved = {0};

	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	for (size_t i = 0; i < count; i++) {
		const struct service *s;
		const struct generation none = {0};
		char active[256], prepared[256];

		happen(&w, &rows[i]);
		s = find(&w, "web");
		shares_text(s->generation_count ? &s->generations[s->generation_count - 1] : &none, active);
		if (strcmp(active, rows[i].active) || strcmp(shares_text(&s->prepared, prepared), rows[i].prepared))
			fail_msg("%s: active \"%s\", prepared \"%s\"; wanted \"%s\", \"%s\"", rows[i].what, active, shares_text(&s->prepared, prepared),
				 rows[i].active, rows[i].prepared);
		all_listed(s, &s->prepared, rows[i].what);
		all_listed(s, &s->generations[s->generation_count - 1], rows[i].what);
		/* Whatever state it is in, a snapshot has all of it. */
		saved.size = 0;
		catalog_save(&w.c, &saved);
		assert_true(catalog_restore(&copy.c, saved.data, saved.size));
		assert_int_equal(catalog_checksum(&copy.c), catalog_checksum(&w.c));
	}
	bytes_free(&saved);
	catalog_fini(&copy.c);
	catalog_fini(&w.c);
}

#define STORY(rows) story(rows, sizeof(rows) / sizeof(rows)[0])

static void test_two_steps(void **state)
{
	static const struct happening rows[] = {
		{"no balancer: active at once", ADD, 1, "1:1", ""},
		{"no balancer: active at once", ADD, 2, "1:1 2:1", ""},
		{"a balancer comes: nothing changes", JOIN, 0, "1:1 2:1", ""},
		{"an addition is prepared", ADD, 3, "1:1 2:1", "1:1 2:1 3:1"},
		{"what comes meanwhile waits its turn", DRAIN, 1, "1:1 2:1", "1:1 2:1 3:1"},
		{"so does the next", WEIGH, 2, "1:1 2:1", "1:1 2:1 3:1"},
		{"another generation is not the prepared one", STALE, 0, "1:1 2:1", "1:1 2:1 3:1"},
		{"activated, and both changes are prepared together", ACTIVE, 0, "1:1 2:1 3:1", "1:0 2:9 3:1"},
		{"activated: nothing is left", ACTIVE, 0, "1:0 2:9 3:1", ""},
		{"nothing is prepared, nothing happens", ACTIVE, 0, "1:0 2:9 3:1", ""},
		{"a removal is prepared", REMOVE, 1, "1:0 2:9 3:1", "2:9 3:1"},
		{"and removing what is prepared", REMOVE, 3, "1:0 2:9 3:1", "2:9 3:1"},
		{"a change back: its turn comes", ADD, 3, "1:0 2:9 3:1", "2:9 3:1"},
		{"its id is another", ACTIVE, 0, "2:9 3:1", "2:9 4:1"},
		{"what is prepared is removed: its turn comes", REMOVE, 3, "2:9 3:1", "2:9 4:1"},
		{"it is active for a moment", ACTIVE, 0, "2:9 4:1", "2:9"},
		{"and not any more", ACTIVE, 0, "2:9", ""},
		{"again", ADD, 3, "2:9", "2:9 5:1"},
		{"without balancers the prepared one waits for its fact", LEAVE, 0, "2:9", "2:9 5:1"},
		{"or for the next change", ADD, 4, "2:9 5:1 6:1", ""},
	};

	(void)state;
	STORY(rows);
}

static void test_deaths(void **state)
{
	static const struct happening rows[] = {
		{"one", ADD, 1, "1:1", ""},
		{"two", ADD, 2, "1:1 2:1", ""},
		{"a balancer comes", JOIN, 0, "1:1 2:1", ""},
		{"a death is active at once", DOWN, 1, "1:0 2:1", ""},
		{"and is known once", DOWN, 1, "1:0 2:1", ""},
		{"what nobody knows can't die", DOWN, 7, "1:0 2:1", ""},
		{"a change is prepared without the dead one", ADD, 3, "1:0 2:1", "1:0 2:1 3:1"},
		{"a return too is at once, and what was prepared is prepared behind it", UP, 1, "1:1 2:1", "1:1 2:1 3:1"},
		{"who is in the prepared one only", DOWN, 3, "1:1 2:1", "1:1 2:1 3:0"},
		{"it is back", UP, 3, "1:1 2:1", "1:1 2:1 3:1"},
		{"activated", ACTIVE, 0, "1:1 2:1 3:1", ""},
		{"another weight is prepared", WEIGH, 1, "1:1 2:1 3:1", "1:9 2:1 3:1"},
		{"a death beside it is at once, the weight still takes two steps", DOWN, 2, "1:1 2:0 3:1", "1:9 2:0 3:1"},
		{"activated", ACTIVE, 0, "1:9 2:0 3:1", ""},
		{"the second death", DOWN, 1, "1:0 2:0 3:1", ""},
		{"[generations] all dead: the last table stays", DOWN, 3, "1:0 2:0 3:1", ""},
		{"it stays through a change that brings nobody alive", WEIGH, 2, "1:0 2:0 3:1", ""},
		{"the first that returns is alone", UP, 2, "1:0 2:9 3:0", ""},
		{"the others follow, with their weights", UP, 1, "1:9 2:9 3:0", ""},
		{"the others follow, with their weights", UP, 3, "1:9 2:9 3:1", ""},
		{"a dead one that drains", DOWN, 1, "1:0 2:9 3:1", ""},
		{"a dead one that drains", DRAIN, 1, "1:0 2:9 3:1", ""},
		{"doesn't come back", UP, 1, "1:0 2:9 3:1", ""},
	};

	(void)state;
	STORY(rows);
}

/* [schedulers] Parts of weights by latency: a generation as any other change. */
static void test_latencies(void **state)
{
	static const struct happening rows[] = {
		{"one", ADD, 1, "1:1", ""},
		{"two", ADD, 2, "1:1 2:1", ""},
		{"three", ADD, 3, "1:1 2:1 3:1", ""},
		{"a balancer comes", JOIN, 0, "1:1 2:1 3:1", ""},
		{"by latency, of which nothing is known yet: the same table", LATENCY, 0, "1:1 2:1 3:1", ""},
		{"it comes back into a table from before", DOWN, 2, "1:1 2:0 3:1", ""},
		{"it comes back into a table from before", UP, 2, "1:1 2:1 3:1", ""},
		{"half is prepared, in per cent", SLOW, 1, "1:1 2:1 3:1", "1:50 2:100 3:100"},
		{"half is the least that there is in the table from before", DOWN, 1, "1:0 2:1 3:1", ""},
		{"half is the least that there is in the table from before", UP, 1, "1:1 2:1 3:1", "1:50 2:100 3:100"},
		{"activated", ACTIVE, 0, "1:50 2:100 3:100", ""},
		{"the same again: nothing changes", SLOW, 1, "1:50 2:100 3:100", ""},
		{"who is back has its part", DOWN, 1, "1:0 2:100 3:100", ""},
		{"who is back has its part", UP, 1, "1:50 2:100 3:100", ""},
		{"of a weight of 9", WEIGH, 2, "1:50 2:100 3:100", "1:50 2:900 3:100"},
		{"activated", ACTIVE, 0, "1:50 2:900 3:100", ""},
		{"two in one record make one generation", SLOW_TWO, 2, "1:50 2:900 3:100", "1:50 2:450 3:50"},
		{"activated", ACTIVE, 0, "1:50 2:450 3:50", ""},
		{"nobody's latency changes nothing", SLOW, 7, "1:50 2:450 3:50", ""},
		{"a new one has all of its weight", ADD, 4, "1:50 2:450 3:50", "1:50 2:450 3:50 4:100"},
		{"activated", ACTIVE, 0, "1:50 2:450 3:50 4:100", ""},
		{"not by latency any more", MAGLEV, 0, "1:50 2:450 3:50 4:100", "1:1 2:9 3:1 4:1"},
		{"it comes back into a table in per cent", DOWN, 3, "1:50 2:450 3:0 4:100", "1:1 2:9 3:0 4:1"},
		{"it comes back into a table in per cent", UP, 3, "1:50 2:450 3:100 4:100", "1:1 2:9 3:1 4:1"},
		{"activated", ACTIVE, 0, "1:1 2:9 3:1 4:1", ""},
		{"a latency that was found before that changes nothing", SLOW, 1, "1:1 2:9 3:1 4:1", ""},
		{"what was measured is forgotten", LATENCY, 0, "1:1 2:9 3:1 4:1", ""},
		{"without balancers at once", LEAVE, 0, "1:1 2:9 3:1 4:1", ""},
		{"without balancers at once", SLOW, 2, "1:100 2:450 3:100 4:100", ""},
	};

	(void)state;
	STORY(rows);
}

/* The numbers of the kept generations, the active one last; then the ids of removed backends that are still told of. */
static const char *kept_text(const struct service *s, char said[128])
{
	said[0] = 0;
	for (uint32_t i = 0; i < s->generation_count; i++)
		(void)snprintf(said + strlen(said), 128 - strlen(said), "%s%u", i ? " " : "", s->generations[i].number);
	for (uint32_t i = 0; i < s->gone_count; i++)
		(void)snprintf(said + strlen(said), 128 - strlen(said), " -%u", s->gone[i].id);
	return said;
}

static void keeps(const struct world *w, const char *want)
{
	char said[128];

	if (strcmp(kept_text(find(w, "web"), said), want))
		fail_msg("kept are \"%s\", wanted \"%s\"", said, want);
}

/* [generations] An earlier generation retires by a record, and with it whom only it had. */
static void test_retirement(void **state)
{
	struct world w = {0};
	uint64_t version;

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.2", -1, -1), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.3", -1, -1), SERVICE_CHANGED);
	reporter(&w, FACT_JOINED, 1, SIDE_BACKEND, "k");
	keeps(&w, "1 2 3");
	reporter(&w, FACT_JOINED, 1, SIDE_BALANCER, "a"); /* the first one: no flow was sent anywhere before */
	keeps(&w, "3");
	assert_int_equal(backend(&w, BACKEND_RM, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	fact(&w, FACT_ACTIVE, 1, 4);
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.2", -1, -1), SERVICE_CHANGED);
	fact(&w, FACT_ACTIVE, 1, 5);
	keeps(&w, "3 4 5 -1");
	reporter(&w, FACT_JOINED, 2, SIDE_BALANCER, "b");
	keeps(&w, "3 4 5 -1");
	version = catalog_services(&w.c)->version;
	fact(&w, FACT_RETIRED, 1, 5); /* the active one never does */
	fact(&w, FACT_RETIRED, 1, 2);
	fact(&w, FACT_RETIRED, 2, 3);
	keeps(&w, "3 4 5 -1");
	assert_int_equal(catalog_services(&w.c)->version, version);
	fact(&w, FACT_RETIRED, 1, 4);
	keeps(&w, "3 5 -1");
	fact(&w, FACT_RETIRED, 1, 3);
	keeps(&w, "5");
	assert_int_equal(catalog_services(&w.c)->version, w.c.applied);
	catalog_fini(&w.c);
}

/* What flows would lose their backends by is refused while balancers serve the service ([two steps]). */
static void test_lost_flows(void **state)
{
	static const struct {
		const char *what;
		bool balanced;
		uint32_t generations;
		struct service_settings from, to;
		uint32_t given;
		enum service_refusal want;
	} rows[] = {
		{"another hash", true, 1, {.scheduler = SCHEDULE_MAGLEV}, {.scheduler = SCHEDULE_SOURCE}, SETTING_SCHEDULER, REFUSED_FLOWS},
		{"what isn't given is not changed", true, 1, {.scheduler = SCHEDULE_MAGLEV}, {.scheduler = SCHEDULE_SOURCE}, SETTING_LIMIT, 0},
		{"told to", true, 1, {.scheduler = SCHEDULE_MAGLEV}, {.scheduler = SCHEDULE_SOURCE}, SETTING_SCHEDULER | SETTING_BREAKS_FLOWS, 0},
		{"nobody balances", false, 1, {.scheduler = SCHEDULE_MAGLEV}, {.scheduler = SCHEDULE_SOURCE}, SETTING_SCHEDULER, 0},
		{"no backends", true, 0, {.scheduler = SCHEDULE_MAGLEV}, {.scheduler = SCHEDULE_SOURCE}, SETTING_SCHEDULER, 0},
		{"the same slots", true, 1, {.scheduler = SCHEDULE_MAGLEV}, {.scheduler = SCHEDULE_LATENCY}, SETTING_SCHEDULER, 0},
		{"what is recorded", true, 1, {.scheduler = SCHEDULE_RR}, {.scheduler = SCHEDULE_MAGLEV}, SETTING_SCHEDULER, REFUSED_FLOWS},
		{"into NAT", true, 1, {.deliver = DELIVER_IPIP}, {.deliver = DELIVER_DNAT}, SETTING_DELIVER, REFUSED_FLOWS},
		{"from one NAT to the other", true, 1, {.deliver = DELIVER_SNAT}, {.deliver = DELIVER_DNAT}, SETTING_DELIVER, REFUSED_FLOWS},
		{"another tunnel", true, 2, {.deliver = DELIVER_IPIP}, {.deliver = DELIVER_GUE}, SETTING_DELIVER, 0},
		{"a chain, where slots have moved", true, 2, {.deliver = DELIVER_GUE}, {.chain = true}, SETTING_CHAIN, REFUSED_FLOWS},
		{"a chain, where none has", true, 1, {.deliver = DELIVER_GUE}, {.chain = true}, SETTING_CHAIN, 0},
		{"a chain that isn't used", true, 2, {.deliver = DELIVER_IPIP}, {.chain = true}, SETTING_CHAIN, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct service_change c = adding("web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP);
		struct world w = {0};
		enum service_refusal got;

		if (rows[i].balanced)
			reporter(&w, FACT_JOINED, 1, SIDE_BALANCER, "a");
		c.settings = rows[i].from;
		c.settings.affinity = true;
		c.settings.flow_idle_s = 1;
		c.settings.check_terms = check_terms_default;
		assert_int_equal(change(&w, &c), SERVICE_CHANGED);
		for (uint32_t k = 0; k < rows[i].generations; k++) {
			assert_int_equal(backend(&w, BACKEND_ADD, "web", k ? "10.2.0.2" : "10.2.0.1", -1, -1), SERVICE_CHANGED);
			fact(&w, FACT_ACTIVE, 1, k + 1);
		}
		assert_int_equal(find(&w, "web")->generation_count, rows[i].generations);
		c = named(SERVICE_SET, "web");
		c.given = rows[i].given;
		c.settings = rows[i].to;
		c.settings.flow_idle_s = 1;
		c.settings.check_terms = check_terms_default;
		got = change(&w, &c);
		if (got != rows[i].want)
			fail_msg("%s: %d, wanted %d", rows[i].what, got, rows[i].want);
		catalog_fini(&w.c);
	}
}

/* [generations] A death waits for no room, and it is not the oldest flows that pay. */
static void test_no_room(void **state)
{
	struct world w = {0};

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	for (int i = 1; i <= 3; i++) {
		char address[24];

		(void)snprintf(address, sizeof address, "10.2.0.%d", i);
		assert_int_equal(backend(&w, BACKEND_ADD, "web", address, -1, -1), SERVICE_CHANGED);
	}
	reporter(&w, FACT_JOINED, 1, SIDE_BALANCER, "a");
	for (uint32_t number = 4; number <= 10; number++) {
		assert_false(service_is_full(find(&w, "web")));
		assert_int_equal(backend(&w, BACKEND_SET, "web", "10.2.0.1", -1, (int)number), SERVICE_CHANGED);
		fact(&w, FACT_ACTIVE, 1, number);
	}
	assert_true(service_is_full(find(&w, "web")));
	keeps(&w, "3 4 5 6 7 8 9 10");
	fact(&w, FACT_DOWN, 1, 2);
	keeps(&w, "3 4 5 6 7 8 9 11");
	generation_is(find(&w, "web"), 0, 11, "1:10 2:0 3:1");
	fact(&w, FACT_UP, 1, 2);
	keeps(&w, "3 4 5 6 7 8 9 12");
	assert_int_equal(backend(&w, BACKEND_SET, "web", "10.2.0.1", -1, 1), SERVICE_CHANGED);
	fact(&w, FACT_ACTIVE, 1, 13); /* the leader says so only when nobody balances */
	keeps(&w, "4 5 6 7 8 9 12 13");
	catalog_fini(&w.c);
}

/* Commands are judged by what is configured: while all are dead an operator is not refused as if he had taken their weight. */
static void test_the_dead_have_their_weight(void **state)
{
	struct world w = {0};

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.2", -1, -1), SERVICE_CHANGED);
	fact(&w, FACT_DOWN, 1, 1);
	fact(&w, FACT_DOWN, 1, 2);
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.2", -1, -1), REFUSED_WEIGHTLESS);
	catalog_fini(&w.c);
}

/* Who reports is kept in order; it is nothing that balancers are told. */
static void test_reporters(void **state)
{
	static const struct {
		enum fact_kind kind;
		uint8_t node;
		enum reporter_side side;
		const char *id;
		const char *want;
	} rows[] = {
		{FACT_JOINED, 2, SIDE_BALANCER, "b", "2b0"},
		{FACT_JOINED, 2, SIDE_BACKEND, "a", "2a1 2b0"},
		{FACT_JOINED, 1, SIDE_BALANCER, "z", "1z0 2a1 2b0"},
		{FACT_JOINED, 2, SIDE_BALANCER, "b", "1z0 2a1 2b0"},
		{FACT_JOINED, 2, SIDE_BALANCER, "a", "1z0 2a0 2b0"}, /* it is the other side now */
		{FACT_LEFT, 3, SIDE_BALANCER, "a", "1z0 2a0 2b0"},
		{FACT_LEFT, 1, SIDE_BALANCER, "z", "2a0 2b0"},
	};
	struct world w = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct services *all;
		uint64_t sum = catalog_checksum(&w.c);
		char said[64] = "";

		reporter(&w, rows[i].kind, rows[i].node, rows[i].side, rows[i].id);
		all = catalog_services(&w.c);
		for (uint32_t k = 0; k < all->reporter_count; k++)
			(void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s%u%s%u", k ? " " : "", all->reporters[k].node, all->reporters[k].id,
				       all->reporters[k].side);
		assert_string_equal(said, rows[i].want);
		assert_int_equal(all->version, 0);
		assert_int_equal(catalog_checksum(&w.c) != sum, i != 3 && i != 5);
	}
	assert_int_equal(catalog_services(&w.c)->lease_last, 4); /* one for each that joined, not for the one that had */
	for (unsigned i = 0; i < REPORTERS_MAX; i++) {
		char id[16];

		(void)snprintf(id, sizeof id, "n%u", i);
		reporter(&w, FACT_JOINED, 3, SIDE_BACKEND, id);
	}
	assert_int_equal(catalog_services(&w.c)->reporter_count, REPORTERS_MAX);
	catalog_fini(&w.c);
}

static void tunnel(struct world *w, enum fact_kind kind, const char *from)
{
	find_out(w, &(struct fact){.kind = kind, .from = ip(from)}, 1);
}

/* Where balancers tunnel from is told, each change by a version of its own; it stays when they leave. */
static void test_tunnels(void **state)
{
	static const struct {
		enum fact_kind kind;
		const char *from;
		const char *want;
	} rows[] = {
		{FACT_TUNNEL, "10.2.0.9", "10.2.0.9@2"},           {FACT_TUNNEL, "fd02::9", "10.2.0.9@2 fd02::9@4"},
		{FACT_TUNNEL, "10.2.0.9", "10.2.0.9@2 fd02::9@4"}, {FACT_TUNNEL_GONE, "10.2.0.8", "10.2.0.9@2 fd02::9@4"},
		{FACT_TUNNEL_GONE, "10.2.0.9", "fd02::9@4"},       {FACT_TUNNEL, "10.2.0.9", "fd02::9@4 10.2.0.9@12"},
	};
	struct world w = {0}, copy = {0};
	struct bytes saved = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct services *all;
		uint64_t sum = catalog_checksum(&w.c);
		char said[256] = "", address[IP_TEXT];

		reporter(&w, i % 2 ? FACT_LEFT : FACT_JOINED, 2, SIDE_BALANCER, "b");
		tunnel(&w, rows[i].kind, rows[i].from);
		all = catalog_services(&w.c);
		for (uint32_t k = 0; k < all->tunnels.count; k++) {
			ip_format(&all->tunnels.list[k].from, address);
			(void)snprintf(said + strlen(said), sizeof said - strlen(said), "%s%s@%llu", k ? " " : "", address,
				       (unsigned long long)all->tunnels.list[k].since);
		}
		assert_string_equal(said, rows[i].want);
		assert_int_equal(all->version, i == 2 || i == 3 ? 4 : 2 * i + 2);
		assert_int_not_equal(catalog_checksum(&w.c), sum);
	}
	catalog_save(&w.c, &saved);
	assert_true(catalog_restore(&copy.c, saved.data, saved.size));
	assert_int_equal(catalog_checksum(&w.c), catalog_checksum(&copy.c));
	assert_int_equal(catalog_services(&copy.c)->tunnels.list[1].since, 12);
	bytes_free(&saved);
	for (unsigned i = 0; i < TUNNELS_MAX; i++) {
		struct fact f = {.kind = FACT_TUNNEL, .from = ip("10.3.0.0")};

		f.from.bytes[2] = (uint8_t)(i >> 8);
		f.from.bytes[3] = (uint8_t)i;
		find_out(&w, &f, 1);
	}
	assert_int_equal(catalog_services(&w.c)->tunnels.count, TUNNELS_MAX);
	catalog_fini(&w.c);
	catalog_fini(&copy.c);
}

/* ---- what is refused, each beside what makes it so ---- */

static void test_refused_services(void **state)
{
	static const struct {
		const char *name, *vip;
		enum service_proto proto;
		uint16_t port;
		enum service_refusal want;
	} table[] = {
		{"web", "10.1.1.2", SERVICE_TCP, 80, REFUSED_SERVICE_EXISTS},
		{"web2", "10.1.1.1", SERVICE_TCP, 80, REFUSED_VIP_TAKEN},
		{"web2", "10.1.1.1", SERVICE_TCP, 81, SERVICE_CHANGED},
		{"all", "10.1.1.1", SERVICE_TCP, 0, SERVICE_CHANGED},
		{"all2", "10.1.1.1", SERVICE_TCP, 0, REFUSED_VIP_TAKEN},
		{"h3", "10.1.1.1", SERVICE_QUIC, 80, SERVICE_CHANGED},
		{"dns", "10.1.1.1", SERVICE_UDP, 80, REFUSED_VIP_TAKEN}, /* QUIC is UDP */
		{"web6", "2001:db8::1", SERVICE_TCP, 80, SERVICE_CHANGED},
	};
	struct world w = {0};

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		uint64_t version = catalog_services(&w.c)->version;

		assert_int_equal(add(&w, table[i].name, table[i].vip, table[i].proto, table[i].port, DELIVER_IPIP), table[i].want);
		assert_int_equal(catalog_services(&w.c)->version != version, table[i].want == SERVICE_CHANGED);
	}
	catalog_fini(&w.c);
}

static void test_refused_settings(void **state)
{
	struct world w = {0};
	struct service_change c = adding("web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), good;

	(void)state;
	c.settings.affinity = false;
	assert_int_equal(change(&w, &c), REFUSED_AFFINITY);
	c.settings.affinity = true;
	c.key.proto = SERVICE_QUIC;
	c.settings.syn_cookies = SYN_COOKIES_AUTO;
	assert_int_equal(change(&w, &c), REFUSED_SYN_COOKIES);
	c.key.proto = SERVICE_TCP;
	c.settings.syn_cookies = SYN_COOKIES_OFF;
	assert_int_equal(ip_prefix_parse(&c.settings.allow.list[0], "2001:db8::/32"), 0);
	c.settings.allow.count = 1;
	assert_int_equal(change(&w, &c), REFUSED_PREFIX_FAMILY);
	assert_int_equal(ip_prefix_parse(&c.settings.allow.list[0], "10.0.0.0/8"), 0);
	good = c;
	c.settings.deny = c.settings.allow;
	assert_int_equal(change(&w, &c), REFUSED_PREFIX_TWICE);
	c = good;
	c.settings.allow.list[c.settings.allow.count++] = c.settings.allow.list[0];
	assert_int_equal(change(&w, &c), REFUSED_PREFIX_TWICE);
	c = good;
	c.settings.limits = limits("10.0.0.0/8", 1, "2001:db8::/32", 2);
	assert_int_equal(change(&w, &c), REFUSED_PREFIX_FAMILY);
	c.settings.limits = limits("10.0.0.0/8", 1, "10.0.0.0/8", 2);
	assert_int_equal(change(&w, &c), REFUSED_PREFIX_TWICE);
	good.settings.limits = limits("10.0.0.0/8", 1, "10.0.0.0/9", 2); /* and allowed beside: these are two questions */
	c = good;
	c.key.port = 0;
	c.settings.check = CHECK_TCP;
	assert_int_equal(change(&w, &c), REFUSED_CHECK_PORT);
	c = good;
	c.settings.check_terms.interval_ms = 1000; /* the timeout is as long */
	assert_int_equal(change(&w, &c), REFUSED_CHECK_TIMEOUT);
	assert_null(find(&w, "web"));
	assert_int_equal(change(&w, &good), SERVICE_CHANGED);
	c = named(SERVICE_SET, "web");
	c.given = SETTING_CHECK_INTERVAL;
	c.settings.check_terms.interval_ms = 1000; /* beside the timeout that it has */
	assert_int_equal(change(&w, &c), REFUSED_CHECK_TIMEOUT);
	c.given |= SETTING_CHECK_TIMEOUT;
	c.settings.check_terms.timeout_ms = 899;
	assert_int_equal(change(&w, &c), SERVICE_CHANGED);
	good = named(SERVICE_SET, "nothing");
	assert_int_equal(change(&w, &good), REFUSED_SERVICE_UNKNOWN);
	good = named(SERVICE_RM, "web");
	assert_int_equal(change(&w, &good), SERVICE_CHANGED);
	assert_int_equal(change(&w, &good), REFUSED_SERVICE_UNKNOWN);
	catalog_fini(&w.c);
}

static void test_refused_backends(void **state)
{
	static const struct {
		enum service_change_kind kind;
		const char *name, *address;
		int port, weight;
		enum service_refusal want;
	} table[] = {
		{BACKEND_ADD, "web", "10.2.0.1", 80, 1, REFUSED_BACKEND_EXISTS},
		{BACKEND_ADD, "none", "10.2.0.1", 80, 1, REFUSED_SERVICE_UNKNOWN},
		{BACKEND_SET, "web", "10.2.0.9", -1, 1, REFUSED_BACKEND_UNKNOWN},
		{BACKEND_DRAIN, "web", "10.2.0.1", 81, -1, REFUSED_BACKEND_UNKNOWN},
		{BACKEND_RM, "web", "10.2.0.9", -1, -1, REFUSED_BACKEND_UNKNOWN},
		{BACKEND_ADD, "web", "10.1.1.1", -1, 1, REFUSED_BACKEND_IS_VIP},
		{BACKEND_ADD, "web", "10.2.0.2", 8080, 1, REFUSED_PORT},
		{BACKEND_ADD, "web", "2001:db8::2", -1, 1, SERVICE_CHANGED},
		{BACKEND_RM, "web", "2001:db8::2", -1, -1, SERVICE_CHANGED},
		{BACKEND_ADD, "tunnel6", "10.2.0.2", -1, 1, REFUSED_FAMILY},
		{BACKEND_ADD, "dsr", "2001:db8::2", -1, 1, REFUSED_FAMILY},
		{BACKEND_ADD, "dsr", "10.2.0.2", -1, 1, SERVICE_CHANGED},
		{BACKEND_ADD, "nat", "2001:db8::2", -1, 1, REFUSED_FAMILY},
		{BACKEND_ADD, "nat", "10.2.0.2", 0, 1, REFUSED_PORT},
		{BACKEND_ADD, "nat", "10.2.0.2", 8080, 1, SERVICE_CHANGED},
		{BACKEND_ADD, "nat2", "10.2.0.2", 8080, 1, REFUSED_NAT_TAKEN},
		{BACKEND_ADD, "nat2", "10.2.0.2", 8081, 1, SERVICE_CHANGED},
		{BACKEND_ADD, "natudp", "10.2.0.2", 8080, 1, SERVICE_CHANGED},
		{BACKEND_SET, "web", "10.2.0.1", -1, 0, REFUSED_WEIGHTLESS},
		{BACKEND_DRAIN, "web", "10.2.0.1", -1, -1, REFUSED_WEIGHTLESS},
		{BACKEND_ADD, "web", "10.2.0.2", -1, 0, SERVICE_CHANGED},
		{BACKEND_RM, "web", "10.2.0.1", -1, -1, REFUSED_WEIGHTLESS},
		{BACKEND_RM, "web", "10.2.0.2", -1, -1, SERVICE_CHANGED},
		{BACKEND_RM, "web", "10.2.0.1", -1, -1, SERVICE_CHANGED},
		{BACKEND_ADD, "web", "10.2.0.1", -1, 0, REFUSED_WEIGHTLESS},
	};
	struct world w = {0};
	struct service_change deliver = named(SERVICE_SET, "nat");

	(void)state;
	assert_int_equal(add(&w, "web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP), SERVICE_CHANGED);
	assert_int_equal(add(&w, "tunnel6", "2001:db8::1", SERVICE_TCP, 80, DELIVER_GUE), SERVICE_CHANGED);
	assert_int_equal(add(&w, "dsr", "10.1.1.2", SERVICE_TCP, 80, DELIVER_DSR), SERVICE_CHANGED);
	assert_int_equal(add(&w, "nat", "10.1.1.3", SERVICE_TCP, 80, DELIVER_DNAT), SERVICE_CHANGED);
	assert_int_equal(add(&w, "nat2", "10.1.1.4", SERVICE_TCP, 80, DELIVER_DNAT), SERVICE_CHANGED);
	assert_int_equal(add(&w, "natudp", "10.1.1.4", SERVICE_UDP, 80, DELIVER_DNAT), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "web", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		uint64_t version = catalog_services(&w.c)->version;
		enum service_refusal said = backend(&w, table[i].kind, table[i].name, table[i].address, table[i].port, table[i].weight);

		if (said != table[i].want)
			print_error("row %zu: %d, not %d\n", i, said, table[i].want);
		assert_int_equal(said, table[i].want);
		assert_int_equal(catalog_services(&w.c)->version != version, said == SERVICE_CHANGED);
	}
	/* What a backend may be depends on the way to deliver, so that can't be changed under it. */
	deliver.given = SETTING_DELIVER;
	deliver.settings =
		(struct service_settings){.deliver = DELIVER_DSR, .flow_idle_s = SERVICE_FLOW_IDLE_S, .check_terms = check_terms_default};
	assert_int_equal(change(&w, &deliver), REFUSED_PORT);
	assert_int_equal(find(&w, "nat")->settings.deliver, DELIVER_DNAT);
	deliver.settings.deliver = DELIVER_DNAT;
	assert_int_equal(change(&w, &deliver), SERVICE_CHANGED); /* its own backends are no obstacle */
	assert_int_equal(catalog_services(&w.c)->version, w.c.applied); /* whatever was refused before */
	catalog_fini(&w.c);
}

/* What a service has prepared becomes active. */
static void activate(struct world *w, const char *name)
{
	const struct service *s = find(w, name);

	fact(w, FACT_ACTIVE, s->id, s->prepared.number);
}

/* [nat] A removed backend's replies are still its old VIP's, until its service has forgotten it. */
static void test_removed_by_dnat(void **state)
{
	struct world w = {0};

	(void)state;
	assert_int_equal(add(&w, "nat", "10.1.1.3", SERVICE_TCP, 80, DELIVER_DNAT), SERVICE_CHANGED);
	assert_int_equal(add(&w, "nat2", "10.1.1.4", SERVICE_TCP, 80, DELIVER_DNAT), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "nat", "10.2.0.1", 8080, 1), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_ADD, "nat", "10.2.0.2", 8080, 1), SERVICE_CHANGED);
	activate(&w, "nat");
	activate(&w, "nat");
	assert_int_equal(backend(&w, BACKEND_RM, "nat", "10.2.0.2", 8080, -1), SERVICE_CHANGED);
	activate(&w, "nat");
	assert_int_equal(backend(&w, BACKEND_ADD, "nat2", "10.2.0.2", 8080, 1), REFUSED_NAT_TAKEN);
	fact(&w, FACT_RETIRED, 1, 1); /* it never had it */
	assert_int_equal(backend(&w, BACKEND_ADD, "nat2", "10.2.0.2", 8080, 1), REFUSED_NAT_TAKEN);
	fact(&w, FACT_RETIRED, 1, 2);
	assert_int_equal(backend(&w, BACKEND_ADD, "nat2", "10.2.0.2", 8080, 1), SERVICE_CHANGED);
	catalog_fini(&w.c);
}

/* A change of a backend of "h3" that gives it a server ID. */
static enum service_refusal quic_id(struct world *w, enum service_change_kind kind, const char *address, const char *id)
{
	struct service_change c = named(kind, "h3");

	c.address = ip(address);
	c.has_quic_id = true;
	assert_true(quic_id_parse(&c.quic_id, id));
	return change(w, &c);
}

static enum service_refusal quic_config(struct world *w, const char *name, const char *config)
{
	struct service_change c = named(SERVICE_SET, name);

	c.given = SETTING_QUIC_CONFIG;
	assert_true(quic_config_parse(&c.settings.quic, config));
	return change(w, &c);
}

static const char *quic_id_of(const struct world *w, const char *address, char text[QUIC_ID_TEXT])
{
	const struct ip at = ip(address);

	quic_id_format(&service_backend(find(w, "h3"), &at, 443)->quic_id, text);
	return text;
}

/* Server IDs are of the size that the service says, and each is one backend's. */
static void test_quic_ids(void **state)
{
	struct world w = {0};
	char text[QUIC_ID_TEXT];

	(void)state;
	assert_int_equal(add(&w, "h3", "10.1.1.1", SERVICE_QUIC, 443, DELIVER_IPIP), SERVICE_CHANGED);
	assert_int_equal(add(&w, "dns", "10.1.1.1", SERVICE_UDP, 53, DELIVER_IPIP), SERVICE_CHANGED);
	assert_int_equal(quic_config(&w, "dns", "1:4"), REFUSED_QUIC_PROTO);
	assert_int_equal(quic_config(&w, "dns", "none"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_ADD, "10.2.0.1", "c0ffee01"), REFUSED_QUIC_ID_SIZE); /* there is no configuration */
	assert_int_equal(find(&w, "h3")->backend_count, 0);
	assert_int_equal(quic_config(&w, "h3", "1:4"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_ADD, "10.2.0.1", "c0ffee"), REFUSED_QUIC_ID_SIZE);
	assert_int_equal(quic_id(&w, BACKEND_ADD, "10.2.0.1", "c0ffee01"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_ADD, "10.2.0.2", "c0ffee01"), REFUSED_QUIC_ID_TAKEN);
	assert_int_equal(quic_id(&w, BACKEND_ADD, "10.2.0.2", "none"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_SET, "10.2.0.2", "c0ffee01"), REFUSED_QUIC_ID_TAKEN);
	assert_int_equal(quic_id(&w, BACKEND_SET, "10.2.0.2", "c0ffee02"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_SET, "10.2.0.2", "c0ffee02"), SERVICE_CHANGED); /* its own is no obstacle */
	/* It stays with what else is changed of the backend. */
	assert_int_equal(backend(&w, BACKEND_SET, "h3", "10.2.0.1", -1, 5), SERVICE_CHANGED);
	assert_int_equal(backend(&w, BACKEND_DRAIN, "h3", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	assert_string_equal(quic_id_of(&w, "10.2.0.1", text), "c0ffee01");
	/* None of another size is left behind, but the configuration can be taken away and come back. */
	assert_int_equal(quic_config(&w, "h3", "2:5"), REFUSED_QUIC_ID_SIZE);
	assert_int_equal(quic_config(&w, "h3", "none"), SERVICE_CHANGED);
	assert_int_equal(quic_config(&w, "h3", "2:5"), REFUSED_QUIC_ID_SIZE);
	assert_int_equal(quic_config(&w, "h3", "2:4"), SERVICE_CHANGED);
	assert_string_equal(quic_id_of(&w, "10.2.0.2", text), "c0ffee02");
	/* Of who is gone, another one may take it over. */
	assert_int_equal(backend(&w, BACKEND_RM, "h3", "10.2.0.1", -1, -1), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_ADD, "10.2.0.3", "c0ffee01"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_SET, "10.2.0.3", "none"), SERVICE_CHANGED);
	assert_int_equal(quic_id(&w, BACKEND_SET, "10.2.0.2", "none"), SERVICE_CHANGED);
	assert_int_equal(quic_config(&w, "h3", "2:5"), SERVICE_CHANGED);
	catalog_fini(&w.c);
}

static void test_limits(void **state)
{
	struct world w = {0};
	char name[32], address[32];

	(void)state;
	for (unsigned i = 0; i < SERVICES_MAX; i++) {
		(void)snprintf(name, sizeof name, "s%u", i);
		assert_int_equal(add(&w, name, "10.1.1.1", SERVICE_TCP, (uint16_t)(i + 1), DELIVER_IPIP), SERVICE_CHANGED);
	}
	assert_int_equal(add(&w, "more", "10.1.1.1", SERVICE_TCP, 1000, DELIVER_IPIP), REFUSED_SERVICES_FULL);
	for (unsigned i = 0; i < SERVICE_BACKENDS_MAX; i++) {
		(void)snprintf(address, sizeof address, "10.2.%u.%u", i / 256, i % 256);
		assert_int_equal(backend(&w, BACKEND_ADD, "s0", address, -1, -1), SERVICE_CHANGED);
	}
	assert_int_equal(backend(&w, BACKEND_ADD, "s0", "10.3.0.0", -1, -1), REFUSED_BACKENDS_FULL);
	w.c.services->backend_total = SERVICES_BACKENDS_MAX;
	assert_int_equal(backend(&w, BACKEND_ADD, "s1", "10.3.0.0", -1, -1), REFUSED_TOTAL_FULL);
	w.c.services->backend_total = SERVICE_BACKENDS_MAX;
	catalog_fini(&w.c);
}

/* ---- records and snapshots ---- */

static void build(struct world *w)
{
	struct service_change c = adding("web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP);

	assert_int_equal(ip_prefix_parse(&c.settings.deny.list[c.settings.deny.count++], "10.66.0.0/16"), 0);
	c.settings.limit_source = 50;
	c.settings.limits = limits("10.66.0.0/16", 1000, "10.66.7.0/24", 20);
	c.settings.check = CHECK_HTTPS;
	(void)snprintf(c.settings.path, sizeof c.settings.path, "/health?deep=1");
	assert_int_equal(change(w, &c), SERVICE_CHANGED);
	assert_int_equal(add(w, "six", "2001:db8::1", SERVICE_QUIC, 443, DELIVER_GUE), SERVICE_CHANGED);
	for (int i = 0; i < 12; i++)
		assert_int_equal(backend(w, BACKEND_ADD, "web", (char[][12]){"10.2.0.1", "10.2.0.2", "10.2.0.3", "10.2.0.4", "10.2.0.5", "10.2.0.6",
			"10.2.0.7", "10.2.0.8", "10.2.0.9", "10.2.0.10", "10.2.0.11", "10.2.0.12"}[i], -1, i), i ? SERVICE_CHANGED : REFUSED_WEIGHTLESS);
	assert_int_equal(backend(w, BACKEND_DRAIN, "web", "10.2.0.5", -1, -1), SERVICE_CHANGED);
	assert_int_equal(backend(w, BACKEND_ADD, "six", "2001:db8::2", -1, 3), SERVICE_CHANGED);
	c = adding("h3", "10.1.1.3", SERVICE_QUIC, 443, DELIVER_IPIP);
	c.settings.quic = (struct quic_config){1, 4};
	assert_int_equal(change(w, &c), SERVICE_CHANGED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(quic_id(w, BACKEND_ADD, (char[][9]){"10.2.0.1", "10.2.0.2", "10.2.0.3"}[i], (char[][9]){"c0ffee01", "none", "c0ffee03"}[i]),
				 SERVICE_CHANGED);
	assert_int_equal(backend(w, BACKEND_RM, "h3", "10.2.0.3", -1, -1), SERVICE_CHANGED);
	tunnel(w, FACT_TUNNEL, "10.2.0.9");
	tunnel(w, FACT_TUNNEL, "fd02::9");
}

/* Where a catalog without services ends. */
#define SAVED_SERVICES (17 + 4 + 1 + NODE_SLOTS)

static void test_snapshot(void **state)
{
	struct world w = {0}, copy = {0}, empty = {.c = {.ready = true, .group_count = 3, .applied = 9}};
	struct bytes saved = {0}, again = {0};
	struct catalog untouched = {.applied = 77};

	(void)state;
	build(&w);
	catalog_save(&w.c, &saved);
	assert_true(catalog_restore(&copy.c, saved.data, saved.size));
	catalog_save(&copy.c, &again);
	assert_int_equal(saved.size, again.size);
	assert_memory_equal(saved.data, again.data, saved.size);
	assert_int_equal(catalog_checksum(&w.c), catalog_checksum(&copy.c));
	/* A replica that loaded the snapshot goes on as one that applied everything ([layout]). */
	copy.number = w.number;
	assert_int_equal(backend(&w, BACKEND_SET, "web", "10.2.0.5", -1, 9), backend(&copy, BACKEND_SET, "web", "10.2.0.5", -1, 9));
	assert_int_equal(add(&w, "dup", "2001:db8::1", SERVICE_UDP, 443, DELIVER_GUE), add(&copy, "dup", "2001:db8::1", SERVICE_UDP, 443, DELIVER_GUE));
	assert_int_equal(catalog_checksum(&w.c), catalog_checksum(&copy.c));
	reporter(&w, FACT_JOINED, 1, SIDE_BALANCER, "h/eth0"); /* from here on it holds a prepared generation, too */
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.7", -1, -1), SERVICE_CHANGED);
	saved.size = 0;
	catalog_save(&w.c, &saved);
	for (size_t size = 0; size < saved.size; size++) {
		uint8_t *cut = mem_alloc(size + 1);

		memcpy(cut, saved.data, size);
		if (size != SAVED_SERVICES)
			assert_false(catalog_restore(&untouched, cut, size));
		free(cut);
	}
	bytes_put_u8(&saved, 0);
	assert_false(catalog_restore(&untouched, saved.data, saved.size));
	assert_int_equal(untouched.applied, 77);
	saved.size = 0;
	catalog_save(&empty.c, &saved); /* as it was before there were services */
	assert_true(catalog_restore(&copy.c, saved.data, saved.size));
	assert_null(copy.c.services);
	bytes_free(&saved);
	bytes_free(&again);
	catalog_fini(&w.c);
	catalog_fini(&copy.c);
}

static void still_sound(const struct world *w)
{
	struct bytes saved = {0};
	struct catalog copy = {0};

	catalog_save(&w->c, &saved);
	assert_true(catalog_restore(&copy, saved.data, saved.size));
	assert_int_equal(catalog_checksum(&copy), catalog_checksum(&w->c));
	bytes_free(&saved);
	catalog_fini(&copy);
}

/* No prefix of a record is one, and no flipped byte makes one that breaks the state: it can still be saved and restored. */
static void test_hostile_records(void **state)
{
	struct service_change kinds[] = {adding("fresh", "10.9.9.9", SERVICE_TCP, 80, DELIVER_DNAT), named(SERVICE_SET, "web"),
		named(SERVICE_RM, "six"), named(BACKEND_ADD, "web"), named(BACKEND_RM, "web")};
	struct world w = {0};

	(void)state;
	build(&w);
	kinds[0].settings.limits = limits("10.0.0.0/8", 1, "10.1.0.0/16", SERVICE_RATE_MAX);
	kinds[1].given = SETTINGS_ALL;
	kinds[1].settings = kinds[0].settings;
	kinds[3].address = ip("10.2.7.7");
	kinds[3].has_quic_id = true;
	kinds[3].quic_id = (struct quic_id){8, {1, 2, 3, 4, 5, 6, 7, 8}};
	kinds[4].address = ip("10.2.0.3");
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		struct bytes record = {0};

		service_change_put(&record, &kinds[k], &(struct change_origin){.node = 3, .incarnation = 1, .number = 1});
		assert_true(record.size <= SERVICE_RECORD_MAX);
		for (size_t size = 9; size < record.size; size++) {
			assert_int_equal(apply_bytes(&w.c, record.data, size), -EBADMSG);
		}
		bytes_put_u8(&record, 0);
		assert_int_equal(apply_bytes(&w.c, record.data, record.size), -EBADMSG);
		record.size--;
		for (size_t at = 9; at < record.size; at++)
			for (int value = 0; value < 256; value += at < 30 ? 1 : 7) {
				uint8_t before = record.data[at];
				int r;

				record.data[at] = (uint8_t)value;
				r = apply_bytes(&w.c, record.data, record.size);
				assert_true(r == 0 || r == -EBADMSG || (at == 9 && r == -EPROTONOSUPPORT));
				record.data[at] = before;
			}
		bytes_free(&record);
	}
	still_sound(&w);
	catalog_fini(&w.c);
}

/* Forms are told by their version alone: what an older build wrote is refused, not read as something else. */
static void test_older_forms(void **state)
{
	struct service_change c = adding("web", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP);
	struct catalog untouched = {.applied = 77};
	struct bytes record = {0}, saved = {0};
	struct world w = {0};

	(void)state;
	service_change_put(&record, &c, &(struct change_origin){.node = 1, .incarnation = 1, .number = 1});
	for (uint8_t version = 0; version < SERVICE_RECORD_VERSION; version++) {
		record.data[9] = version;
		assert_int_equal(apply_bytes(&w.c, record.data, record.size), -EPROTONOSUPPORT);
	}
	build(&w);
	catalog_save(&w.c, &saved);
	for (uint8_t older = 1; older <= 3; older++) {
		saved.data[SAVED_SERVICES]--;
		assert_false(catalog_restore(&untouched, saved.data, saved.size));
	}
	assert_int_equal(untouched.applied, 77);
	bytes_free(&record);
	bytes_free(&saved);
	catalog_fini(&w.c);
}

static void test_hostile_facts(void **state)
{
	struct fact facts[] = {{.kind = FACT_JOINED, .who = {.node = 2, .side = SIDE_BACKEND, .id = "h/eth1"}},
			       {.kind = FACT_ACTIVE, .service = 1, .number = 13},
			       {.kind = FACT_DOWN, .service = 1, .number = 3},
			       {.kind = FACT_UP, .service = 1, .number = 3},
			       {.kind = FACT_LEFT, .who = {.node = 2, .id = "h/eth1"}},
			       {.kind = FACT_LATENCY, .service = 1, .number = 3, .us = 5000, .percent = 40},
			       {.kind = FACT_TUNNEL, .from = ip("fd02::7")},
			       {.kind = FACT_TUNNEL_GONE, .from = ip("10.2.0.9")}};
	struct world w = {0};
	struct bytes record = {0};

	(void)state;
	build(&w);
	reporter(&w, FACT_JOINED, 1, SIDE_BALANCER, "h/eth0");
	assert_int_equal(backend(&w, BACKEND_DRAIN, "web", "10.2.0.7", -1, -1), SERVICE_CHANGED);
	facts_put(&record, facts, sizeof facts / sizeof facts[0]);
	for (size_t size = 9; size < record.size; size++)
		assert_int_equal(apply_bytes(&w.c, record.data, size), -EBADMSG);
	bytes_put_u8(&record, 0);
	assert_int_equal(apply_bytes(&w.c, record.data, record.size), -EBADMSG);
	record.size--;
	for (size_t at = 9; at < record.size; at++)
		for (int value = 0; value < 256; value++) {
			uint8_t before = record.data[at];
			int r;

			record.data[at] = (uint8_t)value;
			r = apply_bytes(&w.c, record.data, record.size);
			assert_true(r == 0 || r == -EBADMSG || (at == 9 && r == -EPROTONOSUPPORT));
			record.data[at] = before;
		}
	bytes_free(&record);
	still_sound(&w);
	catalog_fini(&w.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_retirement),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_lost_flows),
		cmocka_unit_test(test_set_takes_what_is_given),
		cmocka_unit_test(test_applied_once),
		cmocka_unit_test(test_two_steps),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_the_dead_have_their_weight),
		cmocka_unit_test(test_latencies),
		cmocka_unit_test(test_reporters),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_refused_services),
		cmocka_unit_test(test_refused_settings),
		cmocka_unit_test(test_refused_backends),
		cmocka_unit_test(test_removed_by_dnat),
		cmocka_unit_test(test_quic_ids),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_older_forms),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_hostile_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
