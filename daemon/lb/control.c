/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/control.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "lb/clock.h"
#include "lb/loads.h"
#include "log.h"

#define SOCKET_DEFAULT "/run/holdfast/holdfast.sock"
#define WAIT_MAX_MS 3600000 /* poll() takes no more than fits into an int */
#define COUNT_MS 1000
#define SETTLE_AFTER_MS 10 /* the second step of a change comes sooner, if all balancers are quick */
#define TICK_S 60 /* between looks at what expires by time */

const char *control_socket_default(void)
{
	const char *env = getenv("HOLDFAST_SOCKET");

	return env && *env ? env : SOCKET_DEFAULT;
}

int control_init(struct control *c)
{
	sigset_t signals;

	*c = (struct control){0};
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN); /* of scrapers that go away */
	c->signals = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	return c->signals < 0 ? -errno : 0;
}

static int start_tick(struct control *c)
{
	const struct itimerspec every = {.it_interval.tv_sec = TICK_S, .it_value.tv_sec = TICK_S};

	c->tick = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return c->tick < 0 || timerfd_settime(c->tick, 0, &every, NULL) < 0 ? -errno : 0;
}

static bool has_ticked(const struct control *c)
{
	uint64_t count;

	return read(c->tick, &count, sizeof count) == sizeof count;
}

static int start_sites(struct control *c)
{
	char error[256];
	int r = 0;

	for (int i = 0; r == 0 && i < CONTROL_SITES; i++)
		if (c->side.sites[i].address)
			r = scrape_start(&c->scrapes[i], &c->side.sites[i], error, sizeof error);
	if (r < 0)
		log_error("lbd: %s", error);
	return r;
}

static int start_checks(struct control *c)
{
	int r = c->side.backend ? 0 : prober_start(&c->prober);

	if (r < 0)
		log_error("lbd: can't start health checks error=\"%s\"", strerror(-r));
	return r;
}

int control_start(struct control *c, const struct control_side *side)
{
	char address[160];
	int r;

	c->side = *side;
	c->report = (struct lb_report){
		.announces = side->announcer && announce_on_lan(side->announcer),
		.routes = side->announcer && announce_by_bird(side->announcer),
		.snat4 = sources_have(side->sources, LB_IP4),
		.snat6 = sources_have(side->sources, LB_IP6),
	};
	c->look_ms = c->count_ms = c->settle_ms = c->settled_version = UINT64_MAX;
	earlier_init(&c->earlier, &side->earlier);
	(void)snprintf(address, sizeof address, "unix:%s", side->socket);
	r = start_tick(c);
	if (r == 0)
		r = start_checks(c);
	if (r == 0)
		r = start_sites(c);
	if (r == 0)
		r = report_start(&c->reporter, address, side->interface, side->backend, &c->report);
	if (r == 0 && side->announcer)
		r = announce_start(side->announcer, c->reporter);
	return r < 0 ? r : follow_start(&c->follower, address);
}

static bool differ(const void *a, uint32_t a_count, const void *b, uint32_t b_count, size_t size)
{
	return a_count != b_count || (a_count && memcmp(a, b, a_count * size) != 0);
}

static bool is_elsewhere(const struct host_address *a, const struct host_address *b)
{
	return a->family != b->family || memcmp(&a->addr, &b->addr, sizeof a->addr) != 0;
}

static bool is_news(const struct lb_report *before, const struct lb_report *now)
{
	return before->version != now->version || before->failed != now->failed || is_elsewhere(&before->tunnels.ip4, &now->tunnels.ip4) ||
	       is_elsewhere(&before->tunnels.ip6, &now->tunnels.ip6) ||
	       differ(before->down, before->down_count, now->down, now->down_count, sizeof *now->down) ||
	       differ(before->idle, before->idle_count, now->idle, now->idle_count, sizeof *now->idle) ||
	       differ(before->quiet, before->quiet_count, now->quiet, now->quiet_count, sizeof *now->quiet);
}

static void free_lists(const struct lb_report *r)
{
	free((void *)(uintptr_t)r->down);
	free((void *)(uintptr_t)r->idle);
	free((void *)(uintptr_t)r->quiet);
}

static_assert(EARLIER_QUIET_S * 1000 >= EARLIER_COOKIE_S * 1000 + LEASE_MS + REPORT_COUNTED_MS,
	      "who counted before the last that is heard of it, and who sent it a cookie then, have had their time");

