/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of this process, on loopback: all of 127/8 is here, so its addresses do for VIPs; other runs of this have others. */
#include "lb/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS_MAX 8
#define LOOKS_MAX 10000

static char here[32], other[32];

/* Both ends of connections. */
struct pairs {
	int client[PAIRS_MAX], server[PAIRS_MAX];
	uint32_t count;
};

static struct lb_vip vip(const char *address, uint16_t port)
{
	struct lb_vip v = {.port = htons(port), .proto = IPPROTO_TCP, .family = strchr(address, ':') ? LB_IP6 : LB_IP4};

	assert_int_equal(inet_pton(v.family == LB_IP6 ? AF_INET6 : AF_INET, address, &v.addr), 1);
	return v;
}

/* At a port that the kernel chooses, in *ret_port. -1: there is no IPv6 here. */
static int listener(const char *address, bool v6_only, uint16_t *ret_port)
{
	const int one = v6_only;
	struct sockaddr_in6 at6 = {.sin6_family = AF_INET6};
	struct sockaddr_in at = {.sin_family = AF_INET};
	bool v6 = strchr(address, ':');
	struct sockaddr *to = v6 ? (struct sockaddr *)&at6 : (struct sockaddr *)&at;
	socklen_t size = v6 ? sizeof at6 : sizeof at;
	int s = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -1;
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, v6 ? (void *)&at6.sin6_addr : (void *)&at.sin_addr), 1);
	if (v6)
		assert_int_equal(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one), 0);
	if (bind(s, to, size) < 0) {
		(void)close(s);
		return -1;
	}
	assert_int_equal(listen(s, PAIRS_MAX), 0);
	assert_int_equal(getsockname(s, to, &size), 0);
	*ret_port = ntohs(v6 ? at6.sin6_port : at.sin_port);
	return s;
}

static void connect_to(struct pairs *p, int at, const char *address, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(c >= 0 && p->count < PAIRS_MAX);
	assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
	assert_int_equal(connect(c, (struct sockaddr *)&to, sizeof to), 0);
	p->client[p->count] = c;
	p->server[p->count] = accept(at, NULL, NULL);
	assert_true(p->server[p->count++] >= 0);
}

static void hang_up(struct pairs *p)
{
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->client[i] >= 0)
			(void)close(p->client[i]);
		if (p->server[i] >= 0)
			(void)close(p->server[i]);
	}
	p->count = 0;
}

static uint32_t count_at(struct vip_sockets *list, uint32_t count, const char *address, uint16_t port)
{
	struct lb_vip v = vip(address, port);
	const struct vip_sockets *s;
	int netlink = sockets_open();

	assert_true(netlink >= 0);
	sockets_sort(list, count);
	assert_int_equal(sockets_count(netlink, list, count), 0);
	(void)close(netlink);
	s = sockets_find(list, count, &v);
	assert_non_null(s);
	return s->open;
}

static void test_each_place_has_its_own(void **state)
{
	struct pairs p = {0};
	uint16_t port;
	int s = listener("0.0.0.0", false, &port);
	struct vip_sockets list[] = {
		{.vip = vip(other, port)}, {.vip = vip(here, 0)}, {.vip = vip(here, port)}, {.vip = vip("fd01::1", port)}};

	(void)state;
	connect_to(&p, s, here, port);
	connect_to(&p, s, here, port);
	connect_to(&p, s, other, port);
	connect_to(&p, s, "127.80.0.1", port);
	assert_int_equal(count_at(list, 4, here, port), 2);
	assert_int_equal(count_at(list, 4, other, port), 1);
	assert_int_equal(count_at(list, 4, here, 0), 0); /* what has a place of its own */
	assert_int_equal(count_at(list, 4, "fd01::1", port), 0);
	list[0] = (struct vip_sockets){.vip = vip(here, 0)};
	assert_int_equal(count_at(list, 1, here, 0), 2);
	hang_up(&p);
	(void)close(s);
}

