/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/prober.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "lb/probe.h"
#include "log.h"

#define MS_NS 1000000u
#define DESCRIPTORS_KEPT 128u /* for everything but probes */
#define EVENTS_MAX 64

/* Of the pool. */
struct job {
	struct list node;         /* of idle */
	struct io_timer deadline; /* armed while it isn't idle */
	struct check *check;
	struct probe probe;
};

struct prober {
	int epoll, wake, changed;
	SSL_CTX *tls;
	struct job *jobs;
	struct list idle;
	struct timer_heap deadlines;
	bool starved; /* this host lacks something, so that it is said once */
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows; connections are made and read without it */
	struct checks checks;
	struct prober_counts counts;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void log_change(const struct check *k, const char *why)
{
	bool v6 = k->target.at.family == LB_IP6;
	char address[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(v6 ? AF_INET6 : AF_INET, &k->target.at.addr, address, sizeof address);
	if (k->state == CHECK_UP)
		log_notice("check: up backend=%s%s%s:%u check=%s", v6 ? "[" : "", address, v6 ? "]" : "", k->target.port,
			   check_kinds[k->target.kind]);
	else
		log_warning("check: down backend=%s%s%s:%u check=%s error=\"%s\"", v6 ? "[" : "", address, v6 ? "]" : "", k->target.port,
			    check_kinds[k->target.kind], why);
}

/* A judgement; why is of a bad one. */
static void finish(struct prober *p, struct job *j, bool good, const char *why)
{
	const uint64_t one = 1;
	uint8_t kind = j->probe.kind;

	(void)pthread_mutex_lock(&p->lock);
	*(good ? &p->counts.passed[kind] : &p->counts.failed[kind]) += 1;
	p->counts.under_way--;
	if (check_done(&p->checks, j->check, good, now_ns())) {
		log_change(j->check, why);
		(void)!write(p->changed, &one, sizeof one);
	}
	(void)pthread_mutex_unlock(&p->lock);
	probe_end(&j->probe);
	timer_heap_stop(&p->deadlines, &j->deadline);
	list_add_tail(&p->idle, &j->node);
}

static void step(struct prober *p, struct job *j)
{
	enum probe_result r = probe_step(&j->probe);

	if (r != PROBE_WAITS)
		finish(p, j, r == PROBE_GOOD, r == PROBE_BAD ? probe_why(&j->probe) : NULL);
}

static struct check *take_due(struct prober *p, struct check_target *ret)
{
	struct check *k;

