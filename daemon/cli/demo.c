/* SPDX-License-Identifier: Apache-2.0 */
/* What `make run` shows: a client writes without pause while the leader of its keys is killed with SIGKILL. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/dev.h"
#include "cli/http.h"

#define DEMO_GROUP_KEY "{demo}" /* one slot, so that one leader serves it all */
#define WRITE_BEFORE_S 1.0
#define WRITE_AFTER_S 1.5

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static redisContext *demo_connect(const struct dev *d, uint32_t node)
{
	struct timeval limit = {.tv_sec = 3};
	redisContext *c = redisConnectWithTimeout(d->ipv6 ? "::1" : "127.0.0.1", (int)(d->port + (node - 1) * 10), limit);

	if (c && c->err) {
		redisFree(c);
		return NULL;
	}
	if (c)
		(void)redisSetTimeout(c, limit);
	return c;
}

/* The node that leads the group of the demo's keys; 0 if nobody can tell. */
static uint32_t demo_leader(const struct dev *d)
{
	for (uint32_t i = 1; i <= d->nodes; i++) {
		redisContext *c = demo_connect(d, i);
		redisReply *slot;
		json_t *status, *g;
		uint32_t leader = 0;
		size_t k;

		if (!c)
			continue;
		slot = redisCommand(c, "CLUSTER KEYSLOT %s", DEMO_GROUP_KEY);
		status = http_get_json(dev_address(d, i, DEV_ADMIN), "/v1/status");
		if (slot && slot->type == REDIS_REPLY_INTEGER && status) {
			long long group = 1 + slot->integer * (long long)d->groups / 16384;

			json_array_foreach(json_object_get(status, "groups"), k, g)
				if (json_integer_value(json_object_get(g, "group")) == group)
					leader = (uint32_t)json_integer_value(json_object_get(g, "leader"));
		}
		json_decref(status);
		if (slot)
			freeReplyObject(slot);
		redisFree(c);
		if (leader)
			return leader;
	}
	return 0;
}

struct writer {
	redisContext *c;
	const struct dev *d;
	uint32_t node;
	long acknowledged, retries;
	double worst_gap, last;
};

/* One write, tried until it is acknowledged. */
static int write_next(struct writer *w)
{
	for (;;) {
		redisReply *r = w->c ? redisCommand(w->c, "SET %s:%ld %ld", DEMO_GROUP_KEY, w->acknowledged, w->acknowledged) : NULL;
		bool done = r && r->type == REDIS_REPLY_STATUS;
		double t = now_s();

		if (r)
			freeReplyObject(r);
		if (done) {
			if (t - w->last > w->worst_gap)
				w->worst_gap = t - w->last;
			w->last = t;
			w->acknowledged++;
			return 0;
		}
		if (t - w->last > 10)
			return cli_fail(1, "no write succeeded for 10 s; see the logs in %s", w->d->dir);
		w->retries++;
		if (!w->c || w->c->err) {
			if (w->c)
				redisFree(w->c);
			w->c = demo_connect(w->d, w->node);
		}
	}
}

static int write_for(struct writer *w, double seconds)
{
	double end = now_s() + seconds;
	int r = 0;

	while (r == 0 && now_s() < end)
		r = write_next(w);
	return r;
}

static long count_lost(const struct dev *d, uint32_t node, long acknowledged)
{
	redisContext *c = demo_connect(d, node);
	long lost = 0;

	if (!c)
		return -1;
	for (long i = 0; i < acknowledged; i += 500) {
		long n = acknowledged - i < 500 ? acknowledged - i : 500;

		for (long k = 0; k < n; k++)
			(void)redisAppendCommand(c, "GET %s:%ld", DEMO_GROUP_KEY, i + k);
		for (long k = 0; k < n; k++) {
			redisReply *r = NULL;

			if (redisGetReply(c, (void **)&r) != REDIS_OK) {
				redisFree(c);
				return -1;
			}
			if (r->type != REDIS_REPLY_STRING || atol(r->str) != i + k)
				lost++;
			freeReplyObject(r);
		}
	}
	redisFree(c);
	return lost;
}

static int demo(const struct dev *d)
{
	uint32_t leader = demo_leader(d), survivor;
	struct writer w = {.d = d};
	long before, lost;
	int r;

	if (!leader || d->nodes < 3)
		return cli_fail(1, "the demonstration needs three nodes and a leader");
	survivor = leader == 1 ? 2 : 1;
	w.node = survivor;
	w.c = demo_connect(d, survivor);
	printf("  A client writes through n%u, one key after the other; n%u leads the keys' group.\n", survivor, leader);
	fflush(stdout);
	w.last = now_s();
	r = write_for(&w, WRITE_BEFORE_S);
	if (r)
		return r;
	before = w.acknowledged;
	w.worst_gap = 0;
	printf("  %ld writes acknowledged, each on the disks of a majority.\n\n  kill -9 n%u (the leader)\n", before, leader);
	fflush(stdout);
	r = dev_kill(d, leader, SIGKILL);
	if (r == 0)
		r = write_for(&w, WRITE_AFTER_S);
	if (w.c)
		redisFree(w.c);
	if (r)
		return r;
	printf("  %ld more writes acknowledged. The longest wait for one, the outage as the client saw it: %.0f ms (%ld retries).\n",
	       w.acknowledged - before, w.worst_gap * 1000, w.retries);
	lost = count_lost(d, leader == 3 ? 2 : 3, w.acknowledged);
	if (lost < 0)
		return cli_fail(1, "reading back through n%u failed", leader == 3 ? 2 : 3);
	printf("  Read back through n%u: %ld of %ld acknowledged writes lost.\n", leader == 3 ? 2 : 3, lost, w.acknowledged);
	fflush(stdout);
	if (lost)
		return cli_fail(1, "acknowledged writes were lost");
	r = dev_start(d, leader);
	if (r == 0)
		r = dev_wait_ready(d, 30);
	if (r == 0)
		printf("  n%u was started again and has caught up.\n\n", leader);
	return r;
}

/* In a process of its own, so that Ctrl-C ends it at any moment and the cluster is still stopped in order. */
static pid_t start_demo(const struct dev *d, const sigset_t *signals)
{
	pid_t pid = fork();

	if (pid == 0) {
		int r;

		(void)sigprocmask(SIG_UNBLOCK, signals, NULL);
		r = demo(d);
		(void)fflush(stdout);
		_exit(r);
	}
	return pid;
}

int dev_run(struct dev *d)
{
	sigset_t signals;
	int r, signal, status = 0;
	pid_t pid;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigaddset(&signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	printf("Starting %u nodes on loopback in %s ...\n", d->nodes, d->dir);
	(void)fflush(stdout);
	r = dev_up(d);
	if (r)
		return r;
	for (uint32_t i = 1; i <= d->nodes; i++)
		printf("  n%u  store %s  admin http://%s\n", i, dev_address(d, i, DEV_STORE), dev_address(d, i, DEV_ADMIN));
	printf("\n");
	(void)fflush(stdout);
	pid = start_demo(d, &signals);
	do
		(void)sigwait(&signals, &signal);
	while (signal == SIGCHLD && waitpid(pid, &status, WNOHANG) != pid);
	if (signal == SIGCHLD && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("The cluster is yours: redis-cli -p %u. Ctrl-C stops it.\n", d->port);
		(void)fflush(stdout);
		do
			(void)sigwait(&signals, &signal);
		while (signal == SIGCHLD);
	} else if (signal == SIGCHLD) {
		r = 1;
	} else {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
	}
	printf("Stopping.\n");
	(void)dev_down(d);
	return r;
}
