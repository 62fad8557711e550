/* SPDX-License-Identifier: Apache-2.0 */
/* The services as records and snapshots, older and hostile ones too. */
#include "cluster/services_log.h"

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

/* The form itself, which nodes of one version must share: who changes it raises the version. */
static void test_form(void **state)
{
	static const char want[] = "0000000000000000" "0206" "01" "0200000000000000" "0300000000000000" "01" "0177" "040a010101" "00" "5000"
				   "000000010100000000000000000000000000781e000000000000000000000000d0070000e80300000203";
	const struct service_change c = adding("w", "10.1.1.1", SERVICE_TCP, 80, DELIVER_IPIP);
	char said[sizeof want + 256] = "";
	struct bytes record = {0};

	(void)state;
	service_change_put(&record, &c, &(struct change_origin){.node = 1, .incarnation = 2, .number = 3});
	for (size_t i = 0; i < record.size && i < sizeof said / 2 - 1; i++)
		(void)snprintf(said + 2 * i, 3, "%02x", record.data[i]);
	assert_string_equal(said, want);
	bytes_free(&record);
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
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_older_forms),
		cmocka_unit_test(test_hostile_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
