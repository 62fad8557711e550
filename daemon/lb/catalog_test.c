/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/catalog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char good[] =
	"{\"version\":7,\"secret\":\"0123456789abcdef00000000000000ff\",\"balancers\":[\"10.2.0.9\",\"fd02::9\"],\"services\":[{\"id\":1,"
	"\"name\":\"web\",\"vip\":\"10.1.1.1\",\"proto\":\"tcp\",\"port\":80,\"scheduler\":\"maglev\",\"deliver\":\"ipip\",\"chain\":true,"
	"\"affinity\":true,\"limit\":0,\"limit_source\":50,\"limit_prefix\":[{\"prefix\":\"10.66.0.0/16\",\"rate\":7}],\"syn_cookies\":\"auto\",\"syn_rate\":500,\"quic_config\":\"none\",\"allow\":[\"10.0.0.0/8\"],\"deny\":[\"10.9.9.9\"],\"check\":\"tcp\",\"secret\":\"00\","
	"\"backends\":[\"1 10.2.0.1 80\",\"2 fd02::2 0\"],"
	"\"removed\":[\"7 10.2.0.7 81\"],"
	"\"generations\":[{\"number\":1,\"shares\":\"9:1\"},"
	"{\"number\":2,\"shares\":\"1:3 2:0\"}]}]}";

static void test_everything_is_read(void **state)
{
	struct lb_catalog c;
	struct catalog_service *s;
	char error[256] = "";

	(void)state;
	assert_int_equal(lb_catalog_parse(&c, good, error, sizeof error), 0);
	assert_int_equal(c.version, 7);
	assert_true(c.secret[0] == 0x0123456789abcdefu && c.secret[1] == 0xff);
	assert_int_equal(c.balancer_count, 2);
	assert_int_equal(c.balancers[1].family, LB_IP6);
	assert_int_equal(c.service_count, 1);
	s = &c.services[0];
	assert_string_equal(s->name, "web");
	assert_int_equal(s->vip.addr.word[0], inet_addr("10.1.1.1"));
	assert_int_equal(s->vip.port, htons(80));
	assert_int_equal(s->vip.proto, IPPROTO_TCP);
	assert_true(s->chain && s->affinity && !s->even);
	assert_int_equal(s->prefix_count, 2);
	assert_int_equal(s->prefixes[0].bits, 8);
	assert_int_equal(s->prefixes[1].bits, 32);
	assert_true(!s->prefixes[0].deny && s->prefixes[1].deny);
	assert_int_equal(s->backend_count, 3);
	assert_int_equal(s->backends[1].at.family, LB_IP6);
	assert_true(s->backends[0].port == 80 && s->backends[1].port == 0 && s->backends[2].port == 81);
	assert_true(!s->backends[1].removed && s->backends[2].removed);
	assert_int_equal(s->check, CHECK_TCP);
	assert_int_equal(s->syn_cookies, SYN_COOKIES_AUTO);
	assert_int_equal(s->syn_rate, 500);
	assert_int_equal(s->generation_count, 2); /* an earlier one may name who is gone */
	assert_int_equal(s->generations[1].shares[0].weight, 3);
	assert_true(s->generations[0].number == 1 && s->generations[1].number == 2);
	assert_int_equal(s->flow_idle_s, 7800);
	assert_true(s->check_terms.interval_ms == 2000 && s->check_terms.timeout_ms == 1000); /* nothing is said of them */
	assert_true(s->check_terms.rise == 2 && s->check_terms.fall == 3);
	assert_int_equal(s->limit_source, 50);
	assert_int_equal(s->limit_count, 1);
	assert_true(s->limits[0].rate == 7 && s->limits[0].bits == 16 && s->limits[0].at.addr.word[0] == inet_addr("10.66.0.0"));
	lb_catalog_free(&c);
}

