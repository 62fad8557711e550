/* SPDX-License-Identifier: Apache-2.0 */
#include "lb/metrics.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "lb/reasons.h"

#define BACKEND_TEXT (INET6_ADDRSTRLEN + 8) /* "[address]:65535" */

static void head(struct bytes *out, const char *name, const char *type, const char *help)
{
	bytes_printf(out, "# TYPE holdfast_lb_%s %s\n# HELP holdfast_lb_%s %s\n", name, type, name, help);
}

static void gauge(struct bytes *out, const char *name, const char *help, uint64_t value)
{
	head(out, name, "gauge", help);
	bytes_printf(out, "holdfast_lb_%s %llu\n", name, (unsigned long long)value);
}

/* A service, or a backend of one. */
struct row {
	const struct lb_name *service;
	uint64_t id;                      /* the backend's */
	const struct lb_backend *backend; /* NULL: the service itself */
	struct lb_count count;
};

struct rows {
	struct row *list;
	uint32_t count;
};

static void add_backends(struct rows *r, const struct tables *t, uint32_t number)
{
	const struct lb_service *s = &t->services[number];

	for (uint32_t i = s->backend_base; i < s->backend_base + s->backend_count; i++)
		if (t->ids[i])
			r->list[r->count++] = (struct row){&t->names[number], t->ids[i], &t->backends[i], t->reads->count_backend(t, i)};
}

/* Each counter is read once, however many families tell of it. */
static struct rows read_rows(const struct tables *t)
{
	struct rows r = {0};
	uint32_t most = t->service_count;

	for (uint32_t i = 0; i < t->service_count; i++)
		most += t->services[i].backend_count;
	r.list = mem_alloc(most * sizeof *r.list);
	for (uint32_t i = 0; i < t->service_count; i++) {
		if (!t->names[i].id)
			continue;
		r.list[r.count++] = (struct row){.service = &t->names[i], .count = t->reads->count_service(t, i)};
		add_backends(&r, t, i);
	}
	return r;
}

static void backend_text(const struct lb_backend *b, char *ret)
{
	bool v6 = b->family == LB_IP6;
	char address[INET6_ADDRSTRLEN] = "";

	(void)inet_ntop(v6 ? AF_INET6 : AF_INET, &b->addr, address, sizeof address);
	if (b->port)
		(void)snprintf(ret, BACKEND_TEXT, v6 ? "[%s]:%u" : "%s:%u", address, ntohs(b->port));
	else
		(void)snprintf(ret, BACKEND_TEXT, "%s", address);
}

/* Names of services have no character that a label would escape. A removed backend and one that came after it may share an address: so
 * the id. */
static void sample(struct bytes *out, const char *name, const struct row *r, uint64_t value)
{
	char text[BACKEND_TEXT];

	if (!r->backend) {
		bytes_printf(out, "holdfast_lb_%s{service=\"%s\"} %llu\n", name, r->service->name, (unsigned long long)value);
		return;
	}
	backend_text(r->backend, text);
	bytes_printf(out, "holdfast_lb_%s{service=\"%s\",backend=\"%s\",id=\"%llu\"} %llu\n", name, r->service->name, text,
		     (unsigned long long)r->id, (unsigned long long)value);
}

static uint64_t field(const struct lb_count *c, size_t offset)
{
	__u64 value;

	memcpy(&value, (const char *)c + offset, sizeof value);
	return value;
}

static void write_counts(struct bytes *out, const struct rows *r, bool of_backends)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} kinds[] = {
		{"packets", "Packets forwarded.", offsetof(struct lb_count, packets)},
		{"bytes", "Bytes of the IP packets forwarded, as they came.", offsetof(struct lb_count, bytes)},
		{"flows", "New flows: connections begun. Of datagrams nobody can tell.", offsetof(struct lb_count, flows)},
	};

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		char name[64];

		(void)snprintf(name, sizeof name, "%s_%s", of_backends ? "backend" : "service", kinds[k].name);
		head(out, name, "counter", kinds[k].help);
		(void)snprintf(name, sizeof name, "%s_%s_total", of_backends ? "backend" : "service", kinds[k].name);
		for (uint32_t i = 0; i < r->count; i++)
			if ((r->list[i].backend != NULL) == of_backends)
				sample(out, name, &r->list[i], field(&r->list[i].count, kinds[k].offset));
	}
}

