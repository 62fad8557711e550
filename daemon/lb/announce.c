/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/number.h"
#include "lb/bird.h"
#include "lb/clock.h"
#include "lb/lan.h"
#include "lb/local.h"
#include "lb/report.h"
#include "log.h"

#define RETRY_MS 1000
/* After becoming the owner: a frame may be lost, and a switch may only just be learning. Then so often, for whoever missed all of it. */
#define REPEATS 5u
#define REPEAT_MS 700
#define PERIOD_MS 60000
#define NEWS_MAX 64 /* of one socket, before the clock, the catalog and the other socket have their turn */
/* Who comes to its turn later than this may have missed what was said on the LAN; who owns a VIP has turns more often. */
#define AWAKE_MS 1000
#define TURN_MS 400
#define DRAIN_MAX_S 86400ul

struct vip {
	struct host_address at;
	uint32_t owner;   /* a lease id */
	bool ours;        /* it is answered for */
	bool claimed;     /* another one announced it, and we have no lease */
	unsigned told;    /* how often since it is */
	uint64_t due_ms;  /* when it is told next */
};

/* What the catalog says, in the order of addresses. */
struct vips {
	struct vip *list;
	uint32_t count;
	bool known; /* a catalog is in force */
};

struct announcer {
	const char *interface;
	bool on_lan, by_bird;
	bool lasting; /* the data plane outlives the daemon */
	struct lan lan;
	struct bird bird;
	struct reporter *reporter;
	int told; /* eventfd */
	pthread_t thread;
	/* The thread's own: */
	struct vips now;
	uint64_t turn_ms;       /* when it last looked who answers */
	bool alone;             /* it answers without a lease */
	bool routed;            /* it has had a lease, so BIRD is told */
	enum local_fault fault; /* that was said */
	pthread_mutex_t lock;   /* of what follows */
	struct vips next;
	bool fresh, ending;
};

static int by_address(const void *a, const void *b)
{
	const struct host_address *x = &((const struct vip *)a)->at, *y = &((const struct vip *)b)->at;

	return x->family != y->family ? x->family - y->family : memcmp(&x->addr, &y->addr, sizeof x->addr);
}

static struct vip *find(const struct vips *v, const struct host_address *at)
{
	const struct vip key = {.at = *at};

	return v->count ? bsearch(&key, v->list, v->count, sizeof key, by_address) : NULL;
}

static const char *text_of(const struct host_address *a, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(a->family == LB_IP6 ? AF_INET6 : AF_INET, &a->addr, text, INET6_ADDRSTRLEN);
}

/* The addresses of all, or of those that are ours; to be freed. */
static struct host_address *addresses(const struct vips *v, bool ours, uint32_t *ret_count)
{
	struct host_address *list = mem_alloc(v->count * sizeof *list + 1);
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->count; i++)
		if (!ours || v->list[i].ours)
			list[n++] = v->list[i].at;
	*ret_count = n;
	return list;
}

/* ---- on the LAN ---- */

/* Ours begins or ends. */
static void claim(struct vip *v, bool ours, uint64_t now_ms)
{
	char text[INET6_ADDRSTRLEN];

	v->ours = ours;
	v->claimed = false;
	v->told = 0;
	v->due_ms = now_ms;
	log_notice("announce: %s vip=%s", ours ? "answering for a VIP" : "no longer answering for a VIP", text_of(&v->at, text));
}

