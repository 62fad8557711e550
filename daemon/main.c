/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfastd. The start-up ladder: configuration, one io a reactor, the node (which recovers and listens), one
 * thread a reactor; then wait for a signal, hand leadership over, and end.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/mem.h"
#include "config.h"
#include "io/io.h"
#include "log.h"
#include "node.h"

#define RING_WAIT_MS 5000u
#define RING_RETRY_MS 20u

struct process {
	struct config config;
	struct node node;
	struct io **ios;
	pthread_t *threads;
	atomic_int exit_status;
	struct io_message leave;
	pthread_t main_thread;
};

static void on_failed(void *arg, const char *what, int error)
{
	struct process *p = arg;

	log_error("node: stopping because of %s error=\"%s\"", what, strerror(-error));
	/* Fail-stop: nothing more may leave this process. What was acknowledged is on a majority's disks. */
	(void)p;
	_exit(1);
}

static void on_left(void *arg)
{
	struct process *p = arg;

	(void)pthread_kill(p->main_thread, SIGUSR2);
}

static void on_serving(void *arg)
{
	struct process *p = arg;

	log_info("node: serving node=%u store=%s admin=%s peer=%s reactors=%u", p->config.node, p->config.store, p->config.admin,
		 p->config.peer, p->config.reactors);
	(void)sd_notify(0, "READY=1\nSTATUS=serving");
}

static void deliver_leave(struct io_message *m)
{
	struct process *p = (struct process *)((char *)m - offsetof(struct process, leave));

	node_leave(&p->node);
}

static void *reactor_thread(void *arg)
{
	io_run(arg);
	return NULL;
}

static void report_lacks(const struct io *io)
{
	unsigned lacks = io_lacks(io);

	if (lacks & IO_LACK_DEFER_TASKRUN)
		log_warning("io: this kernel lacks DEFER_TASKRUN (6.1): requests cost more CPU, ignoring");
	if (lacks & IO_LACK_FIXED_BUFFERS)
		log_warning("io: RLIMIT_MEMLOCK is too low for registered buffers: writes cost more CPU, ignoring");
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Rings count against RLIMIT_MEMLOCK by user, and the kernel gives back those of a killed process late ([reopen]). */
static int make_io(struct io **ret_io)
{
	int r = io_new(ret_io, NULL);

	if (r == -ENOMEM)
		log_info("io: no locked memory left for an io_uring: waiting for what a dying process may hold");
	for (unsigned waited_ms = 0; r == -ENOMEM && waited_ms < RING_WAIT_MS; waited_ms += RING_RETRY_MS) {
		io_pause_now(NULL, RING_RETRY_MS * NS_PER_MS);
		r = io_new(ret_io, NULL);
	}
	return r;
}

static int make_ios(struct process *p)
{
	p->ios = mem_zalloc(p->config.reactors * sizeof *p->ios);
	for (uint32_t i = 0; i < p->config.reactors; i++) {
		int r = make_io(&p->ios[i]);

		if (r < 0) {
			log_error("io: can't make an io_uring error=\"%s\": %s", strerror(-r),
				  r == -EPERM || r == -ENOSYS || r == -EACCES
					  ? "it is forbidden here; allow it (sysctl kernel.io_uring_disabled=0, the container's seccomp profile)"
					  : "raise the limits of this process (RLIMIT_MEMLOCK: ulimit -l, LimitMEMLOCK=; open files)");
			return r;
		}
	}
	return 0;
}

static void wait_for_end(struct process *p, const sigset_t *signals)
{
	int signal = 0;

	(void)sigwait(signals, &signal);
	if (signal == SIGUSR2)
		return;
	log_info("node: stopping signal=%d: handing leadership over", signal);
	(void)sd_notify(0, "STOPPING=1");
	p->leave.deliver = deliver_leave;
	io_post(NULL, p->ios[0], &p->leave);
	do
		(void)sigwait(signals, &signal);
	while (signal != SIGUSR2);
}

int main(int argc, char **argv)
{
	struct process *p = mem_zalloc(sizeof *p);
	sigset_t signals;
	char error[512];
	int r;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		printf("holdfastd: a Holdfast node\n\n");
		config_usage();
		return 0;
	}
	if (config_load(&p->config, argc, argv, error, sizeof error) < 0) {
		fprintf(stderr, "holdfastd: %s\n", error);
		return 2;
	}
	log_set_level((enum log_level)p->config.log_level);
	raise_file_limit();
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGUSR2); /* from on_left() */
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	p->main_thread = pthread_self();
	if (make_ios(p) < 0)
		return 1;
	p->node.arg = p;
	p->node.failed = on_failed;
	p->node.left = on_left;
	p->node.serving = on_serving;
	r = node_start(&p->node, &p->config, p->ios);
	if (r < 0)
		return 1;
	report_lacks(p->ios[0]);
	p->threads = mem_zalloc(p->config.reactors * sizeof *p->threads);
	for (uint32_t i = 0; i < p->config.reactors; i++) {
		r = pthread_create(&p->threads[i], NULL, reactor_thread, p->ios[i]);
		if (r) {
			log_error("node: can't start a thread error=\"%s\"", strerror(r));
			return 1;
		}
	}
	wait_for_end(p, &signals);
	log_info("node: stopped");
	/* The kernel closes what is open; memory needs no tidying in a process that ends. */
	_exit(0);
}
