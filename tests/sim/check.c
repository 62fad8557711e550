/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdlib.h>

#include "base/mem.h"

void check_add(struct check_history *h, const struct check_op *op)
{
	if (h->count == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 1024;
		h->ops = mem_realloc(h->ops, h->cap * sizeof *h->ops);
	}
	h->ops[h->count++] = *op;
}

void check_history_free(struct check_history *h)
{
	free(h->ops);
	*h = (struct check_history){0};
}

/* ---- registers ---- */

struct zone {
	uint64_t value;
	uint64_t low, high; /* forward: certainly in place from low to high; backward: some moment in low..high */
	bool forward;
};

static int by_value(const void *a, const void *b)
{
	const struct check_op *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->kind != y->kind ? (x->kind == CHECK_GET) - (y->kind == CHECK_GET) : (x->invoked > y->invoked) - (x->invoked < y->invoked);
}

static int by_low(const void *a, const void *b)
{
	const struct zone *x = a, *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

/* One value's operations, the write first; value 0 was there from the beginning. */
static bool make_zone(const struct check_op *ops, size_t count, struct zone *ret, bool *ret_skip, uint32_t key, struct bytes *why)
{
	uint64_t first_return = CHECK_INFINITY, last_invoke = 0;
	bool written = ops[0].kind == CHECK_SET || ops[0].value == 0;

	*ret_skip = false;
	if (!written) {
		bytes_printf(why, "key %u: value %llu was read but never written", key, (unsigned long long)ops[0].value);
		return false;
	}
	if (ops[0].value == 0) {
		first_return = 0;
	} else if (count == 1 && ops[0].returned == CHECK_INFINITY) {
		*ret_skip = true; /* of unknown outcome and never seen: it may not have happened */
		return true;
	}
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && ops[i].kind == CHECK_SET) {
			bytes_printf(why, "key %u: value %llu was written twice", key, (unsigned long long)ops[i].value);
			return false;
		}
		if (ops[0].kind == CHECK_SET && ops[i].returned < ops[0].invoked) {
			bytes_printf(why, "key %u: value %llu was read before it was written", key, (unsigned long long)ops[i].value);
			return false;
		}
		if (ops[i].returned < first_return)
			first_return = ops[i].returned;
		if (ops[i].invoked > last_invoke)
			last_invoke = ops[i].invoked;
	}
	ret->value = ops[0].value;
	ret->forward = first_return < last_invoke;
	ret->low = ret->forward ? first_return : last_invoke;
	ret->high = ret->forward ? last_invoke : first_return;
	return true;
}

static bool check_zones(struct zone *zones, size_t count, uint32_t key, struct bytes *why)
{
	const struct zone *reach = NULL; /* the forward zone that ends last so far */

	if (count)
		qsort(zones, count, sizeof *zones, by_low);
	for (size_t i = 0; i < count; i++) {
		const struct zone *z = &zones[i];
		bool bad = z->forward ? reach && z->low < reach->high : reach && z->high < reach->high;

		if (bad) {
			bytes_printf(why, "key %u: value %llu (%s %llu..%llu) contradicts value %llu, in place from %llu to %llu", key,
				     (unsigned long long)z->value, z->forward ? "in place" : "within", (unsigned long long)z->low,
				     (unsigned long long)z->high, (unsigned long long)reach->value, (unsigned long long)reach->low,
				     (unsigned long long)reach->high);
			return false;
		}
		if (z->forward && (!reach || z->high > reach->high))
			reach = z;
	}
	return true;
}

static bool check_register(struct check_op *ops, size_t count, uint32_t key, struct bytes *why)
{
	struct zone *zones = mem_alloc((count + 1) * sizeof *zones);
	size_t zone_count = 0;
	bool ok = true;

	if (count)
		qsort(ops, count, sizeof *ops, by_value);
	for (size_t i = 0; ok && i < count;) {
		size_t end = i;
		bool skip;

		while (end < count && ops[end].value == ops[i].value)
			end++;
		ok = make_zone(ops + i, end - i, &zones[zone_count], &skip, key, why);
		zone_count += ok && !skip;
		i = end;
	}
	ok = ok && check_zones(zones, zone_count, key, why);
	free(zones);
	return ok;
}

/* ---- counters ---- */

static bool check_counter(struct check_op *ops, size_t count, uint32_t key, struct bytes *why)
{
	uint64_t unknown = 0, known = 0, highest = 0, latest_invoke = 0;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].kind == CHECK_INCR && ops[i].returned == CHECK_INFINITY)
			unknown++;
		else if (ops[i].kind == CHECK_INCR)
			known++;
		if (ops[i].value > highest)
			highest = ops[i].value;
	}
	if (highest > known + unknown) {
		bytes_printf(why, "key %u: counter reached %llu with %llu increments acknowledged and %llu of unknown outcome", key,
			     (unsigned long long)highest, (unsigned long long)known, (unsigned long long)unknown);
		return false;
	}
	if (count)
		qsort(ops, count, sizeof *ops, by_value);
	for (size_t i = 0; i < count;) {
		uint64_t before = latest_invoke; /* of all operations that saw a smaller value */
		uint64_t value = ops[i].value;
		bool incremented = false;

		for (; i < count && ops[i].value == value; i++) {
			const struct check_op *o = &ops[i];

			if (o->kind == CHECK_INCR && o->returned == CHECK_INFINITY)
				continue;
			if (o->kind == CHECK_INCR && incremented) {
				bytes_printf(why, "key %u: two increments returned %llu", key, (unsigned long long)value);
				return false;
			}
			incremented |= o->kind == CHECK_INCR;
			if (o->returned < before) {
				bytes_printf(why, "key %u: counter value %llu was seen until %llu, though a smaller one was asked for at %llu",
					     key, (unsigned long long)value, (unsigned long long)o->returned, (unsigned long long)before);
				return false;
			}
			if (o->invoked > latest_invoke)
				latest_invoke = o->invoked;
		}
	}
	return true;
}

bool check_linearizable(const struct check_history *h, uint32_t key_count, bool (*key_is_counter)(uint32_t key), struct bytes *why)
{
	struct check_op *ops = mem_alloc((h->count + 1) * sizeof *ops);
	bool ok = true;

	for (uint32_t key = 0; ok && key < key_count; key++) {
		size_t count = 0;

		for (size_t i = 0; i < h->count; i++)
			if (h->ops[i].key == key && !(h->ops[i].kind == CHECK_GET && h->ops[i].returned == CHECK_INFINITY))
				ops[count++] = h->ops[i];
		ok = key_is_counter(key) ? check_counter(ops, count, key, why) : check_register(ops, count, key, why);
	}
	free(ops);
	return ok;
}
