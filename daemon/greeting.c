/* SPDX-License-Identifier: Apache-2.0 */
#include "greeting.h"

#include <stdlib.h>

#include "base/mem.h"
#include "log.h"
#include "node.h"

#define GREETING_NS (2 * NS_PER_S)
#define GREETINGS_MAX 64u          /* of more, the one that has waited longest makes room */
#define GREETINGS_ENDING_MAX 1024u /* and is there until its receive has ended: a turn may bring many */

struct greeting {
	struct io_message message;
	struct list node;
	struct node *owner;
	int socket;
	struct io_recv recv;
	struct io_op send_op;
	struct io_timer timer;
	struct bytes in, out;
	struct wire_hello hello;
	bool accepted, refused, sending;
};

static void greeting_free(struct greeting *g)
{
	io_timer_stop(g->owner->reactors[0]->io, &g->timer);
	list_del(&g->node);
	bytes_free(&g->in);
	bytes_free(&g->out);
	free(g);
}

static void greeting_deliver(struct io_message *m)
{
	struct greeting *g = container_of(m, struct greeting, message);
	struct lane *lane = g->owner->lanes[g->hello.lane];

	peer_accept(lane->peers[g->hello.node], g->socket, &g->hello);
	bytes_free(&g->in);
	free(g);
}

static void greeting_end(struct greeting *g)
{
	if (g->recv.active || g->sending)
		return;
	if (!g->accepted) {
		io_close(g->owner->reactors[0]->io, g->socket);
		greeting_free(g);
		return;
	}
	io_timer_stop(g->owner->reactors[0]->io, &g->timer);
	list_del(&g->node);
	g->message.deliver = greeting_deliver;
	io_post(g->owner->reactors[0]->io, node_reactor_of_lane(g->owner, g->hello.lane)->io, &g->message);
}

static void greeting_sent(struct io_op *op, int result)
{
	struct greeting *g = container_of(op, struct greeting, send_op);

	(void)result;
	g->sending = false;
	io_shutdown(g->owner->reactors[0]->io, g->socket);
	greeting_end(g);
}

static void greeting_refuse(struct greeting *g, const char *why)
{
	struct io *io = g->owner->reactors[0]->io;
	size_t mark;

	log_warning("peer: refusing node=%u: %s", g->hello.node, why);
	g->refused = true;
	wire_frame_begin(&g->out);
	mark = wire_begin(&g->out, WIRE_REFUSE);
	bytes_puts(&g->out, why);
	wire_end(&g->out, mark);
	(void)wire_frame_end(&g->out, 0, WIRE_WHOLE);
	g->sending = true;
	g->send_op.done = greeting_sent;
	io_send(io, &g->send_op, g->socket, g->out.data, g->out.size);
	io_recv_stop(io, &g->recv);
}

static void greeting_hello(struct greeting *g, struct cursor *payload)
{
	struct node *n = g->owner;
	enum wire_type type;
	struct cursor body;
	const char *why;

	if (!wire_next(payload, &type, &body) || type != WIRE_HELLO || !wire_get_hello(&body, &g->hello)) {
		io_shutdown(n->reactors[0]->io, g->socket);
		io_recv_stop(n->reactors[0]->io, &g->recv);
		return;
	}
	why = lane_check_hello(n->lanes[0], &g->hello);
	if (!why && (g->hello.node >= NODE_SLOTS || !n->lanes[0]->peers[g->hello.node]))
		why = "it is not in our list of members";
	if (!why && g->hello.lane >= n->lane_count)
		why = "it names a lane that doesn't exist";
	if (why) {
		greeting_refuse(g, why);
		return;
	}
	g->accepted = true;
	io_recv_stop(n->reactors[0]->io, &g->recv); /* the lane's reactor goes on receiving */
}

static void greeting_received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct greeting *g = container_of(recv, struct greeting, recv);
	struct cursor payload;
	size_t used;
	int r;

	if (size <= 0) {
		greeting_end(g);
		return;
	}
	if (g->accepted || g->refused)
		return;
	bytes_put(&g->in, data, (size_t)size);
	r = wire_frame(g->in.data, g->in.size, &payload, &used);
	if (r > 0 && wire_frame_part(g->in.data) == WIRE_WHOLE) {
		greeting_hello(g, &payload);
	} else if (r != 0 || g->in.size > 4096) {
		io_shutdown(g->owner->reactors[0]->io, g->socket);
		io_recv_stop(g->owner->reactors[0]->io, &g->recv);
	}
}

static void greeting_late(struct io_timer *t)
{
	struct greeting *g = container_of(t, struct greeting, timer);

	io_shutdown(g->owner->reactors[0]->io, g->socket);
	io_recv_stop(g->owner->reactors[0]->io, &g->recv);
}

/* False: too many are ending. */
static bool make_room(struct node *n)
{
	struct io *io = n->reactors[0]->io;
	struct greeting *longest = NULL;
	uint32_t waiting = 0, ending = 0;

	list_for_each(pos, &n->greetings) {
		struct greeting *g = list_entry(pos, struct greeting, node);

		if (g->accepted || g->refused) {
			ending++;
			continue;
		}
		waiting++;
		longest = longest ? longest : g;
	}
	if (waiting < GREETINGS_MAX)
		return true;
	if (ending >= GREETINGS_ENDING_MAX)
		return false;
	longest->refused = true;
	io_shutdown(io, longest->socket);
	io_recv_stop(io, &longest->recv);
	return true;
}

void greeting_new(struct node *n, int socket)
{
	struct io *io = n->reactors[0]->io;
	struct greeting *g;

	if (!make_room(n)) {
		io_close(io, socket);
		return;
	}
	g = mem_zalloc(sizeof *g);
	g->owner = n;
	g->socket = socket;
	g->recv.received = greeting_received;
	g->timer.fire = greeting_late;
	list_add_tail(&n->greetings, &g->node);
	io_timer_start(io, &g->timer, io_boottime_ns(io) + GREETING_NS);
	io_recv_start(io, &g->recv, socket);
}

void greeting_free_all(struct node *n)
{
	while (!list_empty(&n->greetings))
		greeting_free(list_entry(n->greetings.next, struct greeting, node));
}
