/* SPDX-License-Identifier: Apache-2.0 */
#include "teller.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "check.h"
#include "line.h"
#include "world.h"

#define TELLERS 3u
#define STORE_PORT 6379u
#define TIMEOUT_NS (6 * NS_PER_S)
#define RECONNECT_NS (20 * NS_PER_MS)
#define THINK_US_MAX 8000u
#define DEALS_A_LINE 20u /* about, then on to another node */
#define SHORT_MS 300u    /* time to live: some end soon, some outlive leaders */
#define LONG_MS 5000u
#define LOOKS_AFTER 3u           /* at a key that is gone */
#define AHEAD_NS (1500 * NS_PER_MS) /* so far a group's time may be ahead (world.c) */
#define CLOCKS_NS (3 * NS_PER_S)    /* two leaders' stamps may be so far apart: either is off by the bound and what honest clocks are off */

enum counter { COUNTER_PAIR, COUNTER_SWAP, COUNTERS };

enum deal { NO_DEAL, DEAL_PAIR, DEAL_LOOK, DEAL_WATCH, DEAL_SWAP, DEAL_SET, DEAL_GET };

/* The key with a time to live that a teller looks at. */
struct lasting {
	uint32_t generation;                        /* of its name */
	bool there, gone;                           /* it was set; it was seen to be gone */
	uint32_t looks;                             /* since then */
	uint64_t ttl_ns, set_from_ns, set_until_ns; /* it was set within these */
};

struct teller {
	struct tellers *owner;
	uint32_t id;
	struct line line;
	struct io_timer timer;
	enum deal deal;
	uint32_t replies_wanted;
	uint64_t asked_ns;
	uint64_t read; /* what a swap begins from */
	struct lasting lasting;
};

struct tellers {
	struct sim *sim;
	struct io *io;
	uint8_t node_count;
	bool resting;
	struct teller list[TELLERS];
	struct check_history history;
	struct tellers_stats stats;
	char complaint[200];
};

static uint64_t now_of(const struct teller *t)
{
	return sim_now(t->owner->sim);
}

static void wake(struct teller *t, uint64_t after_ns)
{
	io_timer_start(t->owner->io, &t->timer, io_boottime_ns(t->owner->io) + after_ns);
}

static void think(struct teller *t)
{
	wake(t, (1 + sim_random(t->owner->sim, THINK_US_MAX)) * NS_PER_US);
}

static void complain(struct tellers *all, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct tellers *all, const char *format, ...)
{
	va_list args;

	if (all->complaint[0])
		return;
	va_start(args, format);
	(void)vsnprintf(all->complaint, sizeof all->complaint, format, args);
	va_end(args);
}

/* ---- replies ---- */

static int64_t head_number(const uint8_t *reply)
{
	return strtoll((const char *)reply + 1, NULL, 10);
}

static size_t head_size(const struct bytes *in, size_t at)
{
	const uint8_t *end = at < in->size ? memmem(in->data + at, in->size - at, "\r\n", 2) : NULL;

	return end ? (size_t)(end - in->data) + 2 - at : 0;
}

/* Where the element that begins there ends; 0: not all of it is there. */
static size_t element_end(const struct bytes *in, size_t at)
{
	size_t head = head_size(in, at), end = at + head;
	int64_t n = head ? head_number(in->data + at) : 0;

	if (!head)
		return 0;
	if (in->data[at] == '$' && n >= 0)
		end += (size_t)n + 2;
	return end <= in->size ? end : 0;
}

/* The same of a reply: arrays hold no arrays here. */
static size_t reply_end(const struct bytes *in, size_t at)
{
	size_t end = element_end(in, at);
	int64_t n = end && in->data[at] == '*' ? head_number(in->data + at) : 0;

	for (; n > 0 && end; n--)
		end = element_end(in, end);
	return end;
}

/* A number as an integer or as a string; nothing is 0. */
static uint64_t element_number(const struct bytes *in, size_t at)
{
	int64_t n = head_number(in->data + at);

	if (in->data[at] != '$')
		return (uint64_t)n;
	return n < 0 ? 0 : strtoull((const char *)in->data + at + head_size(in, at), NULL, 10);
}

/* ---- deals ---- */

static void put_counter(struct teller *t, enum check_kind kind, enum counter key, uint64_t returned, uint64_t value)
{
	check_add(&t->owner->history,
		  &(struct check_op){.kind = kind, .key = key, .invoked = t->asked_ns, .returned = returned, .value = value});
}

static void ask(struct teller *t, enum deal deal, uint32_t replies, const char *text)
{
	t->deal = deal;
	t->replies_wanted = replies;
	t->asked_ns = now_of(t);
	t->line.in.size = 0;
	bytes_puts(&t->line.out, text);
	line_send(&t->line);
	wake(t, TIMEOUT_NS);
}

