/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bpf/table.h"

#include <stdio.h>
#include <string.h>

const char *outcome_name(enum outcome o)
{
	static const char *const names[] = {[OUT_PASS] = "pass", [OUT_LOCAL] = "local", [OUT_SEND] = "send", [OUT_DROP] = "drop"};

	return names[o];
}

bool outcome_equal(const struct plane *p, enum outcome a, enum outcome b)
{
	if (p->coarse && a == OUT_LOCAL)
		a = OUT_PASS;
	if (p->coarse && b == OUT_LOCAL)
		b = OUT_PASS;
	return a == b;
}

bool frame_equal(const struct frame *a, const struct frame *b)
{
	return a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

static bool step_equal(struct plane *p, const struct table_case *c, unsigned n, const struct frame *in, const struct result *got)
{
	const struct step *s = &c->steps[n];
	struct frame want = *in;

	if (!outcome_equal(p, s->outcome, got->outcome)) {
		fprintf(stderr, "FAIL %s: %s, packet %u: %s, wanted %s %s\n", p->name, c->name, n, outcome_name(got->outcome),
			outcome_name(s->outcome), got->reason ? got->reason : "");
		return false;
	}
	if (s->outcome == OUT_DROP) {
		if (!strcmp(got->reason, s->out))
			return true;
		fprintf(stderr, "FAIL %s: %s, packet %u: dropped for %s, wanted %s\n", p->name, c->name, n, got->reason, s->out);
		return false;
	}
	if (s->outcome == OUT_SEND)
		frame_build(&want, s->out);
	if (frame_equal(&want, &got->frame))
		return true;
	fprintf(stderr, "FAIL %s: %s, packet %u: other bytes\n", p->name, c->name, n);
	frame_print(in, "in");
	frame_print(&got->frame, "out");
	frame_print(&want, "wanted");
	return false;
}

/* Which backends had a packet as older owners in this very tick. */
static bool older_equal(struct plane *p, const struct table_case *c, unsigned n, uint64_t ticks)
{
	const char *want = c->steps[n].older;

	for (unsigned b = 0; want && want[b]; b++)
		if ((p->older(p, 0, b) == ticks) != (want[b] == '1')) {
			fprintf(stderr, "FAIL %s: %s, packet %u: backend %u was an older owner last at %u, now is %ju, wanted %s\n", p->name, c->name, n,
				b, p->older(p, 0, b), (uintmax_t)ticks, want);
			return false;
		}
	return true;
}

bool table_run(struct plane *p, const struct table_case *c)
{
	static struct result got;
	uint64_t ticks = 1000;
	struct world w;
	struct frame in;

	world_init(&w);
	if (c->set)
		c->set(&w);
	p->load(p, &w);
	for (unsigned n = 0; n < STEPS_MAX && c->steps[n].in; n++) {
		ticks += c->steps[n].wait;
		p->clock(p, ticks);
		if (c->steps[n].change) {
			c->steps[n].change(&w);
			p->reload(p, &w);
		}
		frame_build(&in, c->steps[n].in);
		p->run(p, &in, &got);
		if (!step_equal(p, c, n, &in, &got) || !older_equal(p, c, n, ticks))
			return false;
	}
	return true;
}
