/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/pages.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "lb/explain.h"
#include "lb/metrics.h"
#include "lb/reasons.h"
#include "lb/totals.h"
#include "lb/twin.h"

static struct metrics_port count_port(const struct pages_source *s)
{
	struct metrics_port sum = {.missed = port_missed(s->port)};

	for (uint32_t i = 0; i < s->memory->tables.cores; i++) {
		const struct memory_counts *c = s->memory->counts[i];

		if (!c)
			continue;
		sum.to_kernel += __atomic_load_n(&c->to_kernel, __ATOMIC_RELAXED);
		sum.from_kernel += __atomic_load_n(&c->from_kernel, __ATOMIC_RELAXED);
		sum.unsent += __atomic_load_n(&c->unsent, __ATOMIC_RELAXED);
		sum.kernel_unsent += __atomic_load_n(&c->kernel_unsent, __ATOMIC_RELAXED);
	}
	return sum;
}

static unsigned answer_metrics(void *arg, const struct scrape_question *q, struct bytes *out)
{
	const struct pages_source *s = arg;
	const struct metrics_port port = count_port(s);
	struct metrics_source m = {
		.tables = &s->memory->tables,
		.port = &port,
		.has_catalog = s->control->has_catalog,
		.version = s->control->catalog.version,
		.unresolved = s->feed->unresolved,
		.checked = &s->control->checked,
	};

	(void)q;
	prober_count(s->control->prober, &m.probes);
	metrics_write(&m, out);
	return SCRAPE_OK;
}

/* Takes the object over. */
static unsigned write_json(json_t *o, struct bytes *out)
{
	char *text = json_dumps(o, JSON_COMPACT);

	bytes_puts(out, text);
	free(text);
	json_decref(o);
	return SCRAPE_OK;
}

static unsigned answer_totals(void *arg, const struct scrape_question *q, struct bytes *out)
{
	const struct pages_source *s = arg;

	(void)q;
	return write_json(totals_read(&s->memory->tables), out);
}

static unsigned refuse(unsigned status, const char *why, struct bytes *out)
{
	bytes_puts(out, why);
	return status;
}

/* The clock that workers go by. */
static uint64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned answer_explain(void *arg, const struct scrape_question *q, struct bytes *out)
{
	const struct pages_source *s = arg;
	const char *text = scrape_argument(q, "flow"), *id = scrape_argument(q, "connection_id");
	struct explain_flow flow;
	json_t *list;

	if (!text || explain_take_flow(&flow, text) < 0 || (id && explain_take_connection_id(&flow, id) < 0))
		return refuse(SCRAPE_BAD_REQUEST, "\"that is no flow\"\n", out);
	list = explain(&s->memory->tables, s->memory->config, &flow, monotonic_ns());
	return list ? write_json(list, out) : refuse(SCRAPE_UNAVAILABLE, "\"there is no catalog yet\"\n", out);
}

/* ---- captures ---- */

static json_t *hex(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char *text = mem_alloc(size * 2 + 1);
	json_t *o;

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	o = json_stringn(text, size * 2);
	free(text);
	return o;
}

static json_t *show_packet(const struct pages_source *s, const struct capture_slot *slot)
{
	const struct capture_packet *p = &slot->packet;
	const struct tables *t = &s->memory->tables;
	json_t *o = json_pack("{s:I, s:I, s:s, s:o}", "seen_ns", (json_int_t)p->seen_ns, "size", (json_int_t)p->size, "verdict",
			      verdict_words[p->verdict], "bytes", hex(slot->bytes, p->kept));
	uint32_t service;

	if (p->reason)
		(void)json_object_set_new(o, "reason", json_string(count_reasons[p->reason]));
	if (explain_service_of(t, s->memory->config, slot->bytes, p->kept, &service))
		(void)json_object_set_new(o, "service", json_string(t->names[service].name));
	return o;
}

/* From every worker in its turn, so that a busy one hides no other. */
static json_t *take_packets(const struct pages_source *s)
{
	json_t *list = json_array();
	size_t before;

	do {
		before = json_array_size(list);
		for (unsigned i = 0; i < s->worker_count && json_array_size(list) < TWIN_CAPTURE_MAX; i++) {
			struct capture *c = &s->workers[i].capture;
			const struct capture_slot *slot = capture_first(c);

			if (!slot)
				continue;
			(void)json_array_append_new(list, show_packet(s, slot));
			capture_pop(c);
		}
	} while (json_array_size(list) > before);
	return list;
}

static uint64_t count_lost(const struct pages_source *s)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < s->worker_count; i++)
		lost += capture_lost(&s->workers[i].capture);
	return lost;
}

static void begin_capture(struct pages_source *s, const char *by)
{
	for (unsigned i = 0; i < s->worker_count; i++)
		capture_clear(&s->workers[i].capture);
	(void)snprintf(s->capture.by, sizeof s->capture.by, "%s", by);
	s->capture.lost = count_lost(s);
}

static unsigned answer_capture(void *arg, const struct scrape_question *q, struct bytes *out)
{
	struct pages_source *s = arg;
	const char *by = scrape_argument(q, "by"), *word = scrape_argument(q, "verdict"), *why = scrape_argument(q, "reason");
	uint32_t verdict = word ? reasons_find(verdict_words, LB_VERDICT_COUNT, word) : LB_VERDICT_COUNT;
	uint32_t reason = why ? reasons_find(count_reasons, LB_REASON_COUNT, why) : LB_REASON_NONE;
	uint64_t now_ns = monotonic_ns();
	json_t *packets;
	bool goes_on;

	if (!by || strlen(by) >= sizeof s->capture.by || verdict == LB_VERDICT_COUNT || reason == LB_REASON_COUNT)
		return refuse(SCRAPE_BAD_REQUEST, "\"that is nothing to capture\"\n", out);
	goes_on = !strcmp(s->capture.by, by);
	if (!goes_on && now_ns < s->capture.until_ns)
		return refuse(SCRAPE_CONFLICT, "\"somebody else is capturing\"\n", out);
	if (!goes_on)
		begin_capture(s, by);
	packets = take_packets(s);
	s->capture.until_ns = scrape_argument(q, "last") ? 0 : now_ns + TWIN_CAPTURE_S * 1000000000ull;
	for (unsigned i = 0; i < s->worker_count; i++)
		capture_want(&s->workers[i].capture, verdict, reason, s->capture.until_ns);
	return write_json(json_pack("{s:I, s:o}", "lost", (json_int_t)(count_lost(s) - s->capture.lost), "packets", packets), out);
}

void pages_sites(struct scrape_site *ret, struct pages_source *source, const char *metrics, bool insecure, const char *path)
{
	static const struct scrape_page told[] = {{"/metrics", SCRAPE_OPENMETRICS, answer_metrics}};
	static const struct scrape_page shown[] = {{TWIN_TOTALS, SCRAPE_JSON, answer_totals},
						   {TWIN_EXPLAIN, SCRAPE_JSON, answer_explain},
						   {TWIN_CAPTURE, SCRAPE_JSON, answer_capture}};

	ret[0] = (struct scrape_site){.address = metrics, .insecure = insecure, .pages = told, .page_count = 1, .arg = source};
	ret[1] = (struct scrape_site){.address = path, .pages = shown, .page_count = sizeof shown / sizeof *shown, .arg = source};
}
