/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "node.h"
#include "store/reply.h"

#define ROW_MAX 4096u           /* open requests of one connection: then it isn't read from */
#define OUT_HIGH (1u << 20)     /* replies that wait for a client that doesn't read: likewise */
#define IN_HIGH (32u << 20)
#define IN_PAUSED (128u << 10)   /* what may gather while the connection waits */
#define ROW_BYTES_MAX (32u << 20) /* of open requests' bodies and of replies behind an open one: likewise */
#define REPLY_EXPECTED (1u << 20)  /* of the first read: few are opened before the size of one is known */
#define REPLY_EXPECTED_MIN (64u << 10) /* after small ones: a large one may come all the same */
#define BUFFER_KEEP (4u << 10)     /* an idle connection's buffers: there may be many thousands */
#define ARGS_KEEP 1024u
/* All connections of a reactor together; one that holds more than HELD_SMALL while the sum is above is closed. */
#define HELD_MAX (256u << 20)
#define HELD_SMALL (16u << 10)
/*
 * Replies that clients haven't taken, all connections of a reactor together. Above the first limit a connection asks
 * for one at a time, and for none before its last has left; above the second nobody does, reads under way are refused,
 * and those that wait for most are closed.
 */
#define OUT_PRESSED (256u << 20)
#define OUT_MAX (512u << 20)

static void client_received(struct io_recv *recv, const uint8_t *data, int size);
static void client_sent(struct io_op *op, int result);
static void client_process(struct client *c);

static void client_mark(struct client *c)
{
	if (list_empty(&c->dirty))
		list_add_tail(&c->reactor->dirty_clients, &c->dirty);
}

/* ---- life ---- */

void client_new(struct reactor *r, int socket, uint64_t id, bool cluster_port)
{
	struct client *c = mem_zalloc(sizeof *c);

	c->reactor = r;
	c->id = id;
	c->socket = socket;
	c->cluster_port = cluster_port;
	c->resp = 2;
	c->reply_expected = REPLY_EXPECTED;
	c->connected_ns = c->active_ns = io_boottime_ns(r->io);
	c->recv.received = client_received;
	c->send_op.done = client_sent;
	list_init(&c->dirty);
	list_init(&c->row);
	list_add_tail(&r->clients, &c->node);
	r->client_count++;
	r->stats.connections_accepted++;
	io_peer_name(r->io, socket, c->address, sizeof c->address);
	if (r->client_count > r->node->config->max_clients / r->node->config->reactors) {
		r->stats.connections_refused++;
		reply_error(&c->out, "ERR max number of clients reached");
		c->closing_after_reply = true;
		client_mark(c);
		return;
	}
	c->receiving = true;
	io_recv_start(r->io, &c->recv, socket);
}

void client_count_held(struct client *c)
{
	size_t now = c->in.cap + c->multi.cap + c->parser.cap * sizeof *c->parser.args;

	c->reactor->client_held += now - c->held_counted;
	c->held_counted = now;
}

static void client_count_out(struct client *c)
{
	size_t now = c->closing ? 0 : c->out.cap + c->in_flight.cap + c->row_bytes;

	c->reactor->client_out += now - c->out_counted;
	c->out_counted = now;
}

static void client_request_free(struct client_request *cr)
{
	if (cr->tour) {
		io_timer_stop(cr->client->reactor->io, &cr->tour->again);
		free(cr->tour);
	}
	bytes_free(&cr->rq.body);
	bytes_free(&cr->rq.reply);
	free(cr);
}

static void client_release(struct client *c)
{
	list_del(&c->node);
	list_del(&c->dirty);
	c->reactor->client_count--;
	c->reactor->client_held -= c->held_counted;
	c->reactor->client_out -= c->out_counted;
	bytes_free(&c->in);
	bytes_free(&c->out);
	bytes_free(&c->in_flight);
	bytes_free(&c->multi);
	resp_parser_free(&c->parser);
	free(c->open);
	free(c->argv);
	free(c->watched);
	free(c);
}

/* Frees a closing client once neither the socket nor a group has anything of it. */
static void client_gone(struct client *c)
{
	if (!c->closing || c->recv.active || c->sending)
		return;
	if (c->socket >= 0) {
		io_close(c->reactor->io, c->socket);
		c->socket = -1;
	}
	if (list_empty(&c->row))
		client_release(c);
}

void client_close(struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	client_count_out(c);
	io_shutdown(c->reactor->io, c->socket);
	io_recv_stop(c->reactor->io, &c->recv);
	client_mark(c); /* the turn frees it: callers still hold it */
}

