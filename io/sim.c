/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual time: events, turns, clocks, timers, messages between reactors. */
#include "io/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/sim_private.h"

#define TURN_NS_MIN 1000u
#define TURN_NS_MAX 30000u
#define STALL_NS_MIN (20 * NS_PER_MS)
#define STALL_NS_MAX (600 * NS_PER_MS)

/* ---- chance ---- */

uint64_t sim_random(struct sim *s, uint64_t bound)
{
	return rand_below(&s->random, bound);
}

bool sim_chance(struct sim *s, uint32_t of, uint32_t in)
{
	return of && sim_random(s, in) < of;
}

uint64_t sim_between(struct sim *s, uint64_t min, uint64_t max)
{
	return min + sim_random(s, max - min + 1);
}

/* ---- events ---- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_schedule(struct sim *s, const struct sim_event *e)
{
	uint32_t at;

	if (s->heap_count == s->heap_cap) {
		s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 256;
		s->heap = mem_realloc(s->heap, s->heap_cap * sizeof *s->heap);
	}
	at = s->heap_count++;
	s->heap[at] = *e;
	s->heap[at].order = s->order++;
	while (at && event_before(&s->heap[at], &s->heap[(at - 1) / 2])) {
		struct sim_event swap = s->heap[at];

		s->heap[at] = s->heap[(at - 1) / 2];
		s->heap[(at - 1) / 2] = swap;
		at = (at - 1) / 2;
	}
}

static struct sim_event event_take(struct sim *s)
{
	struct sim_event first = s->heap[0], last = s->heap[--s->heap_count];
	uint32_t at = 0;

	while (at * 2 + 1 < s->heap_count) {
		uint32_t child = at * 2 + 1;

		if (child + 1 < s->heap_count && event_before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!event_before(&s->heap[child], &last))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	if (s->heap_count)
		s->heap[at] = last;
	return first;
}

struct io *sim_io(const struct sim *s, uint64_t id)
{
	for (uint32_t i = 0; i < s->io_count; i++)
		if (s->ios[i]->id == id)
			return s->ios[i];
	return NULL;
}

void sim_wake(struct sim *s, struct io *io, uint64_t at_ns)
{
	const struct io_env *m = &s->machines[io->machine];

	if (at_ns < io->busy_until_ns)
		at_ns = io->busy_until_ns;
	if (at_ns < m->paused_until_ns)
		at_ns = m->paused_until_ns;
	if (io->wake_at_ns && io->wake_at_ns <= at_ns)
		return;
	io->wake_at_ns = at_ns;
	sim_schedule(s, &(struct sim_event){.at_ns = at_ns, .kind = EVENT_WAKE, .io = io->id});
}

void sim_ready(struct sim *s, uint64_t id, struct io_op *op, int result)
{
	struct io *io = sim_io(s, id);

	if (!io)
		return;
	if (io->ready_count == io->ready_cap) {
		io->ready_cap = io->ready_cap ? io->ready_cap * 2 : 64;
		io->ready = mem_realloc(io->ready, io->ready_cap * sizeof *io->ready);
	}
	io->ready[io->ready_count++] = (struct sim_ready){.op = op, .result = result};
	sim_wake(s, io, s->now_ns);
}

uint64_t sim_io_now(const struct io *io)
{
	return io->sim->now_ns + io->ahead_ns;
}

void sim_complete(struct io *io, struct io_op *op, int result, uint64_t delay_ns)
{
	sim_schedule(io->sim, &(struct sim_event){.at_ns = sim_io_now(io) + delay_ns, .kind = EVENT_COMPLETE, .io = io->id, .op = op, .result = result});
}

/* ---- clocks ---- */

static uint64_t machine_clock(const struct io_env *m, uint64_t at_ns)
{
	return m->clock_offset_ns + at_ns + (uint64_t)((int64_t)(at_ns / 1000) * m->drift_ppm / 1000);
}

/* The world's time at which the machine's clock will show clock_ns. */
static uint64_t world_time(const struct io_env *m, uint64_t clock_ns)
{
	uint64_t at = clock_ns > m->clock_offset_ns ? clock_ns - m->clock_offset_ns : 0;

	at -= (uint64_t)((int64_t)(at / 1000) * m->drift_ppm / 1000);
	while (machine_clock(m, at) < clock_ns)
		at += 1 + (clock_ns - machine_clock(m, at));
	return at;
}

uint64_t io_boottime_ns(struct io *io)
{
	struct sim *s = io->sim;

	/* A machine may stand still between any two instructions; a look at the clock is where it can be noticed. */
	if (io->machine && !io->ahead_ns && sim_chance(s, s->faults.stall_per_100000, 100000)) {
		io->ahead_ns = sim_between(s, STALL_NS_MIN, STALL_NS_MAX);
		s->counts.stalls++;
	}
	return machine_clock(&s->machines[io->machine], sim_io_now(io));
}