static void ask_lasting(struct teller *t)
{
	struct lasting *l = &t->lasting;
	bool is_short = sim_random(t->owner->sim, 4) != 0;
	char text[100];

	if (l->there && l->looks < LOOKS_AFTER) {
		(void)snprintf(text, sizeof text, "GET lasting-%u-%u\r\n", t->id, l->generation);
		ask(t, DEAL_GET, 1, text);
		return;
	}
	*l = (struct lasting){.generation = l->generation + 1};
	l->ttl_ns = (1 + sim_random(t->owner->sim, is_short ? SHORT_MS : LONG_MS)) * NS_PER_MS;
	(void)snprintf(text, sizeof text, "SET lasting-%u-%u %u PX %llu\r\n", t->id, l->generation, l->generation,
		       (unsigned long long)(l->ttl_ns / NS_PER_MS));
	ask(t, DEAL_SET, 1, text);
}

static void ask_swap(struct teller *t)
{
	char text[100];

	(void)snprintf(text, sizeof text, "MULTI\r\nSET {t}c %llu\r\nEXEC\r\n", (unsigned long long)t->read + 1);
	ask(t, DEAL_SWAP, 3, text);
}

static void ask_something(struct teller *t)
{
	switch (sim_random(t->owner->sim, 6)) {
	case 0:
		ask(t, DEAL_PAIR, 4, "MULTI\r\nINCR {t}a\r\nINCR {t}b\r\nEXEC\r\n");
		break;
	case 1:
		ask(t, DEAL_LOOK, 4, "MULTI\r\nGET {t}a\r\nGET {t}b\r\nEXEC\r\n");
		break;
	case 2:
	case 3:
		ask(t, DEAL_WATCH, 2, "WATCH {t}c\r\nGET {t}c\r\n");
		break;
	default:
		ask_lasting(t);
		break;
	}
}

static void pair_seen(struct teller *t, const struct bytes *in, size_t exec, enum check_kind kind)
{
	size_t first = element_end(in, exec);
	uint64_t a = element_number(in, first), b = element_number(in, element_end(in, first));

	if (a != b)
		complain(t->owner, "teller %u: a transaction was torn: %llu and %llu", t->id, (unsigned long long)a, (unsigned long long)b);
	put_counter(t, kind, COUNTER_PAIR, now_of(t), a);
}

static void lasting_seen(struct teller *t, uint64_t value)
{
	struct lasting *l = &t->lasting;
	struct tellers *all = t->owner;
	uint64_t now_ns = now_of(t);

	if (value && value != l->generation)
		complain(all, "teller %u: value %llu in a key that only %u was written to", t->id, (unsigned long long)value,
			 l->generation);
	if (value && l->gone)
		complain(all, "teller %u: key %u had expired and is there again", t->id, l->generation);
	if (!value && now_ns + AHEAD_NS + sim_counts(all->sim)->time_behind_ms * NS_PER_MS < l->set_from_ns + l->ttl_ns)
		complain(all, "teller %u: key %u was to last %llu ms and is gone after %llu", t->id, l->generation,
			 (unsigned long long)(l->ttl_ns / NS_PER_MS), (unsigned long long)((now_ns - l->set_from_ns) / NS_PER_MS));
	all->stats.expired += !value && !l->gone;
	l->gone |= !value;
	l->looks += l->gone;
}

/* The last of the replies is an EXEC's, an array: true if it was executed. */
static bool executed(struct teller *t, const struct bytes *in, size_t exec)
{
	bool aborted = in->data[exec] == '*' && head_number(in->data + exec) < 0;

	t->owner->stats.aborted += aborted;
	t->owner->stats.transactions += in->data[exec] == '*' && !aborted;
	return in->data[exec] == '*' && !aborted;
}

/* The deal's replies are there; `last` is where the last one begins. */
static void settle(struct teller *t, const struct bytes *in, size_t last)
{
	enum deal deal = t->deal;
	bool refused = in->data[last] == '-' || in->data[0] == '-'; /* certainly not executed */

	t->deal = NO_DEAL;
	switch (deal) {
	case NO_DEAL:
		return;
	case DEAL_PAIR:
	case DEAL_LOOK:
		if (executed(t, in, last))
			pair_seen(t, in, last, deal == DEAL_PAIR ? CHECK_INCR : CHECK_GET);
		break;
	case DEAL_WATCH:
		if (refused) {
			line_close(&t->line); /* what is watched is forgotten with it */
			return;
		}
		t->read = element_number(in, last);
		put_counter(t, CHECK_GET, COUNTER_SWAP, now_of(t), t->read);
		ask_swap(t);
		return;
	case DEAL_SWAP:
		if (executed(t, in, last))
			put_counter(t, CHECK_INCR, COUNTER_SWAP, now_of(t), t->read + 1);
		break;
	case DEAL_SET:
		t->lasting.there = !refused;
		t->lasting.set_from_ns = t->asked_ns;
		t->lasting.set_until_ns = now_of(t);
		break;
	case DEAL_GET:
		if (!refused)
			lasting_seen(t, element_number(in, last));
		break;
	}
	think(t);
}

