/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/decap.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/mem.h"
#include "bpf/lb_overhead.h"
#include "lb/map.h"
#include "lb/rate.h"
#include "log.h"

/* What the maps should hold. */
struct plan {
	struct wanted peers, vips, hops, cookies;
	struct mss_limits limits;
	struct host_address *here; /* VIPs that have a backend here, once for each of their services */
	uint32_t here_count;
};

static int open_map(const char *dir, const char *name)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int decap_open(struct decapsulator *d, const char *maps, struct routes *routes)
{
	*d = (struct decapsulator){.routes = routes, .mss.socket = -1};
	d->peers = open_map(maps, "decap_peers");
	d->vips = open_map(maps, "decap_vips");
	d->hops = open_map(maps, "decap_hops");
	d->cookies = open_map(maps, "decap_cookies");
	d->counts = open_map(maps, "decap_counts");
	if (d->peers < 0 || d->vips < 0 || d->hops < 0 || d->cookies < 0 || d->counts < 0) {
		decap_close(d);
		return -ENOENT;
	}
	hosted_init(&d->hosted);
	return 0;
}

void decap_close(struct decapsulator *d)
{
	if (d->peers >= 0)
		(void)close(d->peers);
	if (d->vips >= 0)
		(void)close(d->vips);
	if (d->hops >= 0)
		(void)close(d->hops);
	if (d->cookies >= 0)
		(void)close(d->cookies);
	if (d->counts >= 0)
		(void)close(d->counts);
	d->peers = d->vips = d->hops = d->cookies = d->counts = -1;
}

static void want_peer(struct plan *p, const struct host_address *at, uint32_t flags)
{
	struct lb_peer_key key = {.addr = at->addr, .family = at->family};

	wanted_put(&p->peers, &key, &flags);
}

static struct lb_hop_key hop_key(const struct catalog_service *s, const struct host_address *at)
{
	return (struct lb_hop_key){.vip = s->vip.addr, .hop = at->addr, .vip_family = s->vip.family, .hop_family = at->family};
}

static uint32_t last_handed(const struct decapsulator *d, const struct lb_hop_key *key)
{
	struct lb_hop hop;

	return bpf_map_lookup_elem(d->hops, key, &hop) == 0 ? hop.handed_ticks : 0;
}

void decap_last_handed(const struct decapsulator *d, const struct catalog_service *s, uint32_t *ret)
{
	for (uint32_t i = 0; i < s->backend_count; i++) {
		struct lb_hop_key key = hop_key(s, &s->backends[i].at);

		ret[i] = last_handed(d, &key);
	}
}

/* The ways to a service's backends in w; whether one of them is this host. */
static bool find_ways(struct decapsulator *d, const struct catalog_service *s, struct way *w, bool *found)
{
	bool here = false;

	for (uint32_t i = 0; i < s->backend_count; i++) {
		found[i] = routes_find(d->routes, &s->backends[i].at, &w[i]) == 0;
		here |= found[i] && w[i].local;
	}
	return here;
}

static void want_backends(struct decapsulator *d, struct plan *p, const struct catalog_service *s, const struct way *w, const bool *found)
{
	struct lb_vip vip = {.addr = s->vip.addr, .family = s->vip.family};
	const uint32_t here = 1;

	wanted_put(&p->vips, &vip, &here);
	for (uint32_t i = 0; i < s->backend_count; i++) {
		const struct host_address *at = &s->backends[i].at;
		struct lb_hop_key key = hop_key(s, at);
		struct lb_hop hop = {.mac = w[i].mac, .handed_ticks = last_handed(d, &key)};
		bool self = found[i] && w[i].local;

		want_peer(p, at, self ? LB_PEER_SENDER | LB_PEER_SELF : LB_PEER_SENDER);
		d->unresolved += !found[i];
		if (found[i] && !self)
			wanted_put(&p->hops, &key, &hop);
	}
}

/* [syn flood]: a limit of none makes every SYN one too many. */
static void want_cookies(struct plan *p, const struct catalog_service *s)
{
	struct lb_limit limit = rate_limit(s->syn_cookies == SYN_COOKIES_AUTO ? s->syn_rate : 0);

	if (s->syn_cookies != SYN_COOKIES_OFF && s->vip.proto == IPPROTO_TCP)
		wanted_put(&p->cookies, &s->vip, &limit);
}