static void test_a_listener_of_both_families(void **state)
{
	struct pairs p = {0};
	uint16_t port;
	int s = listener("::", false, &port);
	struct vip_sockets list[] = {{.vip = vip("fd01::1", port)}, {.vip = vip(here, port)}};

	(void)state;
	if (s < 0)
		skip();
	connect_to(&p, s, here, port);
	assert_int_equal(count_at(list, 2, here, port), 1);
	assert_true(list[0].listens && list[1].listens);
	hang_up(&p);
	(void)close(s);
}

static void test_who_listens(void **state)
{
	static const struct {
		const char *at;
		bool v6_only;
		bool vip, beside, six;
	} cases[] = {
		{"0.0.0.0", false, true, true, false}, {here, false, true, false, false}, {"127.80.0.2", false, false, false, false},
		{"::", false, true, true, true},       {"::", true, false, false, true},
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint16_t port;
		int s = listener(cases[i].at, cases[i].v6_only, &port);
		struct vip_sockets list[] = {
			{.vip = vip(here, port)}, {.vip = vip(other, port)}, {.vip = vip("fd01::1", port)}, {.vip = vip(here, 0)}};
		const struct lb_vip at[] = {list[0].vip, list[1].vip, list[2].vip, list[3].vip};

		if (s < 0)
			continue;
		assert_int_equal(count_at(list, 4, here, port), 0);
		assert_int_equal(sockets_find(list, 4, &at[0])->listens, cases[i].vip);
		assert_int_equal(sockets_find(list, 4, &at[1])->listens, cases[i].beside);
		assert_int_equal(sockets_find(list, 4, &at[2])->listens, cases[i].six);
		assert_false(sockets_find(list, 4, &at[3])->listens);
		(void)close(s);
	}
}

/* One that the client has ended still carries its flow; one that both have, and this side first, doesn't. */
static void test_as_long_as_it_matters(void **state)
{
	struct pairs p = {0};
	char byte;
	uint16_t port;
	int s = listener(here, false, &port);
	struct vip_sockets list[] = {{.vip = vip(here, port)}};

	(void)state;
	connect_to(&p, s, here, port);
	connect_to(&p, s, here, port);
	assert_int_equal(shutdown(p.client[0], SHUT_WR), 0);
	assert_int_equal(read(p.server[0], &byte, 1), 0);
	assert_int_equal(count_at(list, 1, here, port), 2);
	(void)close(p.server[1]);
	assert_int_equal(read(p.client[1], &byte, 1), 0);
	p.server[1] = -1;
	assert_int_equal(count_at(list, 1, here, port), 2); /* the client may go on sending */
	(void)close(p.client[1]);
	p.client[1] = -1;
	for (int tries = 0; tries < LOOKS_MAX && count_at(list, 1, here, port) != 1; tries++)
		;                          /* the last packets may be under way */
	assert_int_equal(list[0].open, 1); /* TIME_WAIT */
	hang_up(&p);
	(void)close(s);
}

/* Who serves where its sockets aren't seen looks idle. */
static void test_seen_is_since_somebody_listens(void **state)
{
	struct pairs p = {0};
	uint16_t port;
	int s = listener(here, false, &port);
	struct vip_sockets list[] = {{.vip = vip(here, port)}};

	(void)state;
	assert_int_equal(count_at(list, 1, here, port), 0);
	assert_true(list[0].listens && !list[0].seen);
	connect_to(&p, s, here, port);
	assert_int_equal(count_at(list, 1, here, port), 1);
	assert_true(list[0].seen);
	hang_up(&p);
	for (int tries = 0; tries < LOOKS_MAX && count_at(list, 1, here, port) != 0; tries++)
		;
	assert_true(list[0].seen && !list[0].open);
	(void)close(s);
	assert_int_equal(count_at(list, 1, here, port), 0);
	assert_false(list[0].listens || list[0].seen);
}