	(void)pthread_mutex_lock(&p->lock);
	k = checks_take(&p->checks, now_ns());
	if (k)
		*ret = k->target;
	p->counts.under_way += k != NULL;
	(void)pthread_mutex_unlock(&p->lock);
	return k;
}

/* Nothing came of it, and it isn't the backend's fault. */
static void give_back(struct prober *p, struct check *k, int error)
{
	if (!p->starved)
		log_warning("check: this host can't open a connection to check a backend error=\"%s\", ignoring", strerror(-error));
	p->starved = true;
	(void)pthread_mutex_lock(&p->lock);
	p->counts.under_way--;
	check_undone(&p->checks, k, now_ns());
	(void)pthread_mutex_unlock(&p->lock);
}

static int watch(struct prober *p, int fd, uint32_t events, struct job *j)
{
	struct epoll_event e = {.events = events, .data.ptr = j};

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

/* False: none is due, or there is no room. */
static bool begin(struct prober *p)
{
	struct check_target target;
	struct job *j;
	int r;

	if (list_empty(&p->idle))
		return false;
	j = list_entry(list_first(&p->idle), struct job, node);
	j->check = take_due(p, &target);
	if (!j->check)
		return false;
	r = probe_begin(&j->probe, &target, p->tls);
	if (r == 0) {
		r = watch(p, j->probe.fd, EPOLLIN | EPOLLOUT | EPOLLET, j);
		if (r < 0)
			probe_end(&j->probe);
	}
	if (r < 0) {
		give_back(p, j->check, r);
		return true;
	}
	p->starved = false;
	list_del(&j->node);
	timer_heap_start(&p->deadlines, &j->deadline, now_ns() + (uint64_t)target.terms.timeout_ms * MS_NS);
	step(p, j);
	return true;
}

/* What answered while this thread didn't run was read before: only silence counts as silence. */
static void expire(struct prober *p)
{
	struct io_timer *first;

	while ((first = timer_heap_first(&p->deadlines)) && first->deadline_ns <= now_ns())
		finish(p, container_of(first, struct job, deadline), false, "no answer in time");
}

/* How long nothing happens, in ms; -1: until it is woken. */
static int idle_ms(struct prober *p)
{
	const struct io_timer *first = timer_heap_first(&p->deadlines);
	uint64_t next = UINT64_MAX, now = now_ns();

	if (!list_empty(&p->idle)) {
		(void)pthread_mutex_lock(&p->lock);
		next = checks_next_ns(&p->checks);
		(void)pthread_mutex_unlock(&p->lock);
	}
	if (first)
		next = min_u64(next, first->deadline_ns);
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now) / MS_NS) + 1;
}

static void *run(void *arg)
{
	struct epoll_event events[EVENTS_MAX];
	struct prober *p = arg;
	uint64_t count;

	for (;;) {
		int n = epoll_wait(p->epoll, events, EVENTS_MAX, idle_ms(p));

		for (int i = 0; i < n; i++) {
			struct job *j = events[i].data.ptr;

			if (!j)
				(void)!read(p->wake, &count, sizeof count);
			else if (j->probe.fd >= 0)
				step(p, j);
		}
		if (n < EVENTS_MAX)
			expire(p);
		while (begin(p))
			;
	}
	return NULL;
}

/* How many descriptors probes may have: as many as the hard limit lets us. */
static uint32_t descriptors(void)
{
	struct rlimit l = {0};

	(void)getrlimit(RLIMIT_NOFILE, &l);
	if (l.rlim_cur < PROBES_MAX + DESCRIPTORS_KEPT) {
		l.rlim_cur = min_u64(l.rlim_max, PROBES_MAX + DESCRIPTORS_KEPT);
		(void)setrlimit(RLIMIT_NOFILE, &l);
		(void)getrlimit(RLIMIT_NOFILE, &l);
	}
	if (l.rlim_cur <= DESCRIPTORS_KEPT + 1)
		return 1;
	return (uint32_t)min_u64(l.rlim_cur - DESCRIPTORS_KEPT, PROBES_MAX);
}

static void make_jobs(struct prober *p)
{
	uint32_t count = descriptors();

	list_init(&p->idle);
	p->jobs = mem_zalloc(count * sizeof *p->jobs);
	for (uint32_t i = 0; i < count; i++) {
		p->jobs[i].probe.fd = -1;
		list_add_tail(&p->idle, &p->jobs[i].node);
	}
}

static int open_all(struct prober *p)
{
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->changed = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (p->epoll < 0 || p->wake < 0 || p->changed < 0)
		return -errno;
	p->tls = SSL_CTX_new(TLS_client_method());
	if (!p->tls || SSL_CTX_set_min_proto_version(p->tls, TLS1_2_VERSION) != 1)
		return -ENOMEM;
	SSL_CTX_set_verify(p->tls, SSL_VERIFY_NONE, NULL);
	return watch(p, p->wake, EPOLLIN, NULL);
}

static void free_all(struct prober *p)
{
	if (p->epoll >= 0)
		(void)close(p->epoll);
	if (p->wake >= 0)
		(void)close(p->wake);
	if (p->changed >= 0)
		(void)close(p->changed);
	SSL_CTX_free(p->tls);
	timer_heap_free(&p->deadlines);
	free(p->jobs);
	free(p);
}

/* OpenSSL writes without MSG_NOSIGNAL: what a broken connection raises is kept from the thread, which inherits the mask. */
static int start_thread(struct prober *p)
{
	sigset_t pipe, before;
	int r;

	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &before);
	r = pthread_create(&p->thread, NULL, run, p);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int prober_start(struct prober **ret)
{
	struct prober *p = mem_zalloc(sizeof *p);
	int r;

	make_jobs(p);
	checks_init(&p->checks, now_ns());
	(void)pthread_mutex_init(&p->lock, NULL);
	r = open_all(p);
	if (r == 0)
		r = start_thread(p);
	if (r < 0)
		free_all(p);
	else
		*ret = p;
	return r;
}

void prober_follow(struct prober *p, const struct lb_catalog *catalog)
{
	const uint64_t one = 1;

	(void)pthread_mutex_lock(&p->lock);
	checks_follow(&p->checks, catalog, now_ns());
	p->counts.targets = p->checks.count;
	(void)pthread_mutex_unlock(&p->lock);
	(void)!write(p->wake, &one, sizeof one);
}

int prober_fd(const struct prober *p)
{
	return p->changed;
}

void prober_take(struct prober *p, struct check_list *ret)
{
	uint64_t count;

	(void)!read(p->changed, &count, sizeof count);
	prober_look(p, ret);
}

void prober_look(struct prober *p, struct check_list *ret)
{
	(void)pthread_mutex_lock(&p->lock);
	checks_list(&p->checks, ret);
	(void)pthread_mutex_unlock(&p->lock);
}

void prober_count(struct prober *p, struct prober_counts *ret)
{
	(void)pthread_mutex_lock(&p->lock);
	*ret = p->counts;
	(void)pthread_mutex_unlock(&p->lock);
}
