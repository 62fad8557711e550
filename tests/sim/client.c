/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "world.h"

#define CROWD_KEYS 2u
#define WAIT_EACH 10u /* one request in so many */
#define WAIT_MS_MAX 300u
#define TIMEOUT_NS (6 * NS_PER_S)
#define RECONNECT_NS (20 * NS_PER_MS)
#define TAIL_EACH 32u      /* of large values: one in so many has a tail */
#define TAIL_MAX 400000u
#define CONNECT_NS (300 * NS_PER_MS)

struct open_op {
	struct check_op op;
	uint32_t wait_ms;   /* 0, or it is a WAIT for op.value nodes, and of no key */
	uint64_t must_read; /* a GET behind our own SET of a key that nobody else writes: that value; 0 any */
};

struct sim_client {
	struct clients *owner;
	uint32_t id;
	uint8_t node;
	int socket;
	bool connected, connecting, closing, sending;
	bool refused; /* something, on this connection */
	struct io_op connect_op, send_op;
	struct io_recv recv;
	struct io_timer timer;
	struct bytes in, out;
	struct open_op open[CLIENT_PIPELINE_MAX];
	uint32_t open_count, answered;
	uint64_t wrote[CLIENT_KEYS]; /* acknowledged on this connection */
	uint32_t final_next; /* in the final phase: the next (key, node) to read */
	uint64_t asked_ns;
};

struct clients {
	struct sim *sim;
	struct io *io;
	uint8_t node_count;
	uint32_t pipeline_max;
	uint64_t think_us_max, next_value;
	const struct world *world;
	uint64_t wait_random; /* a stream of its own */
	bool waits, crowd, large, resting, final;
	struct sim_client all[CLIENT_COUNT];
	struct check_history history;
	struct clients_stats stats;
	bool watched, written[CLIENT_KEYS]; /* since clients_watch_writes() */
	char complaint[200];
};

bool client_key_is_counter(uint32_t key)
{
	return key >= CLIENT_REGISTERS && key < CLIENT_REGISTERS + CLIENT_COUNTERS;
}

static uint64_t client_now(const struct sim_client *c)
{
	return sim_now(c->owner->sim);
}

static void client_wake(struct sim_client *c, uint64_t after_ns)
{
	io_timer_start(c->owner->io, &c->timer, io_boottime_ns(c->owner->io) + after_ns);
}

static void client_think(struct sim_client *c)
{
	/* Now and then a long one: it asks an old connection after the world has gone on. */
	uint64_t max_us = sim_random(c->owner->sim, 25) ? c->owner->think_us_max : 600000;

	client_wake(c, c->owner->final ? 1000 : sim_random(c->owner->sim, max_us) * NS_PER_US + 1000);
}

/* ---- asking ---- */

/* What stands behind a value's number: batches, bundles and frames of more than their usual size. */
static size_t tail_size(const struct clients *all, uint64_t value)
{
	return all->large && value % TAIL_EACH == 0 ? value * 7919 % TAIL_MAX : 0;
}

