/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <stdio.h>

#include "base/list.h"

#define CONNECT_NS (300 * NS_PER_MS)

/* When nothing of it is under way any more. */
static void line_gone(struct line *l)
{
	if (!l->closing || l->recv.active || l->sending)
		return;
	io_close(l->io, l->socket);
	l->socket = -1;
	l->closing = false;
	l->ended(l);
}

void line_close(struct line *l)
{
	if (l->closing)
		return;
	l->closing = true;
	io_shutdown(l->io, l->socket);
	io_recv_stop(l->io, &l->recv);
}

static void line_received(struct io_recv *recv, const uint8_t *data, int size)
{
	struct line *l = container_of(recv, struct line, recv);

	if (size <= 0) {
		line_close(l);
		line_gone(l);
	} else if (!l->closing) {
		bytes_put(&l->in, data, (size_t)size);
		l->received(l);
	}
}

static void line_sent(struct io_op *op, int result)
{
	struct line *l = container_of(op, struct line, send_op);

	(void)result; /* a failure shows on the receiving side too */
	l->sending = false;
	if (l->closing)
		line_gone(l);
	else if (l->out.size)
		line_send(l);
}

void line_send(struct line *l)
{
	struct bytes swap = l->in_flight;

	if (l->sending || l->closing)
		return; /* as soon as the last one has left */
	l->in_flight = l->out;
	l->out = swap;
	l->out.size = 0;
	l->sending = true;
	l->send_op.done = line_sent;
	io_send(l->io, &l->send_op, l->socket, l->in_flight.data, l->in_flight.size);
}

static void line_connected(struct io_op *op, int result)
{
	struct line *l = container_of(op, struct line, connect_op);

	l->connecting = false;
	if (result < 0) {
		l->ended(l);
		return;
	}
	l->socket = result;
	l->in.size = l->out.size = 0;
	l->recv.received = line_received;
	io_recv_start(l->io, &l->recv, result);
	l->opened(l);
}

void line_open(struct line *l, uint8_t node, unsigned port)
{
	char address[40];

	l->connecting = true;
	l->connect_op.done = line_connected;
	(void)snprintf(address, sizeof address, "10.0.0.%u:%u", node, port);
	io_connect(l->io, &l->connect_op, address, CONNECT_NS);
}

bool line_idle(const struct line *l)
{
	return l->socket < 0 && !l->connecting;
}

void line_init(struct line *l, struct io *io)
{
	l->io = io;
	l->socket = -1;
}

void line_fini(struct line *l)
{
	bytes_free(&l->in);
	bytes_free(&l->out);
	bytes_free(&l->in_flight);
}
