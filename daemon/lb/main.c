/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-lbd. The start-up ladder: options, what takes privileges that aren't kept, privileges, the program loaded onto its pinned maps,
 * routes, the program on the interface, the catalog's follower, the health checks, the reporter and the announcer; then it waits for what
 * they bring, the routes and signals. What it leaves behind when it ends, however it ends, goes on forwarding (law 7).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "bpf/decap.skel.h"
#include "bpf/lb_xdp.skel.h"
#include "base/mem.h"
#include "lb/announce.h"
#include "lb/control.h"
#include "lb/counts.h"
#include "lb/decap.h"
#include "lb/feed.h"
#include "lb/metrics.h"
#include "lb/numbers.h"
#include "lb/plane.h"
#include "lb/privilege.h"
#include "lb/xdp.h"
#include "log.h"

#define EXIT_USAGE 2

struct lbd {
	const char *socket, *interface, *metrics;
	struct announce_options announce;
	struct sources sources;
	bool insecure; /* metrics may be off loopback */
	bool backend;  /* the backend's side instead of the balancer's */
	bool any_mss;  /* it leaves the MSS alone that clients are told */
	struct plane plane;
	struct routes routes;
	struct maps maps; /* the balancer's */
	bool inherits;    /* from another ABI's */
	struct feed feed;
	struct decapsulator decap;
	struct control control;
};

static const char usage[] =
	"usage: holdfast-lbd --interface IF [--socket PATH] [--snat-address ADDR]... [--bird FILE] [--drain-seconds N]\n"
	"           [--metrics HOST:PORT [--insecure]]\n"
	"       holdfast-lbd --interface IF [--socket PATH] --backend [--no-mss] [--metrics HOST:PORT [--insecure]]\n"
	"Balances the packets that come in by IF over the backends of the cluster's services.\n"
	"  --socket PATH   the node to follow; $HOLDFAST_SOCKET or /run/holdfast/holdfast.sock unless told\n"
	"  --backend       this host is a backend: take the balancers' tunnels off what comes in by IF\n"
	"  --no-mss        leave the MSS alone that clients are told from VIPs; else it is what fits into the tunnel, by nftables\n"
	"  --snat-address ADDR  an address of this host that services with snat speak to their backends from; four of a family\n"
	"  --metrics HOST:PORT   serve /metrics there (OpenMetrics), on loopback\n"
	"  --insecure      or elsewhere, without TLS\n"
	ANNOUNCE_USAGE
	"What it put on IF forwards on when it ends; `rm -r /sys/fs/bpf/holdfast/IF` takes it off.\n";

__attribute__((format(printf, 2, 0))) static int log_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];

	if (level == LIBBPF_WARN) {
		(void)vsnprintf(line, sizeof line, format, args);
		line[strcspn(line, "\n")] = 0;
		log_warning("libbpf: %s", line);
	}
	return 0;
}

/* 0, or the exit status. */
static int take_options(struct lbd *d, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"interface", required_argument, NULL, 'i'},
		{"backend", no_argument, NULL, 'b'},
		{"metrics", required_argument, NULL, 'm'},
		{"insecure", no_argument, NULL, 'x'},
		ANNOUNCE_OPTIONS,
		{"snat-address", required_argument, NULL, 'a'},
		{"no-mss", no_argument, NULL, 'n'},
		{0},
	};
	int c;

	d->socket = control_socket_default();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			d->socket = optarg;
		else if (c == 'i')
			d->interface = optarg;
		else if (c == 'b')
			d->backend = true;
		else if (c == 'n')
			d->any_mss = true;
		else if (c == 'm')
			d->metrics = optarg;
		else if (c == 'x')
			d->insecure = true;
		else if (c == 'a' && sources_take_option(&d->sources, optarg) == 0)
			continue;
		else if (announce_take_option(&d->announce, c, optarg) < 0)
			return EXIT_USAGE;
	}
	if (d->interface && optind == argc && !(d->backend ? d->announce.bird != NULL : d->any_mss))
		return 0;
	fputs(usage, stderr);
	return EXIT_USAGE;
}

/* The program, open and with its sizes. NULL, with errno set, if that fails. */
static struct bpf_object *open_program(const struct lbd *d)
{
	struct decap *backend;
	struct lb_xdp *balancer;