static void put_set(struct sim_client *c, const char *key, const char *value, size_t tail)
{
	bytes_printf(&c->out, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n%s", strlen(key), key, strlen(value) + tail, value);
	while (tail--)
		bytes_put_u8(&c->out, 'x');
	bytes_puts(&c->out, "\r\n");
}

static void put_wait(struct sim_client *c, const struct open_op *o)
{
	char text[40];

	(void)snprintf(text, sizeof text, "WAIT %u %u\r\n", (unsigned)o->op.value, o->wait_ms);
	bytes_puts(&c->out, text);
}

static void put_command(struct sim_client *c, const struct check_op *op)
{
	char key[24], value[24];

	(void)snprintf(key, sizeof key, "key%u", op->key);
	(void)snprintf(value, sizeof value, "%llu", (unsigned long long)op->value);
	if (op->kind == CHECK_SET)
		put_set(c, key, value, tail_size(c->owner, op->value));
	else
		bytes_printf(&c->out, "*2\r\n$%d\r\n%s\r\n$%zu\r\n%s\r\n", op->kind == CHECK_GET ? 3 : 4,
			     op->kind == CHECK_GET ? "GET" : "INCR", strlen(key), key);
}

static struct check_op next_op(struct sim_client *c)
{
	struct sim *s = c->owner->sim;
	struct check_op op = {.key = (uint32_t)sim_random(s, CLIENT_REGISTERS + CLIENT_COUNTERS + 2)};

	if (c->owner->crowd) { /* mostly looking at what the others do */
		op.key = CLIENT_REGISTERS + op.key % CROWD_KEYS;
		op.kind = sim_random(s, 3) ? CHECK_GET : CHECK_INCR;
		return op;
	}
	if (op.key >= CLIENT_REGISTERS + CLIENT_COUNTERS)
		op.key = CLIENT_REGISTERS + CLIENT_COUNTERS + c->id;
	if (client_key_is_counter(op.key))
		op.kind = sim_random(s, 4) ? CHECK_INCR : CHECK_GET;
	else
		op.kind = sim_random(s, 2) ? CHECK_SET : CHECK_GET;
	if (op.kind == CHECK_SET)
		op.value = ++c->owner->next_value;
	return op;
}

/* For one node more than there are at most. */
static struct open_op next(struct sim_client *c)
{
	struct clients *all = c->owner;

	if (!all->waits || rand_below(&all->wait_random, WAIT_EACH))
		return (struct open_op){.op = next_op(c)};
	return (struct open_op){.op = {.kind = CHECK_GET, .key = CLIENT_KEYS, .value = rand_below(&all->wait_random, all->node_count + 1u)},
				.wait_ms = 1 + (uint32_t)rand_below(&all->wait_random, WAIT_MS_MAX)};
}

static void client_sent(struct io_op *op, int result)
{
	struct sim_client *c = container_of(op, struct sim_client, send_op);

	(void)result; /* a failure shows on the receiving side too */
	c->sending = false;
}

static void client_send(struct sim_client *c)
{
	c->sending = true;
	c->send_op.done = client_sent;
	c->asked_ns = client_now(c);
	io_send(c->owner->io, &c->send_op, c->socket, c->out.data, c->out.size);
	client_wake(c, TIMEOUT_NS);
}

static void client_ask(struct sim_client *c)
{
	uint32_t count = 1 + (uint32_t)sim_random(c->owner->sim, c->owner->pipeline_max);

	c->out.size = 0;
	c->open_count = c->answered = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct open_op *o = &c->open[c->open_count++];

		*o = next(c);
		o->op.invoked = client_now(c);
		for (uint32_t k = 0; k < i && o->op.kind == CHECK_GET && o->op.key >= CLIENT_REGISTERS + CLIENT_COUNTERS; k++)
			if (c->open[k].op.key == o->op.key && c->open[k].op.kind == CHECK_SET)
				o->must_read = c->open[k].op.value;
		if (o->wait_ms)
			put_wait(c, o);
		else
			put_command(c, &o->op);
	}
	client_send(c);
}

/* One read a time; each client takes its share of (key, node). */
static void client_ask_final(struct sim_client *c)
{
	uint32_t all = CLIENT_KEYS * c->owner->node_count;

	if (c->final_next >= all)
		return;
	c->out.size = 0;
	c->open_count = 1;
	c->answered = 0;
	c->open[0] = (struct open_op){.op = {.kind = CHECK_GET, .key = c->final_next % CLIENT_KEYS, .invoked = client_now(c)}};
	put_command(c, &c->open[0].op);
	client_send(c);
}

/* ---- answers ---- */

/* One whole reply at the start of in: its size, or 0. */
static size_t reply_size(const struct bytes *in)
{
	const uint8_t *end = in->size ? memmem(in->data, in->size, "\r\n", 2) : NULL;
	size_t head;
	long n;

	if (!end)
		return 0;
	head = (size_t)(end - in->data) + 2;
	if (in->data[0] != '$')
		return head;
	n = strtol((const char *)in->data + 1, NULL, 10);
	if (n < 0)
		return head;
	return in->size >= head + (size_t)n + 2 ? head + (size_t)n + 2 : 0;
}

/* What was behind a refused SET needn't see it. */
static void forget_set(struct sim_client *c, uint64_t value)
{
	for (uint32_t i = c->answered; i < c->open_count; i++)
		if (c->open[i].must_read == value)
			c->open[i].must_read = 0;
}

/* [order]: what one pipeline asks of a key takes effect in that order; clients only ever see counters grow. */
static void check_order(struct sim_client *c, const struct open_op *o)
{
	for (const struct open_op *k = c->open; k < c->open + c->open_count; k++) {
		bool shrinks = k < o && client_key_is_counter(o->op.key) && o->op.value < k->op.value + (o->op.kind == CHECK_INCR);
		bool foresees = k > o && o->op.kind == CHECK_GET && k->op.kind == CHECK_SET && o->op.value == k->op.value;

		if (k->op.key == o->op.key && (shrinks || foresees) && !c->owner->complaint[0])
			(void)snprintf(c->owner->complaint, sizeof c->owner->complaint,
				       "client %u: key %u was %llu in the place %u of a pipeline and %llu in place %u", c->id, o->op.key,
				       (unsigned long long)k->op.value, (unsigned)(k - c->open), (unsigned long long)o->op.value, (unsigned)(o - c->open));
	}
}