/* Which earlier generations have no flows, and when to look again. */
static void look_for_idle(struct control *c, struct lb_report *ret)
{
	uint32_t now = monotonic_ticks(), ticks, quiet_ticks;
	struct catalog_past *idle, *quiet;

	ret->idle_count = earlier_idle(&c->earlier, &c->catalog, now, UINT32_MAX, REPORT_IDLE_MAX, &idle, &ticks);
	ret->idle = idle;
	ret->quiet_count = earlier_idle(&c->earlier, &c->catalog, now, EARLIER_QUIET_S, REPORT_IDLE_MAX, &quiet, &quiet_ticks);
	ret->quiet = quiet;
	ticks = (uint32_t)min_u64(ticks, quiet_ticks);
	c->look_ms = ticks ? boottime_ms() + (((uint64_t)ticks << LB_TICK_SHIFT) / 1000000) + 1 : UINT64_MAX;
}

/* One that can't read what the others go by is waited for by nobody: it says that it has it, and that it failed. */
static void report(struct control *c)
{
	uint64_t refused = follow_refused(c->follower);
	struct lb_report now = c->report;
	struct catalog_place *down;

	now.version = refused ? refused : c->catalog.version;
	now.failed = c->failed || refused;
	if (c->side.tunnels)
		now.tunnels = *c->side.tunnels;
	now.down_count = check_down(&c->checked, &down);
	now.down = down;
	look_for_idle(c, &now);
	if (!is_news(&c->report, &now)) {
		free_lists(&now);
		return;
	}
	free_lists(&c->report);
	c->report = now;
	report_tell(c->reporter, &c->report);
}

static void apply(struct control *c, bool routes_changed)
{
	int r = c->side.apply(c->side.arg, &c->catalog, c->heard ? NULL : &c->checked, routes_changed);

	if (c->side.announcer)
		announce_tell(c->side.announcer, &c->catalog, c->side.sources);
	earlier_follow(&c->earlier, &c->catalog, monotonic_ticks());
	c->failed = r < 0;
	report(c);
	c->settle_ms = boottime_ms() + SETTLE_AFTER_MS;
}

static void settle(struct control *c)
{
	c->side.settle(c->side.arg);
	c->settle_ms = UINT64_MAX;
	if (c->settled_version == c->catalog.version)
		return;
	c->settled_version = c->catalog.version;
	log_info("lbd: in force version=%llu services=%u", (unsigned long long)c->catalog.version, c->catalog.service_count);
}

static void take_checks(struct control *c)
{
	check_list_free(&c->checked);
	prober_take(c->prober, &c->checked);
}

static bool goes_by_latency(const struct lb_catalog *c)
{
	for (uint32_t i = 0; i < c->service_count; i++)
		if (c->services[i].by_latency)
			return true;
	return false;
}

static bool has_earlier(const struct lb_catalog *c)
{
	for (uint32_t i = 0; i < c->service_count; i++)
		if (c->services[i].generation_count > 1)
			return true;
	return false;
}

/* Anew, at once. */
static void plan_count(struct control *c)
{
	c->loads = c->side.count && loads_wanted(&c->catalog);
	c->borne = c->side.bear && (loads_wanted(&c->catalog) || has_earlier(&c->catalog));
	c->latencies = c->prober && goes_by_latency(&c->catalog);
	c->count_ms = c->loads || c->borne || c->latencies ? boottime_ms() : UINT64_MAX;
	if (!c->latencies)
		report_latencies(c->reporter, NULL, 0);
}

static const struct catalog_service *service_of(const struct lb_catalog *c, uint64_t id)
{
	for (uint32_t i = 0; i < c->service_count; i++)
		if (c->services[i].id == id)
			return &c->services[i];
	return NULL;
}

/* Of backends of services that go by them. */
static void report_measured(struct control *c)
{
	const struct catalog_service *s = NULL;
	struct check_list all;
	struct lb_figure *list;
	uint32_t count = 0;

	prober_look(c->prober, &all);
	list = mem_alloc(all.count * sizeof *list + 1);
	for (uint32_t i = 0; i < all.count; i++) {
		const struct check_member *m = &all.list[i];

		if (!s || s->id != m->service)
			s = service_of(&c->catalog, m->service);
		if (s && s->by_latency && m->latency_us)
			list[count++] = (struct lb_figure){{m->service, m->backend}, m->latency_us};
	}
	report_latencies(c->reporter, list, count);
	free(list);
	check_list_free(&all);
}

static void count_loads(struct control *c)
{
	struct lb_told *told;
	uint32_t count = report_told_sockets(c->reporter, &told);

	c->side.count(c->side.arg, &c->catalog, told, count);
	free(told);
}

