/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/latency.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cluster/leases.h"

static int ascending(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The value that one of so many parts of the list doesn't exceed; 0 of an empty one. The list is in order then. */
static uint32_t quantile(uint32_t *list, uint32_t count, uint32_t parts)
{
	if (!count)
		return 0;
	qsort(list, count, sizeof *list, ascending);
	return list[(count - 1) / parts];
}

/* ---- parts of weights ---- */

/* Of those that were measured; 0 if none was. */
static uint32_t fastest_quarter(const struct latency *list, uint32_t count)
{
	uint32_t us[SERVICE_BACKENDS_MAX], known = 0;

	for (uint32_t i = 0; i < count; i++)
		if (list[i].us)
			us[known++] = list[i].us;
	return quantile(us, known, 4);
}

static uint8_t part(uint32_t us, uint32_t fast_us)
{
	uint64_t percent = 100 * ((uint64_t)fast_us + LATENCY_NOISE_US) / ((uint64_t)us + LATENCY_NOISE_US);

	return (uint8_t)(percent < LATENCY_FLOOR ? LATENCY_FLOOR : min_u64(percent, 100));
}

static bool differ_by_a_fifth(uint8_t a, uint8_t b)
{
	return 5 * abs(a - b) >= (a > b ? a : b);
}

bool latency_weigh(struct latency *list, uint32_t count)
{
	uint32_t fast_us = fastest_quarter(list, count);
	bool worth = false;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t percent = list[i].us ? part(list[i].us, fast_us) : list[i].percent;

		if (!differ_by_a_fifth(percent, list[i].percent))
			continue;
		list[i].percent = percent;
		worth = true;
	}
	return worth;
}

/* ---- what balancers say ---- */

static uint32_t median_us(const struct leases *l, uint32_t service, uint32_t backend)
{
	uint32_t us[REPORTERS_MAX], known = 0;

	for (uint32_t i = 0; i < l->count; i++) {
		const struct report *r = &l->list[i].report;
		const struct report_figure *said = r->by.side == SIDE_BALANCER ? report_figure(&r->latencies, service, backend) : NULL;

		if (said)
			us[known++] = said->value;
	}
	return quantile(us, known, 2);
}

/* Those that get new flows: others' latencies are nobody's concern. */
static uint32_t measure(const struct leases *l, const struct service *s, struct latency *ret)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < s->backend_count; i++) {
		const struct backend *b = &s->backends[i];

		if (backend_weight(b) && !b->down)
			ret[count++] = (struct latency){.backend = b->id, .us = median_us(l, s->id, b->id), .percent = b->percent};
	}
	return count;
}

/* ---- when ---- */

static bool goes_by_latency(const struct service *s)
{
	return s->settings.scheduler == SCHEDULE_LATENCY;
}

bool latency_matters(const struct services *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (goes_by_latency(s->list[i]))
			return true;
	return false;
}

/* Those that there are now, from now on; both are by id. */
static void follow(struct latency_turns *t, const struct services *s, uint64_t now_ns)
{
	struct latency_turn before[SERVICES_MAX];
	uint32_t old = 0, count = t->count;

	memcpy(before, t->list, count * sizeof *before);
	t->count = 0;
	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t id = s->list[i]->id;

		while (old < count && before[old].service < id)
			old++;
		if (goes_by_latency(s->list[i]))
			t->list[t->count++] = old < count && before[old].service == id ? before[old] : (struct latency_turn){id, now_ns};
	}
}

static bool is_time(const struct latency_turn *t, const struct service *s, uint64_t now_ns)
{
	if (!s->generation_count || s->prepared.number || s->generation_count > SERVICE_GENERATIONS / 2)
		return false;
	return now_ns - t->since_ns >= LATENCY_PERIOD_NS << (2 * (s->generation_count - 1));
}

static uint32_t conclude(const struct leases *l, const struct service *s, struct fact *ret, uint32_t max)
{
	struct latency list[SERVICE_BACKENDS_MAX];
	uint32_t count = measure(l, s, list), changed = 0;

	if (count > max || !latency_weigh(list, count))
		return 0;
	for (uint32_t i = 0; i < count; i++)
		if (list[i].percent != service_backend_by_id(s, list[i].backend)->percent)
			ret[changed++] = (struct fact){.kind = FACT_LATENCY,
						       .service = s->id,
						       .number = list[i].backend,
						       .us = list[i].us,
						       .percent = list[i].percent};
	return changed;
}

uint32_t latency_conclude(struct latency_turns *t, const struct leases *l, const struct services *s, uint64_t now_ns, struct fact *ret,
			  uint32_t max)
{
	uint32_t count = 0;

	follow(t, s, now_ns);
	for (uint32_t i = 0; i < t->count; i++) {
		const struct service *one = services_by_id(s, t->list[i].service);
		uint32_t changed = is_time(&t->list[i], one, now_ns) ? conclude(l, one, ret + count, max - count) : 0;

		if (changed)
			t->list[i].since_ns = now_ns;
		count += changed;
	}
	return count;
}