void clients_free(struct reactor *r)
{
	list_for_each_safe(pos, tmp, &r->clients) {
		struct client *c = list_entry(pos, struct client, node);

		while (!list_empty(&c->row)) {
			struct client_request *cr = list_entry(c->row.next, struct client_request, row);

			list_del(&cr->row);
			client_request_free(cr);
		}
		client_release(c);
	}
}

/* ---- replies, in order ---- */

struct open_count *client_open_count(struct client *c, uint32_t group)
{
	if (group >= c->open_groups) {
		uint32_t n = c->reactor->catalog.group_count + 1;

		c->open = mem_realloc(c->open, n * sizeof *c->open);
		memset(c->open + c->open_groups, 0, (n - c->open_groups) * sizeof *c->open);
		c->open_groups = n;
	}
	return &c->open[group];
}

static void row_shift(struct client *c)
{
	uint64_t now_ns = io_boottime_ns(c->reactor->io);

	while (!list_empty(&c->row)) {
		struct client_request *cr = list_entry(c->row.next, struct client_request, row);

		if (!cr->done)
			break;
		list_del(&cr->row);
		histogram_add(&c->reactor->stats.latency[cr->class], now_ns - cr->began_ns, 1);
		c->row_count--;
		c->row_bytes -= cr->counted_bytes;
		if (cr->rq.result == REQUEST_UNKNOWN) {
			client_close(c); /* nobody knows what became of it: [unknown] */
		} else if (!c->closing) {
			if (cr->rq.result == REQUEST_REFUSED)
				c->reactor->stats.request_errors++;
			bytes_put(&c->out, cr->rq.reply.data, cr->rq.reply.size);
		}
		client_request_free(cr);
	}
	client_count_out(c);
	client_mark(c);
}

/* Its reply is there; until it may leave it is counted. */
static void request_done(struct client_request *cr)
{
	struct client *c = cr->client;

	cr->done = true;
	c->row_bytes -= cr->counted_bytes;
	cr->counted_bytes = cr->rq.body.size + cr->rq.reply.size;
	c->row_bytes += cr->counted_bytes;
	row_shift(c);
}

struct bytes *client_reply_begin(struct client *c, struct client_request **ret_place)
{
	if (list_empty(&c->row)) {
		*ret_place = NULL;
		return &c->out;
	}
	*ret_place = client_open(c, REQUEST_READ);
	return &(*ret_place)->rq.reply;
}

void client_reply_end(struct client *c, struct client_request *place)
{
	if (place)
		request_done(place);
	client_mark(c);
}

void client_error(struct client *c, const char *text)
{
	struct client_request *place;

	reply_error(client_reply_begin(c, &place), text);
	client_reply_end(c, place);
	c->reactor->stats.request_errors++;
}

void client_refuse(struct client *c, struct bytes *error)
{
	struct client_request *place;

	bytes_put(client_reply_begin(c, &place), error->data, error->size);
	client_reply_end(c, place);
	bytes_free(error);
	c->reactor->stats.request_errors++;
}

/* ---- requests to groups ---- */

struct client_request *client_open(struct client *c, enum request_kind kind)
{
	struct client_request *cr = mem_zalloc(sizeof *cr);

	cr->client = c;
	cr->class = c->class;
	cr->began_ns = c->began_ns;
	cr->rq.kind = kind;
	cr->rq.resp = c->resp;
	cr->rq.bundle = BUNDLE_COMMAND;
	list_init(&cr->rq.node);
	list_add_tail(&c->row, &cr->row);
	c->row_count++;
	return cr;
}

static void request_arrives(struct io_message *m);
static void request_returns(struct io_message *m);

/*
 * One group's part of a request to all. An error reply means that nothing was executed ([unknown]): where some
 * groups have executed it and others refuse, nobody can say what became of the whole.
 */
static void part_finished(struct client_request *whole, struct client_request *part)
{
	struct request *rq = &whole->rq;

	if (part->rq.result == REQUEST_DONE) {
		whole->children_done += !part->elsewhere;
		if (rq->result == REQUEST_DONE && !part->elsewhere && whole->combine)
			whole->combine(whole, part);
	} else if (part->rq.result == REQUEST_UNKNOWN) {
		rq->result = REQUEST_UNKNOWN;
	} else if (rq->result == REQUEST_DONE) {
		rq->result = REQUEST_REFUSED;
		rq->reply.size = 0;
		bytes_put(&rq->reply, part->rq.reply.data, part->rq.reply.size);
	}
	if (rq->result == REQUEST_REFUSED && whole->children_done && part->rq.kind == REQUEST_WRITE)
		rq->result = REQUEST_UNKNOWN;
}