/* From the client's side of a connection. */
static struct lb_flow flow_of(int client)
{
	struct sockaddr_in from, to;
	socklen_t size = sizeof from;

	assert_int_equal(getsockname(client, (struct sockaddr *)&from, &size), 0);
	assert_int_equal(getpeername(client, (struct sockaddr *)&to, &size), 0);
	return (struct lb_flow){.src.word[0] = from.sin_addr.s_addr,
				.dst.word[0] = to.sin_addr.s_addr,
				.sport = from.sin_port,
				.dport = to.sin_port,
				.proto = IPPROTO_TCP,
				.family = LB_IP4};
}

/* [generations] Those that the active generation leads elsewhere, by the very tuple that packets have. */
static void test_who_is_led_elsewhere(void **state)
{
	static const char *const listen_at[] = {"0.0.0.0", "::"};

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct pairs p = {0};
		uint16_t slots[256], port;
		int s = listener(listen_at[i], false, &port);
		struct lead lead = {.generation = 1, .scheduler = LB_MAGLEV, .secret = {3, 5}, .size = 256, .slots = slots};
		struct vip_sockets list[] = {{.vip = vip(here, port), .lead = &lead}};

		if (s < 0)
			continue;
		for (uint32_t k = 0; k < PAIRS_MAX; k++)
			connect_to(&p, s, here, port);
		for (uint32_t k = 0; k < PAIRS_MAX; k++) {
			struct lb_flow f = flow_of(p.client[k]);

			/* Of all slots this flow's alone is here, and that of any other only by chance. */
			memset(slots, 0, sizeof slots);
			for (uint32_t n = 0; n < 256; n++) {
				slots[n] = 1;
				if (lead_is_here(&lead, &f))
					break;
				slots[n] = 0;
			}
			assert_int_equal(count_at(list, 1, here, port), PAIRS_MAX);
			assert_in_range(list[0].astray, 1, PAIRS_MAX - 1);
		}
		memset(slots, 0xff, sizeof slots);
		(void)count_at(list, 1, here, port);
		assert_int_equal(list[0].astray, 0);
		hang_up(&p);
		(void)close(s);
	}
}

static void test_many_answers(void **state)
{
	struct pairs p = {0};
	struct vip_sockets list[CATALOG_SERVICES_MAX];
	uint16_t port;
	int s = listener("0.0.0.0", false, &port);

	(void)state;
	for (uint32_t i = 0; i < CATALOG_SERVICES_MAX; i++) {
		char address[32];

		(void)snprintf(address, sizeof address, "127.78.%u.%u", i / 250, 1 + i % 250);
		list[i] = (struct vip_sockets){.vip = vip(address, port)};
	}
	connect_to(&p, s, "127.78.0.1", port);
	connect_to(&p, s, "127.78.2.12", port);
	connect_to(&p, s, "127.78.2.12", port);
	assert_int_equal(count_at(list, CATALOG_SERVICES_MAX, "127.78.0.1", port), 1);
	assert_int_equal(count_at(list, CATALOG_SERVICES_MAX, "127.78.2.12", port), 2);
	assert_int_equal(count_at(list, CATALOG_SERVICES_MAX, "127.78.1.1", port), 0);
	hang_up(&p);
	(void)close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_place_has_its_own),
		cmocka_unit_test(test_a_listener_of_both_families),
		cmocka_unit_test(test_who_listens),
		cmocka_unit_test(test_as_long_as_it_matters),
		cmocka_unit_test(test_many_answers),
		cmocka_unit_test(test_seen_is_since_somebody_listens),
		cmocka_unit_test(test_who_is_led_elsewhere),
	};

	(void)snprintf(here, sizeof here, "127.77.%u.%u", (unsigned)getpid() >> 8 & 255, 1 + (unsigned)getpid() % 250);
	(void)snprintf(other, sizeof other, "127.79.%u.%u", (unsigned)getpid() >> 8 & 255, 1 + (unsigned)getpid() % 250);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