uint64_t io_realtime_ms(struct io *io)
{
	return (uint64_t)(REALTIME_BASE_MS + io->sim->machines[io->machine].realtime_skew_ms) + sim_io_now(io) / NS_PER_MS;
}

void sim_set_clock(struct sim *s, uint8_t machine, int64_t off_ms)
{
	s->machines[machine].realtime_skew_ms = off_ms;
	s->counts.jumps++;
}

uint64_t sim_true_ms(const struct sim *s)
{
	return REALTIME_BASE_MS + s->now_ns / NS_PER_MS;
}

void io_random(struct io *io, void *ret, size_t size)
{
	uint8_t *p = ret;

	while (size--)
		*p++ = (uint8_t)rand_next(&io->sim->random);
}

void io_timer_start(struct io *io, struct io_timer *timer, uint64_t deadline_ns)
{
	timer_heap_start(&io->timers, timer, deadline_ns);
	if (!io->in_turn) /* else the end of the turn plans the wake-up */
		sim_wake(io->sim, io, world_time(&io->sim->machines[io->machine], deadline_ns));
}

void io_timer_stop(struct io *io, struct io_timer *timer)
{
	timer_heap_stop(&io->timers, timer);
}

/* ---- messages between reactors ---- */

void io_post(struct io *from, struct io *to, struct io_message *message)
{
	(void)from;
	message->next = NULL;
	*to->mail_last = message;
	to->mail_last = &message->next;
	sim_wake(to->sim, to, to->sim->now_ns + 1000);
}

/* ---- turns ---- */

static void run_ready(struct io *io)
{
	struct sim_ready *ready = io->ready;
	uint32_t count = io->ready_count;

	io->ready = NULL;
	io->ready_count = io->ready_cap = 0;
	/* Nothing says in which order things on different sockets and files are told of. */
	for (uint32_t i = count; i > 1; i--) {
		uint32_t k = (uint32_t)sim_random(io->sim, i);
		struct sim_ready swap = ready[i - 1];

		ready[i - 1] = ready[k];
		ready[k] = swap;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (ready[i].op->at.kind == SIM_PLAIN)
			ready[i].op->done(ready[i].op, ready[i].result);
		else
			sim_run_recv(io, ready[i].op, ready[i].result);
	}
	free(ready);
}

static void run_timers(struct io *io)
{
	uint64_t limit = io->timers.next_order;
	struct io_timer *t;

	while ((t = timer_heap_first(&io->timers)) && t->order < limit &&
	       t->deadline_ns <= machine_clock(&io->sim->machines[io->machine], sim_io_now(io))) {
		timer_heap_stop(&io->timers, t);
		t->fire(t);
	}
}

static void run_mail(struct io *io)
{
	struct io_message *m = io->mail_first;

	io->mail_first = NULL;
	io->mail_last = &io->mail_first;
	while (m) {
		struct io_message *next = m->next;

		m->deliver(m);
		m = next;
	}
}

static void run_turn(struct sim *s, struct io *io)
{
	struct io_timer *t;

	s->last_machine = io->machine;
	io->wake_at_ns = 0;
	io->in_turn = true;
	run_ready(io);
	run_timers(io);
	run_mail(io);
	if (io->turn)
		io->turn(io->turn_arg);
	io->in_turn = false;
	io->busy_until_ns = sim_io_now(io) + sim_between(s, TURN_NS_MIN, TURN_NS_MAX);
	if (io->ahead_ns && s->machines[io->machine].paused_until_ns < sim_io_now(io))
		s->machines[io->machine].paused_until_ns = sim_io_now(io);
	io->ahead_ns = 0;
	if (io->ready_count || io->mail_first)
		sim_wake(s, io, s->now_ns);
	t = timer_heap_first(&io->timers);
	if (t)
		sim_wake(s, io, world_time(&s->machines[io->machine], t->deadline_ns));
}

bool sim_step(struct sim *s, uint64_t until_ns)
{
	struct sim_event e;
	struct io *io;

	if (!s->heap_count || s->heap[0].at_ns > until_ns) {
		s->now_ns = until_ns;
		return false;
	}
	e = event_take(s);
	if (e.at_ns > s->now_ns)
		s->now_ns = e.at_ns;
	switch (e.kind) {
	case EVENT_WAKE:
		io = sim_io(s, e.io);
		if (!io || io->wake_at_ns != e.at_ns)
			break;
		if (s->machines[io->machine].paused_until_ns > s->now_ns) {
			io->wake_at_ns = 0;
			sim_wake(s, io, s->now_ns);
			break;
		}
		run_turn(s, io);
		break;
	case EVENT_COMPLETE:
		sim_ready(s, e.io, e.op, e.result);
		break;
	case EVENT_DELIVER:
		sim_deliver(s, &e);
		break;
	case EVENT_DISK:
		sim_disk_write(s, &e);
		break;
	case EVENT_ACCEPT:
		sim_accept(s, &e);
		break;
	}
	return true;
}