/* How large a reply is shows when it is there. A read has changed nothing, so it can still be refused. */
static void refuse_large_read(struct client_request *cr)
{
	if (cr->rq.result != REQUEST_DONE || cr->rq.reply.size <= HELD_SMALL || cr->client->reactor->client_out <= OUT_MAX)
		return;
	bytes_free(&cr->rq.reply);
	reply_error(&cr->rq.reply, "TRYAGAIN Too many replies wait for clients of this node to read them; nothing was executed");
	cr->rq.result = REQUEST_REFUSED;
}

/* On the client's core: the group is done with it. */
static void client_finished(struct client_request *cr)
{
	struct client *c = cr->client;
	struct client_request *whole = cr->parent;

	if (cr->counted_read) {
		struct open_count *open = client_open_count(c, cr->rq.group);

		open->reads--;
		open->reads_waiting -= cr->rq.after_writes;
		refuse_large_read(cr);
		c->reply_expected = max_u64(cr->rq.reply.size, REPLY_EXPECTED_MIN);
	}
	if (cr->counted_write) {
		struct open_count *open = client_open_count(c, cr->rq.group);

		open->writes--;
		if (cr->rq.result == REQUEST_DONE && !cr->elsewhere)
			open->last_write = cr->rq.watch_index;
	}
	if (whole) {
		part_finished(whole, cr);
		client_request_free(cr);
		if (--whole->children)
			return;
		cr = whole;
	}
	if (cr->completed)
		cr->completed(cr);
	request_done(cr);
}

/* On the group's core. */
static void request_finished(struct request *rq)
{
	struct client_request *cr = container_of(rq, struct client_request, rq);
	struct reactor *home = cr->client->reactor, *here = reactor_of_group(home, rq->group);
	struct group *g = rq->kind == REQUEST_WRITE && rq->result == REQUEST_DONE ? reactor_group(here, rq->group) : NULL;

	if (g)
		rq->watch_index = store_applied(g->store); /* the write's own index: it is being applied */
	if (home == here) {
		client_finished(cr);
		return;
	}
	rq->message.deliver = request_returns;
	io_post(here->io, home->io, &rq->message);
}

static void request_returns(struct io_message *m)
{
	client_finished(container_of(m, struct client_request, rq.message));
}

/* This node stands in for a leader whose address isn't known: any node serves any key. */
uint8_t client_serving_node(const struct reactor *here, uint8_t leader)
{
	return leader && !here->store_cluster[leader][0] ? here->node->config->node : leader;
}

/* The store_cluster port sends clients to the leader; false where there is none: then the request waits for one here. */
static bool redirect(struct client_request *cr, const struct reactor *here, const struct group *g)
{
	uint8_t node = client_serving_node(here, group_leader(g));
	char text[WIRE_ADDRESS + 32];

	if (!node || node == here->node->config->node)
		return false;
	(void)snprintf(text, sizeof text, "MOVED %u %s", cr->slot, here->store_cluster[node]);
	request_refuse(&cr->rq, text);
	return true;
}

/* True if the group was left out because another node serves it, or nobody does: then the request is finished. */
static bool leave_out(struct client_request *cr, const struct reactor *here, const struct group *g)
{
	uint8_t node = client_serving_node(here, group_leader(g));

	if (node == here->node->config->node)
		return false;
	if (!node) {
		request_refuse(&cr->rq, "CLUSTERDOWN A group has no leader; nothing was executed in it");
		return true;
	}
	cr->elsewhere = true;
	cr->rq.result = REQUEST_DONE;
	cr->rq.finished(&cr->rq);
	return true;
}

static void request_arrives(struct io_message *m)
{
	struct request *rq = container_of(m, struct request, message);
	struct client_request *cr = container_of(rq, struct client_request, rq);
	struct reactor *here = reactor_of_group(cr->client->reactor, rq->group);
	struct group *g = reactor_group(here, rq->group);

	if (g && ((cr->redirect && redirect(cr, here, g)) || (cr->led_only && leave_out(cr, here, g))))
		return;
	if (g)
		group_submit(g, rq);
	else
		request_refuse(rq, "LOADING Holdfast is recovering this group; nothing was executed");
}