static void write_health(struct bytes *out, const struct rows *r, const struct check_list *checked)
{
	head(out, "backend_up", "gauge",
	     "1 if the backend passes its check, 0 if it fails it; absent if it has none or none was made yet.");
	for (uint32_t i = 0; i < r->count; i++) {
		const struct row *row = &r->list[i];
		const struct check_member *c = row->backend ? check_list_find(checked, row->service->id, row->id) : NULL;

		if (c && c->state != CHECK_UNKNOWN)
			sample(out, "backend_up", row, c->state == CHECK_UP);
	}
	head(out, "backend_skipped", "gauge", "1 if the backend gets no new flows here, by this balancer's own checks.");
	for (uint32_t i = 0; i < r->count; i++)
		if (r->list[i].backend)
			sample(out, "backend_skipped", &r->list[i], r->list[i].backend->skipped);
}

static void write_drops(struct bytes *out, const struct tables *t)
{
	struct lb_drops d = t->reads->count_drops(t);

	head(out, "drops", "counter", "Packets dropped, by reason.");
	for (unsigned i = LB_REASON_NONE + 1; i < LB_REASON_COUNT; i++)
		bytes_printf(out, "holdfast_lb_drops_total{reason=\"%s\"} %llu\n", count_reasons[i], (unsigned long long)d.count[i]);
}

static void write_probes(struct bytes *out, const struct prober_counts *p)
{
	head(out, "checks", "counter", "Health checks made, by kind and result.");
	for (unsigned i = CHECK_NONE + 1; i < CHECK_KINDS; i++) {
		bytes_printf(out, "holdfast_lb_checks_total{check=\"%s\",result=\"passed\"} %llu\n", check_kinds[i],
			     (unsigned long long)p->passed[i]);
		bytes_printf(out, "holdfast_lb_checks_total{check=\"%s\",result=\"failed\"} %llu\n", check_kinds[i],
			     (unsigned long long)p->failed[i]);
	}
	gauge(out, "check_targets", "Addresses, ports and kinds of check that are probed, each once.", p->targets);
	gauge(out, "checks_under_way", "Probes that wait for an answer.", p->under_way);
}

/* A pair of counters, told apart by a label. */
static void write_pair(struct bytes *out, const char *name, const char *help, const char *const *labels, const uint64_t *values)
{
	head(out, name, "counter", help);
	for (int i = 0; i < 2; i++)
		bytes_printf(out, "holdfast_lb_%s_total{%s} %llu\n", name, labels[i], (unsigned long long)values[i]);
}

static void write_port(struct bytes *out, const struct metrics_port *p)
{
	static const char *const ways[] = {"direction=\"to\"", "direction=\"from\""}, *const queues[] = {"to=\"port\"", "to=\"kernel\""};
	const uint64_t passed[] = {p->to_kernel, p->from_kernel}, unsent[] = {p->unsent, p->kernel_unsent};

	write_pair(out, "kernel_packets", "Packets handed to the kernel, for no service wants them, and those that came from it.", ways, passed);
	write_pair(out, "unsent_packets", "Packets lost because a queue to send was full, by where they should have gone.", queues, unsent);
	head(out, "missed_packets", "counter", "Packets lost because a queue to receive was full, or the memory for packets.");
	bytes_printf(out, "holdfast_lb_missed_packets_total %llu\n", (unsigned long long)p->missed);
}

static void write_balancer(struct bytes *out, const struct metrics_source *m)
{
	struct rows r = read_rows(m->tables);

	write_counts(out, &r, false);
	write_counts(out, &r, true);
	write_health(out, &r, m->checked);
	write_drops(out, m->tables);
	write_probes(out, &m->probes);
	if (m->port)
		write_port(out, m->port);
	free(r.list);
}

static void write_decapsulator(struct bytes *out, const struct lb_decap_counts *d)
{
	head(out, "decap_packets", "counter", "Packets that came through tunnels, by what became of them.");
	for (unsigned i = 0; i < LB_DECAP_COUNT; i++)
		bytes_printf(out, "holdfast_lb_decap_packets_total{outcome=\"%s\"} %llu\n", count_decaps[i],
			     (unsigned long long)d->count[i]);
}

void metrics_write(const struct metrics_source *m, struct bytes *out)
{
	if (m->has_catalog)
		gauge(out, "catalog_version", "Version of the catalog in force; absent while there is none.", m->version);
	gauge(out, "unresolved_backends", "Backends whose next hop isn't known.", m->unresolved);
	if (m->tables)
		write_balancer(out, m);
	else
		write_decapsulator(out, m->decap);
	bytes_puts(out, "# EOF\n");
}
