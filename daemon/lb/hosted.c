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
		log_warning("hosted: sockets can't be counted, balancers go by what they see error=\"%s\", ignoring",
			    strerror(-h->netlink));
}

/* NAT's come to an address of the host's own, and datagrams have no socket each. */
static bool has_sockets(const struct catalog_service *s)
{
	return s->vip.proto == IPPROTO_TCP && (s->delivery == LB_IPIP || s->delivery == LB_GUE || s->delivery == LB_DSR);
}

/* ---- following ---- */

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void list_backends(struct hosted_service *to, const struct catalog_service *s, const bool *here)
{
	to->backends = mem_alloc(s->backend_count * sizeof *to->backends + 1);
	for (uint32_t i = 0; i < s->backend_count; i++)
		if (here[i])
			to->backends[to->backend_count++] = s->backends[i].id;
	if (to->backend_count)
		qsort(to->backends, to->backend_count, sizeof *to->backends, ascending);
}

void hosted_add(struct hosted *h, const struct lb_catalog *c, const struct catalog_service *s, const bool *here)
{
	struct hosted_service one = {
		.id = s->id, .vip = s->vip, .by_loads = s->scheduler == LB_TWO_CHOICES, .has_earlier = s->generation_count > 1};

	if (h->netlink < 0 || !has_sockets(s) || (!one.by_loads && !one.has_earlier))
		return;
	if (one.has_earlier)
		lead_init(&one.lead, &h->maglevs, c, s, here);
	list_backends(&one, s, here);
	h->next = mem_realloc(h->next, (h->next_count + 1) * sizeof *h->next);
	h->next[h->next_count++] = one;
}

static void free_services(struct hosted *h)
{
	for (uint32_t i = 0; i < h->count; i++) {
		lead_fini(&h->services[i].lead);
		free(h->services[i].backends);
	}
	free(h->services);
}

void hosted_follow(struct hosted *h)
{
	struct vip_sockets *vips = mem_zalloc(h->next_count * sizeof *vips + 1);

	for (uint32_t i = 0; i < h->next_count; i++) {
		const struct hosted_service *s = &h->next[i];
		const struct vip_sockets *before = sockets_find(h->vips, h->count, &s->vip);

		vips[i] = (struct vip_sockets){.vip = s->vip, .seen = before && before->seen, .lead = s->has_earlier ? &s->lead : NULL};
	}
	sockets_sort(vips, h->next_count);
	free_services(h);
	free(h->vips);
	h->vips = vips;
	h->services = h->next;
	h->count = h->next_count;
	h->next = NULL;
	h->next_count = 0;
}

/* ---- looking ---- */

static bool look(struct hosted *h)
{
	int r = h->count ? sockets_count(h->netlink, h->vips, h->count) : 0;

	if (r < 0 && !h->failed)
		log_warning("hosted: the kernel doesn't tell of sockets, balancers go by what they see error=\"%s\", ignoring",
			    strerror(-r));
	h->failed = r < 0;
	return r == 0;
}

static void say(struct lb_figure **list, uint32_t *count, const struct hosted_service *s, uint32_t value)
{
	*list = mem_realloc(*list, (*count + s->backend_count) * sizeof **list + 1);
	for (uint32_t i = 0; i < s->backend_count; i++)
		(*list)[(*count)++] = (struct lb_figure){{s->id, s->backends[i]}, value};
}

void hosted_count(struct hosted *h, struct lb_borne *ret)
{
	bool looked = look(h);

	*ret = (struct lb_borne){0};
	for (uint32_t i = 0; i < h->count; i++) {
		struct hosted_service *s = &h->services[i];
		const struct vip_sockets *at = sockets_find(h->vips, h->count, &s->vip);
		bool seen = looked && at && at->seen;

		s->led_looks = seen && s->lead.generation && !at->astray ? s->led_looks + 1 : 0;
		if (seen && s->by_loads)
			say(&ret->sockets, &ret->socket_count, s, at->open);
		if (s->led_looks >= HOSTED_LED_LOOKS)
			say(&ret->led, &ret->led_count, s, s->lead.generation);
	}
}
