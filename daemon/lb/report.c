/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "cli/http.h"
#include "lb/clock.h"
#include "log.h"

#define PERIOD_MS 1000
#define RETRY_MS 200 /* the leader may just be changing */
#define SILENCE_S 2u /* a node answers after a second even if no leader heard it */
#define TEXT_MAX 60000u /* a node takes 64 KiB: latencies that don't fit are left out, for whatever else is said matters more */
#define HOST_MAX 47  /* with the interface it makes an id of 63 */

/* Whether a leader hears the reports. */
enum hearing { HEARING_UNKNOWN, HEARD, UNHEARD };

struct figures {
	struct lb_figure *list;
	uint32_t count;
};

struct reporter {
	char address[160];
	char id[HOST_MAX + 1 + IF_NAMESIZE];
	bool backend;
	int changed; /* eventfd */
	int extended; /* the same, of the lease */
	uint64_t heard_ms; /* the thread's own, with the next: when a leader last answered, at first when it was started */
	uint64_t since_ms; /* since when it does; 0: it doesn't */
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t told;
	struct lb_report report;
	uint64_t number; /* of the report: grows when it changes */
	struct figures latencies, sockets, led;
	uint64_t counted_ms; /* when the last two were found out */
	struct lb_told *hosts; /* what was answered last */
	uint32_t host_count;
	enum hearing hearing;
	struct lb_lease lease;
};

static void put_figures(struct bytes *out, const char *key, const struct figures *f)
{
	bytes_printf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < f->count && out->size < TEXT_MAX; i++)
		bytes_printf(out, "%s[%llu,%llu,%u]", i ? "," : "", (unsigned long long)f->list[i].backend.service,
			     (unsigned long long)f->list[i].backend.backend, f->list[i].value);
	bytes_puts(out, "]");
}

static void put_past(struct bytes *out, const char *key, const struct catalog_past *list, uint32_t count)
{
	bytes_printf(out, ",\"%s\":[", key);
	for (uint32_t i = 0; i < count && out->size < TEXT_MAX; i++)
		bytes_printf(out, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)list[i].service, (unsigned long long)list[i].generation);
	bytes_puts(out, "]");
}

static void put_tunnel_end(struct bytes *out, const struct host_address *from)
{
	char text[INET6_ADDRSTRLEN];

	if (from->family && inet_ntop(from->family == LB_IP6 ? AF_INET6 : AF_INET, &from->addr, text, sizeof text))
		bytes_printf(out, "%s\"%s\"", out->data[out->size - 1] == '[' ? "" : ",", text);
}

/* As text, to be freed, and its number. */
static struct bytes take_report(struct reporter *r, uint64_t *ret_number)
{
	struct bytes out = {0};

	(void)pthread_mutex_lock(&r->lock);
	bytes_printf(&out, "{\"id\":\"%s\",\"side\":\"%s\",\"version\":%llu,\"failed\":%s", r->id, r->backend ? "backend" : "balancer",
		     (unsigned long long)r->report.version, r->report.failed ? "true" : "false");
	bytes_printf(&out, ",\"announces\":%s,\"routes\":%s,\"snat4\":%s,\"snat6\":%s,\"tunnels\":[", r->report.announces ? "true" : "false",
		     r->report.routes ? "true" : "false", r->report.snat4 ? "true" : "false", r->report.snat6 ? "true" : "false");
	put_tunnel_end(&out, &r->report.tunnels.ip4);
	put_tunnel_end(&out, &r->report.tunnels.ip6);
	bytes_puts(&out, "],\"down\":[");
	for (uint32_t i = 0; i < r->report.down_count; i++)
		bytes_printf(&out, "%s[%llu,%llu]", i ? "," : "", (unsigned long long)r->report.down[i].service,
			     (unsigned long long)r->report.down[i].backend);
	bytes_puts(&out, "]");
	put_past(&out, "idle", r->report.idle, r->report.idle_count);
	put_past(&out, "quiet", r->report.quiet, r->report.quiet_count);
	put_figures(&out, "latencies", &r->latencies);
	if (boottime_ms() < r->counted_ms + REPORT_COUNTED_MS) {
		put_figures(&out, "sockets", &r->sockets);
		put_figures(&out, "led", &r->led);
	}
	*ret_number = r->number;
	(void)pthread_mutex_unlock(&r->lock);
	bytes_puts(&out, "}");
	bytes_put_u8(&out, 0);
	return out;
}

/*
 * A lease after a leader heard us last it doesn't; before, it may be that only the leader changes. And a lease after a leader hears us anew it
 * does: by then there are records of what failed meanwhile.
 */
static enum hearing judge(struct reporter *r, int status)
{
	uint64_t now = boottime_ms();

	if (status == 200) {
		r->heard_ms = now;
		r->since_ms = r->since_ms ? r->since_ms : now;
		return now >= r->since_ms + LEASE_MS ? HEARD : r->hearing;
	}
	if (now < r->heard_ms + LEASE_MS)
		return r->hearing;
	r->since_ms = 0;
	return UNHEARD;
}

