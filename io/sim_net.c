/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated stream sockets. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/sim_private.h"

#define RECV_CHUNK 16384u
#define RETRANSMIT_NS (200 * NS_PER_MS)
#define CUT_RETRY_NS (5 * NS_PER_MS)

static struct sim_connection *connection_of(const struct sim *s, int socket, int *ret_side)
{
	uint32_t at = (uint32_t)(socket - SOCKET_BASE) / 2;

	assert(socket >= SOCKET_BASE && at < s->connection_count);
	*ret_side = (socket - SOCKET_BASE) % 2;
	return s->connections[at];
}

static uint64_t network_delay(struct sim *s)
{
	uint64_t ns = sim_between(s, s->faults.delay_us_min, s->faults.delay_us_max) * NS_PER_US;

	if (sim_chance(s, s->faults.slow_per_10000, 10000)) {
		s->counts.slow++;
		ns += RETRANSMIT_NS;
	}
	return ns;
}

static bool machine_alive(const struct sim *s, uint8_t machine)
{
	for (uint32_t i = 0; i < s->io_count; i++)
		if (s->ios[i]->machine == machine)
			return true;
	return false;
}

/* ---- sends that wait ---- */

static void send_ends(struct sim *s, struct sim_end *e, int result)
{
	if (!e->sending)
		return;
	sim_schedule(s, &(struct sim_event){.at_ns = s->now_ns, .kind = EVENT_COMPLETE, .io = e->io, .op = e->sending, .result = result});
	e->sending = NULL;
}

/* The end has taken so many bytes, or has no use for them. */
static void take(struct sim *s, struct sim_connection *c, int side, uint64_t size)
{
	struct sim_end *from = &c->end[!side];

	c->end[side].untaken -= size;
	if (c->end[side].untaken <= s->faults.window)
		send_ends(s, from, from->sending_size);
}

/* ---- on the way ---- */

/* Puts bytes, or the end of the stream, on the way to side. */
static void send_segment(struct sim *s, struct sim_connection *c, int side, const void *data, uint32_t size, int error, uint64_t from_ns)
{
	struct sim_end *to = &c->end[side];
	struct sim_segment *g = mem_alloc(sizeof *g + size);

	g->next = NULL;
	g->error = error;
	g->size = size;
	if (size)
		memcpy(g->data, data, size);
	g->at_ns = max_u64(from_ns + network_delay(s), to->last_arrival_ns + 1);
	to->last_arrival_ns = g->at_ns;
	to->untaken += size;
	*to->last = g;
	to->last = &g->next;
	if (to->first == g)
		sim_schedule(s, &(struct sim_event){.at_ns = g->at_ns, .kind = EVENT_DELIVER, .handle = c->id, .side = side});
}

static void schedule_recv(struct sim *s, struct sim_end *e)
{
	if (!e->recv || e->scheduled || !e->io)
		return;
	e->scheduled = true;
	sim_ready(s, e->io, &e->recv->op, 0);
}

static void arrive(struct sim *s, struct sim_connection *c, int side, struct sim_segment *g)
{
	struct sim_end *e = &c->end[side];

	if (!e->io || e->ended)
		take(s, c, side, g->size);
	if (!e->io) {
		/* Nobody is there. A living kernel says so; a silent machine says nothing until it is up again. */
		if (g->size && (!e->silent || machine_alive(s, e->machine)) && c->end[!side].io)
			send_segment(s, c, !side, NULL, 0, -ECONNRESET, s->now_ns);
		return;
	}
	if (e->ended)
		return;
	if (g->size) {
		bytes_put(&e->waiting, g->data, g->size);
	} else {
		e->ended = true;
		e->error = g->error;
		send_ends(s, e, -EPIPE);
	}
	schedule_recv(s, e);
}

void sim_deliver(struct sim *s, const struct sim_event *event)
{
	struct sim_connection *c = s->connections[event->handle];
	struct sim_end *e = &c->end[event->side];
	bool cut = s->cut[c->end[!event->side].machine][e->machine];

	while (e->first && e->first->at_ns <= s->now_ns && !cut) {
		struct sim_segment *g = e->first;

		e->first = g->next;
		if (!e->first)
			e->last = &e->first;
		arrive(s, c, event->side, g);
		free(g);
	}
	if (e->first)
		sim_schedule(s, &(struct sim_event){.at_ns = cut ? s->now_ns + CUT_RETRY_NS : e->first->at_ns,
						    .kind = EVENT_DELIVER, .handle = event->handle, .side = event->side});
}

/* ---- receiving ---- */

void io_recv_start(struct io *io, struct io_recv *recv, int socket)
{
	int side;
	struct sim_connection *c = connection_of(io->sim, socket, &side);
	struct sim_end *e = &c->end[side];

	assert(!e->recv && e->io);
	e->io = io->id; /* a connection may have been handed to another reactor */
	recv->socket = socket;
	recv->active = true;
	recv->ending = false;
	recv->op.at.kind = SIM_RECV;
	e->recv = recv;
	if (e->waiting.size > e->taken || e->ended)
		schedule_recv(io->sim, e);
}