void client_submit(struct client *c, struct client_request *cr, uint32_t group)
{
	struct open_count *open = client_open_count(c, group);
	struct reactor *there = reactor_of_group(c->reactor, group);

	cr->rq.group = group;
	cr->rq.finished = request_finished;
	if (!cr->parent) {
		cr->counted_bytes = cr->rq.body.size + (cr->rq.kind == REQUEST_READ ? c->reply_expected : 0);
		c->row_bytes += cr->counted_bytes;
	}
	if (cr->rq.kind == REQUEST_READ) {
		/* Behind a read that waits for writes it must wait too, though these have meanwhile ended: it would see less. */
		cr->rq.after_writes = open->writes > 0 || open->reads_waiting > 0;
		open->reads_waiting += cr->rq.after_writes;
		cr->counted_read = true;
		open->reads++;
	} else {
		cr->counted_write = true;
		open->writes++;
	}
	if (there == c->reactor) {
		request_arrives(&cr->rq.message);
		return;
	}
	cr->rq.message.deliver = request_arrives;
	io_post(c->reactor->io, there->io, &cr->rq.message);
}

/* ---- tours ---- */

static void tour_again(struct io_timer *t)
{
	struct client_tour *tour = container_of(t, struct client_tour, again);
	struct reactor *home = tour->cr->client->reactor;

	tour->next_reactor = 0;
	io_post(home->io, home->node->ios[0], &tour->message);
}

static void tour_step(struct io_message *m)
{
	struct client_tour *tour = container_of(m, struct client_tour, message);
	struct client_request *cr = tour->cr;
	struct reactor *home = cr->client->reactor;
	struct node *n = home->node;
	uint32_t here = tour->next_reactor++, next = tour->next_reactor;
	uint64_t again_ns;

	if (here < n->config->reactors) {
		tour->visit(tour, n->reactors[here]);
		io_post(n->ios[here], next < n->config->reactors ? n->ios[next] : home->io, m);
		return;
	}
	cr->rq.reply.size = 0;
	again_ns = tour->done(tour, &cr->rq.reply);
	if (again_ns) {
		io_timer_start(home->io, &tour->again, again_ns);
		return;
	}
	request_done(cr);
}

void client_tour_start(struct client *c, struct client_tour *tour)
{
	tour->cr = client_open(c, REQUEST_READ);
	tour->cr->tour = tour;
	tour->message.deliver = tour_step;
	tour->again.fire = tour_again;
	tour_again(&tour->again);
}

/* ---- input ---- */

static const struct arg *client_args(struct client *c, const uint8_t *base)
{
	if (c->argv_cap < c->parser.argc) {
		c->argv_cap = c->parser.argc < 16 ? 16 : c->parser.argc;
		c->argv = mem_realloc(c->argv, c->argv_cap * sizeof *c->argv);
	}
	for (uint32_t i = 0; i < c->parser.argc; i++)
		c->argv[i] = (struct arg){.data = base + c->parser.args[i].offset, .size = c->parser.args[i].size};
	return c->argv;
}

/* A rare giant's arguments aren't kept for ever. */
static void client_drop_args(struct client *c)
{
	resp_parser_trim(&c->parser);
	if (c->argv_cap <= ARGS_KEEP)
		return;
	free(c->argv);
	c->argv = NULL;
	c->argv_cap = 0;
}

static bool client_may_go_on(const struct client *c)
{
	size_t all = c->reactor->client_out;

	if (c->closing || c->closing_after_reply || c->stalled || all > OUT_MAX)
		return false;
	if (all > OUT_PRESSED && (c->sending || c->out.size || c->row_count))
		return false;
	return c->row_count < ROW_MAX && c->row_bytes < ROW_BYTES_MAX && c->out.size < OUT_HIGH;
}

/* Works off whole requests in data; returns the bytes they took, and in at_once[] how many were answered, by class. */
static size_t work_off(struct client *c, const uint8_t *data, size_t size, uint64_t *at_once)
{
	size_t done = 0;

	while (client_may_go_on(c)) {
		uint32_t open = c->row_count;
		const uint8_t *base;
		size_t used;
		char text[96];

		switch (resp_parse(&c->parser, data + done, size - done, &base, &used)) {
		case RESP_MORE:
			return done;
		case RESP_EMPTY:
			done += used;
			break;
		case RESP_READY:
			/* A stalled one is parsed again when the way is free. */
			c->stalled = !client_dispatch(c, c->parser.argc, client_args(c, base));
			client_drop_args(c);
			client_count_out(c);
			at_once[c->class] += !c->stalled && c->row_count == open;
			if (c->stalled)
				return done;
			done += used;
			break;
		case RESP_ERROR:
			(void)snprintf(text, sizeof text, "ERR Protocol error: %s", c->parser.error);
			client_error(c, text);
			c->closing_after_reply = true;
			return size;
		}
	}
	return done;
}

