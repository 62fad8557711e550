/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/tunnels.h"

#include "base/hash.h"

static uint32_t place(const struct tunnels *t, const struct ip *from)
{
	uint32_t i = 0;

	while (i < t->count && !ip_equal(&t->list[i].from, from))
		i++;
	return i;
}

const struct tunnel *tunnels_find(const struct tunnels *t, const struct ip *from)
{
	uint32_t at = place(t, from);

	return at < t->count ? &t->list[at] : NULL;
}

bool tunnels_add(struct tunnels *t, const struct ip *from, uint64_t version)
{
	if (t->count == TUNNELS_MAX || tunnels_find(t, from))
		return false;
	t->list[t->count++] = (struct tunnel){.from = *from, .since = version};
	return true;
}

bool tunnels_remove(struct tunnels *t, const struct ip *from)
{
	uint32_t at = place(t, from);

	if (at == t->count)
		return false;
	t->count--;
	memmove(&t->list[at], &t->list[at + 1], (t->count - at) * sizeof t->list[0]);
	return true;
}

void tunnels_put(struct bytes *out, const struct tunnels *t)
{
	bytes_put_u32(out, t->count);
	for (uint32_t i = 0; i < t->count; i++) {
		ip_put(out, &t->list[i].from);
		bytes_put_u64(out, t->list[i].since);
	}
}

void tunnels_get(struct cursor *in, struct tunnels *ret)
{
	uint32_t count = cursor_u32(in);

	ret->count = 0;
	while (!in->bad && ret->count < count) {
		struct ip from = ip_get(in);
		uint64_t since = cursor_u64(in);

		if (!ip_is_host(&from) || !tunnels_add(ret, &from, since))
			in->bad = true;
	}
}

uint64_t tunnels_sum(const struct tunnels *t)
{
	uint64_t sum = mix64(t->count);

	for (uint32_t i = 0; i < t->count; i++)
		sum += hash64(&t->list[i].from, sizeof t->list[i].from, mix64(i) + t->list[i].since);
	return sum;
}