static void bear(struct control *c)
{
	struct lb_borne b;

	c->side.bear(c->side.arg, &b);
	report_borne(c->reporter, &b);
	free(b.sockets);
	free(b.led);
}

static void count(struct control *c)
{
	if (c->loads)
		count_loads(c);
	if (c->borne)
		bear(c);
	if (c->latencies)
		report_measured(c);
	c->count_ms = boottime_ms() + COUNT_MS;
}

static void take_catalog(struct control *c)
{
	struct lb_catalog latest;

	if (!follow_take(c->follower, &latest)) {
		report(c);
		return;
	}
	lb_catalog_free(&c->catalog);
	c->catalog = latest;
	c->has_catalog = true;
	if (c->prober) {
		prober_follow(c->prober, &c->catalog);
		take_checks(c);
	}
	apply(c, false);
	plan_count(c);
}

/* The earlier of two times to wait, of which -1 is never. */
static int earlier_ms(int a_ms, int b_ms)
{
	return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* Until the next thing that is due by time; -1: nothing is. */
static int wait_ms(const struct control *c, uint64_t end_ms)
{
	uint64_t now_ms = boottime_ms(), due_ms = min_u64(min_u64(end_ms, c->settle_ms), min_u64(c->look_ms, c->count_ms));
	int wait = due_ms == UINT64_MAX ? -1 : (int)min_u64(due_ms > now_ms ? due_ms - now_ms : 0, WAIT_MAX_MS);

	for (int i = 0; i < CONTROL_SITES; i++)
		if (c->scrapes[i])
			wait = earlier_ms(wait, scrape_wait_ms(c->scrapes[i]));
	return wait;
}

/* Nothing comes in any more, and what was attached has gone with it: whoever supervises this daemon starts it again, on the interface that
 * comes in its place. */
static int lack_interface(const struct control *c)
{
	log_error("lbd: the interface \"%s\" was removed: when there is one again, start this on it", c->side.interface);
	return -ENODEV;
}

int control_run(struct control *c, uint64_t end_ms)
{
	/* poll() takes no notice of a descriptor of -1. */
	struct pollfd events[] = {
		{c->signals, POLLIN, 0},
		{c->tick, POLLIN, 0},
		{follow_fd(c->follower), POLLIN, 0},
		{c->side.routes->listen, POLLIN, 0},
		{report_fd(c->reporter), POLLIN, 0},
		{c->prober ? prober_fd(c->prober) : -1, POLLIN, 0},
		{c->scrapes[0] ? scrape_fd(c->scrapes[0]) : -1, POLLIN, 0},
		{c->scrapes[1] ? scrape_fd(c->scrapes[1]) : -1, POLLIN, 0},
	};

	static_assert(CONTROL_SITES == 2, "every site is waited for");

	while (end_ms == UINT64_MAX || boottime_ms() < end_ms) {
		int n = poll(events, sizeof events / sizeof *events, wait_ms(c, end_ms));
		bool ways_changed, due;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || events[0].revents)
			break;
		due = events[1].revents && has_ticked(c);
		if (events[2].revents)
			take_catalog(c);
		ways_changed = events[3].revents && routes_changed(c->side.routes);
		if (c->side.routes->gone)
			return lack_interface(c);
		if (events[4].revents) {
			c->heard = report_heard(c->reporter);
			due = true;
		}
		if (events[5].revents) {
			take_checks(c);
			due = true;
		}
		if ((due || ways_changed) && c->has_catalog)
			apply(c, ways_changed);
		else if (boottime_ms() >= c->look_ms)
			report(c);
		if (boottime_ms() >= c->settle_ms)
			settle(c);
		if (boottime_ms() >= c->count_ms)
			count(c);
		for (int i = 0; i < CONTROL_SITES; i++)
			if (c->scrapes[i] && (n == 0 || events[6 + i].revents))
				scrape_run(c->scrapes[i]);
	}
	if (c->settle_ms != UINT64_MAX)
		settle(c);
	return 0;
}

/* It announces no VIPs any more: takes the signal that said so, if one did, and reports it. */
static void leave(struct control *c)
{
	struct signalfd_siginfo first;

	(void)!read(c->signals, &first, sizeof first);
	c->report.announces = c->report.routes = false;
	report_tell(c->reporter, &c->report);
}

void control_drain(struct control *c, unsigned long seconds)
{
	if (!c->side.announcer)
		return;
	announce_stop(c->side.announcer);
	leave(c);
	(void)control_run(c, boottime_ms() + seconds * 1000);
}
