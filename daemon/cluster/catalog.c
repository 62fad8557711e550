/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/catalog.h"

#include <assert.h>
#include <errno.h>

#include "base/hash.h"
#include "cluster/services.h"

#define GROUPS_MAX 4096u

void catalog_fini(struct catalog *c)
{
	services_free(c->services);
	*c = (struct catalog){0};
}

void catalog_replace(struct catalog *c, struct catalog *from)
{
	catalog_fini(c);
	*c = *from;
	*from = (struct catalog){0};
}

struct catalog catalog_directory(uint64_t hash_seed, uint32_t group_count)
{
	return (struct catalog){.ready = true, .hash_seed = hash_seed, .group_count = group_count};
}

const struct services *catalog_services(const struct catalog *c)
{
	static const struct services none;

	return c->services ? c->services : &none;
}

static int apply_init(struct catalog *c, struct cursor *in)
{
	struct catalog fresh = {.ready = true};

	fresh.hash_seed = cursor_u64(in);
	fresh.group_count = cursor_u32(in);
	fresh.member_count = cursor_u8(in);
	if (in->bad || !fresh.group_count || fresh.group_count > GROUPS_MAX || fresh.member_count >= NODE_SLOTS)
		return -EBADMSG;
	for (unsigned i = 0; i < fresh.member_count; i++)
		fresh.members[i] = cursor_u8(in);
	if (in->bad)
		return -EBADMSG;
	if (c->ready)
		return 0; /* two leaders wanted to begin: the first one has */
	fresh.applied = c->applied;
	fresh.services = c->services;
	*c = fresh;
	return 0;
}

static struct services *services_to_change(struct catalog *c)
{
	if (!c->services)
		c->services = services_new();
	return c->services;
}

int catalog_apply(struct catalog *c, const struct entry *e)
{
	struct cursor in = cursor_of(e->data, e->size);

	assert(e->index == c->applied + 1);
	c->applied = e->index;
	(void)cursor_u64(&in);
	if (e->kind != ENTRY_CATALOG)
		return in.bad ? -EBADMSG : 0;
	switch (cursor_u8(&in)) {
	case CATALOG_INIT:
		return apply_init(c, &in);
	case CATALOG_SERVICES:
		return services_apply(services_to_change(c), &in, e->index);
	case CATALOG_FACTS:
		return services_apply_facts(services_to_change(c), &in, e->index);
	default:
		return -EBADMSG;
	}
}

void catalog_encode_init(struct bytes *out, uint64_t stamp_ms, uint64_t hash_seed, uint32_t group_count, uint8_t member_count, const uint8_t *members)
{
	bytes_put_u64(out, stamp_ms);
	bytes_put_u8(out, CATALOG_INIT);
	bytes_put_u64(out, hash_seed);
	bytes_put_u32(out, group_count);
	bytes_put_u8(out, member_count);
	bytes_put(out, members, member_count);
}

void catalog_save(const struct catalog *c, struct bytes *out)
{
	bytes_put_u64(out, c->applied);
	bytes_put_u8(out, c->ready);
	bytes_put_u64(out, c->hash_seed);
	bytes_put_u32(out, c->group_count);
	bytes_put_u8(out, c->member_count);
	bytes_put(out, c->members, sizeof c->members);
	if (c->services)
		services_save(c->services, out);
}

bool catalog_restore(struct catalog *c, const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	struct catalog fresh = {0};
	const uint8_t *members;

	fresh.applied = cursor_u64(&in);
	fresh.ready = cursor_u8(&in);
	fresh.hash_seed = cursor_u64(&in);
	fresh.group_count = cursor_u32(&in);
	fresh.member_count = cursor_u8(&in);
	members = cursor_take(&in, sizeof fresh.members);
	if (in.bad || fresh.member_count >= NODE_SLOTS || fresh.group_count > GROUPS_MAX)
		return false;
	memcpy(fresh.members, members, sizeof fresh.members);
	if (cursor_left(&in)) {
		fresh.services = services_restore(&in);
		if (!fresh.services || cursor_left(&in)) {
			catalog_fini(&fresh);
			return false;
		}
	}
	catalog_replace(c, &fresh);
	return true;
}

uint32_t catalog_group_of_slot(const struct catalog *c, uint16_t slot)
{
	return 1 + (uint32_t)slot * c->group_count / SLOT_COUNT;
}

void catalog_slots_of_group(const struct catalog *c, uint32_t group, uint16_t *ret_first, uint16_t *ret_last)
{
	/* The smallest slot with slot * n / 16384 >= group - 1, and the one before the next group's. */
	*ret_first = (uint16_t)(((group - 1) * SLOT_COUNT + c->group_count - 1) / c->group_count);
	*ret_last = (uint16_t)((group * SLOT_COUNT + c->group_count - 1) / c->group_count - 1);
}

uint64_t catalog_checksum_told(const struct catalog *c)
{
	return c->group_count + hash64(c->members, c->member_count, c->ready) + (c->services ? services_checksum(c->services) : 0);
}

uint64_t catalog_checksum(const struct catalog *c)
{
	return mix64(c->hash_seed) + catalog_checksum_told(c);
}

bool catalog_intact(const struct catalog *c)
{
	return !c->services || services_intact(c->services);
}
