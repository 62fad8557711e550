/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `holdfast lb capture`: hangs bpf/capture.bpf.c on the XDP program of an interface, and writes what comes by its ring, as it came in, with
 * the verdict in each packet's comment. The service is found here, by the same code that finds it there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/capture.h"
#include "bpf/capture.skel.h"
#include "cli/cli.h"
#include "cli/lb/lb.h"
#include "cli/lb/pcapng.h"
#include "lb/explain.h"
#include "lb/plane.h"
#include "lb/reasons.h"

#define POLL_MS 200 /* between looks at whether the program is still the one */

static const char *const verdicts[] = {[LB_PASS] = "pass", [LB_LOCAL] = "local", [LB_SEND] = "forward", [LB_DROP] = "drop"};

/* What is wanted, and what hangs on the program to get it. */
struct tap {
	const struct maps *maps;
	struct capture *hooks;
	struct bpf_link *before, *after;
	uint32_t verdict, reason;
	int64_t service;      /* its number; -1: any */
	uint64_t count, most; /* most: 0 is no end */
	int64_t clock_ns;     /* from the monotonic clock to that of the day */
	FILE *out;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* The place of a word; count if it is none. */
static uint32_t find_word(const char *const *words, uint32_t count, const char *word)
{
	uint32_t i = 0;

	while (i < count && strcmp(words[i], word) != 0)
		i++;
	return i;
}

/* 0, or the exit status. */
static int take_wishes(struct tap *t, const struct lb_options *o)
{
	char *end = NULL;

	t->verdict = find_word(verdicts, sizeof verdicts / sizeof *verdicts, o->verdict);
	if (t->verdict == sizeof verdicts / sizeof *verdicts)
		return cli_fail(EXIT_USAGE, "\"%s\" is no verdict: choose one of drop forward pass local", o->verdict);
	t->reason = o->reason ? find_word(count_reasons, LB_REASON_COUNT, o->reason) : LB_REASON_NONE;
	if (t->reason == LB_REASON_COUNT || (o->reason && t->verdict != LB_DROP))
		return cli_fail(EXIT_USAGE,
				"\"%s\" is no reason of a drop: `holdfast lb top --json` lists them, and it takes --verdict drop",
				o->reason);
	if (o->count)
		t->most = strtoull(o->count, &end, 10);
	if (end && (*end || !t->most || o->count[0] == '-'))
		return cli_fail(EXIT_USAGE, "--count %s: no number from 1", o->count);
	t->service = -1;
	for (uint32_t i = 0; o->service && i < t->maps->tables.service_count; i++)
		if (t->maps->tables.names[i].id && !strcmp(t->maps->tables.names[i].name, o->service))
			t->service = i;
	if (o->service && t->service < 0)
		return cli_fail(1, "the balancer has no service \"%s\": `holdfast lb top` lists them", o->service);
	return 0;
}

static int64_t ns_of(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Loads the hooks for the program that is on the interface, on its drop counters. */
static int load(struct tap *t, int program)
{
	int r;

	t->hooks = capture__open();
	if (!t->hooks)
		return -ENOEXEC;
	/* It comes as LB_PASS. */
	t->hooks->rodata->capture_verdict = t->verdict == LB_LOCAL ? LB_PASS : t->verdict;
	t->hooks->rodata->capture_reason = t->reason;
	r = bpf_map__reuse_fd(t->hooks->maps.lb_drop_counts, t->maps->drop_counts);
	if (r == 0)
		r = bpf_program__set_attach_target(t->hooks->progs.capture_before, program, "lb_xdp");
	if (r == 0)
		r = bpf_program__set_attach_target(t->hooks->progs.capture_after, program, "lb_xdp");
	return r < 0 ? r : capture__load(t->hooks);
}

/* The one that copies first: the other has nothing to judge without it. */
static int attach(struct tap *t)
{
	t->before = bpf_program__attach(t->hooks->progs.capture_before);
	if (!t->before)
		return -errno;
	t->after = bpf_program__attach(t->hooks->progs.capture_after);
	return t->after ? 0 : -errno;
}

/* Its comment; false: it isn't wanted. */
static bool describe(const struct tap *t, const struct capture_packet *p, const uint8_t *bytes, char *ret, size_t size)
{
	uint32_t service, verdict = p->verdict;
	struct lb_config config;
	bool found = maps_config(t->maps, &config) == 0 && explain_service_of(&t->maps->tables, &config, bytes, p->kept, &service);

	if (verdict == LB_PASS && found)
		verdict = LB_LOCAL;
	if (verdict != t->verdict || (t->service >= 0 && (!found || service != t->service)))
		return false;
	(void)snprintf(ret, size, "verdict=%s%s%s%s%s", verdicts[verdict], p->reason ? " reason=" : "",
		       p->reason ? count_reasons[p->reason] : "", found ? " service=" : "", found ? t->maps->tables.names[service].name : "");
	return true;
}

/* Negative ends the poll. */
static int take(void *arg, void *data, size_t size)
{
	struct tap *t = arg;
	const struct capture_packet *p = data;
	const uint8_t *bytes = (const uint8_t *)(p + 1);
	char comment[128];

	if (size < sizeof *p || size < sizeof *p + p->kept || p->reason >= LB_REASON_COUNT ||
	    !describe(t, p, bytes, comment, sizeof comment))
		return 0;
	pcapng_packet(t->out, (uint64_t)((int64_t)p->seen_ns + t->clock_ns), bytes, p->kept, p->size, comment);
	t->count++;
	return t->most && t->count >= t->most ? -ECANCELED : 0;
}

/* Until enough were captured, or an interrupt. 0, or the exit status. */
static int run(struct tap *t, const char *interface, uint32_t program_id)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(t->hooks->maps.capture_ring), take, t, NULL);
	int status = ring ? 0 : cli_fail(1, "can't read the ring: %s", strerror(errno)), r;

