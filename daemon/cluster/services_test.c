/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the services: what is taken, and what is refused. */
#include "cluster/services_log.h"

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
		{BACKEND_ADD, "nat", "10.1.1.4", 8080, 1, REFUSED_BACKEND_IS_VIP}, /* another service's */
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
	assert_int_equal(add(&w, "behind", "10.2.0.2", SERVICE_TCP, 443, DELIVER_DNAT), REFUSED_VIP_IS_BACKEND);
	assert_null(find(&w, "behind"));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generations),
		cmocka_unit_test(test_set_takes_what_is_given),
		cmocka_unit_test(test_applied_once),
		cmocka_unit_test(test_refused_services),
		cmocka_unit_test(test_refused_settings),
		cmocka_unit_test(test_refused_backends),
		cmocka_unit_test(test_removed_by_dnat),
		cmocka_unit_test(test_quic_ids),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