	if (d->backend) {
		backend = decap__open();
		return backend ? backend->obj : NULL;
	}
	balancer = lb_xdp__open();
	return balancer && xdp_set_sizes(balancer->obj) == 0 ? balancer->obj : NULL;
}

/* Flows that another ABI recorded, and goes on to until the program is swapped. */
static void share_maps(struct lbd *d, struct bpf_object *object)
{
	int r = maps_share(d->plane.left, d->plane.maps, object);

	d->inherits = r == 0;
	if (r < 0)
		log_warning("lbd: the maps of the build before have another form: connections through moved slots may break maps=%s error=\"%s\", ignoring",
			    d->plane.left, strerror(-r));
}

static int load(struct lbd *d)
{
	struct bpf_object *object = open_program(d);
	int r;

	if (!object) {
		log_error("lbd: the program in this binary can't be opened error=\"%s\"", strerror(errno));
		return -errno;
	}
	r = plane_open(&d->plane, d->interface, d->backend ? "decap" : "lb");
	if (r == 0 && !d->backend && d->plane.left[0])
		share_maps(d, object);
	if (r == 0)
		r = plane_load(&d->plane, object, d->backend ? "decap" : "lb_xdp");
	if (r < 0)
		log_error("lbd: %s", d->plane.error);
	return r;
}

/* Clients learn by packet-too-big where that isn't to be had. */
static void limit_mss(struct lbd *d)
{
	int r = mss_open(&d->decap.mss, d->interface);

	if (r < 0)
		log_warning("lbd: no nftables to tell clients an MSS that fits into the tunnel error=\"%s\", ignoring", strerror(-r));
}

static int open_maps(struct lbd *d)
{
	int r = routes_open(&d->routes, d->plane.ifindex);

	if (r == 0)
		r = d->backend ? decap_open(&d->decap, d->plane.maps, &d->routes) : xdp_open(&d->maps, d->plane.maps);
	if (r < 0)
		log_error("lbd: can't open routes or maps maps=%s error=\"%s\"", d->plane.maps, strerror(-r));
	if (r == 0 && d->backend && !d->any_mss)
		limit_mss(d);
	if (r == 0 && d->inherits)
		maps_copy(&d->maps, d->plane.left);
	if (r == 0 && !d->backend)
		feed_init(&d->feed, &d->maps.tables, &d->routes, &d->sources);
	return r;
}

/* What isn't the host's would be answered for by nobody. */
static int check_sources(struct lbd *d)
{
	const char *foreign = sources_find_foreign(&d->sources, &d->routes);

	if (!foreign)
		return 0;
	log_error("lbd: --snat-address %s is no address of this host: add it (ip addr add %s dev %s) or name another", foreign, foreign,
		  d->interface);
	return -EADDRNOTAVAIL;
}

static int attach(struct lbd *d)
{
	int r = plane_attach(&d->plane);

	if (r < 0) {
		log_error("lbd: %s", d->plane.error);
		return r;
	}
	if (d->plane.generic)
		log_warning("lbd: the driver of this interface has no native XDP: packets cost several times more interface=%s, ignoring",
			    d->plane.interface);
	log_info("lbd: attached interface=%s program=%s mode=%s maps=%s", d->plane.interface, d->plane.role,
		 d->plane.generic ? "generic" : "native", d->plane.maps);
	return 0;
}

static int apply(void *arg, const struct lb_catalog *c, const struct check_list *own, bool routes_changed)
{
	struct lbd *d = arg;
	uint32_t unresolved;
	int r;

	d->feed.ways_stale |= routes_changed;
	r = d->backend ? decap_apply(&d->decap, c) : feed_apply(&d->feed, c, own);
	unresolved = d->backend ? d->decap.unresolved : d->feed.unresolved;
	log_debug("lbd: applied version=%llu unresolved=%u", (unsigned long long)c->version, unresolved);
	/* Filled maps take the place of another ABI's. */
	if (r == 0 && d->plane.stale)
		(void)attach(d);
	return r;
}

static void settle(void *arg)
{
	struct lbd *d = arg;

	feed_settle(&d->feed); /* of a backend it has nothing */
}