static void note_answer(struct reporter *r, int status)
{
	const uint64_t one = 1;
	enum hearing hearing = judge(r, status), before = r->hearing;

	(void)pthread_mutex_lock(&r->lock);
	r->hearing = hearing;
	(void)pthread_mutex_unlock(&r->lock);
	if (hearing == before)
		return;
	if (hearing == UNHEARD)
		log_warning("report: no leader hears this balancer: it skips what fails its own checks until one does status=%d", status);
	else if (before == UNHEARD)
		log_notice("report: the cluster hears this balancer again");
	(void)!write(r->changed, &one, sizeof one);
}

/*
 * Whether the answer grants all there is to be had. One without an id changes nothing, and who has something in force waits until backends
 * take its tunnels: both are told soon (reports.h).
 */
static bool note_lease(struct reporter *r, uint64_t sent_ms, const json_t *body)
{
	json_int_t lease_ms = json_integer_value(json_object_get(body, "lease_ms")), id = json_integer_value(json_object_get(body, "lease_id"));
	bool granted = id > 0 && id <= UINT32_MAX && lease_ms > 0 && lease_ms <= LEASE_MS, accepted, waits;
	const uint64_t one = 1;

	/* A node of an earlier build doesn't say. */
	accepted = !json_is_false(json_object_get(body, "accepted"));
	if (!granted)
		return false;
	(void)pthread_mutex_lock(&r->lock);
	r->lease = (struct lb_lease){.id = (uint32_t)id, .until_ms = sent_ms + (uint64_t)lease_ms * 99 / 100, .accepted = accepted};
	waits = r->report.version && !accepted;
	(void)pthread_mutex_unlock(&r->lock);
	(void)!write(r->extended, &one, sizeof one);
	return !waits;
}

static int by_backend(const void *a, const void *b)
{
	const struct lb_told *x = a, *y = b;

	if (x->backend.service != y->backend.service)
		return x->backend.service < y->backend.service ? -1 : 1;
	if (x->backend.backend != y->backend.backend)
		return x->backend.backend < y->backend.backend ? -1 : 1;
	return x->counted_ms > y->counted_ms ? -1 : x->counted_ms < y->counted_ms;
}

/* One of each backend, the latest. */
static uint32_t sort_told(struct lb_told *list, uint32_t count)
{
	uint32_t kept = 0;

	qsort(list, count, sizeof *list, by_backend);
	for (uint32_t i = 0; i < count; i++)
		if (!kept || list[kept - 1].backend.service != list[i].backend.service ||
		    list[kept - 1].backend.backend != list[i].backend.backend)
			list[kept++] = list[i];
	return kept;
}

static void note_sockets(struct reporter *r, const json_t *body)
{
	const json_t *all = json_object_get(body, "sockets"), *one;
	struct lb_told *next = mem_zalloc(json_array_size(all) * sizeof *next + 1), *before;
	uint64_t now_ms = boottime_ms();
	uint32_t count = 0;
	size_t i;

	json_array_foreach(all, i, one) {
		json_int_t v[4];

		for (size_t k = 0; k < 4; k++)
			v[k] = json_integer_value(json_array_get(one, k));
		if (v[0] > 0 && v[1] > 0 && v[2] >= 0 && v[2] <= UINT32_MAX && v[3] >= 0 && (uint64_t)v[3] <= now_ms)
			next[count++] = (struct lb_told){{(uint64_t)v[0], (uint64_t)v[1]}, (uint32_t)v[2], now_ms - (uint64_t)v[3]};
	}
	count = sort_told(next, count);
	(void)pthread_mutex_lock(&r->lock);
	before = r->hosts;
	r->hosts = next;
	r->host_count = count;
	(void)pthread_mutex_unlock(&r->lock);
	free(before);
}

/* Whether it grants all there is to be had. */
static bool take_answer(struct reporter *r, uint64_t sent_ms, const char *answer)
{
	json_t *body = json_loads(answer, 0, NULL);
	bool granted = note_lease(r, sent_ms, body);

	note_sockets(r, body);
	json_decref(body);
	return granted;
}

/* Until the next report is due, or there is another one. */
static void await_next(struct reporter *r, uint64_t number, int wait_ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (wait_ms % 1000) * 1000000L;
	until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_mutex_lock(&r->lock);
	while (r->number == number && pthread_cond_timedwait(&r->told, &r->lock, &until) == 0)
		;
	(void)pthread_mutex_unlock(&r->lock);
}

static void *run(void *arg)
{
	struct reporter *r = arg;

	for (;;) {
		uint64_t number, sent_ms = boottime_ms();
		struct bytes report = take_report(r, &number);
		char *answer = NULL;
		int status = http_post(r->address, "/v1/lb/report", (const char *)report.data, SILENCE_S, &answer);
		bool granted = status == 200 && take_answer(r, sent_ms, answer);

		free(answer);
		bytes_free(&report);
		note_answer(r, status);
		await_next(r, number, granted ? PERIOD_MS : RETRY_MS);
	}
	return NULL;
}