/* [two steps]: the generation to come is told beside the active one. */
static void test_a_prepared_generation(void **state)
{
	struct lb_catalog c;
	char error[256] = "", *text = NULL;

	(void)state;
	assert_true(asprintf(&text, "%.*s,\"prepared\":{\"number\":3,\"version\":7,\"shares\":\"%d:4\"}}]}", (int)strlen(good) - 3, good,
			     2) > 0);
	assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), 0);
	assert_int_equal(c.services[0].generation_count, 2);
	assert_true(c.services[0].has_prepared && c.services[0].prepared.share_count == 1);
	assert_int_equal(c.services[0].prepared.shares[0].weight, 4);
	lb_catalog_free(&c);
	strstr(text, "\"prepared\"")[strlen("\"prepared\":{\"number\":3,\"version\":7,\"shares\":\"")] = '3';
	assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "the prepared generation has a backend 3 that isn't listed"));
	free(text);
	assert_int_equal(lb_catalog_parse(&c, good, error, sizeof error), 0);
	assert_false(c.services[0].has_prepared);
	lb_catalog_free(&c);
}

/* The good one, but with three backends of these weights in the active generation, of which some are down. */
static char *with_backends(const uint16_t weight[3], const bool down[3])
{
	const char *backends = strstr(good, "\"backends\"");
	char *text = NULL;

	assert_true(asprintf(&text,
			     "%.*s\"backends\":[\"1 10.2.0.1 0%s\",\"2 10.2.0.2 0%s\",\"3 10.2.0.3 0%s\"],\"generations\":[{\"number\":1,\"shares\":\"1:%u 2:%u 3:%u\"}]}]}",
			     (int)(backends - good), good, down[0] ? " down" : "", down[1] ? " down" : "", down[2] ? " down" : "", weight[0], weight[1], weight[2]) > 0);
	return text;
}

static void test_who_is_dead(void **state)
{
	static const bool nobody[3] = {false};
	static const struct {
		const char *what;
		uint16_t weight[3]; /* in the active generation */
		bool down[3], dead[3];
	} rows[] = {
		{"all live", {1, 1, 1}, {0, 0, 0}, {0, 0, 0}},
		{"one is down, and has no weight any more", {1, 0, 1}, {0, 1, 0}, {0, 1, 0}},
		{"one is drained, and lives", {1, 0, 1}, {0, 0, 0}, {0, 0, 0}},
		{"[generations] all are down: those of the last table stay", {0, 0, 1}, {1, 1, 1}, {1, 1, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = with_backends(rows[i].weight, rows[i].down), *living = with_backends(rows[i].weight, nobody), error[256] = "";
		struct lb_catalog c, l;
		bool any = false;

		assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), 0);
		assert_int_equal(lb_catalog_parse(&l, living, error, sizeof error), 0);
		for (unsigned b = 0; b < 3; b++) {
			if (c.services[0].backends[b].dead != rows[i].dead[b])
				fail_msg("%s: backend %u is %s", rows[i].what, b + 1, rows[i].dead[b] ? "alive" : "dead");
			any |= rows[i].dead[b];
		}
		assert_int_equal(c.services[0].digest != l.services[0].digest, any); /* or the data plane would not look at it again */
		lb_catalog_free(&c);
		lb_catalog_free(&l);
		free(text);
		free(living);
	}
}

/* The good one with a piece of it replaced. */
static char *changed(const char *from, const char *to)
{
	const char *at = strstr(good, from);
	char *text = NULL;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
	return text;
}

