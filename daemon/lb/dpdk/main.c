/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-lbd-dpdk: holdfast-lbd with DPDK for a data plane. The start-up ladder: options, signals, DPDK's environment, the port and its
 * kernel's side, the LAN behind it, privileges, tables, workers, routes, the catalog's follower, the health checks, the reporter and the
 * announcer. The main core does what holdfast-lbd does, the others forward. What it forwards ends with it: for flows a restart is the death
 * of a balancer ([dpdk]).
 */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/mem.h"
#include "lb/announce.h"
#include "lb/control.h"
#include "lb/dpdk/eal.h"
#include "lb/dpdk/memory.h"
#include "lb/dpdk/pages.h"
#include "lb/dpdk/port.h"
#include "lb/dpdk/worker.h"
#include "lb/feed.h"
#include "lb/numbers.h"
#include "lb/privilege.h"
#include "lb/twin.h"
#include "log.h"

#define EXIT_USAGE 2

struct lbd {
	const char *socket, *interface, *metrics;
	bool insecure;                                         /* metrics may be off loopback */
	char path[sizeof TWIN_ROOT TWIN_SUFFIX + IF_NAMESIZE]; /* where `holdfast lb` asks */
	struct control control;
	struct announce_options announce;
	struct announcer *announcer;
	struct sources sources;
	struct port port;
	struct memory memory;
	struct worker *workers;
	unsigned worker_count;
	bool stop;
	struct routes routes;
	struct feed feed;
	struct pages_source pages;
};

static const char usage[] =
	"usage: holdfast-lbd-dpdk --interface IF [--socket PATH] [--snat-address ADDR]... [--bird FILE] [--drain-seconds N]\n"
	"           [--metrics HOST:PORT [--insecure]] [-- EAL ARGUMENTS]\n"
	"Balances the packets of a DPDK port over the backends of the cluster's services, a worker on each core but the first.\n"
	"  --interface IF  the kernel's side of the port: a TAP that it makes, for the host's own addresses, ARP and routes\n"
	"  --socket PATH   the node to follow; $HOLDFAST_SOCKET or /run/holdfast/holdfast.sock unless told\n"
	"  --snat-address ADDR   an address that IF has or gets, which services with snat speak to their backends from; four of a family\n"
	"  --metrics HOST:PORT   serve /metrics there (OpenMetrics), on loopback\n"
	"  --insecure      or elsewhere, without TLS\n"
	ANNOUNCE_USAGE
	"  EAL ARGUMENTS   DPDK's own: the one port (-a PCI-ADDRESS, or --vdev net_af_packet0,iface=IF), the cores (-l 0,2,3)\n"
	"It forwards as long as it runs.\n";

/* 0, or the exit status; *ret_rest is the first of DPDK's arguments. */
static int take_options(struct lbd *d, int argc, char **argv, int *ret_rest)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"interface", required_argument, NULL, 'i'},
		{"snat-address", required_argument, NULL, 'a'},
		{"metrics", required_argument, NULL, 'm'},
		{"insecure", no_argument, NULL, 'x'},
		ANNOUNCE_OPTIONS,
		{0},
	};
	int c;

	d->socket = control_socket_default();
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 's')
			d->socket = optarg;
		else if (c == 'i')
			d->interface = optarg;
		else if (c == 'm')
			d->metrics = optarg;
		else if (c == 'x')
			d->insecure = true;
		else if (c == 'a' && sources_take_option(&d->sources, optarg) == 0)
			continue;
		else if (announce_take_option(&d->announce, c, optarg) < 0)
			return EXIT_USAGE;
	}
	*ret_rest = optind;
	if (d->interface && strlen(d->interface) < IF_NAMESIZE && (optind == argc || !strcmp(argv[optind - 1], "--")))
		return 0;
	fputs(usage, stderr);
	return EXIT_USAGE;
}

/*
 * The TAP's driver is told of packets by a real-time signal, whose handler counts in a way that only one thread at a time may: where two
 * took a signal at once, one would be lost, and a packet would lie until the next one came. So all threads have these signals blocked but
 * the first worker, which never sleeps in the kernel.
 */
static void mask_tap_signals(int how)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	for (int s = SIGRTMIN; s <= SIGRTMAX; s++)
		(void)sigaddset(&signals, s);
	(void)pthread_sigmask(how, &signals, NULL);
}

/* Of a thread that the EAL has made, after the first thread's was, from the same set: so it can't fail. */
static void reduce_thread(void *arg)
{
	char error[256];

	(void)arg;
	if (privilege_reduce(PRIVILEGES_DPDK, error, sizeof error) < 0) {
		log_error("lbd: %s", error);
		abort();
	}
}

/* Each thread has privileges of its own. The workers' are reduced by themselves, those of the EAL's thread for interrupts where it runs
 * what it is asked to; threads that come later have what the first one has then. */
static int reduce_privileges(void)
{
	char error[256];
	int r = privilege_reduce(PRIVILEGES_DPDK, error, sizeof error);

	if (r == 0) {
		r = rte_eal_alarm_set(1, reduce_thread, NULL);
		(void)snprintf(error, sizeof error, "DPDK's thread can't be told to give its capabilities up: %s", strerror(-r));
	}
	if (r < 0)
		log_error("lbd: %s", error);
	return r;
}

static int work(void *worker)
{
	const struct worker *w = worker;

	reduce_thread(NULL);
	if (w->number == 0)
		mask_tap_signals(SIG_UNBLOCK);
	return worker_run(worker);
}

