/* SPDX-License-Identifier: Apache-2.0 */
/* The generations of a service's backends: two steps, deaths, latencies, retirement; and who reports. */
#include "cluster/services_log.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_steps),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_latencies),
		cmocka_unit_test(test_retirement),
		cmocka_unit_test(test_lost_flows),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_the_dead_have_their_weight),
		cmocka_unit_test(test_reporters),
		cmocka_unit_test(test_tunnels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
