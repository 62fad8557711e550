/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/sources.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/ip.h"

static uint32_t first_place(uint8_t family)
{
	return family == LB_IP4 ? 0 : LB_SNAT_FAMILY;
}

static bool has(const struct sources *s, const struct lb_address *addr, uint8_t family)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->list[i].family == family && !memcmp(&s->list[i].addr, addr, sizeof *addr))
			return true;
	return false;
}

static uint32_t count_of(const struct sources *s, uint8_t family)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->count; i++)
		count += s->list[i].family == family;
	return count;
}

int sources_take_option(struct sources *s, const char *text)
{
	struct host_address a;
	struct ip ip;
	const char *why = ip_parse(&ip, text) ? ip_why_unreachable(&ip) : "no address";

	if (why || host_address_parse(&a, text) < 0) {
		(void)fprintf(stderr, "--snat-address \"%s\" is %s: give one that backends can answer to\n", text, why);
		return -EINVAL;
	}
	if (has(s, &a.addr, a.family) || count_of(s, a.family) == LB_SNAT_FAMILY) {
		(void)fprintf(stderr, "--snat-address %s is one too many: each once, and %u of a family\n", text, LB_SNAT_FAMILY);
		return -EINVAL;
	}
	s->text[s->count] = text;
	s->list[s->count++] = a;
	return 0;
}

bool sources_have(const struct sources *s, uint8_t family)
{
	return count_of(s, family) > 0;
}

const char *sources_find_foreign(const struct sources *s, struct routes *r)
{
	struct way w;

	for (uint32_t i = 0; i < s->count; i++)
		if (routes_find(r, &s->list[i], &w) < 0 || !w.local)
			return s->text[i];
	return NULL;
}

/* The address's place, else a free one of its family: there is one once those that went have left theirs. */
static struct lb_snat_address *place_for(struct tables *t, const struct host_address *a)
{
	struct lb_snat_address *places = &t->snat_addresses[first_place(a->family)], *free_place = NULL;

	for (uint32_t i = LB_SNAT_FAMILY; i-- > 0;) {
		if (!places[i].family)
			free_place = &places[i];
		else if (!memcmp(&places[i].addr, &a->addr, sizeof a->addr))
			return &places[i];
	}
	assert(free_place);
	return free_place;
}

static uint8_t places_used(const struct tables *t, uint8_t family)
{
	uint8_t used = LB_SNAT_FAMILY;

	while (used && !t->snat_addresses[first_place(family) + used - 1].family)
		used--;
	return used;
}

void sources_place(const struct sources *s, struct tables *t, struct lb_config *config)
{
	for (uint32_t i = 0; i < t->snat_address_count; i++)
		if (!has(s, &t->snat_addresses[i].addr, t->snat_addresses[i].family))
			t->snat_addresses[i].family = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		struct lb_snat_address *place = place_for(t, &s->list[i]);

		place->addr = s->list[i].addr;
		place->family = s->list[i].family;
	}
	config->snat4 = places_used(t, LB_IP4);
	config->snat6 = places_used(t, LB_IP6);
}