	while (status == 0 && !interrupted) {
		r = ring_buffer__poll(ring, POLL_MS);
		if (fflush(t->out) != 0)
			status = cli_fail(1, "can't write: %s", strerror(errno));
		else if (r == -ECANCELED)
			break;
		else if (r < 0 && r != -EINTR)
			status = cli_fail(1, "can't read the ring: %s", strerror(-r));
		else if (plane_program_id(interface) != program_id)
			status = cli_fail(
				1, "%s has another program now, holdfast-lbd was restarted: capture again; what came before is written",
				interface);
	}
	ring_buffer__free(ring);
	return status;
}

static int hang(struct tap *t, const struct lb_options *o, uint32_t program_id)
{
	struct sigaction action = {.sa_handler = interrupt};
	int program = bpf_prog_get_fd_by_id(program_id), status, r;

	if (program < 0)
		return cli_fail(1, "can't open the program of %s: %s: this takes root", o->interface, strerror(errno));
	r = load(t, program);
	if (r == 0)
		r = attach(t);
	(void)close(program);
	if (r < 0)
		return cli_fail(1,
				"can't hang a capture on the program of %s: %s: this takes root, and a kernel with BTF that allows tracing",
				o->interface, strerror(-r));
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	pcapng_begin(t->out, o->interface);
	fprintf(stderr, "capturing on %s what is for verdict %s; an interrupt ends it\n", o->interface, o->verdict);
	status = run(t, o->interface, program_id);
	fprintf(stderr, "%llu captured, %llu lost because they came too fast\n", (unsigned long long)t->count,
		(unsigned long long)t->hooks->bss->capture_lost);
	return status;
}

int lb_capture(const struct lb_side *side, const struct lb_options *o)
{
	struct tap t = {.maps = &side->maps, .clock_ns = ns_of(CLOCK_REALTIME) - ns_of(CLOCK_MONOTONIC)};
	uint32_t program_id = plane_program_id(side->interface);
	int status = take_wishes(&t, o);

	if (status)
		return status;
	if (*side->twin)
		return cli_fail(1, "%s belongs to holdfast-lbd-dpdk, and only the XDP data plane has captures", side->interface);
	if (!program_id)
		return cli_fail(1, "there is no program of holdfast-lbd on %s: start it, and run this as root", side->interface);
	t.out = strcmp(o->out, "-") != 0 ? fopen(o->out, "we") : stdout;
	if (!t.out)
		return cli_fail(1, "can't write %s: %s", o->out, strerror(errno));
	status = hang(&t, o, program_id);
	bpf_link__destroy(t.after);
	bpf_link__destroy(t.before);
	capture__destroy(t.hooks);
	if (fclose(t.out) != 0 && status == 0)
		status = cli_fail(1, "can't write %s: %s", o->out, strerror(errno));
	return status;
}
