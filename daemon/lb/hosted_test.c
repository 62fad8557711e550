/* SPDX-License-Identifier: Apache-2.0 */
/* A service whose VIP is an address on loopback, that this process serves, or doesn't. */
#include "lb/hosted.h"

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

#define LOOKS_MAX 10000

/* The service has backends 4 and 5; 5 is this host. Of two generations the first one is that of 4 and 5. */
struct world {
	struct lb_catalog catalog;
	struct catalog_service service;
	struct catalog_backend backends[2];
	struct catalog_share before[2], active[2];
	struct hosted hosted;
	struct sockaddr_in at;
	int listener, client, server;
};

static void follow(struct world *w)
{
	const bool here[2] = {false, true};

	hosted_add(&w->hosted, &w->catalog, &w->service, here);
	hosted_follow(&w->hosted);
}

/* At the port that it had, if it had one. */
static void serve(struct world *w)
{
	const int one = 1;
	socklen_t size = sizeof w->at;

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(w->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&w->at, sizeof w->at), 0);
	assert_int_equal(listen(w->listener, 8), 0);
	assert_int_equal(getsockname(w->listener, (struct sockaddr *)&w->at, &size), 0);
}

static void connect_one(struct world *w)
{
	w->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(w->client, (struct sockaddr *)&w->at, sizeof w->at), 0);
	w->server = accept(w->listener, NULL, NULL);
	assert_true(w->server >= 0);
}

static void world_init(struct world *w, uint16_t weight_here)
{
	*w = (struct world){.at = {.sin_family = AF_INET},
			    .service = {.id = 3, .scheduler = LB_TWO_CHOICES, .delivery = LB_IPIP, .generation_count = 2}};
	w->at.sin_addr.s_addr = htonl(0x7f510000 | ((uint32_t)getpid() & 0xffff));
	serve(w);
	w->service.vip =
		(struct lb_vip){.addr.word[0] = w->at.sin_addr.s_addr, .port = w->at.sin_port, .proto = IPPROTO_TCP, .family = LB_IP4};
	w->service.backends = w->backends;
	w->service.backend_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		w->backends[i].id = 4 + i;
		w->before[i] = (struct catalog_share){4 + i, 1};
		w->active[i] = (struct catalog_share){4 + i, i ? weight_here : 1};
	}
	w->service.generations[0] = (struct catalog_generation){7, w->before, 2};
	w->service.generations[1] = (struct catalog_generation){8, w->active, 2};
	w->catalog = (struct lb_catalog){.services = &w->service, .service_count = 1};
	hosted_init(&w->hosted);
	follow(w);
}

static void world_fini(struct world *w)
{
	hosted_follow(&w->hosted); /* nothing is hosted any more */
	free(w->hosted.vips);
	free(w->hosted.services);
	maglev_cache_fini(&w->hosted.maglevs);
	(void)close(w->hosted.netlink);
	(void)close(w->listener);
}

/* "5:2" is two sockets by backend 5; "-": nothing is said. */
static const char *text(const struct lb_figure *list, uint32_t count, char said[32])
{
	(void)snprintf(said, 32, "-");
	for (uint32_t i = 0, at = 0; i < count; i++) {
		assert_int_equal(list[i].backend.service, 3);
		at += (uint32_t)snprintf(said + at, 32 - at, "%s%u:%u", i ? " " : "", (unsigned)list[i].backend.backend, list[i].value);
	}
	return said;
}

static uint32_t open_ones(struct world *w)
{
	struct lb_borne b;

	hosted_count(&w->hosted, &b);
	free(b.sockets);
	free(b.led);
	return w->hosted.count ? w->hosted.vips[0].open : 0;
}

/* At the last of so many looks as make sure. */
static void said_is(struct world *w, const char *sockets, const char *led)
{
	char said[32];
	struct lb_borne b;

	for (uint32_t i = 1; i < HOSTED_LED_LOOKS; i++)
		(void)open_ones(w);
	hosted_count(&w->hosted, &b);
	assert_string_equal(text(b.sockets, b.socket_count, said), sockets);
	assert_string_equal(text(b.led, b.led_count, said), led);
	free(b.sockets);
	free(b.led);
}

static void hang_up(struct world *w)
{
	(void)close(w->client);
	(void)close(w->server);
	for (int tries = 0; tries < LOOKS_MAX && open_ones(w); tries++)
		; /* the last packets may be under way */
}

/* Where nobody has seen a socket of it, it may be served elsewhere; and where nobody listens. */
static void test_only_what_is_seen(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 0);
	said_is(&w, "-", "-");
	connect_one(&w);
	said_is(&w, "5:1", "-"); /* led elsewhere: this host has no weight any more */
	hang_up(&w);
	said_is(&w, "5:0", "5:8");
	follow(&w); /* what is known of it stays */
	said_is(&w, "5:0", "5:8");
	(void)close(w.listener);
	said_is(&w, "-", "-");
	serve(&w);
	said_is(&w, "-", "-");
	world_fini(&w);
}

static void test_who_has_weight_is_led(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1);
	w.active[0].weight = 0;
	follow(&w);
	connect_one(&w);
	said_is(&w, "5:1", "5:8");
	w.service.scheduler = LB_MAGLEV;
	follow(&w);
	said_is(&w, "-", "5:8");
	w.service.generations[0] = w.service.generations[1];
	w.service.generation_count = 1; /* then nobody asks */
	follow(&w);
	said_is(&w, "-", "-");
	w.service.scheduler = LB_TWO_CHOICES;
	follow(&w);
	said_is(&w, "5:1", "-");
	hang_up(&w);
	world_fini(&w);
}

/* One look may have left out the only flow that matters. */
static void test_one_look_is_not_enough(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 0);
	connect_one(&w);
	(void)open_ones(&w);
	hang_up(&w);
	follow(&w); /* looks begin anew */
	for (uint32_t i = 1; i <= HOSTED_LED_LOOKS; i++) {
		struct lb_borne b;

		hosted_count(&w.hosted, &b);
		assert_int_equal(b.led_count, i == HOSTED_LED_LOOKS);
		free(b.sockets);
		free(b.led);
	}
	world_fini(&w);
}

static void test_nat_and_datagrams(void **state)
{
	static const struct {
		enum lb_delivery delivery;
		uint8_t proto;
		uint32_t hosted;
	} cases[] = {{LB_IPIP, IPPROTO_TCP, 1}, {LB_GUE, IPPROTO_TCP, 1},  {LB_DSR, IPPROTO_TCP, 1},
		     {LB_DNAT, IPPROTO_TCP, 0}, {LB_SNAT, IPPROTO_TCP, 0}, {LB_IPIP, IPPROTO_UDP, 0}};
	struct world w;

	(void)state;
	world_init(&w, 1);
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		w.service.delivery = (uint8_t)cases[i].delivery;
		w.service.vip.proto = cases[i].proto;
		follow(&w);
		assert_int_equal(w.hosted.count, cases[i].hosted);
	}
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_is_seen),
		cmocka_unit_test(test_who_has_weight_is_led),
		cmocka_unit_test(test_one_look_is_not_enough),
		cmocka_unit_test(test_nat_and_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