/* What a full packet to the VIP leaves for the segment, once it is in a balancer's tunnel to here; their link has the MTU of ours, or a
 * smaller one that they tell ([mtu]). */
static void want_mss(const struct decapsulator *d, struct plan *p, const struct catalog_service *s, const struct host_address *at)
{
	const struct host_address vip = {.addr = s->vip.addr, .family = s->vip.family};
	uint32_t tunnel = lb_tunnel_overhead(s->delivery, s->chain, at->family);
	uint32_t headers = (vip.family == LB_IP4 ? sizeof(struct lb_ip4) : sizeof(struct lb_ip6)) + sizeof(struct lb_tcp);

	if (tunnel && s->vip.proto == IPPROTO_TCP && d->routes->mtu > tunnel + headers && d->routes->mtu <= UINT16_MAX)
		mss_limit_put(&p->limits, &vip, (uint16_t)(d->routes->mtu - tunnel - headers));
}

/* Those that were removed are among its backends: more than a stack should hold. */
static void want_service(struct decapsulator *d, struct plan *p, const struct lb_catalog *c, const struct catalog_service *s)
{
	struct way *w = mem_alloc(s->backend_count * sizeof *w);
	bool *found = mem_alloc(s->backend_count * sizeof *found);

	if (find_ways(d, s, w, found)) {
		p->here[p->here_count++] = (struct host_address){.addr = s->vip.addr, .family = s->vip.family};
		want_backends(d, p, s, w, found);
		want_cookies(p, s);
		for (uint32_t i = 0; i < s->backend_count; i++) {
			found[i] = found[i] && w[i].local;
			if (found[i])
				want_mss(d, p, s, &s->backends[i].at);
		}
		hosted_add(&d->hosted, c, s, found);
	}
	free(w);
	free(found);
}

/* Past the balancers, who asks the LAN for a VIP gets to this host: no limit, no other backend. */
static void look_at_host(struct decapsulator *d, const struct plan *p)
{
	char interface[IF_NAMESIZE] = "";
	enum local_fault fault;

	(void)if_indextoname(d->routes->ifindex, interface);
	fault = local_check(interface, p->here, p->here_count);
	if (fault != d->fault && fault != LOCAL_FINE)
		log_warning("decap: %s interface=%s, ignoring", local_fault_text(fault), interface);
	d->fault = fault;
}

static int write_map(struct wanted *w, int map)
{
	int r = map_add(map, w);

	return r < 0 ? r : map_remove_others(map, w);
}

int decap_apply(struct decapsulator *d, const struct lb_catalog *c)
{
	struct plan p = {.here = mem_alloc(c->service_count * sizeof *p.here + 1)};
	int r;

	d->unresolved = 0;
	wanted_init(&p.peers, sizeof(struct lb_peer_key), sizeof(uint32_t));
	wanted_init(&p.vips, sizeof(struct lb_vip), sizeof(uint32_t));
	wanted_init(&p.hops, sizeof(struct lb_hop_key), sizeof(struct lb_hop));
	wanted_init(&p.cookies, sizeof(struct lb_vip), sizeof(struct lb_limit));
	/* A balancer that is this host, too, is put again with more flags ([local]). */
	for (uint32_t i = 0; i < c->balancer_count; i++)
		want_peer(&p, &c->balancers[i], LB_PEER_SENDER);
	for (uint32_t i = 0; i < c->service_count; i++)
		want_service(d, &p, c, &c->services[i]);
	if (p.cookies.count)
		syncookie_prepare(&d->kernel);
	/* VIPs last: without one nothing is taken off. */
	r = write_map(&p.hops, d->hops);
	if (r == 0)
		r = write_map(&p.peers, d->peers);
	if (r == 0)
		r = write_map(&p.cookies, d->cookies);
	if (r == 0)
		r = write_map(&p.vips, d->vips);
	if (r < 0)
		log_error("decap: the maps don't take the catalog error=\"%s\"", strerror(-r));
	mss_apply(&d->mss, &p.limits);
	hosted_follow(&d->hosted);
	look_at_host(d, &p);
	free(p.here);
	wanted_free(&p.peers);
	wanted_free(&p.vips);
	wanted_free(&p.hops);
	wanted_free(&p.cookies);
	return r;
}