void io_recv_stop(struct io *io, struct io_recv *recv)
{
	int side;
	struct sim_connection *c;

	if (!recv->active || recv->ending)
		return;
	c = connection_of(io->sim, recv->socket, &side);
	recv->ending = true;
	schedule_recv(io->sim, &c->end[side]);
}

static void recv_end(struct sim_end *e, int result)
{
	struct io_recv *recv = e->recv;

	e->recv = NULL;
	recv->active = false;
	recv->received(recv, NULL, result);
}

static void end_forget(struct sim_end *e)
{
	bytes_free(&e->waiting);
	e->taken = 0;
}

void sim_run_recv(struct io *io, struct io_op *op, int result)
{
	struct io_recv *recv;
	struct sim_connection *c;
	struct sim_end *e;
	uint8_t chunk[RECV_CHUNK];
	uint32_t n;
	int side;

	if (op->at.kind == SIM_ACCEPT) {
		struct io_accept *accept = container_of(op, struct io_accept, op);

		accept->accepted(accept, result);
		return;
	}
	recv = container_of(op, struct io_recv, op);
	c = connection_of(io->sim, recv->socket, &side);
	e = &c->end[side];
	e->scheduled = false;
	if (recv->ending) {
		recv_end(e, -ECANCELED);
		return;
	}
	if (e->waiting.size == e->taken) {
		if (e->ended)
			recv_end(e, e->error);
		return;
	}
	n = (uint32_t)min_u64(e->waiting.size - e->taken, sim_chance(io->sim, io->sim->faults.pieces_per_20, 20) ? 1 + sim_random(io->sim, 64) : RECV_CHUNK);
	memcpy(chunk, e->waiting.data + e->taken, n);
	e->taken += n;
	take(io->sim, c, side, n);
	if (2 * e->taken >= e->waiting.size) {
		bytes_drop(&e->waiting, e->taken);
		e->taken = 0;
	}
	if (e->waiting.size > e->taken || e->ended)
		schedule_recv(io->sim, e);
	recv->received(recv, chunk, (int)n);
}

/* ---- sending ---- */

static void break_connection(struct sim *s, struct sim_connection *c, int side, uint64_t now_ns)
{
	struct sim_end *own = &c->end[side];

	s->counts.breaks++;
	own->ended = true;
	own->error = -ECONNRESET;
	send_ends(s, own, -ECONNRESET);
	schedule_recv(s, own);
	send_segment(s, c, !side, NULL, 0, -ECONNRESET, now_ns);
}

void io_send(struct io *io, struct io_op *op, int socket, const void *data, size_t size)
{
	struct sim *s = io->sim;
	int side;
	struct sim_connection *c = connection_of(s, socket, &side);
	struct sim_end *own = &c->end[side];
	bool waits;

	op->at.kind = SIM_PLAIN;
	if (own->ended) {
		sim_complete(io, op, -EPIPE, 1000);
		return;
	}
	assert(!own->sending);
	send_segment(s, c, !side, data, (uint32_t)size, 0, sim_io_now(io));
	waits = s->faults.window && c->end[!side].untaken > s->faults.window;
	if (waits) {
		own->sending = op;
		own->sending_size = (int)size;
		s->counts.waited++;
	}
	if (sim_chance(s, s->faults.break_per_100000, 100000))
		break_connection(s, c, side, sim_io_now(io));
	if (!waits)
		sim_complete(io, op, (int)size, 2000);
}

void io_shutdown(struct io *io, int socket)
{
	int side;
	struct sim_connection *c = connection_of(io->sim, socket, &side);
	struct sim_end *own = &c->end[side];

	if (own->ended)
		return;
	own->ended = true;
	own->error = 0;
	send_ends(io->sim, own, -EPIPE);
	schedule_recv(io->sim, own);
	send_segment(io->sim, c, !side, NULL, 0, 0, sim_io_now(io));
}

static void end_close(struct sim *s, struct sim_connection *c, int side, uint64_t now_ns)
{
	struct sim_end *e = &c->end[side];

	if (!e->io)
		return;
	e->io = 0;
	e->recv = NULL;
	e->sending = NULL;
	end_forget(e);
	if (!e->ended && c->end[!side].io)
		send_segment(s, c, !side, NULL, 0, 0, now_ns);
	e->ended = true;
}

void io_close(struct io *io, int socket)
{
	int side;
	struct sim_connection *c;

	if (socket < SOCKET_BASE)
		return;
	c = connection_of(io->sim, socket, &side);
	assert(!c->end[side].recv);
	end_close(io->sim, c, side, sim_io_now(io));
}

void io_peer_name(struct io *io, int socket, char *ret, size_t size)
{
	(void)io;
	(void)snprintf(ret, size, "127.0.0.1:%d", socket - SOCKET_BASE + 1);
}

/* ---- connecting ---- */

