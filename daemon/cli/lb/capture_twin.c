/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures of holdfast-lbd-dpdk, which has its packets to itself: it is asked again and again for those that have come (lb/twin.h).
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "bpf/capture.h"
#include "cli/cli.h"
#include "cli/http.h"
#include "cli/lb/capture.h"
#include "lb/reasons.h"
#include "lb/twin.h"

#define PAUSE_MS 50 /* when nothing has come */
#define CONFLICT 409

/* Whom it asks, and how. */
struct twin {
	const struct lb_side *side;
	struct bytes url; /* a string */
	uint64_t lost;
	bool failed; /* which was said */
	uint8_t frame[CAPTURE_BYTES];
};

static bool has_service(const struct lb_side *side, const char *name)
{
	json_t *totals = http_get_json(side->twin, TWIN_TOTALS), *s;
	bool found = !totals; /* who doesn't answer is found out when it is asked for packets */
	size_t i;

	json_array_foreach(json_object_get(totals, "services"), i, s) {
		const char *word = json_string_value(json_object_get(s, "name"));

		found |= word && !strcmp(word, name);
	}
	json_decref(totals);
	return found;
}

/* How many bytes these digits are, or -1. */
static int read_hex(const char *text, uint8_t *ret, size_t size)
{
	size_t n = 0;

	for (; text[2 * n]; n++) {
		unsigned byte;

		if (n == size || !isxdigit((unsigned char)text[2 * n]) || !isxdigit((unsigned char)text[2 * n + 1]) ||
		    sscanf(text + 2 * n, "%2x", &byte) != 1)
			return -1;
		ret[n] = (uint8_t)byte;
	}
	return (int)n;
}

static void take_packet(struct twin *t, struct recording *r, const json_t *o)
{
	const char *bytes = json_string_value(json_object_get(o, "bytes")), *verdict = json_string_value(json_object_get(o, "verdict"));
	const char *reason = json_string_value(json_object_get(o, "reason"));
	int kept = bytes ? read_hex(bytes, t->frame, sizeof t->frame) : -1;
	struct captured c = {
		.seen_ns = (uint64_t)json_integer_value(json_object_get(o, "seen_ns")),
		.bytes = t->frame,
		.kept = (uint32_t)kept,
		.size = (uint32_t)json_integer_value(json_object_get(o, "size")),
		.verdict = verdict ? reasons_find(verdict_words, LB_VERDICT_COUNT, verdict) : LB_VERDICT_COUNT,
		.reason = reason ? reasons_find(count_reasons, LB_REASON_COUNT, reason) : LB_REASON_NONE,
		.service = json_string_value(json_object_get(o, "service")),
	};

	if (kept >= 0 && c.verdict < LB_VERDICT_COUNT && c.reason < LB_REASON_COUNT)
		recording_take(r, &c);
}

/* The answer to a question; NULL if there is none. An interrupt waits until it is there. */
static json_t *ask(struct twin *t, const char *url)
{
	json_t *o = NULL;
	char *body = NULL;
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	r = http_get(t->side->twin, url, &body);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (r == 200)
		o = json_loads(body, 0, NULL);
	free(body);
	t->failed = !o;
	if (r == CONFLICT)
		(void)cli_fail(1, "somebody else is capturing on %s: one can at a time", t->side->interface);
	else if (!o)
		(void)cli_fail(1, "holdfast-lbd-dpdk doesn't answer on %s: is it running? What came before is written", t->side->twin);
	return o;
}

/* How many came. */
static size_t take(struct twin *t, struct recording *r, const char *url)
{
	json_t *o = ask(t, url), *list = json_object_get(o, "packets"), *one;
	size_t i, count = json_array_size(list);

	json_array_foreach(list, i, one)
		take_packet(t, r, one);
	if (o)
		t->lost = (uint64_t)json_integer_value(json_object_get(o, "lost"));
	json_decref(o);
	return count;
}

static void fini(struct twin *t)
{
	bytes_free(&t->url);
	free(t);
}

/* Asked for the first time, it begins; nothing has come by then. */
static int open_twin(const struct recording *r, void **ret_source)
{
	struct twin *t = mem_zalloc(sizeof *t);
	struct timespec now;

	t->side = r->side;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	bytes_printf(&t->url, TWIN_CAPTURE "?by=%d.%lld.%ld&verdict=%s", (int)getpid(), (long long)now.tv_sec, now.tv_nsec,
		     verdict_words[r->verdict]);
	if (r->reason)
		bytes_printf(&t->url, "&reason=%s", count_reasons[r->reason]);
	bytes_put_u8(&t->url, 0);
	json_decref(ask(t, (const char *)t->url.data));
	if (t->failed) {
		fini(t);
		return 1;
	}
	*ret_source = t;
	return 0;
}

static int poll_twin(void *source, struct recording *r)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
	struct twin *t = source;

	if (take(t, r, (const char *)t->url.data) == 0 && !t->failed)
		(void)nanosleep(&pause, NULL);
	return t->failed;
}

/* What had come until then is captured, too. */
static uint64_t close_twin(void *source, struct recording *r)
{
	struct twin *t = source;
	struct bytes url = {0};
	uint64_t lost;

	bytes_printf(&url, "%s&last=1", (const char *)t->url.data);
	bytes_put_u8(&url, 0);
	while (!t->failed && take(t, r, (const char *)url.data) == TWIN_CAPTURE_MAX)
		;
	lost = t->lost;
	bytes_free(&url);
	fini(t);
	return lost;
}

const struct capture_source capture_twin = {.has_service = has_service, .open = open_twin, .poll = poll_twin, .close = close_twin};
