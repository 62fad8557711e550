/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/begun.h"

#include <string.h>

#include "base/mem.h"

void begun_look(struct begun *b, const struct tables *t, uint64_t now_ms)
{
	if (!b->backends)
		b->backends = mem_zalloc(t->backend_count * sizeof *b->backends);
	memmove(b->looked_ms + 1, b->looked_ms, BEGUN_LOOKS * sizeof *b->looked_ms);
	b->looked_ms[0] = now_ms;
	b->look++;
}

uint32_t begun_take(struct begun *b, const struct tables *t, uint32_t backend)
{
	struct begun_backend *e = &b->backends[backend];
	uint32_t load = __atomic_load_n(&t->loads[backend].flows, __ATOMIC_RELAXED);

	if (e->id != t->ids[backend] || e->look + 1 != b->look) {
		*e = (struct begun_backend){.id = t->ids[backend]};
	} else {
		memmove(e->flows + 1, e->flows, (BEGUN_LOOKS - 1) * sizeof *e->flows);
		e->flows[0] = load - e->put;
	}
	e->look = b->look;
	e->put = load;
	return load;
}

uint32_t begun_since(const struct begun *b, uint32_t backend, uint64_t since_ms)
{
	const uint32_t *flows = b->backends[backend].flows;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BEGUN_LOOKS && b->looked_ms[i + 1] && b->looked_ms[i] > since_ms; i++) {
		uint64_t end_ms = b->looked_ms[i], from_ms = b->looked_ms[i + 1];

		sum += from_ms >= since_ms ? flows[i] : flows[i] * (end_ms - since_ms) / (end_ms - from_ms);
	}
	return (uint32_t)sum;
}

void begun_put(struct begun *b, struct tables *t, uint32_t backend, uint32_t load)
{
	struct begun_backend *e = &b->backends[backend];

	(void)__atomic_fetch_add(&t->loads[backend].flows, load - e->put, __ATOMIC_RELAXED);
	e->put = load;
}