static void name(struct reporter *r, const char *interface)
{
	char host[256] = "";

	(void)gethostname(host, sizeof host - 1);
	for (char *c = host; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
			*c = '_';
	(void)snprintf(r->id, sizeof r->id, "%.*s/%s", HOST_MAX, host, interface);
}

static void close_events(struct reporter *r)
{
	if (r->changed >= 0)
		(void)close(r->changed);
	if (r->extended >= 0)
		(void)close(r->extended);
}

/* A copy of count elements. */
static void *copy(const void *list, uint32_t count, size_t size)
{
	void *to = mem_alloc(count * size + 1);

	if (count)
		memcpy(to, list, count * size);
	return to;
}

static void free_lists(struct lb_report *r)
{
	free((void *)(uintptr_t)r->down);
	free((void *)(uintptr_t)r->idle);
	free((void *)(uintptr_t)r->quiet);
}

int report_start(struct reporter **ret, const char *address, const char *interface, bool backend, const struct lb_report *first)
{
	struct reporter *r = mem_zalloc(sizeof *r);
	pthread_condattr_t clock;
	int e;

	(void)snprintf(r->address, sizeof r->address, "%s", address);
	r->backend = backend;
	r->heard_ms = boottime_ms();
	name(r, interface);
	r->changed = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->extended = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->changed < 0 || r->extended < 0) {
		e = errno;
		close_events(r);
		free(r);
		return -e;
	}
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&r->told, &clock);
	(void)pthread_condattr_destroy(&clock);
	(void)pthread_mutex_init(&r->lock, NULL);
	report_tell(r, first);
	e = pthread_create(&r->thread, NULL, run, r);
	if (e) {
		close_events(r);
		free_lists(&r->report);
		free(r);
		return -e;
	}
	*ret = r;
	return 0;
}

void report_tell(struct reporter *r, const struct lb_report *report)
{
	struct lb_report next = *report, before;

	if (next.down_count > REPORT_DOWN_MAX)
		next.down_count = REPORT_DOWN_MAX;
	if (next.idle_count > REPORT_IDLE_MAX)
		next.idle_count = REPORT_IDLE_MAX;
	if (next.quiet_count > REPORT_IDLE_MAX)
		next.quiet_count = REPORT_IDLE_MAX;
	next.down = copy(report->down, next.down_count, sizeof *next.down);
	next.idle = copy(report->idle, next.idle_count, sizeof *next.idle);
	next.quiet = copy(report->quiet, next.quiet_count, sizeof *next.quiet);
	(void)pthread_mutex_lock(&r->lock);
	before = r->report;
	r->report = next;
	r->number++;
	(void)pthread_cond_signal(&r->told);
	(void)pthread_mutex_unlock(&r->lock);
	free_lists(&before);
}

static struct figures figures_of(const struct lb_figure *list, uint32_t count)
{
	struct figures f = {.count = count > REPORT_FIGURES_MAX ? REPORT_FIGURES_MAX : count};

	f.list = copy(list, f.count, sizeof *list);
	return f;
}

void report_latencies(struct reporter *r, const struct lb_figure *list, uint32_t count)
{
	struct figures next = figures_of(list, count), before;

	(void)pthread_mutex_lock(&r->lock);
	before = r->latencies;
	r->latencies = next;
	(void)pthread_mutex_unlock(&r->lock);
	free(before.list);
}

void report_borne(struct reporter *r, const struct lb_borne *b)
{
	struct figures sockets = figures_of(b->sockets, b->socket_count), led = figures_of(b->led, b->led_count), before[2];

	(void)pthread_mutex_lock(&r->lock);
	before[0] = r->sockets;
	before[1] = r->led;
	r->sockets = sockets;
	r->led = led;
	r->counted_ms = boottime_ms();
	r->number++;
	(void)pthread_cond_signal(&r->told);
	(void)pthread_mutex_unlock(&r->lock);
	free(before[0].list);
	free(before[1].list);
}

uint32_t report_told_sockets(struct reporter *r, struct lb_told **ret)
{
	uint32_t count;

	(void)pthread_mutex_lock(&r->lock);
	count = r->host_count;
	*ret = copy(r->hosts, count, sizeof **ret);
	(void)pthread_mutex_unlock(&r->lock);
	return count;
}

bool report_heard(struct reporter *r)
{
	uint64_t count;
	bool heard;

	(void)!read(r->changed, &count, sizeof count);
	(void)pthread_mutex_lock(&r->lock);
	heard = r->hearing == HEARD;
	(void)pthread_mutex_unlock(&r->lock);
	return heard;
}

int report_fd(const struct reporter *r)
{
	return r->changed;
}

struct lb_lease report_lease(struct reporter *r)
{
	struct lb_lease lease;
	uint64_t count;

	(void)!read(r->extended, &count, sizeof count);
	(void)pthread_mutex_lock(&r->lock);
	lease = r->lease;
	(void)pthread_mutex_unlock(&r->lock);
	return lease;
}

int report_lease_fd(const struct reporter *r)
{
	return r->extended;
}