static void complain_of_copies(struct sim_client *c, uint32_t said, uint64_t value)
{
	uint32_t copies = world_copies(c->owner->world, value);

	if (copies < said && !c->owner->complaint[0])
		(void)snprintf(c->owner->complaint, sizeof c->owner->complaint, "client %u: %llu was said to be durable on %u nodes and is on %u",
			       c->id, (unsigned long long)value, said, copies);
}

/* Its own node counts, too; and fewer than were wanted come only when the time is over. */
static void answer_wait(struct sim_client *c, const struct open_op *o, const uint8_t *reply)
{
	struct clients *all = c->owner;
	uint32_t others = (uint32_t)strtoul((const char *)reply + 1, NULL, 10);

	all->stats.waits++;
	all->stats.waits_met += others >= o->op.value;
	for (uint32_t key = 0; key < CLIENT_KEYS; key++)
		if (c->wrote[key])
			complain_of_copies(c, others + 1, c->wrote[key]);
	if (others < o->op.value && o->op.returned - o->op.invoked < o->wait_ms * NS_PER_MS / 100 * 99 && !all->complaint[0])
		(void)snprintf(all->complaint, sizeof all->complaint, "client %u: WAIT of %u ms ended before that with too few", c->id, o->wait_ms);
}

static void answer(struct sim_client *c, const uint8_t *reply)
{
	struct clients *all = c->owner;
	struct open_op *o = &c->open[c->answered++];
	const char *newline;

	o->op.returned = client_now(c);
	if (reply[0] == '-') {
		/* Certainly not executed, and never will be: no operation at all. */
		all->stats.failed++;
		c->refused = true;
		if (o->op.kind == CHECK_SET)
			forget_set(c, o->op.value);
		if (all->final)
			c->final_next--;
		return;
	}
	if (o->wait_ms) {
		answer_wait(c, o, reply);
		return;
	}
	all->stats.acked++;
	all->written[o->op.key] |= o->op.kind != CHECK_GET;
	switch (o->op.kind) {
	case CHECK_SET:
		c->wrote[o->op.key] = o->op.value;
		complain_of_copies(c, all->node_count / 2u + 1, o->op.value);
		break;
	case CHECK_INCR:
		o->op.value = strtoull((const char *)reply + 1, NULL, 10);
		break;
	case CHECK_GET:
		newline = strchr((const char *)reply, '\n');
		o->op.value = !strncmp((const char *)reply, "$-1", 3) ? 0 : strtoull(newline + 1, NULL, 10);
		if (o->must_read && o->op.value != o->must_read && !all->complaint[0])
			(void)snprintf(all->complaint, sizeof all->complaint, "client %u wrote %llu and read %llu behind it in one pipeline", c->id,
				       (unsigned long long)o->must_read, (unsigned long long)o->op.value);
		break;
	}
	check_order(c, o);
	check_add(&all->history, &o->op);
}

static void client_lost(struct sim_client *c)
{
	for (; c->answered < c->open_count; c->answered++) {
		struct open_op *o = &c->open[c->answered];

		if (o->wait_ms)
			continue;
		o->op.returned = CHECK_INFINITY;
		c->owner->stats.unknown++;
		if (o->op.kind == CHECK_INCR)
			o->op.value = 0;
		check_add(&c->owner->history, &o->op);
	}
	c->open_count = c->answered = 0;
	c->connected = false;
}

static void client_gone(struct sim_client *c)
{
	if (c->recv.active || c->sending || c->socket < 0)
		return;
	io_close(c->owner->io, c->socket);
	c->socket = -1;
	c->closing = false;
	client_wake(c, RECONNECT_NS);
}

static void client_drop(struct sim_client *c)
{
	client_lost(c);
	if (!c->closing) {
		c->closing = true;
		io_shutdown(c->owner->io, c->socket);
		io_recv_stop(c->owner->io, &c->recv);
	}
	client_wake(c, RECONNECT_NS);
}

static void client_received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct sim_client *c = container_of(recv, struct sim_client, recv);
	size_t used;

	if (size <= 0) {
		if (!c->closing)
			client_drop(c);
		client_gone(c);
		return;
	}
	if (c->closing)
		return;
	bytes_put(&c->in, data, (size_t)size);
	bytes_put_u8(&c->in, 0); /* strings end */
	c->in.size--;
	while (c->answered < c->open_count && (used = reply_size(&c->in))) {
		answer(c, c->in.data);
		bytes_drop(&c->in, used);
	}
	if (c->answered == c->open_count && c->open_count) {
		c->open_count = c->answered = 0;
		if (c->owner->final)
			c->final_next++;
		client_think(c);
	}
}

/* ---- life ---- */