static void join_groups(struct announcer *a)
{
	uint32_t count;
	struct host_address *ours = addresses(&a->now, true, &count);
	int r = lan_join(&a->lan, ours, count);

	if (r < 0)
		log_warning("announce: can't join the multicast groups of all VIPs, ignoring error=\"%s\"", strerror(-r));
	free(ours);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the next one is due, or the lease is over, or we must have listened. */
static uint64_t announce_due(struct announcer *a, uint64_t now_ms, uint64_t wake_ms)
{
	for (uint32_t i = 0; i < a->now.count; i++) {
		struct vip *v = &a->now.list[i];

		if (!v->ours)
			continue;
		if (v->due_ms <= now_ms) {
			(void)lan_announce(&a->lan, &v->at); /* a link that is down comes back, and so does the next turn */
			v->due_ms = now_ms + (++v->told < REPEATS ? REPEAT_MS : PERIOD_MS);
		}
		wake_ms = earlier(wake_ms, earlier(v->due_ms, now_ms + TURN_MS));
	}
	return wake_ms;
}

static bool awake(const struct announcer *a, uint64_t now_ms)
{
	return now_ms - a->turn_ms < AWAKE_MS;
}

/* Says once when the VIPs that are ours are so without a lease. */
static void tell_alone(struct announcer *a, bool holds)
{
	bool any = false;

	for (uint32_t i = 0; i < a->now.count; i++)
		any |= a->now.list[i].ours;
	if (any && !holds && !a->alone)
		log_warning("announce: no leader hears this balancer: it answers on for its VIPs until another one announces them");
	a->alone = any && !holds;
}

static uint64_t serve_lan(struct announcer *a, uint64_t now_ms)
{
	struct lb_lease lease = report_lease(a->reporter);
	bool holds = a->on_lan && now_ms < lease.until_ms, keeps = awake(a, now_ms), changed = false;

	a->turn_ms = now_ms;
	for (uint32_t i = 0; i < a->now.count; i++) {
		struct vip *v = &a->now.list[i];
		bool ours = v->owner == lease.id && (holds || (v->ours && keeps && !v->claimed));

		v->claimed &= !holds; /* who has a lease is the owner, whatever was said before */
		if (ours == v->ours)
			continue;
		claim(v, ours, now_ms);
		changed = true;
	}
	if (changed)
		join_groups(a);
	tell_alone(a, holds);
	return announce_due(a, now_ms, holds ? lease.until_ms : UINT64_MAX);
}

static void hear(struct announcer *a, enum neighbour_news news, const struct neighbour_question *q, const struct lb_mac *from)
{
	struct vip *v = find(&a->now, &q->target);
	uint64_t now_ms = boottime_ms();
	bool holds = now_ms < report_lease(a->reporter).until_ms;

	if (!v || !v->ours)
		return;
	if (news == NEIGHBOUR_ANNOUNCES)
		v->claimed = !holds;
	else if (holds || (awake(a, now_ms) && !v->claimed))
		(void)lan_answer(&a->lan, q, from);
}

static void take_lan(struct announcer *a, int which)
{
	struct neighbour_question q;
	struct lb_mac from;

	for (int i = 0; i < NEWS_MAX; i++) {
		enum neighbour_news news = lan_take(&a->lan, which, &q, &from);

		if (news == NEIGHBOUR_NOTHING)
			return;
		hear(a, news, &q, &from);
	}
}

/* ---- by BIRD ---- */

/* Routes come when there is a catalog, a lease, and no backend that drops what we tunnel. Until then what stood in the file before is left
 * alone, so that a restart takes no route away, but where the data plane ended with the daemon. */
static uint64_t serve_bird(struct announcer *a, uint64_t now_ms)
{
	struct lb_lease lease = report_lease(a->reporter);
	struct host_address *all;
	uint32_t count;
	int r;

	a->routed |= a->now.known && now_ms < lease.until_ms && lease.accepted;
	if (!a->routed && a->lasting)
		return UINT64_MAX;
	all = addresses(&a->now, false, &count);
	r = bird_tell(&a->bird, all, a->routed ? count : 0);
	free(all);
	return r < 0 ? now_ms + RETRY_MS : UINT64_MAX;
}

/* ---- the thread ---- */

static void look_at_host(struct announcer *a)
{
	uint32_t count;
	struct host_address *all = addresses(&a->now, false, &count);
	enum local_fault fault = local_check(a->interface, all, count);

	free(all);
	if (fault != a->fault && fault != LOCAL_FINE)
		log_warning("announce: %s interface=%s, ignoring", local_fault_text(fault), a->interface);
	a->fault = fault;
}

/* What is ours stays ours, if it is still there: a new catalog is no reason to tell everybody again. */
static void take_vips(struct announcer *a, struct vips next)
{
	for (uint32_t i = 0; i < next.count; i++) {
		const struct vip *before = find(&a->now, &next.list[i].at);
		uint32_t owner = next.list[i].owner;

		if (before)
			next.list[i] = *before;
		next.list[i].owner = owner;
	}
	free(a->now.list);
	a->now = next;
	look_at_host(a);
}

/* Takes what it was told. False: that it is over. */
static bool take_news(struct announcer *a)
{
	struct vips next = {0};
	uint64_t count;
	bool fresh, ending;

	(void)!read(a->told, &count, sizeof count);
	(void)pthread_mutex_lock(&a->lock);
	ending = a->ending;
	fresh = a->fresh;
	if (fresh)
		next = a->next;
	a->fresh = false;
	(void)pthread_mutex_unlock(&a->lock);
	if (fresh)
		take_vips(a, next);
	return !ending;
}

static int until(uint64_t wake_ms)
{
	uint64_t now_ms = boottime_ms();

	if (wake_ms == UINT64_MAX)
		return -1;
	return wake_ms <= now_ms ? 0 : (int)(wake_ms - now_ms);
}

static void *run(void *arg)
{
	struct announcer *a = arg;
	struct pollfd events[] = {{a->told, POLLIN, 0}, {report_lease_fd(a->reporter), POLLIN, 0}, {a->lan.sockets[0], POLLIN, 0}, {a->lan.sockets[1], POLLIN, 0}};

	while (take_news(a)) {
		uint64_t wake_ms = a->by_bird ? serve_bird(a, boottime_ms()) : serve_lan(a, boottime_ms());

		if (poll(events, 4, until(wake_ms)) <= 0)
			continue;
		for (int i = 0; a->on_lan && i < LAN_SOCKETS; i++)
			if (events[2 + i].revents)
				take_lan(a, i);
	}
	if (a->by_bird)
		(void)bird_tell(&a->bird, NULL, 0);
	return NULL;
}

static int take_drain(struct announce_options *o, const char *text)
{
	uint64_t seconds;

	if (!number_parse(text, DRAIN_MAX_S, &seconds)) {
		(void)fprintf(stderr, "--drain-seconds is a number from 0 to %lu, not \"%s\"\n", DRAIN_MAX_S, text);
		return -EINVAL;
	}
	o->drain_s = seconds;
	return 0;
}

int announce_take_option(struct announce_options *o, int letter, const char *text)
{
	if (letter == 'd')
		return take_drain(o, text);
	if (letter == 'r')
		o->bird = text;
	else if (letter == 'c')
		o->bird_socket = text;
	else
		return -EINVAL;
	return 0;
}

int announce_open(struct announcer **ret, const char *interface, const struct announce_options *o, bool lasting)
{
	struct announcer *a = mem_zalloc(sizeof *a);
	int r = 0;

	a->interface = interface;
	a->by_bird = o->bird != NULL;
	a->lasting = lasting;
	a->bird = (struct bird){.file = o->bird, .control = o->bird_socket ? o->bird_socket : BIRD_SOCKET_DEFAULT};
	a->lan = (struct lan){.sockets = {-1, -1}, .groups = -1};
	(void)pthread_mutex_init(&a->lock, NULL);
	if (!a->by_bird)
		r = lan_open(&a->lan, interface);
	a->on_lan = !a->by_bird && r == 0;
	if (r == -EPERM)
		log_warning("announce: without CAP_NET_RAW this balancer can't answer ARP, so it owns no VIP: route them to it, or give it "
			    "the capability (systemd: AmbientCapabilities=) interface=%s, ignoring",
			    interface);
	else if (r < 0 && r != -ENODEV) /* one that isn't there is named by whoever needs it more */
		log_warning("announce: can't listen for ARP, so this balancer owns no VIP interface=%s error=\"%s\", ignoring", interface,
			    strerror(-r));
	a->told = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (a->told < 0) {
		r = -errno;
		lan_close(&a->lan);
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

bool announce_on_lan(const struct announcer *a)
{
	return a->on_lan;
}

bool announce_by_bird(const struct announcer *a)
{
	return a->by_bird;
}

int announce_start(struct announcer *a, struct reporter *r)
{
	a->reporter = r;
	return -pthread_create(&a->thread, NULL, run, a);
}

static void wake(struct announcer *a)
{
	const uint64_t one = 1;

	(void)!write(a->told, &one, sizeof one);
}

void announce_tell(struct announcer *a, const struct lb_catalog *c, const struct sources *sources)
{
	struct vips v = {.list = mem_alloc(c->service_count * sizeof *v.list + 1), .known = true};
	uint32_t served = 0;

	for (uint32_t i = 0; i < c->service_count; i++)
		if (c->services[i].delivery != LB_SNAT || sources_have(sources, c->services[i].vip.family))
			v.list[served++] = (struct vip){.at = {c->services[i].vip.addr, c->services[i].vip.family}, .owner = c->services[i].owner};
	qsort(v.list, served, sizeof *v.list, by_address);
	for (uint32_t i = 0; i < served; i++)
		if (!i || by_address(&v.list[v.count - 1], &v.list[i]) != 0)
			v.list[v.count++] = v.list[i];
	(void)pthread_mutex_lock(&a->lock);
	if (a->fresh)
		free(a->next.list); /* nobody took it, and it is out of date */
	a->next = v;
	a->fresh = true;
	(void)pthread_mutex_unlock(&a->lock);
	wake(a);
}

void announce_stop(struct announcer *a)
{
	(void)pthread_mutex_lock(&a->lock);
	a->ending = true;
	(void)pthread_mutex_unlock(&a->lock);
	wake(a);
	(void)pthread_join(a->thread, NULL);
}
