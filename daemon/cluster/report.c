/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/report.h"

#include <stdlib.h>

#include "base/mem.h"

void report_fini(struct report *r)
{
	free(r->down);
	*r = (struct report){0};
}

static int place_compare(const void *a, const void *b)
{
	const struct report_place *x = a, *y = b;

	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->backend < y->backend ? -1 : x->backend > y->backend;
}

bool report_equal(const struct report *a, const struct report *b)
{
	return !reporter_compare(&a->by, &b->by) && a->by.side == b->by.side && a->version == b->version && a->failed == b->failed &&
	       a->announces == b->announces && a->snat4 == b->snat4 && a->snat6 == b->snat6 &&
	       a->down_count == b->down_count && (!a->down_count || !memcmp(a->down, b->down, a->down_count * sizeof *a->down));
}

bool report_says_down(const struct report *r, uint32_t service, uint32_t backend)
{
	const struct report_place place = {service, backend};

	return r->down_count && bsearch(&place, r->down, r->down_count, sizeof place, place_compare);
}

void report_put(struct bytes *out, const struct report *r)
{
	reporter_put(out, &r->by);
	bytes_put_u64(out, r->version);
	bytes_put_u8(out, r->failed);
	bytes_put_u8(out, r->announces);
	bytes_put_u8(out, r->snat4);
	bytes_put_u8(out, r->snat6);
	bytes_put_u32(out, r->down_count);
	for (uint32_t i = 0; i < r->down_count; i++) {
		bytes_put_u32(out, r->down[i].service);
		bytes_put_u32(out, r->down[i].backend);
	}
}

void report_get(struct cursor *in, struct report *ret)
{
	bool *const said[] = {&ret->failed, &ret->announces, &ret->snat4, &ret->snat6};

	*ret = (struct report){0};
	reporter_get(in, &ret->by);
	ret->version = cursor_u64(in);
	for (uint32_t i = 0; i < sizeof said / sizeof *said; i++) {
		uint8_t byte = cursor_u8(in);

		*said[i] = byte;
		in->bad |= byte > 1;
	}
	ret->down_count = cursor_u32(in);
	if (ret->down_count > REPORT_DOWN_MAX)
		in->bad = true;
	if (in->bad)
		ret->down_count = 0;
	ret->down = mem_zalloc(ret->down_count * sizeof *ret->down + 1);
	for (uint32_t i = 0; i < ret->down_count; i++) {
		ret->down[i].service = cursor_u32(in);
		ret->down[i].backend = cursor_u32(in);
		if (i && place_compare(&ret->down[i - 1], &ret->down[i]) >= 0)
			in->bad = true;
	}
}
