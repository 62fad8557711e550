/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/hosted.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "log.h"

void hosted_init(struct hosted *h)
{
	*h = (struct hosted){.netlink = sockets_open()};
	if (h->netlink < 0)
		log_warning("hosted: sockets can't be counted, balancers go by their own flows error=\"%s\", ignoring", strerror(-h->netlink));
}

/* NAT's come to an address of the host's own, and datagrams have no socket each. */
static bool has_sockets(const struct catalog_service *s)
{
	return s->vip.proto == IPPROTO_TCP && (s->delivery == LB_IPIP || s->delivery == LB_GUE || s->delivery == LB_DSR);
}

void hosted_add(struct hosted *h, const struct catalog_service *s, uint64_t backend)
{
	if (h->netlink < 0 || !has_sockets(s) || s->scheduler != LB_TWO_CHOICES)
		return;
	h->next = mem_realloc(h->next, (h->next_count + 1) * sizeof *h->next);
	h->next[h->next_count++] = (struct hosted_backend){.place = {s->id, backend}, .vip = s->vip};
}

static int by_place(const void *a, const void *b)
{
	const struct catalog_place *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

/* Each VIP once, and what is known of it. */
static void follow_vips(struct hosted *h)
{
	struct vip_sockets *next = mem_zalloc(h->count * sizeof *next + 1);
	uint32_t count = 0;

	for (uint32_t i = 0; i < h->count; i++) {
		const struct vip_sockets *before = sockets_find(h->vips, h->vip_count, &h->backends[i].vip);

		if (i && h->backends[i].place.service == h->backends[i - 1].place.service)
			continue;
		next[count++] = before ? *before : (struct vip_sockets){.vip = h->backends[i].vip};
	}
	free(h->vips);
	h->vips = next;
	h->vip_count = count;
	sockets_sort(h->vips, h->vip_count);
}

void hosted_follow(struct hosted *h)
{
	free(h->backends);
	h->backends = h->next;
	h->count = h->next_count;
	h->next = NULL;
	h->next_count = 0;
	if (h->count)
		qsort(h->backends, h->count, sizeof *h->backends, by_place);
	follow_vips(h);
}

static bool count(struct hosted *h)
{
	int r = h->vip_count ? sockets_count(h->netlink, h->vips, h->vip_count) : 0;

	if (r < 0 && !h->failed)
		log_warning("hosted: the kernel doesn't tell of sockets, balancers go by their own flows error=\"%s\", ignoring", strerror(-r));
	h->failed = r < 0;
	return r == 0;
}

uint32_t hosted_loads(struct hosted *h, struct lb_figure **ret)
{
	uint32_t said = 0;

	*ret = mem_alloc(h->count * sizeof **ret + 1);
	for (uint32_t i = 0, end = count(h) ? h->count : 0; i < end; i++) {
		const struct vip_sockets *s = sockets_find(h->vips, h->vip_count, &h->backends[i].vip);

		if (s && s->seen)
			(*ret)[said++] = (struct lb_figure){h->backends[i].place, s->open};
	}
	return said;
}
