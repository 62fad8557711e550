/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/report.h"

#include <stdlib.h>

#include "base/mem.h"

void report_fini(struct report *r)
{
	free(r->down);
	free(r->idle);
	free(r->latencies.list);
	free(r->sockets.list);
	free(r->led.list);
	free(r->quiet);
	*r = (struct report){0};
}

/* Also of what begins with a place. */
static int place_compare(const void *a, const void *b)
{
	const struct report_place *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static bool places_equal(const struct report_place *a, uint32_t a_count, const struct report_place *b, uint32_t b_count)
{
	return a_count == b_count && (!a_count || !memcmp(a, b, a_count * sizeof *a));
}

static bool figures_equal(const struct report_figures *a, const struct report_figures *b)
{
	return a->count == b->count && (!a->count || !memcmp(a->list, b->list, a->count * sizeof *a->list));
}

static bool tunnels_equal(const struct report *a, const struct report *b)
{
	return a->tunnel_count == b->tunnel_count && !memcmp(a->tunnels, b->tunnels, a->tunnel_count * sizeof a->tunnels[0]);
}

bool report_equal(const struct report *a, const struct report *b)
{
	return !reporter_compare(&a->by, &b->by) && a->by.side == b->by.side && a->version == b->version && a->failed == b->failed &&
	       a->announces == b->announces && a->routes == b->routes && a->snat4 == b->snat4 && a->snat6 == b->snat6 && tunnels_equal(a, b) &&
	       places_equal(a->down, a->down_count, b->down, b->down_count) && places_equal(a->idle, a->idle_count, b->idle, b->idle_count) &&
	       figures_equal(&a->led, &b->led) && places_equal(a->quiet, a->quiet_count, b->quiet, b->quiet_count);
}

static bool has_place(const struct report_place *list, uint32_t count, struct report_place place)
{
	return count && bsearch(&place, list, count, sizeof place, place_compare);
}

bool report_says_down(const struct report *r, uint32_t service, uint32_t backend)
{
	return has_place(r->down, r->down_count, (struct report_place){service, backend});
}

bool report_says_idle(const struct report *r, uint32_t service, uint32_t generation)
{
	return has_place(r->idle, r->idle_count, (struct report_place){service, generation});
}

bool report_says_quiet(const struct report *r, uint32_t service, uint32_t generation)
{
	return has_place(r->quiet, r->quiet_count, (struct report_place){service, generation}) || report_says_idle(r, service, generation);
}

const struct report_figure *report_figure(const struct report_figures *f, uint32_t service, uint32_t backend)
{
	const struct report_place place = {service, backend};

	return f->count ? bsearch(&place, f->list, f->count, sizeof *f->list, place_compare) : NULL;
}

static void put_places(struct bytes *out, const struct report_place *list, uint32_t count)
{
	bytes_put_u32(out, count);
	for (uint32_t i = 0; i < count; i++) {
		bytes_put_u32(out, list[i].service);
		bytes_put_u32(out, list[i].number);
	}
}

/* The caller's, also if the cursor is bad. */
static struct report_place *get_places(struct cursor *in, uint32_t max, uint32_t *ret_count)
{
	uint32_t count = cursor_u32(in);
	struct report_place *list;

	if (count > max)
		in->bad = true;
	if (in->bad)
		count = 0;
	list = mem_zalloc(count * sizeof *list + 1);
	for (uint32_t i = 0; i < count; i++) {
		list[i].service = cursor_u32(in);
		list[i].number = cursor_u32(in);
		if (i && place_compare(&list[i - 1], &list[i]) >= 0)
			in->bad = true;
	}
	*ret_count = count;
	return list;
}

static void put_tunnels(struct bytes *out, const struct report *r)
{
	bytes_put_u8(out, r->tunnel_count);
	for (uint8_t i = 0; i < r->tunnel_count; i++)
		ip_put(out, &r->tunnels[i]);
}

static void get_tunnels(struct cursor *in, struct report *ret)
{
	uint8_t count = cursor_u8(in);

	if (count > TUNNELS_EACH_MAX)
		in->bad = true;
	while (!in->bad && ret->tunnel_count < count) {
		struct ip *from = &ret->tunnels[ret->tunnel_count++];

		*from = ip_get(in);
		in->bad |= !ip_is_host(from);
	}
}

static void put_figures(struct bytes *out, const struct report_figures *f)
{
	bytes_put_u32(out, f->count);
	for (uint32_t i = 0; i < f->count; i++) {
		bytes_put_u32(out, f->list[i].backend.service);
		bytes_put_u32(out, f->list[i].backend.number);
		bytes_put_u32(out, f->list[i].value);
	}
}

static void get_figures(struct cursor *in, uint32_t least, struct report_figures *ret)
{
	uint32_t count = cursor_u32(in);

	if (count > REPORT_FIGURES_MAX)
		in->bad = true;
	if (in->bad)
		return;
	ret->list = mem_zalloc(count * sizeof *ret->list + 1);
	ret->count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct report_figure *one = &ret->list[i];

		one->backend.service = cursor_u32(in);
		one->backend.number = cursor_u32(in);
		one->value = cursor_u32(in);
		if (one->value < least || (i && place_compare(one - 1, one) >= 0))
			in->bad = true;
	}
}

void report_put(struct bytes *out, const struct report *r)
{
	reporter_put(out, &r->by);
	bytes_put_u64(out, r->version);
	bytes_put_u8(out, r->failed);
	bytes_put_u8(out, r->announces);
	bytes_put_u8(out, r->routes);
	bytes_put_u8(out, r->snat4);
	bytes_put_u8(out, r->snat6);
	put_tunnels(out, r);
	put_places(out, r->down, r->down_count);
	put_places(out, r->idle, r->idle_count);
	put_figures(out, &r->latencies);
	put_figures(out, &r->sockets);
	put_figures(out, &r->led);
	put_places(out, r->quiet, r->quiet_count);
}

void report_get(struct cursor *in, struct report *ret)
{
	bool *const said[] = {&ret->failed, &ret->announces, &ret->routes, &ret->snat4, &ret->snat6};

	*ret = (struct report){0};
	reporter_get(in, &ret->by);
	ret->version = cursor_u64(in);
	for (uint32_t i = 0; i < sizeof said / sizeof *said; i++) {
		uint8_t byte = cursor_u8(in);

		*said[i] = byte;
		in->bad |= byte > 1;
	}
	get_tunnels(in, ret);
	ret->down = get_places(in, REPORT_DOWN_MAX, &ret->down_count);
	ret->idle = get_places(in, REPORT_IDLE_MAX, &ret->idle_count);
	get_figures(in, 1, &ret->latencies);
	get_figures(in, 0, &ret->sockets);
	get_figures(in, 1, &ret->led);
	ret->quiet = get_places(in, REPORT_IDLE_MAX, &ret->quiet_count);
}