static int open_port(struct lbd *d)
{
	int r;

	d->worker_count = rte_lcore_count() - 1;
	if (!d->worker_count) {
		log_error("lbd: there is one core only, and it takes a second one for a worker: name two (-l 0,1)");
		return -EINVAL;
	}
	r = port_open(&d->port, d->interface, (uint16_t)d->worker_count);
	if (r < 0)
		log_error("lbd: %s", d->port.error);
	return r;
}

static int start_workers(struct lbd *d)
{
	unsigned lcore, n = 0;

	memory_init(&d->memory, &memory_sizes_default, d->worker_count);
	d->workers = mem_zalloc(d->worker_count * sizeof *d->workers);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		struct worker *w = &d->workers[n];
		int r;

		worker_init(w, &d->memory, (uint16_t)n++);
		w->port = d->port.id;
		w->kernel = d->port.kernel;
		w->stop = &d->stop;
		r = rte_eal_remote_launch(work, w, lcore);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply(void *arg, const struct lb_catalog *c, const struct check_list *own, bool routes_changed)
{
	struct lbd *d = arg;
	int r;

	d->feed.ways_stale |= routes_changed;
	r = feed_apply(&d->feed, c, own);
	log_debug("lbd: applied version=%llu unresolved=%u", (unsigned long long)c->version, d->feed.unresolved);
	return r;
}

static void settle(void *arg)
{
	struct lbd *d = arg;

	feed_settle(&d->feed);
}

static void count_loads(void *arg, const struct lb_catalog *c, const struct lb_told *told, uint32_t told_count)
{
	struct lbd *d = arg;

	feed_count_loads(&d->feed, c, told, told_count);
}

static void last_older(void *arg, const struct catalog_service *s, uint32_t *ret)
{
	const struct lbd *d = arg;

	feed_last_older(&d->feed, s, ret);
}

static uint64_t seen(void *arg, const struct catalog_service *s)
{
	const struct lbd *d = arg;
	const struct tables *t = &d->memory.tables;

	return t->reads->count_service(t, numbers_find_service(t, s->id)).packets;
}

static int start_control(struct lbd *d)
{
	struct control_side side = {
		.socket = d->socket,
		.interface = d->interface,
		.announcer = d->announcer,
		.sources = &d->sources,
		.tunnels = &d->feed.tunnels,
		.routes = &d->routes,
		.apply = apply,
		.settle = settle,
		.count = count_loads,
		.earlier = {.last = last_older, .seen = seen, .arg = d},
		.arg = d,
	};
	int r = routes_open(&d->routes, if_nametoindex(d->interface));

	if (r < 0) {
		log_error("lbd: can't open routes interface=%s error=\"%s\"", d->interface, strerror(-r));
		return r;
	}
	feed_init(&d->feed, &d->memory.tables, &d->routes, &d->sources);
	d->pages = (struct pages_source){
		.memory = &d->memory,
		.port = &d->port,
		.control = &d->control,
		.feed = &d->feed,
		.workers = d->workers,
		.worker_count = d->worker_count,
	};
	(void)snprintf(d->path, sizeof d->path, TWIN_ROOT "/%s" TWIN_SUFFIX, d->interface);
	pages_sites(side.sites, &d->pages, d->metrics, d->insecure, d->path);
	return control_start(&d->control, &side);
}

static int start(struct lbd *d, const char *program, int argc, char **argv)
{
	int r = control_init(&d->control);

	mask_tap_signals(SIG_BLOCK); /* DPDK's threads inherit it */
	if (r == 0)
		r = eal_start(program, argc, argv);
	if (r < 0) {
		log_error("lbd: DPDK can't be started error=\"%s\"", strerror(-r));
		return r;
	}
	r = open_port(d);
	if (r == 0)
		r = announce_open(&d->announcer, d->interface, &d->announce, false);
	if (r == 0)
		r = reduce_privileges();
	if (r == 0)
		r = start_workers(d);
	return r < 0 ? r : start_control(d);
}

static void tell_counts(const struct lbd *d)
{
	for (unsigned i = 0; i < d->worker_count; i++) {
		const struct memory_counts *c = &d->workers[i].counts;
		unsigned long long packets = 0, drops = 0;

		for (uint32_t n = 0; n < d->memory.tables.service_count; n++)
			packets += c->services[n].packets;
		for (int n = 0; n < LB_REASON_COUNT; n++)
			drops += c->drops.count[n];
		log_info("lbd: worker=%u forwarded=%llu dropped=%llu to_kernel=%llu from_kernel=%llu unsent=%llu kernel_unsent=%llu", i,
			 packets, drops, (unsigned long long)c->to_kernel, (unsigned long long)c->from_kernel,
			 (unsigned long long)c->unsent, (unsigned long long)c->kernel_unsent);
	}
}

static void stop(struct lbd *d)
{
	__atomic_store_n(&d->stop, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	tell_counts(d);
	(void)unlink(d->path);
	port_close(&d->port);
	(void)rte_eal_cleanup();
}

int main(int argc, char **argv)
{
	static struct lbd d;
	int r, rest;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	r = take_options(&d, argc, argv, &rest);
	if (r)
		return r;
	if (start(&d, argv[0], argc - rest, argv + rest) < 0)
		return 1;
	log_info("lbd: forwarding interface=%s workers=%u", d.interface, d.worker_count);
	(void)sd_notify(0, "READY=1\nSTATUS=forwarding");
	r = control_run(&d.control, UINT64_MAX);
	(void)sd_notify(0, "STOPPING=1");
	control_drain(&d.control, r < 0 ? 0 : d.announce.drain_s);
	stop(&d);
	log_info("lbd: stopped interface=%s", d.interface);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