static size_t client_requests(struct client *c, const uint8_t *data, size_t size)
{
	uint64_t at_once[REQUEST_CLASSES] = {0};
	size_t used;

	c->began_ns = io_boottime_ns(c->reactor->io);
	used = work_off(c, data, size, at_once);
	for (unsigned i = 0; i < REQUEST_CLASSES; i++)
		if (at_once[i])
			histogram_add(&c->reactor->stats.latency[i], io_boottime_ns(c->reactor->io) - c->began_ns, at_once[i]);
	return used;
}

static void client_process(struct client *c)
{
	size_t used;

	if (!c->in.size || !client_may_go_on(c))
		return;
	used = client_requests(c, c->in.data, c->in.size);
	bytes_drop(&c->in, used);
	if (!c->in.size)
		bytes_reset(&c->in, BUFFER_KEEP);
	client_count_held(c);
}

/* Too much is held for all connections together: the large ones that add to it go. */
static void client_check_held(struct client *c)
{
	client_count_held(c);
	if (c->reactor->client_held <= HELD_MAX || c->held_counted <= HELD_SMALL)
		return;
	client_error(c, "TRYAGAIN Too many unfinished requests are held on this node; nothing was executed");
	c->closing_after_reply = true;
	bytes_reset(&c->in, 0);
	bytes_reset(&c->multi, 0);
	client_count_held(c);
}

static void client_received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct client *c = container_of(recv, struct client, recv);
	size_t used = 0;

	if (size <= 0) {
		c->receiving = false;
		if (size == 0)
			c->input_ended = true; /* what it asked before is still answered */
		else if (size != -ECANCELED)
			client_close(c);
		/* else backpressure: clients_turn() starts it again */
		client_mark(c);
		return;
	}
	if (c->closing || c->closing_after_reply)
		return;
	c->active_ns = 0; /* the turn reads the clock, once for all */
	client_mark(c);
	if (!c->in.size && client_may_go_on(c)) {
		used = client_requests(c, data, (size_t)size);
		if (used == (size_t)size)
			return;
	}
	bytes_put(&c->in, data + used, (size_t)size - used);
	if (used == 0)
		client_process(c);
	client_check_held(c);
	if (c->in.size > IN_HIGH || (c->in.size > IN_PAUSED && !client_may_go_on(c)))
		io_recv_stop(c->reactor->io, &c->recv);
}

/* ---- output ---- */

static void client_flush(struct client *c)
{
	struct bytes swap;

	if (c->sending || c->closing || !c->out.size)
		return;
	swap = c->in_flight;
	c->in_flight = c->out;
	c->out = swap;
	c->out.size = 0;
	c->sending = true;
	io_send(c->reactor->io, &c->send_op, c->socket, c->in_flight.data, c->in_flight.size);
}

static void client_sent(struct io_op *op, int result)
{
	struct client *c = container_of(op, struct client, send_op);

	c->sending = false;
	bytes_reset(&c->in_flight, BUFFER_KEEP);
	client_count_out(c);
	if (result < 0)
		client_close(c);
	client_mark(c);
}

static struct client *largest_out(const struct reactor *r)
{
	struct client *largest = NULL;

	list_for_each(pos, &r->clients) {
		struct client *c = list_entry(pos, struct client, node);

		if (!largest || c->out_counted > largest->out_counted)
			largest = c;
	}
	return largest;
}

static void clients_evict(struct reactor *r)
{
	while (r->client_out > OUT_MAX) {
		struct client *c = largest_out(r);

		assert(c); /* somebody has them */
		r->stats.connections_evicted++;
		bytes_free(&c->out);
		client_close(c); /* counts nothing from now on */
	}
}

void clients_turn(struct reactor *r)
{
	uint64_t now_ns = 0;
	struct list now;

	list_init(&now);
	clients_evict(r);
	list_splice_tail(&now, &r->dirty_clients);
	while (!list_empty(&now)) {
		struct client *c = list_entry(now.next, struct client, dirty);

		list_del(&c->dirty);
		if (c->closing) {
			client_gone(c);
			continue;
		}
		if (!c->active_ns) {
			now_ns = now_ns ? now_ns : io_boottime_ns(r->io);
			c->active_ns = now_ns;
		}
		c->stalled = false;
		client_process(c);
		client_flush(c);
		if ((c->closing_after_reply || c->input_ended) && !c->sending && !c->out.size && list_empty(&c->row))
			client_close(c);
		else if (!c->receiving && !c->input_ended && !c->recv.active && !c->closing && client_may_go_on(c) && c->in.size < IN_HIGH) {
			c->receiving = true;
			io_recv_start(r->io, &c->recv, c->socket);
		}
		if (r->client_out > OUT_MAX)
			client_mark(c); /* nothing of its own would tell that it may go on */
	}
	clients_evict(r);
}