static void test_a_mistake_refuses_the_whole(void **state)
{
	static const struct {
		const char *from, *to, *why; /* what the message names */
	} rows[] = {
		{"{\"version\"", "{{\"version\"", "no JSON"},
		{"{\"version\":7", "[7", "no JSON"},
		{"\"version\":7", "\"version\":-7", "version"},
		{"\"version\":7", "\"version\":7,\"version\":8", "no JSON"},
		{"0123456789abcdef00", "0123456789abcdef", "secret"},
		{"0123456789abcdef00", "0123456789abcdef0000", "secret"},
		{"0123456789abcdef00", "+x23456789abcdef00", "secret"},
		{"\"10.2.0.9\"", "9", "balancer"},
		{"\"balancers\"", "\"balancer\"", "balancers"},
		{"\"services\":[", "\"services\":[1,", "name"},
		{"\"name\":\"web\"", "\"name\":\"0123456789012345678901234567890123456789012345678901234567890123\"", "too long"},
		{"\"id\":1", "\"id\":0", "\"web\": \"id\""},
		{"10.1.1.1", "10.1.1", "VIP"},
		{"\"tcp\"", "\"sctp\"", "sctp"},
		{"\"port\":80", "\"port\":65536", "port"},
		{"\"port\":80", "\"port\":\"80\"", "port"},
		{"maglev", "best", "best"},
		{"ipip", "pigeon", "pigeon"},
		{"\"chain\":true", "\"chain\":1", "chain"},
		{"\"limit\":0", "\"limit\":1000000001", "limit"},
		{"\"limit\":0", "\"limit\":0,\"check_interval_ms\":99", "check_interval_ms"},
		{"\"limit\":0", "\"limit\":0,\"check_interval_ms\":3600001", "check_interval_ms"},
		{"\"limit\":0", "\"limit\":0,\"check_interval_ms\":500,\"check_timeout_ms\":450", "check_timeout_ms"},
		{"\"limit\":0", "\"limit\":0,\"check_timeout_ms\":9", "check_timeout_ms"},
		{"\"limit\":0", "\"limit\":0,\"check_rise\":0", "check_rise"},
		{"\"limit\":0", "\"limit\":0,\"check_rise\":101", "check_rise"},
		{"\"limit\":0", "\"limit\":0,\"check_fall\":\"3\"", "check_fall"},
		{"\"limit_source\":50", "\"limit_source\":1000000001", "limit_source"},
		{"\"rate\":7", "\"rate\":1000000001", "rate"},
		{"\"rate\":7", "\"rate\":\"7\"", "rate"},
		{"10.66.0.0/16", "10.66.0.0/33", "10.66.0.0/33"},
		{"10.66.0.0/16", "fd00::/16", "family"},
		{"[{\"prefix\"", "[1,{\"prefix\"", "prefix"},
		{"[{\"prefix\":\"10.66.0.0/16\",\"rate\":7}]", "{}", "limit_prefix"},
		{"\"auto\"", "\"on\"", "\"syn_cookies\" is \"on\""},
		{"\"quic_config\":\"none\"", "\"quic_config\":\"7:4\"", "7:4"},
		{"\"quic_config\":\"none\"", "\"quic_config\":4", "quic_config"},
		{"\"quic_config\":\"none\"", "\"quic_config\":\"1:4\"", "\"1:4\", which this service can't have"}, /* TCP */
		{"fd02::2 0", "fd02::2 0 quic=c0ffe", "quic=c0ffe"},
		{"\"syn_rate\":500", "\"syn_rate\":-1", "syn_rate"},
		{"\"check\":\"tcp\"", "\"check\":\"smtp\"", "smtp"},
		{"\"check\":\"tcp\"", "\"check\":\"tcp:/x\"", "tcp:/x"},
		{"\"check\":\"tcp\"", "\"check\":\"http\"", "http"},
		{"\"check\":\"tcp\"", "\"check\":\"http:x\"", "http:x"},
		{"\"check\":\"tcp\"", "\"check\":\"https:/x HTTP/1.0\\r\\n\"", "https:/x"},
		{"\"check\":\"tcp\"", "\"limits\":0", "check"},
		{"1 10.2.0.1 80", "1 10.2.0.1 -1", "port"},
		{"10.0.0.0/8", "10.0.0.0/33", "10.0.0.0/33"},
		{"10.0.0.0/8", "10.0.0.0/", "10.0.0.0/"},
		{"10.0.0.0/8", "10.0.0.0/8x", "10.0.0.0/8x"},
		{"10.0.0.0/8", "fd00::/8", "family"},
		{"1 10.2.0.1 80", "1 here 80", "here"},
		{"\"2 fd02::2", "\"1 fd02::2", "two backends"},
		{"\"2 fd02::2", "\"7 fd02::2", "two backends"},
		{"1 10.2.0.1 80\",\"2 ", "2 10.2.0.1 80\",\"1 fd02::3 0\",\"2 ", "two backends"},
		{"\"2 fd02::2", "\"0 fd02::2", "id"},
		{"\"2 fd02::2", "\"-2 fd02::2", "id"},
		{"\"2 fd02::2", "\"2 fd02::2  ", "not an id"},
		{"1 10.2.0.1 80", "1 10.2.0.1", "not an id"},
		{"1 10.2.0.1 80", "1 10.2.0.1 80 up", "\"up\""},
		{"1 10.2.0.1 80", "1 10.2.0.1 80  down", "know"},
		{"1 10.2.0.1 80", "1 10.2.0.1 80 quic=", "quic="},
		{"\"1 10.2.0.1 80\"", "{}", "not an id"},
		{"1 10.2.0.1 80", "1 10.2.0.1 65536", "port"},
		{"1:3 2:0", "3:3 2:0", "backend 3"},
		{"1:3 2:0", "1:65536 2:0", "no pairs"},
		{"\"generations\":[", "\"generations\":[{},", "shares"},
		{"\"number\":2", "\"number\":0", "number"},
		{"\"limit\":0", "\"limit\":0,\"flow_idle\":0", "flow_idle"},
		{"\"limit\":0", "\"limit\":0,\"flow_idle\":604801", "flow_idle"},
		{"\"limit\":0", "\"limit\":0,\"slow_start\":86401", "slow_start"},
		{"1:3 2:0", "1-:3 2:0", "no pairs"},
		{"1:3 2:0", "2-1:3", "no pairs"},
		{"1:3 2:0", "1-3:1", "backend 3"},
		{"1:3 2:0", "1-1025:1", "no pairs"},
		{"1:3 2:0", "1-1024:1 2:1", "more than"},
		{"1:3 2:0", "1:3  2:0", "no pairs"},
		{"1:3 2:0", "1:3 2:", "no pairs"},
		{"1:3 2:0", "1:3 2", "no pairs"},
		{"1:3 2:0", "1:3 2:65536", "no pairs"},
		{"1:3 2:0", "1:3 2:-1", "no pairs"},
		{"1:3 2:0", "1:3 -2:1", "no pairs"},
		{"1:3 2:0", "0:3 2:1", "no pairs"},
		{"1:3 2:0", "1:3 9223372036854775808:1", "no pairs"},
		{"1:3 2:0", "1:3 2:0;", "no pairs"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct lb_catalog c = {.version = 42};
		char *text = changed(rows[i].from, rows[i].to), error[256] = "";

		assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), -EINVAL);
		assert_int_equal(c.version, 42); /* untouched */
		if (!strstr(error, rows[i].why))
			fail_msg("%s: the message \"%s\" doesn't name %s", rows[i].to, error, rows[i].why);
		free(text);
	}
}

