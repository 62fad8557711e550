/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/dpdk/pages.h"

#include <stdlib.h>
#include <time.h>

#include "lb/explain.h"
#include "lb/metrics.h"
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

static unsigned answer_explain(void *arg, const struct scrape_question *q, struct bytes *out)
{
	const struct pages_source *s = arg;
	const char *text = scrape_argument(q, "flow"), *id = scrape_argument(q, "connection_id");
	struct explain_flow flow;
	struct timespec now;
	json_t *list;

	if (!text || explain_take_flow(&flow, text) < 0 || (id && explain_take_connection_id(&flow, id) < 0))
		return refuse(SCRAPE_BAD_REQUEST, "\"that is no flow\"\n", out);
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	list = explain(&s->memory->tables, s->memory->config, &flow, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	return list ? write_json(list, out) : refuse(SCRAPE_UNAVAILABLE, "\"there is no catalog yet\"\n", out);
}

void pages_sites(struct scrape_site *ret, const struct pages_source *source, const char *metrics, bool insecure, const char *path)
{
	static const struct scrape_page told[] = {{"/metrics", SCRAPE_OPENMETRICS, answer_metrics}};
	static const struct scrape_page shown[] = {{TWIN_TOTALS, SCRAPE_JSON, answer_totals}, {TWIN_EXPLAIN, SCRAPE_JSON, answer_explain}};
	void *arg = (void *)(uintptr_t)source; /* the answers change nothing */

	ret[0] = (struct scrape_site){.address = metrics, .insecure = insecure, .pages = told, .page_count = 1, .arg = arg};
	ret[1] = (struct scrape_site){.address = path, .pages = shown, .page_count = 2, .arg = arg};
}
