/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures of the XDP data plane: bpf/capture.bpf.c, hung on the program of an interface, and what comes by its ring. The service is found
 * here, by the same code that finds it there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/mem.h"
#include "bpf/capture.h"
#include "bpf/capture.skel.h"
#include "cli/cli.h"
#include "cli/lb/capture.h"
#include "lb/explain.h"
#include "lb/plane.h"

#define POLL_MS 200 /* between looks at whether the program is still the one */

/* What hangs on the program. */
struct hooks {
	const struct lb_side *side;
	struct recording *to; /* during a poll */
	uint32_t program_id;
	struct capture *programs;
	struct bpf_link *before, *after;
	struct ring_buffer *ring;
};

static bool has_service(const struct lb_side *side, const char *name)
{
	const struct tables *t = &side->maps.tables;

	for (uint32_t i = 0; i < t->service_count; i++)
		if (t->names[i].id && !strcmp(t->names[i].name, name))
			return true;
	return false;
}

/* Loads the hooks for the program that is on the interface, on its drop counters. */
static int load(struct hooks *h, const struct recording *r, int program)
{
	int e;

	(void)libbpf_set_print(NULL); /* what went wrong is said in one line */
	h->programs = capture__open();
	if (!h->programs)
		return -ENOEXEC;
	/* It comes as LB_PASS. */
	h->programs->rodata->capture_verdict = r->verdict == LB_LOCAL ? LB_PASS : r->verdict;
	h->programs->rodata->capture_reason = r->reason;
	e = bpf_map__reuse_fd(h->programs->maps.lb_drop_counts, h->side->maps.drop_counts);
	if (e == 0)
		e = bpf_program__set_attach_target(h->programs->progs.capture_before, program, "lb_xdp");
	if (e == 0)
		e = bpf_program__set_attach_target(h->programs->progs.capture_after, program, "lb_xdp");
	return e < 0 ? e : capture__load(h->programs);
}

/* The one that copies first: the other has nothing to judge without it. */
static int attach(struct hooks *h)
{
	h->before = bpf_program__attach(h->programs->progs.capture_before);
	if (!h->before)
		return -errno;
	h->after = bpf_program__attach(h->programs->progs.capture_after);
	return h->after ? 0 : -errno;
}

/* Negative ends the poll. */
static int take(void *arg, void *data, size_t size)
{
	struct hooks *h = arg;
	const struct capture_packet *p = data;
	const struct maps *maps = &h->side->maps;
	struct captured c = {.bytes = (const uint8_t *)(p + 1)};
	struct lb_config config;
	uint32_t service;

	if (size < sizeof *p || size < sizeof *p + p->kept || p->reason >= LB_REASON_COUNT || p->verdict >= LB_VERDICT_COUNT)
		return 0;
	c.seen_ns = p->seen_ns;
	c.kept = p->kept;
	c.size = p->size;
	c.verdict = p->verdict;
	c.reason = p->reason;
	if (maps_config(maps, &config) == 0 && explain_service_of(&maps->tables, &config, c.bytes, c.kept, &service))
		c.service = maps->tables.names[service].name;
	if (c.verdict == LB_PASS && c.service)
		c.verdict = LB_LOCAL;
	recording_take(h->to, &c);
	return recording_is_full(h->to) ? -ECANCELED : 0;
}

static void fini(struct hooks *h)
{
	ring_buffer__free(h->ring);
	bpf_link__destroy(h->after);
	bpf_link__destroy(h->before);
	capture__destroy(h->programs);
	free(h);
}

static int hang(struct hooks *h, const struct recording *r)
{
	const char *interface = h->side->interface;
	int program = bpf_prog_get_fd_by_id(h->program_id), e;

	if (program < 0)
		return cli_fail(1, "can't open the program of %s: %s: this takes root", interface, strerror(errno));
	e = load(h, r, program);
	if (e == 0)
		e = attach(h);
	(void)close(program);
	if (e < 0)
		return cli_fail(1,
				"can't hang a capture on the program of %s: %s: this takes root, and a kernel with BTF that allows tracing",
				interface, strerror(-e));
	h->ring = ring_buffer__new(bpf_map__fd(h->programs->maps.capture_ring), take, h, NULL);
	return h->ring ? 0 : cli_fail(1, "can't read the ring: %s", strerror(errno));
}

static int open_hooks(const struct recording *r, void **ret_source)
{
	uint32_t program_id = plane_program_id(r->side->interface);
	struct hooks *h;
	int status;

	if (!program_id)
		return cli_fail(1, "there is no program of holdfast-lbd on %s: start it, and run this as root", r->side->interface);
	h = mem_zalloc(sizeof *h);
	h->side = r->side;
	h->program_id = program_id;
	status = hang(h, r);
	if (status)
		fini(h);
	else
		*ret_source = h;
	return status;
}

static int poll_hooks(void *source, struct recording *r)
{
	struct hooks *h = source;
	const char *interface = h->side->interface;
	int e;

	h->to = r;
	e = ring_buffer__poll(h->ring, POLL_MS);
	if (e < 0 && e != -EINTR && e != -ECANCELED)
		return cli_fail(1, "can't read the ring: %s", strerror(-e));
	if (!recording_is_full(r) && plane_program_id(interface) != h->program_id)
		return cli_fail(1, "%s has another program now, holdfast-lbd was restarted: capture again; what came before is written",
				interface);
	return 0;
}

static uint64_t close_hooks(void *source, struct recording *r)
{
	struct hooks *h = source;
	uint64_t lost = h->programs->bss->capture_lost;

	(void)r;
	fini(h);
	return lost;
}

const struct capture_source capture_hooks = {.has_service = has_service, .open = open_hooks, .poll = poll_hooks, .close = close_hooks};