/* Or the data plane would not look at it again. */
static void test_another_limit_is_another_digest(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {{"\"limit\":0", "\"limit\":1"},
		    {"\"limit_source\":50", "\"limit_source\":51"},
		    {"\"rate\":7", "\"rate\":8"},
		    {"10.66.0.0/16", "10.66.0.0/17"},
		    {"10.66.0.0/16", "10.67.0.0/16"}};
	struct lb_catalog as_it_was;
	char error[256] = "";

	(void)state;
	assert_int_equal(lb_catalog_parse(&as_it_was, good, error, sizeof error), 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = changed(rows[i].from, rows[i].to);
		struct lb_catalog c;

		assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), 0);
		if (c.services[0].digest == as_it_was.services[0].digest)
			fail_msg("%s makes no difference", rows[i].to);
		lb_catalog_free(&c);
		free(text);
	}
	lb_catalog_free(&as_it_was);
}

static void test_check_terms(void **state)
{
	char *text = changed("\"limit\":0",
			     "\"limit\":0,\"check_interval_ms\":500,\"check_timeout_ms\":449,\"check_rise\":1,\"check_fall\":100"),
	     error[256] = "";
	struct lb_catalog c;

	(void)state;
	if (lb_catalog_parse(&c, text, error, sizeof error) < 0)
		fail_msg("%s", error);
	assert_true(c.services[0].check_terms.interval_ms == 500 && c.services[0].check_terms.timeout_ms == 449);
	assert_true(c.services[0].check_terms.rise == 1 && c.services[0].check_terms.fall == 100);
	lb_catalog_free(&c);
	free(text);
}

