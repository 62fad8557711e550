/* SPDX-License-Identifier: Apache-2.0 */
#include "io/timer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static bool timer_before(const struct io_timer *a, const struct io_timer *b)
{
	if (a->deadline_ns != b->deadline_ns)
		return a->deadline_ns < b->deadline_ns;
	return a->order < b->order;
}

static void heap_place(struct timer_heap *h, uint32_t slot, struct io_timer *t)
{
	h->slots[slot] = t;
	t->heap_slot = slot;
}

static void heap_up(struct timer_heap *h, uint32_t slot)
{
	struct io_timer *t = h->slots[slot];

	for (; slot > 1 && timer_before(t, h->slots[slot / 2]); slot /= 2)
		heap_place(h, slot, h->slots[slot / 2]);
	heap_place(h, slot, t);
}

static void heap_down(struct timer_heap *h, uint32_t slot)
{
	struct io_timer *t = h->slots[slot];

	while (slot * 2 <= h->count) {
		uint32_t child = slot * 2;

		if (child < h->count && timer_before(h->slots[child + 1], h->slots[child]))
			child++;
		if (!timer_before(h->slots[child], t))
			break;
		heap_place(h, slot, h->slots[child]);
		slot = child;
	}
	heap_place(h, slot, t);
}

void timer_heap_free(struct timer_heap *h)
{
	free(h->slots);
	*h = (struct timer_heap){0};
}

void timer_heap_start(struct timer_heap *h, struct io_timer *t, uint64_t deadline_ns)
{
	if (t->heap_slot)
		timer_heap_stop(h, t);
	t->deadline_ns = deadline_ns;
	t->order = h->next_order++;
	if (h->count + 2 > h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->slots = mem_realloc(h->slots, h->cap * sizeof *h->slots);
	}
	heap_place(h, ++h->count, t);
	heap_up(h, h->count);
}

void timer_heap_stop(struct timer_heap *h, struct io_timer *t)
{
	uint32_t slot = t->heap_slot;
	struct io_timer *last;

	if (!slot)
		return;
	assert(slot <= h->count && h->slots[slot] == t);
	last = h->slots[h->count--];
	t->heap_slot = 0;
	if (last == t)
		return;
	heap_place(h, slot, last);
	heap_up(h, slot);
	heap_down(h, last->heap_slot);
}

struct io_timer *timer_heap_first(const struct timer_heap *h)
{
	return h->count ? h->slots[1] : NULL;
}
