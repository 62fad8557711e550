/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *text;
	bool ok, host, loopback;
	const char *again; /* if it is written otherwise */
} addresses[] = {
	{"10.1.2.3", true, true, false, NULL},
	{"223.255.255.255", true, true, false, NULL},
	{"127.0.0.1", true, true, true, NULL},
	{"0.0.0.0", true, false, false, NULL},
	{"224.0.0.1", true, false, false, NULL},
	{"255.255.255.255", true, false, false, NULL},
	{"2001:DB8:0::1", true, true, false, "2001:db8::1"},
	{"::1", true, true, true, NULL},
	{"::", true, false, false, NULL},
	{"ff02::1", true, false, false, NULL},
	{"::ffff:10.1.2.3", true, false, false, NULL},
	{"10.1.2", false, false, false, NULL},
	{"10.1.2.256", false, false, false, NULL},
	{"10.1.2.3 ", false, false, false, NULL},
	{"fe80::1%eth0", false, false, false, NULL},
	{"web", false, false, false, NULL},
	{"", false, false, false, NULL},
};

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
		struct ip ip = {0}, back;
		struct bytes out = {0};
		struct cursor in;
		char text[IP_TEXT];

		assert_int_equal(ip_parse(&ip, addresses[i].text), addresses[i].ok);
		if (!addresses[i].ok) {
			assert_int_equal(ip.version, 0);
			continue;
		}
		ip_format(&ip, text);
		assert_string_equal(text, addresses[i].again ? addresses[i].again : addresses[i].text);
		assert_int_equal(ip_is_host(&ip), addresses[i].host);
		assert_int_equal(ip_is_loopback(&ip), addresses[i].loopback);
		ip_put(&out, &ip);
		in = cursor_of(out.data, out.size);
		back = ip_get(&in);
		assert_true(!in.bad && !cursor_left(&in) && ip_equal(&ip, &back));
		bytes_free(&out);
	}
}

/* What a service or a backend can have: NULL. The reason is looked for in what is said. */
static const struct {
	const char *text, *why_not;
} reachable[] = {
	{"10.1.2.3", NULL},
	{"1.0.0.0", NULL},
	{"223.255.255.255", NULL},
	{"169.254.1.1", NULL}, /* has one route, unlike IPv6's */
	{"2001:db8::1", NULL},
	{"fd00::1", NULL},
	{"fec0::1", NULL},
	{"fe7f::1", NULL},
	{"0.0.0.0", "nobody's"},
	{"0.255.255.255", "nobody's"},
	{"::", "nobody's"},
	{"127.0.0.1", "loopback"},
	{"127.255.255.255", "loopback"},
	{"::1", "loopback"},
	{"224.0.0.0", "multicast"},
	{"239.255.255.255", "multicast"},
	{"ff00::", "multicast"},
	{"ffff::1", "multicast"},
	{"240.0.0.0", "reserved"},
	{"255.255.255.254", "reserved"},
	{"255.255.255.255", "broadcast"},
	{"::ffff:10.1.2.3", "IPv4"},
	{"fe80::", "link-local"},
	{"febf:ffff::1", "link-local"},
};

static void test_reachable(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof reachable / sizeof reachable[0]; i++) {
		const char *want = reachable[i].why_not, *got;
		struct ip ip;

		assert_true(ip_parse(&ip, reachable[i].text));
		got = ip_why_unreachable(&ip);
		if (want ? !got || !strstr(got, want) : got != NULL)
			fail_msg("%s: %s, not %s", reachable[i].text, got ? got : "can be reached", want ? want : "that it can be reached");
	}
}

static const struct {
	const char *text;
	int want;
	const char *again;
} prefixes[] = {
	{"10.0.0.0/8", 0, "10.0.0.0/8"},
	{"0.0.0.0/0", 0, "0.0.0.0/0"},
	{"10.1.2.3", 0, "10.1.2.3/32"},
	{"10.1.2.128/25", 0, "10.1.2.128/25"},
	{"2001:db8::/32", 0, "2001:db8::/32"},
	{"2001:db8::1", 0, "2001:db8::1/128"},
	{"10.0.0.1/8", -EDOM, NULL},
	{"10.1.2.128/24", -EDOM, NULL},
	{"10.0.0.0/33", -EINVAL, NULL},
	{"2001:db8::/129", -EINVAL, NULL},
	{"10.0.0.0/", -EINVAL, NULL},
	{"10.0.0.0/-1", -EINVAL, NULL},
	{"10.0.0.0/0008", -EINVAL, NULL},
	{"/8", -EINVAL, NULL},
	{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", -EINVAL, NULL},
};

static void test_prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		struct ip_prefix p, back;
		struct bytes out = {0};
		struct cursor in;
		char text[IP_PREFIX_TEXT];

		assert_int_equal(ip_prefix_parse(&p, prefixes[i].text), prefixes[i].want);
		if (prefixes[i].want)
			continue;
		ip_prefix_format(&p, text);
		assert_string_equal(text, prefixes[i].again);
		ip_prefix_put(&out, &p);
		in = cursor_of(out.data, out.size);
		back = ip_prefix_get(&in);
		assert_true(!in.bad && !cursor_left(&in) && ip_prefix_equal(&p, &back));
		bytes_free(&out);
	}
}

/* What no encoder writes: another version, too many bits, bits behind the prefix, an end too early. */
static void test_hostile(void **state)
{
	static const struct {
		uint8_t data[8];
		size_t size;
	} bad[] = {{{5, 1, 2, 3, 4, 8}, 6}, {{4, 10, 0, 0, 0, 33}, 6}, {{4, 10, 0, 0, 1, 8}, 6}, {{4, 10, 0, 0}, 4}, {{0}, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct cursor in = cursor_of(bad[i].data, bad[i].size);

		(void)ip_prefix_get(&in);
		assert_true(in.bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_reachable), cmocka_unit_test(test_prefixes), cmocka_unit_test(test_hostile)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