int io_listen(struct io *io, const char *addr)
{
	struct sim *s = io->sim;
	struct sim_listener *l;

	for (uint32_t i = 0; i < s->listener_count; i++)
		if (!strcmp(s->listeners[i].address, addr) && sim_io(s, s->listeners[i].io))
			return -EADDRINUSE;
	s->listeners = mem_realloc(s->listeners, (s->listener_count + 1) * sizeof *s->listeners);
	l = &s->listeners[s->listener_count];
	*l = (struct sim_listener){.io = io->id, .handle = LISTENER_BASE + (int)s->listener_count};
	(void)snprintf(l->address, sizeof l->address, "%s", addr);
	s->listener_count++;
	return l->handle;
}

void io_accept_start(struct io *io, struct io_accept *accept, int listener)
{
	accept->listener = listener;
	accept->op.at.kind = SIM_ACCEPT;
	io->sim->listeners[listener - LISTENER_BASE].accept = accept;
}

static struct sim_listener *find_listener(struct sim *s, const char *addr)
{
	for (uint32_t i = s->listener_count; i-- > 0;)
		if (!strcmp(s->listeners[i].address, addr) && sim_io(s, s->listeners[i].io) && s->listeners[i].accept)
			return &s->listeners[i];
	return NULL;
}

void io_connect(struct io *io, struct io_op *op, const char *addr, uint64_t timeout_ns)
{
	struct sim *s = io->sim;
	struct sim_listener *l = find_listener(s, addr);
	struct sim_connection *c;
	struct io *there;
	uint64_t delay = network_delay(s);

	op->at.kind = SIM_PLAIN;
	if (!l) {
		sim_complete(io, op, -ECONNREFUSED, delay);
		return;
	}
	there = sim_io(s, l->io);
	if (s->cut[io->machine][there->machine] || s->cut[there->machine][io->machine]) {
		sim_complete(io, op, -ETIMEDOUT, timeout_ns);
		return;
	}
	c = mem_zalloc(sizeof *c);
	s->connections = mem_realloc(s->connections, (s->connection_count + 1) * sizeof(struct sim_connection *));
	s->connections[s->connection_count] = c;
	c->id = s->connection_count++;
	for (int side = 0; side < 2; side++) {
		struct sim_end *e = &c->end[side];

		e->io = side ? there->id : io->id;
		e->machine = side ? there->machine : io->machine;
		e->handle = SOCKET_BASE + (int)c->id * 2 + side;
		e->last = &e->first;
	}
	sim_schedule(s, &(struct sim_event){.at_ns = sim_io_now(io) + delay, .kind = EVENT_ACCEPT, .handle = c->id, .io = there->id,
					    .op = &l->accept->op});
	sim_complete(io, op, c->end[0].handle, delay * 2);
}

void sim_accept(struct sim *s, const struct sim_event *e)
{
	struct sim_connection *c = s->connections[e->handle];

	if (!sim_io(s, e->io)) {
		if (c->end[0].io)
			send_segment(s, c, 0, NULL, 0, -ECONNRESET, s->now_ns);
		return;
	}
	sim_ready(s, e->io, e->op, c->end[1].handle);
}

/* ---- crash ---- */

void sim_net_crash(struct sim *s, uint8_t machine, bool silent)
{
	for (uint32_t i = 0; i < s->connection_count; i++)
		for (int side = 0; side < 2; side++) {
			struct sim_connection *c = s->connections[i];
			struct sim_end *e = &c->end[side];

			if (e->machine != machine || !e->io)
				continue;
			e->io = 0;
			e->recv = NULL;
			e->sending = NULL;
			e->silent = silent;
			end_forget(e);
			if (!silent && !e->ended && c->end[!side].io)
				send_segment(s, c, !side, NULL, 0, -ECONNRESET, s->now_ns);
			e->ended = true;
		}
	for (uint32_t i = 0; i < s->listener_count; i++) {
		struct io *io = sim_io(s, s->listeners[i].io);

		if (io && io->machine == machine)
			s->listeners[i].io = 0;
	}
}

void sim_net_forget(struct sim *s, struct io *io)
{
	for (uint32_t i = 0; i < s->connection_count; i++)
		for (int side = 0; side < 2; side++)
			if (s->connections[i]->end[side].io == io->id)
				end_close(s, s->connections[i], side, s->now_ns);
	for (uint32_t i = 0; i < s->listener_count; i++)
		if (s->listeners[i].io == io->id)
			s->listeners[i].io = 0;
}

void sim_net_free(struct sim *s)
{
	for (uint32_t i = 0; i < s->connection_count; i++) {
		for (int side = 0; side < 2; side++) {
			struct sim_end *e = &s->connections[i]->end[side];

			end_forget(e);
			while (e->first) {
				struct sim_segment *g = e->first;

				e->first = g->next;
				free(g);
			}
		}
		free(s->connections[i]);
	}
	free(s->connections);
	free(s->listeners);
}

void sim_cut(struct sim *s, uint8_t from, uint8_t to, bool cut)
{
	s->cut[from][to] = cut;
}