/* Nobody knows what became of it. */
static void lost(struct teller *t)
{
	if (t->deal == DEAL_PAIR)
		put_counter(t, CHECK_INCR, COUNTER_PAIR, CHECK_INFINITY, 0);
	if (t->deal == DEAL_SWAP)
		put_counter(t, CHECK_INCR, COUNTER_SWAP, CHECK_INFINITY, 0);
	t->deal = NO_DEAL;
}

/* ---- the connection ---- */

static void teller_received(struct line *line)
{
	struct teller *t = container_of(line, struct teller, line);
	size_t last = 0, end = 0;

	bytes_put_u8(&line->in, 0); /* strings end */
	line->in.size--;
	for (uint32_t i = 0; i < t->replies_wanted; i++) {
		last = end;
		end = reply_end(&line->in, last);
		if (!end)
			return;
	}
	settle(t, &line->in, last);
}

static void teller_opened(struct line *line)
{
	think(container_of(line, struct teller, line));
}

static void teller_ended(struct line *line)
{
	struct teller *t = container_of(line, struct teller, line);

	lost(t);
	wake(t, RECONNECT_NS);
}

static void teller_fire(struct io_timer *timer)
{
	struct teller *t = container_of(timer, struct teller, timer);
	struct sim *s = t->owner->sim;

	if (t->owner->resting && !t->deal)
		return;
	if (line_idle(&t->line))
		line_open(&t->line, (uint8_t)(1 + sim_random(s, t->owner->node_count)), STORE_PORT);
	else if (t->deal || sim_random(s, DEALS_A_LINE) == 0)
		line_close(&t->line); /* it took too long; or on to another node */
	else if (t->line.socket >= 0)
		ask_something(t);
}

/* ---- life ---- */

struct tellers *tellers_start(struct sim *s, uint8_t node_count)
{
	struct tellers *all = mem_zalloc(sizeof *all);

	all->sim = s;
	all->node_count = node_count;
	(void)io_new(&all->io, sim_env(s, 0));
	for (uint32_t i = 0; i < TELLERS; i++) {
		struct teller *t = &all->list[i];

		t->owner = all;
		t->id = i;
		t->timer.fire = teller_fire;
		t->line.opened = teller_opened;
		t->line.received = teller_received;
		t->line.ended = teller_ended;
		line_init(&t->line, all->io);
		think(t);
	}
	return all;
}

void tellers_end(struct tellers *all)
{
	if (!all)
		return;
	for (uint32_t i = 0; i < TELLERS; i++) {
		io_timer_stop(all->io, &all->list[i].timer);
		line_fini(&all->list[i].line);
	}
	check_history_free(&all->history);
	io_free(all->io);
	free(all);
}

void tellers_rest(struct tellers *all)
{
	all->resting = true;
}

bool tellers_resting(const struct tellers *all)
{
	for (uint32_t i = 0; i < TELLERS; i++)
		if (all->list[i].deal)
			return false;
	return true;
}

const struct tellers_stats *tellers_stats(const struct tellers *all)
{
	return &all->stats;
}

/* ---- at the end ---- */

static bool is_counter(uint32_t key)
{
	return key < COUNTERS;
}

/* What a node holds is one more look at each counter. */
static void look_into(struct tellers *all, const struct world *w, uint8_t node)
{
	uint64_t now_ns = sim_now(all->sim), a = world_number(w, node, "{t}a"), b = world_number(w, node, "{t}b");

	if (a != b)
		complain(all, "node %u: a transaction was torn: %llu and %llu", node, (unsigned long long)a, (unsigned long long)b);
	check_add(&all->history,
		  &(struct check_op){.kind = CHECK_GET, .key = COUNTER_PAIR, .invoked = now_ns, .returned = now_ns, .value = a});
	check_add(&all->history, &(struct check_op){.kind = CHECK_GET,
						    .key = COUNTER_SWAP,
						    .invoked = now_ns,
						    .returned = now_ns,
						    .value = world_number(w, node, "{t}c")});
}

/* The keys whose time is over must be gone without anybody who asks for them. */
static void look_for_lasting(struct tellers *all, const struct world *w, uint8_t node)
{
	for (uint32_t i = 0; i < TELLERS; i++) {
		const struct lasting *l = &all->list[i].lasting;
		char key[40];

		(void)snprintf(key, sizeof key, "lasting-%u-%u", i, l->generation);
		if (l->there && sim_now(all->sim) > l->set_until_ns + l->ttl_ns + CLOCKS_NS && world_number(w, node, key))
			complain(all, "node %u: key %s was to last %llu ms and is still there", node, key,
				 (unsigned long long)(l->ttl_ns / NS_PER_MS));
		if (l->gone && world_number(w, node, key))
			complain(all, "node %u: key %s had expired and is there again", node, key);
	}
}

bool tellers_check(struct tellers *all, const struct world *w, struct bytes *why)
{
	for (uint8_t node = 1; node <= all->node_count; node++) {
		look_into(all, w, node);
		look_for_lasting(all, w, node);
	}
	if (all->complaint[0]) {
		bytes_puts(why, all->complaint);
		return false;
	}
	return check_linearizable(&all->history, COUNTERS, is_counter, why);
}