/* ---- ios and machines ---- */

int io_new(struct io **ret_io, struct io_env *env)
{
	struct sim *s = env->sim;
	struct io *io = mem_zalloc(sizeof *io);

	io->sim = s;
	io->id = ++s->next_id;
	io->machine = env->machine;
	io->mail_last = &io->mail_first;
	s->ios = mem_realloc(s->ios, (s->io_count + 1) * sizeof(struct io *));
	s->ios[s->io_count++] = io;
	sim_wake(s, io, s->now_ns);
	*ret_io = io;
	return 0;
}

void io_free(struct io *io)
{
	struct sim *s;

	if (!io)
		return;
	s = io->sim;
	sim_net_forget(s, io);
	for (uint32_t i = 0; i < s->io_count; i++)
		if (s->ios[i] == io) {
			s->ios[i] = s->ios[--s->io_count];
			break;
		}
	timer_heap_free(&io->timers);
	free(io->ready);
	free(io);
}

void io_run(struct io *io)
{
	(void)io;
	assert(!"sim_step() runs the ios");
}

void io_stop(struct io *io)
{
	(void)io;
}

void io_set_turn(struct io *io, void (*turn)(void *arg), void *arg)
{
	io->turn = turn;
	io->turn_arg = arg;
}

unsigned io_lacks(const struct io *io)
{
	(void)io;
	return IO_LACK_NONE;
}

void io_pause_now(struct io *io, uint64_t ns)
{
	io->ahead_ns += ns;
}

struct sim *sim_new(uint64_t seed, const struct sim_faults *faults)
{
	struct sim *s = mem_zalloc(sizeof *s);

	s->random = mix64(seed);
	s->faults = *faults;
	s->now_ns = NS_PER_S;
	for (unsigned i = 0; i < SIM_MACHINES; i++) {
		struct io_env *m = &s->machines[i];

		m->sim = s;
		m->machine = (uint8_t)i;
		m->clock_offset_ns = sim_between(s, 1, 1000) * NS_PER_S;
		m->drift_ppm = i ? (int64_t)sim_random(s, 2 * faults->drift_ppm + 1) - faults->drift_ppm : 0;
		m->realtime_skew_ms = i ? (int64_t)sim_random(s, 200) - 100 : 0;
		list_init(&m->files);
		list_init(&m->writes);
		list_init(&m->lies);
	}
	return s;
}

void sim_free(struct sim *s)
{
	while (s->io_count)
		io_free(s->ios[0]);
	sim_net_free(s);
	for (unsigned i = 0; i < SIM_MACHINES; i++)
		sim_disk_free(&s->machines[i]);
	free(s->heap);
	free(s->ios);
	free(s->handles);
	free(s);
}

struct io_env *sim_env(struct sim *s, uint8_t machine)
{
	return &s->machines[machine];
}

uint64_t sim_now(const struct sim *s)
{
	return s->now_ns;
}

struct sim_counts *sim_counts(struct sim *s)
{
	return &s->counts;
}

uint8_t sim_last_machine(const struct sim *s)
{
	return s->last_machine;
}

bool sim_writing(const struct sim *s, uint8_t machine)
{
	list_for_each(pos, &s->machines[machine].writes)
		if (list_entry(pos, struct sim_write, node)->durable)
			return true;
	return false;
}

void sim_crash(struct sim *s, uint8_t machine, bool silent)
{
	s->counts.crashes++;
	sim_disk_crash(s, &s->machines[machine]);
	sim_net_crash(s, machine, silent);
	s->machines[machine].paused_until_ns = 0;
}

void sim_pause(struct sim *s, uint8_t machine, uint64_t ns)
{
	s->counts.pauses++;
	s->machines[machine].paused_until_ns = s->now_ns + ns;
}

void sim_heal(struct sim *s)
{
	memset(s->cut, 0, sizeof s->cut);
	s->faults.slow_per_10000 = s->faults.break_per_100000 = s->faults.stall_per_100000 = s->faults.window = 0;
	for (unsigned i = 0; i < SIM_MACHINES; i++)
		s->machines[i].paused_until_ns = 0;
	for (uint32_t i = 0; i < s->io_count; i++) {
		s->ios[i]->wake_at_ns = 0;
		sim_wake(s, s->ios[i], s->now_ns);
	}
}
