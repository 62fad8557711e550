/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast lb capture`: writes packets of one verdict as they came in, with the verdict in each one's comment. */
#include "cli/lb/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/cli.h"
#include "cli/lb/pcapng.h"
#include "lb/reasons.h"

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* 0, or the exit status. */
static int take_wishes(struct recording *r, const struct lb_options *o)
{
	r->verdict = reasons_find(verdict_words, LB_VERDICT_COUNT, o->verdict);
	if (r->verdict == LB_VERDICT_COUNT)
		return cli_fail(EXIT_USAGE, "\"%s\" is no verdict: choose one of drop forward pass local", o->verdict);
	r->reason = o->reason ? reasons_find(count_reasons, LB_REASON_COUNT, o->reason) : LB_REASON_NONE;
	if (r->reason == LB_REASON_COUNT || (o->reason && r->verdict != LB_DROP))
		return cli_fail(EXIT_USAGE,
				"\"%s\" is no reason of a drop: `holdfast lb top --json` lists them, and it takes --verdict drop",
				o->reason);
	if (o->count && (!number_parse(o->count, UINT64_MAX, &r->most) || !r->most))
		return cli_fail(EXIT_USAGE, "--count %s: no number from 1", o->count);
	r->service = o->service;
	return 0;
}

static int64_t ns_of(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool recording_is_full(const struct recording *r)
{
	return r->most && r->count >= r->most;
}

static bool is_wanted(const struct recording *r, const struct captured *p)
{
	if (p->verdict != r->verdict || (r->reason && p->reason != r->reason))
		return false;
	return !r->service || (p->service && !strcmp(p->service, r->service));
}

void recording_take(struct recording *r, const struct captured *p)
{
	char comment[128];

	if (!is_wanted(r, p) || recording_is_full(r))
		return;
	(void)snprintf(comment, sizeof comment, "verdict=%s%s%s%s%s", verdict_words[p->verdict], p->reason ? " reason=" : "",
		       p->reason ? count_reasons[p->reason] : "", p->service ? " service=" : "", p->service ? p->service : "");
	pcapng_packet(r->out, (uint64_t)((int64_t)p->seen_ns + r->clock_ns), p->bytes, p->kept, p->size, comment);
	r->count++;
}

static int flush(const struct recording *r)
{
	return fflush(r->out) != 0 ? cli_fail(1, "can't write: %s", strerror(errno)) : 0;
}

/* Only now: a capture that can't begin leaves an earlier one's file as it is. A pipe or a device has nothing to lose. */
static int begin_file(const struct recording *r)
{
	if (r->out != stdout && ftruncate(fileno(r->out), 0) < 0 && errno != EINVAL)
		return cli_fail(1, "can't write: %s", strerror(errno));
	pcapng_begin(r->out, r->side->interface);
	return 0;
}

/* Until enough were captured, or an interrupt. 0, or the exit status. */
static int run(struct recording *r, const struct capture_source *from)
{
	const struct sigaction action = {.sa_handler = interrupt};
	unsigned long long lost;
	void *source;
	int status = from->open(r, &source);

	if (status)
		return status;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	status = begin_file(r);
	fprintf(stderr, "capturing on %s what is for verdict %s; an interrupt ends it\n", r->side->interface, verdict_words[r->verdict]);
	while (status == 0 && !interrupted && !recording_is_full(r)) {
		status = from->poll(source, r);
		if (status == 0)
			status = flush(r);
	}
	lost = from->close(source, r);
	fprintf(stderr, "%llu captured, %llu lost because they came too fast\n", (unsigned long long)r->count, lost);
	return status;
}

/* Packets hold what people say to each other: the file is for who captures. */
static FILE *open_private(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

int lb_capture(const struct lb_side *side, const struct lb_options *o)
{
	struct recording r = {.side = side, .clock_ns = ns_of(CLOCK_REALTIME) - ns_of(CLOCK_MONOTONIC)};
	const struct capture_source *from = *side->twin ? &capture_twin : &capture_hooks;
	int status = take_wishes(&r, o);

	if (status)
		return status;
	if (r.service && !from->has_service(side, r.service))
		return cli_fail(1, "the balancer has no service \"%s\": `holdfast lb top` lists them", r.service);
	r.out = strcmp(o->out, "-") != 0 ? open_private(o->out) : stdout;
	if (!r.out)
		return cli_fail(1, "can't write %s: %s", o->out, strerror(errno));
	status = run(&r, from);
	if (r.out != stdout && fclose(r.out) != 0 && status == 0)
		status = cli_fail(1, "can't write %s: %s", o->out, strerror(errno));
	return status;
}
