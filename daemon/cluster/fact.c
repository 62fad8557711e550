/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/fact.h"

#include <assert.h>
#include <errno.h>

#include "cluster/catalog.h"

const char *const reporter_sides[] = {"balancer", "backend"};

bool reporter_id_ok(const char *id)
{
	size_t size = strlen(id);

	for (size_t i = 0; i < size; i++)
		if (id[i] <= ' ' || id[i] > '~' || id[i] == '"' || id[i] == '\\')
			return false;
	return size >= 1 && size <= REPORTER_ID_MAX;
}

int reporter_compare(const struct reporter *a, const struct reporter *b)
{
	return a->node != b->node ? (a->node < b->node ? -1 : 1) : strcmp(a->id, b->id);
}

void reporter_put(struct bytes *out, const struct reporter *r)
{
	bytes_put_u8(out, r->node);
	bytes_put_u8(out, r->side);
	bytes_put_u8(out, (uint8_t)strlen(r->id));
	bytes_puts(out, r->id);
}

void reporter_get(struct cursor *in, struct reporter *ret)
{
	const uint8_t *id;
	uint8_t size;

	*ret = (struct reporter){.node = cursor_u8(in)};
	ret->side = cursor_u8(in);
	size = cursor_u8(in);
	id = cursor_take(in, size);
	if (id && size <= REPORTER_ID_MAX)
		memcpy(ret->id, id, size);
	if (strlen(ret->id) != size || !reporter_id_ok(ret->id) || !ret->node || ret->node >= NODE_SLOTS || ret->side >= REPORTER_SIDES)
		in->bad = true;
}

static void put_one(struct bytes *out, const struct fact *f)
{
	bytes_put_u8(out, (uint8_t)f->kind);
	if (f->kind <= FACT_LEFT) {
		reporter_put(out, &f->who);
	} else if (f->kind >= FACT_TUNNEL) {
		ip_put(out, &f->from);
	} else {
		bytes_put_u32(out, f->service);
		bytes_put_u32(out, f->number);
	}
	if (f->kind == FACT_LATENCY) {
		bytes_put_u32(out, f->us);
		bytes_put_u8(out, f->percent);
	}
}

void facts_put(struct bytes *out, const struct fact *facts, uint32_t count)
{
	assert(count <= FACTS_MAX);
	bytes_put_u64(out, 0);
	bytes_put_u8(out, CATALOG_FACTS);
	bytes_put_u8(out, FACT_RECORD_VERSION);
	bytes_put_u16(out, (uint16_t)count);
	for (uint32_t i = 0; i < count; i++)
		put_one(out, &facts[i]);
}

static void get_one(struct cursor *in, struct fact *ret)
{
	uint8_t kind = cursor_u8(in);

	*ret = (struct fact){.kind = kind};
	if (!kind || kind >= FACT_KINDS) {
		in->bad = true;
	} else if (kind <= FACT_LEFT) {
		reporter_get(in, &ret->who);
	} else if (kind >= FACT_TUNNEL) {
		ret->from = ip_get(in);
		in->bad |= !ip_is_host(&ret->from);
	} else {
		ret->service = cursor_u32(in);
		ret->number = cursor_u32(in);
	}
	if (kind != FACT_LATENCY)
		return;
	ret->us = cursor_u32(in);
	ret->percent = cursor_u8(in);
	if (!ret->us || !ret->percent || ret->percent > 100)
		in->bad = true;
}

int facts_get(struct cursor *in, struct fact *ret)
{
	uint8_t version = cursor_u8(in);
	uint16_t count;

	if (!in->bad && version != FACT_RECORD_VERSION)
		return -EPROTONOSUPPORT;
	count = cursor_u16(in);
	if (count > FACTS_MAX)
		return -EBADMSG;
	for (uint16_t i = 0; i < count && !in->bad; i++)
		get_one(in, &ret[i]);
	return in->bad || cursor_left(in) ? -EBADMSG : count;
}
