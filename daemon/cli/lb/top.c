/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lb/lb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/http.h"
#include "lb/reasons.h"
#include "lb/totals.h"
#include "lb/twin.h"

/* The object of this id, or NULL. */
static const json_t *find(const json_t *list, const json_t *like)
{
	json_int_t id = json_integer_value(json_object_get(like, "id"));
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		if (json_integer_value(json_object_get(o, "id")) == id)
			return o;
	return NULL;
}

/* What is printed: all that was counted; or what was counted since before, a second. */
struct page {
	FILE *out;
	bool rates;
	double seconds; /* since before */
};

/* A counter that is new, or that went back, began at 0. */
static json_int_t value(const struct page *p, const json_t *now, const json_t *before, const char *key)
{
	json_int_t is = json_integer_value(json_object_get(now, key)), was = json_integer_value(json_object_get(before, key));

	return p->rates ? (json_int_t)((double)(is - (was <= is ? was : 0)) / p->seconds + 0.5) : is;
}

static void print_row(const struct page *p, const char *indent, const json_t *o, const json_t *before, const char *name, const char *note)
{
	static const char *const columns[] = {"packets", "bytes", "flows"};

	fprintf(p->out, "%s%-*s", indent, 40 - (int)strlen(indent), json_string_value(json_object_get(o, name)));
	for (size_t i = 0; i < 3; i++)
		fprintf(p->out, " %16lld", (long long)value(p, o, before, columns[i]));
	fprintf(p->out, "%s\n", note);
}

static const char *note_of(const json_t *backend)
{
	if (json_is_true(json_object_get(backend, "skipped")))
		return "  down by this balancer's checks";
	return json_is_true(json_object_get(backend, "alive")) ? "" : "  no next hop known";
}

static void print_services(const struct page *p, const json_t *all, const json_t *before)
{
	const char *unit = p->rates ? "/s" : "";
	json_t *s, *b;
	size_t i, n;

	fprintf(p->out, "%-40s %14s%2s %14s%2s %14s%2s\n", "service", "packets", unit, "bytes", unit, "new flows", unit);
	json_array_foreach(json_object_get(all, "services"), i, s) {
		const json_t *was = find(json_object_get(before, "services"), s);

		print_row(p, "", s, was, "name", "");
		json_array_foreach(json_object_get(s, "backends"), n, b)
			print_row(p, "  ", b, find(json_object_get(was, "backends"), b), "address", note_of(b));
	}
}

static void print_all(const struct page *p, const json_t *all, const json_t *before)
{
	const json_t *now = json_object_get(all, "drops"), *was = json_object_get(before, "drops");

	print_services(p, all, before);
	for (unsigned i = LB_REASON_NONE + 1; i < LB_REASON_COUNT; i++)
		if (json_integer_value(json_object_get(now, count_reasons[i])))
			fprintf(p->out, "dropped: %-31s %16lld\n", count_reasons[i], (long long)value(p, now, was, count_reasons[i]));
}

/* NULL: the process that has it doesn't answer. */
static json_t *read_all(const struct lb_side *side)
{
	return *side->twin ? http_get_json(side->twin, TWIN_TOTALS) : totals_read(&side->maps.tables);
}

static double now_seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As many lines as the terminal has; if these don't suffice, the last one says so. */
static void show(const char *text)
{
	struct winsize w = {0};
	unsigned total = 0, shown = 0;
	const char *end = text;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	for (const char *c = text; *c; c++)
		total += *c == '\n';
	while (*end && (!w.ws_row || total < w.ws_row || shown + 1 < w.ws_row))
		shown += *end++ == '\n';
	printf("\033[H\033[J%.*s", (int)(end - text), text); /* from the upper left corner, on an empty screen */
	if (shown < total)
		printf("... and %u lines more: holdfast lb top --once shows all", total - shown);
	(void)fflush(stdout);
}

/* Until interrupted, without memory, or without an answer. */
static void refresh(const struct lb_side *side)
{
	json_t *before = read_all(side);
	double then = now_seconds();

	while (before) {
		struct page p = {.rates = true};
		char *text = NULL;
		size_t size = 0;
		json_t *all;

		(void)sleep(1);
		all = read_all(side);
		if (!all)
			break;
		p.seconds = now_seconds() - then;
		then += p.seconds;
		p.out = open_memstream(&text, &size);
		if (!p.out) {
			json_decref(all);
			break;
		}
		print_all(&p, all, before);
		(void)fclose(p.out);
		show(text);
		free(text);
		json_decref(before);
		before = all;
	}
	json_decref(before);
}

int lb_top(const struct lb_side *side, const struct lb_options *o)
{
	const struct page once = {.out = stdout};
	json_t *all;

	if (!o->json && !o->once && isatty(STDOUT_FILENO)) {
		refresh(side);
		return cli_fail(1, "there is no further page: the balancer doesn't answer any more, or there is no memory");
	}
	all = read_all(side);
	if (!all)
		return cli_fail(1, "holdfast-lbd-dpdk doesn't answer on %s: is it running?", side->twin);
	if (o->json) {
		(void)json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_all(&once, all, NULL);
	}
	json_decref(all);
	return 0;
}