static void count_loads(void *arg, const struct lb_catalog *c, const struct lb_told *told, uint32_t told_count)
{
	struct lbd *d = arg;

	feed_count_loads(&d->feed, c, told, told_count);
}

static void bear(void *arg, struct lb_borne *ret)
{
	struct lbd *d = arg;

	hosted_count(&d->decap.hosted, ret);
}

static void last_older(void *arg, const struct catalog_service *s, uint32_t *ret)
{
	const struct lbd *d = arg;

	if (d->backend)
		decap_last_handed(&d->decap, s, ret);
	else
		feed_last_older(&d->feed, s, ret);
}

/* Its packets; on the backend's side, when one was handed on last. */
static uint64_t seen(void *arg, const struct catalog_service *s)
{
	const struct lbd *d = arg;
	uint32_t *last, latest = 0;

	if (!d->backend)
		return d->maps.tables.reads->count_service(&d->maps.tables, numbers_find_service(&d->maps.tables, s->id)).packets;
	last = mem_zalloc(s->backend_count * sizeof *last + 1);
	decap_last_handed(&d->decap, s, last);
	for (uint32_t i = 0; i < s->backend_count; i++)
		latest = last[i] > latest ? last[i] : latest;
	free(last);
	return latest;
}

static unsigned write_metrics(void *arg, const struct scrape_question *q, struct bytes *out)
{
	const struct lbd *d = arg;
	struct lb_decap_counts decap = d->backend ? counts_decap(d->decap.counts) : (struct lb_decap_counts){0};
	struct metrics_source m = {
		.tables = d->backend ? NULL : &d->maps.tables,
		.decap = &decap,
		.has_catalog = d->control.has_catalog,
		.version = d->control.catalog.version,
		.unresolved = d->backend ? d->decap.unresolved : d->feed.unresolved,
		.checked = &d->control.checked,
	};

	if (d->control.prober)
		prober_count(d->control.prober, &m.probes);
	(void)q;
	metrics_write(&m, out);
	return SCRAPE_OK;
}

static const struct scrape_page pages[] = {{"/metrics", SCRAPE_OPENMETRICS, write_metrics}};

static int start(struct lbd *d)
{
	struct control_side side = {
		.socket = d->socket,
		.interface = d->interface,
		.backend = d->backend,
		.sources = &d->sources,
		.tunnels = d->backend ? NULL : &d->feed.tunnels,
		.routes = &d->routes,
		.apply = apply,
		.settle = settle,
		.count = d->backend ? NULL : count_loads,
		.bear = d->backend ? bear : NULL,
		.earlier = {.last = last_older, .seen = seen, .arg = d},
		.arg = d,
		.sites = {{.address = d->metrics, .insecure = d->insecure, .pages = pages, .page_count = 1, .arg = d}},
	};
	char error[256];
	int r = d->backend ? 0 : announce_open(&side.announcer, d->interface, &d->announce, true);

	if (r < 0)
		return r;
	r = privilege_reduce(PRIVILEGES_XDP, error, sizeof error);
	if (r < 0) {
		log_error("lbd: %s", error);
		return r;
	}
	r = control_init(&d->control);
	if (r == 0)
		r = load(d);
	if (r == 0)
		r = open_maps(d);
	if (r == 0)
		r = check_sources(d);
	if (r == 0 && !d->plane.stale)
		r = attach(d);
	return r < 0 ? r : control_start(&d->control, &side);
}

int main(int argc, char **argv)
{
	struct lbd d = {0};
	int r;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	r = take_options(&d, argc, argv);
	if (r)
		return r;
	(void)libbpf_set_print(log_libbpf);
	if (start(&d) < 0)
		return 1;
	(void)sd_notify(0, "READY=1\nSTATUS=forwarding");
	r = control_run(&d.control, UINT64_MAX);
	(void)sd_notify(0, "STOPPING=1");
	control_drain(&d.control, r < 0 ? 0 : d.announce.drain_s);
	if (r == 0)
		log_info("lbd: stopped, forwarding goes on interface=%s", d.interface);
	/* The kernel closes what is open; memory needs no tidying in a process that ends. */
	_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