static void client_connected(struct io_op *op, int result)
{
	struct sim_client *c = container_of(op, struct sim_client, connect_op);

	c->connecting = false;
	if (result < 0) {
		client_wake(c, RECONNECT_NS);
		return;
	}
	c->socket = result;
	c->in.size = 0;
	c->connected = true;
	c->refused = false;
	memset(c->wrote, 0, sizeof c->wrote);
	c->recv.received = client_received;
	io_recv_start(c->owner->io, &c->recv, result);
	client_think(c);
}

static void client_fire(struct io_timer *t)
{
	struct sim_client *c = container_of(t, struct sim_client, timer);
	char address[40];

	if (c->closing) {
		client_gone(c);
		if (c->closing)
			client_wake(c, RECONNECT_NS);
		return;
	}
	if (c->open_count) {
		if (client_now(c) >= c->asked_ns + TIMEOUT_NS)
			client_drop(c);
		return;
	}
	if (c->connecting || (c->owner->resting && !c->owner->final))
		return;
	if (c->owner->final && c->connected && c->final_next < CLIENT_KEYS * c->owner->node_count &&
	    c->node != 1 + c->final_next / CLIENT_KEYS) {
		client_drop(c); /* the next reads go to another node */
		return;
	}
	if (c->connected && !c->sending) {
		if (c->owner->final)
			client_ask_final(c);
		else if ((c->owner->watched && c->refused) || sim_random(c->owner->sim, 50) == 0)
			client_drop(c); /* and on to another node */
		else
			client_ask(c);
		return;
	}
	if (c->connected || c->socket >= 0)
		return;
	c->node = (uint8_t)(c->owner->final ? 1 + c->final_next / CLIENT_KEYS : 1 + sim_random(c->owner->sim, c->owner->node_count));
	if (c->owner->final && c->final_next >= CLIENT_KEYS * c->owner->node_count)
		return;
	c->connecting = true;
	c->connect_op.done = client_connected;
	(void)snprintf(address, sizeof address, "10.0.0.%u:6379", c->node);
	io_connect(c->owner->io, &c->connect_op, address, CONNECT_NS);
}

struct clients *clients_start(struct sim *s, const struct clients_options *options)
{
	struct clients *all = mem_zalloc(sizeof *all);

	assert(options->pipeline_max <= CLIENT_PIPELINE_MAX);
	all->sim = s;
	all->node_count = options->node_count;
	all->pipeline_max = options->pipeline_max;
	all->crowd = options->crowd;
	all->large = options->large;
	all->think_us_max = options->think_us_max;
	all->waits = options->waits;
	all->wait_random = mix64(options->seed ^ 0x77616974u);
	all->world = options->world;
	(void)io_new(&all->io, sim_env(s, 0));
	for (uint32_t i = 0; i < CLIENT_COUNT; i++) {
		struct sim_client *c = &all->all[i];

		c->owner = all;
		c->id = i;
		c->socket = -1;
		c->timer.fire = client_fire;
		client_wake(c, i * NS_PER_MS);
	}
	return all;
}

void clients_end(struct clients *all)
{
	for (uint32_t i = 0; i < CLIENT_COUNT; i++) {
		io_timer_stop(all->io, &all->all[i].timer);
		bytes_free(&all->all[i].in);
		bytes_free(&all->all[i].out);
	}
	check_history_free(&all->history);
	io_free(all->io);
	free(all);
}

void clients_rest(struct clients *all)
{
	all->resting = true;
}

bool clients_resting(const struct clients *all)
{
	for (uint32_t i = 0; i < CLIENT_COUNT; i++)
		if (all->all[i].open_count)
			return false;
	return true;
}

void clients_final_reads(struct clients *all)
{
	all->final = true;
	for (uint32_t i = 0; i < CLIENT_COUNT; i++) {
		all->all[i].final_next = i ? CLIENT_KEYS * all->node_count : 0; /* one client is enough */
		client_wake(&all->all[i], 1000);
	}
}

bool clients_final_done(const struct clients *all)
{
	return all->all[0].final_next >= CLIENT_KEYS * all->node_count;
}

const struct check_history *clients_history(const struct clients *all)
{
	return &all->history;
}

const struct clients_stats *clients_stats(const struct clients *all)
{
	return &all->stats;
}

const char *clients_complaint(const struct clients *all)
{
	return all->complaint[0] ? all->complaint : NULL;
}

void clients_watch_writes(struct clients *all)
{
	all->watched = true;
	memset(all->written, 0, sizeof all->written);
}

bool clients_wrote_shared(const struct clients *all)
{
	uint32_t first = all->crowd ? CLIENT_REGISTERS : 0;
	uint32_t end = all->crowd ? CLIENT_REGISTERS + CROWD_KEYS : CLIENT_REGISTERS + CLIENT_COUNTERS;

	for (uint32_t key = first; key < end; key++)
		if (!all->written[key])
			return false;
	return true;
}