static void test_quic(void **state)
{
	static const char line[] = "fd02::2 0 quic=c0ffee02";
	const char *at = strstr(good, "fd02::2 0"), *proto = strstr(good, "\"tcp\""), *config = strstr(good, "\"none\"");
	struct lb_catalog c, other;
	char *text, error[256] = "";

	(void)state;
	assert_true(asprintf(&text, "%.*s\"quic\"%.*s\"1:4\"%.*s%s%s", (int)(proto - good), good, (int)(config - proto - 5), proto + 5,
			     (int)(at - config - 6), config + 6, line, at + strlen("fd02::2 0")) > 0);
	if (lb_catalog_parse(&c, text, error, sizeof error) < 0)
		fail_msg("%s", error);
	assert_true(c.services[0].quic.number == 1 && c.services[0].quic.id_size == 4);
	assert_int_equal(c.services[0].backends[0].quic_id.size, 0);
	assert_memory_equal(c.services[0].backends[1].quic_id.bytes, "\xc0\xff\xee\x02\0\0\0", 8);
	/* Or the data plane would not look at it again. */
	strstr(text, "c0ffee02")[7] = '3';
	assert_int_equal(lb_catalog_parse(&other, text, error, sizeof error), 0);
	assert_true(c.services[0].digest != other.services[0].digest);
	lb_catalog_free(&other);
	strstr(text, "c0ffee03")[7] = '2';
	strstr(text, "1:4")[0] = '2';
	assert_int_equal(lb_catalog_parse(&other, text, error, sizeof error), 0);
	assert_true(c.services[0].digest != other.services[0].digest);
	lb_catalog_free(&other);
	lb_catalog_free(&c);
	free(text);
}

static void test_two_services_at_one_vip_and_port_are_refused(void **state)
{
	const char *first = strstr(good, "{\"id\":1,\"name\"");
	struct lb_catalog c;
	char *text, error[256];

	(void)state;
	assert_true(asprintf(&text, "%.*s,%s", (int)(strlen(good) - 2), good, first) > 0);
	assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), -EINVAL);
	assert_non_null(strstr(error, "one VIP"));
	free(text);
}

static void test_every_delivery_is_known(void **state)
{
	static const char *const words[] = {[LB_IPIP] = "ipip", [LB_GUE] = "gue", [LB_DSR] = "dsr", [LB_DNAT] = "dnat", [LB_SNAT] = "snat"};

	(void)state;
	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		char *text = changed("ipip", words[i]), error[256];
		struct lb_catalog c;

		assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), 0);
		assert_int_equal(c.services[0].delivery, i);
		lb_catalog_free(&c);
		free(text);
	}
}

static void test_each_check_is_read(void **state)
{
	static const struct {
		const char *text;
		enum check_kind kind;
		const char *path;
	} rows[] = {
		{"none", CHECK_NONE, ""},   {"tcp", CHECK_TCP, ""},     {"http:/health?full=1", CHECK_HTTP, "/health?full=1"},
		{"redis", CHECK_REDIS, ""}, {"kafka", CHECK_KAFKA, ""}, {"https:/", CHECK_HTTPS, "/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char to[64], error[256] = "", *text;
		struct lb_catalog c;

		(void)snprintf(to, sizeof to, "\"check\":\"%s\"", rows[i].text);
		text = changed("\"check\":\"tcp\"", to);
		assert_int_equal(lb_catalog_parse(&c, text, error, sizeof error), 0);
		assert_int_equal(c.services[0].check, rows[i].kind);
		assert_string_equal(c.services[0].check_path, rows[i].path);
		lb_catalog_free(&c);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_read),
		cmocka_unit_test(test_a_prepared_generation),
		cmocka_unit_test(test_who_is_dead),
		cmocka_unit_test(test_a_mistake_refuses_the_whole),
		cmocka_unit_test(test_each_check_is_read),
		cmocka_unit_test(test_another_limit_is_another_digest),
		cmocka_unit_test(test_check_terms),
		cmocka_unit_test(test_quic),
		cmocka_unit_test(test_two_services_at_one_vip_and_port_are_refused),
		cmocka_unit_test(test_every_delivery_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
