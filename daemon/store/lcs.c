/* SPDX-License-Identifier: Apache-2.0 */
/* LCS: the longest common subsequence of two strings, by dynamic programming over a table of a x b lengths. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/run.h"

struct lcs {
	const uint8_t *a, *b;
	uint32_t a_size, b_size;
	uint32_t *table; /* (a_size + 1) rows of b_size + 1 */
};

struct lcs_options {
	bool length, index, with_length;
	int64_t min_length;
};

static uint32_t *cell(const struct lcs *l, uint32_t i, uint32_t j)
{
	return &l->table[(size_t)i * ((size_t)l->b_size + 1) + j];
}

static void fill(struct lcs *l)
{
	for (uint32_t i = 1; i <= l->a_size; i++)
		for (uint32_t j = 1; j <= l->b_size; j++) {
			uint32_t up = *cell(l, i - 1, j), left = *cell(l, i, j - 1);

			*cell(l, i, j) = l->a[i - 1] == l->b[j - 1] ? *cell(l, i - 1, j - 1) + 1 : up > left ? up : left;
		}
}

struct range {
	uint32_t a_first, a_last, b_first, b_last;
};

static void put_range(struct bytes *out, const struct range *r, const struct lcs_options *o)
{
	uint32_t length = r->a_last - r->a_first + 1;

	reply_array(out, o->with_length ? 3 : 2);
	reply_array(out, 2);
	reply_int(out, r->a_first);
	reply_int(out, r->a_last);
	reply_array(out, 2);
	reply_int(out, r->b_first);
	reply_int(out, r->b_last);
	if (o->with_length)
		reply_int(out, length);
}

/* Walks back from the end; fills text (of the LCS's length) and appends the matching ranges, last one first. */
static uint32_t walk_back(const struct lcs *l, const struct lcs_options *o, uint8_t *text, struct bytes *ranges)
{
	uint32_t i = l->a_size, j = l->b_size, left = *cell(l, i, j), count = 0;
	struct range r = {0};
	bool open = false;

	while (i && j) {
		bool emit = false;

		if (l->a[i - 1] == l->b[j - 1]) {
			text[--left] = l->a[i - 1];
			if (!open) {
				r = (struct range){i - 1, i - 1, j - 1, j - 1};
				open = true;
			} else if (r.a_first == i && r.b_first == j) {
				r.a_first--;
				r.b_first--;
			} else {
				emit = true;
			}
			if (r.a_first == 0 || r.b_first == 0)
				emit = true;
			i--;
			j--;
		} else {
			if (*cell(l, i - 1, j) > *cell(l, i, j - 1))
				i--;
			else
				j--;
			emit = open;
		}
		if (!emit)
			continue;
		if (r.a_last - r.a_first + 1 >= o->min_length) {
			put_range(ranges, &r, o);
			count++;
		}
		open = false;
	}
	return count;
}

static bool read_options(struct call *call, struct lcs_options *ret)
{
	*ret = (struct lcs_options){0};
	for (uint32_t i = 3; i < call->argc; i++) {
		const struct arg *a = &call->argv[i];

		if (arg_is(a, "IDX")) {
			ret->index = true;
		} else if (arg_is(a, "LEN")) {
			ret->length = true;
		} else if (arg_is(a, "WITHMATCHLEN")) {
			ret->with_length = true;
		} else if (arg_is(a, "MINMATCHLEN") && i + 1 < call->argc) {
			if (!arg_int(&call->argv[++i], &ret->min_length)) {
				reply_error(call->out, ERROR_NOT_INT);
				return false;
			}
			if (ret->min_length < 0)
				ret->min_length = 0;
		} else {
			reply_error(call->out, ERROR_SYNTAX);
			return false;
		}
	}
	if (ret->index && ret->length) {
		reply_error(call->out, "ERR If you want both the length and indexes, please just use IDX.");
		return false;
	}
	return true;
}

static void reply_lcs(struct call *call, const struct lcs *l, const struct lcs_options *o)
{
	uint32_t length = *cell(l, l->a_size, l->b_size), count;
	struct bytes ranges = {0};
	uint8_t *text;

	if (o->length) {
		reply_int(call->out, length);
		return;
	}
	text = mem_alloc((size_t)length + 1);
	count = walk_back(l, o, text, &ranges);
	if (o->index) {
		reply_map(call->out, call->resp, 2);
		reply_bulks(call->out, "matches");
		reply_array(call->out, count);
		if (call->out)
			bytes_put(call->out, ranges.data, ranges.size);
		reply_bulks(call->out, "len");
		reply_int(call->out, length);
	} else {
		reply_bulk(call->out, text, length);
	}
	bytes_free(&ranges);
	free(text);
}

void run_lcs(struct call *call)
{
	const struct object *a = call_find(call, &call->argv[1]), *b = call_find(call, &call->argv[2]);
	struct lcs l = {0};
	struct lcs_options options;
	uint64_t cells;

	if ((a && a->type != OBJECT_STRING) || (b && b->type != OBJECT_STRING)) {
		reply_error(call->out, "ERR The specified keys must contain string values");
		return;
	}
	if (!read_options(call, &options))
		return;
	if (a) {
		l.a = object_value(a);
		l.a_size = a->value_size;
	}
	if (b) {
		l.b = object_value(b);
		l.b_size = b->value_size;
	}
	cells = ((uint64_t)l.a_size + 1) * ((uint64_t)l.b_size + 1);
	if (cells * sizeof *l.table > VALUE_SIZE_MAX) { /* bounds the time as well as the memory */
		reply_error(call->out, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
		return;
	}
	/* The ranges' text can be many times the LCS: at most 80 bytes for each place of the shorter string. */
	if (!call_may_reply(call, 80ull * (l.a_size < l.b_size ? l.a_size : l.b_size)))
		return;
	l.table = mem_zalloc(cells * sizeof *l.table);
	fill(&l);
	reply_lcs(call, &l, &options);
	free(l.table);
}
